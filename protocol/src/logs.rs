//! What an app printed, as the worker keeps it for the client: head and tail of each leaf, capped.
//!
//! ```text
//! log blob = segmented AES-256-GCM(fresh key, aad = "sunwork.logs.v1" | agreement | u8(attempt)) of the JSON `Logs`
//! note     = JSON `LogNote`, in an envelope to the client's key (mail, topic "logs")
//! ```
//! Logs are the worker's word: no digest holds them, and nobody is paid by them.

use alloy::primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::leaf::Outcome;
use crate::segments::{self, SegmentError};

/// Most that is kept of one leaf, half of it from the beginning and half from the end.
pub const MAX_LEAF_LOG_BYTES: usize = 64 << 10;
/// Most that is kept of all leaves together.
pub const MAX_LOGS_BYTES: usize = 8 << 20;
/// Longest log blob that a reader takes: JSON holds bytes as two digits each.
pub const MAX_LOG_BLOB_BYTES: u64 = 3 * MAX_LOGS_BYTES as u64;

/// Where a piece of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Where it came from.
    pub stream: Stream,
    /// The bytes as they were printed; not always UTF-8.
    pub bytes: Bytes,
}

/// What one leaf printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeafLog {
    /// Which leaf.
    pub leaf: u32,
    /// How it ended; `None` while it was stopped before its end.
    pub outcome: Option<Outcome>,
    /// Exit status of the app, where there is one.
    pub exit_status: i32,
    /// What the worker says about its end, in a sentence.
    pub note: String,
    /// The beginning.
    pub head: Vec<Chunk>,
    /// Bytes left out between head and tail.
    pub omitted_bytes: u64,
    /// The end.
    pub tail: Vec<Chunk>,
}

/// What an attempt printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// Version of this format: 1.
    pub version: u32,
    /// The agreement.
    pub agreement: Address,
    /// The attempt.
    pub attempt: u8,
    /// By leaf; leaves without output or whose output is withheld are missing.
    pub leaves: Vec<LeafLog>,
    /// Leaves whose output is not here, and why, in a sentence; empty when all are.
    pub withheld: String,
}

/// Where a log blob lies and how to read it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogNote {
    /// SHA-256 of the blob.
    pub blob: B256,
    /// Its length.
    pub size_bytes: u64,
    /// Key of the blob.
    pub key: B256,
}

/// Without the key.
impl std::fmt::Debug for LogNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogNote of {} ({} bytes)", self.blob, self.size_bytes)
    }
}

/// Logs that cannot be read.
#[derive(Debug, Error)]
pub enum LogsError {
    /// The blob does not decrypt.
    #[error("the logs do not open: {0}")]
    Segment(#[from] SegmentError),
    /// Not JSON of this shape.
    #[error("the logs cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another agreement, attempt or version.
    #[error(
        "the logs are of agreement {agreement}, attempt {attempt}, version {version}; expected {expected}, attempt \
         {expected_attempt}, version 1"
    )]
    Other {
        /// Agreement in the logs.
        agreement: Address,
        /// Attempt in the logs.
        attempt: u8,
        /// Version of the logs.
        version: u32,
        /// The agreement asked for.
        expected: Address,
        /// The attempt asked for.
        expected_attempt: u8,
    },
}

fn aad(agreement: Address, attempt: u8) -> Vec<u8> {
    [b"sunwork.logs.v1".as_slice(), agreement.as_slice(), &[attempt]].concat()
}

impl Logs {
    /// The encrypted blob.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn seal(&self, key: B256) -> Result<Vec<u8>, LogsError> {
        let json = serde_json::to_vec(self)?;
        Ok(segments::seal_bytes(&key.0, &aad(self.agreement, self.attempt), &json))
    }

    /// Opens a blob of `agreement` and `attempt`.
    ///
    /// # Errors
    /// When it is not such a blob.
    pub fn open(key: B256, agreement: Address, attempt: u8, blob: &[u8]) -> Result<Self, LogsError> {
        let json = segments::open_bytes(&key.0, &aad(agreement, attempt), blob)?;
        let logs: Self = serde_json::from_slice(&json)?;
        // A worker wrote this: one that names another attempt would stand in for that attempt's worker.
        if (logs.version, logs.agreement, logs.attempt) != (1, agreement, attempt) {
            let (expected, expected_attempt) = (agreement, attempt);
            let Self { agreement, attempt, version, .. } = logs;
            return Err(LogsError::Other { agreement, attempt, version, expected, expected_attempt });
        }
        Ok(logs)
    }
}

/// Collects output as it comes, and keeps head and tail within a cap.
#[derive(Clone, Debug)]
pub struct Capture {
    half: usize,
    head: Vec<Chunk>,
    head_bytes: usize,
    tail: std::collections::VecDeque<Chunk>,
    tail_bytes: usize,
    omitted: u64,
}

impl Capture {
    /// Keeps at most `cap` bytes.
    pub const fn new(cap: usize) -> Self {
        let tail = std::collections::VecDeque::new();
        Self { half: cap / 2, head: Vec::new(), head_bytes: 0, tail, tail_bytes: 0, omitted: 0 }
    }

    /// Adds what was printed next.
    pub fn push(&mut self, stream: Stream, bytes: &[u8]) {
        let (first, rest) = bytes.split_at(bytes.len().min(self.half - self.head_bytes));
        if !first.is_empty() {
            self.head_bytes += first.len();
            match self.head.last_mut() {
                Some(last) if last.stream == stream => last.bytes = [&last.bytes, first].concat().into(),
                _ => self.head.push(Chunk { stream, bytes: first.to_vec().into() }),
            }
        }
        // What is longer than the whole tail can only end in it.
        let skipped = rest.len().saturating_sub(self.half);
        self.omitted += skipped as u64;
        if rest.len() > skipped {
            self.tail_bytes += rest.len() - skipped;
            self.tail.push_back(Chunk { stream, bytes: rest[skipped..].to_vec().into() });
        }
        while self.tail_bytes > self.half {
            let excess = self.tail_bytes - self.half;
            let Some(front) = self.tail.front_mut() else { break };
            let cut = front.bytes.len().min(excess);
            self.omitted += cut as u64;
            self.tail_bytes -= cut;
            if cut == front.bytes.len() {
                self.tail.pop_front();
            } else {
                front.bytes = front.bytes.slice(cut..);
            }
        }
    }

    /// Head, bytes left out, tail.
    pub fn finish(self) -> (Vec<Chunk>, u64, Vec<Chunk>) {
        (self.head, self.omitted, self.tail.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(chunks: &[Chunk]) -> Vec<u8> {
        chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect()
    }

    #[test]
    fn head_and_tail_are_kept_and_what_is_missing_is_counted() {
        for (pieces, size) in [(1000, 1), (1, 1000), (100, 10), (7, 143)] {
            let all: Vec<u8> = (0..pieces * size).map(|i| (i % 251) as u8).collect();
            let mut capture = Capture::new(100);
            all.chunks(size).for_each(|piece| capture.push(Stream::Stdout, piece));
            let (head, omitted, tail) = capture.finish();
            assert_eq!(text(&head), all[..50]);
            assert_eq!(text(&tail), all[all.len() - 50..]);
            assert_eq!(omitted, all.len() as u64 - 100);
        }
        let mut capture = Capture::new(100);
        capture.push(Stream::Stdout, b"out");
        capture.push(Stream::Stderr, b"err");
        let (head, omitted, tail) = capture.finish();
        assert_eq!((head.len(), omitted, tail.len()), (2, 0, 0));
    }

    #[test]
    fn logs_open_with_their_key_for_their_agreement_only() {
        let agreement = Address::repeat_byte(1);
        let logs = Logs { version: 1, agreement, attempt: 0, leaves: vec![], withheld: String::new() };
        let key = B256::repeat_byte(2);
        let blob = logs.seal(key).unwrap();
        assert_eq!(Logs::open(key, agreement, 0, &blob).unwrap(), logs);
        assert!(Logs::open(B256::ZERO, agreement, 0, &blob).is_err());
        assert!(Logs::open(key, Address::ZERO, 0, &blob).is_err());
        assert!(Logs::open(key, agreement, 1, &blob).is_err());
    }

    #[test]
    fn a_worker_cannot_pass_its_logs_off_as_those_of_another_attempt() {
        let (agreement, key) = (Address::repeat_byte(1), B256::repeat_byte(2));
        let logs = Logs { version: 1, agreement, attempt: 1, leaves: vec![], withheld: String::new() };
        let json = serde_json::to_vec(&logs).unwrap();
        // Sealed as attempt 0, which it was, while the text claims attempt 1.
        let blob = segments::seal_bytes(&key.0, &aad(agreement, 0), &json);
        let error = Logs::open(key, agreement, 0, &blob).unwrap_err();
        assert!(matches!(error, LogsError::Other { attempt: 1, expected_attempt: 0, .. }), "{error}");
    }

    #[test]
    fn the_key_of_a_note_does_not_show_in_debug() {
        let note = LogNote { blob: B256::repeat_byte(1), size_bytes: 5, key: B256::repeat_byte(0xab) };
        assert!(!format!("{note:?}").contains("abab"), "{note:?}");
    }
}
