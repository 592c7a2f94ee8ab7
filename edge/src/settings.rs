//! Configuration files of the programs: which settings one may hold, reading it with the line of each, and changing one without
//! touching the rest.

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
    /// true or false; it may stand in quotes.
    Bool,
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
    /// What it is, for a file with every setting as a comment.
    pub about: &'static str,
    /// How it looks.
    pub example: &'static str,
}

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
    #[error("the configuration file {path:?}, line {line}: {found:?} is no setting{hint}")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// The key.
        found: String,
        /// The nearest setting, and all of them.
        hint: String,
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
    #[error("{found:?} is no setting{hint}")]
    NoSuchSetting {
        /// The name.
        found: String,
        /// The nearest setting, and all of them.
        hint: String,
    },
    /// Several values for one.
    #[error("{key} takes one value, {found} were given; give it once")]
    OneValue {
        /// The setting.
        key: &'static str,
        /// How many.
        found: usize,
    },
    /// There is one already.
    #[error("the configuration file {path:?} is there already and stays as it is; change it instead, or move it away")]
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

/// A value with the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// One text, or several.
    pub values: Vec<String>,
    /// Counted from 1.
    pub line: usize,
}

/// The settings of one program.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// All of them, in the order in which they are shown.
    pub keys: &'static [Key],
    /// The first lines of a file with every setting as a comment.
    pub heading: &'static str,
}

impl Schema {
    fn hint(&self, found: &str) -> String {
        let nearest = self.nearest(found).map(|key| format!(" (did you mean {:?}?)", key.name)).unwrap_or_default();
        let names: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
        format!("{nearest}; expected one of {}", names.join(", "))
    }

    /// The setting whose name is most like `found`, if any is.
    pub fn nearest(&self, found: &str) -> Option<&'static Key> {
        let found = found.to_lowercase().replace('-', "_");
        let distance = |key: &Key| strsim::damerau_levenshtein(&found, key.name);
        let alike = |key: &&Key| distance(key) <= MOST_SLIPS || strsim::jaro_winkler(&found, key.name) >= LIKENESS;
        self.keys.iter().filter(alike).min_by_key(|key| distance(key))
    }

    /// The setting of this name.
    ///
    /// # Errors
    /// Names the nearest one.
    pub fn key(&self, name: &str) -> Result<&'static Key, ConfigFileError> {
        let wanted = name.replace('-', "_");
        let found = self.keys.iter().find(|key| key.name == wanted);
        found.ok_or_else(|| ConfigFileError::NoSuchSetting { found: name.to_owned(), hint: self.hint(name) })
    }

    /// Reads a configuration file.
    ///
    /// # Errors
    /// See [`ConfigFileError`].
    pub fn read(&self, path: &Path) -> Result<Entries, ConfigFileError> {
        self.parse(path, &text_of(path)?)
    }

    /// Reads its text; `path` is for the errors.
    ///
    /// # Errors
    /// See [`ConfigFileError`].
    pub fn parse(&self, path: &Path, text: &str) -> Result<Entries, ConfigFileError> {
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
            let Some(key) = self.keys.iter().find(|key| key.name == name) else {
                return Err(ConfigFileError::UnknownKey {
                    path: path.to_owned(),
                    line,
                    found: name.to_owned(),
                    hint: self.hint(name),
                });
            };
            let values = values_of(key, item).ok_or_else(|| ConfigFileError::WrongType {
                path: path.to_owned(),
                line,
                key: key.name,
                found: type_of(item),
                expected: match key.kind {
                    Kind::Text => "a text in quotes",
                    Kind::Number => "a number",
                    Kind::Bool => "true or false",
                    Kind::List => "a list of texts in quotes",
                },
                example: key.example,
            })?;
            entries.insert(key.name, Entry { values, line });
        }
        Ok(entries)
    }

    /// Sets one setting in the file, which is made where there is none; comments and everything else stay.
    ///
    /// # Errors
    /// See [`ConfigFileError`]; the file is then unchanged.
    pub fn set(&self, path: &Path, key: &Key, values: &[String]) -> Result<(), ConfigFileError> {
        let text = if path.exists() { text_of(path)? } else { String::new() };
        // What is wrong with the rest of the file is said before anything is added to it.
        self.parse(path, &text)?;
        let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            ConfigFileError::Syntax { path: path.to_owned(), line: 1, problem: error.message().to_owned() }
        })?;
        document[key.name] = toml_edit::value(value_of(key, values));
        write(path, &document.to_string())
    }

    /// The text of a file with every setting as a comment.
    pub fn template(&self) -> String {
        self.template_with(&BTreeMap::new())
    }

    /// The same, with these values, by name, as settings that hold.
    pub fn template_with(&self, given: &BTreeMap<&str, Vec<String>>) -> String {
        let mut text = self.heading.to_owned();
        for key in self.keys {
            text.push_str(&format!("\n# {} ({}, {})\n", key.about, key.flag, key.env));
            text.push_str(&match given.get(key.name) {
                Some(values) => format!("{} = {}\n", key.name, value_of(key, values)),
                None => format!("# {} = {}\n", key.name, key.example),
            });
        }
        text
    }

    /// Writes a file with every setting commented out.
    ///
    /// # Errors
    /// See [`ConfigFileError`].
    pub fn init(&self, path: &Path) -> Result<(), ConfigFileError> {
        self.init_with(path, &BTreeMap::new())
    }

    /// The same, with these values, by name, as settings that hold.
    ///
    /// # Errors
    /// See [`ConfigFileError`].
    pub fn init_with(&self, path: &Path, given: &BTreeMap<&str, Vec<String>>) -> Result<(), ConfigFileError> {
        write(path, &self.template_with(given))
    }
}

/// What a file says, by setting.
pub type Entries = BTreeMap<&'static str, Entry>;

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

fn values_of(key: &Key, item: &Item) -> Option<Vec<String>> {
    match (key.kind, item.as_value()?) {
        (_, Value::String(text)) => Some(vec![text.value().clone()]),
        // As it is written: nothing is rounded on the way.
        (Kind::Number, Value::Integer(_) | Value::Float(_)) | (Kind::Bool, Value::Boolean(_)) => {
            // A comment behind it belongs to the item.
            let text = item.to_string();
            Some(vec![text.split('#').next().unwrap_or_default().trim().to_owned()])
        }
        (Kind::List, Value::Array(list)) => list.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// How values are written: a number without quotes, where it is one.
fn value_of(key: &Key, values: &[String]) -> Value {
    match (key.kind, values) {
        (Kind::Number | Kind::Bool, [text, ..]) => text.parse().unwrap_or_else(|_| Value::from(text)),
        (Kind::Text, [text, ..]) => Value::from(text),
        (Kind::Text | Kind::Number | Kind::Bool, []) => Value::from(""),
        (Kind::List, list) => Value::Array(list.iter().collect()),
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

/// Where a value is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Flag(&'static str),
    /// An environment variable.
    Env(&'static str),
    /// The configuration file.
    File {
        /// Which.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// Nobody set it.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Env(name) => write!(f, "environment {name}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

impl serde::Serialize for Origin {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A setting as it is used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    /// Its name.
    pub key: &'static str,
    /// Its values; empty where it is not set and has no default.
    pub values: Vec<String>,
    /// Where they are from.
    pub origin: Origin,
}
