//! `sunwork config`: which settings are used, where each is from, and changing the file.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::{ConfigCommand, Global};
use super::config_file::{self, ConfigFileError, Kind, SCHEMA};
use super::exit::{Exit, Failure};
use super::output::{Output, table};
use super::settings::{Settings, SettingsError, Sources, config_path};

/// Runs the command. It reads the settings itself: it must work where they cannot be used.
///
/// # Errors
/// With the exit code that fits.
pub fn run(command: ConfigCommand, flags: &Global, sources: &Sources, output: &Output) -> Result<Exit, Failure> {
    let work = match command {
        ConfigCommand::Show { origin } => show(flags, sources, origin),
        ConfigCommand::Path => path(flags, output),
        ConfigCommand::Set { key, values } => set(flags, output, &key, &values),
        ConfigCommand::Init => init(flags, output),
    };
    work.map(|()| Exit::Ok).map_err(|error| Failure::new(Exit::Config, error))
}

fn show(flags: &Global, sources: &Sources, origin: bool) -> Result<(), SettingsError> {
    let settings = Settings::load(flags, sources)?;
    let path = config_path(flags);
    let document = json!({ "file": path, "settings": settings.origins });
    Output::new(settings.output).document("config", &document, || {
        let rows: Vec<Vec<String>> = settings
            .origins
            .iter()
            .map(|setting| {
                let value = match (setting.key, setting.values.as_slice()) {
                    ("deployment", []) => "(the only file in ./deployments)".to_owned(),
                    ("keystore", []) => "(the only file in sunwork/keystore of the data folder)".to_owned(),
                    ("password_file", []) => "(you are asked)".to_owned(),
                    (_, []) => "(not set)".to_owned(),
                    (_, values) => values.join(", "),
                };
                let mut row = vec![setting.key.to_owned(), value];
                if origin {
                    row.push(setting.origin.to_string());
                }
                row
            })
            .collect();
        let headers: &[&str] = if origin { &["SETTING", "VALUE", "FROM"] } else { &["SETTING", "VALUE"] };
        table(headers, &rows)
    });
    Ok(())
}

fn place(flags: &Global) -> Result<PathBuf, SettingsError> {
    config_path(flags).ok_or(SettingsError::NoHome {
        what: "the configuration file",
        variable: "XDG_CONFIG_HOME",
        flag: "--config FILE",
    })
}

fn path(flags: &Global, output: &Output) -> Result<(), SettingsError> {
    let path = place(flags)?;
    let document = json!({ "file": path, "exists": path.is_file() });
    output.document("config", &document, || path.display().to_string());
    Ok(())
}

fn set(flags: &Global, output: &Output, name: &str, values: &[String]) -> Result<(), SettingsError> {
    let path = place(flags)?;
    let key = SCHEMA.key(name)?;
    let values: Vec<String> = match key.kind {
        // Commas as in the environment; no URL holds one by accident.
        Kind::List => values.iter().flat_map(|text| text.split(',')).map(|text| text.trim().to_owned()).collect(),
        Kind::Text | Kind::Number | Kind::Bool => values.to_vec(),
    };
    if key.kind != Kind::List && values.len() > 1 {
        return Err(ConfigFileError::OneValue { key: key.name, found: values.len() }.into());
    }
    check(key, &values, &path)?;
    SCHEMA.set(&path, key, &values)?;
    let document = json!({ "file": path, "key": key.name, "values": values });
    output.document("config", &document, || format!("{} = {} in {}", key.name, values.join(", "), path.display()));
    Ok(())
}

/// What the next command would refuse is not written.
fn check(key: &'static config_file::Key, values: &[String], path: &Path) -> Result<(), SettingsError> {
    let entry = config_file::Entry { values: values.to_vec(), line: 1 };
    Settings::of_file(&[(key.name, entry)].into(), path).map(drop)
}

fn init(flags: &Global, output: &Output) -> Result<(), SettingsError> {
    let path = place(flags)?;
    if path.exists() {
        return Err(ConfigFileError::Exists { path }.into());
    }
    SCHEMA.init(&path)?;
    let document = json!({ "file": path });
    output.document("config", &document, || {
        format!("{} written; every setting stands in it as a comment", path.display())
    });
    Ok(())
}
