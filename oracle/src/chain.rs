//! What the index needs of a chain, as a trait: the real one is [`RpcChain`](crate::rpc_chain::RpcChain), tests script theirs.
use std::future::Future;

use alloy::primitives::{Address, B256, Bytes, Log};
use sunwork_protocol::energy::Link;

/// A block, as far as following the chain needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Block number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Hash of the block before it.
    pub parent: B256,
    /// Unix time, seconds.
    pub time: u64,
}

/// A log where it stands in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLog {
    /// Block number.
    pub block: u64,
    /// Hash of that block.
    pub block_hash: B256,
    /// Transaction.
    pub tx: B256,
    /// Position in the block.
    pub log_index: u64,
    /// Address, topics and data.
    pub log: Log,
}

impl ChainLog {
    /// Who emitted it.
    pub const fn address(&self) -> Address {
        self.log.address
    }
}

/// A transaction as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainTx {
    /// Block that it is in; `None` while it waits.
    pub block_hash: Option<B256>,
    /// Whom it calls; `None` for a creation.
    pub to: Option<Address>,
    /// With what.
    pub input: Bytes,
}

/// Why the chain could not be read. All of it may pass: the caller waits and tries again.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The node gave no answer or not a usable one.
    #[error("{doing}: {reason}")]
    Unavailable {
        /// What was asked.
        doing: String,
        /// What came.
        reason: String,
    },
    /// The node refuses the size of a request; a smaller one may do.
    #[error("the node refuses logs of blocks {from} to {to} at once: {reason}")]
    TooMuch {
        /// First block.
        from: u64,
        /// Last block.
        to: u64,
        /// The node's words.
        reason: String,
    },
    /// Answers that do not fit together: the chain moved meanwhile, or two nodes answered.
    #[error("the node's answers do not fit together: {0}")]
    Inconsistent(String),
}

/// A chain to follow. Logs are those with one of the topics of our events, of any address, and those of the energy contracts.
pub trait ChainSource: Send + Sync + 'static {
    /// The newest block.
    fn head(&self) -> impl Future<Output = Result<Header, SourceError>> + Send;

    /// The block of this number, or `None` when the chain is not that long.
    fn header(&self, number: u64) -> impl Future<Output = Result<Option<Header>, SourceError>> + Send;

    /// Logs of one block, named by hash so that no other block's can be given.
    fn logs_of_block(&self, hash: B256) -> impl Future<Output = Result<Vec<ChainLog>, SourceError>> + Send;

    /// Logs of old blocks, both ends included.
    fn logs_of_range(&self, from: u64, to: u64) -> impl Future<Output = Result<Vec<ChainLog>, SourceError>> + Send;

    /// A transaction, or `None` when the node does not know it.
    fn transaction(&self, hash: B256) -> impl Future<Output = Result<Option<ChainTx>, SourceError>> + Send;

    /// Inputs of the calls of the ledger's `submit` inside a transaction that took effect, in order; or why the node cannot say.
    fn submitted_within(
        &self,
        hash: B256,
        ledger: Address,
    ) -> impl Future<Output = Result<Result<Vec<Bytes>, String>, SourceError>> + Send;

    /// Link of a record as the ledger keeps it after a block; `None` when the node has that state no more.
    fn link_of(
        &self,
        ledger: Address,
        worker: Address,
        day: u16,
        block: B256,
    ) -> impl Future<Output = Result<Option<Link>, SourceError>> + Send;
}
