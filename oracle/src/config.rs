//! Configuration: a TOML file, over it the environment (`SUNWORK_ORACLE_…`), over it flags.
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::primitives::Address;
use clap::Args;
use serde::Deserialize;
use url::Url;

use crate::{
    api::ConnectionLimits,
    blobs::{BlobLimits, http::TransferLimits},
    key_agent::Served,
    mail::MailLimits,
};

/// Largest configuration file, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Longest that mail may be kept, days.
const MAX_MAIL_DAYS: u64 = 30;

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
    /// All mail together, MiB [default: 1024]
    #[arg(long, env = "SUNWORK_ORACLE_MAIL_QUOTA_MIB", value_name = "MIB")]
    pub mail_quota_mib: Option<u64>,
    /// How long mail is kept, days from 1 to 30 [default: 7]
    #[arg(long, env = "SUNWORK_ORACLE_MAIL_DAYS", value_name = "DAYS")]
    pub mail_days: Option<u64>,
    /// HTTP sources of the deployment's drand chain, asked in turn: a drand relay's URL with the chain's hash as its path; the
    /// keeper then records rounds that agreements wait for, and pays the gas
    #[arg(long, env = "SUNWORK_ORACLE_DRAND", value_name = "URL", value_delimiter = ',')]
    pub drand: Option<Vec<Url>>,
    /// The key agent; in the file a table `[key-agent]`
    #[command(flatten)]
    #[serde(alias = "key_agent")]
    pub key_agent: AgentSettings,
}

/// What may be set of the key agent. Without clients there is none.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct AgentSettings {
    /// Posts session keys for these clients that named it: addresses, or `any`; it pays the gas
    #[arg(long = "key-agent-clients", env = "SUNWORK_ORACLE_KEY_AGENT_CLIENTS", value_name = "any|ADDRESS,…")]
    pub clients: Option<Clients>,
    /// Web3 keystore of the key agent [default: the keeper's]
    #[arg(
        id = "key_agent_keystore",
        long = "key-agent-keystore",
        env = "SUNWORK_ORACLE_KEY_AGENT_KEYSTORE",
        value_name = "FILE"
    )]
    pub keystore: Option<PathBuf>,
    /// File with that keystore's password
    #[arg(
        id = "key_agent_password_file",
        long = "key-agent-password-file",
        env = "SUNWORK_ORACLE_KEY_AGENT_PASSWORD_FILE",
        value_name = "FILE"
    )]
    #[serde(alias = "password_file")]
    pub password_file: Option<PathBuf>,
    /// Most keys that are posted for one client within 24 hours [default: 100]
    #[arg(long = "key-agent-daily-posts", env = "SUNWORK_ORACLE_KEY_AGENT_DAILY_POSTS", value_name = "NUMBER")]
    #[serde(alias = "daily_posts")]
    pub daily_posts: Option<u64>,
    /// Blocks on top of an acceptance before its key is posted [default: 0]
    #[arg(long = "key-agent-confirmations", env = "SUNWORK_ORACLE_KEY_AGENT_CONFIRMATIONS", value_name = "BLOCKS")]
    pub confirmations: Option<u64>,
}

/// `"any"`, one address, or a list of addresses.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Clients {
    /// One, or those separated by commas.
    Text(String),
    /// Several.
    List(Vec<String>),
}

impl std::str::FromStr for Clients {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::Text(text.to_owned()))
    }
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
    /// Mail.
    pub mail: MailLimits,
    /// HTTP sources of drand rounds; without any, none are recorded.
    pub drand: Vec<Url>,
    /// The key agent, if there is to be one.
    pub key_agent: Option<AgentConfig>,
}

/// How the key agent is to be.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Its key; the keeper's for `None`.
    pub key: Option<KeeperKey>,
    /// Whom it serves.
    pub clients: Served,
    /// Most keys for one client within 24 hours.
    pub daily_posts: u64,
    /// Blocks on top of an acceptance.
    pub confirmations: u64,
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
    #[error("{key} is not set; give --{key}, {env}, or `{}` in the configuration file", in_file(key))]
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
            mail_quota_mib: self.mail_quota_mib.or(below.mail_quota_mib),
            mail_days: self.mail_days.or(below.mail_days),
            drand: self.drand.or(below.drand),
            key_agent: AgentSettings {
                clients: self.key_agent.clients.or(below.key_agent.clients),
                keystore: self.key_agent.keystore.or(below.key_agent.keystore),
                password_file: self.key_agent.password_file.or(below.key_agent.password_file),
                daily_posts: self.key_agent.daily_posts.or(below.key_agent.daily_posts),
                confirmations: self.key_agent.confirmations.or(below.key_agent.confirmations),
            },
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
        let key_agent = self.key_agent.check(keeper.is_some())?;
        let mail_days = positive("mail-days", self.mail_days, 7)?;
        if mail_days > MAX_MAIL_DAYS {
            let expected = "a number of days from 1 to 30";
            return Err(ConfigError::Value { key: "mail-days", found: mail_days.to_string(), expected });
        }
        let poll_ms = positive("poll-ms", self.poll_ms, 1000)?;
        let drand = self.drand.unwrap_or_default();
        if let Some(url) = drand.iter().find(|url| !["http", "https"].contains(&url.scheme())) {
            let found = format!("{}:", url.scheme());
            return Err(ConfigError::Value {
                key: "drand",
                found,
                expected: "URLs that begin with http:// or https://",
            });
        }
        if !drand.is_empty() && keeper.is_none() {
            return Err(missing("keystore", "SUNWORK_ORACLE_KEYSTORE"));
        }
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
            mail: MailLimits {
                retention: Duration::from_secs(mail_days * 24 * 3600),
                quota_bytes: mebibytes("mail-quota-mib", self.mail_quota_mib, 1024)?,
                ..MailLimits::default()
            },
            drand,
            key_agent,
        })
    }
}

/// The setting as the file has it: the agent's are in a table.
fn in_file(key: &str) -> String {
    key.strip_prefix("key-agent-").map_or_else(|| key.to_owned(), |key| format!("[key-agent] {key}"))
}

impl AgentSettings {
    fn check(self, has_keeper: bool) -> Result<Option<AgentConfig>, ConfigError> {
        let missing = |key, env| ConfigError::Missing { key, env };
        let Some(clients) = self.clients else {
            let is_meant = self.keystore.is_some() || self.password_file.is_some();
            return if is_meant {
                Err(missing("key-agent-clients", "SUNWORK_ORACLE_KEY_AGENT_CLIENTS"))
            } else {
                Ok(None)
            };
        };
        let key = match (self.keystore, self.password_file) {
            (Some(keystore), Some(password_file)) => Some(KeeperKey { keystore, password_file }),
            (Some(_), None) => {
                return Err(missing("key-agent-password-file", "SUNWORK_ORACLE_KEY_AGENT_PASSWORD_FILE"));
            }
            (None, None) if has_keeper => None,
            (None, _) => return Err(missing("key-agent-keystore", "SUNWORK_ORACLE_KEY_AGENT_KEYSTORE")),
        };
        Ok(Some(AgentConfig {
            key,
            clients: clients.check()?,
            daily_posts: self.daily_posts.unwrap_or(100),
            confirmations: self.confirmations.unwrap_or(0),
        }))
    }
}

impl Clients {
    fn check(self) -> Result<Served, ConfigError> {
        let texts = match self {
            Self::Text(text) => text.split(',').map(str::to_owned).collect(),
            Self::List(texts) => texts,
        };
        if texts.iter().any(|text| text.trim() == "any") {
            return Ok(Served::Any);
        }
        let address = |text: &String| {
            let expected = "\"any\", or addresses: 0x and 40 hex digits";
            let key = "key-agent-clients";
            let parsed = text.trim().parse::<Address>();
            parsed.map_err(|_| ConfigError::Value { key, found: text.chars().take(60).collect(), expected })
        };
        texts.iter().map(address).collect::<Result<_, _>>().map(Served::Listed)
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

    #[test]
    fn drand_sources_are_urls_and_need_the_keepers_key() {
        let base = "rpc = ['http://127.0.0.1:8545']\ndeployment = 'd.json'\n";
        let check = |text: &str| file(&format!("{base}{text}")).unwrap().check();
        assert!(check("").unwrap().drand.is_empty());
        let keys = "keystore = 'k'\npassword-file = 'p'\n";
        let config = check(&format!("{keys}drand = ['https://api.drand.sh/52db', 'http://127.0.0.1:1']")).unwrap();
        assert_eq!(config.drand[0].as_str(), "https://api.drand.sh/52db");
        let error = check("drand = ['http://127.0.0.1:1']").unwrap_err().to_string();
        assert!(error.starts_with("keystore is not set"), "{error}");
        let error = check(&format!("{keys}drand = ['ftp://127.0.0.1']")).unwrap_err().to_string();
        assert!(error.contains("found ftp:"), "{error}");
    }

    #[test]
    fn the_key_agent_is_opted_in_to_by_naming_clients() {
        let base = "rpc = ['http://127.0.0.1:8545']\ndeployment = 'd.json'\n";
        let check = |text: &str| file(&format!("{base}{text}")).unwrap().check();
        assert!(check("").unwrap().key_agent.is_none());
        let keys = "keystore = 'k'\npassword-file = 'p'\n";
        let agent = check(&format!("{keys}[key-agent]\nclients = 'any'")).unwrap().key_agent.unwrap();
        assert!(agent.key.is_none() && agent.clients == Served::Any);
        assert_eq!((agent.daily_posts, agent.confirmations), (100, 0));
        let two = "[key_agent]\nkeystore = 'a'\npassword_file = 'p'\ndaily_posts = 3\nclients = \
             ['0x0000000000000000000000000000000000000001', '0x0000000000000000000000000000000000000002']";
        let agent = check(two).unwrap().key_agent.unwrap();
        let expected = [1, 2].map(Address::with_last_byte).into_iter().collect();
        assert_eq!((agent.clients, agent.daily_posts), (Served::Listed(expected), 3));
        assert_eq!(agent.key.unwrap().keystore, PathBuf::from("a"));
        for (text, words) in [
            ("[key-agent]\nclients = 'any'", "`[key-agent] keystore` in the configuration file"),
            ("[key-agent]\nkeystore = 'a'", "key-agent-clients is not set"),
            ("[key-agent]\nclients = 'any'\nkeystore = 'a'", "key-agent-password-file is not set"),
            ("mail-days = 31", "from 1 to 30"),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
        let error = check(&format!("{keys}[key-agent]\nclients = ['0x12']")).unwrap_err().to_string();
        assert!(error.contains("found 0x12") && error.contains("40 hex digits"), "{error}");
    }
}
