//! What the app printed: a file for each leaf while we are the worker, one encrypted blob for the client afterwards.
//!
//! Logs are a service and no duty: nothing here delays or stops an agreement. Before the reveal only leaves that did not
//! complete have their output sent, since a completed leaf's could hold the result that nobody has paid for.
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy::primitives::{Address, B256};
use sunwork_protocol::{
    envelope::{self, Purpose},
    leaf::Outcome,
    logs::{LeafLog, LogNote, Logs, MAX_LEAF_LOG_BYTES, MAX_LOG_BLOB_BYTES, MAX_LOGS_BYTES},
    mail::{Message, TOPIC_LOGS},
};

use super::{
    Supervisor,
    keys::{fresh_b256, fresh_bytes},
};
use crate::{
    crash,
    folder::write_durably,
    journal::{Agreement, Record},
    machine,
    runtime::{LeafRun, Printing},
    step::StepError,
    view::View,
};

/// Least that is kept of a leaf, however many there are.
const MIN_LEAF_LOG_BYTES: usize = 4 << 10;
/// Tries to send; with the pauses between them a minute or two.
const MAX_TRIES: u32 = 20;
/// Room for everything in a log blob that is not a leaf's.
const BLOB_MARGIN_BYTES: u64 = 64 << 10;
/// Largest file of a leaf that is read: two digits a byte, and the pieces' own words.
const MAX_FILE_BYTES: u64 = 4 * MAX_LEAF_LOG_BYTES as u64;
/// Who stopped a leaf knows no more.
const STOPPED: &str = "it was stopped before its end";

/// The files of one attempt.
#[derive(Clone, Debug)]
pub(super) struct LogStore {
    dir: PathBuf,
    cap: usize,
    /// Bytes in the folder.
    used: Arc<AtomicU64>,
}

impl LogStore {
    /// The files in `dir`, of a bag of `leaves`.
    pub(super) fn new(dir: PathBuf, leaves: u32) -> Self {
        let used = files(&dir).filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).sum();
        let cap = (MAX_LOGS_BYTES / leaves.max(1) as usize).clamp(MIN_LEAF_LOG_BYTES, MAX_LEAF_LOG_BYTES);
        Self { dir, cap, used: Arc::new(AtomicU64::new(used)) }
    }

    /// Collects what one leaf prints, within its share.
    pub(super) fn printing(&self) -> Printing {
        Printing::new(self.cap)
    }

    /// Watches over a leaf: whatever ends it, there is a log of it.
    pub(super) fn watch(&self, leaf: u32, printing: Printing) -> Watch {
        Watch { store: self.clone(), leaf, printing, open: true }
    }

    /// Failures go first: they may take as much again as everything else. What an earlier run of the leaf printed goes in any
    /// case: of a leaf that completed since, nothing may be taken for that of one that was stopped.
    fn save(&self, log: &LeafLog) -> std::io::Result<()> {
        self.forget(log.leaf)?;
        let bytes = serde_json::to_vec(log)?;
        let size = bytes.len() as u64;
        let most = if log.outcome == Some(Outcome::Completed) { MAX_LOG_BLOB_BYTES } else { 2 * MAX_LOG_BLOB_BYTES };
        if self.used.fetch_add(size, Ordering::Relaxed).saturating_add(size) > most {
            self.used.fetch_sub(size, Ordering::Relaxed);
            return Ok(());
        }
        write_durably(&self.path(log.leaf), &bytes)
    }

    fn forget(&self, leaf: u32) -> std::io::Result<()> {
        let path = self.path(leaf);
        let size = match std::fs::metadata(&path) {
            Ok(meta) => meta.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        std::fs::remove_file(path)?;
        self.used.fetch_sub(size, Ordering::Relaxed);
        Ok(())
    }

    fn path(&self, leaf: u32) -> PathBuf {
        self.dir.join(leaf.to_string())
    }
}

/// Keeps the log of one leaf, also when the leaf is dropped in the middle.
pub(super) struct Watch {
    store: LogStore,
    leaf: u32,
    printing: Printing,
    open: bool,
}

impl Watch {
    /// The leaf ended.
    pub(super) fn ended(mut self, run: &LeafRun) {
        let record = &run.record;
        // A leaf that completes in silence needs no log.
        if record.outcome != Outcome::Completed || !run.log.is_empty() {
            self.save(Some(record.outcome), record.exit_status, &run.message);
        } else if let Err(error) = self.store.forget(self.leaf) {
            tracing::warn!(leaf = self.leaf, %error, "the log of an earlier run of a leaf cannot be deleted");
        }
        self.open = false;
    }

    /// It will never end here.
    pub(super) fn failed(mut self, why: &str) {
        self.save(None, 0, why);
        self.open = false;
    }

    fn save(&self, outcome: Option<Outcome>, exit_status: i32, note: &str) {
        let printed = self.printing.printed();
        let log = LeafLog {
            leaf: self.leaf,
            outcome,
            exit_status,
            note: note.to_owned(),
            head: printed.head,
            omitted_bytes: printed.omitted_bytes,
            tail: printed.tail,
        };
        if let Err(error) = self.store.save(&log) {
            tracing::warn!(leaf = self.leaf, %error, "the log of a leaf is not kept");
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.open && !self.printing.printed().is_empty() {
            self.save(None, 0, STOPPED);
        }
    }
}

/// Sealed once, so that a second try sends the same.
#[derive(Debug)]
pub(super) struct SealedLogs {
    blob: Vec<u8>,
    note: LogNote,
}

impl Supervisor {
    /// The attempt whose logs the client asked for and has not got.
    pub(super) fn logs_of(&self, known: &Agreement) -> Option<u8> {
        let sent = known.logs_sent.map(|(attempt, _)| attempt);
        known.holding.filter(|attempt| !self.spec.client_key.is_zero() && sent != Some(*attempt))
    }

    /// One try; the last one that fails ends it.
    pub(super) async fn send_logs(&self, view: &View, known: &Agreement) -> Result<(), StepError> {
        let (agreement, Some(attempt)) = (self.address, self.logs_of(known)) else { return Ok(()) };
        let tries = self.log_tries.fetch_add(1, Ordering::Relaxed);
        match self.try_to_send_logs(view, known, attempt).await {
            Ok(blob) => {
                tracing::info!(%agreement, %blob, "the client has got the logs");
                Ok(self.ctx.journal.append(Record::LogsSent { agreement, attempt, blob: Some(blob) })?)
            }
            Err(error) if tries + 1 >= MAX_TRIES => {
                tracing::warn!(%agreement, %error, tries, "the client does not get the logs: given up");
                Ok(self.ctx.journal.append(Record::LogsSent { agreement, attempt, blob: None })?)
            }
            Err(error) => Err(error),
        }
    }

    async fn try_to_send_logs(&self, view: &View, known: &Agreement, attempt: u8) -> Result<B256, StepError> {
        let sealed = self.sealed_logs.get_or_try_init(|| self.seal_logs(view, known, attempt)).await?;
        let blob = self.ctx.blobs.put_bytes(sealed.blob.clone()).await.map_err(StepError::retry)?;
        let note = serde_json::to_vec(&sealed.note).map_err(StepError::retry)?;
        let (recipient, context) = (self.spec.client_key, self.envelope_context(Purpose::Logs, attempt));
        let body = envelope::seal(recipient, &context, &note, fresh_bytes()).map_err(StepError::retry)?;
        let message =
            Message::new(self.address, recipient, TOPIC_LOGS, self.mail_time_ms(), body).map_err(StepError::retry)?;
        self.ctx.mail.send(&self.ctx.signer, message).await.map_err(StepError::retry)?;
        crash::point("logs.sent");
        Ok(blob)
    }

    async fn seal_logs(&self, view: &View, known: &Agreement, attempt: u8) -> Result<SealedLogs, StepError> {
        let (agreement, me) = (self.address, self.ctx.me);
        let dir = self.ctx.folder.agreement(agreement).logs();
        let unpaid = (!machine::is_revealed(view, attempt, me)).then(|| why_unpaid(view, known));
        let done = known.leaves.len();
        let sealing = tokio::task::spawn_blocking(move || {
            let logs = collect(&dir, agreement, attempt, done, unpaid);
            let key = fresh_b256();
            let blob = logs.seal(key).map_err(|error| error.to_string())?;
            let note =
                LogNote { blob: sunwork_protocol::bundle::body_hash(&blob).into(), size_bytes: blob.len() as u64, key };
            Ok::<_, String>(SealedLogs { blob, note })
        });
        sealing.await.map_err(StepError::retry)?.map_err(StepError::Retry)
    }
}

fn why_unpaid(view: &View, known: &Agreement) -> String {
    match known.impossible {
        Some(reason) => format!("the worker gave up: {}", reason.meaning()),
        None if view.status.is_final() => format!("the agreement ended without a result: {}", view.ending),
        None => "the worker's attempt ended without a result".to_owned(),
    }
}

/// Everything that may be sent: failures first, then by leaf, as far as it fits. `unpaid` says why completed leaves are held
/// back, if they are; `done` is their number and that of the failed ones.
fn collect(dir: &Path, agreement: Address, attempt: u8, done: usize, unpaid: Option<String>) -> Logs {
    let mut found: Vec<(u64, LeafLog)> = files(dir).filter_map(|path| read(&path)).collect();
    let completed = |log: &LeafLog| log.outcome == Some(Outcome::Completed);
    let ended_badly = found.iter().filter(|(_, log)| !completed(log) && log.outcome.is_some()).count();
    found.retain(|(_, log)| unpaid.is_none() || !completed(log));
    found.sort_by_key(|(_, log)| (completed(log), log.leaf));
    let (mut room, mut left_out) = (MAX_LOG_BLOB_BYTES - BLOB_MARGIN_BYTES, 0);
    let mut leaves: Vec<LeafLog> = Vec::new();
    for (size, log) in found {
        // A comma each.
        if size < room {
            room -= size + 1;
            leaves.push(log);
        } else {
            left_out += 1;
        }
    }
    leaves.sort_by_key(|log| log.leaf);
    let mut withheld = Vec::new();
    if let Some(why) = unpaid {
        let held = done.saturating_sub(ended_badly);
        withheld.push(format!(
            "{why}; the output of {held} completed leaves is held back, since it could hold the unpaid result"
        ));
    }
    if left_out > 0 {
        withheld.push(format!(
            "the output of {left_out} leaves does not fit the {} MiB for all together",
            MAX_LOGS_BYTES >> 20
        ));
    }
    Logs { version: 1, agreement, attempt, leaves, withheld: withheld.join("; ") }
}

fn files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    // Drafts have an extension.
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_none())
}

/// The log in a file, with its length; what cannot be read is left out.
fn read(path: &Path) -> Option<(u64, LeafLog)> {
    let size = std::fs::metadata(path).ok()?.len();
    let bytes = (size <= MAX_FILE_BYTES).then(|| std::fs::read(path).ok())??;
    Some((size, serde_json::from_slice(&bytes).ok()?))
}

#[cfg(test)]
mod tests;
