//! JSON-RPC to a chain, over one or several nodes.
//!
//! Every request goes to the preferred node and, when that one fails, lags, or answers nonsense, to the next; after a
//! round over all of them it waits and tries again, for a bounded number of rounds. A node is asked for its chain id
//! before it is trusted and again after each failure: one that names another chain than the deployment's is never used.
//!
//! The pieces: `endpoint` is one node, `fallback` the transport that alloy sees, `shape` what a sane answer
//! looks like.
use std::{fmt, sync::Arc, time::Duration};

use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    network::BlockResponse,
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::client::RpcClient,
    transports::{TransportError, TransportErrorKind},
};
use url::Url;

use self::fallback::Fallback;

mod endpoint;
mod fallback;
mod shape;

/// Most nodes that one process uses.
const MAX_URLS: usize = 16;

/// How patient the connection is.
#[derive(Clone, Debug)]
pub struct RpcOptions {
    /// How long one node may take for one answer.
    pub request_timeout: Duration,
    /// Rounds over all nodes before a request fails.
    pub rounds: u32,
    /// Pause after the first failed round; doubles with each.
    pub backoff: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// How long the head may stand still before the other nodes are asked for theirs.
    pub stall: Duration,
    /// Largest answer, bytes.
    pub max_answer_bytes: usize,
}

impl Default for RpcOptions {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(10),
            rounds: 4,
            backoff: Duration::from_millis(250),
            backoff_max: Duration::from_secs(5),
            stall: Duration::from_secs(15),
            max_answer_bytes: 64 << 20,
        }
    }
}

/// Why no usable connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// Nothing to connect to.
    #[error("no RPC URL is given; expected at least one, such as http://127.0.0.1:8545")]
    NoUrl,
    /// Far too many.
    #[error("{found} RPC URLs are given, at most {MAX_URLS} are used")]
    TooManyUrls {
        /// How many.
        found: usize,
    },
    /// Not HTTP or WebSocket.
    #[error("the RPC URL {url} has the scheme {found:?}, expected http, https, ws or wss")]
    Scheme {
        /// The URL without path and password.
        url: String,
        /// Its scheme.
        found: String,
    },
    /// All nodes that answer are of another chain.
    #[error(
        "{url} is a node of chain {found}, expected chain {expected} of the deployment; check RPC URLs and deployment file"
    )]
    WrongChain {
        /// The node.
        url: String,
        /// Its chain id.
        found: u64,
        /// The deployment's.
        expected: u64,
    },
    /// No node answers.
    #[error("no RPC node answers: {reasons}")]
    Unreachable {
        /// Each node with its reason.
        reasons: String,
    },
}

impl RpcError {
    /// True when trying again later may help.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// A connection to the chain. Clones share nodes and their states.
#[derive(Clone)]
pub struct Rpc {
    provider: DynProvider,
    fallback: Arc<Fallback>,
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("chain_id", &self.chain_id()).finish_non_exhaustive()
    }
}

/// Connects with the default patience. Succeeds when at least one node answers and is of the expected chain.
///
/// # Errors
/// Bad URLs, no node that answers, or only nodes of another chain.
pub async fn connect(urls: &[Url], expected_chain_id: u64) -> Result<Rpc, RpcError> {
    connect_with(urls, expected_chain_id, RpcOptions::default()).await
}

/// Connects with a given patience.
///
/// # Errors
/// As [`connect`].
pub async fn connect_with(urls: &[Url], expected_chain_id: u64, options: RpcOptions) -> Result<Rpc, RpcError> {
    let rpc = connect_later(urls, expected_chain_id, options)?;
    rpc.fallback.probe().await?;
    Ok(rpc)
}

/// Asks nobody: for a start without network. No node is believed before it has named the chain, then as ever.
///
/// # Errors
/// Bad URLs.
pub fn connect_later(urls: &[Url], expected_chain_id: u64, options: RpcOptions) -> Result<Rpc, RpcError> {
    if urls.is_empty() {
        return Err(RpcError::NoUrl);
    }
    if urls.len() > MAX_URLS {
        return Err(RpcError::TooManyUrls { found: urls.len() });
    }
    for url in urls {
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            return Err(RpcError::Scheme { url: endpoint::redact(url), found: url.scheme().to_owned() });
        }
    }
    crate::tls::install();
    let fallback = Arc::new(Fallback::new(urls, expected_chain_id, options));
    let client =
        RpcClient::new(fallback::Transport(fallback.clone()), false).with_poll_interval(Duration::from_millis(500));
    let provider = ProviderBuilder::new().disable_recommended_fillers().connect_client(client).erased();
    Ok(Rpc { provider, fallback })
}

impl Rpc {
    /// The alloy provider. It fills nothing in: transactions go through [`crate::tx`].
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Chain id that every used node has confirmed.
    pub fn chain_id(&self) -> u64 {
        self.fallback.expected_chain_id
    }

    /// Number and Unix time (seconds) of the newest block.
    ///
    /// When the head went back or stands still, the other nodes are asked too, and the one that is ahead is preferred
    /// from then on: a node that lags behind must not make us miss a deadline.
    ///
    /// # Errors
    /// When no node answers.
    pub async fn latest(&self) -> Result<(u64, u64), TransportError> {
        let head = self.head().await?;
        if !self.fallback.head_is_suspect(head.0) {
            return Ok(head);
        }
        self.fallback.prefer_the_one_ahead(head.0).await;
        let head = self.head().await?;
        self.fallback.note_head(head.0);
        Ok(head)
    }

    async fn head(&self) -> Result<(u64, u64), TransportError> {
        let block = self
            .provider
            .get_block(BlockId::Number(BlockNumberOrTag::Latest))
            .await?
            .ok_or_else(|| TransportErrorKind::custom_str("the node knows no latest block"))?;
        let header = block.header();
        Ok((header.number, header.timestamp))
    }
}

/// True when the request may succeed later: the node or the network failed, the request is not at fault.
pub fn is_temporary(error: &TransportError) -> bool {
    match error {
        TransportError::Transport(kind) => !kind.is_non_retryable(),
        TransportError::ErrorResp(payload) => payload.is_retry_err(),
        TransportError::DeserError { .. } | TransportError::NullResp => true,
        _ => false,
    }
}
