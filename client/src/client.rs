//! The connection that all operations share.

use std::sync::Arc;

use alloy::primitives::Address;
use alloy::providers::DynProvider;
use alloy::signers::local::PrivateKeySigner;
use sunwork_edge::Deployment;
use sunwork_edge::blobs::BlobClient;
use sunwork_edge::rpc::{self, Rpc, RpcError};
use sunwork_edge::tx::{MemoryTxLog, TxManager};
use sunwork_protocol::abi::IComputeAgreement::IComputeAgreementInstance;
use sunwork_protocol::abi::IWorkerDispatcher::IWorkerDispatcherInstance;
use sunwork_protocol::abi::SunToken::SunTokenInstance;
use thiserror::Error;

use crate::amount::Unit;
use crate::chain::{Doing, ReadError};
use crate::class::{Classified, ErrorClass};
use crate::config::ClientConfig;

/// A client of one deployment. Clones share the connection.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    rpc: Rpc,
    deployment: Deployment,
    blobs: BlobClient,
    unit: Unit,
    signer: Option<PrivateKeySigner>,
    transactions: Option<TxManager>,
}

/// No connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// No node, or of another chain.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The deployment's contracts do not answer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Nothing there.
    #[error(
        "there is no {what} at {address} on chain {chain_id}; expected the deployment's contract: is the deployment \
         file older than the network?"
    )]
    NoContract {
        /// Which contract.
        what: &'static str,
        /// Where it should be.
        address: Address,
        /// The chain.
        chain_id: u64,
    },
}

impl Classified for ConnectError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Rpc(error) if error.is_temporary() => ErrorClass::Retry,
            Self::Rpc(_) | Self::NoContract { .. } => ErrorClass::Stop,
            Self::Read(error) => error.class(),
        }
    }
}

/// An operation that needs a key was called without one.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("this needs a wallet, but no keystore is given; make one with `sunwork wallet create`")]
pub struct NoSigner;

impl Client {
    /// Connects, checks that the chain is the deployment's and that its contracts are there. Without a signer only
    /// reading is possible.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(config: ClientConfig, signer: Option<PrivateKeySigner>) -> Result<Self, ConnectError> {
        let rpc = rpc::connect(&config.rpc_urls, config.deployment.chain_id).await?;
        let deployment = config.deployment;
        for (what, address) in [("token", deployment.token), ("dispatcher", deployment.dispatcher)] {
            use alloy::providers::Provider;
            let code = rpc.provider().get_code_at(address).await.doing(|| format!("reading the code of the {what}"))?;
            if code.is_empty() {
                return Err(ConnectError::NoContract { what, address, chain_id: deployment.chain_id });
            }
        }
        let token = SunTokenInstance::new(deployment.token, rpc.provider().clone());
        let decimals = token.decimals().call().await.doing(|| "reading the token's decimals".into())?;
        let symbol = token.symbol().call().await.doing(|| "reading the token's symbol".into())?;
        // The symbol is printed: a strange token shall not print anything else with it.
        let symbol: String = symbol.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
        let transactions =
            signer.clone().map(|signer| TxManager::new(rpc.clone(), signer, Arc::new(MemoryTxLog::default())));
        let blobs = BlobClient::new(config.oracle_urls);
        let unit = Unit { symbol, decimals };
        Ok(Self { inner: Arc::new(Inner { rpc, deployment, blobs, unit, signer, transactions }) })
    }

    /// The connection to the chain.
    pub fn rpc(&self) -> &Rpc {
        &self.inner.rpc
    }

    /// The contracts.
    pub fn deployment(&self) -> &Deployment {
        &self.inner.deployment
    }

    /// Blobs from and to the oracles.
    pub fn blobs(&self) -> &BlobClient {
        &self.inner.blobs
    }

    /// What amounts are written in.
    pub fn unit(&self) -> &Unit {
        &self.inner.unit
    }

    /// The account that signs, if there is one.
    pub fn address(&self) -> Option<Address> {
        self.inner.signer.as_ref().map(PrivateKeySigner::address)
    }

    /// The signer.
    ///
    /// # Errors
    /// When the client was connected without one.
    pub(crate) fn signer(&self) -> Result<&PrivateKeySigner, NoSigner> {
        self.inner.signer.as_ref().ok_or(NoSigner)
    }

    /// The transaction manager of the signer.
    ///
    /// # Errors
    /// When the client was connected without a signer.
    pub fn transactions(&self) -> Result<&TxManager, NoSigner> {
        self.inner.transactions.as_ref().ok_or(NoSigner)
    }

    pub(crate) fn provider(&self) -> DynProvider {
        self.inner.rpc.provider().clone()
    }

    /// The dispatcher's bindings.
    pub fn dispatcher(&self) -> IWorkerDispatcherInstance<DynProvider> {
        IWorkerDispatcherInstance::new(self.inner.deployment.dispatcher, self.provider())
    }

    /// The token's bindings.
    pub fn token(&self) -> SunTokenInstance<DynProvider> {
        SunTokenInstance::new(self.inner.deployment.token, self.provider())
    }

    /// An agreement's bindings.
    pub fn compute(&self, agreement: Address) -> IComputeAgreementInstance<DynProvider> {
        IComputeAgreementInstance::new(agreement, self.provider())
    }
}
