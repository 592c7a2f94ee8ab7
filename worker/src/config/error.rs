//! Settings that cannot be used, each with its key and what was found.

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The settings file.
    #[error(transparent)]
    File(#[from] sunwork_edge::settings::ConfigFileError),
    /// A value that cannot be read.
    #[error("{key} ({origin}) is {found:?}: {problem}")]
    Value {
        /// The key.
        key: String,
        /// Where it is from.
        origin: String,
        /// What was given.
        found: String,
        /// What is wrong.
        problem: String,
    },
    /// Something that must be set is not.
    #[error("no {what} is set; give --{flag}, SUNWORK_WORKER_{env}, or {key} in the settings file")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The flag.
        flag: &'static str,
        /// The variable.
        env: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value out of its range.
    #[error("{key} is {found}, expected {expected}")]
    Range {
        /// The key.
        key: &'static str,
        /// What was given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
}

pub(super) fn value(key: &'static str, found: &str, problem: impl std::fmt::Display) -> ConfigError {
    // Whoever knows the origin puts it in: `Loaded::explain`.
    let (key, found) = (key.to_owned(), found.to_owned());
    ConfigError::Value { key, origin: String::new(), found, problem: problem.to_string() }
}

pub(super) fn in_range(
    key: &'static str,
    found: u64,
    range: std::ops::RangeInclusive<u64>,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&found) { Ok(()) } else { Err(ConfigError::Range { key, found: found.to_string(), expected }) }
}
