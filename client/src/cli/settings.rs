//! Settings from flags, environment and configuration file, in this order of precedence, each with where it is from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use sunwork_edge::Deployment;
use sunwork_edge::deployment::DeploymentError;
use thiserror::Error;
use url::Url;

use super::args::Global;
use super::config_file::{ConfigFileError, Entry, KEYS, Key, SCHEMA};
use super::output::Format;
use crate::amount::Unit;
use crate::config::{DEFAULT_MAX_FEE_WEI, DEFAULT_MAX_TX_COST_WEI};
pub use sunwork_edge::settings::{Origin, Setting};

/// Settings that cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The configuration file.
    #[error(transparent)]
    File(#[from] ConfigFileError),
    /// A URL.
    #[error("{setting} {text:?} is not a URL ({problem}); expected for example {example}")]
    Url {
        /// Which setting, and where it is from.
        setting: String,
        /// What was given.
        text: String,
        /// What is wrong.
        problem: url::ParseError,
        /// How it should look.
        example: &'static str,
    },
    /// No amount of gas money.
    #[error("{setting} is {text:?}, expected a number such as 0.5")]
    Amount {
        /// Where it is from.
        setting: String,
        /// What was given.
        text: String,
    },
    /// Neither table nor json.
    #[error("{setting} is {text:?}, expected table or json")]
    Format {
        /// Where it is from.
        setting: String,
        /// What was given.
        text: String,
    },
    /// No place for files of one's own.
    #[error(
        "there is no home folder for {what}: neither {variable} nor HOME is set to an absolute path; set one of them, or give {flag}"
    )]
    NoHome {
        /// What would be there.
        what: &'static str,
        /// The other variable.
        variable: &'static str,
        /// The flag that names a place.
        flag: &'static str,
    },
    /// No deployment file.
    #[error(
        "no deployment file is given and ./deployments holds {found} of them, expected exactly 1; give --deployment FILE \
         or set SUNWORK_DEPLOYMENT (`cargo xtask devnet` prints the one of its network)"
    )]
    NoDeployment {
        /// Files found.
        found: usize,
    },
    /// The deployment file.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
}

/// Which settings stand on the command line rather than in the environment; clap merges the two.
#[derive(Clone, Debug, Default)]
pub struct Sources(BTreeMap<&'static str, ValueSource>);

impl Sources {
    /// Of the parsed command line.
    pub fn of(matches: &clap::ArgMatches) -> Self {
        let found = |key: &Key| Some((key.name, matches.value_source(key.name)?));
        Self(KEYS.iter().filter_map(found).collect())
    }

    fn origin(&self, key: &Key) -> Origin {
        match self.0.get(key.name) {
            Some(ValueSource::EnvVariable) => Origin::Env(key.env),
            _ => Origin::Flag(key.flag),
        }
    }
}

/// Everything settled but the secrets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Nodes.
    pub rpc_urls: Vec<Url>,
    /// Oracles.
    pub oracle_urls: Vec<Url>,
    /// Deployment file, if one was named.
    pub deployment: Option<PathBuf>,
    /// Keystore file or folder, if one was named.
    pub keystore: Option<PathBuf>,
    /// Password file, if one was named.
    pub password_file: Option<PathBuf>,
    /// Most that is paid per gas, wei.
    pub max_fee_wei: u128,
    /// Most that the gas of one transaction may cost, wei.
    pub max_tx_cost_wei: u128,
    /// How to print.
    pub output: Format,
    /// All of them, with where each is from.
    pub origins: Vec<Setting>,
}

impl Settings {
    /// Puts flags, environment and file together.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn load(flags: &Global, sources: &Sources) -> Result<Self, SettingsError> {
        let path = config_path(flags);
        let file = match (&flags.config, &path) {
            // A file that was named must be there; the usual one need not be.
            (Some(_), Some(path)) => SCHEMA.read(path)?,
            (None, Some(path)) if path.is_file() => SCHEMA.read(path)?,
            _ => BTreeMap::new(),
        };
        Self::merge(flags, sources, &file, path.as_deref().unwrap_or(Path::new("")))
    }

    /// What a configuration file alone would give: to see whether it can be used.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn of_file(file: &BTreeMap<&'static str, Entry>, path: &Path) -> Result<Self, SettingsError> {
        Self::merge(&Global::default(), &Sources::default(), file, path)
    }

    fn merge(
        flags: &Global,
        sources: &Sources,
        file: &BTreeMap<&'static str, Entry>,
        path: &Path,
    ) -> Result<Self, SettingsError> {
        let settle = |key: &'static Key| {
            let given = given(flags, key.name);
            if !given.is_empty() {
                return Setting { key: key.name, values: given, origin: sources.origin(key) };
            }
            // An empty value means the same as none, here as in the environment.
            let entry = file.get(key.name).filter(|entry| entry.values.iter().any(|value| !value.is_empty()));
            match entry {
                Some(entry) => Setting {
                    key: key.name,
                    values: entry.values.clone(),
                    origin: Origin::File { path: path.to_owned(), line: entry.line },
                },
                None => Setting {
                    key: key.name,
                    values: key.default.iter().map(|text| (*text).to_owned()).collect(),
                    origin: Origin::Default,
                },
            }
        };
        let origins: Vec<Setting> = KEYS.iter().map(settle).collect();
        let of = |name: &str| origins.iter().find(|setting| setting.key == name);
        let first = |name: &str| of(name).and_then(|setting| setting.values.first());
        Ok(Self {
            rpc_urls: urls(of("rpc"), "http://127.0.0.1:8545")?,
            oracle_urls: urls(of("oracle"), "http://127.0.0.1:8420")?,
            deployment: first("deployment").map(PathBuf::from),
            keystore: first("keystore").map(PathBuf::from),
            password_file: first("password_file").map(PathBuf::from),
            max_fee_wei: wei(of("max_fee_gwei"), 9, DEFAULT_MAX_FEE_WEI)?,
            max_tx_cost_wei: wei(of("max_tx_cost_eth"), 18, DEFAULT_MAX_TX_COST_WEI)?,
            output: format(of("output"))?,
            origins,
        })
    }

    /// Reads the deployment file: the named one, or the only one in `./deployments`.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn load_deployment(&self) -> Result<Deployment, SettingsError> {
        Ok(Deployment::load(self.deployment_file()?)?)
    }

    /// The deployment file: the named one, or the only one in `./deployments`.
    ///
    /// # Errors
    /// When none is named and there is not exactly one.
    pub fn deployment_file(&self) -> Result<PathBuf, SettingsError> {
        match &self.deployment {
            Some(path) => Ok(path.clone()),
            None => only_deployment(Path::new("deployments")),
        }
    }

    /// Folder for keystores where none is named.
    ///
    /// # Errors
    /// When there is no home folder.
    pub fn keystore_dir() -> Result<PathBuf, SettingsError> {
        let dir = xdg("XDG_DATA_HOME", ".local/share").map(|dir| dir.join("sunwork/keystore"));
        dir.ok_or(SettingsError::NoHome {
            what: "the wallet's keystore",
            variable: "XDG_DATA_HOME",
            flag: "--keystore PATH",
        })
    }
}

/// The configuration file: the named one, or the usual one; `None` where there is no home folder.
pub fn config_path(flags: &Global) -> Option<PathBuf> {
    let named = flags.config.clone().filter(|path| !path.as_os_str().is_empty());
    named.or_else(|| Some(xdg("XDG_CONFIG_HOME", ".config")?.join("sunwork/config.toml")))
}

/// What flag or environment say; an empty variable means the same as none.
fn given(flags: &Global, name: &str) -> Vec<String> {
    let path = |path: &Option<PathBuf>| path.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let values = match name {
        "rpc" => flags.rpc.clone(),
        "oracle" => flags.oracle.clone(),
        "deployment" => path(&flags.deployment),
        "keystore" => path(&flags.keystore),
        "password_file" => path(&flags.password_file),
        "max_fee_gwei" => flags.max_fee_gwei.iter().cloned().collect(),
        "max_tx_cost_eth" => flags.max_tx_cost_eth.iter().cloned().collect(),
        "output" => flags.output.iter().map(|format| format.name().to_owned()).collect(),
        _ => Vec::new(),
    };
    values.into_iter().filter(|value| !value.is_empty()).collect()
}

fn urls(setting: Option<&Setting>, example: &'static str) -> Result<Vec<Url>, SettingsError> {
    let Some(setting) = setting else { return Ok(Vec::new()) };
    let parse = |text: &String| {
        Url::parse(text.trim()).map_err(|problem| SettingsError::Url {
            setting: format!("{} ({})", setting.key, setting.origin),
            text: text.clone(),
            problem,
            example,
        })
    };
    setting.values.iter().filter(|text| !text.is_empty()).map(parse).collect()
}

/// Gwei or ether, by their digits, as wei.
fn wei(setting: Option<&Setting>, decimals: u8, default: u128) -> Result<u128, SettingsError> {
    let Some((setting, text)) = setting.and_then(|setting| Some((setting, setting.values.first()?))) else {
        return Ok(default);
    };
    let unit = Unit { symbol: if decimals == 9 { "gwei" } else { "ETH" }.to_owned(), decimals };
    unit.parse(text).map_err(|_| SettingsError::Amount {
        setting: format!("{} ({})", setting.key, setting.origin),
        text: text.clone(),
    })
}

fn format(setting: Option<&Setting>) -> Result<Format, SettingsError> {
    let Some((setting, text)) = setting.and_then(|setting| Some((setting, setting.values.first()?))) else {
        return Ok(Format::default());
    };
    Format::parse(text).ok_or_else(|| SettingsError::Format {
        setting: format!("{} ({})", setting.key, setting.origin),
        text: text.clone(),
    })
}

fn only_deployment(dir: &Path) -> Result<PathBuf, SettingsError> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    match (files.pop(), files.len()) {
        (Some(file), 0) => Ok(file),
        (last, rest) => Err(SettingsError::NoDeployment { found: rest + usize::from(last.is_some()) }),
    }
}

/// A folder by the XDG rules: the variable, or its usual place below HOME; only absolute paths count.
pub fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set(variable).or_else(|| Some(set("HOME")?.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(entries: &[(&'static str, &str, usize)]) -> BTreeMap<&'static str, Entry> {
        let entry = |(key, value, line): &(&'static str, &str, usize)| {
            (*key, Entry { values: vec![(*value).to_owned()], line: *line })
        };
        entries.iter().map(entry).collect()
    }

    fn merge(flags: &Global, entries: &[(&'static str, &str, usize)]) -> Result<Settings, SettingsError> {
        Settings::merge(flags, &Sources::default(), &file(entries), Path::new("/c.toml"))
    }

    #[test]
    fn gas_limits_are_read_to_the_wei() {
        let settings = merge(&Global::default(), &[("max_fee_gwei", "1.5", 1)]).unwrap();
        assert_eq!((settings.max_fee_wei, settings.max_tx_cost_wei), (1_500_000_000, DEFAULT_MAX_TX_COST_WEI));
        let defaults = merge(&Global::default(), &[]).unwrap();
        assert_eq!(defaults.max_fee_wei, DEFAULT_MAX_FEE_WEI, "the shown default is the one that is used");
        assert_eq!(defaults.max_tx_cost_wei, DEFAULT_MAX_TX_COST_WEI);
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let entries = [("rpc", "http://file:1", 1), ("output", "json", 2), ("keystore", "/k", 3)];
        let settings = merge(&Global::default(), &entries).unwrap();
        assert_eq!(settings.rpc_urls[0].as_str(), "http://file:1/");
        assert_eq!((settings.output, settings.keystore), (Format::Json, Some("/k".into())));
        assert_eq!(settings.oracle_urls[0].as_str(), "http://127.0.0.1:8420/");
        let flags = Global {
            rpc: vec!["http://flag:1".into(), "ws://flag:2".into()],
            output: Some(Format::Table),
            keystore: Some("".into()),
            ..Global::default()
        };
        let settings = merge(&flags, &entries).unwrap();
        assert_eq!(settings.rpc_urls.len(), 2);
        assert_eq!((settings.output, settings.keystore), (Format::Table, Some("/k".into())));
        let origins: Vec<String> = settings.origins.iter().map(|s| format!("{}: {}", s.key, s.origin)).collect();
        assert_eq!(
            origins,
            [
                "rpc: flag --rpc",
                "oracle: default",
                "deployment: default",
                "keystore: /c.toml:3",
                "password_file: default",
                "max_fee_gwei: default",
                "max_tx_cost_eth: default",
                "output: flag --output"
            ]
        );
    }

    #[test]
    fn bad_settings_say_what_and_where() {
        let flags = Global { rpc: vec!["localhost".into()], ..Global::default() };
        let error = merge(&flags, &[]).unwrap_err().to_string();
        assert!(error.starts_with("rpc (flag --rpc) \"localhost\" is not a URL"), "{error}");
        let error = merge(&Global::default(), &[("oracle", "nowhere", 7)]).unwrap_err().to_string();
        assert!(error.starts_with("oracle (/c.toml:7) \"nowhere\""), "{error}");
        let error = merge(&Global::default(), &[("max_fee_gwei", "cheap", 4)]).unwrap_err().to_string();
        assert_eq!(error, "max_fee_gwei (/c.toml:4) is \"cheap\", expected a number such as 0.5");
        let error = merge(&Global::default(), &[("output", "yaml", 2)]).unwrap_err().to_string();
        assert_eq!(error, "output (/c.toml:2) is \"yaml\", expected table or json");
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(only_deployment(dir.path()), Err(SettingsError::NoDeployment { found: 0 })));
        std::fs::write(dir.path().join("31337.json"), "{}").unwrap();
        assert_eq!(only_deployment(dir.path()).unwrap(), dir.path().join("31337.json"));
        std::fs::write(dir.path().join("1.json"), "{}").unwrap();
        assert!(matches!(only_deployment(dir.path()), Err(SettingsError::NoDeployment { found: 2 })));
    }
}
