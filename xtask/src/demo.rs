//! `cargo xtask demo`: the main job, end to end, on a network of its own whose workers run on simulated sun: buy a bag, let it be run
//! and verified, fetch and check the results, and see that the money adds up and what the job ran on.
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::{primitives::Address, sol_types::SolCall};
use eyre::{WrapErr, bail, ensure};
use futures::{StreamExt, pin_mut};
use sunwork_client::{
    Agreement, Client, JobBuilder, Payment, Resources, Results, Seen, Settlement, events::Progress,
    settlement::seconds_by_status,
};
use sunwork_protocol::{abi::IComputeAgreement, status::Ending};
use tokio::time::{sleep, timeout};

use crate::{
    accounts, apps, binaries,
    devnet::{Devnet, Options, Place, Runtime, SUN, supervise::stop_signal},
    docker::Engine,
    foundry, setup,
    stage::Stages,
};

mod money;
mod picture;
mod progress;
mod report;
mod sun;

use money::Money;
use report::Report;

const LEAVES: u32 = 16;
const VERIFIERS: u8 = 2;
const SAMPLES: u8 = 4;
/// The agreement has ended by then, or something is wrong.
const WORK_LIMIT: Duration = Duration::from_secs(300);
/// Workers redeem on their own once the ending is a few blocks old.
const REDEEM_LIMIT: Duration = Duration::from_secs(30);
/// How often the network's processes are looked at.
const WATCH: Duration = Duration::from_millis(500);

/// Runs the demo and leaves `picture.png`, `report.json` and the results in `out`. On failure the report says why.
///
/// # Errors
/// The reason of any failure; a demo that was stopped has failed, too.
pub async fn run(out: &Path, runtime: Runtime) -> eyre::Result<()> {
    fs::create_dir_all(out).wrap_err_with(|| format!("making {}", out.display()))?;
    let mut stages = Stages::default();
    let played = play(&mut stages, out, runtime).await;
    let mut report = match &played {
        Ok(report) => report.clone(),
        Err(error) => Report::failed(error, LEAVES, VERIFIERS),
    };
    report.time(&stages);
    let path = report.write(out)?;
    if played.is_ok() {
        report.print_times();
        println!("\nreport   {}", path.display());
    }
    played.map(drop)
}

async fn play(stages: &mut Stages, out: &Path, runtime: Runtime) -> eyre::Result<Report> {
    let (_engine, image, mut devnet) = unless_stopped(prepare(stages, out, runtime)).await?;
    let result = unless_stopped(on_network(stages, &mut devnet, &image, out, runtime)).await;
    // Whatever came out, and also when somebody wants it to end: containers of killed workers are nobody else's to remove.
    let stopped = stages.run("stop", devnet.stop()).await;
    let report = result?;
    stopped?;
    Ok(report)
}

/// Drops the work when the process is asked to end.
async fn unless_stopped<T>(work: impl Future<Output = eyre::Result<T>>) -> eyre::Result<T> {
    tokio::select! {
        done = work => done,
        why = stop_signal() => why.and_then(|why| bail!("stopped by {why}")),
    }
}

async fn prepare(stages: &mut Stages, out: &Path, runtime: Runtime) -> eyre::Result<(Option<Engine>, PathBuf, Devnet)> {
    setup::packages(stages).await?;
    // Modules need no engine, and nothing of it is asked for.
    let engine = match runtime {
        Runtime::Docker => Some(setup::engine(stages).await?),
        Runtime::Wasm => None,
    };
    stages.run("build", binaries::build()).await?;
    let image = stages.run("image", make_image(out, runtime)).await?;
    foundry::say_if_it_takes_long(stages);
    let place = Place::Named("demo".to_owned());
    let options = Options { place, runtime, plants: sun::plants(), ..Options::for_tests()? };
    let devnet = stages.run("network", Devnet::start(options)).await?;
    Ok((engine, image, devnet))
}

async fn make_image(out: &Path, runtime: Runtime) -> eyre::Result<PathBuf> {
    if runtime == Runtime::Wasm {
        let module = apps::module("raytrace", out).await?;
        eprintln!("  module {}, sha256 {}", module.archive.display(), hex::encode(module.sha256));
        return Ok(module.archive);
    }
    let binary = apps::build("raytrace").await?;
    let image = apps::image(&binary, out)?;
    eprintln!("  image {} ({}), archive sha256 {}", image.id, apps::platform(), hex::encode(image.sha256));
    Ok(image.archive)
}

async fn on_network(
    stages: &mut Stages,
    devnet: &mut Devnet,
    image: &Path,
    out: &Path,
    runtime: Runtime,
) -> eyre::Result<Report> {
    let client = devnet.client(accounts::CLIENT).await?;
    let before = Money::count(devnet, None).await?;
    let agreement = stages.run("purchase", buy(&client, image, runtime)).await?;
    eprintln!("  agreement {} bought in transaction {}", agreement.address, agreement.tx);
    // Inputs and results are encrypted: whoever accepts gets the session key, sealed to it.
    let _keyed = client.keep_keyed(agreement.address);

    let seen = stages.run("work", follow(devnet, &client, agreement)).await?;
    expect_verified(&seen)?;
    let results = stages.run("results", fetch(&client, agreement.address, out)).await?;
    let picture = out.join("picture.png");
    let size = stages.run("picture", async { picture::assemble(&results, &picture) }).await?;
    let (settlement, after) = stages.run("payments", paid_out(devnet, &client, agreement.address)).await?;

    println!("\npicture  {} ({} x {} from {} leaves)", picture.display(), size.0, size.1, results.leaves.len());
    money::print(devnet, &settlement, &before, &after);
    let energy = sun::spent(devnet, agreement.address).await?;
    energy.print();
    let bought = client.purchase_of(agreement.address).await.wrap_err("reading the purchase")?;
    let phases = seconds_by_status(&seen, bought.time, bought.terms.verify_secs.into());
    let report = Report::succeeded(devnet, &settlement, &phases, (&before, &after), LEAVES, VERIFIERS)?;
    Ok(report.on_energy(energy))
}

async fn buy(client: &Client, image: &Path, runtime: Runtime) -> eyre::Result<Agreement> {
    let resources = Resources {
        milli_cpu: 1000,
        memory_mib: 128,
        disk_mib: 32,
        max_pids: 32,
        leaf_secs: 60,
        output_mib: 16,
        ..Resources::default()
    };
    // A module has a fixed number of instructions for each second of its terms, fewer than a processor has.
    let rays = if runtime == Runtime::Wasm { "2" } else { "12" };
    let job = JobBuilder::new(image.display().to_string())
        .args(["--width", "1280", "--height", "720", "--samples", rays])
        .leaves(LEAVES)
        .verifiers(VERIFIERS)
        .samples(SAMPLES)
        .reward(8 * SUN, 12 * SUN)
        .verifier_fee(SUN)
        .resources(resources)
        .build()
        .wrap_err("describing the job")?;
    let plan = client.prepare(&job).await.wrap_err("uploading the image")?;
    let preflight = client.preflight(&plan, accounts::CLIENT.address).await.wrap_err("asking what it would cost")?;
    if let Some(problem) = preflight.problems_for(sunwork_client::preflight::ByAllowance::No).first() {
        bail!("cannot buy: {}", problem.sentence(client.unit()));
    }
    eprintln!(
        "  {LEAVES} leaves, {VERIFIERS} verifiers with {SAMPLES} leaves each, for at most {}; {} workers are there",
        client.unit().show(preflight.budget),
        preflight.workers
    );
    client.buy(&plan, Payment::Permit).await.wrap_err("buying")
}

/// Shows what happens until the agreement has ended, and watches the network meanwhile.
async fn follow(devnet: &mut Devnet, client: &Client, agreement: Agreement) -> eyre::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    let started = std::time::Instant::now();
    let events = client.watch(agreement.address, agreement.block);
    pin_mut!(events);
    while started.elapsed() < WORK_LIMIT {
        match timeout(WATCH, events.next()).await {
            Ok(Some(event)) => {
                let event = event.wrap_err("following the agreement")?;
                if let Some(line) =
                    progress::sentence(&event.progress, |address| devnet.name_of(address), client.unit())
                {
                    eprintln!("  {:>5.1} s  {line}", started.elapsed().as_secs_f64());
                }
                seen.push(event);
            }
            Ok(None) => return Ok(seen),
            Err(_) => devnet.expect_alive()?,
        }
    }
    bail!("the agreement did not end within {} s; logs are in {}", WORK_LIMIT.as_secs(), devnet.dir().display())
}

fn expect_verified(seen: &[Seen]) -> eyre::Result<()> {
    let ending = seen.iter().rev().find_map(|seen| match seen.progress {
        Progress::Ended { ending } => Some(ending),
        _ => None,
    });
    match ending {
        Some(Ending::Verified) => Ok(()),
        Some(other) => bail!("the agreement ended as {other}, expected {}", Ending::Verified),
        None => bail!("the chain told no ending of the agreement"),
    }
}

async fn fetch(client: &Client, agreement: Address, out: &Path) -> eyre::Result<Results> {
    let dir = out.join("results");
    if dir.exists() {
        fs::remove_dir_all(&dir).wrap_err_with(|| format!("emptying {}", dir.display()))?;
    }
    let results = client.results(agreement, &dir).await.wrap_err("fetching and checking the results")?;
    let failed = results.failed().count();
    ensure!(failed == 0, "{failed} leaves failed; the first: {:?}", results.failed().next());
    ensure!(results.leaves.len() == LEAVES as usize, "found {} leaves, expected {LEAVES}", results.leaves.len());
    eprintln!("  all {} digests lead to the root on chain, {}", results.leaves.len(), results.root);
    Ok(results)
}

/// Redeems the client's refund, waits until the workers have redeemed, and counts.
async fn paid_out(devnet: &Devnet, client: &Client, agreement: Address) -> eyre::Result<(Settlement, Money)> {
    let redeem = IComputeAgreement::redeemPaymentCall { party: accounts::CLIENT.address };
    let transactions = client.transactions().wrap_err("redeeming the refund")?;
    transactions.send("redeem", agreement, redeem.abi_encode().into()).await.wrap_err("redeeming the refund")?;
    let redeemed = async {
        loop {
            let settlement = client.settlement(agreement).await.wrap_err("reading the settlement")?;
            let money = Money::count(devnet, Some(agreement)).await?;
            if money.due() == 0 {
                return Ok::<_, eyre::Report>((settlement, money));
            }
            sleep(WATCH).await;
        }
    };
    let limit = REDEEM_LIMIT.as_secs();
    timeout(REDEEM_LIMIT, redeemed).await.wrap_err_with(|| {
        format!("somebody did not redeem its payment within {limit} s; logs are in {}", devnet.dir().display())
    })?
}
