//! How one step of a supervisor can fail.
use sunwork_edge::tx::TxError;

use crate::{chain::ChainError, journal::JournalError};

/// Why a step did not do what it should. None of these is an end: the chain's view decides what comes next.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Nothing is wrong, somebody else has not done its part yet: look again at the next block.
    #[error("{0}")]
    NotYet(String),
    /// Try again a little later.
    #[error("{0}")]
    Retry(String),
    /// The contract says no: another was first, or the state moved on.
    #[error("{reason}")]
    Refused {
        /// Name of the custom error, if it is one of ours.
        name: Option<&'static str>,
        /// What it means.
        reason: String,
    },
    /// Somebody must act; trying goes on, slowly.
    #[error("{0}")]
    Stuck(String),
    /// What is on disk is not known any more: the worker must stop. A full disk is no such case: that is [`StepError::Stuck`].
    #[error(transparent)]
    Journal(JournalError),
}

impl StepError {
    /// A failure that may pass.
    pub fn retry(reason: impl std::fmt::Display) -> Self {
        Self::Retry(reason.to_string())
    }

    /// A file that could not be read or written.
    pub fn io(doing: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::Stuck(format!("{doing}: {error}"))
    }
}

impl From<JournalError> for StepError {
    fn from(error: JournalError) -> Self {
        if error.is_full() { Self::Stuck(error.to_string()) } else { Self::Journal(error) }
    }
}

impl From<ChainError> for StepError {
    fn from(error: ChainError) -> Self {
        Self::Retry(error.to_string())
    }
}

impl From<TxError> for StepError {
    fn from(error: TxError) -> Self {
        match error {
            TxError::Reverted { reason, name, .. } => Self::Refused { name, reason },
            error if error.is_temporary() => Self::Retry(error.to_string()),
            error => Self::Stuck(error.to_string()),
        }
    }
}
