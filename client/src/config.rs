//! What a [`crate::Client`] needs to know of the world.

use sunwork_edge::Deployment;
use url::Url;

/// Where chain, contracts and oracles are.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Nodes, in the order of preference.
    pub rpc_urls: Vec<Url>,
    /// The contracts.
    pub deployment: Deployment,
    /// Oracles that keep blobs; none is needed to read the chain.
    pub oracle_urls: Vec<Url>,
}
