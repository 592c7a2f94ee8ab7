//! `GET /metrics`: Prometheus text.
use std::sync::atomic::Ordering;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};

use super::Api;

/// All numbers at once.
pub async fn show(State(api): State<Api>) -> Response {
    let progress = api.progress.borrow().clone();
    let blobs = api.blobs.store();
    let keeper = &api.keeper;
    let mail = api.mail.mailbox();
    let agent = &api.agent.counters;
    let relay = &api.relay;
    let block = |header: Option<crate::chain::Header>| header.map_or(0, |header| header.number);
    // A database that does not answer hides no other number.
    let energy = api.store.energy_counts().await.unwrap_or_default();
    let reporter = &api.reporter;
    let samples = [
        ("indexed_block", "gauge", "Newest block in the index.", block(progress.indexed)),
        ("head_block", "gauge", "Newest block of the chain.", block(progress.head)),
        ("lag_blocks", "gauge", "Blocks still to be indexed.", progress.lag()),
        ("reorgs_total", "counter", "Reorganisations since the start.", progress.rollbacks),
        ("blobs", "gauge", "Blobs in the store.", blobs.count()),
        ("blob_bytes", "gauge", "Bytes of all blobs.", blobs.used_bytes()),
        ("blob_quota_bytes", "gauge", "Bytes that all blobs may have.", blobs.limits().quota_bytes),
        ("keeper_sent_total", "counter", "Transactions of the keeper.", keeper.mined.load(Ordering::Relaxed)),
        ("keeper_lost_total", "counter", "Races that the keeper lost.", keeper.lost.load(Ordering::Relaxed)),
        ("keeper_failed_total", "counter", "Failures of the keeper.", keeper.failed.load(Ordering::Relaxed)),
        ("beacon_relay_recorded_total", "counter", "Rounds recorded.", relay.recorded.load(Ordering::Relaxed)),
        ("beacon_relay_known_total", "counter", "Rounds others recorded.", relay.known.load(Ordering::Relaxed)),
        ("beacon_relay_failed_total", "counter", "Recordings that failed.", relay.failed.load(Ordering::Relaxed)),
        (
            "beacon_relay_unavailable_total",
            "counter",
            "Times that no source gave a round.",
            relay.unavailable.load(Ordering::Relaxed),
        ),
        ("beacon_relay_waiting", "gauge", "Rounds that agreements wait for.", relay.waiting.load(Ordering::Relaxed)),
        ("mail_messages", "gauge", "Messages in the mailbox.", mail.messages()),
        ("mail_bytes", "gauge", "What they count.", mail.bytes()),
        ("mail_quota_bytes", "gauge", "What all mail may count.", mail.limits().quota_bytes),
        ("mail_stored_total", "counter", "Messages taken.", mail.stored_total()),
        ("mail_refused_total", "counter", "Messages refused.", mail.refused_total()),
        ("meters", "gauge", "Meters ever registered.", energy.meters),
        ("energy_days", "gauge", "Days with counts.", energy.days),
        ("energy_days_unknown", "gauge", "Days whose counts could not be read.", energy.unknown_days),
        ("findings_proof", "gauge", "Findings that are proven.", energy.findings.proof),
        ("findings_impossible", "gauge", "Findings of what cannot be.", energy.findings.impossible),
        ("findings_unlikely", "gauge", "Findings of what is unlikely.", energy.findings.unlikely),
        ("reports_taken_total", "counter", "Equivocations reported.", reporter.reported.load(Ordering::Relaxed)),
        ("reports_refused_total", "counter", "Reports not needed.", reporter.refused.load(Ordering::Relaxed)),
        ("reports_failed_total", "counter", "Reports that failed.", reporter.failed.load(Ordering::Relaxed)),
        ("key_agent_posted_total", "counter", "Session keys posted.", agent.posted.load(Ordering::Relaxed)),
        ("key_agent_lost_total", "counter", "Posts that others made first.", agent.lost.load(Ordering::Relaxed)),
        ("key_agent_failed_total", "counter", "Posts that failed.", agent.failed.load(Ordering::Relaxed)),
        (
            "key_agent_waiting",
            "gauge",
            "Agreements that lack a key, a turn or a day.",
            agent.waiting.load(Ordering::Relaxed),
        ),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in samples {
        let name = format!("sunwork_oracle_{name}");
        text += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
