//! Encryption keys of accounts and key agents of clients, as they stand on chain.

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::SolCall;
use sunwork_edge::tx::Receipt;
use sunwork_protocol::abi::{IComputeAgreement, IWorkerDispatcher};

use crate::buy::BuyError;
use crate::chain::{Doing, ReadError};
use crate::client::Client;

impl Client {
    /// Publishes the wallet's X25519 public key: who seals a message to it reads it there. Zero withdraws it.
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn set_encryption_key(&self, key: B256) -> Result<Receipt, BuyError> {
        let call = IWorkerDispatcher::setEncryptionKeyCall { key };
        let dispatcher = self.deployment().dispatcher;
        Ok(self.transactions()?.send("setEncryptionKey", dispatcher, call.abi_encode().into()).await?)
    }

    /// Lets `agent` post session keys for all of the wallet's confidential agreements, so that the client may leave. The agent
    /// must be given the keys and can read the work; it can move no money. [`Address::ZERO`] ends it at once.
    ///
    /// # Errors
    /// See [`BuyError`].
    pub async fn set_key_agent(&self, agent: Address) -> Result<Receipt, BuyError> {
        let call = IWorkerDispatcher::setKeyAgentCall { agent };
        let dispatcher = self.deployment().dispatcher;
        Ok(self.transactions()?.send("setKeyAgent", dispatcher, call.abi_encode().into()).await?)
    }

    /// Posts an envelope with the session key for `worker`, which accepted `agreement`. At most 256 bytes.
    ///
    /// # Errors
    /// See [`BuyError`]; `Reverted` when no worker or another one waits for it, or somebody posted it before.
    pub async fn post_key(&self, agreement: Address, worker: Address, envelope: Bytes) -> Result<Receipt, BuyError> {
        let call = IComputeAgreement::postKeyCall { worker, sealedKey: envelope };
        Ok(self.transactions()?.send("postKey", agreement, call.abi_encode().into()).await?)
    }

    /// The X25519 public key that `account` has published; `None` if it has none.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn encryption_key_of(&self, account: Address) -> Result<Option<B256>, ReadError> {
        let key = self.dispatcher().encryptionKeyOf(account).call().await;
        let key = key.doing(|| format!("reading the encryption key of {account}"))?;
        Ok(Some(key).filter(|key| !key.is_zero()))
    }

    /// Who may post session keys for `client`; `None` if nobody but itself.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn key_agent_of(&self, client: Address) -> Result<Option<Address>, ReadError> {
        let agent = self.dispatcher().keyAgentOf(client).call().await;
        let agent = agent.doing(|| format!("reading the key agent of {client}"))?;
        Ok(Some(agent).filter(|agent| !agent.is_zero()))
    }
}
