//! What a network is to be like.
use std::fs;

use eyre::WrapErr;
use serde_json::Value;
use url::Url;

use super::{Place, Runtime};
use crate::paths;

/// Which beacon a network has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Beacon {
    /// The block beacon of the deployment parameters.
    #[default]
    Block,
    /// A drand chain of its own, whose rounds this process signs and the oracle records.
    Drand,
}

/// How to start a [`super::Devnet`].
#[derive(Clone, Debug)]
pub struct Options {
    /// Workers, each a process.
    pub workers: usize,
    /// Stake of each worker, SUN.
    pub stake_sun: u32,
    /// Seconds per block once all is ready; `None` leaves the one second that making stake active needed.
    pub block_secs: Option<u64>,
    /// Seconds between two writes of the chain's state to its file; `None`: it is in memory only.
    pub state_secs: Option<u64>,
    /// What workers and oracle are told instead of the chain's own address: a proxy that a test keeps in between.
    pub rpc_url: Option<Url>,
    /// Port of the chain if it is free; `None`: any.
    pub port: Option<u16>,
    /// Port of the oracle if it is free; `None`: any.
    pub oracle_port: Option<u16>,
    /// Deployment parameters, in the form of `script/params/anvil.json`.
    pub params: Value,
    /// The beacon; a drand one replaces the parameters' group `beacon`.
    pub beacon: Beacon,
    /// What the workers run leaves with.
    pub runtime: Runtime,
    /// Environment of every worker.
    pub worker_env: Vec<(String, String)>,
    /// Simulated site of each worker (docs/ENERGY.md), in their order; workers beyond the list keep no energy.
    pub plants: Vec<Value>,
    /// Environment of the oracle.
    pub oracle_env: Vec<(String, String)>,
    /// Folder of keys, data and logs.
    pub place: Place,
    /// Also write `deployments/31337.json`, where people and `forge test --fork-url` look.
    pub publish: bool,
}

impl Options {
    /// Four workers on free ports in a folder of their own: what a test needs.
    ///
    /// # Errors
    /// When the parameters of development networks cannot be read.
    pub fn for_tests() -> eyre::Result<Self> {
        let path = paths::root().join("script/params/anvil.json");
        let text = fs::read_to_string(&path).wrap_err_with(|| format!("reading {}", path.display()))?;
        Ok(Self {
            workers: 4,
            stake_sun: 2500,
            block_secs: Some(1),
            state_secs: None,
            rpc_url: None,
            port: None,
            oracle_port: None,
            params: serde_json::from_str(&text).wrap_err_with(|| format!("reading {}", path.display()))?,
            beacon: Beacon::default(),
            runtime: Runtime::Docker,
            worker_env: Vec::new(),
            plants: Vec::new(),
            oracle_env: Vec::new(),
            place: Place::Temporary,
            publish: false,
        })
    }

    /// The network of `cargo xtask devnet`: well-known ports where they are free, and a folder that stays.
    ///
    /// # Errors
    /// When the parameters of development networks cannot be read.
    pub fn for_people() -> eyre::Result<Self> {
        Ok(Self {
            port: Some(8545),
            oracle_port: Some(8420),
            place: Place::Named("devnet".to_owned()),
            publish: true,
            // So that `sunwork run --detach` of confidential work may leave at once.
            oracle_env: vec![("SUNWORK_ORACLE_KEY_AGENT_CLIENTS".into(), "any".into())],
            ..Self::for_tests()?
        })
    }

    /// Another number of workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Another deployment parameter, by its JSON pointer: `param("/compute/openSecs", 5)`.
    ///
    /// # Panics
    /// When there is no such parameter: a test that misspells one shall not pass.
    #[must_use]
    pub fn param(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        *self.params.pointer_mut(pointer).unwrap_or_else(|| panic!("no deployment parameter {pointer}")) = value.into();
        self
    }

    /// A simulated site for the next worker that has none.
    #[must_use]
    pub fn plant(mut self, plant: Value) -> Self {
        self.plants.push(plant);
        self
    }

    /// Another environment variable of every worker.
    #[must_use]
    pub fn worker_env(mut self, name: &str, value: &str) -> Self {
        self.worker_env.push((name.to_owned(), value.to_owned()));
        self
    }
}
