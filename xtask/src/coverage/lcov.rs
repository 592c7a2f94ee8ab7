//! forge's report: lcov's tracefile format (`man geninfo`), of which lines (DA) and branches (BRDA) are read.
use std::{collections::BTreeMap, fmt::Write};

use eyre::{WrapErr, bail, eyre};

/// What was measured of one source file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Hits by line.
    pub lines: BTreeMap<usize, u64>,
    /// Hits by line, block and path. forge writes path 0 for what a condition guards (of a `require`: its failure), 1 for the
    /// other way.
    pub branches: BTreeMap<(usize, u64, u64), u64>,
}

/// Files below `prefix`, by path.
///
/// # Errors
/// Names the record that is not of the format.
pub fn parse(text: &str, prefix: &str) -> eyre::Result<BTreeMap<String, File>> {
    let mut files: BTreeMap<String, File> = BTreeMap::new();
    let mut name: Option<&str> = None;
    for (at, line) in text.lines().enumerate() {
        let what = || format!("line {} of the lcov report: {line:?}", at + 1);
        let (key, rest) = line.split_once(':').unwrap_or((line, ""));
        match (key, name) {
            ("SF", _) => name = Some(rest),
            ("end_of_record", _) => name = None,
            ("DA" | "BRDA", None) => bail!("{}: outside of a file", what()),
            ("DA" | "BRDA", Some(file)) if file.starts_with(prefix) => {
                let fields: Vec<u64> = rest.split(',').map(number).collect::<eyre::Result<_>>().wrap_err_with(what)?;
                let file = files.entry(file.to_owned()).or_default();
                match (key, fields.as_slice()) {
                    ("DA", &[line, hits, ..]) => *file.lines.entry(line_number(line)?).or_default() += hits,
                    ("BRDA", &[line, block, path, hits]) => {
                        *file.branches.entry((line_number(line)?, block, path)).or_default() += hits;
                    }
                    _ => bail!("{}: too few fields", what()),
                }
            }
            _ => {}
        }
    }
    Ok(files)
}

/// A branch whose condition was never evaluated has `-` for its hits.
fn number(field: &str) -> eyre::Result<u64> {
    if field == "-" { Ok(0) } else { field.parse().map_err(|_| eyre!("{field:?} is no number")) }
}

fn line_number(line: u64) -> eyre::Result<usize> {
    usize::try_from(line).wrap_err("a line number")
}

/// One row for each file and one for all.
pub fn table(files: &BTreeMap<String, File>) -> String {
    let mut out = format!("{:<58} {:>16} {:>16}\n", "file", "lines", "branches");
    let mut all = [(0, 0), (0, 0)];
    for (name, file) in files {
        let counts = [count(file.lines.values()), count(file.branches.values())];
        for (sum, (hit, found)) in all.iter_mut().zip(counts) {
            *sum = (sum.0 + hit, sum.1 + found);
        }
        row(&mut out, name, counts);
    }
    row(&mut out, "all", all);
    out
}

fn count<'a>(hits: impl Iterator<Item = &'a u64>) -> (usize, usize) {
    hits.fold((0, 0), |(hit, found), hits| (hit + usize::from(*hits != 0), found + 1))
}

fn row(out: &mut String, name: &str, counts: [(usize, usize); 2]) {
    let cell = |(hit, found): (usize, usize)| {
        // In thousandths, rounded down: only all is 100 %.
        let share = (hit * 1000).checked_div(found).unwrap_or(1000);
        format!("{hit}/{found} {:>3}.{} %", share / 10, share % 10)
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "{name:<58} {:>16} {:>16}", cell(counts[0]), cell(counts[1]));
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "TN:\nSF:contracts/A.sol\nDA:3,2,\nDA:4,0\nBRDA:3,0,0,-\nBRDA:3,0,1,5\nend_of_record\n\
        SF:test/A.t.sol\nDA:1,0\nend_of_record\n";

    #[test]
    fn lines_and_branches_of_the_contracts_are_read() {
        let report = REPORT.replace("DA:3,2,", "DA:3,2");
        let files = parse(&report, "contracts/").unwrap();
        assert_eq!(files.len(), 1, "tests are not measured");
        let a = &files["contracts/A.sol"];
        assert_eq!(a.lines, BTreeMap::from([(3, 2), (4, 0)]));
        assert_eq!(a.branches, BTreeMap::from([((3, 0, 0), 0), ((3, 0, 1), 5)]));
        assert!(table(&files).contains("1/2  50.0 %"), "{}", table(&files));
    }

    #[test]
    fn a_record_of_another_format_is_named() {
        let error = format!("{:#}", parse(REPORT, "contracts/").unwrap_err());
        assert!(error.contains("line 3") && error.contains("is no number"), "{error}");
        let error = parse("DA:1,2\n", "contracts/").unwrap_err().to_string();
        assert!(error.contains("outside of a file"), "{error}");
    }
}
