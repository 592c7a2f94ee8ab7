//! One leaf's result: how the app ended, the tree of files that it declared, and the digest over both.

use std::collections::HashSet;

use alloy::primitives::{B256, b256, keccak256};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// Most files that a declared output may hold, folders not counted.
pub const MAX_FILES: usize = 65_536;
/// Longest path of a file below the declared path, bytes.
pub const MAX_PATH_BYTES: usize = 1024;
/// Deepest path, in parts.
pub const MAX_PATH_DEPTH: usize = 64;

/// How a leaf ended. An app's failure is a result like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// Exit status 0 and a valid `computed.json`.
    Completed = 0,
    /// Exit status not 0.
    AppFailed = 1,
    /// Exit status 0, but `computed.json` is missing, is not JSON, or names no path.
    NoComputedJson = 2,
    /// The declared path leaves the output folder, does not exist, or holds symbolic links or special files.
    OutputInvalid = 3,
    /// Ended by the wall-clock limit.
    TimeLimit = 4,
    /// Ended by the memory limit.
    MemoryLimit = 5,
    /// More output than allowed, or the disk was full.
    OutputLimit = 6,
}

impl Outcome {
    /// The outcome of a code.
    pub const fn from_u8(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Completed,
            1 => Self::AppFailed,
            2 => Self::NoComputedJson,
            3 => Self::OutputInvalid,
            4 => Self::TimeLimit,
            5 => Self::MemoryLimit,
            6 => Self::OutputLimit,
            _ => return None,
        })
    }

    /// Its code.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Completed => "completed",
            Self::AppFailed => "app failed",
            Self::NoComputedJson => "no computed.json",
            Self::OutputInvalid => "output invalid",
            Self::TimeLimit => "time limit",
            Self::MemoryLimit => "memory limit",
            Self::OutputLimit => "output limit",
        })
    }
}

/// A record that no run can have.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// Unknown outcome code.
    #[error("outcome code {0}, expected 0 to 6")]
    Outcome(u8),
    /// The exit status does not go with the outcome.
    #[error("outcome \"{outcome}\" with exit status {found}, expected {expected}")]
    ExitStatus {
        /// The outcome.
        outcome: Outcome,
        /// The exit status.
        found: i32,
        /// What goes with it.
        expected: &'static str,
    },
}

/// What a leaf's digest is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeafRecord {
    /// How it ended.
    pub outcome: Outcome,
    /// The app's exit status for [`Outcome::AppFailed`], else 0.
    pub exit_status: i32,
    /// Hash of the declared tree for [`Outcome::Completed`], else zero.
    pub tree_hash: B256,
}

impl LeafRecord {
    /// A completed leaf.
    pub const fn completed(tree_hash: B256) -> Self {
        Self { outcome: Outcome::Completed, exit_status: 0, tree_hash }
    }

    /// An app that ended by itself with a status that is not 0.
    pub const fn app_failed(exit_status: i32) -> Self {
        Self { outcome: Outcome::AppFailed, exit_status, tree_hash: B256::ZERO }
    }

    /// An outcome that carries nothing else.
    pub const fn bare(outcome: Outcome) -> Self {
        Self { outcome, exit_status: 0, tree_hash: B256::ZERO }
    }

    /// Checks a record that somebody else wrote: one outcome has one form, so that one run has one digest.
    ///
    /// # Errors
    /// When outcome and exit status do not go together.
    pub fn check(outcome: u8, exit_status: i32) -> Result<Outcome, RecordError> {
        let outcome = Outcome::from_u8(outcome).ok_or(RecordError::Outcome(outcome))?;
        match (outcome, exit_status) {
            (Outcome::AppFailed, 0) => {
                Err(RecordError::ExitStatus { outcome, found: 0, expected: "a status that is not 0" })
            }
            (Outcome::AppFailed, _) | (_, 0) => Ok(outcome),
            (_, found) => Err(RecordError::ExitStatus { outcome, found, expected: "0" }),
        }
    }

    /// The leaf's digest: the data of the leaf in the result tree.
    pub fn digest(&self) -> B256 {
        let mut bytes = b"sunwork.leaf.v1".to_vec();
        bytes.push(self.outcome.code());
        bytes.extend_from_slice(&self.exit_status.to_be_bytes());
        bytes.extend_from_slice(self.tree_hash.as_slice());
        keccak256(bytes)
    }
}

/// What a result blob says of one leaf, as a verifier of a later round finds it: the salt is public then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The blob could not be had. That says nothing of it, so it is never a vote.
    NotFetched,
    /// The blob is here, and nobody can read the leaf in it: the blob is no result blob or not the announced one, or the
    /// body does not decrypt or has no canonical form.
    Unreadable,
    /// The body holds a result with this digest (as it would stand in the tree, so blinded for confidential work).
    Reads(B256),
}

/// What is voted in a later round for a leaf that the worker's blob does not hold, though its tree may hold the right digest:
/// `keccak("sunwork.leaf.unreadable.v1")`. No tree can hold it by chance, so it is a dissent, and all who looked at the same blob
/// vote the same. The contract knows it (`VoteLib.UNREADABLE`): where it wins, nobody loses who voted on the digest alone.
pub const UNREADABLE: B256 = b256!("5864ea5c2a0d1ea44ecf06dd3a02ce7efc936a9ea92bbf716cb4bbaf150f7141");

/// A verifier's vote on one leaf in a later round: from its own digest, the worker's where it is known (by the reveal, or by a
/// blob that leads to the revealed root), and what the blob holds.
///
/// A worker's digest that differs is dissent enough, and is voted on as in the first round, where no blob can be read: those
/// votes are counted together. Where the worker's digest is not known, a leaf that the blob does hold is voted for as it is.
pub fn late_vote(own: B256, workers: Option<B256>, body: Body) -> B256 {
    match (workers, body) {
        (Some(theirs), _) if theirs != own => own,
        (_, Body::NotFetched) => own,
        (_, Body::Reads(found)) if found == own => own,
        _ => UNREADABLE,
    }
}

/// One file of a declared output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Path relative to the declared one, raw bytes, parts joined by "/".
    pub path: Vec<u8>,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: [u8; 32],
}

/// A path that may not stand in a result.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PathError {
    /// Absolute, empty, or with a part that is empty, ".", ".." or holds a NUL byte.
    #[error("path {0} is not a plain relative path")]
    NotPlain(String),
    /// Too long or too deep.
    #[error(
        "path of {bytes} bytes in {depth} parts, at most {MAX_PATH_BYTES} bytes in {MAX_PATH_DEPTH} parts are allowed"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
        /// Its parts.
        depth: usize,
    },
    /// The same path twice.
    #[error("path {0} is there twice")]
    Twice(String),
    /// More files than a result may hold.
    #[error("{0} files, at most {MAX_FILES} are allowed")]
    TooMany(usize),
}

/// Checks one path of a result before anything is made by it.
///
/// # Errors
/// When it is not a plain relative path within the limits.
pub fn check_path(path: &[u8]) -> Result<(), PathError> {
    let depth = path.split(|b| *b == b'/').count();
    if path.len() > MAX_PATH_BYTES || depth > MAX_PATH_DEPTH {
        return Err(PathError::TooLong { bytes: path.len(), depth });
    }
    let plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
    if !path.split(|b| *b == b'/').all(plain) {
        return Err(PathError::NotPlain(format!("{:?}", String::from_utf8_lossy(path))));
    }
    Ok(())
}

/// Hash of a declared tree; the order of `entries` does not matter.
///
/// # Errors
/// When there are too many, or one has a path that no result may hold.
pub fn tree_hash(entries: &[FileEntry]) -> Result<B256, PathError> {
    if entries.len() > MAX_FILES {
        return Err(PathError::TooMany(entries.len()));
    }
    let mut seen = HashSet::with_capacity(entries.len());
    for entry in entries {
        check_path(&entry.path)?;
        if !seen.insert(entry.path.as_slice()) {
            return Err(PathError::Twice(format!("{:?}", String::from_utf8_lossy(&entry.path))));
        }
    }
    let mut sorted: Vec<&FileEntry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hasher = Sha256::new();
    hasher.update(b"sunwork.tree.v1");
    hasher.update((sorted.len() as u32).to_be_bytes());
    for entry in sorted {
        hasher.update((entry.path.len() as u32).to_be_bytes());
        hasher.update(&entry.path);
        hasher.update(entry.size.to_be_bytes());
        hasher.update(entry.sha256);
    }
    Ok(B256::new(hasher.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &[u8], content: &[u8]) -> FileEntry {
        FileEntry { path: path.to_vec(), size: content.len() as u64, sha256: Sha256::digest(content).into() }
    }

    /// The values were computed with Python's hashlib and `cast keccak`, from docs/PROTOCOL.md alone.
    #[test]
    fn golden_values() {
        let tree = tree_hash(&[file(b"b/c.txt", b"world"), file(b"a.txt", b"hello")]).expect("plain paths");
        assert_eq!(tree, b256!("ae44d577b1832f62faa3aee0d9ac47c2a8fdca8309bb6c8c610083f65977d4de"));
        assert_eq!(
            LeafRecord::completed(tree).digest(),
            b256!("99d32eee7eae2aa43da467ff48c3a619eaeaeffd2b18841442af926743429def")
        );
        assert_eq!(
            LeafRecord::app_failed(3).digest(),
            b256!("f741854b0e6ecf98c608328deae7775766f50d659bc1aee2145bbf16585016be")
        );
        assert_eq!(
            LeafRecord::bare(Outcome::TimeLimit).digest(),
            b256!("a24003309f8c3b2af88c3d0bbc144ca157ef52fdb90261dde64843dfc0cccbd6")
        );
    }

    #[test]
    fn order_does_not_matter_but_everything_else_does() {
        let (a, b) = (file(b"a", b"1"), file(b"b", b"2"));
        let hash = tree_hash(&[a.clone(), b.clone()]);
        assert_eq!(hash, tree_hash(&[b.clone(), a.clone()]));
        for other in [vec![a.clone()], vec![a, file(b"b", b"3")], vec![file(b"c", b"1"), b]] {
            assert_ne!(hash, tree_hash(&other));
        }
        assert_ne!(tree_hash(&[]), Ok(B256::ZERO));
    }

    #[test]
    fn paths_that_leave_the_tree_are_refused() {
        for path in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b"] {
            assert!(matches!(check_path(path.as_bytes()), Err(PathError::NotPlain(_))), "{path:?}");
        }
        for path in ["a", "a b/c\n", "...", "..a/b", "\u{fc}"] {
            assert_eq!(check_path(path.as_bytes()), Ok(()), "{path:?}");
        }
        assert!(matches!(check_path(&[b'a'; 1025]), Err(PathError::TooLong { .. })));
        assert!(matches!(check_path("a/".repeat(64).as_bytes()), Err(PathError::TooLong { .. })));
        assert!(matches!(tree_hash(&[file(b"a", b""), file(b"a", b"")]), Err(PathError::Twice(_))));
    }

    #[test]
    fn a_right_digest_with_an_unreadable_body_is_voted_against_and_an_absent_blob_is_not() {
        let (own, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let against = UNREADABLE;
        let cases = [
            // worker's digest, what the blob holds, vote
            (Some(own), Body::Reads(own), own),
            (Some(own), Body::Reads(other), against),
            (Some(own), Body::Unreadable, against),
            (Some(own), Body::NotFetched, own),
            (Some(other), Body::Reads(other), own),
            (Some(other), Body::Reads(own), own),
            (Some(other), Body::Unreadable, own),
            (Some(other), Body::NotFetched, own),
            (None, Body::Reads(own), own),
            (None, Body::Reads(other), against),
            (None, Body::Unreadable, against),
            (None, Body::NotFetched, own),
        ];
        for (workers, body, vote) in cases {
            assert_eq!(late_vote(own, workers, body), vote, "{workers:?} {body:?}");
        }
    }

    #[test]
    fn the_vote_against_an_unreadable_leaf_is_the_hash_of_its_name() {
        assert_eq!(UNREADABLE, keccak256("sunwork.leaf.unreadable.v1"));
    }

    #[test]
    fn one_outcome_has_one_form() {
        assert_eq!(LeafRecord::check(1, 3), Ok(Outcome::AppFailed));
        assert_eq!(LeafRecord::check(1, -1), Ok(Outcome::AppFailed));
        assert_eq!(LeafRecord::check(4, 0), Ok(Outcome::TimeLimit));
        assert_eq!(LeafRecord::check(7, 0), Err(RecordError::Outcome(7)));
        assert!(LeafRecord::check(1, 0).is_err());
        assert!(LeafRecord::check(0, 1).is_err());
    }
}
