//! What a client sends after a purchase: withdrawal of the offer, a push after a deadline, collection of what is owed.

use alloy::primitives::Address;
use alloy::sol_types::SolCall;
use sunwork_edge::tx::Receipt;
use sunwork_protocol::abi::IWorkerDispatcher;

use super::BuyError;
use crate::client::Client;

impl Client {
    /// Withdraws the offer while nobody has accepted it.
    ///
    /// # Errors
    /// See [`BuyError`]; `Reverted` when a worker was first.
    pub async fn cancel(&self, agreement: Address) -> Result<Receipt, BuyError> {
        let calldata = sunwork_protocol::abi::IComputeAgreement::cancelCall {}.abi_encode();
        Ok(self.transactions()?.send("cancel", agreement, calldata.into()).await?)
    }

    /// Moves an agreement on whose deadline has passed.
    ///
    /// # Errors
    /// See [`BuyError`]; `Reverted` when somebody else was first.
    pub async fn expire(&self, agreement: Address) -> Result<Receipt, BuyError> {
        let calldata = sunwork_protocol::abi::IComputeAgreement::expireCall {}.abi_encode();
        Ok(self.transactions()?.send("expire", agreement, calldata.into()).await?)
    }

    /// Sends to the wallet all that is owed to it (refunds, unspent rewards).
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn withdraw(&self) -> Result<Receipt, BuyError> {
        let account = self.signer()?.address();
        let calldata = IWorkerDispatcher::withdrawCall { account }.abi_encode();
        Ok(self.transactions()?.send("withdraw", self.deployment().dispatcher, calldata.into()).await?)
    }
}
