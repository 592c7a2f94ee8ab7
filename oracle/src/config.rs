//! Configuration: a TOML file, over it the environment (`SUNWORK_ORACLE_…`), over it flags.
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use serde::Deserialize;
use url::Url;

use crate::{
    api::ConnectionLimits,
    blobs::{BlobLimits, http::TransferLimits},
};

/// Largest configuration file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What may be set, in the file as well as by environment and flags.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// Address to serve on [default: 127.0.0.1:8420]
    #[arg(long, env = "SUNWORK_ORACLE_LISTEN", value_name = "IP:PORT")]
    pub listen: Option<SocketAddr>,
    /// Folder for index, blobs and the keeper's journal [default: oracle-data]
    #[arg(long, env = "SUNWORK_ORACLE_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// RPC nodes, the preferred one first (http, https, ws, wss)
    #[arg(long, env = "SUNWORK_ORACLE_RPC", value_name = "URL", value_delimiter = ',')]
    pub rpc: Option<Vec<Url>>,
    /// Deployment file, such as deployments/31337.json
    #[arg(long, env = "SUNWORK_ORACLE_DEPLOYMENT", value_name = "FILE")]
    pub deployment: Option<PathBuf>,
    /// Web3 keystore of the keeper; without it there is no keeper
    #[arg(long, env = "SUNWORK_ORACLE_KEYSTORE", value_name = "FILE")]
    pub keystore: Option<PathBuf>,
    /// File with the keystore's password
    #[arg(long, env = "SUNWORK_ORACLE_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Database, sqlite:// or postgres:// [default: index.db in the data folder]
    #[arg(long, env = "SUNWORK_ORACLE_DATABASE", value_name = "URL")]
    pub database: Option<String>,
    /// Largest blob, MiB [default: 4096]
    #[arg(long, env = "SUNWORK_ORACLE_BLOB_MAX_MIB", value_name = "MIB")]
    pub blob_max_mib: Option<u64>,
    /// All blobs together, MiB [default: 65536]
    #[arg(long, env = "SUNWORK_ORACLE_BLOB_QUOTA_MIB", value_name = "MIB")]
    pub blob_quota_mib: Option<u64>,
    /// Pause between two looks at the chain, milliseconds [default: 1000]
    #[arg(long, env = "SUNWORK_ORACLE_POLL_MS", value_name = "MS")]
    pub poll_ms: Option<u64>,
    /// Chain time that others get before the keeper acts, seconds [default: 5]
    #[arg(long, env = "SUNWORK_ORACLE_KEEPER_GRACE_SECS", value_name = "SECS")]
    pub keeper_grace_secs: Option<u64>,
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address to serve on; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Folder for everything.
    pub data_dir: PathBuf,
    /// RPC nodes.
    pub rpc: Vec<Url>,
    /// Deployment file.
    pub deployment: PathBuf,
    /// The keeper's key, if there is to be a keeper.
    pub keeper: Option<KeeperKey>,
    /// Database URL; SQLite in the data folder for `None`.
    pub database: Option<String>,
    /// Blob sizes.
    pub blobs: BlobLimits,
    /// Blob transfers.
    pub transfers: TransferLimits,
    /// Connections.
    pub connections: ConnectionLimits,
    /// Pause between two looks at the chain.
    pub poll: Duration,
    /// Chain time that others get before the keeper acts, seconds.
    pub keeper_grace_secs: u64,
}

/// Where the keeper's key is.
#[derive(Clone, Debug)]
pub struct KeeperKey {
    /// Web3 keystore.
    pub keystore: PathBuf,
    /// File with its password.
    pub password_file: PathBuf,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The file is not what was expected.
    #[error("the configuration file {} is not valid: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Something that must be set is not.
    #[error("{key} is not set; give --{key}, {env}, or `{key}` in the configuration file")]
    Missing {
        /// Name of the setting.
        key: &'static str,
        /// Name of the variable.
        env: &'static str,
    },
    /// A value that makes no sense.
    #[error("{key}: found {found}, expected {expected}")]
    Value {
        /// Name of the setting.
        key: &'static str,
        /// What was given.
        found: String,
        /// What can be used.
        expected: &'static str,
    },
}

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    /// When it cannot be read or holds an unknown key.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        let invalid = |reason| ConfigError::Invalid { path: path.to_owned(), reason };
        if size > MAX_FILE_BYTES {
            return Err(invalid(format!("found {size} bytes, expected at most {MAX_FILE_BYTES}")));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        toml::from_str(&text).map_err(|error| invalid(error.to_string()))
    }

    /// These settings, with those of `below` where these say nothing.
    pub fn over(self, below: Self) -> Self {
        Self {
            listen: self.listen.or(below.listen),
            data_dir: self.data_dir.or(below.data_dir),
            rpc: self.rpc.or(below.rpc),
            deployment: self.deployment.or(below.deployment),
            keystore: self.keystore.or(below.keystore),
            password_file: self.password_file.or(below.password_file),
            database: self.database.or(below.database),
            blob_max_mib: self.blob_max_mib.or(below.blob_max_mib),
            blob_quota_mib: self.blob_quota_mib.or(below.blob_quota_mib),
            poll_ms: self.poll_ms.or(below.poll_ms),
            keeper_grace_secs: self.keeper_grace_secs.or(below.keeper_grace_secs),
        }
    }

    /// Fills in defaults and checks.
    ///
    /// # Errors
    /// When something is missing or makes no sense.
    pub fn check(self) -> Result<Config, ConfigError> {
        let missing = |key, env| ConfigError::Missing { key, env };
        let keeper = match (self.keystore, self.password_file) {
            (Some(keystore), Some(password_file)) => Some(KeeperKey { keystore, password_file }),
            (Some(_), None) => return Err(missing("password-file", "SUNWORK_ORACLE_PASSWORD_FILE")),
            (None, Some(_)) => return Err(missing("keystore", "SUNWORK_ORACLE_KEYSTORE")),
            (None, None) => None,
        };
        if let Some(url) = &self.database
            && !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.starts_with(scheme))
        {
            // Not the whole URL: it may hold a password.
            let found = url.split(':').next().unwrap_or_default().to_owned();
            let expected = "a URL that begins with sqlite:// or postgres://";
            return Err(ConfigError::Value { key: "database", found, expected });
        }
        let poll_ms = positive("poll-ms", self.poll_ms, 1000)?;
        Ok(Config {
            listen: self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8420))),
            data_dir: self.data_dir.unwrap_or_else(|| PathBuf::from("oracle-data")),
            rpc: self.rpc.filter(|urls| !urls.is_empty()).ok_or_else(|| missing("rpc", "SUNWORK_ORACLE_RPC"))?,
            deployment: self.deployment.ok_or_else(|| missing("deployment", "SUNWORK_ORACLE_DEPLOYMENT"))?,
            keeper,
            database: self.database,
            blobs: BlobLimits {
                max_bytes: mebibytes("blob-max-mib", self.blob_max_mib, 4096)?,
                quota_bytes: mebibytes("blob-quota-mib", self.blob_quota_mib, 65536)?,
            },
            transfers: TransferLimits::default(),
            connections: ConnectionLimits::default(),
            poll: Duration::from_millis(poll_ms),
            keeper_grace_secs: self.keeper_grace_secs.unwrap_or(5),
        })
    }
}

fn positive(key: &'static str, value: Option<u64>, default: u64) -> Result<u64, ConfigError> {
    match value.unwrap_or(default) {
        0 => Err(ConfigError::Value { key, found: "0".to_owned(), expected: "a positive number" }),
        value => Ok(value),
    }
}

fn mebibytes(key: &'static str, value: Option<u64>, default: u64) -> Result<u64, ConfigError> {
    let mib = positive(key, value, default)?;
    mib.checked_mul(1 << 20).filter(|bytes| i64::try_from(*bytes).is_ok()).ok_or_else(|| ConfigError::Value {
        key,
        found: mib.to_string(),
        expected: "a number of MiB below 2^43",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Settings, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Settings::from_file(file.path())
    }

    #[test]
    fn flags_go_over_the_file_and_defaults_below_it() {
        let text = "rpc = ['http://127.0.0.1:8545']\ndeployment = 'd.json'\npoll-ms = 200\nblob-max-mib = 1";
        let flags = Settings { poll_ms: Some(300), ..Settings::default() };
        let config = flags.over(file(text).unwrap()).check().unwrap();
        assert_eq!(config.poll, Duration::from_millis(300));
        assert_eq!(config.blobs.max_bytes, 1 << 20);
        assert_eq!(config.listen.to_string(), "127.0.0.1:8420");
        assert!(config.keeper.is_none());
    }

    #[test]
    fn mistakes_are_named() {
        let error = file("pol-ms = 3").unwrap_err().to_string();
        assert!(error.contains("pol-ms") && error.contains("poll-ms"), "{error}");
        let error = Settings::default().check().unwrap_err().to_string();
        assert_eq!(error, "rpc is not set; give --rpc, SUNWORK_ORACLE_RPC, or `rpc` in the configuration file");
        let half = Settings { keystore: Some("k".into()), ..Settings::default() };
        assert!(half.check().unwrap_err().to_string().starts_with("password-file is not set"));
        let database = Settings { database: Some("mysql://user:secret@host".into()), ..Settings::default() };
        let error = database.check().unwrap_err().to_string();
        assert!(error.contains("found mysql") && !error.contains("secret"), "{error}");
    }
}
