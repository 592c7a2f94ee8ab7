//! `cargo xtask bench energy`: forecast, plan and plausibility of `sunwork-energy` on recorded sun.
//!
//! The measured series (pvanalytics, PyPI) is downloaded at run time into `target/`, with pinned versions and hashes, and never
//! committed. A trace of one's own (`--trace`) needs no download. The measuring itself is the crate `bench/energy`, built with
//! optimisation, so that this program need not be.
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use eyre::{WrapErr, bail};
use serde_json::Value;

use crate::{
    command::{capture, cargo, program},
    paths,
};

const INSTALL_LIMIT: Duration = Duration::from_secs(1200);
/// A release build on a small machine, and then some minutes of measuring.
const LIMIT: Duration = Duration::from_secs(3600);

/// What is measured on.
#[derive(Debug, Args)]
pub struct Options {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Any other series: RFC 3339 time and watts, a line per sample
    #[arg(long, value_name = "FILE.csv", requires = "panel_wp", requires = "battery_wh")]
    trace: Option<PathBuf>,
    /// Panel of the simulated worker, watts
    #[arg(long, value_name = "W", requires = "trace")]
    panel_wp: Option<f64>,
    /// Battery of the simulated worker, watt hours
    #[arg(long, value_name = "WH", requires = "trace")]
    battery_wh: Option<f64>,
    /// Nameplate of the panel that the trace was recorded on [default: the panel's if the trace's peak fits it, or the peak]
    #[arg(long, value_name = "W", requires = "trace")]
    trace_wp: Option<f64>,
    /// What the sun does where the trace has a gap: the same as the day before, or nothing [default: yesterday]
    #[arg(long, requires = "trace", value_parser = ["yesterday", "dark"])]
    gaps: Option<String>,
    /// Where the trace was recorded, degrees north
    #[arg(long, requires = "longitude", allow_hyphen_values = true)]
    latitude: Option<f64>,
    /// Degrees east
    #[arg(long, requires = "latitude", allow_hyphen_values = true)]
    longitude: Option<f64>,
}

/// Measures, and prints a table or one JSON object.
///
/// # Errors
/// When the data cannot be had, or the bench fails.
pub async fn run(options: &Options) -> eyre::Result<()> {
    let mut arguments: Vec<String> = Vec::new();
    if let Some(trace) = &options.trace {
        arguments.extend(["--trace".into(), std::path::absolute(trace)?.display().to_string()]);
        let numbers = [
            ("--panel-wp", options.panel_wp),
            ("--battery-wh", options.battery_wh),
            ("--trace-wp", options.trace_wp),
            ("--latitude", options.latitude),
            ("--longitude", options.longitude),
        ];
        for (name, value) in numbers {
            arguments.extend(value.into_iter().flat_map(|value| [name.to_owned(), value.to_string()]));
        }
        arguments.extend(options.gaps.iter().flat_map(|gaps| ["--gaps".to_owned(), gaps.clone()]));
    } else {
        arguments.extend(["--data".into(), data().await?.display().to_string()]);
    }
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "-p", "sunwork-bench-energy", "--"]).args(&arguments);
    let text = capture(command, LIMIT).await.wrap_err("running the energy bench")?;
    if options.json {
        print!("{text}");
        return Ok(());
    }
    print!("{}", table(&serde_json::from_str(&text).wrap_err("reading the bench's figures")?));
    Ok(())
}

/// The series as CSV, downloaded and turned once.
async fn data() -> eyre::Result<PathBuf> {
    let work = paths::root().join("target/bench-energy");
    let (home, out, venv) = (paths::root().join("bench/energy"), work.join("data"), work.join("venv"));
    let requirements = home.join("requirements.txt");
    let script = home.join("export.py");
    let read = |path: &Path| fs::read(path).wrap_err_with(|| format!("reading {}", path.display()));
    // What the data were made of, and by what.
    let wanted = [read(&requirements)?, read(&script)?].concat();
    let stamp = out.join("made-of");
    if fs::read(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(out);
    }
    eprintln!("fetching the measured series from PyPI into {} …", work.display());
    let mut make = program("python3");
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    capture(make, INSTALL_LIMIT)
        .await
        .wrap_err("the data need Python 3.11 or newer with venv (apt-get install python3-venv)")?;
    let mut pip = program(python(&venv));
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]);
    pip.args(["--no-deps", "--only-binary", ":all:", "--requirement"]).arg(&requirements);
    capture(pip, INSTALL_LIMIT).await.wrap_err("installing the data from PyPI")?;
    let mut export = program(python(&venv));
    export.arg(&script).arg(&out);
    capture(export, INSTALL_LIMIT).await.wrap_err("turning the data into CSV")?;
    if !out.join("system_50.csv").is_file() {
        bail!("export.py ended well, but wrote no {}", out.join("system_50.csv").display());
    }
    // Last of all, so it tells of complete data.
    fs::write(&stamp, wanted).wrap_err_with(|| format!("writing {}", stamp.display()))?;
    Ok(out)
}

fn python(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

/// Figures by name, one in a line; lists and inner objects with their path.
fn table(figures: &Value) -> String {
    fn walk(path: &str, value: &Value, out: &mut String) {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Object(all) => all.iter().for_each(|(name, value)| walk(&below(name), value, out)),
            Value::Array(all) => all.iter().enumerate().for_each(|(i, value)| walk(&below(&i.to_string()), value, out)),
            other => *out += &format!("{path:<60} {other}\n"),
        }
    }
    let mut out = String::new();
    walk("", figures, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_line_with_its_path() {
        let text = table(&serde_json::json!({"plan": {"ours": {"compute_pct": 98.5}}, "sizes": [{"hours": 3}]}));
        assert!(
            text.lines().any(|line| line.starts_with("plan.ours.compute_pct ") && line.ends_with(" 98.5")),
            "{text}"
        );
        assert!(text.lines().any(|line| line.starts_with("sizes.0.hours ") && line.ends_with(" 3")), "{text}");
    }
}
