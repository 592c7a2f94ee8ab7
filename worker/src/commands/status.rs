//! `status`: what the running worker says; without one what data folder and chain say.
use alloy::providers::Provider;
use eyre::WrapErr;
use serde_json::{Value, json};

use super::{Report, chain, orders::show_mode};
use crate::{
    account::Account,
    amount::Unit,
    board::{Part, Standing},
    config::Layer,
    control::{
        Status, Transaction,
        client::{self, ControlError},
        no_gas_money, no_stake, of_journal,
    },
    duration,
    folder::Folder,
    governor::now_secs,
    identity,
    journal::{Agreement, Journal},
    refusal::Refusal,
    view::View,
};

/// Agreements of the journal that the chain is asked about.
const MAX_ASKED: usize = 64;

/// Shows identity, stake, earnings, what is under way, and why nothing new is taken.
///
/// # Errors
/// When neither worker nor chain can be asked, or the folder cannot be read.
pub async fn status(settings: &Layer) -> eyre::Result<Report> {
    let mut report = Report::new("status");
    match client::get::<Status>(&settings.control_socket(), "/v1/status").await {
        Ok(status) => {
            report.add("running", "Running", format!("yes, process {}", status.pid), true);
            of_daemon(&mut report, &status);
        }
        Err(ControlError::NotRunning { .. }) => {
            let folder = Folder::at(settings.data_dir());
            let starting = folder.is_in_use();
            let text = match starting {
                true => "starting: it waits for chain or engine, its log says which",
                false => "no; `systemctl start sunwork-worker` or `sunwork-worker run`",
            };
            report.add("running", "Running", text, starting);
            of_chain(&mut report, settings, &folder).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(report)
}

fn of_daemon(report: &mut Report, status: &Status) {
    report.json["daemon"] = serde_json::to_value(status).unwrap_or_default();
    report.line("  since", duration::show(status.now.saturating_sub(status.started_at)));
    report.line("Mode", show_mode(status.mode));
    report.line("Takes new work", if status.not_working.is_empty() { "yes" } else { "no" });
    for reason in &status.not_working {
        report.line(format!("  {}", reason.reason.name()), format!("{} (remedy: {})", reason.text, reason.remedy));
    }
    report.line("Leaves running", format!("{}, {} m of CPU", status.running_leaves, status.running_milli_cpu));
    let age = status.now.saturating_sub(status.block_time);
    report.add("block", "Block", format!("{}, {} old", status.block, duration::show(age)), status.block);
    if let Some(trouble) = status.clock.trouble() {
        report.line("Clock", trouble);
    }
    match &status.account {
        Some(found) => {
            account(report, found);
            let pending = found.show(&status.pending_pay);
            report.add("pendingPay", "Pending, if all goes well", pending, status.pending_pay.clone());
        }
        None => {
            let error = status.account_error.clone().unwrap_or_default();
            report.line("Account", format!("unknown: {error}"));
        }
    }
    let (ours, candidates): (Vec<&Standing>, Vec<&Standing>) =
        status.agreements.iter().partition(|row| row.role != Part::Candidate);
    let rows = serde_json::to_value(&ours).unwrap_or_default();
    report.add("agreements", "Agreements under way", ours.len(), rows);
    for row in ours {
        report.line(format!("  {}", row.agreement), standing(row, status.block_time));
    }
    report.line("Candidates", candidates.len().to_string());
    if let Some(attestation) = &status.attestation {
        report.json["attestation"] = serde_json::to_value(attestation).unwrap_or_default();
        for (label, text) in super::meter::lines(attestation) {
            report.line(label, text);
        }
    }
    show_transactions(report, &status.transactions);
}

fn show_transactions(report: &mut Report, transactions: &[Transaction]) {
    let rows = serde_json::to_value(transactions).unwrap_or_default();
    report.add("transactions", "Transactions under way", transactions.len(), rows);
    for tx in transactions {
        report.line(format!("  {}", tx.label), transaction(tx));
    }
}

/// "nonce 7, waiting for 2 min, bumped 1 times, offers 2.2 gwei of at most 500 gwei, base fee 1 gwei, 0x…".
pub(super) fn transaction(tx: &Transaction) -> String {
    let age = tx.age_secs.map_or_else(String::new, |secs| format!(" for {}", duration::show(secs)));
    let base = tx.base_fee_wei.as_ref().map_or_else(String::new, |wei| format!(", base fee {}", gwei(wei)));
    format!(
        "nonce {}, {}{age}, bumped {} times, offers {} of at most {}{base}, {}",
        tx.nonce,
        tx.state,
        tx.bumps,
        gwei(&tx.max_fee_wei),
        gwei(&tx.cap_wei),
        tx.hash
    )
}

fn gwei(wei: &str) -> String {
    let unit = Unit { symbol: "gwei".to_owned(), decimals: 9 };
    wei.parse().map_or_else(|_| wei.to_owned(), |wei| unit.format(wei))
}

/// "worker, working: compute leaves (3 of 8), 12 min left, pays 5".
pub(super) fn standing(row: &Standing, now: u64) -> String {
    let deadline = match row.deadline {
        0 => String::new(),
        deadline if deadline < now => format!(", {} late", duration::show(now - deadline)),
        deadline => format!(", {} left", duration::show(deadline - now)),
    };
    format!(
        "{}, {}: {} ({} of {} leaves){deadline}",
        row.role.name(),
        row.status,
        row.step,
        row.leaves_done,
        row.leaves
    )
}

fn account(report: &mut Report, account: &Account) {
    report.add("device", "Device", account.device, account.device.to_string());
    let gas_money =
        account.device_wei.parse().map_or_else(|_| account.device_wei.clone(), |wei| Unit::ether().format(wei));
    report.add("deviceWei", "  for gas", gas_money, account.device_wei.clone());
    if account.worker.is_zero() {
        report.add("worker", "Worker", "not registered; run `sunwork-worker register`", Value::Null);
        return;
    }
    report.add("worker", "Worker", account.worker, account.worker.to_string());
    report.add("payout", "Payout", account.payout, account.payout.to_string());
    report.add("score", "Score", account.score, account.score);
    let amounts = [
        ("stake", "Stake", &account.stake),
        ("locked", "  locked", &account.locked),
        ("unbonding", "  unbonding", &account.unbonding),
        ("deviceLimit", "Device limit", &account.device_limit),
        ("deviceLocked", "  locked", &account.device_locked),
        ("payable", "Earned, not sent", &account.payable),
    ];
    for (key, label, amount) in amounts {
        report.add(key, label, account.show(amount), amount.clone());
    }
    if account.unbonding != "0" {
        let left = duration::show(account.unbonding_until.saturating_sub(now_secs()));
        report.add("unbondingUntil", "  withdrawable in", left, account.unbonding_until);
    }
}

async fn of_chain(report: &mut Report, settings: &Layer, folder: &Folder) -> eyre::Result<()> {
    let chain = chain(settings).await?;
    let unit = identity::unit(&chain).await?;
    let device = identity::device_address(settings, folder)?;
    let (block, block_time) = chain.rpc().latest().await.wrap_err("reading the newest block")?;
    report.add("chainId", "Chain", chain.deployment.chain_id, chain.deployment.chain_id);
    report.add("block", "Block", block, block);
    let found = Account::read(&chain, device, &unit).await?;
    account(report, &found);
    if found.worker.is_zero() {
        return Ok(());
    }
    if let Some(refusal) = no_stake(&found) {
        report.line("  no work without", format!("{refusal} (remedy: {})", refusal.reason().remedy()));
    }
    let price = chain.rpc().provider().get_gas_price().await.ok().and_then(|wei| u64::try_from(wei).ok());
    if let Some(refusal) = no_gas_money(&found, price) {
        report.line("  no work without", format!("{refusal} (remedy: {})", refusal.reason().remedy()));
    }
    let published = chain.encryption_key_of(found.worker).await?;
    report.add("encryptionKey", "Encryption key", published, published.to_string());
    let confidential = match identity::encryption_key(settings, folder) {
        Ok(Some(own)) if own.public() == published => "yes".to_owned(),
        Ok(Some(own)) => Refusal::EncryptionKey { own: own.public(), published }.to_string(),
        Ok(None) => Refusal::NoEncryptionKey.to_string(),
        Err(error) => format!("unknown: {error:#}"),
    };
    let yes = confidential == "yes";
    report.add("confidentialWork", "  confidential work", confidential, yes);
    if !folder.journal().exists() {
        return Ok(());
    }
    let state = Journal::peek(folder.journal())?;
    let last = state.last_block.unwrap_or_default();
    report.add("lastBlock", "Last block read", last, last);
    let open: Vec<_> = state.agreements.iter().filter(|(_, known)| known.took_part() && !known.is_closed()).collect();
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for (&address, known) in open.iter().copied().take(MAX_ASKED) {
        let text = match chain.view(address).await {
            Ok(view) => of_view(known, &view, block_time),
            Err(error) => format!("unknown: {error}"),
        };
        rows.push(json!({
            "agreement": address.to_string(),
            "role": role(known),
            "leavesDone": known.leaves.len(),
            "bundle": known.bundle.map(|bundle| hex::encode(bundle.blob)),
            "impossible": known.impossible,
            "text": text,
        }));
        lines.push((format!("  {address}"), text));
    }
    report.add("agreements", "Agreements under way", open.len(), rows);
    report.rows.extend(lines);
    let cap_wei = settings.fees()?.max_fee_per_gas_wei.to_string();
    show_transactions(report, &of_journal(&state.txs, &cap_wei, now_secs()));
    report.line("", "why purchases were refused: `sunwork-worker why`");
    Ok(())
}

fn of_view(known: &Agreement, view: &View, now: u64) -> String {
    let left = match view.deadline {
        0 => "ended".to_owned(),
        deadline if deadline < now => format!("{} late", duration::show(now - deadline)),
        deadline => format!("{} left", duration::show(deadline - now)),
    };
    format!("{}, {}: {}, {} leaves done, {left}", role(known), view.status, view.status.meaning(), known.leaves.len())
}

fn role(known: &Agreement) -> &'static str {
    match (known.work_salt.is_some(), known.verdict_salt.is_some()) {
        (true, false) => "worker",
        (false, true) => "verifier",
        // A lost race to accept, then a slot.
        (true, true) => "worker or verifier",
        (false, false) => "candidate",
    }
}
