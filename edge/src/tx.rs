//! Transactions of one key.
//!
//! One [`TxManager`] owns the account's nonces. A transaction is estimated (a revert is found before anything is paid),
//! held against the caps of the [`FeePolicy`] and the account's ether, signed, written to the [`TxLog`], and only then
//! sent; while it waits it is sent again, and replaced with a higher fee when it is stuck. After a crash
//! [`TxManager::recover`] finds every logged one again. The same call is never under way twice: who sends it again waits
//! for the first.
//!
//! Where processes share a key they share a [`crate::txlog::FileTxLog`]: one at a time sends, and whoever begins first
//! settles what a process that is gone left behind. A program that does not know the log may still use a nonce in between:
//! it is found out which transaction that was, and ours is sent anew only when it can no longer be mined.
//!
//! The pieces: `submit` brings a transaction out, `wait` brings it home, `tend` bumps what is stuck, fills gaps of nonces and
//! looks after what nobody waits for any more, `nonce` finds who used one, `claim` is the right to send, `pending` the list of
//! what is under way.
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use alloy::{
    consensus::{Transaction, TxEip1559, TxEnvelope},
    eips::{BlockId, BlockNumberOrTag, Decodable2718},
    network::TransactionBuilder,
    primitives::{Address, B256, Bytes, U256},
    providers::Provider,
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::local::PrivateKeySigner,
};
use tokio::{sync::Mutex, time::Instant};

use crate::{revert, rpc::Rpc};

pub(crate) mod book;
mod claim;
mod classify;
mod error;
pub mod fees;
mod log;
mod nonce;
mod notice;
mod options;
mod pending;
mod submit;
mod tend;
mod wait;

use claim::Guard;
use submit::Submitted;
use tend::Care;
use wait::Decided;

pub use claim::Claimed;
pub use error::{Stuck, TxError};
pub use log::{Claim, MemoryTxLog, Settled, TxEntry, TxLog, TxLogError, TxOutcome};
pub use notice::{Notice, Notify};
pub use options::{FeePolicy, TxOptions};
pub use pending::{PendingState, PendingTx, attempts, describe, max_fee_wei};

/// Receipt of a mined transaction.
pub type Receipt = TransactionReceipt;

/// How often a transaction whose nonce was taken by another process is tried again with a fresh one.
const MAX_NONCE_TRIES: u32 = 4;

/// The sender of one key. Clones share it.
#[derive(Clone)]
pub struct TxManager {
    inner: Arc<Inner>,
}

struct Inner {
    rpc: Rpc,
    signer: PrivateKeySigner,
    log: Arc<dyn TxLog>,
    options: TxOptions,
    /// Held while a nonce is chosen, logged and sent: nonces leave in order and without gaps.
    nonces: Mutex<()>,
    /// The right to send, as long as some task of this process uses it. Held while it is asked for.
    claimed: Mutex<Weak<Guard>>,
    /// What was settled when the right to send was got, until somebody asks. A std mutex, held for a few instructions.
    recovered: StdMutex<Vec<(TxEntry, TxOutcome)>>,
    /// Outcomes of late, by nonce: who waits for a call that another task has just settled finds it here.
    decided: StdMutex<BTreeMap<u64, (B256, TxOutcome)>>,
    /// What was done about waiting transactions, by nonce: whoever waits, each is bumped once at a time.
    cares: StdMutex<BTreeMap<u64, Care>>,
    /// How many tasks wait for a nonce.
    waiters: StdMutex<BTreeMap<u64, usize>>,
}

/// What is to be called.
#[derive(Clone)]
struct Call {
    label: String,
    to: Address,
    value: U256,
    input: Bytes,
    /// Gas beyond the estimate's margin.
    headroom_gas: u64,
    intent: Option<B256>,
}

impl TxManager {
    /// A sender for this key. The log must be of this key on this chain.
    pub fn new(rpc: Rpc, signer: PrivateKeySigner, log: Arc<dyn TxLog>) -> Self {
        Self::with_options(rpc, signer, log, TxOptions::default())
    }

    /// The same with other limits.
    pub fn with_options(rpc: Rpc, signer: PrivateKeySigner, log: Arc<dyn TxLog>, options: TxOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                rpc,
                signer,
                log,
                options,
                nonces: Mutex::default(),
                claimed: Mutex::default(),
                recovered: StdMutex::default(),
                decided: StdMutex::default(),
                cares: StdMutex::default(),
                waiters: StdMutex::default(),
            }),
        }
    }

    /// The account that sends.
    pub fn address(&self) -> Address {
        self.inner.signer.address()
    }

    /// What gas may cost.
    pub fn fees(&self) -> FeePolicy {
        self.inner.options.fees
    }

    /// The connection it uses.
    pub fn rpc(&self) -> &Rpc {
        &self.inner.rpc
    }

    /// Runs the call without sending anything, on top of what waits to be mined, and says what it would return.
    ///
    /// # Errors
    /// `Reverted` with the reason; `Temporary` when no node answers.
    pub async fn simulate(&self, label: &str, to: Address, calldata: Bytes) -> Result<Bytes, TxError> {
        let request = self.inner.request(&Call::new(label, to, calldata));
        let pending = BlockId::Number(BlockNumberOrTag::Pending);
        let answer = self.inner.rpc.provider().call(request).block(pending).await;
        answer.map_err(|error| classify::error(label, error))
    }

    /// Sends a call and waits until it is mined.
    ///
    /// # Errors
    /// See [`TxError`]. After one of class `Retry` the same call may be repeated without fear: while one is under way no
    /// second one is made.
    pub async fn send(&self, label: &str, to: Address, calldata: Bytes) -> Result<Receipt, TxError> {
        self.carry_out(Call::new(label, to, calldata)).await
    }

    /// The same for a call that may cost more when it is mined than when it is estimated, because somebody else's
    /// transaction comes first: the last of several openings also settles, for example. Gas that is not used is not paid.
    ///
    /// # Errors
    /// As [`TxManager::send`].
    pub async fn send_with_headroom(
        &self,
        label: &str,
        to: Address,
        calldata: Bytes,
        headroom_gas: u64,
    ) -> Result<Receipt, TxError> {
        self.carry_out(Call { headroom_gas, ..Call::new(label, to, calldata) }).await
    }

    /// Sends a call with ether.
    ///
    /// # Errors
    /// As [`TxManager::send`].
    pub async fn send_value(&self, label: &str, to: Address, value: U256, calldata: Bytes) -> Result<Receipt, TxError> {
        self.carry_out(Call { value, ..Call::new(label, to, calldata) }).await
    }

    /// Sends a call that somebody wants once, by whatever calldata: while one with the same intent is under way it waits for
    /// that one, and when it was mined before, [`TxManager::settle`] knows.
    ///
    /// # Errors
    /// As [`TxManager::send`].
    pub async fn send_intent(
        &self,
        label: &str,
        to: Address,
        calldata: Bytes,
        intent: B256,
    ) -> Result<Receipt, TxError> {
        self.carry_out(Call { intent: Some(intent), ..Call::new(label, to, calldata) }).await
    }

    /// The youngest mined transaction with this intent, as far as the log remembers; one that is under way is waited for. Hold
    /// a [`TxManager::claim`], so that no other process is about to add one.
    ///
    /// # Errors
    /// As [`TxManager::recover`].
    pub async fn settle(&self, intent: B256) -> Result<Option<Settled>, TxError> {
        let under_way = |entry: &TxEntry| entry.intent == Some(intent);
        while let Some(entry) = self.inner.log.pending().into_iter().find(under_way) {
            self.inner.resend(&entry).await?;
            self.inner.wait(&entry.label, entry.nonce, Instant::now()).await?;
        }
        Ok(self.inner.log.settled(intent))
    }

    /// Notes that whoever wanted the mined transaction `hash` knows that it is done.
    ///
    /// # Errors
    /// When the log cannot be written or is not claimed.
    pub fn told(&self, hash: B256) -> Result<(), TxLogError> {
        self.inner.log.told(hash)
    }

    async fn carry_out(&self, call: Call) -> Result<Receipt, TxError> {
        let label = call.label.as_str();
        let _claim = self.claim(label).await?;
        let started = Instant::now();
        let mut last = None;
        for _ in 0..MAX_NONCE_TRIES {
            let (nonce, by) = match self.inner.submit(&call).await? {
                Submitted::NonceTaken(nonce) => (nonce, None),
                Submitted::Under(nonce) => match self.inner.wait(label, nonce, started).await? {
                    Decided::Receipt(receipt) if receipt.status() => return Ok(*receipt),
                    Decided::Receipt(receipt) => return Err(self.inner.mined_revert(&call, &receipt).await),
                    Decided::Lost { by } => (nonce, by),
                },
            };
            last = by.or(last);
            self.inner.options.notify.tell(Notice::NonceTaken { label: label.to_owned(), nonce, by });
        }
        Err(TxError::NonceTaken { label: label.to_owned(), tries: MAX_NONCE_TRIES, last })
    }

    /// Settles every logged transaction that has no outcome: finds its receipt, or sends it again and waits for it. Returns
    /// all that was settled since the last call. Call it once at the start, before anything else is sent; with a log that
    /// processes share, every first `send` does it too.
    ///
    /// # Errors
    /// When one of them is still undecided after the waiting time.
    pub async fn recover(&self) -> Result<Vec<(TxEntry, TxOutcome)>, TxError> {
        let _claim = self.claim("settling earlier transactions").await?;
        self.settle_pending().await?;
        Ok(std::mem::take(&mut *lock(&self.inner.recovered)))
    }

    async fn settle_pending(&self) -> Result<(), TxError> {
        loop {
            let pending = self.inner.log.pending();
            let Some(first) = pending.iter().min_by_key(|entry| entry.nonce).cloned() else { return Ok(()) };
            let (label, hash, nonce) = (first.label.clone(), first.hash, first.nonce);
            self.inner.options.notify.tell(Notice::Recovering { label: label.clone(), hash, nonce });
            for entry in pending.iter().filter(|entry| entry.nonce == nonce) {
                self.inner.resend(entry).await?;
            }
            let (hash, outcome) = match self.inner.wait(&label, nonce, Instant::now()).await? {
                Decided::Receipt(receipt) if receipt.status() => (receipt.transaction_hash, TxOutcome::Mined),
                Decided::Receipt(receipt) => (receipt.transaction_hash, TxOutcome::Reverted),
                Decided::Lost { .. } => (hash, TxOutcome::Dropped),
            };
            self.inner.options.notify.tell(Notice::Recovered { label, hash, outcome });
            let mut recovered = lock(&self.inner.recovered);
            recovered.push((TxEntry { hash, ..first }, outcome));
            let surplus = recovered.len().saturating_sub(book::MAX_SETTLED);
            recovered.drain(..surplus);
        }
    }

    /// What is under way with this key, by this process or another, oldest first.
    ///
    /// # Errors
    /// When log or chain cannot be read.
    pub async fn pending(&self) -> Result<Vec<PendingTx>, TxError> {
        let label = "listing open transactions";
        self.inner.log.refresh().map_err(|error| TxError::log(label, error))?;
        let described =
            describe(&self.inner.rpc, self.address(), &self.inner.log.pending(), Some(self.inner.options.fees)).await;
        described.map_err(|error| classify::error(label, error))
    }
}

impl Call {
    fn new(label: &str, to: Address, input: Bytes) -> Self {
        Self { label: label.to_owned(), to, value: U256::ZERO, input, headroom_gas: 0, intent: None }
    }
}

impl Inner {
    fn request(&self, call: &Call) -> TransactionRequest {
        TransactionRequest::default()
            .with_from(self.signer.address())
            .with_to(call.to)
            .with_value(call.value)
            .with_input(call.input.clone())
    }

    async fn count(&self, block: BlockNumberOrTag) -> Result<u64, alloy::transports::TransportError> {
        self.rpc.provider().get_transaction_count(self.signer.address()).block_id(BlockId::Number(block)).await
    }

    /// Why a mined transaction reverted: the call repeated on the state of its block.
    async fn mined_revert(&self, call: &Call, receipt: &Receipt) -> TxError {
        use alloy::transports::TransportError;
        if self.ran_out_of_gas(receipt).await {
            // What it costs depends on what came first in the block: a fresh estimate knows.
            let reason = format!("it ran out of gas in transaction {}", receipt.transaction_hash);
            return TxError::temporary(&call.label, reason);
        }
        let block = BlockId::Number(BlockNumberOrTag::Number(receipt.block_number.unwrap_or_default()));
        let replay = self.rpc.provider().call(self.request(call)).block(block).await;
        let (reason, name) = match replay {
            Err(TransportError::ErrorResp(payload)) => match payload.as_revert_data() {
                Some(data) => (revert::explain(&data), revert::name(&data)),
                None => (payload.message.to_string(), None),
            },
            _ => (
                "it reverted, though the same call works now; another transaction of the block came first".to_owned(),
                None,
            ),
        };
        TxError::Reverted { label: call.label.clone(), reason, name, hash: Some(receipt.transaction_hash) }
    }

    async fn ran_out_of_gas(&self, receipt: &Receipt) -> bool {
        let found = self.rpc.provider().get_transaction_by_hash(receipt.transaction_hash).await;
        // A call that runs out passes on at most 63/64, so a little may be left.
        found.ok().flatten().is_some_and(|tx| receipt.gas_used >= tx.inner.gas_limit() - tx.inner.gas_limit() / 32)
    }
}

fn decode(raw: &Bytes) -> Option<TxEip1559> {
    match TxEnvelope::decode_2718(&mut raw.as_ref()).ok()? {
        TxEnvelope::Eip1559(signed) => Some(signed.strip_signature()),
        _ => None,
    }
}

fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long something took, for people.
fn since(started: Instant) -> Duration {
    started.elapsed()
}
