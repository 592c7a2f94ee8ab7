//! Money and words of those who are not the worker: adding to a reward, accepting a result, disputing a leaf with a bond (at trust
//! level 0: rejecting the result), and getting back what an addition is due.

use alloy::primitives::{Address, Bytes, U256, aliases::U96};
use alloy::sol_types::SolCall;
use sunwork_edge::tx::Receipt;
use sunwork_protocol::abi::{IComputeAgreement, IWorkerDispatcher, SunToken};

use crate::buy::BuyError;
use crate::chain::{Doing, ReadError, amount};
use crate::client::Client;

/// What money for an agreement is for, as `WorkerDispatcher.fund` takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// An addition to the reward, while nobody has accepted.
    Reward,
    /// The bond of a dispute of this leaf; at trust level 0 of a rejection.
    Dispute {
        /// Which leaf.
        leaf: u32,
    },
}

impl Purpose {
    /// The bytes that tell the agreement: none, or the four of a leaf.
    pub fn bytes(self) -> Bytes {
        match self {
            Self::Reward => Bytes::new(),
            Self::Dispute { leaf } => Bytes::copy_from_slice(&leaf.to_be_bytes()),
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Reward => "add",
            Self::Dispute { .. } => "dispute",
        }
    }
}

impl Client {
    /// What disputing a leaf of `agreement` takes as a bond, at trust level 0 what rejecting its result does; smallest unit.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn dispute_bond(&self, agreement: Address) -> Result<u128, ReadError> {
        let bond = self.compute(agreement).disputeBond().call().await;
        Ok(bond.doing(|| format!("reading the dispute bond of agreement {agreement}"))?.to())
    }

    /// What `payer` added to the reward of `agreement` and has not got back, smallest unit.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn contribution_of(&self, agreement: Address, payer: Address) -> Result<u128, ReadError> {
        let added = self.compute(agreement).contributionOf(payer).call().await;
        Ok(added.doing(|| format!("reading what {payer} added to agreement {agreement}"))?.to())
    }

    /// Puts `sum` (smallest unit) of the wallet's tokens into `agreement`: from the allowance if it suffices, else by
    /// approve-and-call, in one transaction either way.
    ///
    /// # Errors
    /// See [`BuyError`]; `Reverted` when the agreement does not take it, as after a worker has accepted.
    pub async fn fund(&self, agreement: Address, sum: u128, purpose: Purpose) -> Result<Receipt, BuyError> {
        let deployment = self.deployment();
        let account = self.signer()?.address();
        let allowance = self.token().allowance(account, deployment.dispatcher).call().await;
        let allowed = amount(allowance.doing(|| "reading the wallet's allowance".into())?);
        // Token amounts have at most 96 bits; a larger one is refused for the balance that nobody has.
        let sum_96 = U96::saturating_from(sum);
        let fund = IWorkerDispatcher::fundCall { agreement, amount: sum_96, what: purpose.bytes() }.abi_encode();
        let transactions = self.transactions()?;
        if allowed >= sum {
            return Ok(transactions.send(purpose.label(), deployment.dispatcher, fund.into()).await?);
        }
        let call =
            SunToken::approveAndCallCall { spender: deployment.dispatcher, amount: U256::from(sum), data: fund.into() };
        Ok(transactions.send(purpose.label(), deployment.token, call.abi_encode().into()).await?)
    }

    /// Accepts the result of the wallet's own agreement, which pays the worker at once: at trust level 0 instead of staying
    /// silent, else to end the time for disputes.
    ///
    /// # Errors
    /// See [`BuyError`]; `Reverted` when there is no result to accept, or a leaf is disputed.
    pub async fn accept_result(&self, agreement: Address) -> Result<Receipt, BuyError> {
        let calldata = IComputeAgreement::acceptResultCall {}.abi_encode();
        Ok(self.transactions()?.send("acceptResult", agreement, calldata.into()).await?)
    }

    /// Credits `payer` with its part of what an ended agreement refunded; `WorkerDispatcher.withdraw` then sends it. Anybody may.
    ///
    /// # Errors
    /// See [`BuyError`]; `Reverted` when it has not ended, or nothing is due.
    pub async fn refund_contribution(&self, agreement: Address, payer: Address) -> Result<Receipt, BuyError> {
        let calldata = IComputeAgreement::refundContributionCall { payer }.abi_encode();
        Ok(self.transactions()?.send("refundContribution", agreement, calldata.into()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agreement_is_told_what_money_is_for() {
        assert!(Purpose::Reward.bytes().is_empty());
        assert_eq!(Purpose::Dispute { leaf: 5 }.bytes().as_ref(), [0, 0, 0, 5]);
    }
}
