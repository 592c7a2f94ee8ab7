//! Findings, in a form that does not change when lines move.
use std::fmt;

use eyre::{WrapErr, bail};
use serde::Deserialize;

/// How bad slither takes it to be.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub enum Impact {
    /// Taste and style.
    Informational,
    /// Gas.
    Optimization,
    Low,
    Medium,
    High,
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Finding {
    pub impact: Impact,
    /// slither's name for what it looked for.
    pub detector: String,
    /// `Contract`, `Contract.function` or `Contract.function.variable`: what exceptions name.
    pub place: String,
    /// `path:line`, for people.
    pub line: String,
    /// slither's words.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {:?}: {} in {}", self.line, self.impact, self.detector, self.place)?;
        // Lists of all that can be reentered are longer than everything else together.
        self.text.trim().lines().take(12).try_for_each(|line| writeln!(f, "    {line}"))
    }
}

#[derive(Deserialize)]
struct Output {
    success: bool,
    error: Option<String>,
    #[serde(default)]
    results: Results,
}

#[derive(Default, Deserialize)]
struct Results {
    #[serde(default)]
    detectors: Vec<Detector>,
}

#[derive(Deserialize)]
struct Detector {
    check: String,
    impact: Impact,
    description: String,
    elements: Vec<Element>,
}

#[derive(Deserialize)]
struct Element {
    r#type: String,
    name: String,
    source_mapping: Mapping,
    #[serde(default)]
    type_specific_fields: Specific,
}

#[derive(Deserialize)]
struct Mapping {
    filename_relative: String,
    lines: Vec<u32>,
}

#[derive(Default, Deserialize)]
struct Specific {
    parent: Option<Box<Element>>,
}

impl Element {
    /// Names from the contract inwards. A statement (`node`) counts as its function.
    fn place(&self) -> String {
        match (&self.type_specific_fields.parent, self.r#type.as_str()) {
            (Some(parent), "node") => parent.place(),
            (Some(parent), _) => format!("{}.{}", parent.place(), self.name),
            (None, "pragma") => self.source_mapping.filename_relative.clone(),
            (None, _) => self.name.clone(),
        }
    }
}

/// Reads slither's JSON. The worst come first.
///
/// # Errors
/// With slither's own, if it could not do its work.
pub fn read(json: &str) -> eyre::Result<Vec<Finding>> {
    let output: Output = serde_json::from_str(json).wrap_err("reading slither's findings")?;
    if !output.success {
        bail!("slither failed: {}", output.error.unwrap_or_else(|| "it did not say why".to_owned()));
    }
    let mut findings: Vec<Finding> = output.results.detectors.into_iter().map(Finding::from).collect();
    findings
        .sort_by(|a, b| b.impact.cmp(&a.impact).then_with(|| (&a.detector, &a.place).cmp(&(&b.detector, &b.place))));
    Ok(findings)
}

impl From<Detector> for Finding {
    fn from(found: Detector) -> Self {
        let first = found.elements.first();
        let line = first.map_or_else(String::new, |element| {
            let mapping = &element.source_mapping;
            format!("{}:{}", mapping.filename_relative, mapping.lines.first().copied().unwrap_or(0))
        });
        let place = first.map_or_else(|| "*".to_owned(), Element::place);
        Self { impact: found.impact, detector: found.check, place, line, text: found.description }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{ "success": true, "error": null, "results": { "detectors": [
      { "check": "timestamp", "impact": "Low", "confidence": "Medium", "description": "A.f() uses it", "elements": [
        { "type": "node", "name": "a == b", "source_mapping": { "filename_relative": "contracts/A.sol", "lines": [7, 8] },
          "type_specific_fields": { "parent": { "type": "function", "name": "f",
            "source_mapping": { "filename_relative": "contracts/A.sol", "lines": [5] },
            "type_specific_fields": { "signature": "f(uint256)", "parent": { "type": "contract", "name": "A",
              "source_mapping": { "filename_relative": "contracts/A.sol", "lines": [1] } } } } } } ] },
      { "check": "weak-prng", "impact": "High", "confidence": "Medium", "description": "A.g() is weak\n", "elements": [
        { "type": "function", "name": "g", "source_mapping": { "filename_relative": "contracts/A.sol", "lines": [30] },
          "type_specific_fields": { "signature": "g()", "parent": { "type": "contract", "name": "A",
            "source_mapping": { "filename_relative": "contracts/A.sol", "lines": [1] } } } } ] } ] } }"#;

    #[test]
    fn findings_are_read_the_worst_first() {
        let findings = read(JSON).unwrap();
        let [high, low] = findings.as_slice() else { panic!("found {}", findings.len()) };
        assert_eq!((high.impact, high.place.as_str(), high.line.as_str()), (Impact::High, "A.g", "contracts/A.sol:30"));
        assert_eq!((low.impact, low.place.as_str(), low.line.as_str()), (Impact::Low, "A.f", "contracts/A.sol:7"));
        assert!(high.to_string().starts_with("contracts/A.sol:30: High: weak-prng in A.g\n    A.g() is weak"));
    }

    #[test]
    fn a_clean_run_has_no_findings_and_a_failed_one_is_an_error() {
        assert!(read(r#"{ "success": true, "error": null, "results": {} }"#).unwrap().is_empty());
        let error = read(r#"{ "success": false, "error": "no forge", "results": {} }"#).unwrap_err();
        assert_eq!(error.to_string(), "slither failed: no forge");
    }
}
