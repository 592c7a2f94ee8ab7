//! Everything that one key ever signed: a file of JSON lines, each synced before the record is sent to anybody.
//!
//! ```text
//! meter/<key hash>.jsonl     {"header": …} once, then {"signed": …} per record; {"rebased": …} where the book was behind the chain;
//!                            {"based": …} where others' records came before the key was registered
//! ```
//! A last line without its end was never acted on, and is cut off. Anything else that cannot be read makes the book a lost one: it
//! is kept aside, and a new one begins that claims no day before the present one.
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use alloy::primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use sunwork_protocol::energy::{Body, Link, Record, SignedRecord};

use super::{counts::Carry, decide::Ledger};
use crate::crash;

/// Largest file that is read: some forty years.
const MAX_BYTES: u64 = 32 << 20;

/// What stands in the book.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Book {
    /// The key.
    pub key: B256,
    /// The ledger's sequence when the key was made: records up to there are another's.
    pub base_sequence: u32,
    /// Before this day the key claims nothing.
    pub first_day: u16,
    /// What the first record goes on from.
    pub start: Carry,
    /// What it signed, oldest first.
    pub entries: Vec<Entry>,
}

/// A record that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it says.
    pub record: Record,
    /// What it is chained to.
    pub previous: Link,
    /// What the next one is chained to.
    pub link: Link,
    /// What is sent.
    pub bytes: Bytes,
    /// What goes on after it.
    pub after: Carry,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Line {
    #[serde(rename_all = "camelCase")]
    Header {
        version: u32,
        chain_id: u64,
        ledger: Address,
        key: B256,
        base_sequence: u32,
        first_day: u16,
        epoch: u16,
        counter_mwh: u64,
        used_rest_mwh: u64,
    },
    #[serde(rename_all = "camelCase")]
    Signed { previous: Link, bytes: Bytes, counter_mwh: u64, used_rest_mwh: u64 },
    #[serde(rename_all = "camelCase")]
    Rebased { first_day: u16 },
    #[serde(rename_all = "camelCase")]
    Based { base_sequence: u32 },
}

const VERSION: u32 = 1;

impl Book {
    /// The entry that the chain takes next, if it is signed already.
    #[must_use]
    pub fn next(&self, ledger: &Ledger) -> Option<(usize, &Entry)> {
        self.entries.iter().enumerate().rev().find(|(_, entry)| {
            let record = &entry.record;
            let days = record.day.checked_sub(ledger.day).filter(|days| *days > 0);
            let single = days == Some(1) || record.body == Body::Gap;
            single
                && days.is_some_and(|days| ledger.sequence.checked_add(days.into()) == Some(record.sequence))
                && entry.previous == ledger.link
        })
    }

    /// The chain has a record of this key that the book has not: a copy of the data folder of earlier, say. What was signed since is
    /// not known, unless nothing before `first_day` is claimed anyway.
    #[must_use]
    pub fn is_behind(&self, ledger: &Ledger) -> bool {
        ledger.sequence > self.base_sequence && self.on_chain(ledger).is_none() && self.first_day <= ledger.day
    }

    /// The last day after `day` for which counts were signed.
    #[must_use]
    pub fn signed_after(&self, day: u16) -> Option<u16> {
        let counts = self.entries.iter().filter(|entry| entry.record.body != Body::Gap && entry.record.day > day);
        counts.map(|entry| entry.record.day).max()
    }

    /// What was claimed for a day. All entries with counts of one day make this claim, on whatever link.
    #[must_use]
    pub fn claim(&self, day: u16) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.record.day == day && entry.record.body != Body::Gap)
    }

    /// What the next record goes on from: a counter that the chain contradicts has lost its memory. `None`: there is no epoch left.
    #[must_use]
    pub fn carry(&self, ledger: &Ledger) -> Option<Carry> {
        let carry = self.on_chain(ledger).map_or(self.start, |entry| entry.after);
        if (carry.epoch, carry.counter_wh()) == (ledger.counter_epoch, ledger.counter_wh) {
            return Some(carry);
        }
        Carry::anew(ledger.counter_epoch.max(carry.epoch))
    }

    fn on_chain(&self, ledger: &Ledger) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.record.sequence == ledger.sequence && entry.link == ledger.link)
    }
}

/// The file.
#[derive(Debug)]
pub struct BookFile {
    path: PathBuf,
    file: File,
    /// What stands in it.
    pub book: Book,
}

/// Whose book it is.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The chain.
    pub chain_id: u64,
    /// The ledger.
    pub ledger: Address,
    /// The key.
    pub key: B256,
}

/// How a book that is not there begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beginning {
    /// The ledger's sequence now.
    pub base_sequence: u32,
    /// Before this day nothing is claimed.
    pub first_day: u16,
    /// The counter.
    pub carry: Carry,
}

/// Where the book of a key is.
#[must_use]
pub fn path(data: &Path, key: B256) -> PathBuf {
    data.join("meter").join(format!("{}.jsonl", hex::encode(key)))
}

impl BookFile {
    /// Opens the book of a key. A damaged one is kept aside and begun anew with `lost`, one that is missing too: who made the key
    /// made its book.
    ///
    /// # Errors
    /// When it cannot be read or written, or is another ledger's.
    pub fn open(data: &Path, owner: Owner, lost: Beginning) -> Result<Self, String> {
        let path = path(data, owner.key);
        match read(&path, owner) {
            Ok(Some((book, length))) => {
                let doing = |error: std::io::Error| format!("opening {}: {error}", path.display());
                let file = OpenOptions::new().append(true).open(&path).map_err(doing)?;
                // What a crash tore was never acted on.
                file.set_len(length).and_then(|()| file.sync_all()).map_err(doing)?;
                Ok(Self { path, file, book })
            }
            Ok(None) => {
                tracing::warn!(path = %path.display(), "the book of this meter's key is missing; days before today are not claimed");
                Self::create(data, owner, lost)
            }
            Err(ReadError::Damaged(reason)) => {
                let aside = path.with_extension(format!("jsonl.corrupt-{}", crate::governor::now_secs()));
                std::fs::rename(&path, &aside).map_err(|error| format!("keeping {} aside: {error}", path.display()))?;
                tracing::warn!(path = %aside.display(), reason, "the book of this meter's key is damaged and kept aside; days before today are not claimed");
                Self::create(data, owner, lost)
            }
            Err(ReadError::Failed(reason)) => Err(reason),
        }
    }

    /// Begins the book of a new key. One that is there stays, and notes the sequence that is the key's first now: days may pass between
    /// a key that was made and its registration.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(data: &Path, owner: Owner, begin: Beginning) -> Result<Self, String> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let path = path(data, owner.key);
        let doing = |error: std::io::Error| format!("beginning {}: {error}", path.display());
        let folder = path.parent().unwrap_or(data);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(doing)?;
        let Beginning { base_sequence, first_day, carry } = begin;
        let header = Line::Header {
            version: VERSION,
            chain_id: owner.chain_id,
            ledger: owner.ledger,
            key: owner.key,
            base_sequence,
            first_day,
            epoch: carry.epoch,
            counter_mwh: carry.counter_mwh,
            used_rest_mwh: carry.used_rest_mwh,
        };
        let draft = path.with_extension("draft");
        let open = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft);
        let mut file = open.map_err(doing)?;
        file.write_all(&encode(&header)?).and_then(|()| file.sync_all()).map_err(doing)?;
        // An existing book is never written over.
        match std::fs::hard_link(&draft, &path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(doing(error)),
            _ => {}
        }
        std::fs::remove_file(&draft).and_then(|()| File::open(folder)?.sync_all()).map_err(doing)?;
        match read(&path, owner) {
            Ok(Some((book, _))) => {
                let file = OpenOptions::new().append(true).open(&path).map_err(doing)?;
                let mut opened = Self { path, file, book };
                if opened.book.base_sequence != base_sequence {
                    opened.write(&Line::Based { base_sequence })?;
                    opened.book.base_sequence = base_sequence;
                }
                Ok(opened)
            }
            Ok(None) => Err(format!("{} is not there after it was written", path.display())),
            Err(ReadError::Damaged(reason) | ReadError::Failed(reason)) => Err(reason),
        }
    }

    /// Writes a signed record down. It is on disk when this returns.
    ///
    /// # Errors
    /// When it cannot be written: then it must not be sent, and the file is to be opened anew.
    pub fn sign(&mut self, previous: Link, link: Link, signed: &SignedRecord, after: Carry) -> Result<usize, String> {
        let bytes = Bytes::from(signed.pack().map_err(|error| error.to_string())?);
        let line = Line::Signed {
            previous,
            bytes: bytes.clone(),
            counter_mwh: after.counter_mwh,
            used_rest_mwh: after.used_rest_mwh,
        };
        crash::point("attest.book.before");
        self.write(&line)?;
        crash::point("attest.book.after");
        self.book.entries.push(Entry { record: signed.record.clone(), previous, link, bytes, after });
        Ok(self.book.entries.len() - 1)
    }

    /// Claims nothing before `first_day`.
    ///
    /// # Errors
    /// As [`BookFile::sign`].
    pub fn rebase(&mut self, first_day: u16) -> Result<(), String> {
        self.write(&Line::Rebased { first_day })?;
        self.book.first_day = first_day;
        Ok(())
    }

    fn write(&mut self, line: &Line) -> Result<(), String> {
        let doing = |error: std::io::Error| format!("writing {}: {error}", self.path.display());
        self.file.write_all(&encode(line)?).map_err(doing)?;
        self.file.sync_all().map_err(doing)
    }
}

fn encode(line: &Line) -> Result<Vec<u8>, String> {
    let mut bytes = serde_json::to_vec(line).map_err(|error| error.to_string())?;
    bytes.push(b'\n');
    Ok(bytes)
}

enum ReadError {
    Damaged(String),
    Failed(String),
}

/// The book, and the length of its whole lines.
fn read(path: &Path, owner: Owner) -> Result<Option<(Book, u64)>, ReadError> {
    let failed = |error: std::io::Error| ReadError::Failed(format!("reading {}: {error}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    let damaged = |what: &str| ReadError::Damaged(format!("{}: {what}", path.display()));
    if bytes.len() as u64 > MAX_BYTES {
        return Err(damaged("it is far larger than any book of ours"));
    }
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let parse = |number: usize, line: &[u8]| {
        serde_json::from_slice::<Line>(line).map_err(|error| damaged(&format!("line {}: {error}", number + 1)))
    };
    let first = lines.next().ok_or_else(|| damaged("it has no header"))?;
    let Line::Header { version, chain_id, ledger, key, base_sequence, first_day, epoch, counter_mwh, used_rest_mwh } =
        parse(0, first)?
    else {
        return Err(damaged("it does not begin with its header"));
    };
    if (version, chain_id, ledger, key) != (VERSION, owner.chain_id, owner.ledger, owner.key) {
        let text = format!(
            "{} is version {version} of key {key} for ledger {ledger} on chain {chain_id}, expected version {VERSION} of key {} for {} on chain {}",
            path.display(),
            owner.key,
            owner.ledger,
            owner.chain_id
        );
        return Err(ReadError::Failed(text));
    }
    let start = Carry { epoch, counter_mwh, used_rest_mwh };
    let mut book = Book { key, base_sequence, first_day, start, entries: Vec::new() };
    for (index, line) in lines.enumerate() {
        match parse(index + 1, line)? {
            Line::Header { .. } => return Err(damaged("it has two headers")),
            Line::Rebased { first_day } => book.first_day = first_day,
            Line::Based { base_sequence } => book.base_sequence = base_sequence,
            Line::Signed { previous, bytes, counter_mwh, used_rest_mwh } => {
                let entry = entry(owner, previous, bytes, counter_mwh, used_rest_mwh);
                book.entries.push(entry.map_err(|error| damaged(&format!("line {}: {error}", index + 2)))?);
            }
        }
    }
    Ok(Some((book, whole as u64)))
}

fn entry(
    owner: Owner,
    previous: Link,
    bytes: Bytes,
    counter_mwh: u64,
    used_rest_mwh: u64,
) -> Result<Entry, sunwork_protocol::energy::RecordError> {
    let record = SignedRecord::unpack(&bytes)?.record;
    let link = Record::link_of(record.digest(owner.chain_id, owner.ledger, previous)?);
    let after = Carry { epoch: record.counter_epoch, counter_mwh, used_rest_mwh };
    Ok(Entry { record, previous, link, bytes, after })
}
