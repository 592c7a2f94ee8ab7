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

/// Longest sentence of a worker that is kept.
const MAX_SENTENCE_CHARS: usize = 1000;

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
                let context = Context {
                    purpose: Purpose::Logs,
                    chain_id: self.deployment().chain_id,
                    agreement,
                    attempt: *attempt,
                };
                let Ok(note) = envelope::open(&secret, &context, &message.body) else { continue };
                match self.opened(agreement, *attempt, &note).await {
                    Ok(logs) => found.push(AttemptLogs { worker, logs }),
                    Err(AppLogsError::Unusable { reason, .. }) => {
                        unusable = Some(AppLogsError::Unusable { agreement, worker, reason });
                    }
                    // A worker whose blob is nowhere must not hide the logs of the others.
                    Err(error) => unusable = Some(error),
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
            return Err(unusable(format!(
                "they take {} bytes, at most {MAX_LOG_BLOB_BYTES} are read",
                note.size_bytes
            )));
        }
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("logs");
        let fetched = self.blobs().get_to_file(note.blob, note.size_bytes, &path).await;
        fetched.map_err(|source| AppLogsError::Blob { agreement, source })?;
        let blob = tokio::fs::read(&path).await?;
        let logs = Logs::open(note.key, agreement, attempt, &blob);
        logs.map(printable).map_err(|error: LogsError| unusable(error.to_string()))
    }
}

/// The worker's own words as they may be printed anywhere: its sentences go to terminals, control characters would steer them.
/// What the app printed stays as it is.
fn printable(mut logs: Logs) -> Logs {
    let tidy = |text: &mut String| {
        *text = text.chars().take(MAX_SENTENCE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    };
    tidy(&mut logs.withheld);
    logs.leaves.iter_mut().for_each(|leaf| tidy(&mut leaf.note));
    logs
}

const fn why_none(status: Status, no_worker: bool) -> &'static str {
    match status {
        _ if no_worker => "no worker has accepted it",
        Status::Settled => "its worker has sent none; workers send them after the reveal, look again in a minute",
        Status::Cancelled => "its worker has sent none; it vanished, or all leaves were complete and none was paid",
        _ => "they come after the worker's reveal, so that no result is readable before it is paid for",
    }
}

#[cfg(test)]
mod tests {
    use sunwork_protocol::logs::LeafLog;

    use super::*;

    #[test]
    fn a_worker_cannot_steer_the_terminal_with_its_sentences() {
        let evil = "done\x1b]0;owned\x07\u{9b}2J\n".to_owned() + &"x".repeat(100_000);
        let leaf = LeafLog {
            leaf: 0,
            outcome: None,
            exit_status: 0,
            note: evil.clone(),
            head: vec![],
            omitted_bytes: 0,
            tail: vec![],
        };
        let logs = Logs { version: 1, agreement: Address::ZERO, attempt: 0, leaves: vec![leaf], withheld: evil };
        let logs = printable(logs);
        for text in [&logs.withheld, &logs.leaves[0].note] {
            assert!(text.starts_with("done ]0;owned  2J ") && !text.contains(char::is_control), "{text:?}");
            assert_eq!(text.chars().count(), MAX_SENTENCE_CHARS);
        }
    }
}
