//! The relay at work.
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, aliases::U48},
    sol_types::SolCall,
};
use sunwork_edge::{
    Rpc, TxManager,
    drand::{DrandClient, DrandError},
    tx::{Receipt, TxError},
};
use sunwork_protocol::{
    abi::IBeacon::{self, IBeaconInstance},
    drand::Schedule,
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{RelayCounters, Rounds, waited_round};
use crate::{chain::Header, follow::Progress, store::Store};

/// Agreements looked at in one round.
const MAX_ROWS: u32 = 5000;
/// What transactions under way may still take when the oracle is asked to stop; they are journaled.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// How the relay behaves.
#[derive(Clone, Copy, Debug)]
pub struct RelayOptions {
    /// The beacon contract.
    pub beacon: Address,
    /// When its rounds come.
    pub schedule: Schedule,
    /// Whether the deployment has late audits, whose lots are drawn by the beacon too.
    pub audits: bool,
    /// Chain time that others get to record a round first, seconds.
    pub grace_secs: u64,
    /// Longest pause between two looks at the index.
    pub poll: Duration,
}

/// The relay.
pub struct BeaconRelay {
    store: Arc<Store>,
    rpc: Rpc,
    tx: TxManager,
    source: DrandClient,
    options: RelayOptions,
    counters: Arc<RelayCounters>,
    rounds: Rounds,
    sending: JoinSet<(u64, Outcome)>,
}

/// How one round went.
enum Outcome {
    /// Others had recorded it.
    Known,
    /// Our transaction recorded it.
    Recorded(Box<Receipt>),
    /// No source has it.
    Unavailable(DrandError),
    /// The chain cannot be asked.
    Unreadable(alloy::contract::Error),
    /// The transaction did not work.
    NotSent(TxError),
}

impl BeaconRelay {
    /// A relay that fetches from `source` and sends through `tx`, whose owner settles what a crash left under way.
    pub fn new(
        store: Arc<Store>,
        rpc: Rpc,
        tx: TxManager,
        source: DrandClient,
        options: RelayOptions,
        counters: Arc<RelayCounters>,
    ) -> Self {
        let (rounds, sending) = (Rounds::default(), JoinSet::new());
        Self { store, rpc, tx, source, options, counters, rounds, sending }
    }

    /// Works until cancelled.
    pub async fn run(mut self, mut progress: watch::Receiver<Progress>, token: CancellationToken) {
        tracing::info!(beacon = %self.options.beacon, sources = self.source.urls().len(), "the beacon relay starts");
        loop {
            // Only on an index that is up to date: an old one shows rounds that nobody waits for any more.
            let head = {
                let progress = progress.borrow_and_update();
                progress.head.filter(|_| progress.trouble.is_none() && progress.lag() == 0)
            };
            if let Some(head) = head {
                tokio::select! {
                    () = token.cancelled() => break,
                    () = self.look(head) => {}
                }
            }
            tokio::select! {
                () = token.cancelled() => break,
                Some(done) = self.sending.join_next() => self.done(done),
                changed = progress.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(self.options.poll) => {}
            }
        }
        let rest = async { while self.sending.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, rest).await.is_err() {
            tracing::info!("recordings of the beacon relay are still under way; the next start settles them");
        }
    }

    /// Starts to record what is due.
    async fn look(&mut self, head: Header) {
        let rows = match self.store.waiting_for_beacon(MAX_ROWS).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "the beacon relay cannot read the index");
                return;
            }
        };
        let RelayOptions { schedule, audits, .. } = &self.options;
        let round_of = |row| waited_round(row, schedule, *audits, head.time);
        let waited: BTreeSet<u64> = rows.iter().filter_map(round_of).collect();
        self.counters.waiting.store(waited.len() as u64, Ordering::Relaxed);
        let newest = self.options.schedule.current_round(head.time.saturating_sub(self.options.grace_secs));
        for round in self.rounds.start(&waited, newest, Instant::now()) {
            let (rpc, tx, source) = (self.rpc.clone(), self.tx.clone(), self.source.clone());
            let beacon = self.options.beacon;
            self.sending.spawn(async move { (round, relay(&rpc, &tx, &source, beacon, round).await) });
        }
    }

    fn done(&mut self, done: Result<(u64, Outcome), JoinError>) {
        let (round, outcome) = match done {
            Ok(done) => done,
            // Its round stays under way until a restart, which is better than the same panic every second.
            Err(error) => {
                tracing::error!(%error, "a task of the beacon relay broke");
                return;
            }
        };
        let now = Instant::now();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Outcome::Known => {
                count(&self.counters.known);
                self.rounds.settled(round, now);
                tracing::debug!(round, "the beacon round is recorded already");
            }
            Outcome::Recorded(receipt) => {
                count(&self.counters.recorded);
                self.rounds.settled(round, now);
                let (hash, gas) = (receipt.transaction_hash, receipt.gas_used);
                tracing::info!(round, tx = %hash, block = receipt.block_number, gas, "the beacon relay recorded a round");
            }
            Outcome::Unavailable(error) => {
                count(&self.counters.unavailable);
                let again = self.rounds.failed(round, now);
                tracing::warn!(%error, again_secs = again.as_secs(), "the beacon relay asks again later");
            }
            Outcome::Unreadable(error) => {
                count(&self.counters.failed);
                self.rounds.failed(round, now);
                tracing::warn!(round, %error, "the beacon relay cannot read the beacon");
            }
            Outcome::NotSent(error) if error.is_temporary() => {
                count(&self.counters.failed);
                self.rounds.failed(round, now);
                tracing::warn!(round, %error, "the beacon relay tries again later");
            }
            Outcome::NotSent(error) => {
                count(&self.counters.failed);
                self.rounds.failed(round, now);
                tracing::error!(round, %error, "the beacon relay needs help");
            }
        }
    }
}

async fn relay(rpc: &Rpc, tx: &TxManager, source: &DrandClient, beacon: Address, round: u64) -> Outcome {
    let contract = IBeaconInstance::new(beacon, rpc.provider());
    let is_recorded = async || contract.seedOf(U48::from(round)).call().await.map(|seed| seed != B256::ZERO);
    match is_recorded().await {
        Ok(true) => return Outcome::Known,
        Ok(false) => {}
        Err(error) => return Outcome::Unreadable(error),
    }
    let proof = match source.round(round).await {
        Ok(proof) => proof,
        Err(error) => return Outcome::Unavailable(error),
    };
    // Sources may take their time, and recording a round again would be paid for in vain: it does not revert.
    match is_recorded().await {
        Ok(true) => return Outcome::Known,
        Ok(false) => {}
        Err(error) => return Outcome::Unreadable(error),
    }
    let call = IBeacon::recordCall { round: U48::from(round), proof: proof.proof() };
    match tx.send("record", beacon, call.abi_encode().into()).await {
        Ok(receipt) => Outcome::Recorded(Box::new(receipt)),
        Err(error) => Outcome::NotSent(error),
    }
}
