//! Exit codes, and which error gives which. Scripts and units rely on them: docs/WORKER.md has the table.
use crate::{
    chain::ChainError, config::ConfigError, control::client::ControlError, folder::FolderError, identity::KeyError,
    journal::JournalError, runtime::RuntimeError,
};
use sunwork_edge::{
    deployment::DeploymentError, keystore::KeystoreError, rpc::RpcError, settings::ConfigFileError, tx::TxError,
};
use sunwork_tpm::TpmError;

/// What the process ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// Anything without a code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Settings, deployment file, keystore or password are wrong.
    Config = 3,
    /// No worker runs here, or it is not ours to command.
    NoWorker = 4,
    /// The chain cannot be reached, or is another one.
    Chain = 5,
    /// The chain refuses the transaction, or there is too little for it.
    Refused = 6,
    /// The container engine does not answer or cannot keep the cage.
    Engine = 7,
    /// `doctor` or `config check` found something that cannot work.
    Unfit = 8,
    /// Another process uses the data folder.
    InUse = 9,
    /// The journal cannot be used.
    Journal = 10,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// `doctor` or `config check` found something; it has been printed.
#[derive(Debug, thiserror::Error)]
#[error("{failed} failed")]
pub struct Unfit {
    /// How many checks.
    pub failed: usize,
}

/// The code of an error: that of the first cause which has one.
pub fn exit_of(report: &eyre::Report) -> Exit {
    report.chain().find_map(code).unwrap_or(Exit::Failed)
}

fn code(error: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    let is_config = error.is::<ConfigError>()
        || error.is::<ConfigFileError>()
        || error.is::<DeploymentError>()
        || error.is::<KeystoreError>()
        || error.is::<KeyError>();
    if is_config {
        return Some(Exit::Config);
    }
    if let Some(error) = error.downcast_ref::<ControlError>() {
        return Some(match error {
            ControlError::Refused(_) => Exit::Failed,
            _ => Exit::NoWorker,
        });
    }
    if let Some(error) = error.downcast_ref::<FolderError>() {
        return match error {
            FolderError::InUse { .. } => Some(Exit::InUse),
            FolderError::Missing { .. } => Some(Exit::Config),
            FolderError::Io { .. } => None,
        };
    }
    if let Some(error) = error.downcast_ref::<TpmError>() {
        // What the settings ask for cannot be; else the device is at fault.
        return matches!(error, TpmError::NotBuilt | TpmError::Address { .. }).then_some(Exit::Config);
    }
    if let Some(error) = error.downcast_ref::<TxError>() {
        return Some(if error.is_temporary() { Exit::Chain } else { Exit::Refused });
    }
    let found = [
        (error.is::<RpcError>() || error.is::<ChainError>(), Exit::Chain),
        (error.is::<RuntimeError>(), Exit::Engine),
        (error.is::<Unfit>(), Exit::Unfit),
        (error.is::<JournalError>(), Exit::Journal),
    ];
    found.into_iter().find_map(|(yes, exit)| yes.then_some(exit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eyre::WrapErr;

    #[test]
    fn the_first_cause_with_a_code_decides() {
        let in_use = FolderError::InUse { path: "/x".into() };
        let report = Err::<(), _>(in_use).wrap_err("opening the data folder").unwrap_err();
        assert_eq!(exit_of(&report), Exit::InUse);
        assert_eq!(exit_of(&FolderError::Missing { path: "/x".into() }.into()), Exit::Config);
        let no_key = KeyError::Missing { kind: "owner", folder: "/x".into() };
        assert_eq!(exit_of(&no_key.into()), Exit::Config);
        assert_eq!(exit_of(&eyre::eyre!("something")), Exit::Failed);
        assert_eq!(exit_of(&RpcError::NoUrl.into()), Exit::Chain);
        assert_eq!(exit_of(&ControlError::NotRunning { path: "/x".into() }.into()), Exit::NoWorker);
        assert_eq!(exit_of(&Unfit { failed: 2 }.into()), Exit::Unfit);
        assert_eq!(exit_of(&TpmError::NotBuilt.into()), Exit::Config);
        assert_eq!(exit_of(&TpmError::Full.into()), Exit::Failed);
    }
}
