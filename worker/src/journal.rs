//! What this worker promised and did, on disk before it has any effect.
//!
//! One file, one record per line: `crc32-hex json`. Appended and synced before the caller goes on. A torn last line (power
//! cut in the middle of a write) is cut off; anything else that does not fit stops the worker, since a hole in the
//! middle is no torn write. [`record`] holds the records, [`state`] the pure fold over them.
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy::primitives::{Address, B256};
use sunwork_edge::tx::{TxEntry, TxLog, TxLogError, TxOutcome};

pub mod record;
pub mod state;

pub use record::{Header, Record, VERSION};
pub use state::{Agreement, SealedKey, State};

use crate::crash;

/// From this size on the journal is rewritten at the start, without what is finished.
const COMPACT_ABOVE_BYTES: u64 = 4 << 20;
/// Largest journal that is read.
const MAX_BYTES: u64 = 1 << 30;

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

/// The open journal. All methods block for a disk sync at most.
pub struct Journal {
    path: PathBuf,
    /// A std mutex: appends are short, ordered, and never wait for anything but the disk.
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    state: State,
    /// Set by a failed write and never cleared.
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
        let size = file.metadata().map_err(io("read"))?.len();
        let (mut state, good) = read(&path, &mut file)?;
        if (good as u64) < size {
            tracing::warn!(path = %path.display(), good, size, "the journal's last record is torn and is cut off");
            file.set_len(good as u64).map_err(io("repair"))?;
            file.sync_all().map_err(io("repair"))?;
        }
        match &state.header {
            None => {
                let record = Record::Header(header.clone());
                file.write_all(&encode(&record)?).map_err(io("write"))?;
                file.sync_all().map_err(io("write"))?;
                sync_folder(&path).map_err(io("write"))?;
                state.apply(record);
            }
            Some(found) if found != header => {
                return Err(JournalError::Foreign { path, found: found.to_string(), expected: header.to_string() });
            }
            Some(_) => {}
        }
        if size > COMPACT_ABOVE_BYTES {
            file = compact(&path, &state).map_err(|error| match error {
                CompactError::Io(source) => io("compact")(source),
                CompactError::Encode(error) => JournalError::Encode(error),
            })?;
        }
        Ok(Self { path, inner: Mutex::new(Inner { file, state, poisoned: false }) })
    }

    /// Reads a journal without touching it, for `status`.
    ///
    /// # Errors
    /// When it cannot be read or is broken.
    pub fn peek(path: impl AsRef<Path>) -> Result<State, JournalError> {
        let path = path.as_ref();
        let open = File::open(path);
        let mut file = open.map_err(|source| JournalError::Io { doing: "open", path: path.to_owned(), source })?;
        Ok(read(path, &mut file)?.0)
    }

    /// Writes a record down. Returns when it is durable.
    ///
    /// # Errors
    /// When it could not be made durable; from then on every write fails.
    pub fn append(&self, record: Record) -> Result<(), JournalError> {
        let mut inner = self.lock();
        if inner.poisoned {
            return Err(JournalError::Poisoned { path: self.path.clone() });
        }
        let line = encode(&record)?;
        let [before, after] = record.crash_points();
        crash::point(before);
        let written = inner.file.write_all(&line).and_then(|()| inner.file.sync_data());
        if let Err(source) = written {
            inner.poisoned = true;
            return Err(JournalError::Io { doing: "write", path: self.path.clone(), source });
        }
        inner.state.apply(record);
        crash::point(after);
        Ok(())
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

/// One line: checksum of the JSON, the JSON, a newline. JSON holds no bare newline.
fn encode(record: &Record) -> Result<Vec<u8>, JournalError> {
    let json = serde_json::to_string(record).map_err(JournalError::Encode)?;
    Ok(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes())
}

fn decode(line: &[u8]) -> Result<Record, String> {
    let (checksum, json) = line.split_at_checked(9).ok_or("the line is too short")?;
    let expected = std::str::from_utf8(&checksum[..8]).ok().and_then(|text| u32::from_str_radix(text, 16).ok());
    let found = crc32fast::hash(json);
    if checksum[8] != b' ' || expected != Some(found) {
        return Err(format!("the checksum is {found:08x}, expected {}", String::from_utf8_lossy(&checksum[..8])));
    }
    serde_json::from_slice(json).map_err(|error| format!("a record of another version: {error}"))
}

/// All good records folded, and how many bytes they take.
fn read(path: &Path, file: &mut File) -> Result<(State, usize), JournalError> {
    let io = |source| JournalError::Io { doing: "read", path: path.to_owned(), source };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    let mut state = State::default();
    let mut offset = 0;
    while offset < bytes.len() {
        let rest = &bytes[offset..];
        // Without its newline the last line is torn, even if it happens to be whole otherwise.
        let Some(length) = rest.iter().position(|byte| *byte == b'\n') else { break };
        match decode(&rest[..length]) {
            Ok(Record::Header(header)) if header.version != VERSION => {
                let (found, expected) = (header.version, VERSION);
                return Err(JournalError::Version { path: path.to_owned(), found, expected });
            }
            Ok(record) => state.apply(record),
            // Blocks of a torn write may reach the disk out of order: a bad line is torn if it is the last one.
            Err(_) if offset + length + 1 == bytes.len() => break,
            Err(reason) => return Err(JournalError::Broken { path: path.to_owned(), offset, reason }),
        }
        offset += length + 1;
    }
    Ok((state, offset))
}

enum CompactError {
    Io(std::io::Error),
    Encode(serde_json::Error),
}

/// Writes the state anew beside the journal and puts it in its place.
fn compact(path: &Path, state: &State) -> Result<File, CompactError> {
    let draft = path.with_extension("draft");
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
