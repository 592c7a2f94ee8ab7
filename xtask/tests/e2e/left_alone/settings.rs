//! The owner changes the settings file under a running worker.
use std::time::{Duration, Instant, SystemTime};

use alloy::primitives::Address;
use eyre::{WrapErr, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sunwork_client::job::Taker;
use sunwork_protocol::status::Status;
use tokio::time::sleep;
use xtask::devnet::WorkerNode;

use super::{LEAVES, Net, Owner, SOON, bag, expect_verified, until, until_excluded, until_held, until_status};

/// What the log says when the file was taken over, and when it was not.
const TAKEN: &str = "read the settings again";
const LEFT: &str = "the settings stay as they were";

/// A denied image is refused before anything is fetched or locked, and `why` names the rule.
pub(super) async fn an_image_rule_keeps_out_and_is_named(net: &mut Net, owner: &Owner) -> eyre::Result<()> {
    let image = net.image("raytrace").await?;
    let rule = format!("sha256:{}", hex::encode(image.sha256));
    owner.write(&format!("image_deny = [\"{rule}\"]\n"))?;
    hang_up(net, TAKEN).await?;
    let agreement = net.buy(bag(&image, 1, Taker::Anybody).samples(1)).await?.address;
    for worker in &net.devnet.workers {
        let excluded = until_excluded(worker, "image_rule").await?;
        let example = excluded["example"].as_str().unwrap_or_default();
        ensure!(example.contains(&format!("kept out by the rule {rule} of `image_deny`")), "{excluded:#}");
        ensure!(excluded["remedy"].as_str().is_some_and(|text| text.contains("image_deny")), "{excluded:#}");
    }
    ensure!(net.status(agreement).await? == Status::Open, "a worker took what its owner denies");
    Ok(())
}

/// SIGHUP takes over caps, prices and the schedule while an agreement runs; a file with a mistake changes nothing and is named. Gives an
/// agreement that was kept out.
pub(super) async fn settings_change_under_running_work(net: &mut Net, owner: &Owner) -> eyre::Result<Address> {
    let image = net.image("raytrace").await?;
    owner.write("memory_mib = 3000\n")?;
    hang_up(net, TAKEN).await?;
    let running = net.buy(bag(&image, LEAVES, Taker::Anybody)).await?.address;
    until_status(net, running, Status::Working).await?;

    owner.write("memory_mib = 1500\n\nmax_leaves = \"many\"\n")?;
    for said in hang_up(net, LEFT).await? {
        ensure!(said.contains("worker.toml:3") && said.contains("max_leaves"), "line and key are not named: {said}");
    }
    for worker in &net.devnet.workers {
        let caps = |said: &serde_json::Value| said["daemon"]["caps"]["memoryMib"] == 3000;
        until(worker, &["status"], "the caps from before", caps).await?;
    }

    // From then on the verifiers are in it, too: what they are not in yet they would not enter outside the schedule.
    until_status(net, running, Status::Verifying).await?;
    let closed = closed_now()?;
    owner.write(&format!("memory_mib = 2500\nprice_per_core_hour = 1000000\nschedule = [\"{closed}\"]\n"))?;
    for said in hang_up(net, TAKEN).await? {
        let named = ["memory_mib", "price_per_core_hour", "schedule"].iter().all(|key| said.contains(key));
        ensure!(named, "what changed is not named: {said}");
    }
    let kept_out = net.buy(bag(&image, LEAVES, Taker::Anybody)).await?.address;
    for worker in &net.devnet.workers {
        let said = until_held(worker, "schedule").await?;
        ensure!(said["daemon"]["caps"]["memoryMib"] == 2500, "{said:#}");
        until_excluded(worker, "schedule").await?;
    }
    // What was begun is finished, by the terms that it was begun for.
    expect_verified(net, running).await?;
    ensure!(net.status(kept_out).await? == Status::Open, "it was taken outside the schedule");

    owner.write("price_per_core_hour = 1000000\n")?;
    hang_up(net, TAKEN).await?;
    for worker in &net.devnet.workers {
        until_excluded(worker, "core_price").await?;
    }
    ensure!(net.status(kept_out).await? == Status::Open, "it was taken below the price");
    Ok(kept_out)
}

/// Sends SIGHUP to every worker and waits until each logs `answer` once more; gives those lines.
pub(super) async fn hang_up(net: &mut Net, answer: &str) -> eyre::Result<Vec<String>> {
    let lines = |worker: &WorkerNode| -> eyre::Result<Vec<String>> {
        let text = std::fs::read_to_string(worker.log()).wrap_err("reading a worker's log")?;
        Ok(text.lines().filter(|line| line.contains(answer)).map(str::to_owned).collect())
    };
    let before: Vec<usize> =
        net.devnet.workers.iter().map(|worker| lines(worker).map(|lines| lines.len())).collect::<Result<_, _>>()?;
    for worker in &mut net.devnet.workers {
        let pid = worker.process_mut().and_then(|process| Pid::from_raw(process.pid() as i32));
        kill_process(pid.ok_or_else(|| eyre::eyre!("no process"))?, Signal::HUP)?;
    }
    let end = Instant::now() + SOON;
    let mut said = Vec::new();
    for (worker, before) in net.devnet.workers.iter().zip(before) {
        said.push(loop {
            if let Some(line) = lines(worker)?.into_iter().nth(before) {
                break line;
            }
            ensure!(Instant::now() < end, "{} does not say {answer:?}", worker.name);
            sleep(Duration::from_millis(50)).await;
        });
    }
    Ok(said)
}

/// A schedule that is closed today and tomorrow, wherever this machine is.
fn closed_now() -> eyre::Result<String> {
    let days = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / 86_400;
    // Day 0 was a Thursday.
    let names = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"];
    let in_three_days = names.get((days + 3) as usize % names.len()).copied().unwrap_or("mon");
    Ok(format!("{in_three_days} 10:00-11:00"))
}
