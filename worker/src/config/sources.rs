//! Where settings are from: flag over environment over file over default. All three are read by the same parser, clap's.
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use clap::{ArgMatches, Args as _, FromArgMatches as _, parser::ValueSource};
use sunwork_edge::settings::{Entries, Key, Kind, Schema};
pub use sunwork_edge::settings::{Origin, Setting};

use super::{ConfigError, Layer};

/// Settings file that is read when none is named.
const DEFAULT_FILE: &str = "/etc/sunwork/worker.toml";

const HEADING: &str = "\
# Settings of sunwork-worker. A flag comes before its environment variable, that before this file.
# `sunwork-worker config show --origin` prints what is used and where it is from, `sunwork-worker config check` looks at this file,
# and `systemctl reload sunwork-worker` makes a running worker read it again without losing work.
";

/// Kind, default in words, and an example of every setting; name, flag, variable and description are clap's.
const SHAPES: &[(&str, Kind, Option<&str>, &str)] = &[
    ("data_dir", Kind::Text, Some("/var/lib/sunwork-worker"), "\"/var/lib/sunwork-worker\""),
    ("rpc", Kind::List, None, "[\"http://127.0.0.1:8545\"]"),
    ("deployment", Kind::Text, None, "\"/etc/sunwork/31337.json\""),
    ("oracle", Kind::List, None, "[\"http://127.0.0.1:8420\"]"),
    ("keystore", Kind::Text, None, "\"/var/lib/sunwork-worker/keys/device/0x….json\""),
    ("password_file", Kind::Text, None, "\"/run/credentials/worker-password\""),
    ("owner_keystore", Kind::Text, None, "\"/media/stick/owner.json\""),
    ("owner_password_file", Kind::Text, None, "\"/media/stick/password\""),
    ("encryption_keystore", Kind::Text, None, "\"/var/lib/sunwork-worker/keys/encryption/0x….json\""),
    ("classes", Kind::List, None, "[\"linux/amd64+docker\"]"),
    ("wasm_runner", Kind::Text, None, "\"/usr/bin/sunwork-wasm-runner\""),
    ("docker_host", Kind::Text, None, "\"unix:///var/run/docker.sock\""),
    ("cores", Kind::Number, None, "1.5"),
    ("memory_mib", Kind::Number, None, "2048"),
    ("disk_mib", Kind::Number, None, "10240"),
    ("keep_free_disk_mib", Kind::Number, Some("512"), "512"),
    ("image_allow", Kind::List, None, "[\"ghcr.io/my-lab/*\", \"docker.io/library/python\"]"),
    ("image_deny", Kind::List, None, "[\"*/miner*\"]"),
    ("network_hosts", Kind::List, None, "[\"*.example.org:443\"]"),
    ("image_quota_mib", Kind::Number, Some("10240"), "4096"),
    ("cache_quota_mib", Kind::Number, Some("1024"), "256"),
    ("cleanup_at_disk_percent", Kind::Number, Some("90"), "85"),
    ("daily_transfer_mib", Kind::Number, None, "5000"),
    ("run_when_idle", Kind::Bool, Some("false"), "true"),
    ("idle_max_pressure_percent", Kind::Number, Some("25"), "25"),
    ("idle_dwell_secs", Kind::Number, Some("60"), "60"),
    ("schedule", Kind::List, None, "[\"mon-fri 18:00-08:00\", \"sat,sun 00:00-24:00\"]"),
    ("finish_in_schedule", Kind::Bool, Some("false"), "true"),
    ("kinds", Kind::List, Some("compute"), "[\"compute\"]"),
    ("runtimes", Kind::List, None, "[\"docker\"]"),
    ("price_per_core_hour", Kind::Number, Some("0"), "0.02"),
    ("price_per_gib_hour", Kind::Number, Some("0"), "0.005"),
    ("tokens_per_ether", Kind::Number, None, "25000"),
    ("gas_price_limit_gwei", Kind::Number, None, "30"),
    ("max_fee_gwei", Kind::Number, Some("500"), "100"),
    ("control_socket", Kind::Text, None, "\"/run/sunwork-worker/control.sock\""),
    ("metrics_listen", Kind::Text, None, "\"127.0.0.1:9464\""),
    ("max_milli_cpu", Kind::Number, None, "1000"),
    ("max_memory_mib", Kind::Number, None, "1024"),
    ("max_disk_mib", Kind::Number, None, "1024"),
    ("max_output_mib", Kind::Number, None, "256"),
    ("max_processes", Kind::Number, Some("1024"), "1024"),
    ("max_leaf_secs", Kind::Number, Some("21600"), "3600"),
    ("max_leaves", Kind::Number, Some("100000"), "1000"),
    ("max_input_mib", Kind::Number, None, "1024"),
    ("parallel_leaves", Kind::Number, None, "2"),
    ("merge_claims", Kind::Bool, Some("true"), "true"),
    ("min_reward", Kind::Number, Some("0"), "0.5"),
    ("poll_ms", Kind::Number, Some("500"), "1000"),
    ("idle_poll_ms", Kind::Number, Some("5000"), "10000"),
    ("finality_blocks", Kind::Number, Some("32"), "32"),
    ("energy_sensors", Kind::List, None, "[\"ina228 battery /dev/i2c-1 0x40\", \"witty-pi-4 /dev/i2c-1\"]"),
    ("simulate", Kind::Text, None, "\"sky.csv\""),
    ("simulate_speed", Kind::Number, Some("1"), "60"),
    ("energy_battery_wh", Kind::Number, None, "384"),
    ("energy_battery_volts", Kind::Number, Some("12.8"), "12.8"),
    ("energy_battery_chemistry", Kind::Text, Some("lifepo4"), "\"lifepo4\""),
    ("energy_panel_wp", Kind::Number, None, "100"),
    ("energy_place", Kind::Text, None, "\"52.4,4.9,10\""),
    ("energy_board", Kind::Text, Some("pi4b"), "\"pi4b\""),
    ("energy_extra_watts", Kind::Number, Some("0"), "1.3"),
    ("energy_interval_secs", Kind::Number, Some("10"), "10"),
    ("energy_sleep", Kind::Bool, Some("true"), "true"),
    ("energy_halt", Kind::List, Some("systemctl poweroff"), "[\"systemctl\", \"poweroff\"]"),
    ("energy_meter_key", Kind::Text, Some("software"), "\"tpm\""),
    ("energy_tpm", Kind::Text, Some("device:/dev/tpmrm0"), "\"device:/dev/tpmrm0\""),
];

/// Settings that a running worker takes over when it reads them again; the others need a restart.
const LIVE: &[&str] = &[
    "cores",
    "memory_mib",
    "disk_mib",
    "keep_free_disk_mib",
    "image_allow",
    "image_deny",
    "network_hosts",
    "daily_transfer_mib",
    "run_when_idle",
    "idle_max_pressure_percent",
    "idle_dwell_secs",
    "schedule",
    "finish_in_schedule",
    "kinds",
    "runtimes",
    "price_per_core_hour",
    "price_per_gib_hour",
    "tokens_per_ether",
    "gas_price_limit_gwei",
    "max_milli_cpu",
    "max_memory_mib",
    "max_disk_mib",
    "max_output_mib",
    "max_processes",
    "max_leaf_secs",
    "max_leaves",
    "max_input_mib",
    "parallel_leaves",
    "merge_claims",
    "min_reward",
];

/// All settings, made once per process from clap's own description and `SHAPES`.
pub fn keys() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
        let command = Layer::augment_args(clap::Command::new("settings"));
        let leak = |text: String| -> &'static str { text.leak() };
        let key = |&(name, kind, default, example): &(&'static str, Kind, Option<&'static str>, &'static str)| {
            let arg = command.get_arguments().find(|arg| arg.get_id() == name);
            let env = arg.and_then(|arg| arg.get_env()).map(|env| env.to_string_lossy().into_owned());
            let about = arg.and_then(|arg| arg.get_long_help().or(arg.get_help())).map(ToString::to_string);
            Key {
                name,
                flag: leak(format!("--{}", name.replace('_', "-"))),
                env: leak(env.unwrap_or_default()),
                kind,
                default,
                about: leak(about.unwrap_or_default().replace('\n', " ")),
                example,
            }
        };
        Schema { keys: SHAPES.iter().map(key).collect::<Vec<_>>().leak(), heading: HEADING }
    });
    &SCHEMA
}

/// The settings file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigFile {
    /// Where it is; empty when there is none.
    pub path: PathBuf,
    entries: Entries,
    layer: Layer,
}

/// The file that is read when none is named, if it is there.
pub fn default_path() -> Option<PathBuf> {
    Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists())
}

impl ConfigFile {
    /// Reads it; nothing when there is no path.
    ///
    /// # Errors
    /// When it cannot be read, or holds anything unknown or of another type, with line and key.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(path) = path else { return Ok(Self::default()) };
        let entries = keys().read(path)?;
        Self::of(path, entries)
    }

    fn of(path: &Path, entries: Entries) -> Result<Self, ConfigError> {
        let mut layer = Layer::default();
        for (name, entry) in &entries {
            let Some(key) = keys().keys.iter().find(|key| key.name == *name) else { continue };
            let values: Vec<&String> = entry.values.iter().filter(|value| !value.is_empty()).collect();
            let args = values.iter().map(|value| format!("{}={value}", key.flag));
            // Without the environment: it is another source.
            let command = Layer::augment_args(clap::Command::new("file").no_binary_name(true).disable_help_flag(true))
                .mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
            let parsed = command.try_get_matches_from(args).and_then(|matches| Layer::from_arg_matches(&matches));
            let one = parsed.map_err(|error| ConfigError::Value {
                key: key.name.to_owned(),
                origin: format!("{}:{}", path.display(), entry.line),
                found: entry.values.join(", "),
                problem: problem_of(&error, key.example),
            })?;
            layer = one.over(layer);
        }
        Ok(Self { path: path.to_owned(), entries, layer })
    }
}

/// The reason in clap's words, which stand after the last colon of its first line.
fn problem_of(error: &clap::Error, example: &str) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let reason = line.rsplit(": ").next().unwrap_or(line);
    format!("{reason}; expected for example {example}")
}

/// All settings as they are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Flags and environment over the file.
    pub layer: Layer,
    /// Each with where it is from.
    pub settings: Vec<Setting>,
}

impl Loaded {
    /// Puts flags and environment (as clap read them) over the file.
    pub fn new(above: &Layer, matches: &ArgMatches, file: &ConfigFile) -> Self {
        let setting = |key: &Key| {
            let source = matches.try_contains_id(key.name).ok().and_then(|_| matches.value_source(key.name));
            let given = || {
                matches
                    .get_raw(key.name)
                    .map(|raw| raw.map(|text| text.to_string_lossy().into_owned()).collect::<Vec<String>>())
            };
            let (values, origin) = match (source, file.entries.get(key.name)) {
                (Some(ValueSource::CommandLine), _) => (given().unwrap_or_default(), Origin::Flag(key.flag)),
                (Some(ValueSource::EnvVariable), _) => (given().unwrap_or_default(), Origin::Env(key.env)),
                (_, Some(entry)) => (entry.values.clone(), Origin::File { path: file.path.clone(), line: entry.line }),
                _ => (key.default.iter().map(|text| (*text).to_owned()).collect(), Origin::Default),
            };
            Setting { key: key.name, values, origin }
        };
        Self { layer: above.clone().over(file.layer.clone()), settings: keys().keys.iter().map(setting).collect() }
    }

    /// Adds to an error where the value is from.
    #[must_use]
    pub fn explain(&self, error: ConfigError) -> ConfigError {
        let origin_of = |key: &str| {
            self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.origin.to_string())
        };
        match error {
            ConfigError::Value { key, found, problem, .. } => {
                let origin = origin_of(&key).unwrap_or_default();
                ConfigError::Value { key, origin, found, problem }
            }
            ConfigError::Range { key, found, expected } => ConfigError::Value {
                key: key.to_owned(),
                origin: origin_of(key).unwrap_or_default(),
                found,
                problem: format!("expected {expected}"),
            },
            other => other,
        }
    }

    /// Settings that differ from `before`: those that are taken over at once, and those that need a restart.
    pub fn changed_since(&self, before: &Self) -> (Vec<&'static str>, Vec<&'static str>) {
        let old: BTreeMap<&str, &Vec<String>> =
            before.settings.iter().map(|setting| (setting.key, &setting.values)).collect();
        let changed = self.settings.iter().filter(|setting| old.get(setting.key) != Some(&&setting.values));
        changed.map(|setting| setting.key).partition(|key| LIVE.contains(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<ConfigFile, String> {
        let path = Path::new("/w.toml");
        let entries = keys().parse(path, text).map_err(|error| error.to_string())?;
        ConfigFile::of(path, entries).map_err(|error| error.to_string())
    }

    fn loaded(args: &[&str], text: &str) -> Loaded {
        let command = Layer::augment_args(clap::Command::new("w").no_binary_name(true))
            .mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let matches = command.try_get_matches_from(args).unwrap();
        Loaded::new(&Layer::from_arg_matches(&matches).unwrap(), &matches, &file(text).unwrap())
    }

    #[test]
    fn every_setting_of_the_command_line_has_its_shape_and_variable() {
        let command = Layer::augment_args(clap::Command::new("settings"));
        let names: Vec<&str> = command.get_arguments().map(|arg| arg.get_id().as_str()).collect();
        let mut shapes: Vec<&str> = SHAPES.iter().map(|shape| shape.0).collect();
        for name in &names {
            assert!(shapes.contains(name), "{name} has no shape");
        }
        assert_eq!(names.len(), shapes.len());
        shapes.retain(|name| LIVE.contains(name));
        assert_eq!(shapes.len(), LIVE.len());
        for key in keys().keys {
            assert_eq!(key.env, format!("SUNWORK_WORKER_{}", key.name.to_uppercase()));
            assert!(key.about.len() > 10, "{}", key.name);
        }
    }

    #[test]
    fn the_template_is_a_file_without_settings_and_every_example_can_be_used() {
        let template = keys().template();
        assert_eq!(file(&template).unwrap().layer, Layer::default());
        let examples: String = keys().keys.iter().map(|key| format!("{} = {}\n", key.name, key.example)).collect();
        let all = file(&examples).unwrap();
        assert_eq!(all.entries.len(), SHAPES.len());
        assert_eq!(all.layer.cores.as_deref(), Some("1.5"));
        assert_eq!(all.layer.schedule.map(|ranges| ranges.len()), Some(2));
        assert_eq!(all.layer.run_when_idle, Some(true));
    }

    #[test]
    fn flags_win_over_the_file_and_each_value_says_where_it_is_from() {
        let text = "\nmax_leaves = 5 # few\nrpc = [\"http://a\", \"http://b\"]\n";
        let loaded = loaded(&["--max-leaves=7", "--run-when-idle=true"], text);
        assert_eq!((loaded.layer.max_leaves, loaded.layer.rpc.as_ref().map(Vec::len)), (Some(7), Some(2)));
        let origin = |key: &str| loaded.settings.iter().find(|s| s.key == key).unwrap().origin.to_string();
        let origins = ["max_leaves", "rpc", "poll_ms"].map(origin);
        assert_eq!(origins, ["flag --max-leaves", "/w.toml:3", "default"]);
    }

    #[test]
    fn every_mistake_is_named_with_line_and_key() {
        let unknown = file("poll_ms = 500\nmax_memmory_mib = 5").unwrap_err();
        assert!(unknown.contains("line 2") && unknown.contains("did you mean \"max_memory_mib\""), "{unknown}");
        let kind = file("run_when_idle = 5").unwrap_err();
        assert!(kind.contains("line 1: run_when_idle is a number, expected true or false"), "{kind}");
        let url = file("\n\nrpc = [\"nowhere\"]").unwrap_err();
        assert!(url.starts_with("rpc (/w.toml:3) is \"nowhere\": relative URL without a base"), "{url}");
        let number = file("max_leaves = -1").unwrap_err();
        assert!(number.starts_with("max_leaves (/w.toml:1) is \"-1\""), "{number}");
        let loaded = loaded(&[], "\npoll_ms = 7");
        let range = loaded.explain(loaded.layer.poll_ms().unwrap_err()).to_string();
        assert_eq!(range, "poll_ms (/w.toml:2) is \"7\": expected 20 to 60000");
    }

    #[test]
    fn a_reload_knows_what_it_can_change() {
        let before = loaded(&[], "max_leaves = 5\npoll_ms = 500");
        let after = loaded(&[], "max_leaves = 6\npoll_ms = 600\nmin_reward = 1");
        assert_eq!(after.changed_since(&before), (vec!["max_leaves", "min_reward"], vec!["poll_ms"]));
        assert_eq!(before.changed_since(&before), (vec![], vec![]));
    }
}
