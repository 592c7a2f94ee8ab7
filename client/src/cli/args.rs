//! The command line.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use super::duration::{mebibytes, milli_cpus, seconds};
use super::exit::EXIT_CODES;
use super::output::Format;

/// Buy verified work, follow it, fetch results proven against the chain.
#[derive(Debug, Parser)]
#[command(name = "sunwork", version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
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
    /// Your agreements, or everything about one
    Status(StatusArgs),
    /// Fetch the results of an agreement, check every digest against the chain, unpack
    Results(ResultsArgs),
    /// Withdraw an offer that nobody has accepted; everything is refunded
    Cancel(IdArgs),
    /// Move an agreement on whose deadline has passed (anybody may)
    Expire(IdArgs),
    /// Classes of workers and who is in them
    Workers(WorkersArgs),
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
    /// Archive made with `docker save`, sha256:… of one that an oracle has, or NAME@sha256:…; never a tag
    pub image: String,
    /// Arguments of the app
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
    /// Leaves (tasks) of the bag; each sees its number in IEXEC_BOT_TASK_INDEX
    #[arg(long, short = 'n', default_value_t = 1, help_heading = "Work")]
    pub leaves: u32,
    /// Number of the first leaf, when this is a part of a larger bag
    #[arg(long, default_value_t = 0, help_heading = "Work")]
    pub first_index: u32,
    /// Input file, fetched by its hash, seen by the app in IEXEC_IN; repeat for more
    #[arg(long, short, value_name = "FILE", help_heading = "Work")]
    pub input: Vec<PathBuf>,
    /// OCI platform; needed where the image is not an archive file
    #[arg(long, value_name = "OS/ARCH", help_heading = "Work")]
    pub platform: Option<String>,
    /// Verifiers drawn
    #[arg(long, short = 'V', default_value_t = 2, help_heading = "Verification")]
    pub verifiers: u8,
    /// Leaves that each verifier computes again [default: 5, or all of a smaller bag]
    #[arg(long, short = 'k', help_heading = "Verification")]
    pub samples: Option<u8>,
    /// T: the result counts with credibility above 1 - 1/T
    #[arg(long, default_value_t = 2, help_heading = "Verification")]
    pub trust: u16,
    /// The worker's reward, or MIN..MAX: rises from MIN to MAX until a worker accepts
    #[arg(long, default_value = "0.5..1", value_name = "AMOUNT", help_heading = "Money")]
    pub reward: String,
    /// Fee of each verifier
    #[arg(long, default_value = "0.1", value_name = "AMOUNT", help_heading = "Money")]
    pub fee: String,
    /// How to pay [default: allowance if it suffices, else permit]
    #[arg(long, value_enum, help_heading = "Money")]
    pub pay: Option<Pay>,
    /// CPU limit of a leaf, cores
    #[arg(long, default_value = "1", value_parser = milli_cpus, value_name = "CORES", help_heading = "Limits of a leaf")]
    pub cpus: u32,
    /// Memory limit
    #[arg(long, default_value = "256M", value_parser = mebibytes, value_name = "SIZE", help_heading = "Limits of a leaf")]
    pub memory: u32,
    /// Room for what the app writes
    #[arg(long, default_value = "64M", value_parser = mebibytes, value_name = "SIZE", help_heading = "Limits of a leaf")]
    pub disk: u32,
    /// Process limit
    #[arg(long, default_value_t = 64, help_heading = "Limits of a leaf")]
    pub pids: u32,
    /// Wall-clock limit
    #[arg(long, default_value = "5m", value_parser = seconds, value_name = "TIME", help_heading = "Limits of a leaf")]
    pub leaf_time: u32,
    /// Largest output
    #[arg(long, default_value = "32M", value_parser = mebibytes, value_name = "SIZE", help_heading = "Limits of a leaf")]
    pub output_size: u32,
    /// For a worker to accept
    #[arg(long, default_value = "10m", value_parser = seconds, value_name = "TIME", help_heading = "Windows")]
    pub accept_window: u32,
    /// For the worker to compute [default: leaf time times leaves, plus 2m]
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Windows")]
    pub work_window: Option<u32>,
    /// For the verifiers to compute [default: leaf time times samples, plus 2m]
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Windows")]
    pub verify_window: Option<u32>,
    /// Folder for the results [default: sunwork- and the beginning of the agreement's id]
    #[arg(long, value_name = "DIR", help_heading = "Afterwards")]
    pub out: Option<PathBuf>,
    /// Follow it to its end and fetch the results (the default)
    #[arg(long, conflicts_with = "detach", help_heading = "Afterwards")]
    pub wait: bool,
    /// Only buy; print the id
    #[arg(long, help_heading = "Afterwards")]
    pub detach: bool,
    /// Longest time to wait; the job goes on
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Afterwards")]
    pub timeout: Option<u32>,
    /// Show what it costs and whether it can be bought; buy nothing
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
    /// Agreement, or an unambiguous beginning of its id
    pub id: String,
    /// Folder [default: sunwork- and the beginning of the agreement's id]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
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
        assert_eq!((run.leaves, run.args.len()), (16, 2));
        assert_eq!(args.global.rpc, ["http://a", "http://b", "http://c"]);
        assert!(Args::try_parse_from(["sunwork", "run", "app.tar", "--wait", "--detach"]).is_err());
        assert!(Args::try_parse_from(["sunwork", "run", "app.tar", "--memory", "lots"]).is_err());
    }
}
