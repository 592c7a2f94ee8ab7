//! What can be wrong with a job file, with the place where it is.

use alloy::primitives::Address;
use serde_saphyr::Error as YamlError;
use thiserror::Error;

use crate::amount::AmountError;
use crate::class::{Classified, ErrorClass};
use crate::job::JobError;

/// A job file that cannot be used.
#[derive(Debug, Error)]
pub enum JobFileError {
    /// Cannot be read.
    #[error("cannot read the job file {file}: {source}")]
    Unreadable {
        /// The file; "-" is standard input.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Larger than any job.
    #[error("the job file {file} has more than {max} bytes; a job names its inputs, it does not hold them")]
    TooLarge {
        /// The file.
        file: String,
        /// Most that is read.
        max: u64,
    },
    /// Nothing in it.
    #[error("{file}:1:1: the job file is empty; expected at least the lines \"version: 1\" and \"image: app.tar\"")]
    Empty {
        /// The file.
        file: String,
    },
    /// Says not which version it is.
    #[error("{file}:1:1: the job file has no version; expected the line \"version: 1\"")]
    NoVersion {
        /// The file.
        file: String,
    },
    /// Of another version.
    #[error(
        "{file}:{line}:{column}: the job file has version {found}, expected {expected}; give \"version: {expected}\", or update the sunwork command"
    )]
    UnknownVersion {
        /// The file.
        file: String,
        /// Where, from 1.
        line: u64,
        /// Where, from 1.
        column: u64,
        /// Version found.
        found: String,
        /// Version that is read.
        expected: u32,
    },
    /// A key that does not exist, most likely a typo.
    #[error("{file}:{line}:{column}: there is no key {key:?} here{}; expected one of {}",
        nearest.map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default(), known.join(", "))]
    UnknownKey {
        /// The file.
        file: String,
        /// Where, from 1.
        line: u64,
        /// Where, from 1.
        column: u64,
        /// What was found.
        key: String,
        /// The nearest that exists.
        nearest: Option<&'static str>,
        /// All that exist here.
        known: Vec<&'static str>,
    },
    /// Not YAML, or a value of the wrong type or range.
    #[error("{file}:{line}:{column}: {problem}")]
    Value {
        /// The file.
        file: String,
        /// Where, from 1.
        line: u64,
        /// Where, from 1.
        column: u64,
        /// What is wrong, with what was expected.
        problem: String,
    },
    /// No image, neither in the file nor as an argument.
    #[error("the job names no image; give one: sunwork run IMAGE, or the key \"image\" in the job file")]
    NoImage,
    /// An amount that does not fit the deployment's token.
    #[error("{key}: {source}")]
    Amount {
        /// The key.
        key: &'static str,
        /// What is wrong.
        source: AmountError,
    },
    /// A reward that falls.
    #[error("reward is {min} to {max}, expected the lower bound first: it rises until a worker accepts")]
    RewardOrder {
        /// The first bound, with its unit.
        min: String,
        /// The second.
        max: String,
    },
    /// Two that exclude each other.
    #[error("the job names the worker {worker} and the pool {pool}, expected one of them at most")]
    WorkerAndPool {
        /// The one worker that may accept.
        worker: Address,
        /// The pool that places one.
        pool: Address,
    },
    /// Gas for nobody.
    #[error(
        "the job grants a callback {gas} gas and names no contract; give one, with the key \"to\" of callback or --callback"
    )]
    CallbackToNobody {
        /// What is granted.
        gas: u32,
    },
    /// The job that it describes cannot be.
    #[error(transparent)]
    Job(#[from] JobError),
}

impl Classified for JobFileError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Stop
    }
}

/// Puts the parser's error in our words. `text` is what the file holds.
pub(super) fn from_yaml(file: &str, text: &str, error: &YamlError) -> JobFileError {
    let place = error.location();
    let file = file.to_owned();
    let (line, column) = place.map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
    let value = |problem: String| JobFileError::Value { file: file.clone(), line, column, problem };
    match error.without_snippet() {
        YamlError::SerdeUnknownField { field, expected, .. } => JobFileError::UnknownKey {
            file,
            line,
            column,
            nearest: nearest(field, expected),
            key: field.clone(),
            known: expected.clone(),
        },
        YamlError::SerdeInvalidType { unexpected, expected, .. }
        | YamlError::SerdeInvalidValue { unexpected, expected, .. } => {
            value(format!("found {unexpected}, expected {expected}"))
        }
        YamlError::InvalidScalar { ty, .. } => {
            value(format!("found {}, expected {}", at(text, line, column), type_name(ty)))
        }
        YamlError::InvalidBooleanStrict { .. } => {
            value(format!("found {}, expected {}", at(text, line, column), type_name("boolean")))
        }
        YamlError::Unexpected { expected, .. } => {
            value(format!("found {}, expected {}", at(text, line, column), type_name(expected)))
        }
        YamlError::DuplicateMappingKey { key, .. } => {
            value(format!("the key {} is there twice, expected once", key.as_deref().unwrap_or_default()))
        }
        other => {
            // The text repeats the place in its own way; ours comes first.
            let said = other.to_string();
            let said = said.split(" at line ").next().unwrap_or(&said);
            value(said.trim().trim_end_matches(':').to_owned())
        }
    }
}

/// What stands at a place: the value up to the end of its line, cut where it is long.
fn at(text: &str, line: u64, column: u64) -> String {
    let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let rest: String = text.lines().nth(index(line)).unwrap_or_default().chars().skip(index(column)).collect();
    let rest = rest.split(" #").next().unwrap_or_default().trim();
    // Within [ ] and { } a value ends earlier; a list or map itself does not.
    let value =
        if rest.starts_with(['[', '{']) { rest } else { rest.split([',', ']', '}']).next().unwrap_or_default() };
    match value.trim() {
        "" => "nothing".into(),
        value if value.chars().count() > 40 => format!("{:?}", value.chars().take(40).chain(['…']).collect::<String>()),
        value => format!("{:?}", value.trim_matches(['"', '\''])),
    }
}

/// The parser's name of a type, for people.
fn type_name(name: &str) -> String {
    match name {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "boolean" => "true or false".into(),
        name if name.contains("sequence") => "a list, such as [a, b]".into(),
        name if name.contains("mapping") => "keys with values, such as {a: 1}".into(),
        name if name.contains("scalar") || name.contains("string") => "one value".into(),
        other => other.to_owned(),
    }
}

/// The known key that `found` most likely stands for, if any is near: a third of the letters of the longer one may be wrong,
/// missing, too many or swapped.
fn nearest(found: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let found = plain(found);
    known
        .iter()
        .map(|key| (strsim::damerau_levenshtein(&found, &plain(key)), *key))
        .filter(|(edits, key)| *edits <= (found.chars().count().max(key.chars().count()) / 3).max(1))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found_and_nonsense_has_none() {
        let keys = ["leaves", "image", "firstIndex", "samples"];
        assert_eq!(nearest("leavs", &keys), Some("leaves"));
        assert_eq!(nearest("first_index", &keys), Some("firstIndex"));
        assert_eq!(nearest("sample", &keys), Some("samples"));
        assert_eq!(nearest("semples", &keys), Some("samples"));
        assert_eq!(nearest("leafs", &keys), Some("leaves"));
        assert_eq!(nearest("zzz", &keys), None);
        assert_eq!(nearest("network", &keys), None);
    }
}
