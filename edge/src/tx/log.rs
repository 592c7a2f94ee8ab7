//! Where signed transactions are written down before they are sent, so that a crash loses none and repeats none.
use std::{path::PathBuf, sync::Mutex};

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::book::{Book, Line};

/// A signed transaction, complete enough to be sent again after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxEntry {
    /// What it is for, such as "accept".
    pub label: String,
    /// The contract that is called.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// keccak256 of the calldata: the same call is not sent twice while one is under way.
    pub input_hash: B256,
    /// Account nonce.
    pub nonce: u64,
    /// Transaction hash.
    pub hash: B256,
    /// The signed bytes.
    pub raw: Bytes,
    /// What somebody wanted by it, where that is more than the call: the same purchase may be made by different calldata
    /// (a permit has a deadline), and must be found again all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<B256>,
    /// When it was signed, Unix seconds by the own clock; only for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<u64>,
}

/// What became of a logged transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TxOutcome {
    /// In a block, and it did what it should.
    Mined,
    /// In a block, but it reverted.
    Reverted,
    /// Never in a block: another transaction used its nonce, or no node takes it.
    Dropped,
}

/// A mined transaction with an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// What was wanted.
    pub intent: B256,
    /// The transaction that did it.
    pub hash: B256,
    /// Whoever wanted it was told that it is done.
    pub told: bool,
}

/// Why a log refuses. A log that cannot write must stop the sender: nothing is sent that is not written down.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot write the transaction log: {0}")]
pub struct TxLogError(pub String);

/// Whether this process may send with the key.
pub enum Claim {
    /// The log is of this process alone.
    NotShared,
    /// It may, until the value is dropped.
    Held(Box<dyn Send + Sync>),
    /// Another process may.
    Busy {
        /// Which one, if it said so.
        pid: Option<u32>,
        /// What it holds.
        lock: PathBuf,
    },
}

/// The log of one key. Every method returns only when what it was told is durable.
pub trait TxLog: Send + Sync {
    /// A transaction was signed and is about to be sent.
    ///
    /// # Errors
    /// When it cannot be written down; the transaction is then not sent.
    fn signed(&self, entry: &TxEntry) -> Result<(), TxLogError>;

    /// All transactions with this nonce are decided: the one with this hash has this outcome.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn resolved(&self, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxLogError>;

    /// Logged transactions without an outcome, in the order in which they were signed.
    fn pending(&self) -> Vec<TxEntry>;

    /// Called right before the bytes go out.
    fn sending(&self, _entry: &TxEntry) {}

    /// Called right after a node took the bytes.
    fn sent(&self, _entry: &TxEntry) {}

    /// Asks for the right to send, where several processes share the log, and then reads what the others wrote. Does not
    /// wait.
    ///
    /// # Errors
    /// When the log cannot be opened.
    fn claim(&self) -> Result<Claim, TxLogError> {
        Ok(Claim::NotShared)
    }

    /// Reads what other processes wrote, without the right to send.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn refresh(&self) -> Result<(), TxLogError> {
        Ok(())
    }

    /// The youngest mined transaction with this intent, as far as the log remembers.
    fn settled(&self, _intent: B256) -> Option<Settled> {
        None
    }

    /// Whoever wanted the mined transaction with this hash knows that it is done.
    ///
    /// # Errors
    /// When it cannot be written down.
    fn told(&self, _hash: B256) -> Result<(), TxLogError> {
        Ok(())
    }
}

/// A log that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryTxLog(Mutex<Book>);

impl MemoryTxLog {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl TxLog for MemoryTxLog {
    fn signed(&self, entry: &TxEntry) -> Result<(), TxLogError> {
        self.book().apply(Line::Signed(entry.clone()));
        Ok(())
    }

    fn resolved(&self, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxLogError> {
        self.book().apply(Line::Resolved { nonce, hash, outcome });
        Ok(())
    }

    fn pending(&self) -> Vec<TxEntry> {
        self.book().pending.clone()
    }

    fn settled(&self, intent: B256) -> Option<Settled> {
        self.book().settled(intent)
    }

    fn told(&self, hash: B256) -> Result<(), TxLogError> {
        self.book().apply(Line::Told { hash });
        Ok(())
    }
}
