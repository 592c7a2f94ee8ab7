//! The tables within `docs/ECONOMICS.md`, each between `<!-- table NAME -->` and `<!-- end NAME -->`.

use eyre::{WrapErr, bail, eyre};

use super::{report, setting::Setting, table::Table};
use crate::paths;

const FILE: &str = "docs/ECONOMICS.md";

/// The note with its tables replaced.
///
/// # Errors
/// When the markers of a table are missing, or stand there twice.
pub fn fill(note: &str, tables: &[Table]) -> eyre::Result<String> {
    let mut text = note.to_owned();
    for table in tables {
        let (start, end) = (format!("<!-- table {} -->\n", table.name), format!("<!-- end {} -->", table.name));
        if text.matches(&start).count() != 1 || text.matches(&end).count() != 1 {
            bail!("{FILE}: expected {:?} and {end:?} once each", start.trim_end());
        }
        let missing = || eyre!("{FILE}: {end:?} stands before its table");
        let (before, rest) = text.split_once(&start).ok_or_else(missing)?;
        let (_, after) = rest.split_once(&end).ok_or_else(missing)?;
        text = format!("{before}{start}{}{end}{after}", table.markdown());
    }
    Ok(text)
}

/// Writes the tables anew.
///
/// # Errors
/// When the file cannot be read or written, or lacks a marker.
pub fn update() -> eyre::Result<()> {
    let path = paths::root().join(FILE);
    let note = std::fs::read_to_string(&path).wrap_err(FILE)?;
    std::fs::write(&path, fill(&note, &report::all(&Setting::default()))?).wrap_err(FILE)?;
    println!("wrote the tables of {FILE}");
    Ok(())
}

/// # Errors
/// When a committed table is not what the command prints.
pub fn check() -> eyre::Result<()> {
    let note = std::fs::read_to_string(paths::root().join(FILE)).wrap_err(FILE)?;
    if fill(&note, &report::all(&Setting::default()))? != note {
        bail!("the tables of {FILE} are not those of this build; run `cargo xtask economics --update-docs` and commit");
    }
    Ok(())
}
