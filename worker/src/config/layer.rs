//! One layer of settings: every key, as flag, variable and line of the file.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::ConfigError;
use crate::{energy::EnergyLayer, runtime::Kind};

/// One layer of settings: what it does not say comes from the layer below. The flags and the environment are read by
/// clap into the same form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Folder of keys, journal and results.
    #[arg(long, env = "SUNWORK_WORKER_DATA_DIR", global = true)]
    pub data_dir: Option<PathBuf>,
    /// JSON-RPC nodes, http(s) or ws(s); the first that works is used. Repeat or separate by commas.
    #[arg(long, env = "SUNWORK_WORKER_RPC", value_delimiter = ',', global = true)]
    pub rpc: Option<Vec<Url>>,
    /// Deployment file, `deployments/CHAINID.json`.
    #[arg(long, env = "SUNWORK_WORKER_DEPLOYMENT", global = true)]
    pub deployment: Option<PathBuf>,
    /// Oracles for blobs. Repeat or separate by commas.
    #[arg(long, env = "SUNWORK_WORKER_ORACLE", value_delimiter = ',', global = true)]
    pub oracle: Option<Vec<Url>>,
    /// Keystore of the device's hot key; by default the one in the data folder.
    #[arg(long, env = "SUNWORK_WORKER_KEYSTORE", global = true)]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the password of the device's keystore.
    #[arg(long, env = "SUNWORK_WORKER_PASSWORD_FILE", global = true)]
    pub password_file: Option<PathBuf>,
    /// Keystore of the owner account, for register, unstake and withdraw.
    #[arg(long, env = "SUNWORK_WORKER_OWNER_KEYSTORE", global = true)]
    pub owner_keystore: Option<PathBuf>,
    /// File whose first line is the password of the owner's keystore; by default that of the device's.
    #[arg(long, env = "SUNWORK_WORKER_OWNER_PASSWORD_FILE", global = true)]
    pub owner_password_file: Option<PathBuf>,
    /// Keystore of the encryption secret, for confidential work; by default the one in the data folder. All devices of a
    /// worker must hold the same one: copy it from the first. It is opened with the device's password.
    #[arg(long, env = "SUNWORK_WORKER_ENCRYPTION_KEYSTORE", global = true)]
    pub encryption_keystore: Option<PathBuf>,
    /// Classes to join, by name; by default the one of this machine.
    #[arg(long, env = "SUNWORK_WORKER_CLASSES", value_delimiter = ',', global = true)]
    pub classes: Option<Vec<String>>,
    /// What runs leaves: docker, wasm. By default what the classes that the worker has joined need; for `register`, docker where
    /// an engine answers, else wasm.
    #[arg(long, env = "SUNWORK_WORKER_RUNTIMES", value_delimiter = ',', value_enum, global = true)]
    pub runtimes: Option<Vec<Kind>>,
    /// Program that runs WebAssembly modules; by default `sunwork-wasm-runner` beside this one or on the search path.
    #[arg(long, env = "SUNWORK_WORKER_WASM_RUNNER", global = true)]
    pub wasm_runner: Option<PathBuf>,
    /// Container engine, such as unix:///var/run/docker.sock; by default as `docker` itself finds it.
    #[arg(long, env = "SUNWORK_WORKER_DOCKER_HOST", global = true)]
    pub docker_host: Option<String>,
    /// Cores that leaves use together, such as 1.5; by default all threads but one.
    #[arg(long, env = "SUNWORK_WORKER_CORES", global = true)]
    pub cores: Option<String>,
    /// Memory that leaves use together, MiB; by default 70 % of the machine's.
    #[arg(long, env = "SUNWORK_WORKER_MEMORY_MIB", global = true)]
    pub memory_mib: Option<u32>,
    /// Disk that outputs of running leaves use together, MiB; by default 80 % of what is free at the start.
    #[arg(long, env = "SUNWORK_WORKER_DISK_MIB", global = true)]
    pub disk_mib: Option<u32>,
    /// Disk that stays free: below this nothing new is taken, MiB.
    #[arg(long, env = "SUNWORK_WORKER_KEEP_FREE_DISK_MIB", global = true)]
    pub keep_free_disk_mib: Option<u64>,
    /// Images that may come here: repositories with * for any characters, or sha256:DIGEST; by default all. Archives and
    /// WebAssembly modules have no repository and are named by digest.
    #[arg(long, env = "SUNWORK_WORKER_IMAGE_ALLOW", value_delimiter = ',', global = true)]
    pub image_allow: Option<Vec<String>>,
    /// Images that may not, in the same form; this list wins.
    #[arg(long, env = "SUNWORK_WORKER_IMAGE_DENY", value_delimiter = ',', global = true)]
    pub image_deny: Option<Vec<String>>,
    /// Hosts that apps may speak to where their purchase names them: NAME:PORT, *.NAME:PORT, * for any name or port; by default none.
    /// Addresses of this machine and its network stay closed, but for rules of the form "private NAME:PORT".
    #[arg(long, env = "SUNWORK_WORKER_NETWORK_HOSTS", value_delimiter = ',', global = true)]
    pub network_hosts: Option<Vec<String>>,
    /// Room of the images that the worker brought into the engine and keeps for later, MiB; those not used for longest go first.
    #[arg(long, env = "SUNWORK_WORKER_IMAGE_QUOTA_MIB", global = true)]
    pub image_quota_mib: Option<u64>,
    /// Room of the WebAssembly modules that are kept for later, MiB.
    #[arg(long, env = "SUNWORK_WORKER_CACHE_QUOTA_MIB", global = true)]
    pub cache_quota_mib: Option<u64>,
    /// Above this use of its disk, percent, images and modules not used for longest are removed, whatever the quotas allow.
    #[arg(long, env = "SUNWORK_WORKER_CLEANUP_AT_DISK_PERCENT", global = true)]
    pub cleanup_at_disk_percent: Option<u8>,
    /// Most that is fetched and stored in a day (inputs and results), MiB; by default no limit.
    #[arg(long, env = "SUNWORK_WORKER_DAILY_TRANSFER_MIB", global = true)]
    pub daily_transfer_mib: Option<u64>,
    /// Take new work only while the machine is not used for anything else (pressure-stall information, or load).
    #[arg(long, env = "SUNWORK_WORKER_RUN_WHEN_IDLE", global = true)]
    pub run_when_idle: Option<bool>,
    /// Above this pressure the machine counts as used, percent; it is idle again below half of it.
    #[arg(long, env = "SUNWORK_WORKER_IDLE_MAX_PRESSURE_PERCENT", global = true)]
    pub idle_max_pressure_percent: Option<u32>,
    /// How long the machine must be idle before work is taken again, seconds.
    #[arg(long, env = "SUNWORK_WORKER_IDLE_DWELL_SECS", global = true)]
    pub idle_dwell_secs: Option<u64>,
    /// When new work may be taken, in local time: "mon-fri 18:00-08:00", "sat,sun 00:00-24:00"; by default always. In flag and
    /// variable separate ranges by semicolons.
    #[arg(long, env = "SUNWORK_WORKER_SCHEDULE", value_delimiter = ';', global = true)]
    pub schedule: Option<Vec<String>>,
    /// Take only work that can end (by its time limits) before the schedule closes.
    #[arg(long, env = "SUNWORK_WORKER_FINISH_IN_SCHEDULE", global = true)]
    pub finish_in_schedule: Option<bool>,
    /// Kinds of work that are taken. This version knows compute.
    #[arg(long, env = "SUNWORK_WORKER_KINDS", value_delimiter = ',', global = true)]
    pub kinds: Option<Vec<String>>,
    /// Least pay for each core-hour that a purchase reserves, in tokens.
    #[arg(long, env = "SUNWORK_WORKER_PRICE_PER_CORE_HOUR", global = true)]
    pub price_per_core_hour: Option<String>,
    /// Least pay for each GiB-hour of memory that a purchase reserves, in tokens.
    #[arg(long, env = "SUNWORK_WORKER_PRICE_PER_GIB_HOUR", global = true)]
    pub price_per_gib_hour: Option<String>,
    /// What one ether is worth in tokens. With it no work is taken whose gas costs more than it pays; without it gas is not compared.
    #[arg(long, env = "SUNWORK_WORKER_TOKENS_PER_ETHER", global = true)]
    pub tokens_per_ether: Option<String>,
    /// Above this price of gas nothing new is taken, gwei.
    #[arg(long, env = "SUNWORK_WORKER_GAS_PRICE_LIMIT_GWEI", global = true)]
    pub gas_price_limit_gwei: Option<String>,
    /// Most that is paid per gas, gwei; a transaction that would need more waits.
    #[arg(long, env = "SUNWORK_WORKER_MAX_FEE_GWEI", global = true)]
    pub max_fee_gwei: Option<String>,
    /// Socket of the control API; by default control.sock in the data folder.
    #[arg(long, env = "SUNWORK_WORKER_CONTROL_SOCKET", global = true)]
    pub control_socket: Option<PathBuf>,
    /// Address for Prometheus metrics, such as 127.0.0.1:9464; by default none. Loopback only.
    #[arg(long, env = "SUNWORK_WORKER_METRICS_LISTEN", global = true)]
    pub metrics_listen: Option<std::net::SocketAddr>,
    /// Most CPU of one leaf, thousandths of a core.
    #[arg(long, env = "SUNWORK_WORKER_MAX_MILLI_CPU", global = true)]
    pub max_milli_cpu: Option<u32>,
    /// Most memory of one leaf, MiB.
    #[arg(long, env = "SUNWORK_WORKER_MAX_MEMORY_MIB", global = true)]
    pub max_memory_mib: Option<u32>,
    /// Most room for what one leaf writes, MiB.
    #[arg(long, env = "SUNWORK_WORKER_MAX_DISK_MIB", global = true)]
    pub max_disk_mib: Option<u32>,
    /// Largest output of one leaf, MiB.
    #[arg(long, env = "SUNWORK_WORKER_MAX_OUTPUT_MIB", global = true)]
    pub max_output_mib: Option<u32>,
    /// Most processes of one leaf.
    #[arg(long, env = "SUNWORK_WORKER_MAX_PROCESSES", global = true)]
    pub max_processes: Option<u32>,
    /// Longest time of one leaf, seconds.
    #[arg(long, env = "SUNWORK_WORKER_MAX_LEAF_SECS", global = true)]
    pub max_leaf_secs: Option<u32>,
    /// Most leaves of one agreement.
    #[arg(long, env = "SUNWORK_WORKER_MAX_LEAVES", global = true)]
    pub max_leaves: Option<u32>,
    /// Largest inputs of one agreement, MiB.
    #[arg(long, env = "SUNWORK_WORKER_MAX_INPUT_MIB", global = true)]
    pub max_input_mib: Option<u32>,
    /// Leaves that run at the same time.
    #[arg(long, env = "SUNWORK_WORKER_PARALLEL_LEAVES", global = true)]
    pub parallel_leaves: Option<u32>,
    /// Compute quick public work before claiming a verifier's slot, so that claim and seal are one transaction [default: true].
    #[arg(long, env = "SUNWORK_WORKER_MERGE_CLAIMS", global = true)]
    pub merge_claims: Option<bool>,
    /// Least reward that is worked for, in tokens, such as 1.5.
    #[arg(long, env = "SUNWORK_WORKER_MIN_REWARD", global = true)]
    pub min_reward: Option<String>,
    /// How often the chain is asked for a new block, milliseconds.
    #[arg(long, env = "SUNWORK_WORKER_POLL_MS", global = true)]
    pub poll_ms: Option<u64>,
    /// The same while no agreement of its classes is under way, milliseconds: a new purchase is seen so much later.
    #[arg(long, env = "SUNWORK_WORKER_IDLE_POLL_MS", global = true)]
    pub idle_poll_ms: Option<u64>,
    /// Blocks after which an ending is believed.
    #[arg(long, env = "SUNWORK_WORKER_FINALITY_BLOCKS", global = true)]
    pub finality_blocks: Option<u64>,
    /// Panel, battery, board and sensors.
    #[command(flatten)]
    #[serde(skip)]
    pub energy: EnergyLayer,
}

impl Layer {
    /// This layer over another one.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        macro_rules! layered {
            ($($field:ident),+ $(,)?) => {
                Self { energy: self.energy.over(below.energy), $($field: self.$field.or(below.$field)),+ }
            }
        }
        layered!(
            data_dir,
            rpc,
            deployment,
            oracle,
            keystore,
            password_file,
            owner_keystore,
            owner_password_file,
            encryption_keystore,
            classes,
            runtimes,
            wasm_runner,
            docker_host,
            cores,
            memory_mib,
            disk_mib,
            keep_free_disk_mib,
            image_allow,
            image_deny,
            network_hosts,
            image_quota_mib,
            cache_quota_mib,
            cleanup_at_disk_percent,
            daily_transfer_mib,
            run_when_idle,
            idle_max_pressure_percent,
            idle_dwell_secs,
            schedule,
            finish_in_schedule,
            kinds,
            price_per_core_hour,
            price_per_gib_hour,
            tokens_per_ether,
            gas_price_limit_gwei,
            max_fee_gwei,
            control_socket,
            metrics_listen,
            max_milli_cpu,
            max_memory_mib,
            max_disk_mib,
            max_output_mib,
            max_processes,
            max_leaf_secs,
            max_leaves,
            max_input_mib,
            parallel_leaves,
            merge_claims,
            min_reward,
            poll_ms,
            idle_poll_ms,
            finality_blocks,
        )
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from("/var/lib/sunwork-worker"))
    }

    /// RPC URLs.
    ///
    /// # Errors
    /// When none is set.
    pub fn rpc(&self) -> Result<&[Url], ConfigError> {
        let missing = ConfigError::Missing { what: "JSON-RPC URL", flag: "rpc", env: "RPC", key: "rpc" };
        self.rpc.as_deref().filter(|urls| !urls.is_empty()).ok_or(missing)
    }

    /// Deployment file.
    ///
    /// # Errors
    /// When none is set.
    pub fn deployment(&self) -> Result<&Path, ConfigError> {
        self.deployment.as_deref().ok_or(ConfigError::Missing {
            what: "deployment file",
            flag: "deployment",
            env: "DEPLOYMENT",
            key: "deployment",
        })
    }

    /// Oracle URLs.
    ///
    /// # Errors
    /// When none is set.
    pub fn oracle(&self) -> Result<&[Url], ConfigError> {
        let missing = ConfigError::Missing { what: "oracle URL", flag: "oracle", env: "ORACLE", key: "oracle" };
        self.oracle.as_deref().filter(|urls| !urls.is_empty()).ok_or(missing)
    }

    /// The socket of the control API.
    pub fn control_socket(&self) -> PathBuf {
        self.control_socket.clone().unwrap_or_else(|| self.data_dir().join("control.sock"))
    }
}
