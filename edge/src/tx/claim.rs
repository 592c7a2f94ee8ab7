//! The right to send, where several processes share a key.
use std::sync::Arc;

use tokio::time::Instant;

use super::{Claim, Notice, TxError, TxManager, since};

/// What the log gave.
pub(super) struct Guard {
    _held: Box<dyn Send + Sync>,
}

/// The right to send with a key; ends with the value. Tasks of one process share it.
#[must_use = "the right to send ends with the value"]
pub struct Claimed {
    _guard: Option<Arc<Guard>>,
}

impl TxManager {
    /// Gets the right to send, waiting for another process if need be, and settles what processes that are gone left behind.
    /// Every `send` does it by itself; hold one yourself where what you send depends on what was sent before.
    ///
    /// # Errors
    /// `Busy` when another process keeps it for too long, `Log` when the log cannot be used, and as
    /// [`TxManager::recover`].
    pub async fn claim(&self, label: &str) -> Result<Claimed, TxError> {
        let inner = &self.inner;
        let mut claimed = inner.claimed.lock().await;
        if let Some(guard) = claimed.upgrade() {
            return Ok(Claimed { _guard: Some(guard) });
        }
        let started = Instant::now();
        let mut told = None;
        let held = loop {
            match inner.log.claim().map_err(|error| TxError::log(label, error))? {
                Claim::NotShared => return Ok(Claimed { _guard: None }),
                Claim::Held(held) => break held,
                Claim::Busy { pid, lock } => {
                    let waited = since(started);
                    if waited >= inner.options.claim_wait {
                        return Err(TxError::Busy { label: label.to_owned(), pid, lock, waited });
                    }
                    // Told again when it is another process's turn. The pid may be unknown for a moment.
                    if told.is_none() || (pid.is_some() && told != Some(pid)) {
                        told = Some(pid);
                        inner.options.notify.tell(Notice::WaitingForOther { pid });
                    }
                }
            }
            tokio::time::sleep(inner.options.poll).await;
        };
        let guard = Arc::new(Guard { _held: held });
        self.settle_pending().await?;
        *claimed = Arc::downgrade(&guard);
        Ok(Claimed { _guard: Some(guard) })
    }
}
