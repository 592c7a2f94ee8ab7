//! `pause`, `resume`, `drain`, `reload`: what the owner tells a running worker.
use std::{path::Path, time::Duration};

use super::Report;
use crate::{
    config::Layer,
    control::{
        For, Reloaded, Spoken,
        client::{self, ControlError},
    },
    duration,
    governor::now_secs,
    policy::Mode,
};

/// How often it is looked whether the worker has stopped.
const LOOK: Duration = Duration::from_millis(500);

/// Takes nothing new and starts no leaf.
///
/// # Errors
/// When no worker runs here.
pub async fn pause(settings: &Layer, secs: Option<u64>) -> eyre::Result<Report> {
    let spoken: Spoken = client::post(&settings.control_socket(), "/v1/pause", &For { secs }).await?;
    let mut report = answer("pause", &spoken);
    let ends = match spoken.mode {
        Mode::Paused { until } => until.unwrap_or(u64::MAX),
        _ => 0,
    };
    for row in spoken.agreements.iter().filter(|row| row.deadline <= ends) {
        let left = duration::show(row.deadline.saturating_sub(now_secs()));
        let text = format!("its deadline is in {left}: stake is lost unless you resume before it can no longer be met");
        report.line(format!("  AT RISK {}", row.agreement), text);
    }
    Ok(report)
}

/// Ends a pause or a drain.
///
/// # Errors
/// When no worker runs here.
pub async fn resume(settings: &Layer) -> eyre::Result<Report> {
    let spoken: Spoken = client::post(&settings.control_socket(), "/v1/resume", &For::default()).await?;
    Ok(answer("resume", &spoken))
}

/// Takes nothing new, finishes what there is, stops.
///
/// # Errors
/// When no worker runs here.
pub async fn drain(settings: &Layer, secs: Option<u64>, wait: bool) -> eyre::Result<Report> {
    let socket = settings.control_socket();
    let spoken: Spoken = client::post(&socket, "/v1/drain", &For { secs }).await?;
    let mut report = answer("drain", &spoken);
    if wait {
        until_gone(&socket).await?;
        report.add("stopped", "Stopped", "yes", true);
    }
    Ok(report)
}

/// Returns once the worker has taken its socket away.
async fn until_gone(socket: &Path) -> Result<(), ControlError> {
    loop {
        match client::get::<serde_json::Value>(socket, "/v1/why?secs=1").await {
            Err(ControlError::NotRunning { .. }) => return Ok(()),
            Err(error @ ControlError::NotAllowed { .. }) => return Err(error),
            // A talk that broke off may have done so because it stops, or because it is busy: asked again it tells.
            Ok(_) | Err(ControlError::Refused(_) | ControlError::Broken { .. }) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Reads the settings again.
///
/// # Errors
/// When no worker runs here, or the settings cannot be used; then they stay as they were.
pub async fn reload(settings: &Layer) -> eyre::Result<Report> {
    let reloaded: Reloaded = client::post(&settings.control_socket(), "/v1/reload", &For::default()).await?;
    let mut report = Report::new("reload");
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    report.add("changed", "Changed", list(&reloaded.changed), reloaded.changed.clone());
    report.add("needsRestart", "Needs a restart", list(&reloaded.needs_restart), reloaded.needs_restart.clone());
    Ok(report)
}

fn answer(command: &'static str, spoken: &Spoken) -> Report {
    let mut report = Report::new(command);
    let mode = serde_json::to_value(spoken.mode).unwrap_or_default();
    report.add("mode", "Mode", show_mode(spoken.mode), mode);
    let agreements = serde_json::to_value(&spoken.agreements).unwrap_or_default();
    report.add("agreements", "Under way", spoken.agreements.len(), agreements);
    report
}

/// The owner's word for people.
pub(super) fn show_mode(mode: Mode) -> String {
    let left = |until: Option<u64>| until.map(|until| duration::show(until.saturating_sub(now_secs())));
    match mode {
        Mode::Auto => "works as the settings say".to_owned(),
        Mode::Paused { until } => match left(until) {
            Some(left) => format!("paused for {left}: nothing new is taken, no leaf is started"),
            None => "paused until `sunwork-worker resume`: nothing new is taken, no leaf is started".to_owned(),
        },
        Mode::Draining { until } => match left(until) {
            Some(left) => format!("finishes what is under way, then stops; in {left} at the latest"),
            None => "finishes what is under way, then stops".to_owned(),
        },
    }
}
