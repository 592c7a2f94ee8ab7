//! The connection that all operations share.

use std::sync::Arc;

use alloy::primitives::{Address, B256};
use alloy::providers::{DynProvider, Provider};
use alloy::signers::local::PrivateKeySigner;
use sunwork_edge::Deployment;
use sunwork_edge::blobs::BlobClient;
use sunwork_edge::rpc::{self, Rpc, RpcError};
use sunwork_edge::tx::{MemoryTxLog, PendingTx, TxError, TxLog, TxManager, TxOptions, describe};
use sunwork_edge::txlog::{FileTxLog, Identity};
use sunwork_protocol::abi::IComputeAgreement::IComputeAgreementInstance;
use sunwork_protocol::abi::IWorkerDispatcher::IWorkerDispatcherInstance;
use sunwork_protocol::abi::SunToken::SunTokenInstance;
use thiserror::Error;

use crate::amount::Unit;
use crate::buy::{BuyError, Buying};
use crate::chain::{Doing, ReadError};
use crate::class::{Classified, ErrorClass};
use crate::config::{ClientConfig, TxLogPlace};

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
    tx_log: TxLogPlace,
    buying: Buying,
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
    /// This is all that an owner of a contract or a dapp needs to begin with: the deployment file, a node, and a key.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use sunwork_client::{Client, ClientConfig, TxLogPlace};
    ///
    /// let config = ClientConfig {
    ///     rpc_urls: vec!["http://127.0.0.1:8545".parse()?],
    ///     tx_log: TxLogPlace::usual(),
    ///     ..ClientConfig::from_deployment_file("deployments/31337.json")?
    /// };
    /// let key = sunwork_edge::keystore::load("key.json", "its password")?;
    /// let client = Client::connect(config, Some(key)).await?;
    ///
    /// // Bindings of the contracts for whatever has no method here ...
    /// let epoch = client.dispatcher().epoch().call().await?;
    /// // ... and a sender with caps, a log and replacement of stuck transactions for calls to contracts of one's own.
    /// for open in client.transactions()?.pending().await? {
    ///     println!("{} is {:?} since an earlier run: {}", open.label, open.state, open.hash);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(config: ClientConfig, signer: Option<PrivateKeySigner>) -> Result<Self, ConnectError> {
        let rpc = rpc::connect(&config.rpc_urls, config.deployment.chain_id).await?;
        let deployment = config.deployment;
        for (what, address) in [("token", deployment.token), ("dispatcher", deployment.dispatcher)] {
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
        let transactions = match &signer {
            Some(signer) => {
                let log: Arc<dyn TxLog> = match &config.tx_log {
                    TxLogPlace::Memory => Arc::new(MemoryTxLog::default()),
                    TxLogPlace::Folder(dir) => Arc::new(FileTxLog::new(dir, identity(&rpc, signer.address()).await?)),
                };
                let options = TxOptions {
                    fees: config.fees,
                    give_up_after: config.tx_wait,
                    claim_wait: config.claim_wait,
                    notify: config.notify,
                    ..TxOptions::default()
                };
                Some(TxManager::with_options(rpc.clone(), signer.clone(), log, options))
            }
            None => None,
        };
        let blobs = BlobClient::new(config.oracle_urls);
        let unit = Unit { symbol, decimals };
        let (tx_log, buying) = (config.tx_log, Buying::default());
        Ok(Self { inner: Arc::new(Inner { rpc, deployment, blobs, unit, signer, transactions, tx_log, buying }) })
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

    /// What is under way with a wallet, by this program or another that shares its log; oldest first. Sends nothing and needs
    /// no key.
    ///
    /// # Errors
    /// When log or chain cannot be read.
    pub async fn pending(&self, account: Address) -> Result<Vec<PendingTx>, BuyError> {
        if let Some(transactions) = self.inner.transactions.as_ref().filter(|tx| tx.address() == account) {
            return Ok(transactions.pending().await?);
        }
        let TxLogPlace::Folder(dir) = &self.inner.tx_log else { return Ok(Vec::new()) };
        let log = FileTxLog::new(dir, identity(self.rpc(), account).await?);
        log.refresh().map_err(|source| TxError::Log { label: "listing open transactions".into(), source })?;
        let list = describe(self.rpc(), account, &log.pending(), None).await;
        Ok(list.doing(|| "looking up open transactions".into())?)
    }

    pub(crate) fn buying(&self) -> &Buying {
        &self.inner.buying
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

/// Whose log it is. The first block tells apart development chains that follow one another under the same id.
async fn identity(rpc: &Rpc, account: Address) -> Result<Identity, ReadError> {
    let block =
        rpc.provider().get_block_by_number(0.into()).await.doing(|| "reading the chain's first block".into())?;
    // A node that keeps no old blocks: the chain is no development chain, its id is enough.
    let genesis = block.map_or(B256::ZERO, |block| block.header.hash);
    Ok(Identity { chain_id: rpc.chain_id(), genesis, account })
}
