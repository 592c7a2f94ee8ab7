//! What is under way with a key, for people.
use std::collections::BTreeMap;

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::BlockResponse,
    primitives::{Address, B256, U256},
    providers::Provider,
    transports::TransportError,
};
use serde::Serialize;

use super::{FeePolicy, TxEntry, decode};
use crate::rpc::Rpc;

/// Where a logged transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingState {
    /// A node has it; a block will take it.
    Waiting,
    /// It pays less per gas than the newest block's base fee: no block takes it before gas is cheaper or it is replaced.
    Underpriced,
    /// It waits for an earlier transaction of the account.
    Behind,
    /// No node has it: written down and not sent, or forgotten. The next command that sends brings it out.
    Unsent,
    /// A block has it; the next command that sends notes that.
    Mined,
    /// Its nonce was used, by it or by another one; the next command that sends finds out.
    NonceUsed,
}

/// A logged transaction without a noted outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PendingTx {
    /// What it is for.
    pub label: String,
    /// The contract that is called.
    pub to: Address,
    /// Account nonce.
    pub nonce: u64,
    /// The newest attempt.
    #[serde(rename = "tx")]
    pub hash: B256,
    /// How often it was signed: replacements, and the first.
    pub attempts: usize,
    /// Most that it pays per gas, wei.
    #[serde(serialize_with = "decimal")]
    pub max_fee_wei: u128,
    /// Most that its gas can cost, wei.
    #[serde(serialize_with = "decimal")]
    pub max_cost_wei: U256,
    /// Base fee of the newest block, wei per gas.
    #[serde(serialize_with = "decimal")]
    pub base_fee_wei: u128,
    /// Most that it may pay per gas by the caps, wei; `None` where they are not known.
    #[serde(serialize_with = "optional", skip_serializing_if = "Option::is_none")]
    pub cap_wei: Option<u128>,
    /// When its first attempt was signed, Unix seconds; `None` for logs of older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<u64>,
    /// Where it stands.
    pub state: PendingState,
}

fn optional<S: serde::Serializer>(amount: &Option<u128>, s: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => s.collect_str(amount),
        None => s.serialize_none(),
    }
}

/// What the log alone says, for when no node answers: one item per nonce, oldest first, with the newest attempt and how many
/// there were.
pub fn attempts(entries: &[TxEntry]) -> Vec<(&TxEntry, usize)> {
    let mut by_nonce: BTreeMap<u64, (&TxEntry, usize)> = BTreeMap::new();
    for entry in entries {
        let slot = by_nonce.entry(entry.nonce).or_insert((entry, 0));
        *slot = (entry, slot.1 + 1);
    }
    by_nonce.into_values().collect()
}

/// Most that a logged transaction pays per gas, wei.
pub fn max_fee_wei(entry: &TxEntry) -> Option<u128> {
    decode(&entry.raw).map(|tx| tx.max_fee_per_gas)
}

fn decimal<T: std::fmt::Display, S: serde::Serializer>(amount: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

/// Looks up logged transactions of `account`, one item per nonce, oldest first, with the caps they are held to where those are known.
/// Sends nothing.
///
/// # Errors
/// When no node answers.
pub async fn describe(
    rpc: &Rpc,
    account: Address,
    entries: &[TxEntry],
    caps: Option<FeePolicy>,
) -> Result<Vec<PendingTx>, TransportError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let provider = rpc.provider();
    let latest = BlockId::Number(BlockNumberOrTag::Latest);
    let block = provider.get_block(latest).await?.ok_or(TransportError::NullResp)?;
    let base_fee_wei = block.header().base_fee_per_gas.map_or(0, u128::from);
    let used = provider.get_transaction_count(account).block_id(latest).await?;
    let mut by_nonce: BTreeMap<u64, Vec<&TxEntry>> = BTreeMap::new();
    for entry in entries {
        by_nonce.entry(entry.nonce).or_default().push(entry);
    }
    let mut list = Vec::with_capacity(by_nonce.len());
    for (nonce, attempts) in by_nonce {
        let Some(newest) = attempts.last() else { continue };
        let (gas_limit, max_fee_wei) = decode(&newest.raw).map_or((0, 0), |tx| (tx.gas_limit, tx.max_fee_per_gas));
        let (mut known, mut mined) = (false, false);
        for entry in &attempts {
            let found = provider.get_transaction_by_hash(entry.hash).await?;
            known |= found.is_some();
            mined |= found.is_some_and(|tx| tx.block_number.is_some());
        }
        let state = match () {
            () if mined => PendingState::Mined,
            () if used > nonce => PendingState::NonceUsed,
            // Many nodes do not even keep one of these: that it is too cheap says more than that nobody has it.
            () if max_fee_wei < base_fee_wei => PendingState::Underpriced,
            () if !known => PendingState::Unsent,
            () if used < nonce => PendingState::Behind,
            () => PendingState::Waiting,
        };
        list.push(PendingTx {
            label: newest.label.clone(),
            to: newest.to,
            nonce,
            hash: newest.hash,
            attempts: attempts.len(),
            max_fee_wei,
            max_cost_wei: U256::from(gas_limit) * U256::from(max_fee_wei),
            base_fee_wei,
            cap_wei: caps.map(|caps| caps.cap_for(gas_limit)),
            signed_at: attempts.first().and_then(|entry| entry.signed_at),
            state,
        });
    }
    Ok(list)
}
