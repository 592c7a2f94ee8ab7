//! `config`: what is used, where it is from, and whether it can be used.
use std::io::Write;

use eyre::WrapErr;
use serde_json::json;
use sunwork_edge::Deployment;

use super::{Output, Report};
use crate::{
    amount::Unit,
    config::{Loaded, Setting, keys},
    policy::hardware::Hardware,
};

/// Stands for any token where no chain is asked: no real one has more decimals.
const ANY_TOKEN_DECIMALS: u8 = 18;

/// Prints every setting.
///
/// # Errors
/// When standard output cannot be written.
pub fn config_show(loaded: &Loaded, origin: bool, output: Output) -> eyre::Result<()> {
    let mut out = std::io::stdout().lock();
    if output == Output::Json {
        let document = json!({ "schema": "sunwork.worker.config.v1", "settings": loaded.settings });
        writeln!(out, "{document}")?;
        return Ok(());
    }
    let hardware = Hardware::detect(&loaded.layer.data_dir());
    let rows: Vec<[String; 3]> = loaded
        .settings
        .iter()
        .map(|setting| [setting.key.to_owned(), shown(setting, &hardware), setting.origin.to_string()])
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (keys, values) = (width(0), width(1));
    for [key, value, from] in &rows {
        let line =
            if origin { format!("{key:keys$}  {value:values$}  {from}") } else { format!("{key:keys$}  {value}") };
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn shown(setting: &Setting, hardware: &Hardware) -> String {
    if !setting.values.is_empty() {
        return setting.values.join(", ");
    }
    let caps = hardware.caps();
    match setting.key {
        "cores" => format!("{} (all threads but one)", caps.milli_cpu / 1000),
        "memory_mib" => format!("{} (70 % of the memory)", caps.memory_mib),
        "disk_mib" => format!("{} (80 % of what is free)", caps.disk_mib),
        "classes" => "(of this machine's runtimes)".to_owned(),
        "schedule" => "(always)".to_owned(),
        "runtimes" => "(those of the classes)".to_owned(),
        "tokens_per_ether" => "(not set: gas is not compared with the pay)".to_owned(),
        "control_socket" => "(control.sock in the data folder)".to_owned(),
        key if key.contains("keystore") || key.contains("password") => "(in the data folder)".to_owned(),
        key if key.starts_with("max_") || key == "parallel_leaves" => "(follows the caps)".to_owned(),
        _ => "(not set)".to_owned(),
    }
}

/// Looks at everything that can be looked at without a chain.
///
/// # Errors
/// The first mistake, with where it is.
pub fn config_check(loaded: &Loaded) -> eyre::Result<Report> {
    let layer = &loaded.layer;
    let any_token = Unit { symbol: String::new(), decimals: ANY_TOKEN_DECIMALS };
    let hardware = Hardware::detect(&layer.data_dir());
    layer.settle(&any_token, &hardware).map_err(|error| loaded.explain(error))?;
    layer.idle_poll_ms().map_err(|error| loaded.explain(error))?;
    layer.rpc()?;
    layer.oracle()?;
    let deployment = Deployment::load(layer.deployment()?)?;
    for class in layer.classes.iter().flatten() {
        if deployment.class_id(class).is_none() {
            eyre::bail!(
                "classes names {class:?}, which this deployment does not have; there are: {}",
                deployment.classes.join(", ")
            );
        }
    }
    let mut report = Report::new("config-check");
    report.add("ok", "Settings", "can be used", true);
    report.add("chainId", "Chain", deployment.chain_id, deployment.chain_id);
    Ok(report)
}

/// Prints a file with every setting as a comment.
///
/// # Errors
/// When standard output cannot be written.
pub fn config_template() -> eyre::Result<()> {
    std::io::stdout().lock().write_all(keys().template().as_bytes()).wrap_err("printing the settings file")
}
