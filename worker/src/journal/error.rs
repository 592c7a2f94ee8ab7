//! Why the journal cannot be used.
use std::path::PathBuf;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading or writing failed.
    #[error("cannot {doing} the journal {}: {source}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A record in the middle is broken.
    #[error("the journal {} is broken at byte {offset}: {reason}; restore it from a backup, or move the data folder away if no agreement is open", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
        /// What is wrong.
        reason: String,
    },
    /// It belongs to something else.
    #[error("the journal {} is of {found}, expected {expected}; use another data folder", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it should say.
        expected: String,
    },
    /// It was written for other contracts.
    #[error(
        "the journal {} has version {found}, this worker reads version {expected}; another version of the worker wrote it, for other \
         contracts: let that one finish its agreements, then move the journal away (keys may stay)",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What this build reads.
        expected: u32,
    },
    /// A whole record that this version does not know.
    #[error(
        "the journal {} has a record at byte {offset} that this version does not know ({reason}); a newer worker wrote it: start that \
         version again, it is left as it is",
        path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: usize,
        /// What is unknown.
        reason: String,
    },
    /// Far larger than any journal can be.
    #[error("the journal {} has {bytes} bytes, at most {limit} are read; is it another file?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many it has.
        bytes: u64,
        /// How many are read.
        limit: u64,
    },
    /// There is no room for a record. Nothing was written, and nothing that it stands for is done; the same call works once there
    /// is room.
    #[error("there is no room for the journal {}: {source}; make room on its disk, the worker goes on by itself", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// An earlier write failed, so what is on disk is not known any more.
    #[error("the journal {} failed to write before; restart the worker once the disk works", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
    /// A record cannot be put into words.
    #[error("cannot encode a journal record: {0}")]
    Encode(serde_json::Error),
}

impl JournalError {
    /// True when the same call works once there is room on the disk.
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}
