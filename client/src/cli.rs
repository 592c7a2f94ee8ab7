//! The `sunwork` command. Thin over the SDK: reads settings, calls it, prints. JSON goes to standard output, everything
//! for people's eyes while something runs to standard error.

pub mod args;
pub mod duration;
pub mod exit;
pub mod follow;
pub mod output;
pub mod password;
pub mod results;
pub mod run;
pub mod session;
pub mod settings;
pub mod status;
pub mod wallet;
pub mod workers;

use clap::Parser;

use self::args::{Args, Command};
use self::exit::{Exit, Failure};
use self::output::{Format, Output};
use self::session::Session;
use self::settings::Settings;

/// Parses the command line, runs it, prints its failure, and gives the exit code.
pub async fn main() -> std::process::ExitCode {
    let args = Args::parse();
    init_logging(args.global.verbose);
    // Until the settings are read, only the flag and its variable say how to print.
    let early = Output::new(args.global.output.unwrap_or(Format::Table));
    let (output, outcome) = match Settings::load(&args.global) {
        Ok(settings) => {
            let output = Output::new(settings.output);
            let outcome = dispatch(args.command, Session::new(settings, output)).await;
            (output, outcome)
        }
        Err(error) => (early, Err(Failure::new(Exit::Config, error))),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

async fn dispatch(command: Command, session: Session) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(&session, *args).await,
        Command::Status(args) => status::run(&session, args).await,
        Command::Results(args) => results::run(&session, args).await,
        Command::Cancel(args) => status::cancel(&session, args).await,
        Command::Expire(args) => status::expire(&session, args).await,
        Command::Workers(args) => workers::run(&session, args).await,
        Command::Wallet { command } => wallet::run(&session, command).await,
    }
}

fn init_logging(verbose: u8) {
    use tracing_subscriber::EnvFilter;
    let default = match verbose {
        0 => "error",
        1 => "sunwork_client=info,sunwork_edge=info,warn",
        _ => "sunwork_client=debug,sunwork_edge=debug,info",
    };
    let filter = EnvFilter::try_from_env("SUNWORK_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // A second call in one process (tests) finds a subscriber already; that one serves.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
