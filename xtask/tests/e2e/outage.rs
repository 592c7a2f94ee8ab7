//! The chain's node is gone for an hour, hangs, lies, or is not there at the start: everybody waits it out, what was being computed is
//! computed on, and nothing is lost. On one network, with a proxy between the node and everybody.

use std::time::Duration;

use alloy::{primitives::Address, providers::ext::AnvilApi as _};
use eyre::{ensure, eyre};
use serde_json::Value;
use sunwork_client::job::Windows;
use sunwork_protocol::status::{Ending, Status};
use sunwork_worker::journal::Journal;
use tokio::time::{Instant, sleep};
use xtask::{
    chain::free_port,
    devnet::{Options, WorkerNode},
};

use crate::support::{Net, expect, small_bag};

mod proxy;

use proxy::{Mode, Proxy};

/// Ways to answer that no node should have.
const ALL: [Mode; 5] = [Mode::Hang, Mode::Garbage, Mode::Endless, Mode::OlderHead, Mode::OtherChain];
/// Leaves of the bags: enough that there is some time to compute.
const LEAVES: u32 = 12;
const LIMIT: Duration = Duration::from_secs(150);
/// A question to a worker whose node is gone is answered by then.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_for_an_hour_lies_or_comes_back_after_the_worker_loses_nothing() -> eyre::Result<()> {
    let port = free_port()?;
    let proxy = Proxy::start(port).await?;
    let mut options = Options::for_tests()?.workers(3);
    options.port = Some(port);
    options.rpc_url = Some(proxy.url.clone());
    let mut net = Net::start(options).await?;
    ensure!(net.devnet.rpc_url().port() == Some(port), "another program took the port");

    gone_and_lying(&mut net, &proxy).await?;
    not_there_at_the_start(&mut net, &proxy).await?;
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}

async fn buy(net: &Net) -> eyre::Result<Address> {
    let image = net.image("raytrace").await?;
    // Longer than the node is away.
    let windows = Windows { accept_secs: 60, work_secs: Some(7200), verify_secs: Some(7200), dispute_secs: None };
    Ok(net.buy(small_bag(&image).leaves(LEAVES).windows(windows).public(true)).await?.address)
}

async fn until_working(net: &Net, agreement: Address) -> eyre::Result<usize> {
    for _ in 0..600 {
        let view = net.view(agreement).await?;
        if net.status(agreement).await? == Status::Working {
            let index = net.devnet.workers.iter().position(|worker| worker.owner == view.worker);
            return index.ok_or_else(|| eyre!("a stranger accepted"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err(eyre!("nobody accepted\n{}", net.logs()))
}

async fn status(worker: &WorkerNode) -> eyre::Result<Value> {
    let asked = Instant::now();
    let status = serde_json::from_str(&worker.once(&["--output", "json", "status"]).await?)?;
    ensure!(asked.elapsed() < ANSWER_LIMIT, "status took {:?}", asked.elapsed());
    Ok(status)
}

async fn gone_and_lying(net: &mut Net, proxy: &Proxy) -> eyre::Result<()> {
    let agreement = buy(net).await?;
    let worker = until_working(net, agreement).await?;
    // Gone; an hour passes on the chain meanwhile.
    proxy.set(Mode::Refuse);
    net.devnet.chain.provider().anvil_increase_time(3600).await?;
    net.devnet.chain.provider().anvil_mine(Some(5), None).await?;
    let said = status(&net.devnet.workers[worker]).await?;
    ensure!(said["daemon"]["accountError"].is_string(), "it says that the chain cannot be asked: {said:#}");
    ensure!(said["running"] == true, "{said:#}");
    // All of them under `--deep`; edge/tests/rpc.rs has each against the connection alone.
    let deep = std::env::var_os("SUNWORK_DEEP").is_some();
    let modes = if deep { &ALL[..] } else { &[Mode::Hang, Mode::OtherChain] };
    for &mode in modes {
        proxy.set(mode);
        let said = status(&net.devnet.workers[worker]).await?;
        ensure!(said["running"] == true, "{mode:?}: {said:#}");
        sleep(Duration::from_secs(2)).await;
        net.devnet.expect_alive()?;
    }
    proxy.set(Mode::Pass);
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified)?;
    net.expect_settled_once(agreement).await?;
    let results = net.client.results(agreement, &net.files.path().join("first")).await?;
    assert_eq!(results.failed().count(), 0);
    Ok(())
}

async fn not_there_at_the_start(net: &mut Net, proxy: &Proxy) -> eyre::Result<()> {
    let agreement = buy(net).await?;
    let index = until_working(net, agreement).await?;
    let journal = net.devnet.workers[index].dir().join("journal");
    let leaves =
        || Journal::peek(&journal).map(|state| state.agreements.get(&agreement).map_or(0, |known| known.leaves.len()));
    // Written down that the work is ours: from then on it needs nobody to go on.
    let until = Instant::now() + Duration::from_secs(30);
    while Journal::peek(&journal)?.agreements.get(&agreement).and_then(|known| known.holding).is_none() {
        ensure!(Instant::now() < until, "it does not begin\n{}", net.logs());
        sleep(Duration::from_millis(20)).await;
    }
    // The power fails, and when it is back the network is not.
    proxy.set(Mode::Refuse);
    net.devnet.workers[index].kill();
    let before = leaves()?;
    ensure!(before < LEAVES as usize, "it was too quick for the test");
    net.devnet.workers[index].start(&[])?;
    let until = Instant::now() + Duration::from_secs(90);
    while leaves()? < LEAVES as usize {
        net.devnet.expect_alive()?;
        ensure!(Instant::now() < until, "only {} of {LEAVES} leaves without a node\n{}", leaves()?, net.logs());
        sleep(Duration::from_millis(100)).await;
    }
    println!("{before} leaves before the power failed, {LEAVES} without network");

    // The node is back, and mines nothing: what waits is shown.
    net.devnet.chain.mine_every(0).await?;
    proxy.set(Mode::Pass);
    let until = Instant::now() + Duration::from_secs(60);
    let tx = loop {
        let said = status(&net.devnet.workers[index]).await?;
        if let Some(tx) = said["transactions"].as_array().and_then(|txs| txs.iter().find(|tx| tx["label"] == "seal"))
            && tx["state"] == "waiting"
        {
            break tx.clone();
        }
        ensure!(Instant::now() < until, "no seal is under way: {said:#}\n{}", net.logs());
        sleep(Duration::from_millis(250)).await;
    };
    for key in ["nonce", "ageSecs", "bumps", "maxFeeWei", "capWei", "baseFeeWei", "maxCostWei", "hash"] {
        ensure!(!tx[key].is_null(), "{key} is not shown: {tx:#}");
    }
    let table = net.devnet.workers[index].once(&["status"]).await?;
    let line = table.lines().find(|line| line.trim_start().starts_with("seal ")).unwrap_or_default();
    ensure!(
        line.contains("nonce ") && line.contains("waiting for ") && line.contains("of at most 500 gwei"),
        "{table}"
    );
    net.devnet.chain.mine_every(1).await?;

    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified)?;
    net.expect_settled_once(agreement).await?;
    let results = net.client.results(agreement, &net.files.path().join("second")).await?;
    assert_eq!(results.failed().count(), 0);
    Ok(())
}
