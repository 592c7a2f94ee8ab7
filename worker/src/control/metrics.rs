//! Metrics in Prometheus' text format. Written by hand: a dozen gauges that are read from what is there anyway need no registry.
use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use axum::{Router, extract::State, routing::get};
use sunwork_energy::keeper::{State as EnergyState, Trouble};
use tokio::net::TcpListener;

use super::Control;
use crate::{
    board::Part,
    energy::attest::{Attestation, Hold},
    governor::now_secs,
    policy::{Mode, gas_money::least_gas},
    refusal::Reason,
    why::WINDOW_SECS,
};

/// Serves `/metrics` on a loopback address until the worker ends.
pub async fn serve(listener: TcpListener, control: Arc<Control>) {
    let stop = control.shutdown.clone();
    let app = Router::new().route("/metrics", get(|State(control): State<Arc<Control>>| async move { text(&control) }));
    let served = axum::serve(listener, app.with_state(control)).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the metrics ended");
    }
}

/// All metrics now.
pub fn text(control: &Control) -> String {
    let ctx = &control.ctx;
    let governor = &ctx.governor;
    let head = *ctx.heads.borrow();
    let (leaves, milli_cpu) = governor.running();
    let summary = governor.why.summary(now_secs(), WINDOW_SECS);
    let mut page = Page::default();
    page.gauge("sunwork_worker_start_time_seconds", "When the process started.", &[("", control.started_at)]);
    page.gauge("sunwork_worker_block", "Newest block.", &[("", head.number)]);
    page.gauge("sunwork_worker_block_time_seconds", "Unix time of the newest block.", &[("", head.timestamp)]);
    page.gauge("sunwork_worker_leaves_running", "Leaves that run.", &[("", leaves)]);
    page.gauge("sunwork_worker_millicores_running", "Thousandths of a core that they may use.", &[("", milli_cpu)]);
    let transactions = ctx.journal.state().txs.len() as u64;
    page.gauge("sunwork_worker_transactions_pending", "Transactions without an outcome.", &[("", transactions)]);
    if let Some(wei) = governor.gas_price_wei() {
        page.gauge("sunwork_worker_gas_price_wei", "Price of a unit of gas.", &[("", wei)]);
    }
    let mode = governor.mode();
    let is = |yes: bool| u64::from(yes);
    page.gauge(
        "sunwork_worker_mode",
        "The owner's word: 1 for what holds.",
        &[
            ("{mode=\"auto\"}", is(mode == Mode::Auto)),
            ("{mode=\"paused\"}", is(matches!(mode, Mode::Paused { .. }))),
            ("{mode=\"draining\"}", is(matches!(mode, Mode::Draining { .. }))),
        ],
    );
    let held =
        [governor.hold(), governor.gas_money(least_gas())].map(|held| held.err().map(|refusal| refusal.reason()));
    page.reasons("sunwork_worker_held", "1 for the reason for which nothing new is taken now.", |reason| {
        is(held.contains(&Some(reason)))
    });
    let mut roles: BTreeMap<Part, u64> = BTreeMap::new();
    for row in governor.board.all() {
        *roles.entry(row.role).or_default() += 1;
    }
    let roles: Vec<(String, u64)> = [Part::Worker, Part::Verifier, Part::Candidate]
        .map(|part| (format!("{{role=\"{}\"}}", part.name()), roles.get(&part).copied().unwrap_or(0)))
        .into();
    let roles: Vec<(&str, u64)> = roles.iter().map(|(label, value)| (label.as_str(), *value)).collect();
    page.gauge("sunwork_worker_agreements", "Agreements under way, by our part.", &roles);
    page.gauge(
        "sunwork_worker_demand_24h",
        "Purchases of the last 24 hours, by what became of them.",
        &[
            ("{fate=\"worked\"}", summary.worked),
            ("{fate=\"verified\"}", summary.verified),
            ("{fate=\"fitted\"}", summary.fitted),
            ("{fate=\"excluded\"}", summary.excluded.iter().map(|part| part.count).sum()),
        ],
    );
    page.reasons(
        "sunwork_worker_excluded_24h",
        "Purchases of the last 24 hours that were excluded, by reason.",
        |reason| summary.excluded.iter().find(|part| part.reason == reason).map_or(0, |part| part.count),
    );
    if let Some(state) = governor.energy.state() {
        energy(&mut page, &state);
    }
    if let Some(attestation) = governor.energy.attestation() {
        attested(&mut page, &attestation);
    }
    page.0
}

fn energy(page: &mut Page, state: &EnergyState) {
    let positive = |value: i64| value.max(0).unsigned_abs();
    let is = |yes: bool| u64::from(yes);
    let modes =
        ["run", "lower", "pause", "sleep"].map(|mode| (format!("{{mode=\"{mode}\"}}"), is(state.mode.name() == mode)));
    let modes: Vec<(&str, u64)> = modes.iter().map(|(label, value)| (label.as_str(), *value)).collect();
    page.gauge("sunwork_worker_energy_mode", "What the energy allows: 1 for what holds.", &modes);
    let battery = state.battery.estimate;
    for (name, help, value) in [
        ("battery_permille", "State of charge, thousandths.", battery.permille),
        (
            "battery_bound_permille",
            "The true charge is not further off than this, thousandths.",
            battery.bound_permille,
        ),
        ("battery_usable_milliwatt_hours", "Charge that the plan counts on.", battery.usable.0),
        ("harvest_milliwatts", "From the panel now.", state.harvest.power.map_or(0, |power| power.0)),
        ("harvest_today_milliwatt_hours", "From the panel since the sun's midnight.", state.harvest.today.0),
        ("consumption_milliwatts", "By the board now.", state.consumption.power.0),
        ("consumption_today_milliwatt_hours", "By the board since the sun's midnight.", state.consumption.today.0),
        (
            "forecast_rest_of_day_milliwatt_hours",
            "Expected from the panel until the sun's midnight.",
            state.forecast.rest_of_day.0,
        ),
        (
            "forecast_rest_of_day_low_milliwatt_hours",
            "The same, nine times of ten more.",
            state.forecast.rest_of_day_low.0,
        ),
        ("promised_milliwatt_hours", "Needed for agreements that were accepted.", state.promised.0),
        ("reserve_milliwatt_hours", "Charge below which nothing is promised.", state.reserve.0),
        ("spare_milliwatt_hours", "Could be promised until a day from now.", state.spare.0),
    ] {
        page.gauge(&format!("sunwork_worker_energy_{name}"), help, &[("", positive(value))]);
    }
    let troubles = Trouble::NAMES
        .map(|name| (format!("{{state=\"{name}\"}}"), is(state.troubles.iter().any(|trouble| trouble.name == name))));
    let troubles: Vec<(&str, u64)> = troubles.iter().map(|(label, value)| (label.as_str(), *value)).collect();
    page.gauge("sunwork_worker_energy_trouble", "1 for each named state that holds (docs/ENERGY.md).", &troubles);
}

fn attested(page: &mut Page, attestation: &Attestation) {
    let is = |yes: bool| u64::from(yes);
    let held = attestation.hold.as_ref().map(|hold| hold.name.as_str());
    let holds = Hold::NAMES.map(|name| (format!("{{state=\"{name}\"}}"), is(held == Some(name))));
    let holds: Vec<(&str, u64)> = holds.iter().map(|(label, value)| (label.as_str(), *value)).collect();
    page.gauge(
        "sunwork_worker_attestation_held",
        "1 for the named state in which nothing is attested (docs/ENERGY.md).",
        &holds,
    );
    let Some(meter) = &attestation.meter else { return };
    let days = [("", u64::from(meter.attested_days))];
    page.gauge("sunwork_worker_attestation_days", "Days with counts in the ledger's window.", &days);
    // Gauges here are unsigned: surplus and deficit apart.
    let net = meter.window_net_wh;
    for (sign, value) in [("surplus", net.max(0)), ("deficit", (-net).max(0))] {
        let name = format!("sunwork_worker_attestation_{sign}_watt_hours");
        page.gauge(&name, "Net energy of the ledger's window, if it has this sign.", &[("", value.unsigned_abs())]);
    }
    let positive = [("", is(meter.positive))];
    page.gauge("sunwork_worker_attestation_positive", "1 if the ledger says that this worker is positive.", &positive);
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn gauge(&mut self, name: &str, help: &str, values: &[(&str, u64)]) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in values {
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }

    fn reasons(&mut self, name: &str, help: &str, value: impl Fn(Reason) -> u64) {
        self.gauge(name, help, &[]);
        for reason in Reason::ALL {
            let _ = writeln!(self.0, "{name}{{reason=\"{}\"}} {}", reason.name(), value(*reason));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_a_series_and_each_name_is_described_once() {
        let mut page = Page::default();
        page.reasons("held", "Help.", |reason| u64::from(reason == Reason::Busy));
        assert!(page.0.starts_with("# HELP held Help.\n# TYPE held gauge\n"));
        assert!(page.0.contains("held{reason=\"busy\"} 1\n") && page.0.contains("held{reason=\"paused\"} 0\n"));
        assert_eq!(page.0.lines().count(), Reason::ALL.len() + 2);
    }
}
