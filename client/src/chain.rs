//! Reading the chain: one error type that says what was being read and whether asking again may help.

use alloy::contract::Error as ContractError;
use alloy::primitives::{Address, U256};
use alloy::transports::{RpcError as Transport, TransportError};
use sunwork_edge::{revert, rpc};
use thiserror::Error;

use crate::class::{Classified, ErrorClass};

/// A read that failed.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No node answered, or with an error of its own.
    #[error("{doing}: the chain cannot be reached: {source}")]
    Transport {
        /// What was being read.
        doing: String,
        /// Why it failed.
        source: TransportError,
    },
    /// A contract refused.
    #[error("{doing}: {reason}")]
    Reverted {
        /// What was being read.
        doing: String,
        /// The contract's reason, as a sentence.
        reason: String,
    },
    /// The answer is not what the ABI says.
    #[error("{doing}: the answer cannot be decoded ({problem}); is the deployment file of this chain?")]
    Garbage {
        /// What was being read.
        doing: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Classified for ReadError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Transport { source, .. } if rpc::is_temporary(source) => ErrorClass::Retry,
            Self::Transport { .. } | Self::Reverted { .. } | Self::Garbage { .. } => ErrorClass::Stop,
        }
    }
}

/// Says what was being done when a read failed.
pub(crate) trait Doing<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, ReadError>;
}

impl<T> Doing<T> for Result<T, ContractError> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, ReadError> {
        self.map_err(|error| match error {
            ContractError::TransportError(source) => from_transport(what(), source),
            other => ReadError::Garbage { doing: what(), problem: other.to_string() },
        })
    }
}

impl<T> Doing<T> for Result<T, TransportError> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T, ReadError> {
        self.map_err(|source| from_transport(what(), source))
    }
}

fn from_transport(doing: String, source: TransportError) -> ReadError {
    if let Transport::ErrorResp(payload) = &source
        && let Some(data) = payload.as_revert_data()
    {
        return ReadError::Reverted { doing, reason: revert::explain(&data) };
    }
    ReadError::Transport { doing, source }
}

/// An amount from the chain. The token's supply is below 2^88 (an assumption of the contracts), so a larger number can
/// only be a strange token's, and is large enough for every comparison as `u128::MAX`.
pub(crate) fn amount(value: U256) -> u128 {
    value.saturating_to()
}

/// A short form for people: 0x1234…cdef.
pub fn short(address: Address) -> String {
    let text = address.to_string();
    format!("{}…{}", &text[..6], &text[text.len() - 4..])
}
