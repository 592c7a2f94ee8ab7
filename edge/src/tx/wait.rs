//! Bringing a transaction home: its receipt, or the proof that there will be none.
use alloy::{eips::BlockNumberOrTag, primitives::B256, providers::Provider, transports::TransportError};
use tokio::time::Instant;

use super::{Inner, Notice, Receipt, Stuck, TxEntry, TxError, TxOutcome, classify, decode, lock, nonce::User, since};

/// Outcomes that are remembered.
const MAX_DECIDED: usize = 256;
/// How often a node must say that the nonce is used and show no receipt, where it cannot say by which transaction.
pub(super) const UNPROVEN_LOOKS: u32 = 5;

/// What became of a nonce.
pub(super) enum Decided {
    Receipt(Box<Receipt>),
    /// Another transaction used it.
    Lost {
        by: Option<B256>,
    },
}

/// What a look at the chain shows.
pub(super) enum Look {
    Mined(Box<Receipt>),
    /// The account has used this many nonces.
    Waiting {
        used: u64,
    },
    NonceUsed(User),
}

impl Inner {
    /// Waits until the nonce is decided; sends again and replaces on the way.
    pub(super) async fn wait(&self, label: &str, nonce: u64, started: Instant) -> Result<Decided, TxError> {
        let _waits = self.waits(nonce);
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
                Ok(Look::Waiting { used }) => {
                    unproven = 0;
                    trouble = None;
                    self.care_for_all(used, newest).await;
                }
                Err(error) => trouble = Some(error.to_string()),
            }
            if since(started) >= self.options.give_up_after {
                return Err(self.given_up(newest, trouble, started).await);
            }
            tokio::time::sleep(self.options.poll).await;
        }
    }

    pub(super) async fn look(&self, attempts: &[TxEntry], nonce: u64) -> Result<Look, TransportError> {
        for entry in attempts.iter().rev() {
            if let Some(receipt) = self.receipt(entry.hash).await? {
                return Ok(Look::Mined(Box::new(receipt)));
            }
        }
        let used = self.count(BlockNumberOrTag::Latest).await?;
        if used <= nonce {
            return Ok(Look::Waiting { used });
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

    pub(super) fn resolve(&self, label: &str, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxError> {
        self.log.resolved(nonce, hash, outcome).map_err(|error| TxError::log(label, error))?;
        lock(&self.cares).remove(&nonce);
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
