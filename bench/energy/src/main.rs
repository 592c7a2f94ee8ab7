//! Measures `sunwork-energy` on recorded sun. `cargo xtask bench energy` fetches the data and calls this.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures of a report"
)]
use std::{fs, path::PathBuf};

use clap::Parser;
use eyre::{WrapErr, bail};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use sunwork_energy::{sun::Place, trace::csv, units::MilliWatts};

mod baselines;
mod forecast;
mod generated;
mod optimum;
mod place;
mod plan;
mod plausibility;
mod score;
mod series;
mod spread;
mod tasks;

/// The published yardstick: panel, battery.
const SIZES: [(f64, f64); 2] = [(100.0, 384.0), (60.0, 230.0)];
/// Nameplate of system_50, watts.
const SYSTEM_50_WATTS: f64 = 3300.0;
/// What serf_east's nameplate is taken for, watts: the data do not say it, and their peak is 5,426 W.
const SERF_EAST_WATTS: f64 = 6000.0;
/// Share of its nameplate that the panel is taken to give (wires, dirt, charger).
const DERATE: f64 = 0.9;
/// A trace is a few megabytes.
const MAX_BYTES: u64 = 100 << 20;

/// Forecast, plan and plausibility on recorded sun; one JSON object.
#[derive(Parser)]
struct Cli {
    /// Folder with system_50.csv and system_50_satellite.csv (see export.py)
    #[arg(long, required_unless_present = "trace")]
    data: Option<PathBuf>,
    /// Any other series: RFC 3339 time and watts, a line per sample
    #[arg(long, requires = "panel_wp", requires = "battery_wh")]
    trace: Option<PathBuf>,
    /// Panel, watts
    #[arg(long, value_parser = positive)]
    panel_wp: Option<f64>,
    /// Battery, watt hours
    #[arg(long, value_parser = positive)]
    battery_wh: Option<f64>,
    /// Nameplate of the panel that the trace was recorded on [default: that of the panel if the trace's peak fits, or its peak]
    #[arg(long, value_parser = positive)]
    trace_wp: Option<f64>,
    /// Where it was recorded, degrees north [default: as the length of the days has it]
    #[arg(long, requires = "longitude", allow_hyphen_values = true)]
    latitude: Option<f64>,
    /// Degrees east
    #[arg(long, requires = "latitude", allow_hyphen_values = true)]
    longitude: Option<f64>,
    /// What the sun does where the series has a gap
    #[arg(long, value_enum, default_value = "yesterday")]
    gaps: plan::Gaps,
    /// Leave out what does not concern the plan
    #[arg(long)]
    only_plan: bool,
    /// Only the plausibility of system_50
    #[arg(long, conflicts_with = "trace")]
    only_plausibility: bool,
}

fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("{text} is not a number"))?;
    if (0.1..=1e7).contains(&value) { Ok(value) } else { Err(format!("{value}; expected 0.1 to 10000000")) }
}

fn main() -> eyre::Result<()> {
    let cli = Cli::parse();
    let report = match (&cli.trace, &cli.data) {
        (Some(_), _) => trace(&cli)?,
        (None, Some(data)) if cli.only_plausibility => honest_and_not(data)?,
        (None, Some(data)) => system_50(data, cli.only_plan)?,
        (None, None) => bail!("neither --trace nor --data"),
    };
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn trace(cli: &Cli) -> eyre::Result<Value> {
    let (Some(file), Some(panel_wp), Some(battery_wh)) = (&cli.trace, cli.panel_wp, cli.battery_wh) else {
        bail!("--trace needs --panel-wp and --battery-wh");
    };
    let place = cli.latitude.zip(cli.longitude).map(|(north, east)| Place::new(north, east, 0.0)).transpose()?;
    let mut found = read(file)?;
    let note = spread::spread(&mut found, place.as_ref())?;
    let series = match &note {
        None => series::Series::new(found.samples, place, None),
        Some(_) => series::Series::of_long_steps(found.samples, found.step_seconds, place),
    };
    let setting = plan::Setting { panel_wp, battery_wh, trace_wp: cli.trace_wp, gaps: cli.gaps };
    let mut report = if cli.only_plan { json!({}) } else { serde_json::to_value(forecast::run(&series))? };
    merge(&mut report, json!({ "site": series.site, "repeated_lines_dropped": found.repeated_lines, "note": note }));
    merge(&mut report, serde_json::to_value(plan::run(&series, &setting)?)?);
    Ok(report)
}

fn system_50(data: &std::path::Path, only_plan: bool) -> eyre::Result<Value> {
    let samples = read(&data.join("system_50.csv"))?.samples;
    let place = Place::new(39.742, -105.178, 1829.0)?;
    let series = series::Series::new(samples, Some(place), Some(TimeZone::get("America/Denver")?));
    let mut report = if only_plan { json!({}) } else { serde_json::to_value(forecast::run(&series))? };
    let sizes = |gaps| {
        let run = |(panel_wp, battery_wh)| {
            let setting = plan::Setting { panel_wp, battery_wh, trace_wp: Some(SYSTEM_50_WATTS / DERATE), gaps };
            Ok(serde_json::to_value(plan::run(&series, &setting)?)?)
        };
        SIZES.into_iter().map(run).collect::<eyre::Result<Vec<Value>>>()
    };
    let published = sizes(plan::Gaps::Yesterday)?;
    // The first size stands at the top, both of them below `sizes`, and harsher, with every gap as an outage, below `gaps_dark`.
    merge(&mut report, published[0].clone());
    merge(
        &mut report,
        json!({ "sizes": published, "gaps_dark": sizes(plan::Gaps::Dark)?, "generated": generated::run()? }),
    );
    if !only_plan {
        merge(&mut report, honest_and_not(data)?);
    }
    Ok(report)
}

fn honest_and_not(data: &std::path::Path) -> eyre::Result<Value> {
    let samples = read(&data.join("system_50.csv"))?.samples;
    let satellite = read(&data.join("system_50_satellite.csv"))?.samples;
    let place = Place::new(39.742, -105.178, 1829.0)?;
    let peak = |watts: f64| MilliWatts((watts * 1000.0) as i64);
    // No setting was chosen on this one; it has no satellite.
    let unseen = read(&data.join("serf_east.csv"))?.samples;
    Ok(json!({
        "plausibility": plausibility::run(&samples, &satellite, &place, peak(SYSTEM_50_WATTS)),
        "plausibility_unseen": plausibility::run(&unseen, &[], &place, peak(SERF_EAST_WATTS)),
    }))
}

fn read(file: &std::path::Path) -> eyre::Result<csv::Series> {
    let doing = || format!("reading {}", file.display());
    let bytes = fs::metadata(file).wrap_err_with(doing)?.len();
    if bytes > MAX_BYTES {
        bail!("{} has {bytes} bytes, at most {MAX_BYTES} are read", file.display());
    }
    // A heading may be in another encoding; a time or a power that is not read is named with its line.
    csv::read(&String::from_utf8_lossy(&fs::read(file).wrap_err_with(doing)?)).wrap_err_with(doing)
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}
