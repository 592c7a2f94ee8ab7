//! Exit codes, and which error gives which. Scripts rely on them: documented in `--help` and docs/cli.md.

use crate::agreements::{FindError, IdError};
use crate::amount::AmountError;
use crate::app_logs::AppLogsError;
use crate::archive::ArchiveError;
use crate::bag::BagError;
use crate::buy::{BuyError, PrepareError, UploadError};
use crate::chain::ReadError;
use crate::class::{Classified, ErrorClass};
use crate::client::{ConnectError, NoSigner};
use crate::confidential::ConfidentialError;
use crate::deliver::DeliverError;
use crate::image_push::ImagePushError;
use crate::job::JobError;
use crate::jobfile::JobFileError;
use crate::keying::KeyingError;
use crate::offer::OfferError;
use crate::placement::PlaceError;
use crate::plan::PlanError;
use crate::preflight::{PreflightError, Problem};
use crate::results::ResultsError;
use sunwork_edge::tx::TxError;
use sunwork_protocol::status::Ending;

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// Anything without a code of its own.
    Failed = 1,
    /// The command line, the job or its terms are wrong.
    Usage = 2,
    /// Settings, deployment file, keystore or password are wrong.
    Config = 3,
    /// No oracle answers.
    Oracle = 4,
    /// The chain cannot be reached, or is another one.
    Chain = 5,
    /// Too little money, allowance or ether for gas.
    Funds = 6,
    /// Too few workers: found before paying, or nobody accepted or verified in time.
    NoWorkers = 7,
    /// The work was done and verified, and some leaf's app failed.
    TaskFailed = 8,
    /// Waiting took longer than `--timeout`.
    TimedOut = 9,
    /// The result is not what the chain agreed on, or the verifiers dissented.
    Mismatch = 10,
    /// The agreement was cancelled for another reason; all was refunded.
    Cancelled = 11,
    /// Ctrl-C; the job goes on.
    Interrupted = 130,
}

/// The table in `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
    0  all went well
    1  anything without a code of its own
    2  the command line, the job or its terms are wrong
    3  settings, deployment file, keystore or password are wrong
    4  no oracle answers
    5  the chain cannot be reached, or is another one than the deployment's
    6  too little money, allowance or ether for gas
    7  too few workers before paying, or nobody accepted or verified in time
    8  the work was done and verified, and the app failed on some leaf
    9  waiting took longer than --timeout
   10  the result is not what the chain agreed on, or the verifiers dissented
   11  the agreement was cancelled for another reason; all was refunded
  130  Ctrl-C while waiting; the job goes on";

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl Exit {
    /// Short name for JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Config => "config",
            Self::Oracle => "oracle_unreachable",
            Self::Chain => "chain_unreachable",
            Self::Funds => "insufficient_funds",
            Self::NoWorkers => "no_workers",
            Self::TaskFailed => "task_failed",
            Self::TimedOut => "timed_out",
            Self::Mismatch => "verification_mismatch",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// What an agreement's ending means to a script that waited for it; `None` for a verified one, where the leaves
    /// decide.
    pub const fn of_ending(ending: Ending) -> Option<Self> {
        match ending {
            Ending::Verified | Ending::None => None,
            Ending::Refuted | Ending::Undecided => Some(Self::Mismatch),
            Ending::NoWorker | Ending::TooFewVerifiers => Some(Self::NoWorkers),
            _ => Some(Self::Cancelled),
        }
    }
}

/// A command that failed: what to tell, and with which code to end.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// The reason.
    pub report: eyre::Report,
}

impl Failure {
    /// From any error.
    pub fn new(exit: Exit, error: impl Into<eyre::Report>) -> Self {
        Self { exit, report: error.into() }
    }

    /// A sentence.
    pub fn say(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { exit, report: eyre::Report::msg(sentence.into()) }
    }
}

/// Which code an error ends the process with.
trait ExitOf {
    fn exit(&self) -> Exit;
}

macro_rules! failures {
    ($($error:ty => |$e:ident| $exit:expr;)+) => {$(
        impl ExitOf for $error {
            fn exit(&self) -> Exit { let $e = self; $exit }
        }
        impl From<$error> for Failure {
            fn from(error: $error) -> Self { Self::new(error.exit(), error) }
        }
    )+};
}

failures! {
    AmountError => |_e| Exit::Usage;
    JobError => |_e| Exit::Usage;
    IdError => |_e| Exit::Usage;
    NoSigner => |_e| Exit::Config;
    PlanError => |_e| Exit::Usage;
    JobFileError => |_e| Exit::Usage;
    ImagePushError => |e| match e {
        ImagePushError::Engine { .. } | ImagePushError::Io { .. } => Exit::Failed,
        _ => Exit::Usage,
    };
    ArchiveError => |_e| Exit::Usage;
    ReadError => |e| if matches!(e, ReadError::Transport { .. }) { Exit::Chain } else { Exit::Failed };
    ConnectError => |e| match e {
        ConnectError::Rpc(_) | ConnectError::NoContract { .. } => Exit::Chain,
        ConnectError::Read(read) => read.exit(),
    };
    FindError => |e| match e {
        FindError::Id(id) => id.exit(),
        FindError::Read(read) => read.exit(),
        FindError::Spec { .. } | FindError::UnknownStatus { .. } => Exit::Failed,
    };
    PreflightError => |e| match e {
        PreflightError::Read(read) => read.exit(),
        PreflightError::Terms(_) => Exit::Usage,
    };
    UploadError => |e| match e {
        UploadError::Changed { .. } | UploadError::Vanished { .. } | UploadError::NotSealed(_) => Exit::Failed,
        UploadError::ImageUnknown { .. } => Exit::Usage,
        UploadError::Blob { .. } | UploadError::Looking { .. } => Exit::Oracle,
    };
    PrepareError => |e| match e {
        PrepareError::Plan(plan) => plan.exit(),
        PrepareError::Seal(seal) => seal.exit(),
        PrepareError::Upload(upload) => upload.exit(),
    };
    BuyError => |e| match e {
        BuyError::Refused { problems, .. } => of_problems(problems),
        BuyError::NoSigner(none) => none.exit(),
        BuyError::NotSealed(_) => Exit::Failed,
        BuyError::Preflight(preflight) => preflight.exit(),
        BuyError::Read(read) => read.exit(),
        BuyError::Terms(_) => Exit::Usage,
        BuyError::Tx(TxError::InsufficientFunds { .. }) => Exit::Funds,
        BuyError::Tx(_) if e.class() == ErrorClass::Retry => Exit::Chain,
        BuyError::Tx(_) | BuyError::Permit(_) | BuyError::NoEvent { .. } => Exit::Failed,
    };
    OfferError => |e| match e {
        OfferError::NoSigner(none) => none.exit(),
        OfferError::Read(read) => read.exit(),
        OfferError::Terms(_) | OfferError::Order(_) | OfferError::TooLong { .. } => Exit::Usage,
        OfferError::Tx(TxError::InsufficientFunds { .. }) => Exit::Funds,
        OfferError::Tx(_) if e.class() == ErrorClass::Retry => Exit::Chain,
        OfferError::NotSealed(_) | OfferError::Signing(_) | OfferError::Tx(_) => Exit::Failed,
    };
    PlaceError => |e| match e {
        PlaceError::NoSigner(none) => none.exit(),
        PlaceError::Find(find) => find.exit(),
        PlaceError::Read(read) => read.exit(),
        PlaceError::NotThePool { .. } => Exit::Config,
        PlaceError::NoPool { .. } | PlaceError::NoWorker { .. } | PlaceError::Placement(_) => Exit::Usage,
        PlaceError::NotOpen { .. } | PlaceError::Signing(_) => Exit::Failed,
    };
    DeliverError => |e| match e {
        DeliverError::Find(find) => find.exit(),
        DeliverError::Results(results) => results.exit(),
        DeliverError::Key(key) => key.exit(),
        DeliverError::NoSigner(none) => none.exit(),
        DeliverError::Tx(TxError::InsufficientFunds { .. }) => Exit::Funds,
        DeliverError::Tx(_) if e.class() == ErrorClass::Retry => Exit::Chain,
        DeliverError::NoCallback { .. } | DeliverError::NotOneFile { .. } | DeliverError::TooLarge { .. } => Exit::Usage,
        DeliverError::Changed { .. } => Exit::Mismatch,
        _ => Exit::Failed,
    };
    BagError => |e| match e {
        BagError::Parts { .. } => Exit::Usage,
        BagError::Prepare { source, .. } => source.exit(),
        BagError::Buy { source, .. } => source.exit(),
        BagError::Keying { source, .. } => source.exit(),
        BagError::Read { source, .. } => source.exit(),
        BagError::Find(find) => find.exit(),
        BagError::Ended { ending, .. } => Exit::of_ending(*ending).unwrap_or(Exit::Failed),
        BagError::Results(results) => results.exit(),
    };
    ConfidentialError => |e| match e {
        ConfidentialError::NoSigner(_) | ConfidentialError::OtherWallet { .. } => Exit::Config,
        ConfidentialError::Encrypt { .. } | ConfidentialError::Changed { .. } => Exit::Failed,
        ConfidentialError::Job(_) | ConfidentialError::SpecTooLong { .. } | ConfidentialError::Spec(_) => Exit::Usage,
    };
    KeyingError => |e| match e {
        KeyingError::NoSigner(_) | KeyingError::NotTheClient { .. } => Exit::Config,
        KeyingError::Read(read) => read.exit(),
        KeyingError::Find(find) => find.exit(),
        KeyingError::Key(key) => key.exit(),
        KeyingError::Mail { .. } => Exit::Oracle,
        KeyingError::Tx(_) if e.class() == ErrorClass::Retry => Exit::Chain,
        KeyingError::NoRecipient { .. } | KeyingError::Seal { .. } | KeyingError::Message(_) | KeyingError::Tx(_) => {
            Exit::Failed
        }
    };
    AppLogsError => |e| match e {
        AppLogsError::Find(find) => find.exit(),
        AppLogsError::Read(read) => read.exit(),
        AppLogsError::Key(key) => key.exit(),
        AppLogsError::Mail { .. } | AppLogsError::Blob { .. } => Exit::Oracle,
        AppLogsError::Unusable { .. } => Exit::Mismatch,
        AppLogsError::NotAsked { .. } | AppLogsError::None { .. } | AppLogsError::Io(_) => Exit::Failed,
    };
    ResultsError => |e| match e {
        ResultsError::Find(find) => find.exit(),
        ResultsError::Verify(_) => Exit::Mismatch,
        ResultsError::Key(key) => key.exit(),
        ResultsError::Blob { .. } => Exit::Oracle,
        ResultsError::None { ending, .. } => Exit::of_ending(*ending).unwrap_or(Exit::Failed),
        ResultsError::NotYet { .. } | ResultsError::Io { .. } => Exit::Failed,
        ResultsError::LeafFailed { .. } => Exit::TaskFailed,
        ResultsError::Occupied { .. }
        | ResultsError::NoSuchLeaf { .. }
        | ResultsError::WhichLeaf { .. }
        | ResultsError::NoSuchFile { .. }
        | ResultsError::WhichFile { .. } => Exit::Usage,
    };
}

/// The code for what stands against a purchase: the first problem's.
pub fn of_problems(problems: &[Problem]) -> Exit {
    match problems.first() {
        Some(Problem::Balance { .. } | Problem::Allowance { .. } | Problem::NoGas { .. }) => Exit::Funds,
        Some(Problem::TooFewWorkers { .. } | Problem::TooLittleStake { .. } | Problem::TooFewPositive { .. }) => {
            Exit::NoWorkers
        }
        Some(Problem::TermsRefused { .. }) => Exit::Usage,
        None => Exit::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_that_are_documented() {
        for exit in [Exit::Failed, Exit::Funds, Exit::NoWorkers, Exit::Mismatch, Exit::Cancelled, Exit::Interrupted] {
            let line = format!("{:>5}  ", exit as u8);
            assert!(EXIT_CODES.contains(&line), "{line:?}");
        }
        let error = BuyError::Refused { problems: vec![Problem::Balance { have: 0, need: 1 }], sentences: vec![] };
        assert_eq!(Failure::from(error).exit, Exit::Funds);
        assert_eq!(Exit::of_ending(Ending::Refuted), Some(Exit::Mismatch));
        assert_eq!(Exit::of_ending(Ending::WorkerSilent), Some(Exit::Cancelled));
    }
}
