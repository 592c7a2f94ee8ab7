//! Settings: TOML file, over it the environment (`SUNWORK_WORKER_*`), over it the flags.
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use crate::runtime::Kind;

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
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        Self {
            max_milli_cpu: cores * 1000,
            max_memory_mib: 2048,
            max_disk_mib: 1024,
            max_output_mib: 256,
            max_processes: 1024,
            max_leaf_secs: 6 * 3600,
            max_leaves: 100_000,
            max_input_mib: 4096,
            parallel_leaves: cores,
            merge_claims: true,
            min_reward: 0,
        }
    }
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
    /// Blocks after which an ending is believed.
    #[arg(long, env = "SUNWORK_WORKER_FINALITY_BLOCKS", global = true)]
    pub finality_blocks: Option<u64>,
}

/// Settings that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("the settings file {} is not valid: {source}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<toml::de::Error>,
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
    /// Reads a settings file.
    ///
    /// # Errors
    /// When it cannot be read or holds anything unknown.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|source| ConfigError::Invalid { path: path.to_owned(), source: Box::new(source) })
    }

    /// This layer over another one.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        macro_rules! layered { ($($field:ident),+ $(,)?) => { Self { $($field: self.$field.or(below.$field)),+ } } }
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
        if (20..=60_000).contains(&poll_ms) {
            return Ok(poll_ms);
        }
        Err(ConfigError::Range { key: "poll_ms", found: poll_ms.to_string(), expected: "20 to 60000" })
    }

    /// Limits, with `min_reward` already in the smallest unit.
    ///
    /// # Errors
    /// When one of them is out of its range.
    pub fn limits(&self, min_reward: u128) -> Result<Limits, ConfigError> {
        let default = Limits::default();
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
            min_reward,
        };
        if !(1..=1024).contains(&limits.parallel_leaves) {
            let found = limits.parallel_leaves.to_string();
            return Err(ConfigError::Range { key: "parallel_leaves", found, expected: "1 to 1024" });
        }
        Ok(limits)
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

    #[test]
    fn the_upper_layer_wins_and_unknown_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        std::fs::write(&path, "rpc = [\"http://127.0.0.1:8545\"]\nmax_memory_mib = 100\npoll_ms = 7").unwrap();
        let file = Layer::from_file(&path).unwrap();
        let flags = Layer { max_memory_mib: Some(200), ..Layer::default() };
        let merged = flags.over(file);
        assert_eq!(merged.max_memory_mib, Some(200));
        assert_eq!(merged.rpc().unwrap().len(), 1);
        assert!(merged.poll_ms().unwrap_err().to_string().contains("20 to 60000"));
        let missing = merged.deployment().unwrap_err().to_string();
        assert!(missing.contains("--deployment") && missing.contains("SUNWORK_WORKER_DEPLOYMENT"), "{missing}");
        std::fs::write(&path, "runtimes = [\"docker\", \"wasm\"]").unwrap();
        assert_eq!(Layer::from_file(&path).unwrap().runtimes, Some(vec![Kind::Docker, Kind::Wasm]));
        assert_eq!(Kind::of_class(own_class(Kind::Wasm)), Some(Kind::Wasm));
        assert_eq!(Kind::of_class(own_class(Kind::Docker)), Some(Kind::Docker));
        std::fs::write(&path, "max_memory = 100").unwrap();
        assert!(Layer::from_file(&path).unwrap_err().to_string().contains("max_memory"));
    }
}
