//! The command line of `sunwork-worker`.
use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand, parser::ValueSource};
use tokio_util::sync::CancellationToken;

use crate::{
    commands::{self, EnergyCommand, Output, PlacementArgs, Registration, Take},
    config::{ConfigFile, Layer, Loaded, default_path},
    daemon, duration,
};

/// The Sunwork worker: takes work, runs it in containers, proves it, gets paid.
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Exit codes and every setting: docs/WORKER.md")]
pub struct Cli {
    /// Settings file (TOML); environment and flags go before it. By default /etc/sunwork/worker.toml where it exists.
    #[arg(long, env = "SUNWORK_WORKER_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// How logs are written to standard error.
    #[arg(long, visible_alias = "log-format", env = "SUNWORK_WORKER_LOG", default_value = "human", global = true)]
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
    /// Make the data folder and the keys; shows the addresses, and what to do next.
    Init {
        /// Write a settings file with every setting explained, if there is none at this path; what is set here holds in it.
        #[arg(long, value_name = "FILE")]
        write_config: Option<PathBuf>,
        /// Print the systemd unit and nothing else.
        #[arg(long)]
        print_unit: bool,
    },
    /// Register, stake and set the device key, as far as it is not done (owner key).
    Register(Registration),
    /// Run the worker (device key).
    Run,
    /// Have the running worker take a signed offer (a file as `sunwork offer --order FILE` writes it): it buys for the client and
    /// accepts in one transaction.
    Take(Take),
    /// Take work that a pool places with this worker: the running worker accepts it at the next block.
    AcceptPlaced(PlacementArgs),
    /// Show what is under way, earnings, stake, score, and why nothing new is taken.
    Status,
    /// Show the demand of the last day: what fitted, and what excluded the rest.
    Why {
        /// How far back, such as 6h; at most 24h.
        #[arg(long, default_value = "24h", value_parser = duration::seconds)]
        last: u64,
    },
    /// Take nothing new and start no leaf, for a while or until `resume`.
    Pause {
        /// For how long, such as 30m; until `resume` without it.
        #[arg(value_parser = duration::seconds)]
        duration: Option<u64>,
    },
    /// End a pause or a drain.
    Resume,
    /// Take nothing new, finish what is under way, then stop.
    Drain {
        /// Stop after this time even if something is left, such as 2h.
        #[arg(value_parser = duration::seconds)]
        duration: Option<u64>,
        /// Wait until the worker has stopped.
        #[arg(long)]
        wait: bool,
    },
    /// Read the settings again without stopping anything.
    Reload,
    /// Watch the worker in the terminal; q leaves.
    Top {
        /// Print one frame and leave.
        #[arg(long)]
        once: bool,
    },
    /// Show what was earned and lost, by agreement and by day.
    Earnings {
        /// How many days back.
        #[arg(long, default_value_t = 30)]
        days: u32,
        /// As a table for spreadsheets, a line per agreement; amounts in the smallest unit.
        #[arg(long)]
        csv: bool,
        /// With --csv: a line per day.
        #[arg(long)]
        by_day: bool,
    },
    /// Show battery, harvest, forecast and plan, and why the worker runs or waits; or draw the history.
    Energy {
        /// What to do; without it the state is shown.
        #[command(subcommand)]
        what: Option<EnergyCommand>,
    },
    /// Take stake out of the draws (owner key).
    Unstake {
        /// How much, in tokens, or "all".
        amount: String,
    },
    /// Collect earnings and unbonded stake (owner key).
    Withdraw,
    /// Show and check the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check everything around the worker, with a remedy for each failure.
    Doctor,
}

/// What to do with the settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show what is used.
    Show {
        /// And where each value is from.
        #[arg(long)]
        origin: bool,
    },
    /// Look for mistakes, without a chain.
    Check,
    /// Print a file with every setting as a comment.
    Template,
}

/// Reads the command line; also as clap saw it, which knows flag from environment.
///
/// # Errors
/// What clap says; help and version are among it.
pub fn parse() -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = Cli::command().try_get_matches()?;
    Ok((Cli::from_arg_matches(&matches)?, matches))
}

/// Runs one command to its end; `run` until the token is cancelled.
///
/// # Errors
/// What went wrong, as a chain of sentences.
pub async fn run(cli: Cli, matches: ArgMatches, shutdown: CancellationToken) -> eyre::Result<()> {
    let Cli { config, output, layer, command, .. } = cli;
    let named = commands::Config {
        path: config.clone().or_else(default_path),
        by_flag: matches.value_source("config") == Some(ValueSource::CommandLine),
    };
    let load = move || -> eyre::Result<Loaded> {
        let path = config.clone().or_else(default_path);
        Ok(Loaded::new(&layer, &matches, &ConfigFile::read(path.as_deref())?))
    };
    match &command {
        // They must work where the settings cannot be used.
        Command::Doctor => return commands::doctor(load(), output).await,
        Command::Config(ConfigCommand::Template) => return commands::config_template(),
        Command::Init { print_unit: true, .. } => return commands::print_unit(),
        _ => {}
    }
    let loaded = load()?;
    let settings = loaded.layer.clone();
    let report = match command {
        Command::Run => return daemon::run(loaded, load, shutdown).await,
        Command::Top { once } => return commands::top(&settings, once).await,
        Command::Config(ConfigCommand::Show { origin }) => return commands::config_show(&loaded, origin, output),
        Command::Earnings { days, csv, by_day } => {
            return commands::earnings(&settings, days, csv, by_day, output).await;
        }
        Command::Energy { what } => return commands::energy(&settings, what, output).await,
        Command::Config(ConfigCommand::Check) => commands::config_check(&loaded)?,
        Command::Init { write_config, .. } => commands::init(&loaded, write_config.as_deref(), &named)?,
        Command::Register(wanted) => commands::register(&settings, &wanted).await?,
        Command::Take(wanted) => commands::take(&settings, &wanted, shutdown).await?,
        Command::Status => commands::status(&settings).await?,
        Command::Why { last } => commands::why(&settings, last).await?,
        Command::Pause { duration } => commands::pause(&settings, duration).await?,
        Command::Resume => commands::resume(&settings).await?,
        Command::Drain { duration, wait } => commands::drain(&settings, duration, wait).await?,
        Command::Reload => commands::reload(&settings).await?,
        Command::AcceptPlaced(placed) => commands::accept_placed(&settings, &placed).await?,
        Command::Unstake { amount } => commands::unstake(&settings, &amount).await?,
        Command::Withdraw => commands::withdraw(&settings).await?,
        Command::Doctor => return Ok(()),
        Command::Config(ConfigCommand::Template) => return Ok(()),
    };
    report.print(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_read_from_the_command_line() {
        let cli = Cli::try_parse_from(["w", "pause", "30m"]).unwrap();
        assert!(matches!(cli.command, Command::Pause { duration: Some(1800) }));
        assert!(Cli::try_parse_from(["w", "pause", "soon"]).is_err());
    }
}
