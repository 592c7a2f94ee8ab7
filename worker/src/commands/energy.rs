//! `energy`: what the running worker says of battery, sun and plan; and a picture of its history.
use std::{io::Write, path::PathBuf};

use clap::Subcommand;
use eyre::{WrapErr, bail};
use jiff::{Timestamp, Zoned, tz::TimeZone};
use sunwork_energy::{
    sensors::Measured,
    units::{MilliWattHours, MilliWatts, UnixSeconds},
    work::Source,
};

use super::{
    Output,
    meter::{self, MeterCommand},
};
use crate::{
    config::Layer,
    control::{EnergyAnswer, client},
    energy::{plot, store::Store},
};

/// What else can be done with the energy.
#[derive(Debug, Subcommand)]
pub enum EnergyCommand {
    /// Draw harvest, forecast, use and charge of a period as a picture.
    Plot {
        /// Its beginning: a day such as 2026-06-01 or a time such as 2026-06-01T12:00:00Z; by default a week before its end.
        #[arg(long)]
        from: Option<String>,
        /// Its end; by default the newest quarter hour.
        #[arg(long)]
        to: Option<String>,
        /// The picture; `.svg` or `.png`.
        #[arg(long)]
        out: PathBuf,
    },
    /// The metering device whose records prove on chain what was made and used.
    Meter {
        /// What to do; without it the meter is shown.
        #[command(subcommand)]
        what: Option<MeterCommand>,
    },
}

/// Shows or draws.
///
/// # Errors
/// When no worker answers, or the picture cannot be written.
pub async fn energy(settings: &Layer, what: Option<EnergyCommand>, output: Output) -> eyre::Result<()> {
    match what {
        None => show(settings, output).await,
        Some(EnergyCommand::Meter { what }) => meter::meter(settings, what).await?.print(output),
        Some(EnergyCommand::Plot { from, to, out }) => draw(settings, from.as_deref(), to.as_deref(), &out),
    }
}

async fn show(settings: &Layer, output: Output) -> eyre::Result<()> {
    let answer: EnergyAnswer = client::get(&settings.control_socket(), "/v1/energy").await?;
    let mut out = std::io::stdout().lock();
    match output {
        Output::Json => writeln!(out, "{}", serde_json::to_string(&answer)?)?,
        Output::Table => out.write_all(text(&answer, &TimeZone::system()).as_bytes())?,
    }
    Ok(())
}

/// For people; times are local.
fn text(answer: &EnergyAnswer, zone: &TimeZone) -> String {
    let EnergyAnswer { state, agreements, attestation } = answer;
    let mut lines: Vec<(String, String)> = Vec::new();
    let mut add = |label: &str, text: String| lines.push((label.to_owned(), text));
    if state.simulated {
        add("Simulated", "yes: panel, battery and board are a file's".into());
    }
    add("Now", format!("{}: {}", state.mode.words(), state.reason));
    let battery = &state.battery;
    let flow = battery.power.map_or_else(String::new, |power| match power.0 {
        0.. => format!(", charging with {}", watts(power)),
        _ => format!(", discharging with {}", watts(MilliWatts(-power.0))),
    });
    add(
        "Battery",
        format!(
            "{} ± {} of {}{flow}; {} can be counted on",
            percent(battery.estimate.permille),
            percent(battery.estimate.bound_permille),
            wh(battery.capacity),
            wh(battery.estimate.usable)
        ),
    );
    add("  charge", battery.estimate.state.reason().to_owned());
    let power = state.harvest.power.map_or_else(|| "not measured".to_owned(), watts);
    add(
        "Harvest",
        format!("{power} now, {} today, {} yesterday", wh(state.harvest.today), wh(state.harvest.yesterday)),
    );
    let used = &state.consumption;
    let source = match used.source {
        Source::Measured => "measured",
        Source::Modelled { .. } => "modelled",
    };
    add(
        "Use",
        format!("{} now ({source}), {} today, {} yesterday", watts(used.power), wh(used.today), wh(used.yesterday)),
    );
    let ahead = &state.forecast;
    add(
        "Forecast",
        format!(
            "{} more today (at least {} nine times of ten), {} the next day (at least {})",
            wh(ahead.rest_of_day),
            wh(ahead.rest_of_day_low),
            wh(ahead.next_day),
            wh(ahead.next_day_low)
        ),
    );
    add("  state", ahead.reason.clone());
    add(
        "Promises",
        format!(
            "{} for accepted work; reserve {}; {} could be promised until tomorrow",
            wh(state.promised),
            wh(state.reserve),
            wh(state.spare)
        ),
    );
    add("Plan", if state.plan.is_empty() { "none".into() } else { "until the next sunrise".into() });
    for hour in &state.plan {
        let what = match hour.mode.name() {
            "run" | "lower" => format!("{:5}  {} for work", hour.mode.name(), watts(hour.compute)),
            name => name.to_owned(),
        };
        add(&format!("  {}", clock(hour.at, zone)), format!("{what:24} then {}", wh(hour.charge)));
    }
    if state.troubles.is_empty() {
        add("Troubles", "none".into());
    }
    for trouble in &state.troubles {
        add(&trouble.name, format!("{}; {}", trouble.reason, trouble.behaviour));
    }
    for sensor in &state.sensors {
        let what = if sensor.state == "ok" { "ok" } else { &sensor.reason };
        add("Sensor", format!("{}: {what}{}", sensor.sensor, besides(&sensor.measured)));
    }
    for (agreement, spent) in agreements {
        let source = if spent.measured { "measured" } else { "modelled" };
        let direct = spent.direct_milliwatt_hours * 100 / spent.milliwatt_hours.max(1);
        let used = wh(MilliWattHours(spent.milliwatt_hours));
        add("Agreement", format!("{agreement}: {used} ({source}), {direct} % straight from the sun"));
    }
    if let Some(attestation) = attestation {
        lines.extend(meter::lines(attestation));
    }
    let width = lines.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    lines.iter().map(|(label, text)| format!("{label:width$}  {text}\n")).collect()
}

/// What a sensor says that stands nowhere else: its own counter, and the air.
fn besides(measured: &[Measured]) -> String {
    let tenths = |thousandths: i64| {
        let tenths = (thousandths + thousandths.signum() * 50) / 100;
        format!("{}{}.{}", if tenths < 0 { "-" } else { "" }, tenths.abs() / 10, tenths.abs() % 10)
    };
    let word = |measured: &Measured| match *measured {
        Measured::Energy { epoch, total, .. } => Some(format!("; {} counted by itself, epoch {epoch}", wh(total))),
        Measured::Temperature(celsius) => Some(format!("; {} °C", tenths(celsius.0))),
        Measured::Pressure(pascal) => Some(format!("; {} hPa", tenths(pascal.0 / 100))),
        Measured::Humidity(percent) => Some(format!("; {} % humidity", tenths(percent.0))),
        _ => None,
    };
    measured.iter().filter_map(word).collect()
}

fn wh(energy: MilliWattHours) -> String {
    let sign = if energy.0 < 0 { "-" } else { "" };
    let tenths = (energy.0.abs() + 50) / 100;
    format!("{sign}{}.{} Wh", tenths / 10, tenths % 10)
}

fn watts(power: MilliWatts) -> String {
    let hundredths = (power.0.abs() + 5) / 10;
    format!("{}{}.{:02} W", if power.0 < 0 { "-" } else { "" }, hundredths / 100, hundredths % 100)
}

fn percent(permille: i64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

fn clock(at: UnixSeconds, zone: &TimeZone) -> String {
    let time = Timestamp::from_second(at.0).unwrap_or_default().to_zoned(zone.clone());
    time.strftime("%a %H:%M").to_string()
}

fn draw(settings: &Layer, from: Option<&str>, to: Option<&str>, out: &std::path::Path) -> eyre::Result<()> {
    let mut store = Store::of(&settings.data_dir(), settings.energy.simulate.is_some());
    if settings.energy.simulate.is_none() && store.rows(None, None).is_empty() {
        // A worker that was only ever simulated has no other history.
        store = Store::of(&settings.data_dir(), true);
    }
    let zone = TimeZone::system();
    let to = match to {
        Some(text) => time(text, &zone)?,
        None => match store.rows(None, None).last() {
            Some(row) => UnixSeconds(row.start.0 + 900),
            None => bail!(
                "there is no energy history in {} (a line comes each quarter hour of the site's time)",
                settings.data_dir().display()
            ),
        },
    };
    let from = match from {
        Some(text) => time(text, &zone)?,
        None => {
            let week = UnixSeconds(to.0 - 7 * 86_400);
            store.rows(Some(week), Some(to)).first().map_or(week, |row| row.start)
        }
    };
    if from >= to {
        bail!("the period ends before it begins; expected --from before --to");
    }
    let rows = store.rows(Some(from), Some(to));
    if rows.is_empty() {
        bail!("no quarter hour was written down between these times in {}", settings.data_dir().display());
    }
    let picture = plot::Picture::of(&rows, from, to, &zone);
    let bytes = match out.extension().and_then(|end| end.to_str()) {
        Some("svg") => picture.svg().into_bytes(),
        Some("png") => picture.png()?,
        _ => bail!("{} ends neither in .svg nor in .png", out.display()),
    };
    std::fs::write(out, bytes).wrap_err_with(|| format!("writing {}", out.display()))?;
    println!("{}: {} quarter hours", out.display(), rows.len());
    Ok(())
}

/// A day (its local midnight) or a time.
fn time(text: &str, zone: &TimeZone) -> eyre::Result<UnixSeconds> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(UnixSeconds(moment.as_second()));
    }
    let day: jiff::civil::Date = text
        .parse()
        .wrap_err_with(|| format!("{text:?} is no day such as 2026-06-01 and no time such as 2026-06-01T12:00:00Z"))?;
    let midnight: Zoned = day.to_zoned(zone.clone())?;
    Ok(UnixSeconds(midnight.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sensor_says_besides_is_told_with_its_unit() {
        use sunwork_energy::{
            sensors::Flow,
            units::{MilliCelsius, MilliPascal, MilliPercent},
        };
        let said = [
            Measured::Energy { flow: Flow::Production, epoch: 2, total: MilliWattHours(1_500_040) },
            Measured::Temperature(MilliCelsius(-260)),
            Measured::Pressure(MilliPascal(101_222_246)),
            Measured::Humidity(MilliPercent(32_899)),
        ];
        let expected = "; 1500.0 Wh counted by itself, epoch 2; -0.3 °C; 1012.2 hPa; 32.9 % humidity";
        assert_eq!((besides(&said).as_str(), besides(&[]).as_str()), (expected, ""));
    }

    #[test]
    fn figures_are_rounded_for_people_and_keep_their_sign() {
        assert_eq!((wh(MilliWattHours(12_349)), wh(MilliWattHours(-50))), ("12.3 Wh".into(), "-0.1 Wh".into()));
        assert_eq!((watts(MilliWatts(3_586)), percent(639)), ("3.59 W".into(), "63.9 %".into()));
    }

    #[test]
    fn days_and_times_are_read_and_everything_else_is_named() {
        let utc = TimeZone::UTC;
        assert_eq!(time("2026-06-01", &utc).unwrap(), UnixSeconds(1_780_272_000));
        assert_eq!(time("2026-06-01T00:15:00Z", &utc).unwrap(), UnixSeconds(1_780_272_900));
        assert!(format!("{:#}", time("yesterday", &utc).unwrap_err()).contains("2026-06-01"));
    }
}
