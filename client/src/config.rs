//! What a [`crate::Client`] needs to know of the world, and how it handles money.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sunwork_edge::Deployment;
use sunwork_edge::deployment::DeploymentError;
use sunwork_edge::tx::{FeePolicy, Notify};
use url::Url;

/// Where the node of a development network listens.
const DEFAULT_RPC: &str = "http://127.0.0.1:8545";
/// Where the oracle of a development network listens.
const DEFAULT_ORACLE: &str = "http://127.0.0.1:8420";
/// Most that is paid per gas where nothing else is said, wei: 200 gwei.
pub const DEFAULT_MAX_FEE_WEI: u128 = 200_000_000_000;
/// Most that the gas of one transaction may cost where nothing else is said, wei: 0.1 ETH.
pub const DEFAULT_MAX_TX_COST_WEI: u128 = 100_000_000_000_000_000;

/// Where chain, contracts and oracles are, and what transactions may cost.
///
/// ```no_run
/// # use sunwork_client::{ClientConfig, config::TxLogPlace};
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ClientConfig {
///     rpc_urls: vec!["https://node.example".parse()?],
///     // A program that may be killed keeps its transactions on disk, so that the next start finds them.
///     tx_log: TxLogPlace::Folder("/var/lib/my-program/tx".into()),
///     ..ClientConfig::from_deployment_file("deployments/31337.json")?
/// };
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Nodes, in the order of preference.
    pub rpc_urls: Vec<Url>,
    /// The contracts.
    pub deployment: Deployment,
    /// Oracles that keep blobs; none is needed to read the chain.
    pub oracle_urls: Vec<Url>,
    /// Where transactions are written down before they are sent.
    pub tx_log: TxLogPlace,
    /// What gas may cost, and when a waiting transaction gets a higher fee. Settings `max_fee_gwei` and `max_tx_cost_eth`.
    pub fees: FeePolicy,
    /// How long another process may keep the wallet before a purchase gives up.
    pub claim_wait: Duration,
    /// How long one transaction is waited for.
    pub tx_wait: Duration,
    /// Who is told what happens to transactions besides being sent: waiting for another command, a replacement, a purchase
    /// from before.
    pub notify: Notify,
}

/// Where transactions are written down before they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TxLogPlace {
    /// In memory: a program that is killed between signing and mining forgets what it sent.
    #[default]
    Memory,
    /// In this folder, one file per chain and wallet (`<chainId>-<address>.jsonl`), shared by all programs that use it. They
    /// send one at a time, and whoever begins settles what one that was killed left behind.
    Folder(PathBuf),
}

impl TxLogPlace {
    /// Where the `sunwork` command keeps it: `$XDG_DATA_HOME/sunwork/tx`, below `~/.local/share` where that is not set. In
    /// memory where there is no home folder.
    pub fn usual() -> Self {
        let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
        data.map_or(Self::Memory, |data| Self::Folder(data.join("sunwork/tx")))
    }
}

impl ClientConfig {
    /// Node and oracle of a development network, a transaction log in memory, and the usual limits for gas.
    pub fn new(deployment: Deployment) -> Self {
        let url = |text: &str| text.parse().expect("a constant URL is a URL; a test parses it");
        Self {
            rpc_urls: vec![url(DEFAULT_RPC)],
            deployment,
            oracle_urls: vec![url(DEFAULT_ORACLE)],
            tx_log: TxLogPlace::Memory,
            fees: FeePolicy {
                max_fee_per_gas_wei: DEFAULT_MAX_FEE_WEI,
                max_tx_cost_wei: Some(DEFAULT_MAX_TX_COST_WEI),
                ..FeePolicy::default()
            },
            claim_wait: Duration::from_secs(120),
            tx_wait: Duration::from_secs(300),
            notify: Notify::default(),
        }
    }

    /// The same for the contracts of a deployment file.
    ///
    /// # Errors
    /// When the file cannot be read or is none.
    pub fn from_deployment_file(path: impl AsRef<Path>) -> Result<Self, DeploymentError> {
        Ok(Self::new(Deployment::load(path)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_urls_and_cap_what_a_transaction_costs() {
        for url in [DEFAULT_RPC, DEFAULT_ORACLE] {
            assert!(url.parse::<Url>().is_ok(), "{url}");
        }
        // A purchase takes about 600000 gas: far below the cap at usual prices, refused at absurd ones.
        let policy = FeePolicy {
            max_fee_per_gas_wei: DEFAULT_MAX_FEE_WEI,
            max_tx_cost_wei: Some(DEFAULT_MAX_TX_COST_WEI),
            ..FeePolicy::default()
        };
        assert!(policy.cap_for(600_000) > 100_000_000_000);
    }
}
