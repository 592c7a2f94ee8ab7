//! The ways to buy besides a purchase by hand, on one network: a signed offer that a worker takes, a contract that asks and a third
//! party that adds to the reward, and a bag of several agreements whose buyer is killed in the middle.

use std::{path::Path, time::Duration};

use alloy::primitives::Address;
use eyre::{WrapErr, ensure, eyre};
use serde_json::Value;
use sunwork_protocol::status::Ending;
use xtask::{
    accounts,
    devnet::{Options, SUN},
};

use crate::{
    cli::{json, sunwork},
    support::{Net, expect},
};

mod bag;
mod dapp;

const LIMIT: Duration = Duration::from_secs(150);
/// Least reward that the workers take, SUN.
const MIN_REWARD: &str = "60";

#[tokio::test(flavor = "multi_thread")]
async fn offers_questions_of_contracts_and_bags_of_agreements_are_bought_and_paid() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?.worker_env("SUNWORK_WORKER_MIN_REWARD", MIN_REWARD)).await?;
    let home = tempfile::tempdir()?;
    let home = home.path();
    let echo = net.image("hostile").await?.archive.display().to_string();

    // A worker takes an offer, and works while the rest is bought.
    let offered = offer(&net, home, &echo, "first.json").await?;
    let taken = taken(&net, 0, &home.join("first.json")).await?;
    let question = dapp::ask(&net).await?;
    dapp::add_to_the_reward(&net, home, &question).await?;
    // One that is cancelled, by the beginning of its hash.
    let cancelled = offer(&net, home, &echo, "second.json").await?;
    let hash = &cancelled["hash"].as_str().ok_or_else(|| eyre!("no hash: {cancelled:#}"))?;
    json(sunwork(&net, home, &["offer", "cancel", &hash[..10]])?, 0).await?;
    let bag = bag::buy_killed_and_go_on(&net, home, &echo).await?;

    for agreement in [taken, question.agreement] {
        expect(net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?, Ending::Verified)?;
    }
    offer_is_kept(&net, home, taken, &offered).await?;
    for (file, reason) in [("first.json", "is used up: 1 of 1"), ("second.json", "the client cancelled the order")] {
        let refused = refusal(&net, 1, &home.join(file)).await?;
        ensure!(refused.contains(reason), "{file}: {refused}");
    }
    net.devnet.workers[1].stop();
    let refused = refusal(&net, 1, &home.join("first.json")).await?;
    ensure!(refused.contains("no worker runs on the data folder"), "{refused}");
    dapp::expect_answer(&net, home, &question).await?;
    bag::expect_whole(&net, home, &bag).await?;
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}

/// Signs an offer of public work with an input, for one agreement.
async fn offer(net: &Net, home: &Path, image: &str, file: &str) -> eyre::Result<Value> {
    std::fs::write(home.join("notes.txt"), "what the sun saw")?;
    let args = [
        "offer",
        image,
        "--public",
        "--yes",
        "--detach",
        "--reward",
        "100",
        "--fee",
        "5",
        "--leaves",
        "2",
        "--leaf-time",
        "30s",
        "--memory",
        "64M",
        "--disk",
        "16M",
        "--output-size",
        "8M",
        "--input",
        "notes.txt",
        "--expires",
        "10m",
        "--order",
        file,
        "--",
        "echo",
        "offer",
    ];
    json(sunwork(net, home, &args)?, 0).await
}

/// Has a worker take an offer.
async fn taken(net: &Net, worker: usize, order: &Path) -> eyre::Result<Address> {
    let said = net.devnet.workers[worker]
        .once(&["take", &order.display().to_string(), "--wait-secs", "60", "--output", "json"])
        .await;
    let said = said.wrap_err_with(|| net.logs())?;
    let report: Value = serde_json::from_str(&said).wrap_err_with(|| said.clone())?;
    report["agreement"].as_str().and_then(|text| text.parse().ok()).ok_or_else(|| eyre!("no agreement: {report:#}"))
}

/// Why a worker does not take an offer.
async fn refusal(net: &Net, worker: usize, order: &Path) -> eyre::Result<String> {
    match net.devnet.workers[worker].once(&["take", &order.display().to_string()]).await {
        Ok(said) => Err(eyre!("it was taken: {said}")),
        Err(error) => Ok(format!("{error:#}")),
    }
}

/// Bought and accepted in one transaction, worked on with its input, paid to the worker that took it, and known to the command.
async fn offer_is_kept(net: &Net, home: &Path, agreement: Address, offered: &Value) -> eyre::Result<()> {
    let settlement = net.client.settlement(agreement).await?;
    let worker = net.devnet.workers[0].owner;
    assert_eq!((net.view(agreement).await?.worker, settlement.client), (worker, accounts::CLIENT.address));
    let done = |name: &str| settlement.transactions.iter().filter(|tx| tx.ok && tx.name == name).count();
    assert_eq!([done("acceptOffer"), done("buyContract"), done("accept")], [1, 0, 0], "{:#?}", settlement.transactions);
    ensure!(settlement.paid.get(&worker).is_some_and(|paid| *paid >= 100 * SUN), "{settlement:?}");
    ensure!(settlement.adds_up() && settlement.held == 0, "{settlement:?}");
    let id = agreement.to_string();
    json(sunwork(net, home, &["results", &id, "--out", "offered"])?, 0).await?;
    let text = std::fs::read_to_string(home.join("offered/leaf-0001/echo.txt"))?;
    assert_eq!(text, "args echo offer\ninput notes.txt what the sun saw\nleaf 1\n");
    let list = json(sunwork(net, home, &["offer", "list"])?, 0).await?;
    let row = list["offers"].as_array().into_iter().flatten().find(|row| row["hash"] == offered["hash"]);
    ensure!(row.is_some_and(|row| row["state"] == "used_up" && row["uses"] == 1), "{list:#}");
    Ok(())
}
