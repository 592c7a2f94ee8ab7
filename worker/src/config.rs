//! Settings: TOML file, over it the environment (`SUNWORK_WORKER_*`), over it the flags.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sunwork_edge::tx::FeePolicy;
use url::Url;

use crate::{
    amount::Unit,
    energy::EnergyLayer,
    policy::{
        Policy,
        hardware::{Caps, Hardware},
        idle::IdleRule,
        images::ImageRules,
        price::Prices,
        schedule::Schedule,
    },
    runtime::{Kind, docker::MAX_KEPT_IMAGES, room::Quota, wasm::MAX_MODULES},
};

mod sources;

pub use sources::{ConfigFile, Loaded, Origin, Setting, default_path, keys};

/// What one leaf and the worker as a whole may use, and for how little it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPU of one leaf, thousandths of a core.
    pub max_milli_cpu: u32,
    /// Memory of one leaf, MiB.
    pub max_memory_mib: u32,
    /// Room for what one leaf writes, MiB.
    pub max_disk_mib: u32,
    /// Output of one leaf, MiB.
    pub max_output_mib: u32,
    /// Processes of one leaf.
    pub max_processes: u32,
    /// Wall-clock time of one leaf, seconds.
    pub max_leaf_secs: u32,
    /// Leaves of one agreement.
    pub max_leaves: u32,
    /// Inputs of one agreement in all, MiB.
    pub max_input_mib: u32,
    /// Leaves that run at the same time.
    pub parallel_leaves: u32,
    /// Quick public work is computed before the claim of a slot, which saves a transaction.
    pub merge_claims: bool,
    /// Least reward that is worked for, smallest token unit.
    pub min_reward: u128,
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(&Caps { milli_cpu: 4000, memory_mib: 8192, disk_mib: 65_536 })
    }
}

impl Limits {
    /// Where the owner says nothing: one leaf may use what all may use together.
    pub fn of(caps: &Caps) -> Self {
        Self {
            max_milli_cpu: caps.milli_cpu,
            max_memory_mib: caps.memory_mib,
            max_disk_mib: caps.memory_mib.min(10_240),
            max_output_mib: caps.disk_mib.min(1024),
            max_processes: 1024,
            max_leaf_secs: 6 * 3600,
            max_leaves: 100_000,
            max_input_mib: caps.disk_mib.min(4096),
            parallel_leaves: caps.milli_cpu.div_ceil(1000).max(1),
            merge_claims: true,
            min_reward: 0,
        }
    }
}

/// Settings as the daemon uses them; all of it can be changed while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Limits of one leaf and one agreement.
    pub limits: Limits,
    /// The owner's rules.
    pub policy: Policy,
    /// What leaves may use together.
    pub caps: Caps,
}

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

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The settings file.
    #[error(transparent)]
    File(#[from] sunwork_edge::settings::ConfigFileError),
    /// A value that cannot be read.
    #[error("{key} ({origin}) is {found:?}: {problem}")]
    Value {
        /// The key.
        key: String,
        /// Where it is from.
        origin: String,
        /// What was given.
        found: String,
        /// What is wrong.
        problem: String,
    },
    /// Something that must be set is not.
    #[error("no {what} is set; give --{flag}, SUNWORK_WORKER_{env}, or {key} in the settings file")]
    Missing {
        /// What is missing.
        what: &'static str,
        /// The flag.
        flag: &'static str,
        /// The variable.
        env: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A value out of its range.
    #[error("{key} is {found}, expected {expected}")]
    Range {
        /// The key.
        key: &'static str,
        /// What was given.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
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

    /// How often the chain is asked, milliseconds.
    ///
    /// # Errors
    /// When it is out of its range.
    pub fn poll_ms(&self) -> Result<u64, ConfigError> {
        let poll_ms = self.poll_ms.unwrap_or(500);
        in_range("poll_ms", poll_ms, POLL_RANGE_MS, "20 to 60000")?;
        Ok(poll_ms)
    }

    /// The same while nothing is under way; never more often than otherwise.
    ///
    /// # Errors
    /// When either is out of its range.
    pub fn idle_poll_ms(&self) -> Result<u64, ConfigError> {
        let idle_poll_ms = self.idle_poll_ms.unwrap_or(5000);
        in_range("idle_poll_ms", idle_poll_ms, POLL_RANGE_MS, "20 to 60000")?;
        Ok(idle_poll_ms.max(self.poll_ms()?))
    }

    /// What is kept of images and of modules.
    ///
    /// # Errors
    /// When the mark is out of its range.
    pub fn quotas(&self) -> Result<(Quota, Quota), ConfigError> {
        let percent = self.cleanup_at_disk_percent.unwrap_or(90);
        in_range("cleanup_at_disk_percent", u64::from(percent), 1..=100, "1 to 100")?;
        let images = Quota::new(self.image_quota_mib.unwrap_or(10_240), MAX_KEPT_IMAGES, percent);
        Ok((images, Quota::new(self.cache_quota_mib.unwrap_or(1024), MAX_MODULES, percent)))
    }

    /// What the worker's transactions may cost.
    ///
    /// # Errors
    /// When the cap is no amount of gwei.
    pub fn fees(&self) -> Result<FeePolicy, ConfigError> {
        let default = FeePolicy::default();
        let Some(text) = &self.max_fee_gwei else { return Ok(default) };
        let gwei = Unit::gwei();
        let max_fee_per_gas_wei = gwei.parse(text).map_err(|error| value("max_fee_gwei", text, error))?;
        Ok(FeePolicy { max_fee_per_gas_wei, ..default })
    }

    /// The socket of the control API.
    pub fn control_socket(&self) -> PathBuf {
        self.control_socket.clone().unwrap_or_else(|| self.data_dir().join("control.sock"))
    }

    /// Limits, rules and caps, with amounts in this token.
    ///
    /// # Errors
    /// The first value that is out of its range or cannot be read.
    pub fn settle(&self, unit: &Unit, hardware: &Hardware) -> Result<Settled, ConfigError> {
        let safe = hardware.caps();
        let caps = Caps {
            milli_cpu: self.cores.as_deref().map_or(Ok(safe.milli_cpu), milli_cpus)?,
            memory_mib: self.memory_mib.unwrap_or(safe.memory_mib),
            disk_mib: self.disk_mib.unwrap_or(safe.disk_mib),
        };
        let amount = |key: &'static str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => unit.parse(text).map(Some).map_err(|error| value(key, text, error)),
        };
        let default = Limits::of(&caps);
        let limits = Limits {
            max_milli_cpu: self.max_milli_cpu.unwrap_or(default.max_milli_cpu),
            max_memory_mib: self.max_memory_mib.unwrap_or(default.max_memory_mib),
            max_disk_mib: self.max_disk_mib.unwrap_or(default.max_disk_mib),
            max_output_mib: self.max_output_mib.unwrap_or(default.max_output_mib),
            max_processes: self.max_processes.unwrap_or(default.max_processes),
            max_leaf_secs: self.max_leaf_secs.unwrap_or(default.max_leaf_secs),
            max_leaves: self.max_leaves.unwrap_or(default.max_leaves),
            max_input_mib: self.max_input_mib.unwrap_or(default.max_input_mib),
            parallel_leaves: self.parallel_leaves.unwrap_or(default.parallel_leaves),
            merge_claims: self.merge_claims.unwrap_or(default.merge_claims),
            min_reward: amount("min_reward", &self.min_reward)?.unwrap_or(0),
        };
        in_range("parallel_leaves", u64::from(limits.parallel_leaves), 1..=1024, "1 to 1024")?;
        let max_percent = self.idle_max_pressure_percent.unwrap_or(25);
        in_range("idle_max_pressure_percent", u64::from(max_percent), 1..=100, "1 to 100")?;
        let dwell_secs = self.idle_dwell_secs.unwrap_or(60);
        in_range("idle_dwell_secs", dwell_secs, 0..=86_400, "0 to 86400")?;
        let gwei = Unit::gwei();
        let gas_price_limit_wei = match &self.gas_price_limit_gwei {
            None => None,
            Some(text) => {
                let wei = gwei.parse(text).map_err(|error| value("gas_price_limit_gwei", text, error))?;
                Some(u64::try_from(wei).unwrap_or(u64::MAX))
            }
        };
        self.quotas()?;
        let (allow, deny) = (self.image_allow.as_deref(), self.image_deny.as_deref());
        let images = ImageRules::parse(allow.unwrap_or_default(), deny.unwrap_or_default())
            .map_err(|(key, rule, problem)| value(key, &rule, problem))?;
        let schedule = self.schedule.clone().unwrap_or_default();
        let policy = Policy {
            schedule: Schedule::parse(&schedule).map_err(|error| value("schedule", &schedule.join("; "), error))?,
            finish_in_schedule: self.finish_in_schedule.unwrap_or(false),
            idle: self.run_when_idle.unwrap_or(false).then_some(IdleRule { max_percent, dwell_secs }),
            keep_free_disk_mib: self.keep_free_disk_mib.unwrap_or(512),
            daily_transfer_mib: self.daily_transfer_mib,
            prices: Prices {
                min_reward: limits.min_reward,
                per_core_hour: amount("price_per_core_hour", &self.price_per_core_hour)?.unwrap_or(0),
                per_gib_hour: amount("price_per_gib_hour", &self.price_per_gib_hour)?.unwrap_or(0),
                tokens_per_ether: amount("tokens_per_ether", &self.tokens_per_ether)?,
                gas_price_limit_wei,
            },
            runtimes: self.runtimes.clone().unwrap_or_default(),
            kinds: self.kinds()?,
            images,
            parallel_leaves: limits.parallel_leaves,
        };
        // Used by the energy's own task; here its mistakes are found like all others.
        self.energy.settle()?;
        if let Some(listen) = self.metrics_listen
            && !listen.ip().is_loopback()
        {
            let problem =
                "expected a loopback address such as 127.0.0.1:9464; let a proxy with a password face the network";
            return Err(value("metrics_listen", &listen.to_string(), problem));
        }
        Ok(Settled { limits, policy, caps })
    }

    fn kinds(&self) -> Result<Vec<u8>, ConfigError> {
        let Some(names) = &self.kinds else { return Ok(vec![0]) };
        let id = |name: &String| match name.trim() {
            "compute" => Ok(0),
            other => Err(value("kinds", other, "this version knows the kind compute")),
        };
        names.iter().map(id).collect()
    }
}

fn value(key: &'static str, found: &str, problem: impl std::fmt::Display) -> ConfigError {
    // Whoever knows the origin puts it in: `Loaded::explain`.
    let (key, found) = (key.to_owned(), found.to_owned());
    ConfigError::Value { key, origin: String::new(), found, problem: problem.to_string() }
}

/// Of the settings that say how often something is asked, milliseconds.
const POLL_RANGE_MS: std::ops::RangeInclusive<u64> = 20..=60_000;

fn in_range(
    key: &'static str,
    found: u64,
    range: std::ops::RangeInclusive<u64>,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&found) { Ok(()) } else { Err(ConfigError::Range { key, found: found.to_string(), expected }) }
}

/// "1", "0.5" or "2.25" cores as thousandths.
fn milli_cpus(text: &str) -> Result<u32, ConfigError> {
    let cores = Unit { symbol: "cores".into(), decimals: 3 };
    let milli = cores.parse(text).map_err(|error| value("cores", text, error))?;
    match u32::try_from(milli) {
        Ok(milli) if (100..=1_024_000).contains(&milli) => Ok(milli),
        _ => Err(value("cores", text, "expected 0.1 to 1024")),
    }
}

/// Name of the class of WebAssembly modules: one for all machines.
pub const WASM_CLASS: &str = "wasi/wasm+wasmtime";

/// The class of this machine for a runtime.
pub const fn own_class(runtime: Kind) -> &'static str {
    match runtime {
        Kind::Wasm => WASM_CLASS,
        Kind::Docker if cfg!(target_arch = "aarch64") => "linux/arm64+docker",
        Kind::Docker => "linux/amd64+docker",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sun() -> Unit {
        Unit { symbol: "SUN".into(), decimals: 9 }
    }

    const MACHINE: Hardware = Hardware { threads: 4, memory_mib: 10_000, free_disk_mib: 20_000 };

    #[test]
    fn the_upper_layer_wins_and_what_is_missing_is_named() {
        let below = Layer { max_memory_mib: Some(100), poll_ms: Some(7), ..Layer::default() };
        let flags = Layer { max_memory_mib: Some(200), ..Layer::default() };
        let merged = flags.over(below);
        assert_eq!(merged.max_memory_mib, Some(200));
        assert!(merged.poll_ms().unwrap_err().to_string().contains("20 to 60000"));
        let missing = merged.deployment().unwrap_err().to_string();
        assert!(missing.contains("--deployment") && missing.contains("SUNWORK_WORKER_DEPLOYMENT"), "{missing}");
    }

    #[test]
    fn defaults_leave_something_to_the_owner() {
        let settled = Layer::default().settle(&sun(), &MACHINE).unwrap();
        assert_eq!(settled.caps, Caps { milli_cpu: 3000, memory_mib: 7000, disk_mib: 16_000 });
        assert_eq!((settled.limits.max_milli_cpu, settled.limits.parallel_leaves), (3000, 3));
        assert_eq!((settled.policy.kinds, settled.policy.idle, settled.policy.schedule), (vec![0], None, None));
    }

    #[test]
    fn amounts_schedules_and_kinds_are_read_or_named() {
        let layer = Layer {
            cores: Some("1.5".into()),
            min_reward: Some("0.5 SUN".into()),
            tokens_per_ether: Some("1000".into()),
            gas_price_limit_gwei: Some("0.1".into()),
            schedule: Some(vec!["mon 10:00-11:00".into()]),
            run_when_idle: Some(true),
            ..Layer::default()
        };
        let settled = layer.settle(&sun(), &MACHINE).unwrap();
        assert_eq!((settled.caps.milli_cpu, settled.limits.parallel_leaves), (1500, 2));
        assert_eq!(settled.limits.min_reward, 500_000_000);
        assert_eq!(settled.policy.prices.tokens_per_ether, Some(1_000_000_000_000));
        assert_eq!(settled.policy.prices.gas_price_limit_wei, Some(100_000_000));
        assert_eq!(settled.policy.idle, Some(IdleRule { max_percent: 25, dwell_secs: 60 }));
        let wrong = |change: &dyn Fn(&mut Layer)| {
            let mut layer = Layer::default();
            change(&mut layer);
            layer.settle(&sun(), &MACHINE).unwrap_err().to_string()
        };
        assert!(wrong(&|l| l.cores = Some("0".into())).contains("0.1 to 1024"));
        assert!(wrong(&|l| l.min_reward = Some("much".into())).contains("min_reward"));
        assert!(wrong(&|l| l.kinds = Some(vec!["storage".into()])).contains("knows the kind compute"));
        assert!(wrong(&|l| l.image_deny = Some(vec!["a:b/c:d".into()])).contains("image_deny"));
        assert!(wrong(&|l| l.cleanup_at_disk_percent = Some(0)).contains("1 to 100"));
        assert!(wrong(&|l| l.schedule = Some(vec!["always".into()])).contains("mon-fri 18:00-08:00"));
        assert!(wrong(&|l| l.idle_max_pressure_percent = Some(0)).contains("1 to 100"));
        assert!(wrong(&|l| l.metrics_listen = Some(([0, 0, 0, 0], 1).into())).contains("loopback"));
        for kind in [Kind::Docker, Kind::Wasm] {
            assert_eq!(Kind::of_class(own_class(kind)), Some(kind));
        }
    }
}
