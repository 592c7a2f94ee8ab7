//! What `init` was told, so that the settings file it writes and the commands it prints say the same.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::config::{Loaded, Origin, Setting};

/// Settings that are paths: a file of settings is read from any folder.
const PATHS: [&str; 10] = [
    "data_dir",
    "deployment",
    "keystore",
    "password_file",
    "owner_keystore",
    "owner_password_file",
    "encryption_keystore",
    "wasm_runner",
    "control_socket",
    "simulate",
];

/// The settings file that commands read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Its path, if there is one.
    pub path: Option<PathBuf>,
    /// It was named by a flag, and must be again.
    pub by_flag: bool,
}

/// Everything that somebody set, by name, with whole paths.
pub(super) fn values(loaded: &Loaded) -> BTreeMap<&'static str, Vec<String>> {
    let given = loaded.settings.iter().filter(|setting| setting.origin != Origin::Default);
    let whole =
        |text: &String| std::path::absolute(text).map_or_else(|_| text.clone(), |path| path.display().to_string());
    given
        .map(|setting| match PATHS.contains(&setting.key) {
            true => (setting.key, setting.values.iter().map(whole).collect()),
            false => (setting.key, setting.values.clone()),
        })
        .collect()
}

/// The commands that come after `init`. They work as printed but for the words in capitals; what the environment says is not repeated.
/// `written` is the settings file that `init` wrote just now.
pub(super) fn next(loaded: &Loaded, config: &Config, written: Option<&Path>) -> Vec<String> {
    let mut words = String::new();
    // Whatever was given by flags is in a file that was written.
    let flags: Vec<&Setting> = match written {
        Some(_) => Vec::new(),
        None => loaded.settings.iter().filter(|setting| matches!(setting.origin, Origin::Flag(_))).collect(),
    };
    let named = match written {
        Some(written) if config.by_flag || config.path.as_deref() != Some(written) => Some(written),
        Some(_) => None,
        None => config.path.as_deref().filter(|_| config.by_flag),
    };
    if let Some(path) = named {
        words.push_str(&format!(" --config {}", quoted(&path.display().to_string())));
    }
    for setting in flags {
        let flag = setting.key.replace('_', "-");
        setting.values.iter().for_each(|value| words.push_str(&format!(" --{flag} {}", quoted(value))));
    }
    let missing = |keys: &[(&str, &str)]| -> String {
        let unset = |key: &str| loaded.settings.iter().any(|found| found.key == key && found.origin == Origin::Default);
        keys.iter().filter(|(key, _)| unset(key)).map(|(key, word)| format!(" --{key} {word}")).collect()
    };
    let (chain, all) =
        ([("rpc", "URL"), ("deployment", "FILE")], [("rpc", "URL"), ("deployment", "FILE"), ("oracle", "URL")]);
    vec![
        format!("sunwork-worker register{words}{} --stake AMOUNT", missing(&chain)),
        format!("sunwork-worker doctor{words}{}", missing(&all)),
        format!("sunwork-worker run{words}{}", missing(&all)),
    ]
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_./:=,@%+-".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(set: &[(&'static str, &str, Origin)]) -> Loaded {
        let settings = ["data_dir", "rpc", "deployment", "oracle"].map(|key| {
            let found = set.iter().filter(|(name, ..)| *name == key);
            let origin = found.clone().next().map_or(Origin::Default, |(_, _, origin)| origin.clone());
            Setting { key, values: found.map(|(_, value, _)| (*value).to_owned()).collect(), origin }
        });
        Loaded { layer: crate::config::Layer::default(), settings: settings.into() }
    }

    #[test]
    fn flags_are_repeated_the_environment_is_not_and_what_is_missing_is_asked_for() {
        let set = [
            ("data_dir", "/my data", Origin::Flag("--data-dir")),
            ("rpc", "http://a", Origin::Env("SUNWORK_WORKER_RPC")),
        ];
        let [register, doctor, run] = next(&loaded(&set), &Config::default(), None).try_into().unwrap();
        assert_eq!(register, "sunwork-worker register --data-dir '/my data' --deployment FILE --stake AMOUNT");
        assert_eq!(doctor, "sunwork-worker doctor --data-dir '/my data' --deployment FILE --oracle URL");
        assert_eq!(run, doctor.replace("doctor", "run"));
        let config = Config { path: Some("/w.toml".into()), by_flag: true };
        assert!(next(&loaded(&set), &config, None)[0].contains("register --config /w.toml --data-dir"));
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn a_written_file_stands_for_the_flags_and_is_named_where_it_is_not_read_by_itself() {
        let set = [
            ("data_dir", "d", Origin::Flag("--data-dir")),
            ("rpc", "http://a", Origin::Flag("--rpc")),
            ("rpc", "http://b", Origin::Flag("--rpc")),
            ("deployment", "1.json", Origin::Env("SUNWORK_WORKER_DEPLOYMENT")),
            ("oracle", "http://o", Origin::File { path: "/old".into(), line: 1 }),
        ];
        let loaded = loaded(&set);
        let first = |config: &Config| next(&loaded, config, Some(Path::new("/w.toml"))).swap_remove(0);
        assert_eq!(first(&Config::default()), "sunwork-worker register --config /w.toml --stake AMOUNT");
        let read_anyway = Config { path: Some("/w.toml".into()), by_flag: false };
        assert_eq!(first(&read_anyway), "sunwork-worker register --stake AMOUNT");
        let values = values(&loaded);
        assert_eq!((values["rpc"].len(), values["oracle"][0].as_str()), (2, "http://o"));
        assert!(Path::new(&values["deployment"][0]).is_absolute() && Path::new(&values["data_dir"][0]).is_absolute());
    }
}
