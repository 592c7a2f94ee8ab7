//! The command line.

use std::path::PathBuf;

use alloy::primitives::Address;
use clap::{Args as ClapArgs, Parser, Subcommand};

use super::duration::seconds;
use super::exit::EXIT_CODES;
use super::image::ImageCommand;
use super::job_args::{JobArgs, PLAN_EXIT_CODES};
use super::output::Format;

/// The help of the command as a whole: commands in the order in which a newcomer needs them, 80 columns.
const HELP: &str = "\
{about}

{usage-heading} {usage}

First steps:
  sunwork wallet create              make a key
  sunwork wallet faucet              test money, on a development network
  sunwork doctor                     is everything there?
  sunwork image push my-app:latest   prints the name that the next two take
  sunwork plan IMAGE -- ARGS         what it costs, who could take it
  sunwork run IMAGE -n 16 -- ARGS    buy, follow, fetch the results
  sunwork status last                what happened, what it waits for

Start:
  wallet       Make or import a key; balance, test money, withdraw, key agent
  doctor       Check everything around this command, and say how to fix it
  config       Settings: what is used, where each is from; change the file
Buy:
  image        Make an archive of a Docker image or Dockerfile, upload it
  plan         What a job costs, how long it takes, who could take it
  run          Buy work, follow it, fetch the results
  offer        Sign an offer; whoever accepts buys for you, you pay no gas
  add          Add to the reward of an offer that nobody has accepted yet
Follow:
  status       Your agreements, or what happened to one and what it waits for
  logs         What the app printed
  results      Fetch results, prove every digest against the chain, unpack
  accept       Accept an open result; the worker is paid at once
  reject       Have a result of trust level 0 verified, at your bond
  dispute      Have a leaf of an open result computed again, at a bond
  cancel       Withdraw an offer that nobody has accepted; all is refunded
  expire       Move on an agreement whose deadline has passed
Around it:
  deliver      Hand a verified result to the contract that the terms name
  place        As a pool: say which worker may take an agreement
  workers      Classes of workers and who is in them
  completions  Print the completion script of a shell
  man          Print the manual page, or write all pages into a folder
  help         Print this, or the help of a command

Options and settings (each also in the environment, --rpc as SUNWORK_RPC, and in
the configuration file; a flag wins over the environment, that over the file):
{options}{after-help}
";

/// Buy verified work, follow it, fetch results proven against the chain.
#[derive(Debug, Parser)]
#[command(name = "sunwork", version, help_template = HELP, after_help = EXIT_CODES, arg_required_else_help = true)]
#[command(max_term_width = 80)]
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
    #[arg(long, global = true, hide_env = true, env = "SUNWORK_RPC", value_delimiter = ',', value_name = "URL")]
    pub rpc: Vec<String>,
    /// Oracle that keeps blobs; repeat for fallbacks
    #[arg(long, global = true, hide_env = true, env = "SUNWORK_ORACLE", value_delimiter = ',', value_name = "URL")]
    pub oracle: Vec<String>,
    /// Deployment file; without it, the only file in ./deployments
    #[arg(long, global = true, hide_env = true, env = "SUNWORK_DEPLOYMENT", value_name = "FILE")]
    pub deployment: Option<PathBuf>,
    /// Keystore file of the wallet, or a folder with one; without it, the only one in ~/.local/share/sunwork/keystore
    #[arg(long, global = true, hide_env = true, env = "SUNWORK_KEYSTORE", value_name = "PATH")]
    pub keystore: Option<PathBuf>,
    /// File whose first line is the wallet's password; without it, you are asked
    #[arg(long, global = true, hide_env = true, env = "SUNWORK_PASSWORD_FILE", value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Most that is paid per gas, gwei [default: 200]
    #[arg(long, global = true, hide_env = true, env = "SUNWORK_MAX_FEE_GWEI", value_name = "GWEI")]
    pub max_fee_gwei: Option<String>,
    /// Most that the gas of one transaction may cost, ether [default: 0.1]
    #[arg(long, global = true, hide_env = true, env = "SUNWORK_MAX_TX_COST_ETH", value_name = "ETHER")]
    pub max_tx_cost_eth: Option<String>,
    /// "table" for people, "json" for scripts
    #[arg(
        long,
        short,
        global = true,
        hide_possible_values = true,
        hide_env = true,
        env = "SUNWORK_OUTPUT",
        value_name = "FORMAT"
    )]
    pub output: Option<Format>,
    /// Configuration file; without it, sunwork/config.toml in $XDG_CONFIG_HOME or ~/.config
    #[arg(long, global = true, hide_env = true, env = "SUNWORK_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say more about what happens (twice: much more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make or import a key; balance, test money, withdraw, key agent
    Wallet {
        /// What to do with it.
        #[command(subcommand)]
        command: WalletCommand,
    },
    /// Check everything around this command, with a fix for what is wrong
    #[command(after_help = EXIT_CODES)]
    Doctor,
    /// Settings: what is used, where each is from; change the file
    Config {
        /// What to do with them.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make an archive of a Docker image or Dockerfile, upload it
    Image {
        /// What to do with it.
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// What a job would cost, how long it takes, who could take it and why the others cannot; buys nothing
    #[command(after_help = PLAN_EXIT_CODES)]
    Plan(Box<JobArgs>),
    /// Buy work: run an image, once or as a bag of leaves, verified by drawn workers; follow it and fetch the results
    #[command(after_help = EXIT_CODES)]
    Run(Box<RunArgs>),
    /// Your agreements, or what happened to one and what it waits for
    Status(StatusArgs),
    /// What the app printed, of finished, failed and stopped work (the worker sealed it to your wallet)
    Logs(LogsArgs),
    /// Fetch results, prove every digest against the chain, unpack
    Results(ResultsArgs),
    /// Sign an offer; whoever accepts it buys for you and accepts in one transaction, and you pay no gas
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = EXIT_CODES)]
    Offer(Box<OfferArgs>),
    /// Add to the reward of an offer that nobody has accepted yet (anybody may)
    Add(AddArgs),
    /// Accept an open result: the worker is paid at once
    Accept(IdArgs),
    /// Trust level 0: have the result verified, at your bond; a rejection refunds nothing by itself
    Reject(BondArgs),
    /// Have a leaf of an open result computed again by more verifiers, at a bond (anybody may)
    Dispute(DisputeArgs),
    /// Hand a verified result to the contract that the terms name (anybody may who can read it)
    Deliver(DeliverArgs),
    /// As the pool that the terms name: sign which worker may take the agreement (sends nothing)
    Place(PlaceArgs),
    /// Withdraw an offer that nobody has accepted; everything is refunded
    Cancel(IdArgs),
    /// Move on an agreement whose deadline has passed (anybody may)
    Expire(IdArgs),
    /// Classes of workers and who is in them
    Workers(WorkersArgs),
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
}

/// Options of `sunwork run`.
#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// What is to be done.
    #[command(flatten)]
    pub job: JobArgs,
    /// From an allowance, with a permit, or by approve-and-call [default: allowance if it suffices, else permit]
    #[arg(long, value_enum, value_name = "HOW", hide_possible_values = true, help_heading = "Money")]
    pub pay: Option<Pay>,
    /// Follow it to its end and fetch the results (the default)
    #[arg(long, conflicts_with = "detach", help_heading = "Afterwards")]
    pub wait: bool,
    /// Only buy, print the id; confidential work without a key agent stays until a worker has the key
    #[arg(long, help_heading = "Afterwards")]
    pub detach: bool,
    /// Longest time to wait; the job goes on
    #[arg(long, value_parser = seconds, value_name = "TIME", help_heading = "Afterwards")]
    pub timeout: Option<u32>,
    /// Buy nothing: print the job file that means the same, and on standard error what it costs and whether it can be bought
    #[arg(long)]
    pub dry_run: bool,
    /// Buy although no worker could take it now: one may come within the accept window
    #[arg(long)]
    pub anyway: bool,
    /// Buy the bag as so many agreements, several at a time, each with its share of the leaves and at this reward and fee
    #[arg(long, value_name = "N", help_heading = "Work", value_parser = clap::value_parser!(u32).range(1..))]
    pub split: Option<u32>,
    /// Do not ask before paying
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `sunwork offer`.
#[derive(Debug, ClapArgs)]
pub struct OfferArgs {
    /// Another thing to do.
    #[command(subcommand)]
    pub command: Option<OfferCommand>,
    /// What is to be done.
    #[command(flatten)]
    pub job: JobArgs,
    /// Agreements that may be made of it, each with the same work
    #[arg(long, default_value_t = 1, value_name = "N", help_heading = "Offer", value_parser = clap::value_parser!(u32).range(1..))]
    pub volume: u32,
    /// How long it is good for; the price rises over this time unless --accept-window says otherwise
    #[arg(long, value_parser = seconds, default_value = "1h", value_name = "TIME", help_heading = "Offer")]
    pub expires: u32,
    /// Write the signed order here too (it is kept in your data folder in any case)
    #[arg(long, value_name = "FILE", help_heading = "Offer")]
    pub order: Option<PathBuf>,
    /// Leave at once; confidential work waits for its session key until you come back
    #[arg(long, help_heading = "Afterwards")]
    pub detach: bool,
    /// Sign nothing: print what it would cost
    #[arg(long)]
    pub dry_run: bool,
    /// Sign although no worker could take it now
    #[arg(long)]
    pub anyway: bool,
    /// Do not ask before allowing the money
    #[arg(long, short)]
    pub yes: bool,
}

/// What to do with offers.
#[derive(Debug, Subcommand)]
pub enum OfferCommand {
    /// Offers signed here, how often they were used, and the agreements made of them
    List,
    /// End an offer for good; agreements made of it go on
    Cancel {
        /// Its hash or the beginning of it
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        hash: Option<String>,
        /// All offers that this wallet has ever signed
        #[arg(long)]
        all: bool,
    },
}

/// Options of `sunwork add`.
#[derive(Debug, ClapArgs)]
pub struct AddArgs {
    /// Agreement, an unambiguous beginning of its id, or "last"
    pub id: String,
    /// Such as 0.5 or "0.5 SUN"
    #[arg(required_unless_present = "refund", conflicts_with = "refund")]
    pub amount: Option<String>,
    /// Take back your part of what was not spent, once it has ended
    #[arg(long)]
    pub refund: bool,
    /// Send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before paying
    #[arg(long, short)]
    pub yes: bool,
}

/// An agreement, and whether to put down a bond for it.
#[derive(Debug, ClapArgs)]
pub struct BondArgs {
    /// Agreement, an unambiguous beginning of its id, or "last"
    pub id: String,
    /// Send nothing: say what the bond is
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask before paying
    #[arg(long, short)]
    pub yes: bool,
}

/// Options of `sunwork dispute`.
#[derive(Debug, ClapArgs)]
pub struct DisputeArgs {
    /// The agreement and its bond.
    #[command(flatten)]
    pub bond: BondArgs,
    /// The leaf that is not believed, from 0
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub leaf: u32,
}

/// Options of `sunwork deliver`.
#[derive(Debug, ClapArgs)]
pub struct DeliverArgs {
    /// Agreement, an unambiguous beginning of its id, or "last"
    pub id: String,
    /// Which leaf
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub leaf: u32,
    /// Its results folder; fetched into it where nothing is there [default: sunwork- and the beginning of the agreement's id]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
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
    /// Agreement, an unambiguous beginning of its id, or "last"; without it, a list
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
    /// Agreement, an unambiguous beginning of its id, or "last"
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
    /// Agreement, an unambiguous beginning of its id, or "last"
    pub id: String,
}

/// Options of `sunwork place`.
#[derive(Debug, ClapArgs)]
pub struct PlaceArgs {
    /// Agreement, an unambiguous beginning of its id, or "last"
    pub id: String,
    /// The worker's owner account
    pub worker: Address,
    /// How long the placement holds
    #[arg(long, value_parser = seconds, default_value = "10m", value_name = "TIME")]
    pub expiry: u32,
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
    /// Show, name or dismiss the key agent: it hands session keys of confidential work to workers while you are away, and
    /// can read that work
    Agent {
        /// Account of the agent, "oracle" for the one that your oracle offers, "none" to dismiss; without it, shows who it is
        agent: Option<String>,
    },
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
    fn the_help_names_every_command_and_fits_80_columns() {
        let mut command = crate::cli::command_line();
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let line = format!("\n  {:<11}  ", sub.get_name());
            assert!(HELP.contains(&line), "{} is not in the help", sub.get_name());
        }
        let text = command.render_long_help().to_string();
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(long.is_empty() && text.contains("--rpc"), "{long:?}");
        // Settings are told once; a command's own help keeps to its own options.
        let run = command.find_subcommand_mut("run").unwrap().render_long_help().to_string();
        assert!(run.contains("--leaves") && run.contains("--output") && !run.contains("--rpc"), "{run}");
        let agent = command.find_subcommand_mut("wallet").unwrap().find_subcommand_mut("agent").unwrap();
        assert!(!agent.render_long_help().to_string().contains("--rpc"));
    }

    #[test]
    fn settings_are_taken_behind_every_command() {
        let line = ["sunwork", "wallet", "agent", "--rpc", "http://a", "-o", "json", "none"];
        let matches = crate::cli::command_line().try_get_matches_from(line).unwrap();
        let args = <Args as clap::FromArgMatches>::from_arg_matches(&matches).unwrap();
        assert_eq!((args.global.rpc, args.global.output), (vec!["http://a".to_owned()], Some(Format::Json)));
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
