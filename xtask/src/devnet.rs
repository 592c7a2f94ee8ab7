//! A whole network of real processes on the loopback: anvil, the contracts, one oracle, workers with keys and data folders of
//! their own. `cargo xtask devnet` leaves one running, the demo and the end-to-end tests start their own.
//!
//! ```text
//! anvil ─▶ deploy ─▶ oracle ─┐
//!               └─▶ workers: init, fund, register, stake ─▶ run ─▶ active an epoch later ─▶ one block per second
//! ```
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy::primitives::{Address, U256, address};
use eyre::{WrapErr, bail, eyre};
use futures::future::try_join_all;
use sunwork_client::{Client, ClientConfig};
use sunwork_edge::{Deployment, keystore};
use sunwork_protocol::abi::{IWorkerDispatcher, SunToken};
use tokio::time::sleep;
use url::Url;

use crate::{
    accounts::{self, DevAccount},
    apps,
    chain::{Chain, free_port, port_or_free},
    docker, foundry, paths,
    process::{Process, stop_all},
};

mod drand;
mod folder;
mod options;
mod oracle;
pub mod supervise;
mod worker;

pub use drand::DrandNode;
pub use folder::Place;
pub use options::{Beacon, Options};
pub use oracle::OracleNode;
pub use sunwork_worker::runtime::Kind as Runtime;
pub use worker::WorkerNode;

use folder::NetFolder;

/// Smallest units of one SUN.
pub const SUN: u128 = 1_000_000_000;
/// What each client has.
const CLIENT_TOKENS: u128 = 1_000_000 * SUN;
/// What a worker has left when it has staked.
const WORKER_TOKENS: u128 = 1000 * SUN;
/// `WorkerDispatcher.BURN_ACCOUNT`.
const BURN_ACCOUNT: Address = address!("000000000000000000000000000000000000dEaD");
const CLIENT_PASSWORD: &str = "client of a development network";
/// A slow machine with many workers.
const ACTIVE_LIMIT: Duration = Duration::from_secs(120);

/// A running network. Dropping it stops it.
#[derive(Debug)]
pub struct Devnet {
    /// The workers, worker 0 first.
    pub workers: Vec<WorkerNode>,
    /// The oracle.
    pub oracle: OracleNode,
    /// The drand chain, if the beacon is one.
    pub drand: Option<DrandNode>,
    /// The chain.
    pub chain: Chain,
    /// The contracts.
    pub deployment: Deployment,
    runtime: Runtime,
    // Dropped last: the processes write into it.
    folder: NetFolder,
}

impl Devnet {
    /// Starts a network and waits until all workers are active. The npm packages must be there, our programs built, and (with
    /// workers) a Docker Engine answer.
    ///
    /// # Errors
    /// What did not come up, with its last words. What was started is stopped.
    pub async fn start(mut options: Options) -> eyre::Result<Self> {
        let folder = NetFolder::create(&options.place)?;
        // Anvil and the scrypt keystores take their time: side by side.
        let (chain, workers, ()) = futures::try_join!(
            start_chain(&options, folder.path()),
            make_workers(&options, folder.path()),
            make_client_keystore(folder.path()),
        )?;
        let drand = match options.beacon {
            Beacon::Block => None,
            Beacon::Drand => {
                let node = DrandNode::start(chain.provider().clone()).await?;
                options.params["beacon"] = node.parameters()?;
                options.oracle_env.push(("SUNWORK_ORACLE_DRAND".to_owned(), node.url().to_string()));
                Some(node)
            }
        };
        let deployment = deploy(&options, &chain, &folder).await?;
        let file = folder.path().join("deployment.json");
        let (oracle, workers) = futures::try_join!(
            OracleNode::start(&options, &chain, &file, folder.path()),
            register(&options, &chain, &deployment, workers),
        )?;
        let runtime = options.runtime;
        let mut devnet = Self { workers, oracle, drand, chain, deployment, runtime, folder };
        devnet.workers_run(&options)?;
        devnet.wait_until_active(options.runtime).await?;
        if let Some(seconds) = options.block_secs {
            devnet.chain.mine_every(seconds).await?;
        }
        Ok(devnet)
    }

    /// JSON-RPC of the chain.
    pub fn rpc_url(&self) -> &Url {
        self.chain.url()
    }

    /// HTTP API of the oracle.
    pub fn oracle_url(&self) -> &Url {
        self.oracle.url()
    }

    /// Folder of keys, data and logs.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// The deployment file.
    pub fn deployment_file(&self) -> PathBuf {
        self.dir().join("deployment.json")
    }

    /// Keystore of [`accounts::CLIENT`], for the `sunwork` command.
    pub fn client_keystore(&self) -> PathBuf {
        self.dir().join("client").join(format!("{:?}.json", accounts::CLIENT.address))
    }

    /// A client's SDK with a development account.
    ///
    /// # Errors
    /// When chain or contracts do not answer.
    pub async fn client(&self, account: DevAccount) -> eyre::Result<Client> {
        let config = ClientConfig {
            rpc_urls: vec![self.rpc_url().clone()],
            oracle_urls: vec![self.oracle_url().clone()],
            ..ClientConfig::new(self.deployment.clone())
        };
        Client::connect(config, Some(account.signer()?)).await.wrap_err("connecting the client")
    }

    /// What people call an address of this network.
    pub fn name_of(&self, address: Address) -> String {
        if let Some(account) = accounts::ALL.iter().find(|account| account.address == address) {
            return account.role.to_owned();
        }
        for worker in &self.workers {
            if worker.owner == address {
                return worker.name.clone();
            }
            if worker.device == address {
                return format!("{} (device)", worker.name);
            }
        }
        if address == self.deployment.dispatcher {
            return "dispatcher".to_owned();
        }
        if address == BURN_ACCOUNT {
            return "burned".to_owned();
        }
        sunwork_client::chain::short(address)
    }

    /// Keeps the folder with the logs, for whoever looks into a failure.
    pub fn keep_folder(&mut self) {
        self.folder.keep();
    }

    /// Are all processes still there? Killed and stopped workers do not count.
    ///
    /// # Errors
    /// Names the dead one, with its last lines.
    pub fn expect_alive(&mut self) -> eyre::Result<()> {
        self.processes().into_iter().try_for_each(Process::expect_alive)
    }

    /// Stops everything, workers first, and removes what killed workers left in the container engine.
    ///
    /// # Errors
    /// When the container engine does not let go.
    pub async fn stop(mut self) -> eyre::Result<()> {
        self.stop_processes();
        if self.runtime == Runtime::Wasm {
            // There may be no engine, and nothing is in it.
            return Ok(());
        }
        let owners: Vec<String> = self.workers.iter().flat_map(WorkerNode::labels).collect();
        docker::remove_labelled(&owners).await
    }

    fn stop_processes(&mut self) {
        stop_all(self.workers.iter_mut().filter_map(WorkerNode::process_mut));
        self.oracle.process.stop();
        self.chain.process.stop();
    }

    fn processes(&mut self) -> Vec<&mut Process> {
        let mut processes: Vec<_> = self.workers.iter_mut().filter_map(WorkerNode::process_mut).collect();
        processes.push(&mut self.oracle.process);
        processes.push(&mut self.chain.process);
        processes
    }

    fn workers_run(&mut self, options: &Options) -> eyre::Result<()> {
        let rpc = options.rpc_url.as_ref().unwrap_or(self.rpc_url()).clone();
        let (oracle, file) = (self.oracle_url().clone(), self.deployment_file());
        let mut plants = options.plants.iter();
        for worker in &mut self.workers {
            worker.connect(&rpc, &oracle, &file);
            if let Some(plant) = plants.next() {
                worker.simulate(plant)?;
            }
            worker.start(&options.worker_env)?;
        }
        Ok(())
    }

    async fn wait_until_active(&mut self, runtime: Runtime) -> eyre::Result<()> {
        let wanted = self.workers.len();
        if wanted == 0 {
            return Ok(());
        }
        let name = apps::class(runtime);
        let class = self
            .deployment
            .class_id(name)
            .ok_or_else(|| eyre!("the deployment has no class {name}; it has {:?}", self.deployment.classes))?;
        let dispatcher = IWorkerDispatcher::new(self.deployment.dispatcher, self.chain.provider().clone());
        // Stake becomes active by chain time, which stands still without blocks.
        self.chain.mine_every(1).await?;
        let until = Instant::now() + ACTIVE_LIMIT;
        loop {
            self.expect_alive()?;
            let epoch = dispatcher.epoch().call().await.wrap_err("reading the epoch")?;
            let pool = dispatcher.classAt(class, epoch).call().await.wrap_err("reading the class")?;
            let active = pool.workers.saturating_to::<usize>();
            let mut devices = 0;
            for worker in &self.workers {
                let device = dispatcher.deviceInfo(worker.device).call().await.wrap_err("reading a device")?;
                devices += usize::from(device.since <= epoch);
            }
            if active >= wanted && devices >= wanted {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("only {active} of {wanted} workers became active within {} s", ACTIVE_LIMIT.as_secs());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        self.stop_processes();
    }
}

async fn start_chain(options: &Options, dir: &Path) -> eyre::Result<Chain> {
    let state = options.state_secs;
    if let Some(port) = options.port {
        return Chain::start_with(port_or_free(port)?, dir, state).await;
    }
    // The port may be taken between looking and starting.
    match Chain::start_with(free_port()?, dir, state).await {
        Ok(chain) => Ok(chain),
        Err(_) => Chain::start_with(free_port()?, dir, state).await,
    }
}

async fn make_workers(options: &Options, dir: &Path) -> eyre::Result<Vec<WorkerNode>> {
    try_join_all((0..options.workers).map(|index| WorkerNode::init(index, dir))).await
}

async fn make_client_keystore(dir: &Path) -> eyre::Result<()> {
    let dir = dir.join("client");
    fs::create_dir_all(&dir).wrap_err_with(|| format!("making {}", dir.display()))?;
    fs::write(dir.join("password"), CLIENT_PASSWORD).wrap_err("writing the client's password")?;
    let signer = accounts::CLIENT.signer()?;
    let store = move || keystore::store(dir, &signer, CLIENT_PASSWORD);
    tokio::task::spawn_blocking(store).await.wrap_err("writing the client's keystore")??;
    Ok(())
}

async fn deploy(options: &Options, chain: &Chain, folder: &NetFolder) -> eyre::Result<Deployment> {
    let scratch = folder.deploy_scratch()?;
    let params = serde_json::to_vec_pretty(&options.params).wrap_err("writing the deployment parameters")?;
    fs::write(scratch.path().join("params.json"), params).wrap_err("writing the deployment parameters")?;
    let made = foundry::deploy(chain.url().as_str(), accounts::DEPLOYER.address, scratch.path()).await?;
    let file = folder.path().join("deployment.json");
    fs::copy(&made, &file).wrap_err_with(|| format!("copying {}", made.display()))?;
    if options.publish {
        let public = paths::root().join(format!("deployments/{}.json", crate::chain::CHAIN_ID));
        fs::copy(&made, &public).wrap_err_with(|| format!("writing {}", public.display()))?;
    }
    let deployment = Deployment::load(&file).wrap_err("reading what the deploy script wrote")?;
    let transfer = |to, amount: u128| SunToken::transferCall { to, amount: U256::from(amount) };
    for client in [accounts::CLIENT, accounts::CLIENT_2] {
        let call = transfer(client.address, CLIENT_TOKENS);
        chain.send(accounts::DEPLOYER.address, deployment.token, call).await.wrap_err("giving the clients tokens")?;
    }
    Ok(deployment)
}

/// Funds and registers all workers side by side.
async fn register(
    options: &Options,
    chain: &Chain,
    deployment: &Deployment,
    workers: Vec<WorkerNode>,
) -> eyre::Result<Vec<WorkerNode>> {
    for worker in &workers {
        chain.fund(worker.owner).await?;
        chain.fund(worker.device).await?;
        let amount = U256::from(u128::from(options.stake_sun) * SUN + WORKER_TOKENS);
        let call = SunToken::transferCall { to: worker.owner, amount };
        chain.send(accounts::DEPLOYER.address, deployment.token, call).await.wrap_err("giving the workers tokens")?;
    }
    try_join_all(workers.into_iter().map(|worker| worker.register(chain.url(), options))).await
}
