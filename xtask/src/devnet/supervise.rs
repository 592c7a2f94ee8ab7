//! `cargo xtask devnet`: a network that runs until Ctrl-C.
use std::{path::Path, time::Duration};

use eyre::WrapErr;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use super::{Devnet, Options, Runtime, SUN};
use crate::{accounts, binaries, foundry, setup, stage::Stages};

/// How often the processes are looked at.
const WATCH: Duration = Duration::from_millis(500);

/// Waits for Ctrl-C, SIGTERM or the terminal's end.
///
/// # Errors
/// When signals cannot be listened for.
pub async fn stop_signal() -> eyre::Result<&'static str> {
    let listen = |kind| signal(kind).wrap_err("listening for signals");
    let (mut int, mut term, mut hup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    Ok(tokio::select! {
        _ = int.recv() => "Ctrl-C",
        _ = term.recv() => "SIGTERM",
        _ = hup.recv() => "SIGHUP",
    })
}

/// Starts a network, says how to use it, and keeps it until it is stopped.
///
/// # Errors
/// When it does not come up, or a process of it dies.
pub async fn run(options: Options) -> eyre::Result<()> {
    let mut stages = Stages::default();
    setup::packages(&mut stages).await?;
    let _engine = match options.runtime {
        Runtime::Docker => Some(setup::engine(&mut stages).await?),
        Runtime::Wasm => None,
    };
    stages.run("build", binaries::build()).await?;
    foundry::say_if_it_takes_long(&stages);
    let starting = stages.run("network", Devnet::start(options));
    let mut devnet = tokio::select! {
        devnet = starting => devnet?,
        why = stop_signal() => { eprintln!("{}: stopping", why?); return Ok(()); }
    };
    print(&devnet);
    let result = tokio::select! {
        why = stop_signal() => why.map(|why| eprintln!("{why}: stopping")),
        died = watch(&mut devnet) => died,
    };
    devnet.stop().await?;
    eprintln!("stopped");
    result
}

async fn watch(devnet: &mut Devnet) -> eyre::Result<()> {
    loop {
        devnet.expect_alive()?;
        sleep(WATCH).await;
    }
}

fn print(devnet: &Devnet) {
    println!("\nThe network is running: chain {}, one block per second.", devnet.deployment.chain_id);
    println!("  chain       {}", devnet.rpc_url());
    println!("  oracle      {}", devnet.oracle_url());
    if let Some(drand) = &devnet.drand {
        println!("  drand       {}", drand.url());
    }
    println!("  deployment  {}", devnet.deployment_file().display());
    println!("  token       {}", devnet.deployment.token);
    println!("  dispatcher  {}", devnet.deployment.dispatcher);
    println!("  beacon      {}", devnet.deployment.beacon);
    println!("  compute     {}", devnet.deployment.compute_implementation);
    println!("\nAccounts (well-known keys of development chains: never use them elsewhere)");
    for account in accounts::ALL {
        println!("  {:<9} {}  key {}", account.role, account.address, account.private_key);
    }
    println!("  The clients hold {} SUN each.", super::CLIENT_TOKENS / SUN);
    println!("\nWorkers");
    for worker in &devnet.workers {
        println!("  {:<9} {}  device {}", worker.name, worker.owner, worker.device);
    }
    let dir = devnet.dir().display();
    println!("  data folders and logs: {dir}");
    println!("\nUse it, in another terminal:");
    println!("  export SUNWORK_RPC={} SUNWORK_ORACLE={}", devnet.rpc_url(), devnet.oracle_url());
    println!("  export SUNWORK_DEPLOYMENT={}", devnet.deployment_file().display());
    println!(
        "  export SUNWORK_KEYSTORE={} SUNWORK_PASSWORD_FILE={dir}/client/password",
        devnet.client_keystore().display()
    );
    println!("  cargo run --bin sunwork -- workers");
    if let Some(worker) = devnet.workers.first() {
        println!("  {}", ask(worker.dir()));
    }
    println!(
        "  npx forge test --match-path test/Deployment.t.sol --fork-url {}   # compiles for minutes the first time",
        devnet.rpc_url()
    );
    println!("\nCtrl-C stops it.");
}

/// How to ask a worker: it listens in its data folder, and nothing else need be named.
fn ask(data_dir: &Path) -> String {
    format!("cargo run --bin sunwork-worker -- --data-dir {} status", data_dir.display())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use sunwork_worker::cli::Cli;

    use super::*;

    #[test]
    fn the_line_that_asks_a_worker_is_one_that_it_takes() {
        let line = ask(Path::new("/net/worker-1"));
        let args = line.strip_prefix("cargo run --bin ").expect("it is run from the source").replace(" -- ", " ");
        assert!(Cli::try_parse_from(args.split(' ')).is_ok(), "{args}");
    }
}
