//! The keeper at work.
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use alloy::{
    primitives::{Address, Bytes, aliases::U48, keccak256},
    providers::Provider,
    sol_types::SolCall,
};
use futures::{StreamExt as _, stream};
use sunwork_edge::{Rpc, TxManager, tx::TxError};
use sunwork_protocol::{
    abi::{
        IBeacon::{self, IBeaconInstance},
        IComputeAgreement::{self, AgreementView, IComputeAgreementInstance},
    },
    drand::Schedule,
    status::Status,
};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    KeeperCounters,
    decide::{Count, Next, Poke, Standing, decide},
};
use crate::{chain::Header, fold::AgreementRow, follow::Progress, json::Account, store::Store};

/// Agreements looked at in one round.
const MAX_ROWS: u32 = 5000;
/// Agreements asked at a time.
const PARALLEL_READS: usize = 8;
/// Transactions under way at a time.
const MAX_UNDER_WAY: usize = 8;
/// Chain time until a failed poke is tried again, seconds.
const RETRY_SECS: u64 = 10;
/// Pause between looks after transactions that nobody waits for.
const TEND_PAUSE: Duration = Duration::from_secs(3);
/// What transactions under way may still take when the oracle is asked to stop. They are journaled, so the next start
/// settles what is left.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// How the keeper behaves.
#[derive(Clone, Copy, Debug)]
pub struct KeeperOptions {
    /// Chain time that others get to act first, seconds.
    pub grace_secs: u64,
    /// Longest pause between two rounds.
    pub poll: Duration,
    /// Which beacon the deployment has.
    pub beacon: KeeperBeacon,
    /// Its contract.
    pub beacon_contract: Address,
    /// Whether the deployment has late audits, whose lots are drawn by the beacon.
    pub audits: bool,
}

/// What a beacon's rounds are, and what proves one.
#[derive(Clone, Copy, Debug)]
pub enum KeeperBeacon {
    /// Blocks, proven by their headers.
    Block,
    /// Rounds of a drand chain. A draw is opened once its round is recorded, by the relay or by others.
    Drand {
        /// When rounds come.
        schedule: Schedule,
    },
}

/// The keeper.
pub struct Keeper {
    store: Arc<Store>,
    rpc: Rpc,
    tx: TxManager,
    options: KeeperOptions,
    counters: Arc<KeeperCounters>,
    /// When an agreement is to be looked at again: the block of its last event when that was decided, and the chain time.
    later: HashMap<Account, (u64, u64)>,
    /// Agreements with a transaction under way.
    busy: HashSet<Account>,
    sending: JoinSet<(Account, u64)>,
}

impl Keeper {
    /// A keeper that sends through `tx`.
    pub fn new(
        store: Arc<Store>,
        rpc: Rpc,
        tx: TxManager,
        options: KeeperOptions,
        counters: Arc<KeeperCounters>,
    ) -> Self {
        let (later, busy, sending) = (HashMap::new(), HashSet::new(), JoinSet::new());
        Self { store, rpc, tx, options, counters, later, busy, sending }
    }

    /// Works until cancelled.
    pub async fn run(mut self, mut progress: watch::Receiver<Progress>, token: CancellationToken) {
        tracing::info!(account = %self.tx.address(), "the keeper starts");
        // Beside the rounds: one transaction that is stuck must not hold up the others.
        let mut tending = JoinSet::new();
        tending.spawn(tend(self.tx.clone()));
        loop {
            // Only on an index that is up to date: an old one shows deadlines that have long been met.
            let head = {
                let progress = progress.borrow_and_update();
                progress.head.filter(|_| progress.trouble.is_none() && progress.lag() == 0)
            };
            if let Some(head) = head {
                tokio::select! {
                    () = token.cancelled() => break,
                    () = self.round(head) => {}
                }
            }
            tokio::select! {
                () = token.cancelled() => break,
                Some(done) = self.sending.join_next() => self.done(done, head),
                changed = progress.changed() => if changed.is_err() { break },
                () = tokio::time::sleep(self.options.poll) => {}
            }
        }
        let rest = async { while self.sending.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_GRACE, rest).await.is_err() {
            tracing::info!("transactions of the keeper are still under way; the next start settles them");
        }
    }

    fn done(&mut self, done: Result<(Account, u64), tokio::task::JoinError>, head: Option<Header>) {
        match done {
            Ok((agreement, updated_block)) => {
                self.busy.remove(&agreement);
                let again = head.map_or(0, |head| head.time.saturating_add(RETRY_SECS));
                self.later.insert(agreement, (updated_block, again));
            }
            // Its agreement stays busy until a restart, which is better than the same panic every second.
            Err(error) => tracing::error!(%error, "a task of the keeper broke"),
        }
    }

    /// Looks at all agreements that may be due.
    async fn round(&mut self, head: Header) {
        let due_before = head.time.saturating_sub(self.options.grace_secs);
        let rows = match self.store.maybe_due(due_before, MAX_ROWS).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "the keeper cannot read the index");
                return;
            }
        };
        let listed: HashSet<Account> = rows.iter().map(|row| row.address).collect();
        self.later.retain(|agreement, _| listed.contains(agreement));
        let due: Vec<AgreementRow> = rows.into_iter().filter(|row| self.is_due(row, head.time)).collect();
        let (rpc, options) = (self.rpc.clone(), self.options);
        let standings: Vec<_> = stream::iter(due)
            .map(|row| {
                let rpc = &rpc;
                async move {
                    let standing = standing(rpc, options, &row, head).await;
                    (row, standing)
                }
            })
            .buffer_unordered(PARALLEL_READS)
            .collect()
            .await;
        for (row, standing) in standings {
            self.act(&row, standing, head);
        }
    }

    fn is_due(&self, row: &AgreementRow, now: u64) -> bool {
        let waits =
            self.later.get(&row.address).is_some_and(|(block, until)| *block == row.updated_block && now < *until);
        !waits && !self.busy.contains(&row.address)
    }

    fn act(&mut self, row: &AgreementRow, standing: Result<Standing, String>, head: Header) {
        let agreement = row.address;
        let next = match standing {
            Ok(standing) => decide(&standing, head.time, self.options.grace_secs),
            Err(error) => {
                tracing::warn!(%agreement, error, "the keeper cannot read an agreement");
                Next::LookAgain(head.time.saturating_add(RETRY_SECS))
            }
        };
        match next {
            Next::LookAgain(time) => {
                self.later.insert(agreement, (row.updated_block, time));
            }
            Next::Poke(_) if self.busy.len() >= MAX_UNDER_WAY => {}
            Next::Poke(poke) => {
                self.busy.insert(agreement);
                let (rpc, tx, counters) = (self.rpc.clone(), self.tx.clone(), self.counters.clone());
                let (options, round) = (self.options, row.beacon_round());
                let updated_block = row.updated_block;
                self.sending.spawn(async move {
                    send(&rpc, &tx, &counters, agreement, poke, (options, round)).await;
                    (agreement, updated_block)
                });
            }
        }
    }
}

/// Settles what was under way before a restart, and whatever nobody waits for any more.
async fn tend(tx: TxManager) {
    loop {
        match tx.tend().await {
            Ok(settled) => {
                for (entry, outcome) in settled {
                    tracing::info!(label = %entry.label, to = %entry.to, hash = %entry.hash, ?outcome, "settled");
                }
            }
            Err(error) => tracing::warn!(%error, "the keeper's earlier transactions are not looked after now"),
        }
        tokio::time::sleep(TEND_PAUSE).await;
    }
}

/// Asks the contract, and for a sealed one whether its round is over.
async fn standing(rpc: &Rpc, options: KeeperOptions, row: &AgreementRow, head: Header) -> Result<Standing, String> {
    let contract = IComputeAgreementInstance::new(row.address.0, rpc.provider());
    let view = contract.agreement().call().await.map_err(|error| format!("calling agreement(): {error}"))?;
    let status = Status::from_u8(view.status)
        .ok_or_else(|| format!("it has status {}, which this version does not know", view.status))?;
    let round_time = match status {
        // The contract knows the seed once the round is recorded.
        Status::Sealed => round_time(rpc, options.beacon, view.round.to(), !view.drawSeed.is_zero(), head).await?,
        _ => None,
    };
    let (deadline, closes_at) = (view.deadline.to(), view.closesAt.to());
    let count = match status {
        Status::Opening => count(rpc, options, &view, head).await?,
        _ => Count::NotYet,
    };
    Ok(Standing { status, deadline, closes_at, round_time, count })
}

/// How far the openings are.
async fn count(rpc: &Rpc, options: KeeperOptions, view: &AgreementView, head: Header) -> Result<Count, String> {
    let drawn = view.slots.len().saturating_sub(view.firstSlot.into());
    if drawn == 0 || usize::from(view.openedCount) != drawn {
        return Ok(Count::NotYet);
    }
    if !options.audits || view.voteRound != 0 {
        return Ok(Count::Ready);
    }
    // The lot's round stands where the class's units stood (contracts/types/ComputeState.sol).
    let lot: u64 = view.classUnits.to();
    let seed = IBeaconInstance::new(options.beacon_contract, rpc.provider()).seedOf(U48::from(lot)).call().await;
    let seed = seed.map_err(|error| format!("calling seedOf({lot}): {error}"))?;
    Ok(match options.beacon {
        _ if !seed.is_zero() => Count::Ready,
        KeeperBeacon::Block if lot < head.number => Count::ProveLot(lot),
        KeeperBeacon::Block | KeeperBeacon::Drand { .. } => Count::WaitsForLot,
    })
}

/// When the round came, once the draw can be opened: a block proves itself, a drand round must be recorded first.
async fn round_time(
    rpc: &Rpc,
    beacon: KeeperBeacon,
    round: u64,
    is_recorded: bool,
    head: Header,
) -> Result<Option<u64>, String> {
    match beacon {
        KeeperBeacon::Block if round < head.number => {
            let block = rpc.provider().get_block_by_number(round.into()).await;
            let block = block.map_err(|error| format!("asking for block {round}: {error}"))?;
            Ok(block.map(|block| block.header.inner.timestamp))
        }
        KeeperBeacon::Drand { schedule } => Ok(is_recorded.then(|| schedule.time_of(round))),
        KeeperBeacon::Block => Ok(None),
    }
}

async fn send(
    rpc: &Rpc,
    tx: &TxManager,
    counters: &KeeperCounters,
    agreement: Account,
    poke: Poke,
    (options, round): (KeeperOptions, Option<u64>),
) {
    let to = match poke {
        Poke::ProveLot(_) => options.beacon_contract,
        Poke::Expire | Poke::OpenDraw | Poke::Decide => agreement.0,
    };
    let (label, calldata) = match poke {
        Poke::Expire => ("expire", Ok(IComputeAgreement::expireCall {}.abi_encode())),
        Poke::Decide => ("decide", Ok(IComputeAgreement::decideCall {}.abi_encode())),
        Poke::OpenDraw => ("openDraw", open_draw(rpc, options.beacon, round).await),
        Poke::ProveLot(block) => ("record", record(rpc, block).await),
    };
    let result = match calldata {
        Ok(calldata) => simulate_and_send(tx, label, to, calldata.into()).await,
        Err(reason) => Err(TxError::Temporary { label: label.to_owned(), reason }),
    };
    match result {
        Ok(receipt) => {
            counters.mined.fetch_add(1, Ordering::Relaxed);
            let (hash, gas) = (receipt.transaction_hash, receipt.gas_used);
            tracing::info!(%agreement, poke = label, tx = %hash, block = receipt.block_number, gas, "the keeper moved it on");
        }
        // Somebody was first, or the deadline moved: the index will show it.
        Err(error @ TxError::Reverted { .. }) => {
            counters.lost.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(%agreement, poke = label, %error, "not needed any more");
        }
        Err(error) if error.is_temporary() => {
            counters.failed.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%agreement, poke = label, %error, "the keeper tries again later");
        }
        Err(error) => {
            counters.failed.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%agreement, poke = label, %error, "the keeper needs help");
        }
    }
}

async fn simulate_and_send(
    tx: &TxManager,
    label: &str,
    to: Address,
    calldata: Bytes,
) -> Result<sunwork_edge::tx::Receipt, TxError> {
    tx.simulate(label, to, calldata.clone()).await?;
    tx.send(label, to, calldata).await
}

/// `openDraw` with the header of the round's block, which the contract checks against the block's hash; or without a proof,
/// since a drand round is recorded before.
async fn open_draw(rpc: &Rpc, beacon: KeeperBeacon, round: Option<u64>) -> Result<Vec<u8>, String> {
    if matches!(beacon, KeeperBeacon::Drand { .. }) {
        return Ok(IComputeAgreement::openDrawCall { beaconProof: Bytes::new() }.abi_encode());
    }
    let round = round.ok_or("the index knows no round of it")?;
    let proof = header_of(rpc, round).await?;
    Ok(IComputeAgreement::openDrawCall { beaconProof: proof }.abi_encode())
}

/// `record` at a beacon whose rounds are blocks.
async fn record(rpc: &Rpc, block: u64) -> Result<Vec<u8>, String> {
    let proof = header_of(rpc, block).await?;
    Ok(IBeacon::recordCall { round: U48::from(block), proof }.abi_encode())
}

async fn header_of(rpc: &Rpc, number: u64) -> Result<Bytes, String> {
    let block = rpc.provider().get_block_by_number(number.into()).await;
    let block = block.map_err(|error| format!("asking for block {number}: {error}"))?;
    let header = block.ok_or_else(|| format!("block {number} is unknown"))?.header;
    let proof = alloy::rlp::encode(&header.inner);
    let found = keccak256(&proof);
    if found != header.hash {
        let expected = header.hash;
        return Err(format!(
            "the header of block {number} as the node gives it hashes to {found}, expected {expected}: it lacks a field"
        ));
    }
    Ok(proof.into())
}
