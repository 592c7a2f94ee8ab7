//! What this worker promised and did, on disk before it has any effect.
//!
//! One file, one record per line: `crc32-hex json`. Appended and synced before the caller goes on. A torn last line (power
//! cut in the middle of a write) is cut off; anything else that does not fit stops the worker, since a hole in the
//! middle is no torn write. [`record`] holds the records, [`state`] the pure fold over them, `line` the format, `room` what is
//! kept back for a full disk: then nothing new is begun, and what is under way goes on.
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy::primitives::{Address, B256};
use sunwork_edge::tx::{TxEntry, TxLog, TxLogError, TxOutcome};

mod error;
mod line;
pub mod record;
mod room;
pub mod state;

pub use error::JournalError;
pub use line::Torn;
pub use record::{Header, Record, VERSION};
pub use state::{Agreement, SealedKey, State};

use crate::crash;
use line::{Content, encode};
use room::Room;

/// From this size on the journal is rewritten at the start, without what is finished.
const COMPACT_ABOVE_BYTES: u64 = 4 << 20;
/// Largest journal that is read.
const MAX_BYTES: u64 = 1 << 30;

/// The open journal. All methods block for a disk sync at most.
pub struct Journal {
    path: PathBuf,
    torn: Option<Torn>,
    /// A std mutex: appends are short, ordered, and never wait for anything but the disk.
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    /// Bytes of whole records.
    length: u64,
    state: State,
    room: Room,
    /// Set by a write that failed otherwise than for want of room, and never cleared.
    poisoned: bool,
}

impl Journal {
    /// Opens or makes the journal of this worker on this chain.
    ///
    /// # Errors
    /// When it cannot be read or written, is broken, or is of another worker, chain or version.
    pub fn open(path: impl AsRef<Path>, header: &Header) -> Result<Self, JournalError> {
        let path = path.as_ref().to_owned();
        let io = |doing| {
            let path = path.clone();
            move |source| JournalError::Io { doing, path, source }
        };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).append(true).create(true).open(&path).map_err(io("open"))?;
        let Content { mut state, good, torn } = read(&path, &mut file)?;
        let mut length = good as u64;
        if let Some(torn) = &torn {
            tracing::warn!(path = %path.display(), "the end of the journal is torn and is cut off: {torn}; it had no effect");
            file.set_len(length).map_err(io("repair"))?;
            file.sync_all().map_err(io("repair"))?;
        }
        match &state.header {
            None => {
                let record = Record::Header(header.clone());
                let line = encode(&record)?;
                file.write_all(&line).map_err(io("write"))?;
                file.sync_all().map_err(io("write"))?;
                sync_folder(&path).map_err(io("write"))?;
                length += line.len() as u64;
                state.apply(record);
            }
            Some(found) if found != header => {
                return Err(JournalError::Foreign { path, found: found.to_string(), expected: header.to_string() });
            }
            Some(_) => {}
        }
        if length > COMPACT_ABOVE_BYTES {
            match compact(&path, &state) {
                Ok(shorter) => {
                    file = shorter;
                    length = file.metadata().map_err(io("read"))?.len();
                }
                Err(CompactError::Io(error)) if room::is_full(&error) => {
                    tracing::warn!(path = %path.display(), %error, "no room to shorten the journal; it stays as it is");
                    let _ = std::fs::remove_file(draft_of(&path));
                }
                Err(CompactError::Io(source)) => return Err(io("compact")(source)),
                Err(CompactError::Encode(error)) => return Err(JournalError::Encode(error)),
            }
        }
        let mut room = Room::default();
        room.keep(&file, length);
        Ok(Self { path, torn, inner: Mutex::new(Inner { file, length, state, room, poisoned: false }) })
    }

    /// What was cut off when it was opened.
    pub const fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    /// Reads a journal without touching it, for `status`.
    ///
    /// # Errors
    /// When it cannot be read or is broken.
    pub fn peek(path: impl AsRef<Path>) -> Result<State, JournalError> {
        let path = path.as_ref();
        let open = File::open(path);
        let mut file = open.map_err(|source| JournalError::Io { doing: "open", path: path.to_owned(), source })?;
        Ok(read(path, &mut file)?.state)
    }

    /// Writes a record down. Returns when it is durable.
    ///
    /// # Errors
    /// `Full` when there is no room: nothing was written, and the same record can be written later. Any other failure leaves the
    /// disk in doubt; from then on every write fails.
    pub fn append(&self, record: Record) -> Result<(), JournalError> {
        let mut inner = self.lock();
        if inner.poisoned {
            return Err(JournalError::Poisoned { path: self.path.clone() });
        }
        let line = encode(&record)?;
        let [before, after] = record.crash_points();
        crash::point(before);
        inner.write(&line, &self.path)?;
        inner.state.apply(record);
        crash::point(after);
        Ok(())
    }

    /// Looks for room again, where there was too little: a write that failed is proven possible by one that says nothing new.
    pub fn look_for_room(&self) {
        let mut inner = self.lock();
        if inner.room.is_full() && !inner.poisoned {
            let block = inner.state.last_block.unwrap_or_default();
            let Ok(line) = encode(&Record::Seen { block }) else { return };
            // What is wrong is known already; the next look tries again.
            let _ = inner.write(&line, &self.path);
        }
        let Inner { file, length, room, .. } = &mut *inner;
        room.keep(file, *length);
    }

    /// True while there is too little room on the disk: nothing new is to be begun then.
    pub fn is_short_of_room(&self) -> bool {
        self.lock().room.is_short()
    }

    /// What is known about an agreement.
    pub fn agreement(&self, address: Address) -> Option<Agreement> {
        self.lock().state.agreements.get(&address).cloned()
    }

    /// A copy of everything.
    pub fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// Last block whose purchases are written down.
    pub fn last_block(&self) -> Option<u64> {
        self.lock().state.last_block
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Appends whole lines only: one that finds no room is taken back.
    fn write(&mut self, line: &[u8], path: &Path) -> Result<(), JournalError> {
        self.room.keep(&self.file, self.length);
        let Err(source) = self.file.write_all(line) else {
            if let Err(source) = self.file.sync_data() {
                // Nobody knows what the disk has now, and a second sync would say nothing (docs of fsync).
                self.poisoned = true;
                return Err(JournalError::Io { doing: "write", path: path.to_owned(), source });
            }
            self.length += line.len() as u64;
            self.room.wrote();
            return Ok(());
        };
        let taken_back = self.file.set_len(self.length).and_then(|()| self.file.sync_all());
        if taken_back.is_ok() && room::is_full(&source) {
            self.room.failed();
            return Err(JournalError::Full { path: path.to_owned(), source });
        }
        self.poisoned = true;
        Err(JournalError::Io { doing: "write", path: path.to_owned(), source })
    }
}

impl TxLog for Journal {
    fn signed(&self, entry: &TxEntry) -> Result<(), TxLogError> {
        self.append(Record::TxSigned(entry.clone())).map_err(|error| TxLogError(error.to_string()))
    }

    fn resolved(&self, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxLogError> {
        let label = self.lock().state.txs.iter().find(|entry| entry.nonce == nonce).map(|entry| entry.label.clone());
        self.append(Record::TxResolved { nonce, hash, outcome }).map_err(|error| TxLogError(error.to_string()))?;
        if let Some(label) = label {
            crash::point(&format!("tx.{label}.mined"));
        }
        Ok(())
    }

    fn pending(&self) -> Vec<TxEntry> {
        self.lock().state.txs.clone()
    }

    fn sending(&self, entry: &TxEntry) {
        crash::point(&format!("tx.{}.signed", entry.label));
    }

    fn sent(&self, entry: &TxEntry) {
        crash::point(&format!("tx.{}.sent", entry.label));
    }
}

/// Reads the whole file.
fn read(path: &Path, file: &mut File) -> Result<Content, JournalError> {
    let io = |source| JournalError::Io { doing: "read", path: path.to_owned(), source };
    let size = file.metadata().map_err(io)?.len();
    if size > MAX_BYTES {
        return Err(JournalError::TooLarge { path: path.to_owned(), bytes: size, limit: MAX_BYTES });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    line::read(&bytes, path)
}

fn draft_of(path: &Path) -> PathBuf {
    path.with_extension("draft")
}

enum CompactError {
    Io(std::io::Error),
    Encode(serde_json::Error),
}

/// Writes the state anew beside the journal and puts it in its place.
fn compact(path: &Path, state: &State) -> Result<File, CompactError> {
    let draft = draft_of(path);
    let mut file = File::create(&draft).map_err(CompactError::Io)?;
    for record in state.to_records() {
        let line = encode(&record).map_err(|error| match error {
            JournalError::Encode(error) => CompactError::Encode(error),
            other => CompactError::Io(std::io::Error::other(other)),
        })?;
        file.write_all(&line).map_err(CompactError::Io)?;
    }
    let finish = || {
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        sync_folder(path)?;
        OpenOptions::new().read(true).append(true).open(path)
    };
    finish().map_err(CompactError::Io)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
