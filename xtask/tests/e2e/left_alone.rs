//! What happens to a worker that nobody looks after, with agreements under way, on one network: its owner's rules and settings change,
//! its device runs out of ether, its clock jumps by hours, its disk is full. Nothing is lost, and it says what is the matter.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use eyre::{WrapErr, ensure};
use serde_json::Value;
use sunwork_client::job::{JobBuilder, Taker, Windows};
use sunwork_protocol::status::{Ending, Status};
use tokio::time::sleep;
use xtask::devnet::{Options, WorkerNode};

use crate::support::{Net, expect, small_bag};

mod clock;
mod disk;
mod ether;
mod hosts;
mod settings;

const LIMIT: Duration = Duration::from_secs(150);
/// A running worker says something else by then: it looks around every ten seconds.
const SOON: Duration = Duration::from_secs(30);
/// Leaves of a bag that takes a while.
const LEAVES: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn rules_settings_clocks_and_ether_change_under_running_work_and_nothing_is_lost() -> eyre::Result<()> {
    on_a_network(async |net, owner| {
        settings::an_image_rule_keeps_out_and_is_named(net, owner).await?;
        let kept_out = settings::settings_change_under_running_work(net, owner).await?;
        clock::a_clock_that_jumps_loses_nothing(net, owner, kept_out).await?;
        ether::a_device_without_ether_takes_nothing_until_it_is_sent_some(net).await
    })
    .await
}

/// Short forms of it are in the normal run: `worker/tests/cage_network.rs`, `worker/tests/journal.rs`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn hosts_are_reached_and_a_disk_that_fills_up_loses_nothing() -> eyre::Result<()> {
    on_a_network(async |net, owner| {
        hosts::hosts_are_reached_where_the_owner_lets_them_through(net, owner).await?;
        owner.write("")?;
        settings::hang_up(net, "read the settings again").await?;
        disk::a_full_disk_loses_nothing(net).await
    })
    .await
}

async fn on_a_network(play: impl AsyncFnOnce(&mut Net, &Owner) -> eyre::Result<()>) -> eyre::Result<()> {
    let files = tempfile::tempdir()?;
    let owner = Owner { config: files.path().join("worker.toml"), offset: files.path().join("clock") };
    owner.write("")?;
    owner.set_clock(0)?;
    let options = Options::for_tests()?
        .workers(3)
        .worker_env("SUNWORK_WORKER_CONFIG", &owner.config.display().to_string())
        .worker_env("SUNWORK_TEST_CLOCK_OFFSET_FILE", &owner.offset.display().to_string())
        .worker_env("SUNWORK_WORKER_KEEP_FREE_DISK_MIB", &disk::KEEP_FREE_MIB.to_string());
    let mut net = Net::start(options).await?;
    // On a busy machine opening the keys takes a while.
    for worker in &net.devnet.workers {
        until_within(LIMIT, worker, &["status"], "it runs", |said| said["daemon"].is_object()).await?;
    }
    let begun = Instant::now();
    let mut result = play(&mut net, &owner).await;
    println!("played {} s", begun.elapsed().as_secs());
    if result.is_ok() {
        result = net.expect_stakes_whole(&[]).await.and(net.expect_supply_unchanged().await);
    }
    if let Err(error) = result {
        let logs = net.logs();
        net.devnet.keep_folder();
        return Err(error.wrap_err(logs));
    }
    net.devnet.stop().await
}

/// Whose machine it is.
struct Owner {
    config: PathBuf,
    /// Seconds by which every worker's clock is wrong.
    offset: PathBuf,
}

impl Owner {
    /// Writes another settings file.
    fn write(&self, text: &str) -> eyre::Result<()> {
        std::fs::write(&self.config, text).wrap_err("writing the settings file")
    }

    /// In one go: nobody reads half a number.
    fn set_clock(&self, offset_secs: i64) -> eyre::Result<()> {
        let draft = self.offset.with_extension("draft");
        std::fs::write(&draft, offset_secs.to_string()).wrap_err("setting the clock")?;
        std::fs::rename(draft, &self.offset).wrap_err("setting the clock")
    }
}

/// A bag that takes some seconds, with windows that a busy machine keeps.
fn bag(archive: &xtask::apps::Image, leaves: u32, taker: Taker) -> JobBuilder {
    let windows = Windows { accept_secs: 240, work_secs: Some(240), verify_secs: Some(120), dispute_secs: None };
    small_bag(archive).leaves(leaves).windows(windows).taker(taker)
}

/// Asks until the answer is the wanted one.
async fn until(
    worker: &WorkerNode,
    args: &[&str],
    what: &str,
    wanted: impl Fn(&Value) -> bool + Send,
) -> eyre::Result<Value> {
    until_within(SOON, worker, args, what, wanted).await
}

async fn until_within(
    limit: Duration,
    worker: &WorkerNode,
    args: &[&str],
    what: &str,
    wanted: impl Fn(&Value) -> bool + Send,
) -> eyre::Result<Value> {
    let end = Instant::now() + limit;
    let args = [args, &["--output", "json"]].concat();
    loop {
        let said = worker.once(&args).await.and_then(|text| Ok(serde_json::from_str::<Value>(&text)?));
        match said {
            Ok(said) if wanted(&said) => return Ok(said),
            last if Instant::now() > end => {
                eyre::bail!("{}: {what} is not so after {} s: {last:#?}", worker.name, limit.as_secs())
            }
            _ => sleep(Duration::from_millis(250)).await,
        }
    }
}

/// The reason for which nothing new is taken is this one.
async fn until_held(worker: &WorkerNode, reason: &str) -> eyre::Result<Value> {
    let held = |said: &Value| said["daemon"]["notWorking"][0]["reason"] == reason;
    until(worker, &["status"], reason, held).await
}

/// A purchase was excluded for this reason, newest first.
async fn until_excluded(worker: &WorkerNode, reason: &str) -> eyre::Result<Value> {
    let part = |said: &Value| {
        let parts = said["demand"]["excluded"].as_array().cloned().unwrap_or_default();
        parts.into_iter().find(|part| part["reason"] == reason)
    };
    let said = until(worker, &["why"], reason, |said| part(said).is_some()).await?;
    Ok(part(&said).unwrap_or_default())
}

async fn until_status(net: &mut Net, agreement: Address, wanted: Status) -> eyre::Result<()> {
    let end = Instant::now() + LIMIT;
    loop {
        net.devnet.expect_alive()?;
        let status = net.status(agreement).await?;
        if status == wanted {
            return Ok(());
        }
        ensure!(Instant::now() < end && !status.is_final(), "the agreement is {status}, not {wanted}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Ends well, once, at the first attempt.
async fn expect_verified(net: &mut Net, agreement: Address) -> eyre::Result<()> {
    expect(net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?, Ending::Verified)?;
    expect_well(net, agreement).await
}

async fn expect_well(net: &Net, agreement: Address) -> eyre::Result<()> {
    net.expect_settled_once(agreement).await?;
    ensure!(net.view(agreement).await?.attempt == 0, "a deadline lapsed");
    let folder: &Path = &net.files.path().join(agreement.to_string());
    let results = net.client.results(agreement, folder).await?;
    ensure!(results.failed().count() == 0, "leaves failed");
    Ok(())
}
