//! A transaction log in a file that several processes of one wallet share.
//!
//! JSON lines, each durable before the bytes of its transaction go out. A header names key and chain. Only who holds the
//! lock beside the file writes it; the others may read it at any time. A last line that a crash tore was never acted on
//! and is cut off. Settled transactions are compacted away; what is pending stays whatever happens.
//!
//! ```text
//! <chainId>-<address>.jsonl        the log
//! <chainId>-<address>.lock         held while somebody sends; holds that process's id
//! <chainId>-<address>.jsonl.old    log of another chain with the same id (a development chain that is gone)
//! ```
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::tx::{
    Claim, Settled, TxEntry, TxLog, TxLogError, TxOutcome,
    book::{Book, Line},
};

/// The format that this build writes.
const VERSION: u32 = 1;
/// Largest log that is read. A compacted one has less than 100 KiB, each transaction a few KiB at most.
const MAX_BYTES: u64 = 64 << 20;
/// Lines above which a log is compacted.
const COMPACT_ABOVE_LINES: usize = 1024;
/// Pending transactions above which no more are taken: something else is wrong then.
const MAX_PENDING: usize = 1024;

/// Whose log it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The chain's id.
    pub chain_id: u64,
    /// Hash of its first block: a development chain that starts anew has the same id and is another chain all the same. Zero
    /// where the node does not keep it; that fits any.
    pub genesis: B256,
    /// The account that sends.
    pub account: Address,
}

impl Identity {
    /// The name of the log's file: `<chainId>-<address>.jsonl`.
    pub fn file_name(&self) -> String {
        format!("{}-{:?}.jsonl", self.chain_id, self.account)
    }

    fn is_same(&self, other: &Self) -> bool {
        let genesis = self.genesis == other.genesis || self.genesis.is_zero() || other.genesis.is_zero();
        genesis && self.chain_id == other.chain_id && self.account == other.account
    }
}

/// First line of a log.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Header {
    version: u32,
    #[serde(flatten)]
    identity: Identity,
}

/// The log of one key in a file. Nothing is made or opened before somebody sends.
pub struct FileTxLog {
    path: PathBuf,
    identity: Identity,
    /// A std mutex: held for one write or one read of a small file, never across an await.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    book: Book,
    /// Open while this process holds the lock.
    file: Option<File>,
    /// After a failed write nobody knows what is on disk: nothing more is written, so nothing more is sent.
    poisoned: bool,
}

/// The right to write; ends with the value, also when the process is killed.
struct Guard {
    state: Arc<Mutex<State>>,
    _lock: File,
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.state).file = None;
    }
}

impl FileTxLog {
    /// The log of this key in `dir`.
    pub fn new(dir: impl AsRef<Path>, identity: Identity) -> Self {
        let path = dir.as_ref().join(identity.file_name());
        Self { path, identity, state: Arc::default() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file whose lock is held while somebody sends.
    pub fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    fn error(&self, doing: &str, error: &io::Error) -> TxLogError {
        TxLogError(format!(
            "{doing} {}: {error}; make the folder writable, or name another with XDG_DATA_HOME",
            self.path.display()
        ))
    }

    /// Reads the whole file; says how many bytes of it are good, and how many lines.
    fn read(&self) -> Result<Option<Content>, TxLogError> {
        let mut bytes = Vec::new();
        match File::open(&self.path) {
            Ok(file) => file.take(MAX_BYTES + 1).read_to_end(&mut bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(error),
        }
        .map_err(|error| self.error("reading", &error))?;
        if bytes.len() as u64 > MAX_BYTES {
            let path = self.path.display();
            return Err(TxLogError(format!(
                "{path} has more than {MAX_BYTES} bytes, expected far fewer; move it away if its transactions are settled"
            )));
        }
        Content::parse(&bytes).map(Some).map_err(|(line, reason)| {
            let path = self.path.display();
            TxLogError(format!(
                "line {line} of {path} cannot be read ({reason}); move the file away if its transactions are settled"
            ))
        })
    }

    /// Reads the log for writing: repairs, compacts, sets a foreign one aside.
    fn open(&self) -> Result<(File, Book), TxLogError> {
        let fail = |doing: &'static str| move |error: io::Error| self.error(doing, &error);
        let mut content = self.read()?;
        if let Some(found) = content.as_ref().and_then(|content| content.header)
            && (!found.identity.is_same(&self.identity) || found.version != VERSION)
        {
            if found.version > VERSION || found.identity.account != self.identity.account {
                let path = self.path.display();
                return Err(TxLogError(format!(
                    "{path} is of account {} in version {}, expected {} in version {VERSION}; was it moved here by hand?",
                    found.identity.account, found.version, self.identity.account
                )));
            }
            let old = self.path.with_extension("jsonl.old");
            tracing::warn!(old = %old.display(), "the transaction log is of another chain with the same id; it is set aside");
            fs::rename(&self.path, old).map_err(fail("setting aside"))?;
            content = None;
        }
        match content {
            Some(content) if content.header.is_some() && content.lines <= COMPACT_ABOVE_LINES => {
                let mut file = OpenOptions::new().append(true).open(&self.path).map_err(fail("opening"))?;
                let size = file.seek(io::SeekFrom::End(0)).map_err(fail("opening"))?;
                if size > content.good {
                    tracing::warn!(path = %self.path.display(), "the last line of the transaction log was torn by a crash");
                    file.set_len(content.good).and_then(|()| file.sync_all()).map_err(fail("repairing"))?;
                }
                Ok((file, content.book))
            }
            other => {
                let book = other.map(|content| content.book).unwrap_or_default();
                let file = self.rewrite(&book).map_err(fail("writing"))?;
                Ok((file, book))
            }
        }
    }

    fn rewrite(&self, book: &Book) -> io::Result<File> {
        let temp = self.path.with_extension("jsonl.tmp");
        let mut bytes = encode(&Header { version: VERSION, identity: self.identity })?;
        for line in book.lines() {
            bytes.extend(encode(&line)?);
        }
        let mut file = private().create(true).truncate(true).write(true).open(&temp)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temp, &self.path)?;
        if let Some(folder) = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        OpenOptions::new().append(true).open(&self.path)
    }

    fn write(&self, line: Line) -> Result<(), TxLogError> {
        let mut state = lock(&self.state);
        if state.poisoned {
            let path = self.path.display();
            return Err(TxLogError(format!("an earlier write to {path} failed; start again when the disk works")));
        }
        let Some(file) = state.file.as_mut() else {
            return Err(TxLogError(format!(
                "{} is not claimed by this process; this is a mistake of ours",
                self.path.display()
            )));
        };
        let written = encode(&line).and_then(|bytes| file.write_all(&bytes)).and_then(|()| file.sync_data());
        if let Err(error) = written {
            state.poisoned = true;
            return Err(self.error("writing", &error));
        }
        state.book.apply(line);
        Ok(())
    }
}

impl TxLog for FileTxLog {
    fn signed(&self, entry: &TxEntry) -> Result<(), TxLogError> {
        let count = lock(&self.state).book.pending.len();
        if count >= MAX_PENDING {
            let path = self.path.display();
            return Err(TxLogError(format!("{path} holds {count} open transactions, at most {MAX_PENDING} are kept")));
        }
        self.write(Line::Signed(entry.clone()))
    }

    fn resolved(&self, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxLogError> {
        self.write(Line::Resolved { nonce, hash, outcome })
    }

    fn pending(&self) -> Vec<TxEntry> {
        lock(&self.state).book.pending.clone()
    }

    fn claim(&self) -> Result<Claim, TxLogError> {
        let fail = |doing: &'static str| move |error: io::Error| self.error(doing, &error);
        if let Some(folder) = self.path.parent() {
            make_private_dir(folder).map_err(fail("making the folder of"))?;
        }
        let path = self.lock_path();
        // Never removed: who waits holds the same file open.
        let mut held =
            private().create(true).truncate(false).read(true).write(true).open(&path).map_err(fail("locking"))?;
        match held.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = (&held).take(20).read_to_string(&mut text);
                return Ok(Claim::Busy { pid: text.trim().parse().ok(), lock: path });
            }
            Err(fs::TryLockError::Error(error)) => return Err(fail("locking")(error)),
        }
        // Only for people; a failure to write it does not matter.
        let _ = held.set_len(0).and_then(|()| held.write_all(format!("{}\n", std::process::id()).as_bytes()));
        let (file, book) = self.open()?;
        *lock(&self.state) = State { book, file: Some(file), poisoned: false };
        Ok(Claim::Held(Box::new(Guard { state: self.state.clone(), _lock: held })))
    }

    fn refresh(&self) -> Result<(), TxLogError> {
        if lock(&self.state).file.is_some() {
            return Ok(());
        }
        let content = self.read()?;
        let ours =
            content.filter(|content| content.header.is_some_and(|header| header.identity.is_same(&self.identity)));
        let mut state = lock(&self.state);
        if state.file.is_none() {
            state.book = ours.map(|content| content.book).unwrap_or_default();
        }
        Ok(())
    }

    fn settled(&self, intent: B256) -> Option<Settled> {
        lock(&self.state).book.settled(intent)
    }

    fn told(&self, hash: B256) -> Result<(), TxLogError> {
        self.write(Line::Told { hash })
    }
}

/// A file, read.
struct Content {
    header: Option<Header>,
    book: Book,
    lines: usize,
    /// Bytes up to the end of the last whole line.
    good: u64,
}

impl Content {
    /// A line without its newline at the end was torn and is passed over; any other bad line is an error with its number.
    fn parse(bytes: &[u8]) -> Result<Self, (usize, String)> {
        let mut content = Self { header: None, book: Book::default(), lines: 0, good: 0 };
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let Some(line) = line.strip_suffix(b"\n") else { break };
            let bad = |error: serde_json::Error| (index + 1, error.to_string());
            if index == 0 {
                content.header = Some(serde_json::from_slice(line).map_err(bad)?);
            } else {
                content.book.apply(serde_json::from_slice(line).map_err(bad)?);
            }
            content.lines += 1;
            content.good += line.len() as u64 + 1;
        }
        Ok(content)
    }
}

fn encode(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// For files that are nobody else's business.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Bytes, U256};

    use super::*;

    fn identity() -> Identity {
        Identity { chain_id: 31337, genesis: B256::repeat_byte(7), account: Address::repeat_byte(0xab) }
    }

    fn entry(nonce: u64, n: u8) -> TxEntry {
        TxEntry {
            label: "buyContract".into(),
            to: Address::repeat_byte(n),
            value: U256::ZERO,
            input_hash: B256::repeat_byte(n),
            nonce,
            hash: B256::repeat_byte(n),
            raw: Bytes::from(vec![n; 3]),
            intent: Some(B256::repeat_byte(n)),
            signed_at: None,
        }
    }

    fn held(log: &FileTxLog) -> Box<dyn Send + Sync> {
        match log.claim().unwrap() {
            Claim::Held(guard) => guard,
            _ => panic!("not held"),
        }
    }

    #[test]
    fn what_was_written_is_there_after_a_restart_and_a_torn_line_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let log = FileTxLog::new(dir.path().join("deep/er"), identity());
        assert_eq!(log.path().file_name().unwrap().to_str().unwrap(), format!("31337-{:?}.jsonl", identity().account));
        let guard = held(&log);
        log.signed(&entry(1, 1)).unwrap();
        log.signed(&entry(2, 2)).unwrap();
        log.resolved(1, B256::repeat_byte(1), TxOutcome::Mined).unwrap();
        drop((guard, log));
        let path = dir.path().join("deep/er").join(identity().file_name());
        let mut text = fs::read_to_string(&path).unwrap();
        let good = text.clone();
        text.push_str(r#"{"signed":{"lab"#);
        fs::write(&path, text).unwrap();

        let log = FileTxLog::new(dir.path().join("deep/er"), identity());
        log.refresh().unwrap();
        assert_eq!(log.pending(), vec![entry(2, 2)], "readable without the claim");
        let _guard = held(&log);
        assert_eq!(fs::read_to_string(&path).unwrap(), good, "the torn line is gone");
        assert_eq!(log.pending(), vec![entry(2, 2)]);
        assert!(!log.settled(B256::repeat_byte(1)).unwrap().told);
        log.told(B256::repeat_byte(1)).unwrap();
        assert!(log.settled(B256::repeat_byte(1)).unwrap().told);
    }

    #[test]
    fn every_torn_end_is_survived() {
        let dir = tempfile::tempdir().unwrap();
        let log = FileTxLog::new(dir.path(), identity());
        let guard = held(&log);
        log.signed(&entry(1, 1)).unwrap();
        let first = fs::read(log.path()).unwrap();
        log.signed(&entry(2, 2)).unwrap();
        drop(guard);
        let whole = fs::read(log.path()).unwrap();
        for cut in (0..whole.len()).step_by(17).chain(first.len() - 2..first.len() + 2) {
            fs::write(log.path(), &whole[..cut]).unwrap();
            let log = FileTxLog::new(dir.path(), identity());
            let guard = held(&log);
            let expected: &[TxEntry] = if cut >= first.len() { &[entry(1, 1)] } else { &[] };
            assert_eq!(log.pending(), expected, "cut at {cut}");
            log.signed(&entry(9, 9)).unwrap();
            drop(guard);
            let again = FileTxLog::new(dir.path(), identity());
            again.refresh().unwrap();
            assert_eq!(again.pending().len(), expected.len() + 1, "cut at {cut}");
        }
    }

    #[test]
    fn one_process_at_a_time_writes_and_says_who_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (FileTxLog::new(dir.path(), identity()), FileTxLog::new(dir.path(), identity()));
        let guard = held(&one);
        let Claim::Busy { pid, lock } = two.claim().unwrap() else { panic!("claimed twice") };
        assert_eq!((pid, lock), (Some(std::process::id()), two.lock_path()));
        assert!(two.signed(&entry(1, 1)).is_err(), "nothing is written without the claim");
        one.signed(&entry(1, 1)).unwrap();
        drop(guard);
        let _guard = held(&two);
        assert_eq!(two.pending(), vec![entry(1, 1)], "it reads what the other wrote");
        assert!(one.signed(&entry(2, 2)).is_err());
    }

    #[test]
    fn damage_in_the_middle_is_not_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let log = FileTxLog::new(dir.path(), identity());
        drop(held(&log));
        let mut text = fs::read_to_string(log.path()).unwrap();
        text.push_str("nonsense\n{\"told\":{\"hash\":1}}\n");
        fs::write(log.path(), text).unwrap();
        let Err(error) = log.claim() else { panic!("claimed") };
        assert!(error.to_string().contains("line 2 of") && error.to_string().contains("move the file away"), "{error}");
    }

    #[test]
    fn the_log_of_a_chain_that_is_gone_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let log = FileTxLog::new(dir.path(), identity());
        let guard = held(&log);
        log.signed(&entry(1, 1)).unwrap();
        drop(guard);
        let fresh = FileTxLog::new(dir.path(), Identity { genesis: B256::repeat_byte(8), ..identity() });
        fresh.refresh().unwrap();
        assert!(fresh.pending().is_empty(), "what was sent on another chain is nothing here");
        let guard = held(&fresh);
        assert!(fresh.pending().is_empty());
        fresh.signed(&entry(1, 2)).unwrap();
        drop(guard);
        let unknown = FileTxLog::new(dir.path(), Identity { genesis: B256::ZERO, ..identity() });
        drop(held(&unknown));
        assert_eq!(unknown.pending(), vec![entry(1, 2)], "a node without old blocks is no other chain");
        let old = fs::read_to_string(dir.path().join(identity().file_name()).with_extension("jsonl.old")).unwrap();
        assert!(old.contains("buyContract"));
    }

    #[test]
    fn a_long_log_is_compacted_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let log = FileTxLog::new(dir.path(), identity());
        let guard = held(&log);
        log.signed(&entry(0, 1)).unwrap();
        drop(guard);
        // As appended by many commands, but without their syncs.
        let mut bytes = fs::read(log.path()).unwrap();
        for nonce in 1..=600 {
            bytes.extend(encode(&Line::Signed(entry(nonce, 2))).unwrap());
            let outcome = TxOutcome::Mined;
            bytes.extend(encode(&Line::Resolved { nonce, hash: B256::repeat_byte(2), outcome }).unwrap());
        }
        fs::write(log.path(), &bytes).unwrap();
        let _guard = held(&log);
        assert_eq!(log.pending(), vec![entry(0, 1)]);
        assert!(log.settled(B256::repeat_byte(2)).is_some());
        let size = fs::metadata(log.path()).unwrap().len() as usize;
        assert!(size < bytes.len() / 4, "{size} of {}", bytes.len());
        log.refresh().unwrap();
        assert_eq!(log.pending(), vec![entry(0, 1)]);
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let log = FileTxLog::new(dir.path().join("file/tx"), identity());
        let Err(error) = log.claim() else { panic!("claimed") };
        assert!(error.to_string().contains("XDG_DATA_HOME"), "{error}");
    }
}
