//! The folder through which the command and the running worker speak.
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sunwork_protocol::{order::SignedOrder, terms::MAX_SPEC_BYTES};

use crate::folder::write_durably;

/// Largest file of an order: its specification as hex digits, and room for the rest.
const MAX_ORDER_BYTES: u64 = 2 * MAX_SPEC_BYTES as u64 + 16 * 1024;
/// Orders that may wait at a time.
const MAX_WAITING: usize = 64;

/// What the worker says to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// It was bought and accepted.
    Taken {
        /// The agreement that was made of it.
        agreement: Address,
        /// The transaction.
        tx: B256,
    },
    /// It was not, and nothing was sent or the chain refused.
    Refused {
        /// Why not, for people.
        reason: String,
    },
}

/// Why an order cannot be read or handed over.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is too long for an order.
    #[error("{} has {found} bytes, a signed order has at most {MAX_ORDER_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
    },
    /// It is none.
    #[error("{} is no signed order, such as `sunwork offer --order FILE` writes: {source}", path.display())]
    NotAnOrder {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Too many wait.
    #[error("{MAX_WAITING} orders wait for the worker already; wait until it has looked at them")]
    Full,
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> InboxError {
    |source| InboxError::Io { path: path.to_owned(), source }
}

/// Reads the file of a signed order; its length is looked at first.
///
/// # Errors
/// When it cannot be read, is too long, or is none.
pub fn read_order(path: &Path) -> Result<SignedOrder, InboxError> {
    use io::Read;
    let file = fs::File::open(path).map_err(io_at(path))?;
    let mut bytes = Vec::new();
    file.take(MAX_ORDER_BYTES + 1).read_to_end(&mut bytes).map_err(io_at(path))?;
    if bytes.len() as u64 > MAX_ORDER_BYTES {
        let found = fs::metadata(path).map_or(bytes.len() as u64, |meta| meta.len());
        return Err(InboxError::TooLarge { path: path.to_owned(), found });
    }
    serde_json::from_slice(&bytes).map_err(|source| InboxError::NotAnOrder { path: path.to_owned(), source })
}

/// The folder `orders` of a worker's data folder.
#[derive(Clone, Debug)]
pub struct Inbox {
    dir: PathBuf,
}

impl Inbox {
    /// The one in this data folder; made when something is put there.
    pub fn new(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("orders") }
    }

    fn file(&self, hash: B256, extension: &str) -> PathBuf {
        self.dir.join(format!("{hash}.{extension}"))
    }

    /// Hands an order to the worker. An answer to an earlier try is forgotten.
    ///
    /// # Errors
    /// When too many wait, or the folder cannot be written.
    pub fn put(&self, hash: B256, order: &SignedOrder) -> Result<(), InboxError> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir).map_err(io_at(&self.dir))?;
        if self.named("json").len() >= MAX_WAITING {
            return Err(InboxError::Full);
        }
        let answer = self.file(hash, "answer");
        remove(&answer).map_err(io_at(&answer))?;
        let path = self.file(hash, "json");
        let bytes =
            serde_json::to_vec(order).map_err(|source| InboxError::NotAnOrder { path: path.clone(), source })?;
        write_durably(&path, &bytes).map_err(io_at(&path))
    }

    /// Takes back an order that the worker has not begun to take. True when it was there.
    pub fn take_back(&self, hash: B256) -> bool {
        fs::remove_file(self.file(hash, "json")).is_ok()
    }

    /// Orders that wait, in the order of their hashes; at most `MAX_WAITING`.
    pub fn waiting(&self) -> Vec<B256> {
        self.named("json")
    }

    /// Orders that an earlier run had begun to take.
    pub fn begun(&self) -> Vec<B256> {
        self.named("taking")
    }

    /// Reads one that waits.
    ///
    /// # Errors
    /// As [`read_order`].
    pub fn read(&self, hash: B256) -> Result<SignedOrder, InboxError> {
        read_order(&self.file(hash, "json"))
    }

    /// Writes down that it is about to be sent. After a crash it is not tried again.
    ///
    /// # Errors
    /// When the folder cannot be written, or the order was taken back.
    pub fn begin(&self, hash: B256) -> Result<(), InboxError> {
        let path = self.file(hash, "taking");
        let renamed = fs::rename(self.file(hash, "json"), &path);
        renamed.and_then(|()| fs::File::open(&self.dir)?.sync_all()).map_err(io_at(&path))
    }

    /// Writes the answer, and forgets the order.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn answer(&self, hash: B256, answer: &Answer) -> Result<(), InboxError> {
        let path = self.file(hash, "answer");
        let bytes =
            serde_json::to_vec(answer).map_err(|source| InboxError::NotAnOrder { path: path.clone(), source })?;
        write_durably(&path, &bytes).map_err(io_at(&path))?;
        for extension in ["json", "taking"] {
            let path = self.file(hash, extension);
            remove(&path).map_err(io_at(&path))?;
        }
        Ok(())
    }

    /// Takes the answer out, once it is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn take_answer(&self, hash: B256) -> Result<Option<Answer>, InboxError> {
        let path = self.file(hash, "answer");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(InboxError::Io { path, source }),
        };
        let answer =
            serde_json::from_slice(&bytes).map_err(|source| InboxError::NotAnOrder { path: path.clone(), source })?;
        remove(&path).map_err(io_at(&path))?;
        Ok(Some(answer))
    }

    fn named(&self, extension: &str) -> Vec<B256> {
        let entries = fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let hash = |name: String| name.strip_suffix(extension)?.strip_suffix('.')?.parse().ok();
        let mut hashes: Vec<B256> = entries.filter_map(hash).take(MAX_WAITING).collect();
        hashes.sort_unstable();
        hashes
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::Bytes;
    use sunwork_protocol::order::Order;

    fn order() -> SignedOrder {
        let order = Order {
            client: Address::repeat_byte(1),
            kind_id: 0,
            terms: Bytes::new(),
            spec_hash: B256::ZERO,
            start_at: 1,
            expiry: 2,
            volume: 1,
            salt: B256::ZERO,
            worker: Address::ZERO,
            nonce: 0,
        };
        SignedOrder { order, spec: Bytes::from_static(&[7]), signature: Bytes::new() }
    }

    #[test]
    fn an_order_goes_in_and_its_answer_comes_out_once() {
        let dir = tempfile::tempdir().unwrap();
        let (inbox, hash) = (Inbox::new(dir.path()), B256::repeat_byte(9));
        assert_eq!((inbox.waiting(), inbox.begun()), (vec![], vec![]));
        inbox.put(hash, &order()).unwrap();
        assert_eq!((inbox.waiting(), inbox.read(hash).unwrap()), (vec![hash], order()));
        inbox.begin(hash).unwrap();
        assert_eq!((inbox.waiting(), inbox.begun()), (vec![], vec![hash]), "not to be taken twice");
        assert!(!inbox.take_back(hash), "too late");
        let answer = Answer::Refused { reason: "no".into() };
        inbox.answer(hash, &answer).unwrap();
        assert_eq!((inbox.begun(), inbox.take_answer(hash).unwrap()), (vec![], Some(answer)));
        assert_eq!(inbox.take_answer(hash).unwrap(), None);
    }

    #[test]
    fn an_order_can_be_taken_back_until_the_worker_begins() {
        let dir = tempfile::tempdir().unwrap();
        let (inbox, hash) = (Inbox::new(dir.path()), B256::repeat_byte(9));
        inbox.put(hash, &order()).unwrap();
        assert!(inbox.take_back(hash));
        assert!(inbox.begin(hash).is_err());
    }

    #[test]
    fn files_that_are_no_orders_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("order.json");
        assert!(read_order(&path).unwrap_err().to_string().contains("order.json"));
        fs::write(&path, "{}").unwrap();
        assert!(read_order(&path).unwrap_err().to_string().contains("no signed order"));
        fs::File::create(&path).unwrap().set_len(MAX_ORDER_BYTES + 1).unwrap();
        assert!(matches!(read_order(&path), Err(InboxError::TooLarge { found, .. }) if found == MAX_ORDER_BYTES + 1));
    }

    #[test]
    fn no_more_orders_wait_than_are_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = Inbox::new(dir.path());
        for byte in 0..MAX_WAITING as u8 {
            inbox.put(B256::repeat_byte(byte), &order()).unwrap();
        }
        assert!(matches!(inbox.put(B256::repeat_byte(0xff), &order()), Err(InboxError::Full)));
    }
}
