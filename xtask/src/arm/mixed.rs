//! A whole agreement of a mixed network: an x86-64 worker computes a WebAssembly bag, an aarch64 worker (under qemu) verifies it.
//! Both are the same source; that the verifier's digests agree is what lets boards and PCs check each other.
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use alloy::primitives::Address;
use eyre::{WrapErr, bail, ensure, eyre};
use sunwork_client::{
    Client,
    buy::Payment,
    job::{JobBuilder, Resources, Taker, Windows},
};
use sunwork_protocol::status::{Ending, Status};
use tokio::time::sleep;

use crate::{
    accounts, apps, binaries,
    devnet::{Devnet, Options, Runtime, SUN},
    setup,
    stage::Stages,
};

const LEAVES: u32 = 4;
const SAMPLES: u8 = 2;
/// Emulated instructions take ten to thirty times as long.
const LIMIT: Duration = Duration::from_secs(1800);
const WATCH: Duration = Duration::from_millis(500);

/// Programs of the other kind of board, as scripts that start them under qemu.
pub struct Emulated {
    /// `sunwork-worker`.
    pub worker: PathBuf,
    /// `sunwork-wasm-runner`.
    pub runner: PathBuf,
}

/// Writes a script that starts a program of a board: whoever starts it wants a program, not a command line.
///
/// # Errors
/// When it cannot be written.
pub fn wrapper(script: &Path, qemu: &Path, gnu: &str, binary: &Path) -> eyre::Result<()> {
    let text = format!("#!/bin/sh\nexec {} -L /usr/{gnu} {} \"$@\"\n", qemu.display(), binary.display());
    std::fs::write(script, text).wrap_err_with(|| format!("writing {}", script.display()))?;
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(script, mode).wrap_err_with(|| format!("writing {}", script.display()))
}

/// Buys the bag, named for the x86-64 worker, so that the other one is all there is to verify it.
///
/// # Errors
/// When the agreement does not end verified by the emulated worker.
pub async fn run(emulated: &Emulated) -> eyre::Result<()> {
    let mut stages = Stages::default();
    setup::packages(&mut stages).await?;
    binaries::build().await?;
    let mut options = Options::for_tests()?.workers(2);
    // Every window that stands in the deployment, long enough for a machine that is emulated.
    for window in ["keySecs", "revealSecs", "openSecs", "drawStepSecs"] {
        options = options.param(&format!("/compute/{window}"), if window == "drawStepSecs" { 10 } else { 300 });
    }
    options.runtime = Runtime::Wasm;
    let mut net = Devnet::start(options).await.wrap_err("starting a network")?;
    let board = &mut net.workers[1];
    board.stop();
    board.set_env("SUNWORK_WORKER_WASM_RUNNER", &emulated.runner.display().to_string());
    // Every look at the chain is emulated, too.
    board.set_env("SUNWORK_WORKER_POLL_MS", "1000");
    board.start_program(&emulated.worker, &[])?;
    let done = agreement(&mut net).await;
    if done.is_err() {
        net.keep_folder();
    }
    net.stop().await?;
    done
}

async fn agreement(net: &mut Devnet) -> eyre::Result<()> {
    let client = net.client(accounts::CLIENT).await?;
    let (named, board) = (net.workers[0].owner, net.workers[1].owner);
    let files = tempfile::tempdir()?;
    let module = apps::module("raytrace", files.path()).await?;
    let job = JobBuilder::new(module.archive.display().to_string())
        .args(["--width", "64", "--height", "36", "--samples", "2"])
        .leaves(LEAVES)
        .verifiers(1)
        .samples(SAMPLES)
        .reward(100 * SUN, 100 * SUN)
        .verifier_fee(5 * SUN)
        .taker(Taker::Worker(named))
        .resources(Resources { memory_mib: 64, disk_mib: 16, leaf_secs: 120, output_mib: 8, ..Resources::default() })
        .windows(Windows { accept_secs: 300, work_secs: Some(900), verify_secs: Some(1200), dispute_secs: None })
        .build()?;
    let plan = client.prepare(&job).await.wrap_err("uploading the module")?;
    let bought = client.buy(&plan, Payment::ApproveAndCall).await.wrap_err("buying")?.address;
    let _keyed = client.keep_keyed(bought);
    let started = Instant::now();
    until_over(net, &client, bought).await?;
    let view = client.compute(bought).agreement().call().await?;
    ensure!(view.worker == named, "{} computed it, expected {}", net.name_of(view.worker), net.name_of(named));
    let verifiers: Vec<Address> = view.slots.iter().map(|slot| slot.verifier).collect();
    ensure!(verifiers == [board], "verified by {verifiers:?}, expected {board}");
    let results = client.results(bought, &files.path().join("results")).await.wrap_err("fetching the results")?;
    ensure!(results.leaves.len() == LEAVES as usize, "{} leaves, expected {LEAVES}", results.leaves.len());
    println!(
        "mixed network: {LEAVES} leaves computed on {}, {SAMPLES} verified on aarch64 (qemu), equal; paid after {:.0} s",
        std::env::consts::ARCH,
        started.elapsed().as_secs_f64()
    );
    Ok(())
}

async fn until_over(net: &mut Devnet, client: &Client, agreement: Address) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        net.expect_alive()?;
        let view = client.compute(agreement).agreement().call().await.wrap_err("reading the agreement")?;
        let status = Status::from_u8(view.status as u8).ok_or_else(|| eyre!("unknown status"))?;
        if status.is_final() {
            let ending = Ending::from_u8(view.ending as u8).ok_or_else(|| eyre!("unknown ending"))?;
            ensure!(ending == Ending::Verified, "the agreement ended as {ending}, expected {}", Ending::Verified);
            return Ok(());
        }
        if Instant::now() > until {
            bail!("still {status} after {} s; logs are in {}", LIMIT.as_secs(), net.dir().display());
        }
        sleep(WATCH).await;
    }
}
