//! `cargo xtask`: parses and calls.
use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use xtask::{
    abi, analysis, arm, bench, bench_energy, bench_worker, check, coverage, demo, devnet, economics, gas, package,
    setup, stage::Stages, test, tpm,
};

/// Developer commands of Sunwork. Each sets up what is missing on this machine first.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The main job, end to end: network, purchase, work, verification, payment, picture
    Demo {
        /// Folder for the picture, the report and the results
        #[arg(long, value_name = "DIR", default_value = "demo-out")]
        out: PathBuf,
        /// What the workers run: images in Docker Engine, or WebAssembly modules, which needs neither Docker nor root
        #[arg(long, value_enum, default_value = "docker")]
        runtime: devnet::Runtime,
    },
    /// A network with funded accounts, an oracle and workers, until Ctrl-C
    Devnet {
        /// Port of the chain [default: 8545, or any if that is taken]
        #[arg(long)]
        port: Option<u16>,
        /// Number of workers
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(0..=32))]
        workers: u8,
        /// Where draws get their randomness: block headers, or a drand chain of the network's own
        #[arg(long, value_enum, default_value_t)]
        beacon: devnet::Beacon,
        /// What the workers run
        #[arg(long, value_enum, default_value = "docker")]
        runtime: devnet::Runtime,
    },
    /// All tests: forge, cargo, and end to end on real anvil and real Docker
    Test {
        /// Far more fuzzing from a new seed, and the long end-to-end cases
        #[arg(long)]
        deep: bool,
    },
    /// Everything that CI checks: formats, lints, docs, ABI, gas, tests
    Check,
    /// Static analysis and symbolic checks of the contracts; `check` runs both
    Analyse {
        /// One of the two
        #[arg(long, value_enum)]
        only: Option<analysis::Part>,
    },
    /// Which lines and branches of the contracts no test reaches, and why (docs/COVERAGE.md)
    Coverage,
    /// Installs what is missing: npm packages, Docker Engine
    Setup,
    /// Writes abi/*.json from the Solidity interfaces
    Abi {
        /// Only compare
        #[arg(long)]
        check: bool,
    },
    /// For which reward, stake, k, V, T and n cheating does not pay (docs/ECONOMICS.md)
    Economics {
        #[command(flatten)]
        setting: economics::setting::Setting,
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// Write the tables of docs/ECONOMICS.md anew (its own example, whatever else is given)
        #[arg(long, conflicts_with = "json")]
        update_docs: bool,
    },
    /// Measures: speed, gas, memory and size, against a named peer or limit in the same run
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
    /// The worker as a Debian package and as a container image
    Package(package::Options),
    /// Worker, runner and client for ARM boards, and the tests that run under qemu
    Arm(arm::Options),
    /// The meter's key in a TPM 2.0, against a real one in software; `test --deep` runs it too
    Tpm,
    /// Writes the gas snapshot
    Snapshot {
        /// Only compare
        #[arg(long)]
        check: bool,
    },
}

#[derive(Subcommand)]
enum Bench {
    /// Gas of a whole task, all transactions of all parties (docs/GAS.md)
    Gas {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Forecast, plan and plausibility on recorded sun (docs/ENERGY_PLAN.md)
    Energy(bench_energy::Options),
    /// The worker: idle memory and CPU, size, and what it adds to a plain run (docs/WORKER.md)
    Worker(bench_worker::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What was being done, and why it failed, one below the other; without a backtrace.
            eprintln!("\nerror: {error}");
            error.chain().skip(1).for_each(|cause| eprintln!("  because {cause}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> eyre::Result<()> {
    let mode = |check| if check { abi::Mode::Check } else { abi::Mode::Write };
    match command {
        Command::Demo { out, runtime } => demo::run(&std::path::absolute(out)?, runtime).await,
        Command::Devnet { port, workers, beacon, runtime } => {
            let mut options = devnet::Options::for_people()?.workers(workers.into());
            options.port = port.or(options.port);
            options.beacon = beacon;
            options.runtime = runtime;
            devnet::supervise::run(options).await
        }
        Command::Test { deep } => test::run(if deep { test::Depth::Deep } else { test::Depth::Normal }).await,
        Command::Check => check::run().await,
        Command::Analyse { only } => analysis::run(only).await,
        Command::Coverage => coverage::run().await,
        Command::Setup => setup::all(&mut Stages::default()).await.map(drop),
        Command::Abi { check } => {
            setup::packages(&mut Stages::default()).await?;
            abi::run(mode(check)).await
        }
        Command::Economics { update_docs: true, .. } => economics::update(),
        Command::Economics { setting, json, .. } => economics::run(&setting, json),
        Command::Bench { what: Bench::Gas { json } } => bench::gas(json).await,
        Command::Bench { what: Bench::Energy(options) } => bench_energy::run(&options).await,
        Command::Bench { what: Bench::Worker(options) } => bench_worker::run(&options).await,
        Command::Package(options) => package::run(&options).await,
        Command::Arm(options) => arm::run(&options).await,
        Command::Tpm => tpm::run().await,
        Command::Snapshot { check } => {
            setup::packages(&mut Stages::default()).await?;
            gas::run(mode(check)).await
        }
    }
}
