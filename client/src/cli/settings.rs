//! Settings from flags, environment and configuration file, in this order of precedence.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sunwork_edge::Deployment;
use sunwork_edge::deployment::DeploymentError;
use thiserror::Error;
use url::Url;

use super::args::Global;
use super::output::Format;

/// Where the oracle of a development network listens.
const DEFAULT_ORACLE: &str = "http://127.0.0.1:8420";
/// Where the node of a development network listens.
const DEFAULT_RPC: &str = "http://127.0.0.1:8545";
/// Largest configuration file that is read.
const MAX_CONFIG_BYTES: u64 = 64 * 1024;

/// The configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    rpc: Vec<String>,
    #[serde(default)]
    oracle: Vec<String>,
    deployment: Option<PathBuf>,
    keystore: Option<PathBuf>,
    password_file: Option<PathBuf>,
    output: Option<Format>,
}

/// Settings that cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The configuration file.
    #[error("configuration file {path:?}: {problem}")]
    File {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A URL.
    #[error("{setting} {text:?} is not a URL ({problem}); expected for example {example}")]
    Url {
        /// Which setting.
        setting: &'static str,
        /// What was given.
        text: String,
        /// What is wrong.
        problem: url::ParseError,
        /// How it should look.
        example: &'static str,
    },
    /// No deployment file.
    #[error(
        "no deployment file is given and ./deployments holds {found} of them, expected exactly 1; give --deployment FILE \
         or set SUNWORK_DEPLOYMENT (`cargo xtask devnet` writes deployments/31337.json)"
    )]
    NoDeployment {
        /// Files found.
        found: usize,
    },
    /// The deployment file.
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
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
    /// How to print.
    pub output: Format,
}

impl Settings {
    /// Puts flags, environment and file together.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn load(flags: &Global) -> Result<Self, SettingsError> {
        let file = match &flags.config {
            Some(path) => read_config(path)?,
            None => match default_config().filter(|path| path.is_file()) {
                Some(path) => read_config(&path)?,
                None => ConfigFile::default(),
            },
        };
        Self::merge(flags, file)
    }

    fn merge(flags: &Global, file: ConfigFile) -> Result<Self, SettingsError> {
        // An empty variable means the same as none.
        let given = |list: &[String]| list.iter().filter(|text| !text.is_empty()).cloned().collect::<Vec<_>>();
        let path = |flag: &Option<PathBuf>, file: Option<PathBuf>| {
            flag.clone().filter(|path| !path.as_os_str().is_empty()).or(file)
        };
        let pick = |flag: Vec<String>, file: Vec<String>, default: &str| match (flag.is_empty(), file.is_empty()) {
            (false, _) => flag,
            (true, false) => file,
            (true, true) => vec![default.to_owned()],
        };
        Ok(Self {
            rpc_urls: urls("--rpc", DEFAULT_RPC, pick(given(&flags.rpc), file.rpc, DEFAULT_RPC))?,
            oracle_urls: urls("--oracle", DEFAULT_ORACLE, pick(given(&flags.oracle), file.oracle, DEFAULT_ORACLE))?,
            deployment: path(&flags.deployment, file.deployment),
            keystore: path(&flags.keystore, file.keystore),
            password_file: path(&flags.password_file, file.password_file),
            output: flags.output.or(file.output).unwrap_or_default(),
        })
    }

    /// Reads the deployment file: the named one, or the only one in `./deployments`.
    ///
    /// # Errors
    /// See [`SettingsError`].
    pub fn load_deployment(&self) -> Result<Deployment, SettingsError> {
        let path = match &self.deployment {
            Some(path) => path.clone(),
            None => only_deployment(Path::new("deployments"))?,
        };
        Ok(Deployment::load(path)?)
    }

    /// Folder for keystores where none is named.
    pub fn keystore_dir() -> PathBuf {
        xdg("XDG_DATA_HOME", ".local/share").unwrap_or_else(|| PathBuf::from(".")).join("sunwork/keystore")
    }
}

fn urls(setting: &'static str, example: &'static str, texts: Vec<String>) -> Result<Vec<Url>, SettingsError> {
    let parse = |text: String| {
        Url::parse(text.trim()).map_err(|problem| SettingsError::Url { setting, text, problem, example })
    };
    texts.into_iter().map(parse).collect()
}

fn read_config(path: &Path) -> Result<ConfigFile, SettingsError> {
    let fail = |problem: String| SettingsError::File { path: path.to_owned(), problem };
    let size = std::fs::metadata(path).map_err(|e| fail(e.to_string()))?.len();
    if size > MAX_CONFIG_BYTES {
        return Err(fail(format!("it has {size} bytes, expected at most {MAX_CONFIG_BYTES}")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| fail(e.to_string()))?;
    toml::from_str(&text).map_err(|e| fail(e.to_string().trim_end().to_owned()))
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

fn default_config() -> Option<PathBuf> {
    Some(xdg("XDG_CONFIG_HOME", ".config")?.join("sunwork/config.toml"))
}

fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    set(variable).or_else(|| Some(set("HOME")?.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file: ConfigFile =
            toml::from_str("rpc = [\"http://file:1\"]\noutput = \"json\"\nkeystore = \"/k\"").unwrap();
        let settings = Settings::merge(&Global::default(), file.clone()).unwrap();
        assert_eq!(settings.rpc_urls[0].as_str(), "http://file:1/");
        assert_eq!((settings.output, settings.keystore), (Format::Json, Some("/k".into())));
        assert_eq!(settings.oracle_urls[0].as_str(), "http://127.0.0.1:8420/");
        let flags = Global {
            rpc: vec!["http://flag:1".into(), "ws://flag:2".into()],
            output: Some(Format::Table),
            keystore: Some("".into()),
            ..Global::default()
        };
        let settings = Settings::merge(&flags, file).unwrap();
        assert_eq!(settings.rpc_urls.len(), 2);
        assert_eq!((settings.output, settings.keystore), (Format::Table, Some("/k".into())));
    }

    #[test]
    fn bad_settings_say_what_and_where() {
        let flags = Global { rpc: vec!["localhost".into()], ..Global::default() };
        let error = Settings::merge(&flags, ConfigFile::default()).unwrap_err().to_string();
        assert!(error.starts_with("--rpc \"localhost\" is not a URL"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "rcp = []\n").unwrap();
        let error = read_config(&path).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains("rcp"), "{error}");
        assert!(matches!(only_deployment(dir.path()), Err(SettingsError::NoDeployment { found: 0 })));
        std::fs::write(dir.path().join("31337.json"), "{}").unwrap();
        assert_eq!(only_deployment(dir.path()).unwrap(), dir.path().join("31337.json"));
        std::fs::write(dir.path().join("1.json"), "{}").unwrap();
        assert!(matches!(only_deployment(dir.path()), Err(SettingsError::NoDeployment { found: 2 })));
    }
}
