//! The folder of a network: keys, data and logs.
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use eyre::{WrapErr, eyre};
use tempfile::TempDir;

use crate::paths;

/// Which folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `.sunwork/<name>/`: emptied at each start, one network at a time, left behind for reading.
    Named(String),
    /// A new one below `.sunwork/`, removed at the end unless the test fails.
    Temporary,
}

/// The folder, held by one network.
#[derive(Debug)]
pub(super) struct NetFolder {
    path: PathBuf,
    temporary: Option<TempDir>,
    /// Held while the network runs.
    _lock: Option<File>,
}

impl NetFolder {
    pub(super) fn create(place: &Place) -> eyre::Result<Self> {
        let state = paths::state_dir();
        fs::create_dir_all(&state).wrap_err_with(|| format!("making {}", state.display()))?;
        match place {
            Place::Temporary => {
                let dir = tempfile::Builder::new()
                    .prefix("net-")
                    .tempdir_in(&state)
                    .wrap_err_with(|| format!("making a folder in {}", state.display()))?;
                Ok(Self { path: dir.path().to_owned(), temporary: Some(dir), _lock: None })
            }
            Place::Named(name) => {
                let lock = state.join(format!("{name}.lock"));
                let file = File::create(&lock).wrap_err_with(|| format!("opening {}", lock.display()))?;
                let path = state.join(name);
                file.try_lock().map_err(|_| {
                    eyre!("another network is running in {}; stop it first (Ctrl-C in its terminal)", path.display())
                })?;
                if path.exists() {
                    fs::remove_dir_all(&path).wrap_err_with(|| format!("emptying {}", path.display()))?;
                }
                fs::create_dir_all(&path).wrap_err_with(|| format!("making {}", path.display()))?;
                Ok(Self { path, temporary: None, _lock: Some(file) })
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a temporary folder, for whoever looks into a failure.
    pub(super) fn keep(&mut self) {
        if let Some(dir) = self.temporary.take() {
            eprintln!("the logs of this network are in {}", dir.keep().display());
        }
    }

    /// Where the deploy script may write: only below `deployments/`.
    pub(super) fn deploy_scratch(&self) -> eyre::Result<TempDir> {
        let dir = paths::root().join("deployments/tmp");
        fs::create_dir_all(&dir).wrap_err_with(|| format!("making {}", dir.display()))?;
        tempfile::tempdir_in(&dir).wrap_err_with(|| format!("making a folder in {}", dir.display()))
    }
}

impl Drop for NetFolder {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.temporary.take()
        {
            eprintln!("the logs of this network are in {}", dir.keep().display());
        }
    }
}
