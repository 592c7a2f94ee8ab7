//! What can be wrong with an input.

use std::path::PathBuf;

use alloy::primitives::B256;
use thiserror::Error;

use crate::class::{Classified, ErrorClass};

/// An input that cannot be used. Each names the input as the job does.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InputError {
    /// A file is not there or cannot be read.
    #[error("input {path:?} cannot be used: {problem}; expected a readable file or folder")]
    Unusable {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Was there when the job was described, and is no longer.
    #[error("input {path:?} has vanished since the job was described; put it back and start again, nothing was paid")]
    Vanished {
        /// The path.
        path: PathBuf,
    },
    /// Other bytes than expected.
    #[error("input {input}: SHA-256 found {found}, expected {expected}: it is not the file that the job means")]
    HashMismatch {
        /// The path or URL.
        input: String,
        /// What came.
        found: B256,
        /// What the job says.
        expected: B256,
    },
    /// A hash of the wrong shape.
    #[error("input {input}: {found:?} is not a SHA-256; expected 64 hex digits")]
    BadHash {
        /// The path or URL.
        input: String,
        /// What was given.
        found: String,
    },
    /// A URL that says not what is there.
    #[error(
        "input {url}: the hash of what is there is missing; write it as {url}#sha256=HEX (sha256sum FILE tells it)"
    )]
    NoHash {
        /// The URL.
        url: String,
    },
    /// A URL that is none, or of another scheme.
    #[error("input {url}: {problem}; expected an https:// address")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// The server did not give it.
    #[error("input {url}: cannot be fetched: {problem}")]
    Fetch {
        /// The URL.
        url: String,
        /// What is wrong.
        problem: String,
        /// Whether trying again may help.
        temporary: bool,
    },
    /// Larger than allowed.
    #[error("input {input} has more than {max} bytes, the most that an input may have")]
    TooLarge {
        /// The path or URL.
        input: String,
        /// The cap.
        max: u64,
    },
    /// A folder that cannot be packed.
    #[error("input folder {folder:?}: {problem}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with which entry.
        problem: String,
    },
    /// A name that cannot be one.
    #[error(
        "input {input}: its name would be {name:?}; expected a plain file name of at most 255 bytes: give it a \"name\""
    )]
    BadName {
        /// The path or URL.
        input: String,
        /// The name.
        name: String,
    },
    /// Two inputs of one name.
    #[error(
        "inputs {first} and {second} both have the name {name:?}; give one of them another \"name\" in the job file"
    )]
    NameTwice {
        /// The name.
        name: String,
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// No room for what is packed or fetched.
    #[error("cannot write to the temporary folder {dir:?}: {problem}; TMPDIR names another one")]
    Scratch {
        /// The folder.
        dir: PathBuf,
        /// Why not.
        problem: String,
    },
}

impl Classified for InputError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Fetch { temporary: true, .. } => ErrorClass::Retry,
            Self::Vanished { .. } => ErrorClass::Resync,
            _ => ErrorClass::Stop,
        }
    }
}
