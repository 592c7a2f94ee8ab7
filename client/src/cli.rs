//! The `sunwork` command. Thin over the SDK: reads settings, calls it, prints. JSON goes to standard output, everything
//! for people's eyes while something runs to standard error.

pub mod accept;
pub mod add;
pub mod agent;
pub mod args;
pub mod bag;
pub mod balances;
pub mod cancel;
pub mod clock;
pub mod completions;
pub mod config;
pub mod config_file;
pub mod confirm;
pub mod deliver;
pub mod dispute;
pub mod doctor;
pub use crate::duration;
pub mod errors;
pub mod exit;
pub mod follow;
pub mod handover;
pub mod image;
pub mod job_args;
pub mod logs;
pub mod offer;
pub mod output;
pub mod password;
pub mod place;
pub mod plan;
pub mod results;
pub mod run;
pub mod session;
pub mod settings;
pub mod status;
pub mod timeline;
pub mod wallet;
pub mod workers;

use clap::{CommandFactory, FromArgMatches};

use self::args::{Args, Command};
use self::exit::{Exit, Failure};
use self::output::{Format, Output};
use self::session::Session;
use self::settings::{Settings, Sources};

/// Parses the command line, runs it, prints its failure, and gives the exit code.
pub async fn main() -> std::process::ExitCode {
    let parsed = command_line().try_get_matches().and_then(|matches| {
        let args = Args::from_arg_matches(&matches)?;
        Ok((args, Sources::of(&matches)))
    });
    let (args, sources) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => return not_understood(&error),
    };
    init_logging(args.global.verbose);
    // Until the settings are read, only the flag and its variable say how to print.
    let mut output = Output::new(args.global.output.unwrap_or(Format::Table));
    let outcome = match before_settings(args.command, &args.global, &sources, &output).await {
        Ok(outcome) => outcome,
        Err(command) => match Settings::load(&args.global, &sources) {
            Ok(settings) => {
                output = Output::new(settings.output);
                dispatch(*command, Session::new(settings, output)).await
            }
            Err(error) => Err(Failure::new(Exit::Config, error)),
        },
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

/// The command line; an environment variable that is set to nothing counts as not set.
fn command_line() -> clap::Command {
    let empty = |arg: &clap::Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    let mut command =
        Args::command().mut_args(|arg| if empty(&arg) { arg.env(clap::builder::Resettable::Reset) } else { arg });
    // Building hands the settings down to the subcommands; only then can they be left out of the help there.
    command.build();
    command.mut_subcommands(without_settings)
}

/// A command whose help tells its own options, and how to print; all settings are in the help of the whole.
fn without_settings(command: clap::Command) -> clap::Command {
    let shorten = |arg: clap::Arg| match arg.get_id().as_str() {
        "output" | "verbose" => arg.help_heading("Settings (the others: sunwork --help)"),
        _ if arg.is_global_set() => arg.hide(true),
        _ => arg,
    };
    command.mut_args(shorten).mut_subcommands(without_settings)
}

/// Commands that must work where the settings cannot be used; gives back every other command.
async fn before_settings(
    command: Command,
    flags: &args::Global,
    sources: &Sources,
    output: &Output,
) -> Result<Result<Exit, Failure>, Box<Command>> {
    match command {
        Command::Doctor => Ok(doctor::run(flags, sources, output).await),
        Command::Config { command } => Ok(config::run(command, flags, sources, output)),
        Command::Completions { shell } => Ok(completions::completions(shell, output)),
        Command::Man { out } => Ok(completions::man(out.as_deref(), output)),
        other => Err(Box::new(other)),
    }
}

/// A command line that clap refuses, or help that was asked for. Scripts get a document of it as of every other failure.
fn not_understood(error: &clap::Error) -> std::process::ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return Exit::Ok.into();
    }
    if asks_for_json(std::env::args(), std::env::var("SUNWORK_OUTPUT").ok()) {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        output::print(&output::error_document(Exit::Usage, message, None).to_string());
    }
    Exit::Usage.into()
}

fn asks_for_json(args: impl Iterator<Item = String>, variable: Option<String>) -> bool {
    let args: Vec<String> = args.take_while(|arg| arg != "--").collect();
    let spoken = args.windows(2).any(|pair| matches!(pair[0].as_str(), "-o" | "--output") && pair[1] == "json");
    let joined = args.iter().any(|arg| matches!(arg.as_str(), "-ojson" | "-o=json" | "--output=json"));
    spoken || joined || variable.as_deref() == Some("json")
}

async fn dispatch(command: Command, session: Session) -> Result<Exit, Failure> {
    match command {
        Command::Run(args) => run::run(&session, *args).await,
        Command::Plan(args) => plan::run(&session, *args).await,
        Command::Image { command } => image::run(&session, command).await,
        Command::Status(args) => status::run(&session, args).await,
        Command::Results(args) => results::run(&session, args).await,
        Command::Logs(args) => logs::run(&session, args).await,
        Command::Offer(args) => offer::run(&session, *args).await,
        Command::Add(args) => add::run(&session, args).await,
        Command::Accept(args) => accept::run(&session, args).await,
        Command::Reject(args) => dispute::reject(&session, args).await,
        Command::Dispute(args) => dispute::dispute(&session, args).await,
        Command::Deliver(args) => deliver::run(&session, args).await,
        Command::Place(args) => place::run(&session, args).await,
        Command::Cancel(args) => cancel::cancel(&session, args).await,
        Command::Expire(args) => cancel::expire(&session, args).await,
        Command::Workers(args) => workers::run(&session, args).await,
        Command::Wallet { command } => wallet::run(&session, command).await,
        // Answered in `before_settings`.
        Command::Doctor | Command::Config { .. } | Command::Completions { .. } | Command::Man { .. } => Ok(Exit::Ok),
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
