//! Transactions without an outcome, as the chain has them, or the journal.
use sunwork_edge::tx::{self, PendingState, TxEntry};

use super::{Control, Transaction, status::CHAIN_TIMEOUT};
use crate::governor::now_secs;

impl Control {
    /// From the chain; from the journal alone where the chain cannot be asked.
    pub(super) async fn transactions(&self) -> Vec<Transaction> {
        let now = now_secs();
        let cap_wei = self.ctx.tx.fees().max_fee_per_gas_wei.to_string();
        let name = |state: PendingState| serde_json::to_value(state).ok()?.as_str().map(str::to_owned);
        let asked = tokio::time::timeout(CHAIN_TIMEOUT, self.ctx.tx.pending()).await;
        let error = match asked {
            Ok(Ok(pending)) => {
                return pending
                    .into_iter()
                    .map(|tx| Transaction {
                        label: tx.label,
                        nonce: tx.nonce,
                        hash: tx.hash.to_string(),
                        attempts: tx.attempts,
                        bumps: tx.attempts.saturating_sub(1),
                        age_secs: tx.signed_at.map(|at| now.saturating_sub(at)),
                        max_fee_wei: tx.max_fee_wei.to_string(),
                        max_cost_wei: Some(tx.max_cost_wei.to_string()),
                        base_fee_wei: Some(tx.base_fee_wei.to_string()),
                        cap_wei: tx.cap_wei.map_or_else(|| cap_wei.clone(), |cap| cap.to_string()),
                        state: name(tx.state).unwrap_or_default(),
                    })
                    .collect();
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CHAIN_TIMEOUT.as_secs()),
        };
        tracing::debug!(error, "cannot ask where the transactions stand");
        of_journal(&self.ctx.journal.state().txs, &cap_wei, now)
    }
}

/// Transactions as the journal has them, for when no node answers.
pub fn of_journal(entries: &[TxEntry], cap_wei: &str, now: u64) -> Vec<Transaction> {
    let first_signed = |nonce| entries.iter().find(|entry| entry.nonce == nonce).and_then(|entry| entry.signed_at);
    tx::attempts(entries)
        .into_iter()
        .map(|(entry, attempts)| Transaction {
            label: entry.label.clone(),
            nonce: entry.nonce,
            hash: entry.hash.to_string(),
            attempts,
            bumps: attempts.saturating_sub(1),
            age_secs: first_signed(entry.nonce).map(|at| now.saturating_sub(at)),
            max_fee_wei: tx::max_fee_wei(entry).unwrap_or(0).to_string(),
            max_cost_wei: None,
            base_fee_wei: None,
            cap_wei: cap_wei.to_owned(),
            state: "unknown".to_owned(),
        })
        .collect()
}
