//! `cargo xtask bench gas`: what a whole task costs, all transactions and all parties, against the limits set for it and
//! against the nearest system.
use std::{collections::BTreeMap, time::Duration};

use eyre::{WrapErr, bail, eyre};

use crate::{command::capture, foundry, setup, stage::Stages};

/// The bench contracts lie outside of `test/`.
const FOLDER: &str = "bench/gas";
const LIMIT: Duration = Duration::from_secs(1800);

/// A row of the table: key, what it is, the most it may be, and what iExec's protocol costs for the same.
const ROWS: [(&str, &str, Option<u64>, Option<u64>); 12] = [
    ("compute_v0", "one task, nobody verifies (level 0)", Some(450_000), Some(1_725_006)),
    ("compute_v2", "one task, two verifiers", Some(825_000), Some(2_476_292)),
    ("compute_v4", "one task, four verifiers", Some(1_150_000), Some(3_219_847)),
    ("compute_v2_merged", "two verifiers, claim and seal in one", Some(750_000), Some(2_476_292)),
    ("compute_v4_merged", "four verifiers, claim and seal in one", Some(1_000_000), Some(3_219_847)),
    ("bag100_v2_per_leaf", "a leaf of a bag of 100, two verifiers", Some(12_000), Some(1_103_398)),
    ("beacon_round", "a drand round, shared by its agreements", None, None),
    ("energy_production", "a day of a worker's meter, production", Some(65_000), None),
    ("energy_metered", "the same with consumption", None, None),
    ("energy_gap_1_day", "a gap record over one day", None, None),
    ("energy_issue_1_hour", "certificates of an hour", None, None),
    ("energy_retire", "certificates retired for an agreement", None, None),
];

/// Runs the bench contracts and prints the table, or one JSON object of all figures.
///
/// # Errors
/// When forge fails, a figure is missing, or one is above its limit.
pub async fn gas(json: bool) -> eyre::Result<()> {
    setup::packages(&mut Stages::default()).await?;
    let figures = measure().await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        print!("{}", table(&figures)?);
    }
    let above: Vec<String> = ROWS
        .iter()
        .filter_map(|(key, _, limit, _)| Some((*key, *figures.get(*key)?, (*limit)?)))
        .filter(|(_, found, limit)| found > limit)
        .map(|(key, found, limit)| format!("{key} is {found}, at most {limit} allowed"))
        .collect();
    if !above.is_empty() {
        bail!("above the limit: {}", above.join("; "));
    }
    Ok(())
}

async fn measure() -> eyre::Result<BTreeMap<String, u64>> {
    let mut command = foundry::forge(&[
        "test",
        "--isolate",
        "--match-path",
        "bench/gas/*",
        "--gas-limit",
        "18446744073709551615",
        "--memory-limit",
        "4294967296",
        "-vv",
    ])
    .await?;
    command.env("FOUNDRY_TEST", FOLDER);
    let text = capture(command, LIMIT).await.wrap_err("running the gas bench")?;
    let figures = parse(&text)?;
    for (key, ..) in ROWS {
        if !figures.contains_key(key) {
            return Err(eyre!("forge ran, but gave no figure for {key}"));
        }
    }
    Ok(figures)
}

/// Lines like `bench: compute_v2 796000`.
fn parse(text: &str) -> eyre::Result<BTreeMap<String, u64>> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("bench: "));
    lines
        .map(|line| {
            let (key, value) = line.split_once(' ').ok_or_else(|| eyre!("expected a name and a number in {line:?}"))?;
            let value = value.trim().parse().wrap_err_with(|| format!("reading the figure in {line:?}"))?;
            Ok((key.to_owned(), value))
        })
        .collect()
}

fn table(figures: &BTreeMap<String, u64>) -> eyre::Result<String> {
    let mut out = format!("{:<44} {:>10} {:>10} {:>10} {:>7}\n", "", "gas", "limit", "iExec", "ratio");
    for (key, about, limit, peer) in ROWS {
        let found = *figures.get(key).ok_or_else(|| eyre!("no figure for {key}"))?;
        let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
        let ratio = peer.map_or_else(String::new, |peer| per_cent(found, peer));
        out += &format!("{about:<44} {found:>10} {:>10} {:>10} {ratio:>7}\n", number(limit), number(peer));
    }
    for (key, value) in figures {
        if !ROWS.iter().any(|(known, ..)| known == key) {
            out += &format!("{key:<44} {value:>10}\n");
        }
    }
    Ok(out)
}

/// Rounded up: never better than it is.
fn per_cent(found: u64, peer: u64) -> String {
    format!("{} %", (found * 100).div_ceil(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_bench_are_found_among_others() {
        let text = "[PASS] test_tasks() (gas: 1)\nLogs:\n    buyContract 1 2\n  bench: compute_v2 796000\n";
        let figures = parse(text).expect("one figure");
        assert_eq!(figures, BTreeMap::from([("compute_v2".to_owned(), 796_000)]));
    }

    #[test]
    fn a_figure_that_is_no_number_is_named() {
        let error = parse("bench: compute_v2 many").expect_err("no number").to_string();
        assert!(error.contains("compute_v2 many"), "{error}");
    }

    #[test]
    fn shares_round_up() {
        assert_eq!(per_cent(1, 3), "34 %");
        assert_eq!(per_cent(1, 4), "25 %");
    }
}
