//! Buying, once: a purchase that is under way or that nobody was told of is found and not made twice.

use alloy::primitives::{Address, B256};
use alloy::providers::Provider;
use alloy::sol_types::SolEvent;
use serde::Serialize;
use sunwork_edge::tx::{Receipt, TxError, TxOutcome};
use sunwork_protocol::abi::IWorkerDispatcher;

use super::intent::Known;
use super::{BuyError, NotSealed, Payment};
use crate::chain::Doing;
use crate::client::Client;
use crate::plan::Plan;
use crate::preflight::ByAllowance;

/// What the log calls a purchase.
const PURCHASE: &str = "buyContract";

/// A bought agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// Its contract.
    #[serde(rename = "agreement")]
    pub address: Address,
    /// The purchase.
    pub tx: B256,
    /// Its block.
    pub block: u64,
    /// It was bought by an earlier run that was ended before it could say so; nothing was paid now.
    pub resumed: bool,
}

impl Client {
    /// Buys `plan`, after a preflight that costs nothing, of what the contracts check: whether anybody could take it now (positive
    /// workers for green work, say) [`Client::preflight`] and [`Client::eligibility`] tell. The blobs must be uploaded before.
    ///
    /// Safe to repeat after any error and after a crash (with a log in a folder): a purchase of the same plan that was under
    /// way is waited for and returned as `resumed`, not made twice. One whose agreement was returned before is done; buying the
    /// same plan again buys it again.
    ///
    /// # Errors
    /// See [`BuyError`]; after any but `NoEvent` nothing was paid, or the purchase is under way and found by the next call.
    pub async fn buy(&self, plan: &Plan, payment: Payment) -> Result<Agreement, BuyError> {
        self.buy_for(plan, payment, self.intent_of(plan)?).await
    }

    /// The same for an intent that is known from elsewhere: that of the plan before it was sealed, for confidential work.
    ///
    /// # Errors
    /// As [`Client::buy`].
    pub async fn buy_for(&self, plan: &Plan, payment: Payment, intent: B256) -> Result<Agreement, BuyError> {
        self.buy_unless(plan, payment, intent, Known::Untold).await
    }

    /// The same for a program that must not buy twice for one `key` of its own (a number of an order, say): returns the same
    /// agreement whenever it is called again, for as long as the log remembers (the last 256 purchases). Needs a log in a
    /// folder to hold over restarts.
    ///
    /// # Errors
    /// As [`Client::buy`].
    pub async fn buy_once(&self, plan: &Plan, payment: Payment, key: B256) -> Result<Agreement, BuyError> {
        self.buy_unless(plan, payment, key, Known::All).await
    }

    /// The purchase with this intent that an earlier run left under way or could not tell anybody of, if there is one: it is
    /// waited for, and told by being returned. Ask before encrypting and uploading again what is bought already.
    ///
    /// # Errors
    /// As [`Client::buy`].
    pub async fn unfinished_purchase(&self, intent: B256) -> Result<Option<Agreement>, BuyError> {
        let turn = self.buying().turn(intent);
        let _turn = turn.lock().await;
        let _claim = self.transactions()?.claim(PURCHASE).await?;
        self.found(intent, Known::Untold).await
    }

    /// The purchase that [`Client::buy_once`] made for `key`, if the log knows of one; one under way is waited for.
    ///
    /// # Errors
    /// As [`Client::buy`].
    pub async fn purchase_known_as(&self, key: B256) -> Result<Option<Agreement>, BuyError> {
        let turn = self.buying().turn(key);
        let _turn = turn.lock().await;
        let _claim = self.transactions()?.claim(PURCHASE).await?;
        self.found(key, Known::All).await
    }

    /// Settles what earlier runs left under way (approvals, cancellations, purchases), without sending anything new. Returns
    /// the purchases among them; [`Client::buy`] finds them too.
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn recover(&self) -> Result<Vec<Agreement>, BuyError> {
        let mut agreements = Vec::new();
        for (entry, outcome) in self.transactions()?.recover().await? {
            if entry.label == PURCHASE && outcome == TxOutcome::Mined {
                agreements.push(self.resumed(entry.hash).await?);
            }
        }
        Ok(agreements)
    }

    async fn buy_unless(
        &self,
        plan: &Plan,
        payment: Payment,
        intent: B256,
        known: Known,
    ) -> Result<Agreement, BuyError> {
        NotSealed::check(plan)?;
        let turn = self.buying().turn(intent);
        let _turn = turn.lock().await;
        let transactions = self.transactions()?;
        // Held until the purchase is noted as told: another process must not find it in between and take it for its own.
        let _claim = transactions.claim(PURCHASE).await?;
        // Before the preflight, which would find the money gone that the first one took.
        if let Some(agreement) = self.found(intent, known).await? {
            return Ok(agreement);
        }
        let account = self.signer()?.address();
        let preflight = self.contract_preflight(plan, Some(account)).await?;
        let by_allowance = if payment == Payment::Allowance { ByAllowance::Yes } else { ByAllowance::No };
        let problems = preflight.problems_for(by_allowance);
        if !problems.is_empty() {
            let sentences = problems.iter().map(|p| p.sentence(self.unit())).collect();
            return Err(BuyError::Refused { problems, sentences });
        }
        let (to, calldata) = self.purchase(plan, payment, preflight.budget).await?;
        let receipt = transactions.send_intent(PURCHASE, to, calldata, intent).await?;
        let agreement = self.bought(&receipt)?;
        self.tell(agreement.tx);
        Ok(agreement)
    }

    async fn found(&self, intent: B256, known: Known) -> Result<Option<Agreement>, BuyError> {
        let Some(settled) = self.transactions()?.settle(intent).await? else { return Ok(None) };
        if settled.told && known == Known::Untold {
            return Ok(None);
        }
        let agreement = self.resumed(settled.hash).await?;
        self.tell(agreement.tx);
        Ok(Some(agreement))
    }

    fn tell(&self, tx: B256) {
        // What is bought is bought: at worst the next run finds it once more.
        if let Ok(transactions) = self.transactions()
            && let Err(error) = transactions.told(tx)
        {
            tracing::warn!(%tx, %error, "that the purchase is known could not be written down");
        }
    }

    async fn resumed(&self, tx: B256) -> Result<Agreement, BuyError> {
        let receipt = self.rpc().provider().get_transaction_receipt(tx).await;
        let receipt = receipt.doing(|| format!("reading the receipt of the earlier purchase {tx}"))?;
        let receipt = receipt.ok_or_else(|| TxError::Temporary {
            label: PURCHASE.to_owned(),
            reason: format!("the node does not know {tx}, by which it was bought before; ask a node that is in step"),
        })?;
        Ok(Agreement { resumed: true, ..self.bought(&receipt)? })
    }

    fn bought(&self, receipt: &Receipt) -> Result<Agreement, BuyError> {
        let dispatcher = self.deployment().dispatcher;
        let tx = receipt.transaction_hash;
        receipt
            .inner
            .logs()
            .iter()
            .filter(|log| log.address() == dispatcher)
            .find_map(|log| IWorkerDispatcher::AgreementBought::decode_log_data(log.data()).ok())
            .map(|event| {
                let block = receipt.block_number.unwrap_or_default();
                Agreement { address: event.agreement, tx, block, resumed: false }
            })
            .ok_or(BuyError::NoEvent { tx, dispatcher })
    }
}
