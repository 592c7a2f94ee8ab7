//! What a caller should do about an error: the class is in the type, nobody matches on text.
//!
//! | Class | Meaning | What to do | Examples |
//! |---|---|---|---|
//! | [`ErrorClass::Retry`] | the world is in the way | the same call again, later | no node answers, fees above the cap, another command is sending |
//! | [`ErrorClass::Resync`] | the world moved on | read the chain again and decide anew | a call that reverted because somebody was first, a file that changed |
//! | [`ErrorClass::Stop`] | asking again changes nothing | correct input, money or configuration first | no funds, wrong password, a key of another chain |
//!
//! The errors of this crate:
//!
//! | Error | Retry | Resync | Stop |
//! |---|---|---|---|
//! | [`TxError`] | `Temporary`, `Stuck`, `FeeAboveCap`, `NonceTaken`, `Busy` | `Reverted` | `Stop`, `InsufficientFunds`, `Log` |
//! | [`TxLogError`] | | | always: nothing is sent that is not written down |
//! | [`RpcError`] | `Unreachable` | | wrong URL, wrong chain |
//! | [`BlobError`] | no oracle answers | | refused, too large, wrong bytes |
//! | [`KeystoreError`], [`DeploymentError`] | | | always |
use crate::{
    blobs::BlobError,
    deployment::DeploymentError,
    keystore::KeystoreError,
    rpc::RpcError,
    tx::{TxError, TxLogError},
};

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The same call may work later: a node or an oracle did not answer.
    Retry,
    /// The world moved on: read the chain again and decide anew.
    Resync,
    /// Asking again changes nothing: the input, the money or the data is wrong.
    Stop,
}

/// Errors that know their class.
pub trait Classified {
    /// The class of this error.
    fn class(&self) -> ErrorClass;
}

impl Classified for TxError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Temporary { .. }
            | Self::Stuck(_)
            | Self::FeeAboveCap { .. }
            | Self::NonceTaken { .. }
            | Self::Busy { .. } => ErrorClass::Retry,
            // Another transaction may have been first: the chain knows.
            Self::Reverted { .. } => ErrorClass::Resync,
            Self::Stop { .. } | Self::InsufficientFunds { .. } | Self::Log { .. } => ErrorClass::Stop,
        }
    }
}

impl Classified for TxLogError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Stop
    }
}

impl Classified for RpcError {
    fn class(&self) -> ErrorClass {
        if self.is_temporary() { ErrorClass::Retry } else { ErrorClass::Stop }
    }
}

impl Classified for BlobError {
    fn class(&self) -> ErrorClass {
        if self.is_temporary() { ErrorClass::Retry } else { ErrorClass::Stop }
    }
}

impl Classified for KeystoreError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Stop
    }
}

impl Classified for DeploymentError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Stop
    }
}
