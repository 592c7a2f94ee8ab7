//! Bringing a transaction home: its receipt, or the proof that there will be none; a higher fee where it is stuck.
use alloy::{
    consensus::TxEip1559, eips::BlockNumberOrTag, primitives::B256, providers::Provider, transports::TransportError,
};
use tokio::time::Instant;

use super::{
    Inner, Notice, Receipt, Stuck, TxEntry, TxError, TxOutcome, classify, decode,
    fees::{self, Fees},
    lock,
    nonce::User,
    since,
};

/// Outcomes that are remembered.
const MAX_DECIDED: usize = 256;
/// How often a node must say that the nonce is used and show no receipt, where it cannot say by which transaction.
const UNPROVEN_LOOKS: u32 = 5;

/// What became of a nonce.
pub(super) enum Decided {
    Receipt(Box<Receipt>),
    /// Another transaction used it.
    Lost {
        by: Option<B256>,
    },
}

/// What a look at the chain shows.
enum Look {
    Mined(Box<Receipt>),
    Waiting,
    NonceUsed(User),
}

/// What was done about a waiting transaction, and when.
struct Care {
    last_sent: Instant,
    /// Block in which it was sent last; unknown until the first look.
    last_block: Option<u64>,
    at_cap_told: bool,
}

impl Inner {
    /// Waits until the nonce is decided; sends again and replaces on the way.
    pub(super) async fn wait(&self, label: &str, nonce: u64, started: Instant) -> Result<Decided, TxError> {
        let mut care = Care { last_sent: Instant::now(), last_block: None, at_cap_told: false };
        let mut unproven = 0_u32;
        let mut trouble = None;
        loop {
            let attempts: Vec<_> = self.log.pending().into_iter().filter(|entry| entry.nonce == nonce).collect();
            let Some(newest) = attempts.last() else {
                // Another task that waited for the same call settled it.
                return self.settled_elsewhere(label, nonce).await;
            };
            match self.look(&attempts, nonce).await {
                Ok(Look::Mined(receipt)) => {
                    let outcome = if receipt.status() { TxOutcome::Mined } else { TxOutcome::Reverted };
                    self.resolve(label, nonce, receipt.transaction_hash, outcome)?;
                    if attempts.iter().all(|entry| entry.hash != receipt.transaction_hash) {
                        let (label, hash) = (label.to_owned(), receipt.transaction_hash);
                        self.options.notify.tell(Notice::SentElsewhere { label, hash });
                    }
                    return Ok(Decided::Receipt(receipt));
                }
                Ok(Look::NonceUsed(User::Another(by))) => {
                    self.resolve(label, nonce, newest.hash, TxOutcome::Dropped)?;
                    return Ok(Decided::Lost { by: Some(by) });
                }
                Ok(Look::NonceUsed(User::Unknown)) => {
                    // Receipts may lag behind the account's nonce on a node; believe it only when it lasts.
                    unproven += 1;
                    if unproven >= UNPROVEN_LOOKS {
                        self.resolve(label, nonce, newest.hash, TxOutcome::Dropped)?;
                        return Ok(Decided::Lost { by: None });
                    }
                }
                // Its receipt is late.
                Ok(Look::NonceUsed(User::Ours | User::SameCall(_))) => unproven = 0,
                Ok(Look::Waiting) => {
                    unproven = 0;
                    trouble = None;
                    self.care(newest, &mut care).await;
                }
                Err(error) => trouble = Some(error.to_string()),
            }
            if since(started) >= self.options.give_up_after {
                return Err(self.given_up(newest, trouble, started).await);
            }
            tokio::time::sleep(self.options.poll).await;
        }
    }

    async fn look(&self, attempts: &[TxEntry], nonce: u64) -> Result<Look, TransportError> {
        for entry in attempts.iter().rev() {
            if let Some(receipt) = self.receipt(entry.hash).await? {
                return Ok(Look::Mined(Box::new(receipt)));
            }
        }
        if self.count(BlockNumberOrTag::Latest).await? <= nonce {
            return Ok(Look::Waiting);
        }
        let user = self.user_of(nonce, attempts).await?;
        if let User::SameCall(hash) = user
            && let Some(receipt) = self.receipt(hash).await?
        {
            return Ok(Look::Mined(Box::new(receipt)));
        }
        Ok(Look::NonceUsed(user))
    }

    async fn receipt(&self, hash: B256) -> Result<Option<Receipt>, TransportError> {
        let receipt = self.rpc.provider().get_transaction_receipt(hash).await?;
        Ok(receipt.filter(|receipt| receipt.block_number.is_some()))
    }

    /// Sends a waiting transaction again, for more, when blocks pass it by or it waits for too long.
    async fn care(&self, newest: &TxEntry, care: &mut Care) {
        let Ok(head) = self.rpc.provider().get_block_number().await else { return };
        let sent_at = *care.last_block.get_or_insert(head);
        let passed_by = head.saturating_sub(sent_at) >= self.options.fees.bump_after_blocks.max(1);
        if !passed_by && care.last_sent.elapsed() < self.options.stuck_after {
            return;
        }
        (care.last_sent, care.last_block) = (Instant::now(), Some(head));
        if let Some(at_cap) = self.nudge(newest).await
            && !std::mem::replace(&mut care.at_cap_told, true)
        {
            self.options.notify.tell(at_cap);
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

    /// It is not decided in time: what can be said about it.
    async fn given_up(&self, newest: &TxEntry, trouble: Option<String>, started: Instant) -> TxError {
        let label = newest.label.clone();
        if let Some(reason) = trouble {
            return TxError::Temporary { label, reason };
        }
        let market = match self.market().await {
            Ok(market) => market,
            Err(error) => return classify::error(&label, error),
        };
        let (gas_limit, max_fee_wei) = decode(&newest.raw).map_or((0, 0), |tx| (tx.gas_limit, tx.max_fee_per_gas));
        TxError::Stuck(Box::new(Stuck {
            label,
            hash: newest.hash,
            nonce: newest.nonce,
            max_fee_wei,
            base_fee_wei: market.base_fee_wei,
            cap_wei: self.options.fees.cap_for(gas_limit),
            waited: since(started),
        }))
    }

    fn resolve(&self, label: &str, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxError> {
        self.log.resolved(nonce, hash, outcome).map_err(|error| TxError::log(label, error))?;
        let mut decided = lock(&self.decided);
        decided.insert(nonce, (hash, outcome));
        while decided.len() > MAX_DECIDED {
            decided.pop_first();
        }
        Ok(())
    }

    async fn settled_elsewhere(&self, label: &str, nonce: u64) -> Result<Decided, TxError> {
        let decided = lock(&self.decided).get(&nonce).copied();
        let Some((hash, TxOutcome::Mined | TxOutcome::Reverted)) = decided else {
            return Ok(Decided::Lost { by: None });
        };
        let receipt = self.rpc.provider().get_transaction_receipt(hash).await;
        let receipt = receipt.map_err(|error| classify::error(label, error))?;
        let vanished = || TxError::temporary(label, format!("the receipt of {hash} is gone"));
        receipt.map(|receipt| Decided::Receipt(Box::new(receipt))).ok_or_else(vanished)
    }
}
