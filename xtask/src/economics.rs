//! `cargo xtask economics`: for which reward, stake, k, V, T and n cheating does not pay. The formulas, their sources and what is
//! assumed stand in `docs/ECONOMICS.md`, whose tables this command makes.
//!
//! Pure functions: chances as exact fractions where the tests need them, money from the protocol's own integer rules, games in
//! `f64`. Everything is in multiples of the reward.

pub mod alone;
pub mod bribe;
pub mod case;
pub mod chance;
pub mod collude;
pub mod dispute;
pub mod lazy;
mod note;
pub mod odds;
pub mod report;
mod report_others;
pub mod selfdeal;
pub mod setting;
pub mod sybil;
pub mod table;

pub use note::{check, fill, update};
use serde_json::json;
use setting::Setting;

/// Prints the tables.
///
/// # Errors
/// When the contracts would not take such terms.
pub fn run(setting: &Setting, as_json: bool) -> eyre::Result<()> {
    setting.validate()?;
    let tables = report::all(setting);
    if as_json {
        let tables: Vec<_> = tables.iter().map(table::Table::json).collect();
        println!("{:#}", json!({ "setting": format!("{setting:?}"), "tables": tables }));
    } else {
        for table in tables {
            println!("## {}\n\n{}", table.name, table.markdown());
        }
    }
    Ok(())
}
