//! What the app printed, from the worker's sealed logs. They are the worker's word: no digest holds them.

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_edge::blobs::BlobError;
use sunwork_edge::mail::MailError;
use sunwork_protocol::envelope::{self, Context, Purpose};
use sunwork_protocol::logs::{LogNote, Logs, LogsError, MAX_LOG_BLOB_BYTES};
use sunwork_protocol::mail::TOPIC_LOGS;
use sunwork_protocol::status::Status;
use thiserror::Error;

use crate::agreements::FindError;
use crate::chain::{Doing, ReadError};
use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::confidential::ConfidentialError;

/// Logs that could not be had.
#[derive(Debug, Error)]
pub enum AppLogsError {
    /// The agreement.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The chain.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Whose logs they are.
    #[error(transparent)]
    Key(#[from] ConfidentialError),
    /// Bought without a key.
    #[error("agreement {agreement} was bought without a key for logs, so no worker can send any")]
    NotAsked {
        /// The agreement.
        agreement: Address,
    },
    /// Nobody sent any.
    #[error("there are no logs of agreement {agreement}: {why}")]
    None {
        /// The agreement.
        agreement: Address,
        /// Why, in a clause.
        why: &'static str,
    },
    /// The mailbox.
    #[error("looking for the logs of agreement {agreement}: {source}")]
    Mail {
        /// The agreement.
        agreement: Address,
        /// Why not.
        source: MailError,
    },
    /// The blob.
    #[error("fetching the logs of agreement {agreement}: {source}")]
    Blob {
        /// The agreement.
        agreement: Address,
        /// Why not.
        source: BlobError,
    },
    /// What the worker sent.
    #[error("the logs that worker {worker} sent for agreement {agreement} cannot be used: {reason}")]
    Unusable {
        /// The agreement.
        agreement: Address,
        /// The worker.
        worker: Address,
        /// Why not.
        reason: String,
    },
    /// A temporary file.
    #[error("storing the logs for a moment: {0}")]
    Io(#[from] std::io::Error),
}

impl Classified for AppLogsError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Find(error) => error.class(),
            Self::Read(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::Mail { source, .. } if source.is_temporary() => ErrorClass::Retry,
            Self::Blob { source, .. } if source.is_temporary() => ErrorClass::Retry,
            Self::None { .. } => ErrorClass::Retry,
            _ => ErrorClass::Stop,
        }
    }
}

/// What one attempt printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptLogs {
    /// Who ran it and says so.
    pub worker: Address,
    /// The logs.
    #[serde(flatten)]
    pub logs: Logs,
}

impl Client {
    /// The logs of every attempt whose worker sent some, oldest attempt first.
    ///
    /// # Errors
    /// See [`AppLogsError`].
    pub async fn app_logs(&self, agreement: Address) -> Result<Vec<AttemptLogs>, AppLogsError> {
        let details = self.details(agreement).await?;
        let spec = &details.purchase.spec;
        if spec.client_key.is_zero() {
            return Err(AppLogsError::NotAsked { agreement });
        }
        let secret = self.message_key(agreement, spec)?;
        let workers: Vec<(u8, Address)> = details
            .events
            .iter()
            .filter_map(|seen| match seen.progress {
                crate::events::Progress::Accepted { worker, attempt, .. } => Some((attempt, worker)),
                _ => None,
            })
            .collect();
        let inbox = self.mail().inbox(spec.client_key, agreement, TOPIC_LOGS).await;
        let inbox = inbox.map_err(|source| AppLogsError::Mail { agreement, source })?;
        let mut found: Vec<AttemptLogs> = Vec::new();
        let mut unusable = None;
        for (sender, message) in inbox {
            let worker = self.dispatcher().workerOf(sender).call().await;
            let worker = worker.doing(|| format!("reading whom {sender} acts for"))?;
            // Newest first; only a worker's own attempts count, and of each attempt the newest.
            for (attempt, _) in workers.iter().filter(|(_, accepted)| *accepted == worker) {
                if found.iter().any(|known| known.logs.attempt == *attempt) {
                    continue;
                }
                let context =
                    Context { purpose: Purpose::Logs, chain_id: self.deployment().chain_id, agreement, attempt: *attempt };
                let Ok(note) = envelope::open(&secret, &context, &message.body) else { continue };
                match self.opened(agreement, *attempt, &note).await {
                    Ok(logs) => found.push(AttemptLogs { worker, logs }),
                    Err(AppLogsError::Unusable { reason, .. }) => {
                        unusable = Some(AppLogsError::Unusable { agreement, worker, reason });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        found.sort_by_key(|attempt| attempt.logs.attempt);
        match unusable {
            _ if !found.is_empty() => Ok(found),
            Some(error) => Err(error),
            None => Err(AppLogsError::None { agreement, why: why_none(details.standing.status, workers.is_empty()) }),
        }
    }

    async fn opened(&self, agreement: Address, attempt: u8, note: &[u8]) -> Result<Logs, AppLogsError> {
        let unusable = |reason: String| AppLogsError::Unusable { agreement, worker: Address::ZERO, reason };
        let note: LogNote = serde_json::from_slice(note).map_err(|error| unusable(error.to_string()))?;
        if note.size_bytes > MAX_LOG_BLOB_BYTES {
            return Err(unusable(format!("they take {} bytes, at most {MAX_LOG_BLOB_BYTES} are read", note.size_bytes)));
        }
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("logs");
        let fetched = self.blobs().get_to_file(note.blob, note.size_bytes, &path).await;
        fetched.map_err(|source| AppLogsError::Blob { agreement, source })?;
        let blob = tokio::fs::read(&path).await?;
        Logs::open(note.key, agreement, attempt, &blob).map_err(|error: LogsError| unusable(error.to_string()))
    }
}

const fn why_none(status: Status, no_worker: bool) -> &'static str {
    match status {
        _ if no_worker => "no worker has accepted it",
        Status::Settled => "its worker has sent none; workers send them after the reveal, look again in a minute",
        Status::Cancelled => "its worker has sent none; it vanished, or all leaves were complete and none was paid",
        _ => "they come after the worker's reveal, so that no result is readable before it is paid for",
    }
}
