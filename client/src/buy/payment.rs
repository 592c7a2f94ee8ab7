//! How the money gets to the dispatcher, and the call that buys.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use serde::Serialize;
use sunwork_edge::tx::Receipt;
use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};

use super::BuyError;
use crate::chain::{Doing, ReadError, amount};
use crate::client::Client;
use crate::permit::{PermitTerms, sign_permit};
use crate::plan::Plan;
use crate::preflight::KIND_COMPUTE;

/// How long a permit is good for, seconds of chain time.
const PERMIT_SECS: u64 = 3600;

/// How the dispatcher gets the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Payment {
    /// From an allowance given before.
    Allowance,
    /// With an EIP-2612 permit in the same transaction.
    Permit,
    /// Through the token's approve-and-call, in one transaction.
    ApproveAndCall,
}

impl Client {
    /// How to pay `budget` with the fewest transactions: from the allowance if it suffices, else by permit if the token
    /// has it, else by allowance (which the preflight then reports as missing).
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn choose_payment(&self, account: Address, budget: u128) -> Result<Payment, ReadError> {
        let token = self.token();
        let allowance = token
            .allowance(account, self.deployment().dispatcher)
            .call()
            .await
            .doing(|| "reading the wallet's allowance".into())?;
        if amount(allowance) >= budget {
            return Ok(Payment::Allowance);
        }
        Ok(match token.DOMAIN_SEPARATOR().call().await {
            Ok(_) => Payment::Permit,
            Err(_) => Payment::Allowance,
        })
    }

    /// Lets the dispatcher take up to exactly `amount` (smallest unit) of the wallet's tokens, in place of what it was allowed
    /// before. A purchase by permit or approve-and-call needs none: it allows its budget and nothing more.
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn approve(&self, amount: u128) -> Result<Receipt, BuyError> {
        let call = SunToken::approveCall { spender: self.deployment().dispatcher, amount: U256::from(amount) };
        let token = self.deployment().token;
        Ok(self.transactions()?.send("approve", token, call.abi_encode().into()).await?)
    }

    /// Contract and calldata of the purchase.
    pub(super) async fn purchase(
        &self,
        plan: &Plan,
        payment: Payment,
        budget: u128,
    ) -> Result<(Address, Bytes), BuyError> {
        let deployment = self.deployment();
        let dispatcher = deployment.dispatcher;
        let (terms, spec) = (Bytes::from(plan.terms.pack()?), Bytes::from(plan.spec.encode()));
        let buy = IWorkerDispatcher::buyContractCall { kindId: KIND_COMPUTE, terms: terms.clone(), spec: spec.clone() };
        Ok(match payment {
            Payment::Allowance => (dispatcher, buy.abi_encode().into()),
            Payment::ApproveAndCall => {
                let call = SunToken::approveAndCallCall {
                    spender: dispatcher,
                    amount: U256::from(budget),
                    data: buy.abi_encode().into(),
                };
                (deployment.token, call.abi_encode().into())
            }
            Payment::Permit => {
                let permit = self.permit(budget).await?;
                let call = IWorkerDispatcher::buyContractWithPermitCall { kindId: KIND_COMPUTE, terms, spec, permit };
                (dispatcher, call.abi_encode().into())
            }
        })
    }

    async fn permit(&self, budget: u128) -> Result<IWorkerDispatcher::Permit, BuyError> {
        let signer = self.signer()?;
        let token = self.token();
        let token_name = token.name().call().await.doing(|| "reading the token's name".into())?;
        let nonce = token.nonces(signer.address()).call().await.doing(|| "reading the permit nonce".into())?;
        let separator = token.DOMAIN_SEPARATOR().call().await.doing(|| "reading the token's domain".into())?;
        let (_, now) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let terms = PermitTerms {
            token_name,
            token: self.deployment().token,
            chain_id: self.deployment().chain_id,
            spender: self.deployment().dispatcher,
            value: U256::from(budget),
            nonce,
            deadline: U256::from(now + PERMIT_SECS),
        };
        Ok(sign_permit(signer, &terms, separator)?)
    }
}
