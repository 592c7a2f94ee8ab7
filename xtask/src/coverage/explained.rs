//! What is not reached, by the statement that stands there, and `docs/COVERAGE.md`, which says why. Statements and not line numbers: those
//! move with every edit above them.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use eyre::{bail, eyre};

use super::lcov::File;

/// Lines that a statement may have until it is cut.
const MOST_LINES: usize = 12;

/// Something that no test reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path from the root.
    pub file: String,
    /// The statement, with single spaces.
    pub statement: String,
    /// `line`, or `branch 0` (what a condition guards; of a `require` its failure) or `branch 1`.
    pub what: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({})", self.statement, self.what)
    }
}

/// Everything with no hit, and the line where it stands.
///
/// # Errors
/// When a source cannot be read or is shorter than the report says.
pub fn missed(
    files: &BTreeMap<String, File>,
    read: impl Fn(&str) -> eyre::Result<String>,
) -> eyre::Result<BTreeMap<Place, usize>> {
    let mut places = BTreeMap::new();
    for (name, file) in files {
        let lines = file.lines.iter().filter(|(_, hits)| **hits == 0).map(|(line, _)| (*line, "line".to_owned()));
        let branches = file.branches.iter().filter(|(_, hits)| **hits == 0);
        let branches = branches.map(|((line, _, path), _)| (*line, format!("branch {path}")));
        let all: Vec<(usize, String)> = lines.chain(branches).collect();
        if all.is_empty() {
            continue;
        }
        let source = read(name)?;
        for (line, what) in all {
            let statement =
                statement_at(&source, line).ok_or_else(|| eyre!("{name} has no line {line}, which forge reports"))?;
            places.insert(Place { file: name.clone(), statement, what }, line);
        }
    }
    Ok(places)
}

/// From this line to the end of its statement or the beginning of its block, white space made one space.
fn statement_at(source: &str, line: usize) -> Option<String> {
    let mut words = Vec::new();
    for text in source.lines().skip(line.checked_sub(1)?).take(MOST_LINES) {
        // A comment says nothing of what runs.
        let text = text.split("//").next().unwrap_or_default().trim();
        words.extend(text.split_whitespace());
        if text.ends_with([';', '{', '}']) {
            break;
        }
    }
    if words.is_empty() { None } else { Some(words.join(" ")) }
}

/// The explanations: below a heading with a file's path, lines of the form "- `statement` (what): why".
///
/// # Errors
/// Names the line that is not of this form, or that explains again what is explained already.
pub fn parse(doc: &str) -> eyre::Result<BTreeSet<Place>> {
    let mut file = None;
    let mut places = BTreeSet::new();
    for (at, line) in doc.lines().enumerate() {
        if let Some(heading) = line.strip_prefix("## ") {
            file = Some(heading.trim()).filter(|heading| heading.starts_with("contracts/"));
        }
        let (Some(file), Some(entry)) = (file, line.strip_prefix("- `")) else { continue };
        let (statement, what) = parts(entry).ok_or_else(|| {
            eyre!("docs/COVERAGE.md, line {}: not of the form - `statement` (line | branch N): why", at + 1)
        })?;
        let place = Place { file: file.to_owned(), statement: statement.to_owned(), what: what.to_owned() };
        if !places.insert(place) {
            bail!("docs/COVERAGE.md, line {}: explained twice", at + 1);
        }
    }
    Ok(places)
}

/// Statement and kind of an entry that has a reason.
fn parts(entry: &str) -> Option<(&str, &str)> {
    let (statement, rest) = entry.split_once("` (")?;
    let (what, why) = rest.split_once("): ")?;
    let known = what == "line" || what.strip_prefix("branch ").is_some_and(|path| path.parse::<u64>().is_ok());
    (known && !why.trim().is_empty()).then_some((statement, what))
}

/// Prints what is not reached.
///
/// # Errors
/// When something has no explanation, or an explanation is of something that is reached or gone.
pub fn verdict(missed: &BTreeMap<Place, usize>, explained: &BTreeSet<Place>) -> eyre::Result<()> {
    let mut open = 0;
    let mut by_line: Vec<(&Place, &usize)> = missed.iter().collect();
    by_line.sort_by_key(|(place, line)| (&place.file, **line));
    for (place, line) in by_line {
        let known = explained.contains(place);
        open += usize::from(!known);
        let mark = if known { "explained  " } else { "UNEXPLAINED" };
        println!("{mark} {}:{line} {place}", place.file);
    }
    let stale: Vec<&Place> = explained.iter().filter(|place| !missed.contains_key(place)).collect();
    for place in &stale {
        println!("STALE       {} {place}: reached, or gone", place.file);
    }
    if open != 0 || !stale.is_empty() {
        bail!(
            "{open} places that no test reaches are without an explanation in docs/COVERAGE.md (better: a test), and {} \
            explanations are of nothing",
            stale.len()
        );
    }
    println!("{} places that no test reaches, all of them explained in docs/COVERAGE.md", missed.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "a;\n    require(\n        x == 1, // why\n        Wrong(x)\n    );\n    if (y) {\n";
    const DOC: &str = "# Coverage\n- `no` file\n## contracts/A.sol\nWords.\n- `if (y) {` (line): never.\n\
        - `require( x == 1, Wrong(x) );` (branch 0): x is one.\n## Other\n- `ignored`\n";

    fn files() -> BTreeMap<String, File> {
        let file = File {
            lines: BTreeMap::from([(1, 3), (6, 0)]),
            branches: BTreeMap::from([((2, 7, 0), 0), ((2, 7, 1), 2)]),
        };
        BTreeMap::from([("contracts/A.sol".to_owned(), file)])
    }

    #[test]
    fn every_missed_place_needs_its_explanation() {
        let missed = missed(&files(), |_| Ok(SOURCE.to_owned())).unwrap();
        assert_eq!(missed.values().copied().collect::<Vec<_>>(), [6, 2]);
        let all = parse(DOC).unwrap();
        verdict(&missed, &all).unwrap();
        let fewer: BTreeSet<Place> = all.iter().skip(1).cloned().collect();
        assert!(verdict(&missed, &fewer).unwrap_err().to_string().starts_with("1 places"));
    }

    #[test]
    fn an_explanation_of_what_is_reached_is_an_error() {
        let error = verdict(&BTreeMap::new(), &parse(DOC).unwrap()).unwrap_err().to_string();
        assert!(error.ends_with("2 explanations are of nothing"), "{error}");
    }

    #[test]
    fn entries_of_another_form_are_named() {
        for bad in ["- `x` (line):  ", "- `x` (column): why", "- `x`", "- `x` (line) why"] {
            let error = parse(&format!("## contracts/A.sol\n{bad}\n")).unwrap_err().to_string();
            assert!(error.contains("line 2"), "{bad}: {error}");
        }
        let twice = format!("{DOC}## contracts/A.sol\n- `if (y) {{` (line): again.\n");
        assert!(parse(&twice).unwrap_err().to_string().contains("twice"));
    }

    #[test]
    fn a_line_beyond_the_source_is_an_error() {
        assert!(missed(&files(), |_| Ok("a;\n".to_owned())).unwrap_err().to_string().contains("no line"));
    }
}
