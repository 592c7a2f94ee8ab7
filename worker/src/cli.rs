//! The command line of `sunwork-worker`.
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::{
    commands::{self, Output, PlacementArgs, Registration, Take},
    config::Layer,
    daemon,
};

/// Settings file that is read when none is named.
const DEFAULT_CONFIG: &str = "/etc/sunwork/worker.toml";

/// The Sunwork worker: takes work, runs it in containers, proves it, gets paid.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    /// Settings file (TOML); environment and flags go before it. By default /etc/sunwork/worker.toml where it exists.
    #[arg(long, env = "SUNWORK_WORKER_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// How logs are written to standard error.
    #[arg(long, env = "SUNWORK_WORKER_LOG", default_value = "human", global = true)]
    pub log: LogFormat,
    /// How results are written to standard output.
    #[arg(long, default_value = "table", global = true)]
    pub output: Output,
    /// Settings.
    #[command(flatten)]
    pub layer: Layer,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object per line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the data folder and the keys; shows the addresses.
    Init,
    /// Register, stake and set the device key, as far as it is not done (owner key).
    Register(Registration),
    /// Run the worker (device key).
    Run,
    /// Have the running worker take a signed offer (a file as `sunwork offer --order FILE` writes it): it buys for the client and
    /// accepts in one transaction.
    Take(Take),
    /// Show identity, stake, earnings and what is under way.
    Status,
    /// Take work that a pool places with this worker: the running worker accepts it at the next block.
    AcceptPlaced(PlacementArgs),
    /// Take stake out of the draws (owner key).
    Unstake {
        /// How much, in tokens, or "all".
        amount: String,
    },
    /// Collect earnings and unbonded stake (owner key).
    Withdraw,
}

/// Runs one command to its end; `run` until the token is cancelled.
///
/// # Errors
/// What went wrong, as a chain of sentences.
pub async fn run(cli: Cli, shutdown: CancellationToken) -> eyre::Result<()> {
    let settings = cli.layer.over(file_layer(cli.config.as_deref())?);
    let report = match cli.command {
        Command::Run => return daemon::run(settings, shutdown).await,
        Command::Init => commands::init(&settings)?,
        Command::Register(wanted) => commands::register(&settings, &wanted).await?,
        Command::Take(wanted) => commands::take(&settings, &wanted, shutdown).await?,
        Command::Status => commands::status(&settings).await?,
        Command::AcceptPlaced(placed) => commands::accept_placed(&settings, &placed).await?,
        Command::Unstake { amount } => commands::unstake(&settings, &amount).await?,
        Command::Withdraw => commands::withdraw(&settings).await?,
    };
    report.print(cli.output)
}

fn file_layer(named: Option<&Path>) -> eyre::Result<Layer> {
    let default = Path::new(DEFAULT_CONFIG);
    Ok(match named {
        Some(path) => Layer::from_file(path)?,
        None if default.exists() => Layer::from_file(default)?,
        None => Layer::default(),
    })
}
