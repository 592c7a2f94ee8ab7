//! What waits is looked after: sent again, replaced with a higher fee where it is stuck, and freed where an earlier nonce is missing.
//!
//! ```text
//! used (chain)      nonces that wait
//!      5             5 6 7      all are sent again and bumped, each in its turn
//!      5             6 7        nobody has 5: a reorganisation took it back. The next call takes it, or it is filled
//! ```
use std::collections::BTreeMap;

use alloy::{
    consensus::TxEip1559,
    eips::BlockNumberOrTag,
    primitives::{Bytes, TxKind, U256},
    providers::Provider,
};
use tokio::time::Instant;

use super::{
    Inner, Notice, TxEntry, TxError, TxManager, TxOutcome, decode,
    fees::{self, Fees},
    lock,
    nonce::User,
    submit::LEAST_GAS,
    wait::{Look, UNPROVEN_LOOKS},
};

/// What a transaction is called that only uses up a nonce.
const FILLER: &str = "fill-nonce";
/// Earlier nonces that are looked after for the sake of a later one.
const MAX_EARLIER: u64 = 64;

/// What was done about a waiting transaction, and when.
pub(super) struct Care {
    last_sent: Instant,
    /// Block in which it was sent last; unknown until the first look.
    last_block: Option<u64>,
    at_cap_told: bool,
    /// Looks in a row that showed the nonce used, no receipt of ours, and not by whom.
    unproven: u32,
}

impl Care {
    fn fresh() -> Self {
        Self { last_sent: Instant::now(), last_block: None, at_cap_told: false, unproven: 0 }
    }
}

/// Counts a task that waits for a nonce, as long as it does.
pub(super) struct Waits<'a> {
    inner: &'a Inner,
    nonce: u64,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        let mut waiters = lock(&self.inner.waiters);
        if let Some(count) = waiters.get_mut(&self.nonce) {
            *count -= 1;
            if *count == 0 {
                waiters.remove(&self.nonce);
            }
        }
    }
}

impl TxManager {
    /// Looks once after logged transactions that no task waits for: who waited gave up, or was dropped. Notes what became of them,
    /// and keeps those going that are stuck, so that no later transaction is held up. Call it every few seconds.
    ///
    /// # Errors
    /// When the chain cannot be asked or the log not be written.
    pub async fn tend(&self) -> Result<Vec<(TxEntry, TxOutcome)>, TxError> {
        let inner = &self.inner;
        let mut by_nonce: BTreeMap<u64, Vec<TxEntry>> = BTreeMap::new();
        for entry in inner.log.pending() {
            by_nonce.entry(entry.nonce).or_default().push(entry);
        }
        by_nonce.retain(|nonce, _| !lock(&inner.waiters).contains_key(nonce));
        let mut settled = Vec::new();
        for (nonce, attempts) in by_nonce {
            let Some(newest) = attempts.last() else { continue };
            let label = newest.label.as_str();
            let look = inner.look(&attempts, nonce).await.map_err(|error| super::classify::error(label, error))?;
            let (hash, outcome) = match look {
                Look::Mined(receipt) if receipt.status() => (receipt.transaction_hash, TxOutcome::Mined),
                Look::Mined(receipt) => (receipt.transaction_hash, TxOutcome::Reverted),
                Look::NonceUsed(User::Another(_)) => (newest.hash, TxOutcome::Dropped),
                // Only a look that lasts proves more. It matters where nobody looks but this: on nodes that do not keep old states.
                Look::NonceUsed(User::Unknown) => match inner.looks_unproven(nonce) {
                    UNPROVEN_LOOKS.. => (newest.hash, TxOutcome::Dropped),
                    _ => continue,
                },
                // Its receipt is late.
                Look::NonceUsed(User::Ours | User::SameCall(_)) => {
                    inner.is_proven(nonce);
                    continue;
                }
                Look::Waiting { used } => {
                    inner.is_proven(nonce);
                    if !lock(&inner.cares).contains_key(&nonce) {
                        // Of a run before this one: perhaps it was never sent.
                        let _ = inner.broadcast(newest).await;
                    }
                    inner.care_for_all(used, newest).await;
                    continue;
                }
            };
            inner.resolve(label, nonce, hash, outcome)?;
            settled.push((TxEntry { hash, ..newest.clone() }, outcome));
        }
        Ok(settled)
    }
}

impl Inner {
    /// Counts the caller as one who waits for `nonce`.
    pub(super) fn waits(&self, nonce: u64) -> Waits<'_> {
        *lock(&self.waiters).entry(nonce).or_default() += 1;
        Waits { inner: self, nonce }
    }

    /// Looks after a waiting transaction and, as no nonce is mined before those below it, after what comes before it.
    pub(super) async fn care_for_all(&self, used: u64, newest: &TxEntry) {
        let pending = self.log.pending();
        let from = used.max(newest.nonce.saturating_sub(MAX_EARLIER));
        for nonce in from..newest.nonce {
            match pending.iter().rev().find(|entry| entry.nonce == nonce) {
                Some(earlier) => self.care(earlier).await,
                None => self.care_for_gap(nonce).await,
            }
        }
        self.care(newest).await;
    }

    /// Counts a look that proves nothing about a used nonce, and returns how many there were in a row.
    fn looks_unproven(&self, nonce: u64) -> u32 {
        let mut cares = lock(&self.cares);
        let care = cares.entry(nonce).or_insert_with(Care::fresh);
        care.unproven = care.unproven.saturating_add(1);
        care.unproven
    }

    /// A look proved something: what was counted before is worth nothing.
    fn is_proven(&self, nonce: u64) {
        if let Some(care) = lock(&self.cares).get_mut(&nonce) {
            care.unproven = 0;
        }
    }

    /// True when it is time to do something about this nonce; then it counts as done.
    async fn is_due(&self, nonce: u64) -> bool {
        let Ok(head) = self.rpc.provider().get_block_number().await else { return false };
        let mut cares = lock(&self.cares);
        let care = cares.entry(nonce).or_insert_with(Care::fresh);
        let sent_at = *care.last_block.get_or_insert(head);
        if head < sent_at {
            // The chain went back: what was sent may be gone with it.
            care.last_block = Some(head);
        }
        let passed_by = head.saturating_sub(sent_at) >= self.options.fees.bump_after_blocks.max(1);
        if !passed_by && care.last_sent.elapsed() < self.options.stuck_after {
            return false;
        }
        (care.last_sent, care.last_block) = (Instant::now(), Some(head));
        true
    }

    /// Sends a waiting transaction again, for more, when blocks pass it by or it waits for too long.
    async fn care(&self, newest: &TxEntry) {
        if !self.is_due(newest.nonce).await {
            return;
        }
        let Some(at_cap) = self.nudge(newest).await else { return };
        let told =
            lock(&self.cares).get_mut(&newest.nonce).is_none_or(|care| std::mem::replace(&mut care.at_cap_told, true));
        if !told {
            self.options.notify.tell(at_cap);
        }
    }

    /// Nobody waits with this nonce, and ours wait behind it: a reorganisation took back what had used it, and the node forgot it.
    /// Where that lasts, a transaction that does nothing uses it up.
    async fn care_for_gap(&self, nonce: u64) {
        if !self.is_due(nonce).await {
            return;
        }
        let _guard = self.nonces.lock().await;
        let free = match self.count(BlockNumberOrTag::Pending).await {
            Ok(count) => count <= nonce && self.log.pending().iter().all(|entry| entry.nonce != nonce),
            Err(_) => false,
        };
        let Some(market) = self.market().await.ok().filter(|_| free) else { return };
        let cap_wei = self.options.fees.cap_for(LEAST_GAS);
        let Some(fees) = fees::initial(market.base_fee_wei, market.tip_wei, cap_wei) else { return };
        let tx = TxEip1559 {
            chain_id: self.rpc.chain_id(),
            nonce,
            gas_limit: LEAST_GAS,
            max_fee_per_gas: fees.max_fee_wei,
            max_priority_fee_per_gas: fees.tip_wei,
            to: TxKind::Call(self.signer.address()),
            value: U256::ZERO,
            access_list: Default::default(),
            input: Bytes::new(),
        };
        let Ok(entry) = self.sign(FILLER, tx) else { return };
        if let Err(error) = self.log.signed(&entry) {
            tracing::error!(%error, nonce, "a missing nonce is not filled");
            return;
        }
        self.options.notify.tell(Notice::Filled { hash: entry.hash, nonce });
        if let Err(error) = self.broadcast(&entry).await {
            tracing::debug!(%error, nonce, "the node did not take what fills a nonce");
        }
    }

    /// Sends a stuck transaction again, with a higher fee where the caps allow it; else returns that they do not.
    async fn nudge(&self, stuck: &TxEntry) -> Option<Notice> {
        let _guard = self.nonces.lock().await;
        let market = self.market().await.ok();
        // The old one first: it may only have been forgotten, and costs less.
        let _ = self.broadcast(stuck).await;
        let tx = decode(&stuck.raw)?;
        let cap_wei = self.options.fees.cap_for(tx.gas_limit);
        let last = Fees { max_fee_wei: tx.max_fee_per_gas, tip_wei: tx.max_priority_fee_per_gas };
        let now = market.and_then(|market| fees::initial(market.base_fee_wei, market.tip_wei, cap_wei));
        let Some(fees) = fees::bump(last, now, cap_wei, self.options.fees.bump_percent) else {
            let base_fee_wei = market.map_or(0, |market| market.base_fee_wei);
            let (label, hash, max_fee_wei) = (stuck.label.clone(), stuck.hash, last.max_fee_wei);
            return Some(Notice::AtCap { label, hash, max_fee_wei, base_fee_wei, cap_wei });
        };
        let tx = TxEip1559 { max_fee_per_gas: fees.max_fee_wei, max_priority_fee_per_gas: fees.tip_wei, ..tx };
        let mut entry = self.sign(&stuck.label, tx).ok()?;
        entry.intent = stuck.intent;
        if let Err(error) = self.log.signed(&entry) {
            tracing::error!(%error, label = %stuck.label, "no replacement is sent");
            return None;
        }
        let (label, hash, nonce, max_fee_wei) = (entry.label.clone(), entry.hash, entry.nonce, fees.max_fee_wei);
        self.options.notify.tell(Notice::Replaced { label, hash, nonce, max_fee_wei });
        if let Err(error) = self.broadcast(&entry).await {
            tracing::debug!(%error, "the node did not take the replacement");
        }
        None
    }
}
