//! `sunwork-oracle`: parses, binds, waits, shuts down.
use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use eyre::WrapErr as _;
use sunwork_oracle::{
    config::{Config, ConfigError, Settings},
    server::Server,
};
use tokio::signal::unix::{SignalKind, signal};

/// Exit status for a configuration that cannot be used.
const EXIT_CONFIG: u8 = 3;

/// The Sunwork oracle: index, blob store, status API, keeper of deadlines.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs until SIGINT or SIGTERM
    Run {
        /// Configuration file (TOML); environment and flags go over it
        #[arg(long, env = "SUNWORK_ORACLE_CONFIG", value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        settings: Box<Settings>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Run { config, settings } = Cli::parse().command;
    let filter = tracing_subscriber::EnvFilter::try_from_env("SUNWORK_ORACLE_LOG").unwrap_or_else(|_| "info".into());
    let is_terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(is_terminal).with_writer(std::io::stderr).init();

    let config = match configure(config, *settings) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("sunwork-oracle: {error}");
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    match run(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One sentence with its causes; where in our code it arose is nothing to the operator.
            eprintln!("sunwork-oracle: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

fn configure(file: Option<PathBuf>, settings: Settings) -> Result<Config, ConfigError> {
    let file = file.as_deref().map(Settings::from_file).transpose()?.unwrap_or_default();
    settings.over(file).check()
}

/// The error with its causes, each said once: many errors name their cause already.
fn sentence(error: &eyre::Report) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
}

async fn run(config: Config) -> eyre::Result<()> {
    let server = Server::bind(config).await?;
    let token = server.token();
    let mut terminate = signal(SignalKind::terminate()).wrap_err("listening for SIGTERM")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping");
        token.cancel();
    });
    server.join().await
}
