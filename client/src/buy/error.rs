//! Why a purchase did not happen.

use alloy::primitives::{Address, B256};
use sunwork_edge::tx::TxError;
use sunwork_protocol::terms::SpecError;
use thiserror::Error;

use super::NotSealed;
use crate::chain::ReadError;
use crate::class::{Classified, ErrorClass};
use crate::client::NoSigner;
use crate::permit::PermitError;
use crate::preflight::{PreflightError, Problem};

/// A purchase that did not happen.
#[derive(Debug, Error)]
pub enum BuyError {
    /// No key.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// Found before anything was paid.
    #[error("this cannot be bought: {}", sentences.join("; "))]
    Refused {
        /// What stands against it.
        problems: Vec<Problem>,
        /// The same as sentences.
        sentences: Vec<String>,
    },
    /// Confidential work that is not encrypted yet.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    /// The chain could not be asked.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// The chain could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The terms do not fit their format.
    #[error(transparent)]
    Terms(#[from] SpecError),
    /// The permit.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// The transaction.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The transaction went through without the event.
    #[error("transaction {tx} went through, but holds no AgreementBought event of the dispatcher {dispatcher}")]
    NoEvent {
        /// The transaction.
        tx: B256,
        /// The contract.
        dispatcher: Address,
    },
}

impl Classified for BuyError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Preflight(error) => error.class(),
            Self::Read(error) => error.class(),
            Self::Tx(error) => tx_class(error),
            Self::NotSealed(_)
            | Self::NoSigner(_)
            | Self::Refused { .. }
            | Self::Terms(_)
            | Self::Permit(_)
            | Self::NoEvent { .. } => ErrorClass::Stop,
        }
    }
}

pub(crate) fn tx_class(error: &TxError) -> ErrorClass {
    error.class()
}
