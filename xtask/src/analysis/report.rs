//! What a person reads.
use eyre::bail;

use super::exceptions::{Difference, propose};

/// Prints the differences.
///
/// # Errors
/// When there are any.
pub fn verdict(difference: &Difference<'_>, findings: usize) -> eyre::Result<()> {
    if difference.open.is_empty() && difference.wrong.is_empty() {
        println!("slither: {findings} findings, all of them excepted with a reason");
        return Ok(());
    }
    difference.open.iter().for_each(|finding| println!("{finding}"));
    if !difference.open.is_empty() {
        println!("mend these, or put them into script/analysis/exceptions.json, with the reasons:");
        let entries: Vec<String> =
            propose(&difference.open).iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        println!("  {}\n", entries.join(",\n  "));
    }
    difference.wrong.iter().for_each(|wrong| println!("script/analysis/exceptions.json: {wrong}"));
    bail!("{} findings without an exception, {} wrong exceptions", difference.open.len(), difference.wrong.len());
}
