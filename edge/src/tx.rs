//! Transactions of one key.
//!
//! One [`TxManager`] owns the account's nonces. A transaction is estimated (a revert is found before anything is paid),
//! signed, written to the [`TxLog`], and only then sent; while it waits it is sent again, and replaced with a higher
//! fee when it is stuck. After a crash [`TxManager::recover`] finds every logged one again. The same call is never under
//! way twice: who sends it again waits for the first.
use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::{
    consensus::{SignableTransaction, Transaction, TxEip1559, TxEnvelope},
    eips::{BlockId, BlockNumberOrTag, Decodable2718, Encodable2718},
    network::{BlockResponse, TransactionBuilder, TxSignerSync},
    primitives::{Address, B256, Bytes, TxKind, U256, keccak256},
    providers::Provider,
    rpc::types::{TransactionReceipt, TransactionRequest},
    signers::local::PrivateKeySigner,
    transports::TransportError,
};
use tokio::{sync::Mutex, time::Instant};

use crate::{
    revert,
    rpc::{self, Rpc},
};

pub mod fees;
mod log;

use fees::Fees;
pub use log::{MemoryTxLog, TxEntry, TxLog, TxLogError, TxOutcome};

/// Receipt of a mined transaction.
pub type Receipt = TransactionReceipt;

/// How often a transaction whose nonce was taken by another process is tried again with a fresh one.
const MAX_NONCE_TRIES: u32 = 4;
/// Outcomes that are remembered.
const MAX_DECIDED: usize = 256;

/// How the sender behaves.
#[derive(Clone, Debug)]
pub struct TxOptions {
    /// Most that is paid per gas, wei.
    pub max_fee_cap_wei: u128,
    /// Most gas that one transaction may use.
    pub max_gas: u64,
    /// How often the receipt is asked for.
    pub poll: Duration,
    /// How long a transaction may wait before it is replaced with a higher fee.
    pub stuck_after: Duration,
    /// How long one call of `send` waits in all.
    pub give_up_after: Duration,
}

impl Default for TxOptions {
    fn default() -> Self {
        Self {
            max_fee_cap_wei: 500_000_000_000,
            max_gas: 15_000_000,
            poll: Duration::from_millis(300),
            stuck_after: Duration::from_secs(30),
            give_up_after: Duration::from_secs(300),
        }
    }
}

/// Why a transaction did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum TxError {
    /// The contract refuses; the reason is in the text and, for our errors, in `name`.
    #[error("{label} was refused: {reason}")]
    Reverted {
        /// What it was for.
        label: String,
        /// What the revert means.
        reason: String,
        /// Name of the custom error, if it is one of ours.
        name: Option<&'static str>,
        /// The transaction, when it was mined; `None` when the estimate found it and nothing was paid.
        hash: Option<B256>,
    },
    /// Node or network failed, fees are above the cap, or it is not mined yet: try again later.
    #[error("{label} is not done yet: {reason}")]
    Temporary {
        /// What it was for.
        label: String,
        /// What is missing.
        reason: String,
    },
    /// Somebody must act first: no ether, a log that cannot be written, a node that refuses the call.
    #[error("{label} cannot be sent: {reason}")]
    Stop {
        /// What it was for.
        label: String,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl TxError {
    /// Name of our custom error that made it revert.
    pub const fn revert_name(&self) -> Option<&'static str> {
        match self {
            Self::Reverted { name, .. } => *name,
            _ => None,
        }
    }
}

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
    /// Outcomes of late, by nonce: who waits for a call that another task has just settled finds it here. A std mutex,
    /// held for a few instructions.
    decided: std::sync::Mutex<BTreeMap<u64, (B256, TxOutcome)>>,
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
}

/// What became of a nonce.
enum Decided {
    Receipt(Box<Receipt>),
    /// Another transaction used it.
    Lost,
}

impl TxManager {
    /// A sender for this key. The log must be of this key on this chain.
    pub fn new(rpc: Rpc, signer: PrivateKeySigner, log: Arc<dyn TxLog>) -> Self {
        Self::with_options(rpc, signer, log, TxOptions::default())
    }

    /// The same with other limits.
    pub fn with_options(rpc: Rpc, signer: PrivateKeySigner, log: Arc<dyn TxLog>, options: TxOptions) -> Self {
        Self {
            inner: Arc::new(Inner { rpc, signer, log, options, nonces: Mutex::new(()), decided: Default::default() }),
        }
    }

    /// The account that sends.
    pub fn address(&self) -> Address {
        self.inner.signer.address()
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
        let call = Call { label: label.to_owned(), to, value: U256::ZERO, input: calldata, headroom_gas: 0 };
        let request = self.inner.request(&call);
        let pending = BlockId::Number(BlockNumberOrTag::Pending);
        self.inner.rpc.provider().call(request).block(pending).await.map_err(|error| classify(label, error))
    }

    /// Sends a call and waits until it is mined.
    ///
    /// # Errors
    /// See [`TxError`]. After `Temporary` the same call may be repeated without fear: while one is under way no second
    /// one is made.
    pub async fn send(&self, label: &str, to: Address, calldata: Bytes) -> Result<Receipt, TxError> {
        self.send_with_headroom(label, to, calldata, 0).await
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
        self.carry_out(Call { label: label.to_owned(), to, value: U256::ZERO, input: calldata, headroom_gas }).await
    }

    /// Sends a call with ether.
    ///
    /// # Errors
    /// As [`TxManager::send`].
    pub async fn send_value(&self, label: &str, to: Address, value: U256, calldata: Bytes) -> Result<Receipt, TxError> {
        self.carry_out(Call { label: label.to_owned(), to, value, input: calldata, headroom_gas: 0 }).await
    }

    async fn carry_out(&self, call: Call) -> Result<Receipt, TxError> {
        let label = call.label.as_str();
        let give_up_at = Instant::now() + self.inner.options.give_up_after;
        for _ in 0..MAX_NONCE_TRIES {
            let nonce = self.inner.submit(&call).await?;
            match self.inner.wait(&call.label, nonce, give_up_at).await? {
                Decided::Receipt(receipt) if receipt.status() => return Ok(*receipt),
                Decided::Receipt(receipt) => return Err(self.inner.mined_revert(&call, &receipt).await),
                Decided::Lost => {
                    tracing::warn!(
                        label,
                        nonce,
                        "another transaction of this key used the nonce; is a second process using it?"
                    );
                }
            }
        }
        Err(call
            .temporary("its nonce was used by other transactions again and again; is a second process using this key?"))
    }

    /// Settles every logged transaction that has no outcome: finds its receipt, or sends it again and waits for it.
    /// Call it once at the start, before anything else is sent.
    ///
    /// # Errors
    /// When one of them is still undecided after the waiting time.
    pub async fn recover(&self) -> Result<Vec<(TxEntry, TxOutcome)>, TxError> {
        let mut outcomes = Vec::new();
        loop {
            let pending = self.inner.log.pending();
            let Some(first) = pending.iter().min_by_key(|entry| entry.nonce) else { return Ok(outcomes) };
            tracing::info!(label = %first.label, hash = %first.hash, "settling a transaction from before the restart");
            for entry in pending.iter().filter(|entry| entry.nonce == first.nonce) {
                // An error is looked at by the wait below, which asks for the receipt first.
                let _ = self.inner.broadcast(entry).await;
            }
            let give_up_at = Instant::now() + self.inner.options.give_up_after;
            let outcome = match self.inner.wait(&first.label, first.nonce, give_up_at).await? {
                Decided::Receipt(receipt) if receipt.status() => TxOutcome::Mined,
                Decided::Receipt(_) => TxOutcome::Reverted,
                Decided::Lost => TxOutcome::Dropped,
            };
            outcomes.push((first.clone(), outcome));
        }
    }
}

impl Call {
    fn temporary(&self, reason: impl Into<String>) -> TxError {
        TxError::Temporary { label: self.label.clone(), reason: reason.into() }
    }

    fn stop(&self, reason: impl Into<String>) -> TxError {
        TxError::Stop { label: self.label.clone(), reason: reason.into() }
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

    /// Chooses a nonce, signs, logs and sends; or finds the same call under way. Returns the nonce.
    async fn submit(&self, call: &Call) -> Result<u64, TxError> {
        let input_hash = keccak256(&call.input);
        let same =
            |entry: &&TxEntry| entry.to == call.to && entry.input_hash == input_hash && entry.value == call.value;
        if let Some(entry) = self.log.pending().iter().find(same) {
            return Ok(entry.nonce);
        }
        // Estimated outside the lock: it takes a while, and it is what finds most reverts.
        let provider = self.rpc.provider();
        let estimate = provider.estimate_gas(self.request(call)).await.map_err(|e| classify(&call.label, e))?;
        let gas_limit = estimate.saturating_add(estimate / 4).saturating_add(call.headroom_gas);
        if gas_limit > self.options.max_gas {
            return Err(call.stop(format!("it needs {gas_limit} gas, at most {} are allowed", self.options.max_gas)));
        }

        let _guard = self.nonces.lock().await;
        let pending = self.log.pending();
        if let Some(entry) = pending.iter().find(same) {
            return Ok(entry.nonce);
        }
        let on_chain = self.count(BlockNumberOrTag::Pending).await.map_err(|e| classify(&call.label, e))?;
        let nonce = pending.iter().map(|entry| entry.nonce + 1).fold(on_chain, u64::max);
        let fees = self.market_fees().await.map_err(|e| classify(&call.label, e))?.ok_or_else(|| {
            call.temporary(format!("the base fee is above the cap of {} wei", self.options.max_fee_cap_wei))
        })?;
        let tx = TxEip1559 {
            chain_id: self.rpc.chain_id(),
            nonce,
            gas_limit,
            max_fee_per_gas: fees.max_fee_wei,
            max_priority_fee_per_gas: fees.tip_wei,
            to: TxKind::Call(call.to),
            value: call.value,
            access_list: Default::default(),
            input: call.input.clone(),
        };
        let entry = self.sign(&call.label, tx).map_err(|reason| call.stop(reason))?;
        self.log.signed(&entry).map_err(|error| call.stop(error.to_string()))?;
        if let Err(error) = self.broadcast(&entry).await {
            self.judge_refusal(call, &entry, error).await?;
        }
        Ok(nonce)
    }

    /// A node did not take a transaction: decides whether it is lost for good.
    async fn judge_refusal(&self, call: &Call, entry: &TxEntry, error: TransportError) -> Result<(), TxError> {
        // Only an answer of a node says anything; without one the wait goes on and sends again.
        let TransportError::ErrorResp(payload) = &error else { return Ok(()) };
        if payload.is_retry_err() || self.is_known(entry.hash).await {
            return Ok(());
        }
        let used = self.count(BlockNumberOrTag::Latest).await.map_err(|e| classify(&call.label, e))?;
        if used > entry.nonce {
            // Another transaction used the nonce; the wait will find that out and say so.
            return Ok(());
        }
        let drop = self.log.resolved(entry.nonce, entry.hash, TxOutcome::Dropped);
        drop.map_err(|error| call.stop(error.to_string()))?;
        let address = self.signer.address();
        let have = self.rpc.provider().get_balance(address).await.map_err(|e| classify(&call.label, e))?;
        let need = decode(&entry.raw)
            .map(|tx| U256::from(tx.gas_limit()) * U256::from(tx.max_fee_per_gas()) + tx.value())
            .unwrap_or_default();
        if have < need {
            return Err(call.stop(format!(
                "the account {address} has too little ether for gas: {have} wei, needed {need}; send some to it"
            )));
        }
        Err(call.temporary(format!("the node refused it: {}", payload.message)))
    }

    fn sign(&self, label: &str, mut tx: TxEip1559) -> Result<TxEntry, String> {
        let signature =
            self.signer.sign_transaction_sync(&mut tx).map_err(|error| format!("signing failed: {error}"))?;
        let TxKind::Call(to) = tx.to else { return Err("it has no receiver".to_owned()) };
        let (nonce, value, input_hash) = (tx.nonce, tx.value, keccak256(&tx.input));
        let envelope = TxEnvelope::from(tx.into_signed(signature));
        let raw = Bytes::from(envelope.encoded_2718());
        Ok(TxEntry { label: label.to_owned(), to, value, input_hash, nonce, hash: *envelope.tx_hash(), raw })
    }

    async fn broadcast(&self, entry: &TxEntry) -> Result<(), TransportError> {
        self.log.sending(entry);
        let sent = self.rpc.provider().send_raw_transaction(&entry.raw).await;
        if sent.is_ok() {
            self.log.sent(entry);
            tracing::debug!(label = %entry.label, nonce = entry.nonce, hash = %entry.hash, "transaction sent");
        }
        sent.map(drop)
    }

    /// Waits until the nonce is decided; sends again and replaces on the way.
    async fn wait(&self, label: &str, nonce: u64, give_up_at: Instant) -> Result<Decided, TxError> {
        let mut last_sent = Instant::now();
        let mut without_receipt = 0_u32;
        let mut trouble = "it is not mined yet".to_owned();
        loop {
            let attempts: Vec<_> = self.log.pending().into_iter().filter(|entry| entry.nonce == nonce).collect();
            let Some(newest) = attempts.last() else {
                // Another task that waited for the same call settled it.
                return self.settled_elsewhere(label, nonce).await;
            };
            match self.look(&attempts, nonce).await {
                Ok(Some(receipt)) => {
                    let outcome = if receipt.status() { TxOutcome::Mined } else { TxOutcome::Reverted };
                    self.resolve(label, nonce, receipt.transaction_hash, outcome)?;
                    return Ok(Decided::Receipt(Box::new(receipt)));
                }
                Ok(None) => without_receipt = 0,
                Err(Look::NonceUsed) => {
                    // Receipts may lag behind the account's nonce on a node; believe it only when it lasts.
                    without_receipt += 1;
                    if without_receipt >= 5 {
                        self.resolve(label, nonce, newest.hash, TxOutcome::Dropped)?;
                        return Ok(Decided::Lost);
                    }
                }
                Err(Look::Failed(error)) => trouble = error.to_string(),
            }
            if Instant::now() >= give_up_at {
                return Err(TxError::Temporary { label: label.to_owned(), reason: trouble });
            }
            if last_sent.elapsed() >= self.options.stuck_after {
                last_sent = Instant::now();
                self.nudge(newest).await;
            }
            tokio::time::sleep(self.options.poll).await;
        }
    }

    async fn look(&self, attempts: &[TxEntry], nonce: u64) -> Result<Option<Receipt>, Look> {
        for entry in attempts.iter().rev() {
            let receipt = self.rpc.provider().get_transaction_receipt(entry.hash).await.map_err(Look::Failed)?;
            if let Some(receipt) = receipt.filter(|receipt| receipt.block_number.is_some()) {
                return Ok(Some(receipt));
            }
        }
        let used = self.count(BlockNumberOrTag::Latest).await.map_err(Look::Failed)?;
        if used > nonce { Err(Look::NonceUsed) } else { Ok(None) }
    }

    /// Sends a stuck transaction again, with a higher fee where the cap allows it.
    async fn nudge(&self, stuck: &TxEntry) {
        let _guard = self.nonces.lock().await;
        let market = self.market_fees().await.ok().flatten();
        let replacement = decode(&stuck.raw).and_then(|tx| {
            let last = Fees { max_fee_wei: tx.max_fee_per_gas, tip_wei: tx.max_priority_fee_per_gas };
            let fees = fees::bump(last, market, self.options.max_fee_cap_wei)?;
            let tx = TxEip1559 { max_fee_per_gas: fees.max_fee_wei, max_priority_fee_per_gas: fees.tip_wei, ..tx };
            self.sign(&stuck.label, tx).ok()
        });
        // The old one first: it may only have been forgotten, and costs less.
        let _ = self.broadcast(stuck).await;
        let Some(entry) = replacement else { return };
        if let Err(error) = self.log.signed(&entry) {
            tracing::error!(%error, label = %stuck.label, "no replacement is sent");
            return;
        }
        tracing::info!(label = %entry.label, nonce = entry.nonce, hash = %entry.hash, "replacing a stuck transaction");
        if let Err(error) = self.broadcast(&entry).await {
            tracing::debug!(%error, "the node did not take the replacement");
        }
    }

    fn resolve(&self, label: &str, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxError> {
        let stop = |error: TxLogError| TxError::Stop { label: label.to_owned(), reason: error.to_string() };
        self.log.resolved(nonce, hash, outcome).map_err(stop)?;
        let mut decided = self.decided.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        decided.insert(nonce, (hash, outcome));
        while decided.len() > MAX_DECIDED {
            decided.pop_first();
        }
        Ok(())
    }

    async fn settled_elsewhere(&self, label: &str, nonce: u64) -> Result<Decided, TxError> {
        let decided = self.decided.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(&nonce).copied();
        let Some((hash, TxOutcome::Mined | TxOutcome::Reverted)) = decided else { return Ok(Decided::Lost) };
        let receipt = self.rpc.provider().get_transaction_receipt(hash).await.map_err(|e| classify(label, e))?;
        let vanished =
            || TxError::Temporary { label: label.to_owned(), reason: format!("the receipt of {hash} is gone") };
        receipt.map(|receipt| Decided::Receipt(Box::new(receipt))).ok_or_else(vanished)
    }

    async fn count(&self, block: BlockNumberOrTag) -> Result<u64, TransportError> {
        self.rpc.provider().get_transaction_count(self.signer.address()).block_id(BlockId::Number(block)).await
    }

    async fn is_known(&self, hash: B256) -> bool {
        self.rpc.provider().get_transaction_by_hash(hash).await.is_ok_and(|found| found.is_some())
    }

    async fn market_fees(&self) -> Result<Option<Fees>, TransportError> {
        let provider = self.rpc.provider();
        let block =
            provider.get_block(BlockId::Number(BlockNumberOrTag::Latest)).await?.ok_or(TransportError::NullResp)?;
        let base_fee = block.header().base_fee_per_gas.map_or(0, u128::from);
        // Not every node knows the method; a gwei is what wallets fall back to.
        let tip = provider.get_max_priority_fee_per_gas().await.unwrap_or(1_000_000_000);
        Ok(fees::initial(base_fee, tip, self.options.max_fee_cap_wei))
    }

    /// Why a mined transaction reverted: the call repeated on the state of its block.
    async fn mined_revert(&self, call: &Call, receipt: &Receipt) -> TxError {
        if self.ran_out_of_gas(receipt).await {
            // What it costs depends on what came first in the block: a fresh estimate knows.
            return call.temporary(format!("it ran out of gas in transaction {}", receipt.transaction_hash));
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
}

impl Inner {
    async fn ran_out_of_gas(&self, receipt: &Receipt) -> bool {
        let found = self.rpc.provider().get_transaction_by_hash(receipt.transaction_hash).await;
        // A call that runs out passes on at most 63/64, so a little may be left.
        found.ok().flatten().is_some_and(|tx| receipt.gas_used >= tx.inner.gas_limit() - tx.inner.gas_limit() / 32)
    }
}

enum Look {
    NonceUsed,
    Failed(TransportError),
}

fn decode(raw: &Bytes) -> Option<TxEip1559> {
    match TxEnvelope::decode_2718(&mut raw.as_ref()).ok()? {
        TxEnvelope::Eip1559(signed) => Some(signed.strip_signature()),
        _ => None,
    }
}

fn classify(label: &str, error: TransportError) -> TxError {
    let label = label.to_owned();
    if let TransportError::ErrorResp(payload) = &error {
        if let Some(data) = payload.as_revert_data() {
            let (reason, name) = (revert::explain(&data), revert::name(&data));
            return TxError::Reverted { label, reason, name, hash: None };
        }
        // Code 3 is "execution reverted" without data (geth); nodes without it say so in words only.
        if payload.code == 3 {
            return TxError::Reverted { label, reason: revert::explain(&[]), name: None, hash: None };
        }
        if !payload.is_retry_err() {
            return TxError::Stop { label, reason: format!("the node refused it: {}", payload.message) };
        }
    }
    if rpc::is_temporary(&error) {
        TxError::Temporary { label, reason: error.to_string() }
    } else {
        TxError::Stop { label, reason: error.to_string() }
    }
}
