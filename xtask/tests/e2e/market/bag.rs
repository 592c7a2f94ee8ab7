//! `sunwork run --split`, killed while it buys.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use eyre::{ensure, eyre};
use serde_json::Value;
use sunwork_protocol::abi::IWorkerDispatcher;
use xtask::accounts;

use crate::{
    cli::{LIMIT, json, sunwork},
    support::Net,
};

const PARTS: usize = 5;
const SECRET: &str = "a word in each leaf";

/// Kills the command when it has signed some of its purchases and not all; the same command goes on and waits for the results.
pub async fn buy_killed_and_go_on(net: &Net, home: &Path, image: &str) -> eyre::Result<Value> {
    let before = purchases(net).await?.len();
    let parts = PARTS.to_string();
    let args = [
        "run",
        image,
        "--split",
        &parts,
        "--leaves",
        &parts,
        "--yes",
        "--reward",
        "100",
        "--fee",
        "5",
        "--verifiers",
        "1",
        "--leaf-time",
        "30s",
        "--memory",
        "64M",
        "--disk",
        "16M",
        "--output-size",
        "8M",
        "--out",
        "bag",
        "--",
        "echo",
        SECRET,
    ];
    let mut command = sunwork(net, home, &args)?;
    let mut first = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn()?;
    let log = log_of_transactions(net, home);
    let until = Instant::now() + LIMIT;
    let signed = loop {
        let signed = signed(&log);
        if signed >= 2 {
            break signed;
        }
        ensure!(first.try_wait()?.is_none(), "the command ended before it was killed");
        ensure!(Instant::now() < until, "nothing is bought\n{}", net.logs());
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    first.kill().await?;
    ensure!(signed < PARTS, "all {PARTS} were signed before the kill");

    let report = json(sunwork(net, home, &args)?, 0).await?;
    let bought = purchases(net).await?.split_off(before);
    assert_eq!(bought.len(), PARTS, "what was signed before the kill is found, not bought again: {report:#}");
    Ok(report)
}

/// Every leaf is there once, from an agreement of its own, which the chain knows.
pub async fn expect_whole(net: &Net, home: &Path, report: &Value) -> eyre::Result<()> {
    let parts = report["parts"].as_array().ok_or_else(|| eyre!("no parts: {report:#}"))?;
    ensure!(report["split"] == PARTS && parts.len() == PARTS, "{report:#}");
    let known = purchases(net).await?;
    for (index, part) in parts.iter().enumerate() {
        ensure!(part["ending"] == "verified" && part["failedLeaves"] == 0 && part["firstIndex"] == index, "{part:#}");
        let agreement: Address = part["agreement"].as_str().ok_or_else(|| eyre!("no agreement"))?.parse()?;
        assert_eq!(known.iter().filter(|bought| **bought == agreement).count(), 1, "{part:#}");
        let settlement = net.client.settlement(agreement).await?;
        ensure!(settlement.adds_up() && settlement.held == 0, "{settlement:?}");
    }
    let mut leaves: Vec<String> = texts(&home.join("bag"))?;
    leaves.sort_unstable();
    let wanted: Vec<String> = (0..PARTS).map(|leaf| format!("args echo {SECRET}\nleaf {leaf}\n")).collect();
    assert_eq!(leaves, wanted);
    Ok(())
}

/// Agreements of the client, oldest first.
async fn purchases(net: &Net) -> eyre::Result<Vec<Address>> {
    let dispatcher = net.client.dispatcher();
    let filter = dispatcher.AgreementBought_filter().topic2(accounts::CLIENT.address).from_block(0);
    let events: Vec<(IWorkerDispatcher::AgreementBought, _)> = filter.query().await?;
    Ok(events.into_iter().map(|(event, _)| event.agreement).collect())
}

fn log_of_transactions(net: &Net, home: &Path) -> PathBuf {
    let name = format!("{}-{:?}.jsonl", net.devnet.deployment.chain_id, accounts::CLIENT.address);
    home.join(".local/share/sunwork/tx").join(name)
}

/// Purchases in the log; all of this bag, since nothing else was bought from this home folder.
fn signed(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| line.contains("buyContract") && line.contains("\"raw\"")).count()
}

/// The texts that all leaves wrote, one folder per part.
fn texts(dir: &Path) -> eyre::Result<Vec<String>> {
    let mut texts = Vec::new();
    for part in std::fs::read_dir(dir)?.flatten().filter(|entry| entry.path().is_dir()) {
        texts.push(std::fs::read_to_string(part.path().join("leaf-0000/echo.txt"))?);
    }
    Ok(texts)
}
