//! One worker of the network: keys, data folder, process.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use alloy::primitives::Address;
use eyre::{WrapErr, bail, eyre};
use serde_json::Value;
use url::Url;

use super::{Options, Runtime};
use crate::{
    binaries,
    command::{capture, program},
    process::Process,
};

/// scrypt keystores and a few transactions on a busy machine.
const SETUP_LIMIT: Duration = Duration::from_secs(120);
/// A stopping worker removes its containers.
const STOP_GRACE: Duration = Duration::from_secs(15);

/// A worker that can be stopped, killed and started again on the same data.
#[derive(Debug)]
pub struct WorkerNode {
    /// What people call it: "worker 1" and so on.
    pub name: String,
    /// Its identity.
    pub owner: Address,
    /// Its hot key.
    pub device: Address,
    dir: PathBuf,
    log: PathBuf,
    env: Vec<(String, String)>,
    process: Option<Process>,
}

impl WorkerNode {
    /// Makes data folder and keys.
    pub(super) async fn init(index: usize, net_dir: &Path) -> eyre::Result<Self> {
        let name = format!("worker {}", index + 1);
        let dir = net_dir.join(format!("worker-{}", index + 1));
        let mut node = Self {
            log: net_dir.join(format!("worker-{}.log", index + 1)),
            owner: Address::ZERO,
            device: Address::ZERO,
            env: vec![("SUNWORK_WORKER_DATA_DIR".into(), dir.display().to_string())],
            process: None,
            name,
            dir,
        };
        node.once(&["init"]).await.wrap_err_with(|| format!("making the keys of {}", node.name))?;
        node.owner = key_in(&node.dir.join("keys/owner"))?;
        node.device = key_in(&node.dir.join("keys/device"))?;
        Ok(node)
    }

    /// Where chain, contracts and oracle are.
    pub(super) fn connect(&mut self, rpc: &Url, oracle: &Url, deployment: &Path) {
        self.set_env("SUNWORK_WORKER_RPC", rpc.as_str());
        self.set_env("SUNWORK_WORKER_ORACLE", oracle.as_str());
        self.set_env("SUNWORK_WORKER_DEPLOYMENT", &deployment.display().to_string());
        self.set_env("SUNWORK_WORKER_POLL_MS", "250");
        self.set_env("SUNWORK_WORKER_IDLE_POLL_MS", "250");
        // Tests see the end of an agreement's life, too.
        self.set_env("SUNWORK_WORKER_FINALITY_BLOCKS", "12");
        // A test network has no owner whose machine it must spare: all threads, not all but one.
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.set_env("SUNWORK_WORKER_CORES", &threads.to_string());
    }

    /// Has it run on a simulated site, in real time.
    pub(super) fn simulate(&mut self, plant: &Value) -> eyre::Result<()> {
        let file = self.dir.join("plant.json");
        fs::write(&file, plant.to_string()).wrap_err_with(|| format!("writing {}", file.display()))?;
        self.set_env("SUNWORK_WORKER_SIMULATE", &file.display().to_string());
        // A job of seconds is seen in several looks.
        self.set_env("SUNWORK_WORKER_ENERGY_INTERVAL_SECS", "1");
        Ok(())
    }

    /// Registers and stakes.
    pub(super) async fn register(mut self, rpc: &Url, options: &Options) -> eyre::Result<Self> {
        let deployment = self.dir.with_file_name("deployment.json");
        self.set_env("SUNWORK_WORKER_RPC", rpc.as_str());
        self.set_env("SUNWORK_WORKER_DEPLOYMENT", &deployment.display().to_string());
        self.set_env("SUNWORK_WORKER_RUNTIMES", if options.runtime == Runtime::Wasm { "wasm" } else { "docker" });
        let stake = options.stake_sun.to_string();
        let args = ["register", "--stake", &stake, "--device-limit", &stake];
        self.once(&args).await.wrap_err_with(|| format!("registering {}", self.name))?;
        Ok(self)
    }

    /// Starts the daemon, with more environment than it has always.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn start(&mut self, env: &[(String, String)]) -> eyre::Result<()> {
        self.start_program(&binaries::path("sunwork-worker")?, env)
    }

    /// The same with another build of the daemon.
    ///
    /// # Errors
    /// When it runs already or cannot be started.
    pub fn start_program(&mut self, program: &Path, env: &[(String, String)]) -> eyre::Result<()> {
        if self.process.as_mut().is_some_and(|process| process.ended().is_none()) {
            bail!("{} runs already", self.name);
        }
        let mut command = Command::new(program);
        command
            .arg("run")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.dir);
        self.process = Some(Process::spawn(&self.name, command, &self.log, STOP_GRACE)?);
        Ok(())
    }

    /// As by `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to stop and waits for it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop();
        }
    }

    /// The running (or self-ended) process; `None` after [`Self::kill`] and [`Self::stop`].
    pub fn process_mut(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// Its data folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Sets a variable of its environment for all coming starts.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Takes one away again: the daemon's own default counts.
    pub fn unset_env(&mut self, name: &str) {
        self.env.retain(|(known, _)| known != name);
    }

    /// Runs a subcommand of `sunwork-worker` on its data folder, and returns what it printed.
    ///
    /// # Errors
    /// With its last words.
    pub async fn once(&self, args: &[&str]) -> eyre::Result<String> {
        let mut command = program(binaries::path("sunwork-worker")?);
        command.args(args).envs(self.env.iter().map(|(name, value)| (name, value)));
        capture(command, SETUP_LIMIT).await
    }

    /// What its containers may be labelled with.
    pub(super) fn labels(&self) -> [String; 2] {
        [format!("{:?}", self.owner), format!("{:?}", self.device)]
    }
}

/// The one key in a folder of keystores, which are named by their address.
fn key_in(dir: &Path) -> eyre::Result<Address> {
    let files = fs::read_dir(dir).wrap_err_with(|| format!("looking for the key in {}", dir.display()))?;
    let names = files.flatten().filter_map(|file| file.file_name().into_string().ok());
    names
        .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
        .next()
        .ok_or_else(|| eyre!("found no keystore named by its address in {}", dir.display()))
}
