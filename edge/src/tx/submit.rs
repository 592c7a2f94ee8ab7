//! Bringing a transaction out: estimate, caps, funds, nonce, signature, log, node.
use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::{BlockId, BlockNumberOrTag, Encodable2718},
    network::{BlockResponse, TxSignerSync},
    primitives::{Bytes, TxKind, U256, keccak256},
    providers::Provider,
    transports::TransportError,
};

use super::{Call, Inner, TxEntry, TxError, TxOutcome, classify, fees};

/// Gas of the cheapest transaction there is.
pub(super) const LEAST_GAS: u64 = 21_000;

/// What became of an attempt to send.
pub(super) enum Submitted {
    /// It is under way with this nonce.
    Under(u64),
    /// Another transaction of the account took the nonce first; ours was refused and nobody has it.
    NonceTaken(u64),
}

/// What gas costs now, wei per gas.
#[derive(Clone, Copy)]
pub(super) struct Market {
    pub base_fee_wei: u128,
    pub tip_wei: u128,
}

impl Inner {
    /// Chooses a nonce, signs, logs and sends; or finds the same call under way.
    pub(super) async fn submit(&self, call: &Call) -> Result<Submitted, TxError> {
        let failed = |error| classify::error(&call.label, error);
        let input_hash = keccak256(&call.input);
        let same = |entry: &&TxEntry| {
            let same_call = entry.to == call.to && entry.input_hash == input_hash && entry.value == call.value;
            same_call || (call.intent.is_some() && entry.intent == call.intent)
        };
        if let Some(entry) = self.log.pending().iter().find(same) {
            return Ok(Submitted::Under(entry.nonce));
        }
        // Estimated outside the lock: it takes a while, and it is what finds most reverts.
        let estimate = match self.rpc.provider().estimate_gas(self.request(call)).await {
            Ok(estimate) => estimate,
            Err(TransportError::ErrorResp(payload)) if classify::is_no_funds(&payload) => {
                return Err(self.no_funds(call, LEAST_GAS, None).await);
            }
            Err(error) => return Err(failed(error)),
        };
        let gas_limit = estimate.saturating_add(estimate / 4).saturating_add(call.headroom_gas);
        if gas_limit > self.options.max_gas {
            let reason = format!("it needs {gas_limit} gas, at most {} are allowed", self.options.max_gas);
            return Err(TxError::stop(&call.label, reason));
        }

        let _guard = self.nonces.lock().await;
        let pending = self.log.pending();
        if let Some(entry) = pending.iter().find(same) {
            return Ok(Submitted::Under(entry.nonce));
        }
        let on_chain = self.count(BlockNumberOrTag::Pending).await.map_err(failed)?;
        let nonce = lowest_free(on_chain, &pending);
        let market = self.market().await.map_err(failed)?;
        let cap = self.options.fees.cap_for(gas_limit);
        let fees = fees::initial(market.base_fee_wei, market.tip_wei, cap).ok_or_else(|| TxError::FeeAboveCap {
            label: call.label.clone(),
            base_fee_wei: market.base_fee_wei,
            gas_limit,
            max_fee_per_gas_wei: self.options.fees.max_fee_per_gas_wei,
            max_tx_cost_wei: self.options.fees.max_tx_cost_wei,
        })?;
        let have = self.rpc.provider().get_balance(self.signer.address()).await.map_err(failed)?;
        if have < most(gas_limit, fees.max_fee_wei, call.value) {
            return Err(self.no_funds(call, gas_limit, Some(fees.max_fee_wei)).await);
        }
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
        let mut entry = self.sign(&call.label, tx).map_err(|reason| TxError::stop(&call.label, reason))?;
        entry.intent = call.intent;
        self.log.signed(&entry).map_err(|error| TxError::log(&call.label, error))?;
        match self.broadcast(&entry).await {
            Ok(()) => Ok(Submitted::Under(nonce)),
            Err(error) => self.judge_refusal(call, &entry, error).await,
        }
    }

    /// A node did not take a transaction: decides whether it is lost for good.
    async fn judge_refusal(&self, call: &Call, entry: &TxEntry, error: TransportError) -> Result<Submitted, TxError> {
        // Only an answer of a node says anything; without one the wait goes on and sends again.
        let TransportError::ErrorResp(payload) = &error else { return Ok(Submitted::Under(entry.nonce)) };
        if payload.is_retry_err() || self.is_known(entry.hash).await {
            return Ok(Submitted::Under(entry.nonce));
        }
        let failed = |error| classify::error(&call.label, error);
        if self.count(BlockNumberOrTag::Latest).await.map_err(failed)? > entry.nonce {
            // Another transaction used the nonce; the wait will find out which and say so.
            return Ok(Submitted::Under(entry.nonce));
        }
        let waiting = self.count(BlockNumberOrTag::Pending).await.map_err(failed)?;
        let dropped = self.log.resolved(entry.nonce, entry.hash, TxOutcome::Dropped);
        dropped.map_err(|error| TxError::log(&call.label, error))?;
        if classify::is_no_funds(payload) {
            let tx = super::decode(&entry.raw);
            let (gas, fee) = tx.map_or((LEAST_GAS, None), |tx| (tx.gas_limit, Some(tx.max_fee_per_gas)));
            return Err(self.no_funds(call, gas, fee).await);
        }
        if waiting > entry.nonce {
            // Another program's transaction waits with it. Ours was refused, nobody has it, and it is never sent again.
            return Ok(Submitted::NonceTaken(entry.nonce));
        }
        Err(TxError::temporary(&call.label, format!("the node refused it: {}", payload.message)))
    }

    /// What is missing, in numbers; `fee_wei` is the market's where none was chosen yet.
    async fn no_funds(&self, call: &Call, gas_limit: u64, fee_wei: Option<u128>) -> TxError {
        let account = self.signer.address();
        let have_wei = match self.rpc.provider().get_balance(account).await {
            Ok(have) => have,
            Err(error) => return classify::error(&call.label, error),
        };
        let fee_wei = match fee_wei {
            Some(fee) => fee,
            None => match self.market().await {
                Ok(market) => market.base_fee_wei.saturating_mul(2).saturating_add(market.tip_wei),
                Err(error) => return classify::error(&call.label, error),
            },
        };
        // The node may count what waits already, which we cannot see: at least something is missing.
        let need_wei = most(gas_limit, fee_wei, call.value).max(have_wei.saturating_add(U256::ONE));
        TxError::InsufficientFunds { label: call.label.clone(), account, have_wei, need_wei }
    }

    pub(super) fn sign(&self, label: &str, mut tx: TxEip1559) -> Result<TxEntry, String> {
        let signature =
            self.signer.sign_transaction_sync(&mut tx).map_err(|error| format!("signing failed: {error}"))?;
        let TxKind::Call(to) = tx.to else { return Err("it has no receiver".to_owned()) };
        let (nonce, value, input_hash) = (tx.nonce, tx.value, keccak256(&tx.input));
        let envelope = TxEnvelope::from(tx.into_signed(signature));
        let raw = Bytes::from(envelope.encoded_2718());
        let label = label.to_owned();
        Ok(TxEntry {
            label,
            to,
            value,
            input_hash,
            nonce,
            hash: *envelope.tx_hash(),
            raw,
            intent: None,
            signed_at: now_secs(),
        })
    }

    pub(super) async fn broadcast(&self, entry: &TxEntry) -> Result<(), TransportError> {
        self.log.sending(entry);
        let sent = self.rpc.provider().send_raw_transaction(&entry.raw).await;
        if sent.is_ok() {
            self.log.sent(entry);
            tracing::debug!(label = %entry.label, nonce = entry.nonce, hash = %entry.hash, "transaction sent");
        }
        sent.map(drop)
    }

    /// Sends a transaction from before once more. What a node says against it is looked at by the wait that follows, but
    /// for one thing that waiting does not change.
    pub(super) async fn resend(&self, entry: &TxEntry) -> Result<(), TxError> {
        let Err(TransportError::ErrorResp(payload)) = self.broadcast(entry).await else { return Ok(()) };
        let used = self.count(BlockNumberOrTag::Latest).await.unwrap_or(u64::MAX);
        if classify::is_no_funds(&payload) && used <= entry.nonce && !self.is_known(entry.hash).await {
            let tx = super::decode(&entry.raw);
            let (gas, fee) = tx.map_or((LEAST_GAS, None), |tx| (tx.gas_limit, Some(tx.max_fee_per_gas)));
            let mut call = Call::new(&entry.label, entry.to, Bytes::new());
            call.value = entry.value;
            return Err(self.no_funds(&call, gas, fee).await);
        }
        Ok(())
    }

    async fn is_known(&self, hash: alloy::primitives::B256) -> bool {
        self.rpc.provider().get_transaction_by_hash(hash).await.is_ok_and(|found| found.is_some())
    }

    pub(super) async fn market(&self) -> Result<Market, TransportError> {
        let provider = self.rpc.provider();
        let block =
            provider.get_block(BlockId::Number(BlockNumberOrTag::Latest)).await?.ok_or(TransportError::NullResp)?;
        let base_fee_wei = block.header().base_fee_per_gas.map_or(0, u128::from);
        // Not every node knows the method; a gwei is what wallets fall back to.
        let tip_wei = provider.get_max_priority_fee_per_gas().await.unwrap_or(1_000_000_000);
        Ok(Market { base_fee_wei, tip_wei })
    }
}

/// The lowest nonce from `on_chain` on that nothing of ours waits with. A reorganisation may leave a gap below what waits: filling it
/// first lets the rest be mined.
pub(super) fn lowest_free(on_chain: u64, pending: &[TxEntry]) -> u64 {
    let taken: BTreeSet<u64> = pending.iter().map(|entry| entry.nonce).collect();
    (on_chain..).find(|nonce| !taken.contains(nonce)).unwrap_or(on_chain)
}

/// Only for people, so a clock that stands wrong does no harm.
fn now_secs() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// Most that a transaction may cost, wei.
fn most(gas_limit: u64, fee_wei: u128, value: U256) -> U256 {
    (U256::from(gas_limit) * U256::from(fee_wei)).saturating_add(value)
}
