//! How many agreements one worker holds at once, what each of them takes, and how soon a worker that was killed with them acts again.
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use eyre::{WrapErr, bail, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use sunwork_client::{
    Client,
    buy::Payment,
    job::{JobBuilder, Resources, Windows},
    plan::Plan,
};
use sunwork_protocol::status::Status;
use sunwork_worker::control::client::get;
use tokio::time::sleep;

use super::{MIB, cpu_ns, release, rss_kib};
use crate::{
    accounts, apps,
    devnet::{Devnet, SUN},
};

/// Purchases on their way at the same time.
const AT_ONCE: usize = 10;
const LIMIT: Duration = Duration::from_secs(900);
const WATCH: Duration = Duration::from_millis(500);
/// How often a starting worker is asked.
const ASK: Duration = Duration::from_millis(10);

/// Sells the worker so many small bags whose client stays silent for an hour: each keeps a supervisor, a lock of stake and a deadline.
/// Then kills it with `kill -9` while one more is for sale, starts it, and waits for its first answer and its first transaction.
///
/// # Errors
/// When the worker takes none, or does not come back.
pub async fn measure(net: &mut Devnet, count: usize, seconds: u64) -> eyre::Result<BTreeMap<String, f64>> {
    let client = net.client(accounts::CLIENT).await?;
    let files = tempfile::tempdir()?;
    let plan = silent_bag(&client, files.path()).await?;
    let before = rss_kib(pid(net)?)?;
    let sold: Vec<Address> = stream::iter(0..count)
        .map(|_| async { client.buy(&plan, Payment::ApproveAndCall).await.map(|bought| bought.address) })
        .buffered(AT_ONCE)
        .try_collect()
        .await
        .wrap_err("selling the worker small bags")?;
    let held = until_held(net, &client, &sold).await?;
    ensure!(held > 0, "the worker took none of {count} agreements; its log is {}", net.workers[0].log().display());
    let pid_before = pid(net)?;
    let (cpu, start) = (cpu_ns(pid_before)?, Instant::now());
    sleep(Duration::from_secs(seconds)).await;
    let cpu_pct = cpu_ns(pid_before)?.saturating_sub(cpu) as f64 / start.elapsed().as_nanos() as f64 * 100.0;
    let after = rss_kib(pid_before)?;

    net.workers[0].kill();
    let offered = client.buy(&plan, Payment::ApproveAndCall).await?.address;
    let socket = net.workers[0].dir().join("control.sock");
    let start = Instant::now();
    net.workers[0].start_program(&release("sunwork-worker"), &[])?;
    let answered = within("the worker's first answer", async {
        while get::<Value>(&socket, "/v1/status").await.is_err() {
            sleep(ASK).await;
        }
        Ok(start.elapsed())
    });
    let accepted = within("the worker's first transaction", async {
        while status(&client, offered).await? == Status::Open {
            sleep(ASK).await;
        }
        Ok(start.elapsed())
    });
    let (answered, accepted) = futures::try_join!(answered, accepted)?;
    let again = until_held(net, &client, &sold).await?;
    ensure!(again == held, "{held} agreements were held before the restart, {again} after it");
    Ok([
        ("agreements_held", held as f64),
        ("held_rss_mib", after as f64 * 1024.0 / MIB),
        ("held_rss_kib_each", (after.saturating_sub(before)) as f64 / held as f64),
        ("held_cpu_pct", cpu_pct),
        ("restart_to_answer_ms", answered.as_secs_f64() * 1000.0),
        ("restart_to_accept_ms", accepted.as_secs_f64() * 1000.0),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into())
}

fn pid(net: &mut Devnet) -> eyre::Result<u32> {
    match net.workers[0].process_mut() {
        Some(process) => Ok(process.pid()),
        None => bail!("the worker is gone"),
    }
}

async fn silent_bag(client: &Client, files: &Path) -> eyre::Result<Plan> {
    let module = apps::module("raytrace", files).await?;
    let windows = Windows { accept_secs: 600, work_secs: Some(900), verify_secs: Some(60), dispute_secs: Some(3600) };
    let job = JobBuilder::new(module.archive.display().to_string())
        .args(["--width", "16", "--height", "9", "--samples", "1"])
        .public(true)
        .trust_level(0)
        .leaves(1)
        .samples(1)
        .reward(SUN, SUN)
        .verifier_fee(SUN / 10)
        .resources(Resources { memory_mib: 64, disk_mib: 16, leaf_secs: 5, output_mib: 1, ..Resources::default() })
        .windows(windows)
        .build()?;
    client.prepare(&job).await.wrap_err("uploading the module")
}

async fn status(client: &Client, agreement: Address) -> eyre::Result<Status> {
    let view = client.compute(agreement).agreement().call().await.wrap_err("reading an agreement")?;
    Status::from_u8(view.status as u8).ok_or_else(|| eyre::eyre!("unknown status"))
}

/// Until nothing is for sale or worked on any more: those that are handed in and wait for their client.
async fn until_held(net: &mut Devnet, client: &Client, sold: &[Address]) -> eyre::Result<usize> {
    let until = Instant::now() + LIMIT;
    loop {
        net.expect_alive()?;
        let states: Vec<Status> =
            stream::iter(sold).map(|agreement| status(client, *agreement)).buffered(AT_ONCE).try_collect().await?;
        let held = states.iter().filter(|status| **status == Status::Disputable).count();
        if held == sold.len() || Instant::now() > until {
            return Ok(held);
        }
        sleep(WATCH).await;
    }
}

async fn within(what: &str, wait: impl Future<Output = eyre::Result<Duration>>) -> eyre::Result<Duration> {
    match tokio::time::timeout(LIMIT, wait).await {
        Ok(waited) => waited,
        Err(_) => bail!("waited {} s for {what}", LIMIT.as_secs()),
    }
}
