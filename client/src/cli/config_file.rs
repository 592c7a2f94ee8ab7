//! The configuration file: which settings it may hold, reading it with the line of each, and changing one without touching
//! the rest.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml_edit::{Document, DocumentMut, Item, Value};

/// Largest configuration file that is read.
const MAX_BYTES: u64 = 64 * 1024;
/// Letters that may be wrong, missing, or swapped in a typing error.
const MOST_SLIPS: usize = 2;
/// A longer name that is as like a setting as this is one with a part forgotten.
const LIKENESS: f64 = 0.85;

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One text.
    Text,
    /// A number; it may stand in quotes.
    Number,
    /// A list of texts; one alone may stand without brackets.
    List,
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name in the file; the command line's id of it as well.
    pub name: &'static str,
    /// The flag.
    pub flag: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Its value where nobody sets it.
    pub default: Option<&'static str>,
    /// What it is, for the file that `config init` writes.
    pub about: &'static str,
    /// How it looks.
    pub example: &'static str,
}

/// All settings, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    Key {
        name: "rpc",
        flag: "--rpc",
        env: "SUNWORK_RPC",
        kind: Kind::List,
        default: Some("http://127.0.0.1:8545"),
        about: "Nodes of the chain (http, https, ws, wss); the first that answers is used",
        example: "[\"http://127.0.0.1:8545\"]",
    },
    Key {
        name: "oracle",
        flag: "--oracle",
        env: "SUNWORK_ORACLE",
        kind: Kind::List,
        default: Some("http://127.0.0.1:8420"),
        about: "Oracles that keep blobs and carry messages; they are trusted with nothing",
        example: "[\"http://127.0.0.1:8420\"]",
    },
    Key {
        name: "deployment",
        flag: "--deployment",
        env: "SUNWORK_DEPLOYMENT",
        kind: Kind::Text,
        default: None,
        about: "Deployment file; without it the only file in ./deployments",
        example: "\"/etc/sunwork/31337.json\"",
    },
    Key {
        name: "keystore",
        flag: "--keystore",
        env: "SUNWORK_KEYSTORE",
        kind: Kind::Text,
        default: None,
        about: "Keystore file of the wallet, or a folder with exactly one",
        example: "\"/home/me/keys\"",
    },
    Key {
        name: "password_file",
        flag: "--password-file",
        env: "SUNWORK_PASSWORD_FILE",
        kind: Kind::Text,
        default: None,
        about: "File whose first line is the keystore's password; without it you are asked",
        example: "\"/run/secrets/wallet\"",
    },
    Key {
        name: "max_fee_gwei",
        flag: "--max-fee-gwei",
        env: "SUNWORK_MAX_FEE_GWEI",
        kind: Kind::Number,
        default: Some("200"),
        about: "Most that is paid per gas, gwei",
        example: "200",
    },
    Key {
        name: "max_tx_cost_eth",
        flag: "--max-tx-cost-eth",
        env: "SUNWORK_MAX_TX_COST_ETH",
        kind: Kind::Number,
        default: Some("0.1"),
        about: "Most that the gas of one transaction may cost, ether",
        example: "0.1",
    },
    Key {
        name: "output",
        flag: "--output",
        env: "SUNWORK_OUTPUT",
        kind: Kind::Text,
        default: Some("table"),
        about: "table for people, json for scripts",
        example: "\"table\"",
    },
];

/// A configuration file that cannot be used or written.
#[derive(Debug, Error)]
pub enum ConfigFileError {
    /// It cannot be read.
    #[error("cannot read the configuration file {path:?}: {problem}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// It is no TOML.
    #[error(
        "the configuration file {path:?} is not TOML, line {line}: {problem}; expected lines such as `output = \"table\"`"
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// A key that is no setting.
    #[error(
        "the configuration file {path:?}, line {line}: {found:?} is no setting{}; expected one of {}",
        nearest_text(found),
        names()
    )]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// The key.
        found: String,
    },
    /// A value of another type.
    #[error(
        "the configuration file {path:?}, line {line}: {key} is {found}, expected {expected}, such as {key} = {example}"
    )]
    WrongType {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// The setting.
        key: &'static str,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
        /// How it looks.
        example: &'static str,
    },
    /// A name on the command line that is no setting.
    #[error("{found:?} is no setting{}; expected one of {}", nearest_text(found), names())]
    NoSuchSetting {
        /// The name.
        found: String,
    },
    /// Several values for one.
    #[error("{key} takes one value, {found} were given; expected `sunwork config set {key} VALUE`")]
    OneValue {
        /// The setting.
        key: &'static str,
        /// How many.
        found: usize,
    },
    /// There is one already.
    #[error(
        "the configuration file {path:?} is there already and stays as it is; change it with `sunwork config set KEY VALUE`"
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot write the configuration file {path:?}: {problem}; {advice}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
        /// What to do.
        advice: &'static str,
    },
}

fn names() -> String {
    KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")
}

fn nearest_text(found: &str) -> String {
    nearest(found).map(|key| format!(" (did you mean {:?}?)", key.name)).unwrap_or_default()
}

/// The setting whose name is most like `found`, if any is.
pub fn nearest(found: &str) -> Option<&'static Key> {
    let found = found.to_lowercase().replace('-', "_");
    let distance = |key: &Key| strsim::damerau_levenshtein(&found, key.name);
    let alike = |key: &&Key| distance(key) <= MOST_SLIPS || strsim::jaro_winkler(&found, key.name) >= LIKENESS;
    KEYS.iter().filter(alike).min_by_key(|key| distance(key))
}

/// The setting of this name.
///
/// # Errors
/// Names the nearest one.
pub fn key(name: &str) -> Result<&'static Key, ConfigFileError> {
    let wanted = name.replace('-', "_");
    let found = KEYS.iter().find(|key| key.name == wanted);
    found.ok_or_else(|| ConfigFileError::NoSuchSetting { found: name.to_owned() })
}

/// A value with the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// One text, or several.
    pub values: Vec<String>,
    /// Counted from 1.
    pub line: usize,
}

/// Reads a configuration file.
///
/// # Errors
/// See [`ConfigFileError`].
pub fn read(path: &Path) -> Result<BTreeMap<&'static str, Entry>, ConfigFileError> {
    parse(path, &text_of(path)?)
}

fn text_of(path: &Path) -> Result<String, ConfigFileError> {
    let fail = |problem: String| ConfigFileError::Unreadable { path: path.to_owned(), problem };
    let meta = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
    if meta.is_dir() {
        return Err(fail("it is a folder, expected a file".into()));
    }
    if meta.len() > MAX_BYTES {
        return Err(fail(format!("it has {} bytes, expected at most {MAX_BYTES}", meta.len())));
    }
    std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))
}

fn parse(path: &Path, text: &str) -> Result<BTreeMap<&'static str, Entry>, ConfigFileError> {
    let line_at = |offset: usize| text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
    let document: Document<&str> = Document::parse(text).map_err(|error| ConfigFileError::Syntax {
        path: path.to_owned(),
        line: line_at(error.span().map_or(0, |span| span.start)),
        problem: error.message().lines().next().unwrap_or("it cannot be read").to_owned(),
    })?;
    let mut entries = BTreeMap::new();
    for (name, item) in document.iter() {
        let span = document.key(name).and_then(|key| key.span()).or_else(|| item.span());
        let line = line_at(span.map_or(0, |span| span.start));
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(ConfigFileError::UnknownKey { path: path.to_owned(), line, found: name.to_owned() });
        };
        let values = values_of(key, item).ok_or_else(|| ConfigFileError::WrongType {
            path: path.to_owned(),
            line,
            key: key.name,
            found: type_of(item),
            expected: match key.kind {
                Kind::Text => "a text in quotes",
                Kind::Number => "a number",
                Kind::List => "a list of texts in quotes",
            },
            example: key.example,
        })?;
        entries.insert(key.name, Entry { values, line });
    }
    Ok(entries)
}

fn values_of(key: &Key, item: &Item) -> Option<Vec<String>> {
    match (key.kind, item.as_value()?) {
        (_, Value::String(text)) => Some(vec![text.value().clone()]),
        // As it is written: nothing is rounded on the way.
        (Kind::Number, Value::Integer(_) | Value::Float(_)) => Some(vec![item.to_string().trim().to_owned()]),
        (Kind::List, Value::Array(list)) => list.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn type_of(item: &Item) -> &'static str {
    match item.as_value() {
        Some(Value::String(_)) => "a text",
        Some(Value::Integer(_) | Value::Float(_)) => "a number",
        Some(Value::Boolean(_)) => "true or false",
        Some(Value::Datetime(_)) => "a time",
        Some(Value::Array(_)) => "a list",
        Some(Value::InlineTable(_)) | None => "a table",
    }
}

/// Sets one setting in the file, which is made where there is none; comments and everything else stay.
///
/// # Errors
/// See [`ConfigFileError`]; the file is then unchanged.
pub fn set(path: &Path, key: &Key, values: &[String]) -> Result<(), ConfigFileError> {
    let text = if path.exists() { text_of(path)? } else { String::new() };
    // What is wrong with the rest of the file is said before anything is added to it.
    parse(path, &text)?;
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| ConfigFileError::Syntax {
        path: path.to_owned(),
        line: 1,
        problem: error.message().to_owned(),
    })?;
    document[key.name] = match (key.kind, values) {
        (Kind::Number, [text, ..]) => text.parse::<Value>().map_or_else(|_| toml_edit::value(text), toml_edit::value),
        (Kind::Text, [text, ..]) => toml_edit::value(text),
        (Kind::Text | Kind::Number, []) => toml_edit::value(""),
        (Kind::List, list) => toml_edit::value(list.iter().collect::<toml_edit::Array>()),
    };
    write(path, &document.to_string())
}

/// Writes a file with every setting commented out.
///
/// # Errors
/// See [`ConfigFileError`].
pub fn init(path: &Path) -> Result<(), ConfigFileError> {
    let mut text = String::from(
        "# Settings of the sunwork command. A flag comes before its environment variable, that before this file.\n\
         # `sunwork config show --origin` prints what is used and where it is from.\n",
    );
    for key in KEYS {
        text.push_str(&format!("\n# {} ({}, {})\n# {} = {}\n", key.about, key.flag, key.env, key.name, key.example));
    }
    write(path, &text)
}

/// Writes next to the file first and renames: a crash leaves the old file or the new one.
fn write(path: &Path, text: &str) -> Result<(), ConfigFileError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let work = || -> std::io::Result<()> {
        std::fs::create_dir_all(dir)?;
        let mut draft = path.as_os_str().to_owned();
        draft.push(".draft");
        let draft = PathBuf::from(draft);
        let mut file = std::fs::File::create(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, path)?;
        std::fs::File::open(dir)?.sync_all()
    };
    work().map_err(|error| ConfigFileError::Unwritable {
        path: path.to_owned(),
        problem: error.to_string(),
        advice: write_advice(error.kind()),
    })
}

/// What to do about a file that cannot be written.
pub fn write_advice(kind: std::io::ErrorKind) -> &'static str {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::ReadOnlyFilesystem => {
            "this disk is read-only: name a place on another one, with a flag or with XDG_CONFIG_HOME and XDG_DATA_HOME"
        }
        ErrorKind::PermissionDenied => {
            "your account may not write there: name another place, or have the folder given to you"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full: make room and try again",
        ErrorKind::NotADirectory => "a part of this path is a file, expected a folder",
        _ => "name another place",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse(Path::new("/c.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn settings_are_read_with_their_lines() {
        let entries = parse(
            Path::new("/c.toml"),
            "# mine\n\nrpc = [\"http://a\", \"http://b\"]\n oracle = \"http://o\"\noutput = 'json'\n",
        )
        .unwrap();
        assert_eq!(entries["rpc"], Entry { values: vec!["http://a".into(), "http://b".into()], line: 3 });
        assert_eq!(entries["oracle"], Entry { values: vec!["http://o".into()], line: 4 });
        assert_eq!((entries["output"].line, entries.len()), (5, 3));
    }

    #[test]
    fn typing_errors_name_the_nearest_setting_and_the_line() {
        let error = refused("output = \"json\"\nrcp = []\n");
        assert!(error.contains("line 2: \"rcp\" is no setting (did you mean \"rpc\"?)"), "{error}");
        assert!(refused("password-file = \"x\"").contains("did you mean \"password_file\"?"));
        assert!(refused("orcale = \"x\"").contains("did you mean \"oracle\"?"));
        let strange = refused("[network]\nx = 1");
        assert!(strange.contains("\"network\" is no setting; expected one of rpc, oracle"), "{strange}");
    }

    #[test]
    fn wrong_types_and_broken_files_are_said() {
        let error = refused("\nrpc = 8545");
        assert!(
            error.contains("line 2: rpc is a number, expected a list of texts in quotes, such as rpc = [\"http"),
            "{error}"
        );
        assert!(refused("output = [\"json\"]").contains("output is a list, expected a text in quotes"));
        assert!(refused("rpc = [1]").contains("rpc is a list"));
        let broken = refused("output = \"json\"\noracle =\n");
        assert!(broken.contains("is not TOML, line 2") && !broken.contains('\n'), "{broken}");
    }

    #[test]
    fn setting_one_keeps_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/config.toml");
        init(&path).unwrap();
        assert!(read(&path).unwrap().is_empty(), "all that `init` writes is a comment");
        set(&path, key("rpc").unwrap(), &["http://a:1".into(), "http://b:2".into()]).unwrap();
        set(&path, key("password-file").unwrap(), &["/p".into()]).unwrap();
        set(&path, key("rpc").unwrap(), &["http://c:3".into()]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("# Nodes of the chain") && text.contains("rpc = [\"http://c:3\"]"), "{text}");
        let entries = read(&path).unwrap();
        assert_eq!(
            (entries["rpc"].values.as_slice(), entries["password_file"].values[0].as_str()),
            (&["http://c:3".to_owned()][..], "/p")
        );
        set(&path, key("max-fee-gwei").unwrap(), &["1.5".into()]).unwrap();
        assert_eq!(read(&path).unwrap()["max_fee_gwei"].values, ["1.5"]);
        assert!(std::fs::read_to_string(&path).unwrap().contains("max_fee_gwei = 1.5"));
        std::fs::write(&path, "rcp = 1").unwrap();
        assert!(set(&path, key("rpc").unwrap(), &["x".into()]).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "rcp = 1", "a broken file is not touched");
        assert!(matches!(key("rcp"), Err(ConfigFileError::NoSuchSetting { .. })));
    }
}
