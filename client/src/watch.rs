//! Following an agreement live, from the chain's logs and not from an oracle.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use alloy::primitives::{Address, B256};
use alloy::rpc::types::{Filter, Log};
use futures::Stream;

use crate::agreements::seen;
use crate::chain::{Doing, ReadError};
use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::events::{Progress, Seen};

/// How often the chain is asked.
const POLL: Duration = Duration::from_millis(500);
/// Blocks that are read again each time: a short reorg moves events, it must not lose them.
const OVERLAP_BLOCKS: u64 = 32;
/// Reads that may fail in a row before the stream ends with the error. Each has its own retries below.
const MAX_FAILURES: u32 = 10;

struct Watch {
    client: Client,
    agreement: Address,
    next_block: u64,
    told: HashSet<B256>,
    queue: VecDeque<Seen>,
    failures: u32,
    done: bool,
}

impl Client {
    /// Everything that happens to `agreement` from block `from_block` on, each event once, until it has ended. An event
    /// that a reorg moves to another block is not told again.
    ///
    /// The stream ends after [`Progress::Ended`], or with an error that lasts. It may be dropped at any time.
    pub fn watch(&self, agreement: Address, from_block: u64) -> impl Stream<Item = Result<Seen, ReadError>> + use<> {
        let watch = Watch {
            client: self.clone(),
            agreement,
            next_block: from_block,
            told: HashSet::new(),
            queue: VecDeque::new(),
            failures: 0,
            done: false,
        };
        futures::stream::unfold(watch, |mut watch| async move { watch.next().await.map(|item| (item, watch)) })
    }
}

impl Watch {
    async fn next(&mut self) -> Option<Result<Seen, ReadError>> {
        loop {
            if let Some(seen) = self.queue.pop_front() {
                self.done = self.done || matches!(seen.progress, Progress::Ended { .. });
                return Some(Ok(seen));
            }
            if self.done {
                return None;
            }
            match self.poll().await {
                Ok(()) => self.failures = 0,
                Err(error) => {
                    self.failures += 1;
                    if error.class() != ErrorClass::Retry || self.failures >= MAX_FAILURES {
                        self.done = true;
                        return Some(Err(error));
                    }
                    tracing::warn!(%error, agreement = %self.agreement, "cannot follow for the moment");
                }
            }
            if self.queue.is_empty() {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn poll(&mut self) -> Result<(), ReadError> {
        let (head, _) = self.client.rpc().latest().await.doing(|| "reading the latest block".into())?;
        if head < self.next_block.saturating_sub(OVERLAP_BLOCKS) {
            return Ok(());
        }
        let from = self.next_block.saturating_sub(OVERLAP_BLOCKS);
        let logs = self.client.logs(&Filter::new().address(self.agreement), from, head).await?;
        let fresh: Vec<Log> = logs.into_iter().filter(|log| !self.told.contains(&identity(log))).collect();
        let times = self.client.times(&fresh).await?;
        self.tell(&fresh, &times);
        self.next_block = head + 1;
        Ok(())
    }

    fn tell(&mut self, fresh: &[Log], times: &HashMap<u64, u64>) {
        for log in fresh {
            if self.told.insert(identity(log)) {
                self.queue.extend(seen(log, times));
            }
        }
    }
}

/// What a log is, wherever it is: transaction and content. No agreement emits the same event twice in one transaction.
fn identity(log: &Log) -> B256 {
    let mut bytes = log.transaction_hash.unwrap_or_default().to_vec();
    for topic in log.topics() {
        bytes.extend_from_slice(topic.as_slice());
    }
    bytes.extend_from_slice(&log.data().data);
    alloy::primitives::keccak256(bytes)
}
