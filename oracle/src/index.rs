//! Follows the chain into the store.
//!
//! ```text
//!            head ≤ last, same chain                     ┌── far from the head: logs by range ──┐
//! step ──▶ is our last block still there? ──yes──▶ next blocks                                    ├─▶ append (one transaction)
//!                    │ no                                └── near it: header by header, logs by hash ─┘
//!                    ▼
//!          walk back to the common ancestor ──▶ roll back (one transaction)
//! ```
//! A step does one of: nothing, one rollback, one append. All that it knows is in the store, so a crash between steps, or
//! inside one, changes nothing. Near the head every block is asked for by its hash and linked to its parent: no answer of a
//! node that lags behind or stands on another fork can slip in.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use alloy::primitives::{Address, B256, Bytes};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sunwork_protocol::energy::Link;

use crate::{
    chain::{ChainLog, ChainSource, Header, SourceError},
    energy::{CertificateMove, EnergyContracts, calldata, moves_of},
    events::{self, Event, PlacedEvent},
    json::Account,
    store::{Batch, ReadRecord, Store, StoreError},
};

/// Requests under way at a time: enough to hide a node's latency, few enough for public nodes.
const PARALLEL: usize = 8;

/// Steps that may fail over one trace. A stranger can make a transaction that no node can trace; it must not stop the index.
const TRACE_TRIES: u32 = 3;

/// How the index follows the chain.
#[derive(Clone, Copy, Debug)]
pub struct IndexOptions {
    /// Where the contracts begin.
    pub deployed_block: u64,
    /// The dispatcher, whose word decides which agreements are ours.
    pub dispatcher: Address,
    /// Blocks that are remembered, and below which a reorganisation is not expected.
    pub keep_blocks: u64,
    /// Most blocks of one step near the head.
    pub near_blocks: u64,
    /// Most blocks of one request far from it.
    pub far_blocks: u64,
    /// The energy contracts, where there are any.
    pub energy: Option<EnergyContracts>,
}

impl IndexOptions {
    /// The usual numbers for a deployment.
    pub const fn new(deployed_block: u64, dispatcher: Address, energy: Option<EnergyContracts>) -> Self {
        Self { deployed_block, dispatcher, keep_blocks: 256, near_blocks: 64, far_blocks: 2000, energy }
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All blocks are in.
    UpToDate,
    /// Blocks were added; the newest one is named, and the head that was seen.
    Advanced {
        /// Newest block in the index.
        to: u64,
        /// Newest block of the chain.
        head: u64,
        /// Events that were kept.
        events: usize,
    },
    /// The chain was reorganised; everything above the ancestor is gone, or everything for `None`.
    RolledBack {
        /// Newest block before.
        from: u64,
        /// Newest block now.
        to: Option<u64>,
    },
    /// The node is behind what is indexed already, on the same chain.
    NodeBehind {
        /// Newest block of the node.
        head: u64,
        /// Newest block in the index.
        indexed: u64,
    },
    /// The contracts are not deployed yet.
    BeforeDeployment {
        /// Newest block of the chain.
        head: u64,
    },
}

/// Why a step failed. Nothing changed; the next one starts anew.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The chain could not be read.
    #[error("reading the chain: {0}")]
    Chain(#[from] SourceError),
    /// The store failed.
    #[error("keeping the index: {0}")]
    Store(#[from] StoreError),
}

/// The index over one chain and one store.
#[derive(Debug)]
pub struct Indexer<S> {
    source: S,
    store: Arc<Store>,
    options: IndexOptions,
    /// Size of the next far request: halved when a node refuses, grown again slowly.
    far_blocks: u64,
    /// Head that the last step saw.
    head: Option<Header>,
    /// Transactions that could not be traced yet, and how often that was tried.
    untraced: HashMap<B256, u32>,
}

impl<S: ChainSource> Indexer<S> {
    /// An index that goes on where the store is.
    pub fn new(source: S, store: Arc<Store>, options: IndexOptions) -> Self {
        Self { source, store, far_blocks: options.far_blocks.max(1), options, head: None, untraced: HashMap::new() }
    }

    /// Head of the chain as the last step saw it.
    pub const fn head(&self) -> Option<Header> {
        self.head
    }

    /// Does the next thing that is to be done.
    ///
    /// # Errors
    /// When the chain cannot be read or the store fails.
    pub async fn step(&mut self) -> Result<Step, IndexError> {
        let head = self.source.head().await?;
        self.head = Some(head);
        let Some(last) = self.store.last_block().await? else {
            if head.number < self.options.deployed_block {
                return Ok(Step::BeforeDeployment { head: head.number });
            }
            return self.advance(None, head).await;
        };
        if head.number < last.number {
            return self.shorter_chain(head, last).await;
        }
        if self.on_chain(last, head).await? {
            if head.number == last.number {
                return Ok(Step::UpToDate);
            }
            return self.advance(Some(last), head).await;
        }
        self.roll_back(last, head).await
    }

    /// The node's chain is shorter than ours: it lags, or it was reorganised to a shorter one.
    async fn shorter_chain(&self, head: Header, last: Header) -> Result<Step, IndexError> {
        match self.store.highest_block_upto(head.number).await? {
            Some(below) if !self.on_chain(below, head).await? => self.roll_back(last, head).await,
            // On our chain, or not even at the deployment yet, which proves nothing.
            _ => Ok(Step::NodeBehind { head: head.number, indexed: last.number }),
        }
    }

    /// Whether `ours`, which is not above the head, is a block of the chain.
    async fn on_chain(&self, ours: Header, head: Header) -> Result<bool, IndexError> {
        if ours.number == head.number {
            return Ok(ours.hash == head.hash);
        }
        let theirs = self.existing(ours.number, head).await?;
        Ok(theirs.hash == ours.hash)
    }

    /// A block at or below the head: it exists, or the answers come from different nodes.
    async fn existing(&self, number: u64, head: Header) -> Result<Header, SourceError> {
        self.source.header(number).await?.ok_or_else(|| {
            SourceError::Inconsistent(format!("block {number} is unknown, though {} is the newest", head.number))
        })
    }

    async fn roll_back(&self, last: Header, head: Header) -> Result<Step, IndexError> {
        let mut below = self.store.highest_block_upto(last.number.min(head.number)).await?;
        // Bounded by the blocks that are remembered.
        while let Some(ours) = below {
            if self.on_chain(ours, head).await? {
                break;
            }
            below = match ours.number.checked_sub(1) {
                Some(limit) => self.store.highest_block_upto(limit).await?,
                None => None,
            };
        }
        let to = below.map(|ancestor| ancestor.number);
        self.store.rollback(to).await?;
        Ok(Step::RolledBack { from: last.number, to })
    }

    async fn advance(&mut self, last: Option<Header>, head: Header) -> Result<Step, IndexError> {
        let from = last.map_or(self.options.deployed_block, |last| last.number.saturating_add(1));
        let far_end = head.number.saturating_sub(self.options.keep_blocks);
        // The very first block is always taken near, by itself: it is the one that stays remembered for ever, by which a
        // chain that replaced another is told.
        let (headers, logs) = if last.is_some() && from <= far_end {
            self.read_far(from, far_end).await?
        } else {
            let limit = if last.is_some() { self.options.near_blocks.max(1) } else { 1 };
            let to = head.number.min(from.saturating_add(limit - 1));
            self.read_near(last, from, to, head).await?
        };
        let Some(end) = headers.last().copied() else {
            return Err(SourceError::Inconsistent(format!("no header from block {from} on")).into());
        };
        let moves = self.certificates(&headers, &logs)?;
        let events = self.keep(&headers, logs).await?;
        let records = self.read_records(&events).await?;
        let count = events.len();
        let remembered = |header: &Header| header.number > far_end || header.number == end.number || last.is_none();
        self.store
            .append(&Batch {
                headers: headers.iter().filter(|header| remembered(header)).copied().collect(),
                events,
                prune_from: self.options.deployed_block.saturating_add(1),
                prune_to: end.number.saturating_sub(self.options.keep_blocks),
                energy: self.options.energy,
                records,
                moves,
            })
            .await?;
        Ok(Step::Advanced { to: end.number, head: head.number, events: count })
    }

    /// Blocks near the head: each header linked to the one before, logs by block hash.
    async fn read_near(
        &self,
        last: Option<Header>,
        from: u64,
        to: u64,
        head: Header,
    ) -> Result<(Vec<Header>, Vec<ChainLog>), SourceError> {
        let headers: Vec<Header> =
            stream::iter(from..=to).map(|number| self.existing(number, head)).buffered(PARALLEL).try_collect().await?;
        let mut parent = last.map(|last| last.hash);
        for header in &headers {
            if parent.is_some_and(|parent| parent != header.parent) {
                let reason = format!("block {} does not follow block {}", header.number, header.number - 1);
                return Err(SourceError::Inconsistent(reason));
            }
            parent = Some(header.hash);
        }
        let hashes: Vec<B256> = headers.iter().map(|header| header.hash).collect();
        let logs: Vec<Vec<ChainLog>> =
            stream::iter(hashes).map(|hash| self.source.logs_of_block(hash)).buffered(PARALLEL).try_collect().await?;
        Ok((headers, logs.into_iter().flatten().collect()))
    }

    /// Blocks that no reorganisation is expected to reach: logs of many at once, and the headers of those that have any.
    async fn read_far(&mut self, from: u64, far_end: u64) -> Result<(Vec<Header>, Vec<ChainLog>), SourceError> {
        let to = far_end.min(from.saturating_add(self.far_blocks - 1));
        let logs = match self.source.logs_of_range(from, to).await {
            Ok(logs) => logs,
            Err(SourceError::TooMuch { .. }) if self.far_blocks > 1 => {
                self.far_blocks = (self.far_blocks / 2).max(1);
                let error = format!("asking again for at most {} blocks at a time", self.far_blocks);
                return Err(SourceError::TooMuch { from, to, reason: error });
            }
            Err(error) => return Err(error),
        };
        self.far_blocks = (self.far_blocks + self.far_blocks / 8 + 1).min(self.options.far_blocks.max(1));
        let mut numbers: BTreeSet<u64> = logs.iter().map(|log| log.block).collect();
        if let Some(outside) = numbers.iter().find(|number| **number < from || **number > to) {
            let reason = format!("a log of block {outside} came, expected blocks {from} to {to}");
            return Err(SourceError::Inconsistent(reason));
        }
        numbers.insert(to);
        let source = &self.source;
        let headers = stream::iter(numbers)
            .map(|number| async move {
                let header = source.header(number).await?;
                header.ok_or_else(|| SourceError::Inconsistent(format!("block {number} is unknown")))
            })
            .buffered(PARALLEL)
            .try_collect()
            .await?;
        Ok((headers, logs))
    }

    /// Keeps what the dispatcher and its agreements said. An agreement may speak before the dispatcher announces it (in the
    /// same transaction), so purchases are gathered first.
    async fn keep(&self, headers: &[Header], logs: Vec<ChainLog>) -> Result<Vec<PlacedEvent>, IndexError> {
        let dispatcher = self.options.dispatcher;
        let ledger = self.options.energy.map(|energy| energy.ledger);
        let bought: BTreeSet<Address> = logs
            .iter()
            .filter(|log| log.address() == dispatcher)
            .filter_map(|log| events::bought_agreement(&log.log))
            .collect();
        let strangers: BTreeSet<Address> = logs
            .iter()
            .map(ChainLog::address)
            .filter(|address| *address != dispatcher && Some(*address) != ledger && !bought.contains(address))
            .collect();
        let known = self.store.known_agreements(&strangers).await?;
        let mut kept = Vec::new();
        for log in logs {
            let address = log.address();
            let is_ours = bought.contains(&address) || known.contains(&address);
            let event = if address == dispatcher {
                Event::of_dispatcher(&log.log)
            } else if Some(address) == ledger {
                Event::of_ledger(&log.log)
            } else if is_ours {
                Event::of_agreement(&log.log)
            } else {
                None
            };
            let Some(event) = event else { continue };
            let time = time_of(headers, &log)?;
            let from_dispatcher = address == dispatcher;
            let from_ledger = Some(address) == ledger;
            kept.push(PlacedEvent {
                block: log.block,
                block_hash: log.block_hash,
                time,
                log_index: log.log_index,
                tx: log.tx,
                address: Account(address),
                agreement: match () {
                    () if from_dispatcher => event.agreement(),
                    () if from_ledger => None,
                    () => Some(Account(address)),
                },
                worker: if from_dispatcher { event.worker() } else { None },
                client: if from_dispatcher { event.client() } else { None },
                meter: if from_ledger { event.meter() } else { None },
                event,
            });
        }
        kept.sort_by_key(|event| (event.block, event.log_index));
        Ok(kept)
    }
    /// What certificates did.
    fn certificates(&self, headers: &[Header], logs: &[ChainLog]) -> Result<Vec<CertificateMove>, SourceError> {
        let Some(energy) = self.options.energy else { return Ok(Vec::new()) };
        let mut moves = Vec::new();
        for log in logs.iter().filter(|log| log.address() == energy.certificates) {
            moves.extend(moves_of(log, time_of(headers, log)?));
        }
        Ok(moves)
    }

    /// The signed records behind the ledger's events: no event carries the counts.
    async fn read_records(&mut self, events: &[PlacedEvent]) -> Result<BTreeMap<(u64, u64), ReadRecord>, SourceError> {
        let Some(energy) = self.options.energy else { return Ok(BTreeMap::new()) };
        let is_record =
            |placed: &&PlacedEvent| matches!(placed.event, Event::DayRecorded { .. } | Event::GapRecorded { .. });
        let recorded: Vec<&PlacedEvent> = events.iter().filter(is_record).collect();
        let sent: BTreeMap<B256, B256> = recorded.iter().map(|placed| (placed.tx, placed.block_hash)).collect();
        let (source, untraced) = (&self.source, &self.untraced);
        let read: Vec<_> = stream::iter(sent)
            .map(|(tx, block)| async move {
                let tries = untraced.get(&tx).copied().unwrap_or(0);
                (tx, calls(source, &energy, tx, block, tries).await)
            })
            .buffered(PARALLEL)
            .collect()
            .await;
        let mut inputs = HashMap::new();
        for (tx, calls) in read {
            match calls {
                Ok(calls) => inputs.insert(tx, calls),
                Err(Unread::Sent(error)) => return Err(error),
                Err(Unread::Trace(error)) => {
                    *self.untraced.entry(tx).or_default() += 1;
                    return Err(error);
                }
            };
        }
        self.untraced.clear();
        let mut records = BTreeMap::new();
        for placed in recorded {
            let record = match inputs.get(&placed.tx) {
                Some(Ok(inputs)) => calldata::named_by(&placed.event, inputs)
                    .map(|(_, bytes)| bytes)
                    .ok_or_else(|| "no call of its transaction holds the record that the ledger names".to_owned()),
                Some(Err(reason)) => Err(reason.clone()),
                None => Err("its transaction was not read".to_owned()),
            };
            let link = match (&record, placed.meter) {
                (Err(_), Some(worker)) => self.link(&energy, worker, placed).await?,
                _ => None,
            };
            records.insert((placed.block, placed.log_index), ReadRecord { record, link });
        }
        Ok(records)
    }

    /// The link of a record that could not be read, so that those after it can be checked all the same.
    async fn link(
        &self,
        energy: &EnergyContracts,
        worker: Account,
        placed: &PlacedEvent,
    ) -> Result<Option<Link>, SourceError> {
        let day = match placed.event {
            Event::DayRecorded { day, .. } | Event::GapRecorded { last_day: day, .. } => day,
            _ => return Ok(None),
        };
        self.source.link_of(energy.ledger, worker.0, day, placed.block_hash).await
    }
}

/// What of a transaction could not be read.
enum Unread {
    Sent(SourceError),
    Trace(SourceError),
}

/// Inputs of the calls of `submit` in a transaction: its own, or what a trace shows of another contract's; or why they are unknown.
async fn calls<S: ChainSource>(
    source: &S,
    energy: &EnergyContracts,
    tx: B256,
    block: B256,
    tries: u32,
) -> Result<Result<Vec<Bytes>, String>, Unread> {
    let found = source.transaction(tx).await.map_err(Unread::Sent)?;
    let Some(sent) = found.filter(|sent| sent.block_hash == Some(block)) else {
        let reason = format!("transaction {tx} is not in block {block}, but its log is");
        return Err(Unread::Sent(SourceError::Inconsistent(reason)));
    };
    if sent.to == Some(energy.ledger) {
        return Ok(Ok(vec![sent.input]));
    }
    let reason = |why: &str| format!("it was sent through another contract, and {why}");
    if tries >= TRACE_TRIES {
        return Ok(Err(reason("the node gave no trace when asked several times")));
    }
    let within = source.submitted_within(tx, energy.ledger).await.map_err(Unread::Trace)?;
    Ok(within.map_err(|why| reason(&why)))
}

/// Time of a log's block, which has to be one of `headers`.
fn time_of(headers: &[Header], log: &ChainLog) -> Result<u64, SourceError> {
    let header = headers.binary_search_by_key(&log.block, |header| header.number).ok();
    match header.map(|position| headers[position]) {
        Some(header) if header.hash == log.block_hash => Ok(header.time),
        _ => Err(SourceError::Inconsistent(format!("a log names block {} of another fork", log.block))),
    }
}
