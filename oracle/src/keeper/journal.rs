//! The keeper's transactions on disk: written down before they are sent, found again after a crash.
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use sunwork_edge::tx::{TxEntry, TxLog, TxLogError, TxOutcome};

/// Decided transactions that outlive a restart, for whoever wants to see what was done.
const KEPT_DECIDED: usize = 1000;

/// Why the journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk failed.
    #[error("{doing} {}: {source}", path.display())]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A line in the middle cannot be read.
    #[error("line {line} of the keeper's journal {} cannot be read ({reason}); move the file away if its transactions are settled", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Number of the line.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// One line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Signed(TxEntry),
    Resolved { nonce: u64, hash: B256, outcome: TxOutcome },
}

/// JSON lines, synced one by one. Blocking, but a line is short and there are few.
#[derive(Debug)]
pub struct KeeperJournal {
    /// A std mutex: held for one write, never across an await.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    pending: Vec<TxEntry>,
    /// After a failed write nobody knows what is on disk: nothing more is written, so nothing more is sent.
    poisoned: bool,
}

impl KeeperJournal {
    /// Opens or makes the journal and shortens it.
    ///
    /// # Errors
    /// When the disk fails or a line other than the last is damaged. A torn last line was never sent and is dropped.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let disk = |doing, source| JournalError::Disk { doing, path: path.to_owned(), source };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(disk("reading the keeper's journal", error)),
        };
        let mut lines = Vec::new();
        let count = text.lines().count();
        for (i, line) in text.lines().enumerate() {
            match serde_json::from_str::<Line>(line) {
                Ok(line) => lines.push(line),
                Err(_) if i + 1 == count && !text.ends_with('\n') => {
                    tracing::warn!(path = %path.display(), "the last line of the journal was torn by a crash");
                }
                Err(error) => {
                    let (path, reason) = (path.to_owned(), error.to_string());
                    return Err(JournalError::Corrupt { path, line: i + 1, reason });
                }
            }
        }
        let pending = pending(&lines);
        let shortened = shorten(lines, &pending);
        let temp = path.with_extension("tmp");
        let write = || -> io::Result<File> {
            let mut file = File::create(&temp)?;
            for line in &shortened {
                write_line(&mut file, line)?;
            }
            file.sync_all()?;
            fs::rename(&temp, path)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            OpenOptions::new().append(true).open(path)
        };
        let file = write().map_err(|error| disk("writing the keeper's journal", error))?;
        Ok(Self { state: Mutex::new(State { file, pending, poisoned: false }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, line: &Line) -> Result<(), TxLogError> {
        if self.poisoned {
            return Err(TxLogError("an earlier write failed; restart the oracle when the disk works again".to_owned()));
        }
        let result = write_line(&mut self.file, line).and_then(|()| self.file.sync_data());
        result.map_err(|error| {
            self.poisoned = true;
            TxLogError(error.to_string())
        })
    }
}

impl TxLog for KeeperJournal {
    fn signed(&self, entry: &TxEntry) -> Result<(), TxLogError> {
        let mut state = self.state();
        state.append(&Line::Signed(entry.clone()))?;
        state.pending.push(entry.clone());
        Ok(())
    }

    fn resolved(&self, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxLogError> {
        let mut state = self.state();
        state.append(&Line::Resolved { nonce, hash, outcome })?;
        state.pending.retain(|entry| entry.nonce != nonce);
        Ok(())
    }

    fn pending(&self) -> Vec<TxEntry> {
        self.state().pending.clone()
    }
}

fn write_line(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

/// Transactions without an outcome, in the order of signing. A nonce may be used again after its outcome.
fn pending(lines: &[Line]) -> Vec<TxEntry> {
    let mut pending: Vec<TxEntry> = Vec::new();
    for line in lines {
        match line {
            Line::Signed(entry) => pending.push(entry.clone()),
            Line::Resolved { nonce, .. } => pending.retain(|entry| entry.nonce != *nonce),
        }
    }
    pending
}

/// What stays of a journal: the youngest lines, and all that is pending.
fn shorten(lines: Vec<Line>, pending: &[TxEntry]) -> Vec<Line> {
    let old = lines.len().saturating_sub(2 * KEPT_DECIDED);
    let is_pending = |line: &Line| matches!(line, Line::Signed(entry) if pending.iter().any(|p| p.hash == entry.hash));
    lines.into_iter().enumerate().filter(|(i, line)| *i >= old || is_pending(line)).map(|(_, line)| line).collect()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, Bytes, U256};

    use super::*;

    fn entry(nonce: u64, n: u8) -> TxEntry {
        TxEntry {
            label: "expire".into(),
            to: Address::repeat_byte(n),
            value: U256::ZERO,
            input_hash: B256::repeat_byte(n),
            nonce,
            hash: B256::repeat_byte(n),
            raw: Bytes::from(vec![n; 3]),
            intent: None,
            signed_at: None,
        }
    }

    #[test]
    fn what_was_pending_is_pending_after_a_restart_and_a_torn_line_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keeper.jsonl");
        let journal = KeeperJournal::open(&path).unwrap();
        for (nonce, n) in [(1, 1), (2, 2), (2, 3), (3, 4)] {
            journal.signed(&entry(nonce, n)).unwrap();
        }
        journal.resolved(2, B256::repeat_byte(3), TxOutcome::Mined).unwrap();
        let expected = vec![entry(1, 1), entry(3, 4)];
        assert_eq!(journal.pending(), expected);
        drop(journal);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str(r#"{"signed":{"lab"#);
        fs::write(&path, text).unwrap();
        let journal = KeeperJournal::open(&path).unwrap();
        assert_eq!(journal.pending(), expected);
        // The nonce is free again after its outcome.
        journal.resolved(1, B256::repeat_byte(1), TxOutcome::Dropped).unwrap();
        journal.signed(&entry(1, 9)).unwrap();
        drop(journal);
        assert_eq!(KeeperJournal::open(&path).unwrap().pending(), vec![entry(3, 4), entry(1, 9)]);
    }

    #[test]
    fn damage_in_the_middle_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keeper.jsonl");
        fs::write(&path, "nonsense\n{}\n").unwrap();
        let error = KeeperJournal::open(&path).unwrap_err().to_string();
        assert!(error.contains("line 1 of"), "{error}");
    }
}
