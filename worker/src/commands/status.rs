//! `status`: what the data folder and the chain say, without disturbing a running worker.
use alloy::providers::Provider;
use eyre::WrapErr;
use serde_json::json;

use super::{Report, chain};
use crate::{
    config::Layer,
    folder::Folder,
    identity,
    journal::{Agreement, Journal},
    refusal::Refusal,
};

/// Shows identity, stake, earnings, and what is under way.
///
/// # Errors
/// When folder or chain cannot be read.
pub async fn status(settings: &Layer) -> eyre::Result<Report> {
    let chain = chain(settings).await?;
    let folder = Folder::create(settings.data_dir())?;
    let unit = identity::unit(&chain).await?;
    let path = settings.keystore.clone().or(identity::stored_key("device", &folder)?);
    let device = match path.as_deref().and_then(identity::address_of) {
        Some(address) => address,
        None => identity::device_key(settings, &folder)?.address(),
    };
    let worker = chain.worker_of(device).await?;
    let (block, _) = chain.rpc().latest().await.wrap_err("reading the newest block")?;
    let mut report = Report::new("status");
    let running = matches!(folder.lock(), Err(crate::folder::FolderError::InUse { .. }));
    report.add("running", "Running", if running { "yes" } else { "no" }, running);
    report.add("chainId", "Chain", chain.deployment.chain_id, chain.deployment.chain_id);
    report.add("block", "Block", block, block);
    report.add("device", "Device", device, device.to_string());
    let ether = chain.rpc().provider().get_balance(device).await.wrap_err("reading the device's balance")?;
    report.add("deviceWei", "  for gas (wei)", ether, ether.to_string());
    if worker.is_zero() {
        report.add("worker", "Worker", "not registered; run `sunwork-worker register`", serde_json::Value::Null);
        return Ok(report);
    }
    let info = chain.worker_info(worker).await?;
    let entry = chain.device_info(device).await?;
    let payable = u128::try_from(chain.payable_of(worker).await?).unwrap_or(u128::MAX);
    report.add("worker", "Worker", worker, worker.to_string());
    report.add("payout", "Payout", info.payout, info.payout.to_string());
    report.add("score", "Score", info.score, info.score);
    let published = chain.encryption_key_of(worker).await?;
    report.add("encryptionKey", "Encryption key", published, published.to_string());
    let confidential = match identity::encryption_key(settings, &folder) {
        Ok(Some(own)) if own.public() == published => "yes".to_owned(),
        Ok(Some(own)) => Refusal::EncryptionKey { own: own.public(), published }.to_string(),
        Ok(None) => Refusal::NoEncryptionKey.to_string(),
        Err(error) => format!("unknown: {error:#}"),
    };
    let yes = confidential == "yes";
    report.add("confidentialWork", "  confidential work", confidential, yes);
    let amounts = [
        ("stake", "Stake", info.bonded.to::<u128>()),
        ("locked", "  locked", info.locked.to()),
        ("unbonding", "  unbonding", info.unbonding.to()),
        ("deviceLimit", "Device limit", entry.limit.to()),
        ("deviceLocked", "  locked", entry.locked.to()),
        ("payable", "Earned, not sent", payable),
    ];
    for (key, label, amount) in amounts {
        report.add(key, label, unit.format(amount), amount.to_string());
    }
    if folder.journal().exists() {
        journal(&mut report, &Journal::peek(folder.journal())?);
    }
    Ok(report)
}

fn journal(report: &mut Report, state: &crate::journal::State) {
    let last = state.last_block.unwrap_or_default();
    report.add("lastBlock", "Last block read", last, last);
    let open: Vec<_> = state.agreements.iter().filter(|(_, known)| !known.is_closed()).collect();
    let lines = open.iter().map(|(address, known)| {
        json!({
            "agreement": address.to_string(),
            "role": role(known),
            "leavesDone": known.leaves.len(),
            "bundle": known.bundle.map(|bundle| hex::encode(bundle.blob)),
            "impossible": known.impossible,
        })
    });
    let lines: Vec<_> = lines.collect();
    report.add("agreements", "Agreements under way", open.len(), lines);
    for (address, known) in open {
        report.rows.push((format!("  {address}"), format!("{}, {} leaves done", role(known), known.leaves.len())));
    }
    let refused: Vec<_> =
        state.agreements.iter().filter_map(|(address, known)| Some((address, known.refusal.as_ref()?))).collect();
    let lines: Vec<_> = refused
        .iter()
        .map(|(address, refusal)| json!({ "agreement": address.to_string(), "refusal": refusal, "text": refusal.to_string() }))
        .collect();
    report.add("refused", "Refused", refused.len(), lines);
    for (address, refusal) in refused {
        report.rows.push((format!("  {address}"), refusal.to_string()));
    }
    let txs: Vec<_> = state
        .txs
        .iter()
        .map(|entry| json!({ "label": entry.label, "nonce": entry.nonce, "hash": entry.hash.to_string() }))
        .collect();
    report.add("transactions", "Transactions under way", txs.len(), txs);
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
