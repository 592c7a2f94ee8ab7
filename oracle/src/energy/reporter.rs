//! Shows the ledger two records that contradict each other. Anybody may; whoever is first has half of the bond, so a lost race is
//! no failure. Nothing is remembered: what the ledger knows already is seen in the index, and the call is tried before it is sent.
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy::primitives::{Address, B256};
use sunwork_edge::{TxManager, tx::TxError};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Finding, evidence::report_of};
use crate::{follow::Progress, store::Store};

/// Contradictions looked at in one round.
const MAX_FINDINGS: u32 = 100;
/// Pause before one that the ledger refuses, or that could not be sent, is tried again: a key may become liable again by a
/// reorganisation, but seldom.
const RETRY: Duration = Duration::from_secs(600);

/// What the reporter did since the start.
#[derive(Debug, Default)]
pub struct ReporterCounters {
    /// Reports that the ledger took.
    pub reported: AtomicU64,
    /// Reports that it refused: others were first, or the key is liable no more.
    pub refused: AtomicU64,
    /// Reports that could not be sent.
    pub failed: AtomicU64,
}

/// The reporter.
pub struct Reporter {
    store: Arc<Store>,
    tx: TxManager,
    ledger: Address,
    counters: Arc<ReporterCounters>,
    /// When one is to be tried again.
    later: HashMap<B256, Instant>,
}

impl Reporter {
    /// One that sends through `tx`.
    pub fn new(store: Arc<Store>, tx: TxManager, ledger: Address, counters: Arc<ReporterCounters>) -> Self {
        Self { store, tx, ledger, counters, later: HashMap::new() }
    }

    /// Works until cancelled.
    pub async fn run(mut self, mut progress: watch::Receiver<Progress>, poll: Duration, token: CancellationToken) {
        loop {
            // Only on an index that is up to date: an old one does not show what others reported.
            let is_fresh = {
                let progress = progress.borrow_and_update();
                progress.head.is_some() && progress.trouble.is_none() && progress.lag() == 0
            };
            if is_fresh {
                tokio::select! {
                    () = token.cancelled() => return,
                    () = self.round() => {}
                }
            }
            tokio::select! {
                () = token.cancelled() => return,
                changed = progress.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(poll) => {}
            }
        }
    }

    async fn round(&mut self) {
        let findings = match self.store.unreported(MAX_FINDINGS).await {
            Ok(findings) => findings,
            Err(error) => {
                tracing::warn!(%error, "contradictions cannot be read from the index");
                return;
            }
        };
        let now = Instant::now();
        self.later.retain(|_, until| now < *until);
        for finding in findings {
            if let Entry::Vacant(place) = self.later.entry(finding.id) {
                place.insert(now + RETRY);
                self.report(&finding).await;
            }
        }
    }

    async fn report(&self, finding: &Finding) {
        let Some(calldata) = report_of(finding) else {
            tracing::error!(id = %finding.id, "a contradiction holds no report");
            return;
        };
        let label = "reportEquivocation";
        let sent = match self.tx.simulate(label, self.ledger, calldata.clone()).await {
            Ok(_) => self.tx.send_intent(label, self.ledger, calldata, finding.id).await,
            Err(error) => Err(error),
        };
        let worker = finding.worker;
        match sent {
            Ok(receipt) => {
                self.counters.reported.fetch_add(1, Ordering::Relaxed);
                let (tx, gas) = (receipt.transaction_hash, receipt.gas_used);
                tracing::info!(%worker, id = %finding.id, %tx, gas, "an equivocation was reported to the ledger");
            }
            Err(error @ TxError::Reverted { .. }) => {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%worker, %error, "the ledger needs no report, or takes none");
            }
            Err(error) => {
                self.counters.failed.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%worker, %error, "an equivocation is not reported yet");
            }
        }
    }
}
