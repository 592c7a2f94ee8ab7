//! The data folder: where everything is, and that only one process uses it.
//!
//! ```text
//! lock                     held while a worker runs
//! journal                  see [`crate::journal`]
//! facts.json               see [`crate::facts`]
//! keys/{owner,device}/     keystores
//! keys/encryption/         keystore of the secret that session keys are sealed to; the same file on all devices of a worker
//! keys/meter{,-next,-old}/ keystores of the metering device, see [`crate::energy::attest::keys`]
//! meter/<key hash>.jsonl   everything that it signed, see [`crate::energy::attest::book`]
//! password                 made by `init` when no password file is given
//! agreements/<address>/    inputs/ (as the app sees them, in clear)  sealed/<index> (encrypted inputs)  out/<leaf>/
//!                          bodies/<leaf>  logs/<leaf>  bundle  theirs (the worker's bundle, as verifier)
//! placements/<address>     placements that pools signed for us, until their agreements are over
//! orders/                  signed offers on their way, see [`crate::orders`]
//! images/                  archives on their way into the engine
//! ```
use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::primitives::Address;

/// How often the lock is tried, and how long between.
const LOCK_TRIES: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("another worker process uses the data folder {}; stop it first, or give this one a folder of its own with --data-dir", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// There is none.
    #[error(
        "there is no data folder {}; `sunwork-worker init` makes it, or name the worker's with --data-dir or SUNWORK_WORKER_DATA_DIR",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It cannot be made or opened.
    #[error("cannot use the data folder {}: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// The data folder.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
}

/// Proof that this process alone uses the folder; ends with the value, also when the process is killed.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Folder {
    /// The folder of this name, there or not: nothing is made, nothing is looked at. For whoever only reads, or may do without.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder, which must be there; nothing is made.
    ///
    /// # Errors
    /// When it is missing, or cannot be looked at.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, FolderError> {
        let folder = Self::at(root);
        let path = folder.root.clone();
        match std::fs::metadata(&path) {
            Ok(found) if found.is_dir() => Ok(folder),
            Ok(_) => Err(FolderError::Io { path, source: std::io::ErrorKind::NotADirectory.into() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(FolderError::Missing { path }),
            Err(source) => Err(FolderError::Io { path, source }),
        }
    }

    /// The folder, made when it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, FolderError> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = Self::at(root);
        for path in [folder.root.clone(), folder.root.join("agreements"), folder.images()] {
            // Salts and keys are nobody else's business. A folder that is there keeps the rights that it has.
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|source| FolderError::Io { path, source })?;
        }
        Ok(folder)
    }

    /// Claims the folder for this process.
    ///
    /// # Errors
    /// When another process has it.
    pub fn lock(&self) -> Result<Lock, FolderError> {
        let io = |source| FolderError::Io { path: self.root.clone(), source };
        let path = self.root.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(io)?;
        // Whoever asks [`Self::is_in_use`] has it for a moment.
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        Err(FolderError::InUse { path: self.root.clone() })
    }

    /// Whether a worker runs on it. Nothing is made.
    pub fn is_in_use(&self) -> bool {
        // A lock on a file that is only read counts as much.
        let file = File::open(self.root.join("lock"));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The journal.
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// What the chain said at the last start, see [`crate::facts`].
    pub fn facts(&self) -> PathBuf {
        self.root.join("facts.json")
    }

    /// The placement that a pool signed for us for an agreement.
    pub fn placement(&self, agreement: Address) -> PathBuf {
        self.root.join("placements").join(format!("{agreement:?}.json"))
    }

    /// Archives on their way into the engine.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Keystores of one kind, "owner", "device" or "encryption".
    pub fn keys(&self, kind: &str) -> PathBuf {
        self.root.join("keys").join(kind)
    }

    /// The password that `init` made.
    pub fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    /// Everything of one agreement.
    pub fn agreement(&self, address: Address) -> AgreementFolder {
        AgreementFolder { root: self.root.join("agreements").join(format!("{address:?}")) }
    }

    /// Deletes the files of every agreement that is not `open`, such as those that a crash kept from being deleted: decrypted
    /// inputs shall not lie about. Returns how many were deleted.
    ///
    /// # Errors
    /// When the folder cannot be read or something cannot be deleted.
    pub fn sweep(&self, open: impl Fn(Address) -> bool) -> std::io::Result<usize> {
        let entries = match std::fs::read_dir(self.root.join("agreements")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut swept = 0;
        for entry in entries {
            let entry = entry?;
            // What is not named by an address is not ours.
            let Some(address) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if !open(address) {
                self.agreement(address).remove()?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

/// The files of one agreement.
#[derive(Clone, Debug)]
pub struct AgreementFolder {
    root: PathBuf,
}

impl AgreementFolder {
    /// Makes its folders.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn create(&self) -> std::io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        // Decrypted inputs are nobody else's business. What is below is reachable for the engine, which mounts it.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.root)?;
        for name in ["inputs", "sealed", "bodies", "logs"] {
            std::fs::create_dir_all(self.root.join(name))?;
        }
        Ok(())
    }

    /// Inputs, as the app sees them.
    pub fn inputs(&self) -> PathBuf {
        self.root.join("inputs")
    }

    /// An encrypted input.
    pub fn sealed(&self, index: usize) -> PathBuf {
        self.root.join("sealed").join(index.to_string())
    }

    /// What the leaves printed, a file each.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Inputs on their way.
    pub fn incoming(&self, index: usize) -> PathBuf {
        self.root.join(format!("incoming-{index}"))
    }

    /// Output of a leaf, until it is digested.
    pub fn out(&self, leaf: u32) -> PathBuf {
        self.root.join("out").join(leaf.to_string())
    }

    /// Socket of a leaf that may speak to hosts.
    pub fn socket(&self, leaf: u32) -> PathBuf {
        self.root.join(format!("net-{leaf}.sock"))
    }

    /// Encrypted body of a leaf.
    pub fn body(&self, leaf: u32) -> PathBuf {
        self.root.join("bodies").join(leaf.to_string())
    }

    /// The own bundle.
    pub fn bundle(&self) -> PathBuf {
        self.root.join("bundle")
    }

    /// The worker's bundle, as verifier.
    pub fn theirs(&self) -> PathBuf {
        self.root.join("theirs")
    }

    /// Deletes all of it.
    ///
    /// # Errors
    /// When something cannot be deleted.
    pub fn remove(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes a file that only its owner reads, so that it is there whole or not at all, whatever happens.
///
/// # Errors
/// When it cannot be written.
pub fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut draft = path.as_os_str().to_owned();
    draft.push(".draft");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&draft, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// SHA-256 and length of everything that `source` gives, read in pieces.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of(mut source: impl std::io::Read) -> std::io::Result<([u8; 32], u64)> {
    use sha2::{Digest, Sha256};
    let (mut hasher, mut length, mut piece) = (Sha256::new(), 0, vec![0; 64 << 10]);
    loop {
        let count = match source.read(&mut piece) {
            Ok(0) => return Ok((hasher.finalize().into(), length)),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&piece[..count]);
        length += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_process_is_refused_with_a_sentence() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::create(root.path()).unwrap();
        let lock = folder.lock().unwrap();
        let error = Folder::create(root.path()).unwrap().lock().unwrap_err();
        assert!(matches!(error, FolderError::InUse { .. }));
        assert!(error.to_string().contains("--data-dir"), "{error}");
        assert!(folder.is_in_use());
        drop(lock);
        assert!(!folder.is_in_use());
        // Whoever only asks does not keep a worker from its start.
        let asked = File::open(folder.root().join("lock")).unwrap();
        asked.try_lock_shared().unwrap();
        let soon = std::thread::spawn(move || {
            std::thread::sleep(LOCK_PAUSE);
            drop(asked);
        });
        folder.lock().unwrap();
        soon.join().unwrap();
    }

    #[test]
    fn whoever_only_looks_makes_nothing_and_a_folder_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert!(!Folder::at(&missing).is_in_use());
        let error = Folder::open(&missing).unwrap_err();
        assert!(matches!(&error, FolderError::Missing { path } if *path == missing), "{error}");
        assert!(error.to_string().contains("sunwork-worker init"), "{error}");
        assert!(!Folder::open(dir.path()).unwrap().is_in_use());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(Folder::open(&file).unwrap_err().to_string().contains("not a directory"));
    }

    #[test]
    fn files_of_agreements_that_are_over_do_not_outlive_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        let (open, over) = (Address::repeat_byte(1), Address::repeat_byte(2));
        for agreement in [open, over] {
            folder.agreement(agreement).create().unwrap();
        }
        std::fs::write(folder.agreement(over).inputs().join("secret.txt"), "secret").unwrap();
        std::fs::create_dir(dir.path().join("agreements/not-ours")).unwrap();
        assert_eq!(folder.sweep(|agreement| agreement == open).unwrap(), 1);
        assert!(folder.agreement(open).inputs().is_dir() && !folder.agreement(over).inputs().exists());
        assert!(dir.path().join("agreements/not-ours").is_dir());
    }
}
