//! Which findings are known, and why they stand.
use std::{collections::BTreeMap, fs, path::Path};

use eyre::{WrapErr, bail};
use serde::{Deserialize, Serialize};

use super::finding::{Finding, Impact};

/// One entry of `script/analysis/exceptions.json`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// slither's name of the detector.
    pub detector: String,
    /// The finding's place, as [`Finding::place`]; a `*` stands for any text. Only places written out cover a High finding.
    pub place: String,
    /// How many findings a place has that is written out; more or fewer are an error.
    #[serde(default = "once", skip_serializing_if = "is_once")]
    pub times: usize,
    /// Why it is no problem.
    pub reason: String,
}

fn once() -> usize {
    1
}

fn is_once(times: &usize) -> bool {
    *times == 1
}

impl Exception {
    fn is_pattern(&self) -> bool {
        self.place.contains('*')
    }

    fn covers(&self, finding: &Finding) -> bool {
        self.detector == finding.detector
            && matches(&self.place, &finding.place)
            && !(self.is_pattern() && finding.impact == Impact::High)
    }
}

/// Where findings and exceptions differ.
#[derive(Debug, Default)]
pub struct Difference<'a> {
    /// Findings without an exception.
    pub open: Vec<&'a Finding>,
    /// What is wrong with the exceptions.
    pub wrong: Vec<String>,
}

/// Reads the committed file.
///
/// # Errors
/// When it is missing or not of this form.
pub fn read(path: &Path) -> eyre::Result<Vec<Exception>> {
    let text = fs::read_to_string(path).wrap_err_with(|| format!("reading {}", path.display()))?;
    let exceptions: Vec<Exception> =
        serde_json::from_str(&text).wrap_err_with(|| format!("reading {}", path.display()))?;
    for exception in &exceptions {
        if exception.is_pattern() && exception.times != 1 {
            bail!("{} in {}: `times` is for places that are written out", exception.detector, exception.place);
        }
    }
    Ok(exceptions)
}

/// Compares both. A finding belongs to the place that is written out before it belongs to a pattern.
pub fn compare<'a>(findings: &'a [Finding], exceptions: &[Exception]) -> Difference<'a> {
    let mut order: Vec<usize> = (0..exceptions.len()).collect();
    order.sort_by_key(|i| exceptions[*i].is_pattern());
    let mut found = vec![Vec::new(); exceptions.len()];
    let mut difference = Difference::default();
    for finding in findings {
        match order.iter().find(|i| exceptions[**i].covers(finding)) {
            Some(i) => found[*i].push(finding),
            None => difference.open.push(finding),
        }
    }
    for (exception, found) in exceptions.iter().zip(found) {
        let what = format!("{} in {}", exception.detector, exception.place);
        if exception.reason.trim().is_empty() {
            difference.wrong.push(format!("{what}: no reason is given"));
        }
        if found.is_empty() {
            difference.wrong.push(format!("{what}: matches no finding any more, remove it"));
        } else if !exception.is_pattern() && found.len() > exception.times {
            difference.open.extend(&found);
            difference.wrong.push(format!("{what}: found {} times, excepted {}", found.len(), exception.times));
        } else if !exception.is_pattern() && found.len() < exception.times {
            difference.wrong.push(format!("{what}: found {} times, excepted {}", found.len(), exception.times));
        }
    }
    difference
}

/// Entries for these findings, for a person to fill in the reasons.
pub fn propose(open: &[&Finding]) -> Vec<Exception> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in open {
        *counts.entry((&finding.detector, &finding.place)).or_default() += 1;
    }
    let entry = |((detector, place), times): ((&str, &str), usize)| Exception {
        detector: detector.to_owned(),
        place: place.to_owned(),
        times,
        reason: String::new(),
    };
    counts.into_iter().map(entry).collect()
}

/// Whether `text` is of the form `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, mut rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(head) else { return false };
    // Each piece between two stars at its first place; the last piece at the end.
    while let Some((piece, after)) = rest.split_once('*') {
        let Some((_, left)) = text.split_once(piece) else { return false };
        (text, rest) = (left, after);
    }
    text.ends_with(rest)
}

#[cfg(test)]
mod tests;
