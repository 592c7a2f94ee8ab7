//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::duration::seconds;
use super::exit::EXIT_CODES;
use super::image::ImageCommand;
use super::job_args::{JobArgs, PLAN_EXIT_CODES};
use super::output::Format;

/// What a new user does.
const FIRST_STEPS: &str = "\
First steps:
  sunwork wallet create                 make a key; `wallet faucet` fills it on a development network
  sunwork doctor                        check everything, with a fix for what is wrong
  sunwork plan app.tar -- ARGS          what it would cost and who could take it
  sunwork run app.tar -n 16 -- ARGS     buy, follow, fetch the results
  sunwork status last                   what happened, what it waits for, what happens then";

/// Buy verified work, follow it, fetch results proven against the chain.
#[derive(Debug, Parser)]
#[command(name = "sunwork", version, after_help = format!("{FIRST_STEPS}\n\n{EXIT_CODES}"), arg_required_else_help = true)]
pub struct Args {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Settings: flag before environment variable before configuration file.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "Settings (flag before environment before configuration file)")]
pub struct Global {
    /// Node of the chain (http, https, ws, wss); repeat for fallbacks
    #[arg(long, global = true, env = "SUNWORK_RPC", value_delimiter = ',', value_name = "URL")]
    pub rpc: Vec<String>,
    /// Oracle that keeps blobs; repeat for fallbacks
    #[arg(long, global = true, env = "SUNWORK_ORACLE", value_delimiter = ',', value_name = "URL")]
    pub oracle: Vec<String>,
    /// Deployment file; without it, the only file in ./deployments
    #[arg(long, global = true, env = "SUNWORK_DEPLOYMENT", value_name = "FILE")]
    pub deployment: Option<PathBuf>,
    /// Keystore file of the wallet, or a folder with exactly one
    #[arg(long, global = true, env = "SUNWORK_KEYSTORE", value_name = "PATH")]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the keystore's password; without it, you are asked
    #[arg(long, global = true, env = "SUNWORK_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Most that is paid per gas, gwei
    #[arg(long, global = true, env = "SUNWORK_MAX_FEE_GWEI", value_name = "GWEI")]
    pub max_fee_gwei: Option<String>,
    /// Most that the gas of one transaction may cost, ether
    #[arg(long, global = true, env = "SUNWORK_MAX_TX_COST_ETH", value_name = "ETHER")]
    pub max_tx_cost_eth: Option<String>,
    /// Tables for people, JSON for scripts
    #[arg(long, short, global = true, env = "SUNWORK_OUTPUT", value_name = "FORMAT")]
    pub output: Option<Format>,
    /// Configuration file; without it, sunwork/config.toml in $XDG_CONFIG_HOME or ~/.config
    #[arg(long, global = true, env = "SUNWORK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say more about what happens (twice: much more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Buy work: run an image, once or as a bag of leaves, verified by drawn workers
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// What a job would cost, how long it may take, who could take it now, and why the others cannot; buys nothing
    #[command(after_help = PLAN_EXIT_CODES)]
    Plan(Box<JobArgs>),
    /// Images: make an archive that every worker takes, upload it, look into one
    Image {
        /// What to do with it.
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// Your agreements, or everything about one
    Status(StatusArgs),
    /// Fetch the results of an agreement, check every digest against the chain, unpack
    Results(ResultsArgs),
    /// What the app printed (sealed to your wallet by the worker), of finished, failed and stopped work
    Logs(LogsArgs),
    /// Withdraw an offer that nobody has accepted; everything is refunded
    Cancel(IdArgs),
    /// Move an agreement on whose deadline has passed (anybody may)
    Expire(IdArgs),
    /// Classes of workers and who is in them
    Workers(WorkersArgs),
    /// Check everything around this command, one line each, with what to do about it
    #[command(after_help = EXIT_CODES)]
    Doctor,
    /// Settings: what is used, where each is from, and changing the file
    Config {
        /// What to do with them.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print the completion script of a shell
    Completions {
        /// Whose
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write all pages into a folder
    Man {
        /// Folder for the pages of all subcommands
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Keys and money
    Wallet {
        /// What to do with it.
        #[command(subcommand)]
        command: WalletCommand,
    },
}

/// Options of `sunwork run`.
#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// What is to be done.
    #[command(flatten)]
    pub job: JobArgs,
    /// How to pay [default: allowance if it suffices, else permit]
    #[arg(long, value_enum, help_heading = "Money")]
    pub pay: Option<Pay>,
    /// Follow it to its end and fetch the results (the default)
    #[arg(long, conflicts_with = "detach", help_heading = "Afterwards")]
    pub wait: bool,
    /// Only buy; print the id
    #[arg(long, help_heading = "Afterwards")]
    pub detach: bool,
    /// Longest time to wait; the job goes on
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Afterwards")]
    pub timeout: Option<u32>,
    /// Buy nothing: print the job file that means the same, and on standard error what it costs and whether it can be bought
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before paying
    #[arg(long, short)]
    pub yes: bool,
}

/// How to pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Pay {
    /// From an allowance given with `wallet approve`
    Allowance,
    /// With a signed permit, in the same transaction
    Permit,
    /// Through the token's approve-and-call
    ApproveAndCall,
}

/// Options of `sunwork status`.
#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    /// Agreement, or an unambiguous beginning of its id; without it, a list
    pub id: Option<String>,
    /// Follow it to its end
    #[arg(long, short, requires = "id")]
    pub follow: bool,
    /// Longest time to follow
    #[arg(long, value_parser = seconds, value_name = "TIME", requires = "follow")]
    pub timeout: Option<u32>,
    /// List the agreements of this account instead of the wallet's
    #[arg(long, value_name = "ADDRESS", conflicts_with = "id")]
    pub client: Option<String>,
    /// List everybody's agreements
    #[arg(long, conflicts_with_all = ["id", "client"])]
    pub all: bool,
    /// Most lines of the list
    #[arg(long, default_value_t = 20)]
    pub limit: usize,
}

/// Options of `sunwork results`.
#[derive(Debug, ClapArgs)]
pub struct ResultsArgs {
    /// Agreement, an unambiguous beginning of its id, or "last"
    pub id: String,
    /// Folder [default: sunwork- and the beginning of the agreement's id]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Only this leaf
    #[arg(long, value_name = "N")]
    pub leaf: Option<u32>,
    /// Only this file of the leaf, by its path in the leaf's folder
    #[arg(long, value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// Write the file to standard output instead, once it is proven; without --file, the leaf's only file
    #[arg(long)]
    pub stdout: bool,
}

/// Options of `sunwork logs`.
#[derive(Debug, ClapArgs)]
pub struct LogsArgs {
    /// Agreement, or an unambiguous beginning of its id
    pub id: String,
    /// Only this leaf
    #[arg(long, short, value_name = "N")]
    pub leaf: Option<u32>,
    /// Only the last lines of each leaf
    #[arg(long, short, value_name = "LINES")]
    pub tail: Option<usize>,
    /// Only standard output
    #[arg(long)]
    pub stdout: bool,
    /// Only standard error
    #[arg(long)]
    pub stderr: bool,
}

/// One agreement.
#[derive(Debug, ClapArgs)]
pub struct IdArgs {
    /// Agreement, or an unambiguous beginning of its id
    pub id: String,
}

/// Options of `sunwork workers`.
#[derive(Debug, ClapArgs)]
pub struct WorkersArgs {
    /// Most workers listed
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
}

/// What to do with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting as it is used
    Show {
        /// Say where each is from: flag, environment, file and line, default
        #[arg(long)]
        origin: bool,
    },
    /// Print the path of the configuration file
    Path,
    /// Set one setting in the configuration file; the rest of it stays as it is
    Set {
        /// Name of the setting, such as rpc
        key: String,
        /// Its value; several, or with commas, where it is a list
        #[arg(required = true, value_name = "VALUE")]
        values: Vec<String>,
    },
    /// Write a configuration file with every setting explained and commented out
    Init,
}

/// What to do with keys and money.
#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Make a new key
    Create,
    /// Store an existing private key (64 hex digits, from a file or standard input)
    Import {
        /// File with the key; "-" is standard input
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// What the wallet holds, may spend here, and is owed
    Balance,
    /// Let the dispatcher take up to AMOUNT for purchases
    Approve {
        /// Such as 10 or "10 SUN"; 0 takes the permission back
        amount: String,
    },
    /// Send what is owed to the wallet (refunds, unspent rewards)
    Withdraw,
    /// Development network only: get test tokens and ether
    Faucet {
        /// Tokens to get
        #[arg(default_value = "1000")]
        amount: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn run_takes_the_apps_arguments_after_two_dashes() {
        let args = Args::try_parse_from([
            "sunwork",
            "run",
            "app.tar",
            "-n",
            "16",
            "--rpc",
            "http://a,http://b",
            "--rpc",
            "http://c",
            "--",
            "--width",
            "64",
        ])
        .unwrap();
        let Command::Run(run) = args.command else { panic!("run was parsed as something else") };
        assert_eq!((run.job.leaves, run.job.args.len()), (Some(16), 2));
        assert_eq!(args.global.rpc, ["http://a", "http://b", "http://c"]);
        assert!(Args::try_parse_from(["sunwork", "run", "app.tar", "--wait", "--detach"]).is_err());
        assert!(Args::try_parse_from(["sunwork", "run", "app.tar", "--memory", "lots"]).is_err());
    }
}
