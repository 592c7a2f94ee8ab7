//! Keystores of the meter's key.
//!
//! ```text
//! keys/meter/        the key in use; the file is encrypted with the worker's password, mode 0600
//! keys/meter-next/   one that is about to take its place, until the chain has it
//! keys/meter-old/    those that it replaced
//! ```
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use eyre::{WrapErr, eyre};
use sunwork_edge::keystore;

use super::device::{DeviceSigner, SoftwareKey};
use crate::{config::Layer, folder::Folder};

/// Kind of the key in use.
pub const METER: &str = "meter";
/// Kind of the one that takes its place.
pub const NEXT: &str = "meter-next";
/// Kind of those that were in use.
pub const OLD: &str = "meter-old";
/// Keystores that are tried; a folder with more is somebody else's.
const MAX_KEYS: usize = 8;

/// Where keys are, and what opens them.
#[derive(Clone, Debug)]
pub struct Keyring {
    folder: Folder,
    password: PathBuf,
}

/// A key with its file.
pub struct Found {
    /// The key.
    pub signer: Box<dyn DeviceSigner>,
    /// The file.
    pub path: PathBuf,
}

impl Found {
    /// How the ledger names it.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.signer.public().hash()
    }
}

impl Keyring {
    /// That of a data folder.
    #[must_use]
    pub fn of(settings: &Layer, folder: &Folder) -> Self {
        let password = settings.password_file.clone().unwrap_or_else(|| folder.password());
        Self { folder: folder.clone(), password }
    }

    /// Files of a kind.
    #[must_use]
    pub fn files(&self, kind: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.keys(kind)) else { return Vec::new() };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut files: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        files.sort_unstable();
        files.truncate(MAX_KEYS);
        files
    }

    /// All keys of a kind. Slow (scrypt).
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn open(&self, kind: &str) -> eyre::Result<Vec<Found>> {
        self.files(kind).into_iter().map(|path| self.load(path)).collect()
    }

    /// The key with this hash, among those in use and about to be.
    ///
    /// # Errors
    /// What was found instead, for the owner.
    pub fn find(&self, hash: B256) -> Result<Found, String> {
        let mut others = Vec::new();
        for path in [METER, NEXT].into_iter().flat_map(|kind| self.files(kind)) {
            match self.load(path) {
                Ok(found) if found.hash() == hash => return Ok(found),
                Ok(found) => others.push(format!("{} is {}", found.path.display(), found.hash())),
                Err(error) => others.push(format!("{error:#}")),
            }
        }
        let found = if others.is_empty() { "there is none".to_owned() } else { others.join("; ") };
        Err(format!("expected the key {hash} in {}, {found}", self.folder.keys(METER).display()))
    }

    /// Makes a key.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(&self, kind: &str) -> eyre::Result<Found> {
        let password = keystore::read_password(&self.password)?;
        let (path, _) = keystore::create(self.folder.keys(kind), &password)?;
        self.load(path)
    }

    /// Moves all keys of a kind to another.
    ///
    /// # Errors
    /// When a file cannot be moved.
    pub fn shift(&self, from: &str, to: &str) -> eyre::Result<()> {
        let target = self.folder.keys(to);
        for path in self.files(from) {
            let Some(name) = path.file_name() else { continue };
            let doing = || format!("moving {} to {}", path.display(), target.display());
            std::fs::create_dir_all(&target).wrap_err_with(doing)?;
            std::fs::rename(&path, target.join(name)).wrap_err_with(doing)?;
        }
        Ok(())
    }

    fn load(&self, path: PathBuf) -> eyre::Result<Found> {
        let password = keystore::read_password(&self.password)?;
        let stored = keystore::load(&path, &password)?;
        let key = SoftwareKey::derive(&stored.to_bytes().0);
        let key = key.ok_or_else(|| eyre!("{} gives no key of P-256", path.display()))?;
        Ok(Found { signer: Box::new(key), path })
    }

    /// The data folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.root()
    }
}

/// Where the owner says which days are forfeited.
#[must_use]
pub fn give_up_file(root: &Path) -> PathBuf {
    root.join("meter").join("give-up")
}

/// Until which day the owner forfeits.
#[must_use]
pub fn given_up(root: &Path) -> Option<u16> {
    let path = give_up_file(root);
    let size = std::fs::metadata(&path).ok()?.len();
    (size < 64).then(|| std::fs::read_to_string(path).ok()?.trim().parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(dir: &Path) -> Keyring {
        let folder = Folder::create(dir).unwrap();
        std::fs::write(folder.password(), "sun\n").unwrap();
        Keyring::of(&Layer::default(), &folder)
    }

    #[test]
    fn the_key_is_found_by_its_hash_and_its_loss_is_said_in_words() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path());
        let made = keys.create(METER).unwrap();
        assert_eq!(std::fs::metadata(&made.path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(keys.find(made.hash()).unwrap().path, made.path);
        let other = keys.find(B256::repeat_byte(1)).err().unwrap();
        assert!(other.contains(&made.hash().to_string()), "{other}");
        std::fs::write(dir.path().join("password"), "moon\n").unwrap();
        let locked = keys.find(made.hash()).err().unwrap();
        assert!(locked.contains("password does not open"), "{locked}");
        std::fs::remove_file(&made.path).unwrap();
        let gone = keys.find(made.hash()).err().unwrap();
        assert!(gone.contains("there is none"), "{gone}");
    }

    #[test]
    fn a_new_key_takes_the_place_of_the_old_one_which_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path());
        let (old, new) = (keys.create(METER).unwrap(), keys.create(NEXT).unwrap());
        // Found before the files are moved, too: the chain may know it first.
        assert_eq!(keys.find(new.hash()).unwrap().path, new.path);
        keys.shift(METER, OLD).unwrap();
        keys.shift(NEXT, METER).unwrap();
        assert!(keys.find(new.hash()).is_ok() && keys.find(old.hash()).is_err());
        assert_eq!((keys.files(OLD).len(), keys.files(NEXT).len()), (1, 0));
    }
}
