//! Where signed transactions are written down before they are sent, so that a crash loses none and repeats none.
use std::sync::Mutex;

use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

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

/// Why a log refuses. A log that cannot write must stop the sender: nothing is sent that is not written down.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the transaction log: {0}")]
pub struct TxLogError(pub String);

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
}

/// A log that lives as long as the process: for commands that a person repeats.
#[derive(Debug, Default)]
pub struct MemoryTxLog(Mutex<Vec<TxEntry>>);

impl MemoryTxLog {
    fn entries(&self) -> std::sync::MutexGuard<'_, Vec<TxEntry>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl TxLog for MemoryTxLog {
    fn signed(&self, entry: &TxEntry) -> Result<(), TxLogError> {
        self.entries().push(entry.clone());
        Ok(())
    }

    fn resolved(&self, nonce: u64, _: B256, _: TxOutcome) -> Result<(), TxLogError> {
        self.entries().retain(|entry| entry.nonce != nonce);
        Ok(())
    }

    fn pending(&self) -> Vec<TxEntry> {
        self.entries().clone()
    }
}
