//! Files of the meter's key.
//!
//! ```text
//! keys/meter/        the key in use, mode 0600: `….json` is a keystore encrypted with the worker's password, `….tpm` what a TPM wrapped
//! keys/meter-next/   one that is about to take its place, until the chain has it
//! keys/meter-old/    those that it replaced
//! ```
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use alloy::primitives::B256;
use eyre::{WrapErr, bail, eyre};
use sunwork_edge::keystore;
use sunwork_tpm::{Blob, MAX_BLOB_BYTES, Tpm};

use super::device::{DeviceSigner, SoftwareKey, TpmKey};
use crate::{
    config::{ConfigError, Layer},
    energy::settings::KeyPlace,
    folder::{Folder, write_durably},
};

/// Kind of the key in use.
pub const METER: &str = "meter";
/// Kind of the one that takes its place.
pub const NEXT: &str = "meter-next";
/// Kind of those that were in use.
pub const OLD: &str = "meter-old";
/// Files that are tried; a folder with more is somebody else's.
const MAX_KEYS: usize = 8;
/// Ends the name of a keystore.
const KEYSTORE: &str = "json";
/// Ends the name of a TPM's key.
const WRAPPED: &str = "tpm";

/// Where keys are, and what opens them.
#[derive(Clone, Debug)]
pub struct Keyring {
    folder: Folder,
    password: PathBuf,
    place: KeyPlace,
    tpm: Tpm,
}

/// A key with its file.
pub struct Found {
    /// The key.
    pub signer: Arc<dyn DeviceSigner>,
    /// The file.
    pub path: PathBuf,
    /// Where the key itself is.
    pub place: KeyPlace,
}

/// What a key was looked for in: files, and when they were written.
pub type Seen = Vec<(PathBuf, Option<SystemTime>)>;

impl Found {
    /// How the ledger names it.
    #[must_use]
    pub fn hash(&self) -> B256 {
        self.signer.public().hash()
    }
}

impl Keyring {
    /// That of a data folder.
    ///
    /// # Errors
    /// When the settings name no place for keys.
    pub fn of(settings: &Layer, folder: &Folder) -> Result<Self, ConfigError> {
        let password = settings.password_file.clone().unwrap_or_else(|| folder.password());
        let (place, tpm) = (settings.energy.meter_key()?, settings.energy.tpm());
        Ok(Self { folder: folder.clone(), password, place, tpm })
    }

    /// Where the next key is made.
    #[must_use]
    pub const fn place(&self) -> KeyPlace {
        self.place
    }

    /// Keys in a TPM, in use and about to be, as far as their files can be read.
    #[must_use]
    pub fn wrapped(&self) -> Vec<Blob> {
        let paths = [self.files(METER), self.files(NEXT)].concat();
        let ours = paths.iter().filter(|path| path.extension().is_some_and(|end| end == WRAPPED));
        ours.filter_map(|path| read_blob(path).ok()).collect()
    }

    /// The TPM of keys that are in one.
    #[must_use]
    pub const fn tpm(&self) -> &Tpm {
        &self.tpm
    }

    /// Files of a kind.
    #[must_use]
    pub fn files(&self, kind: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.keys(kind)) else { return Vec::new() };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let ours = |path: &PathBuf| path.extension().is_some_and(|end| end == KEYSTORE || end == WRAPPED);
        let mut files: Vec<_> = paths.filter(ours).collect();
        files.sort_unstable();
        files.truncate(MAX_KEYS);
        files
    }

    /// What [`Keyring::find`] looks at: whoever found nothing need not look again before this changes.
    #[must_use]
    pub fn seen(&self) -> Seen {
        let written = |path: &PathBuf| std::fs::metadata(path).ok()?.modified().ok();
        let mut paths = [self.files(METER), self.files(NEXT)].concat();
        paths.push(self.password.clone());
        paths.into_iter().map(|path| (path.clone(), written(&path))).collect()
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

    /// Makes a key, where the settings say. May take seconds.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn create(&self, kind: &str) -> eyre::Result<Found> {
        use std::os::unix::fs::DirBuilderExt;
        let dir = self.folder.keys(kind);
        if self.place == KeyPlace::Tpm {
            let blob = self.tpm.create().wrap_err_with(|| format!("making a key in the TPM at {}", self.tpm.tcti()))?;
            let doing = || format!("keeping the TPM's key in {}", dir.display());
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).wrap_err_with(doing)?;
            let path = dir.join(format!("{}.{WRAPPED}", hex::encode(&blob.x[..20])));
            write_durably(&path, blob.to_json().as_bytes()).wrap_err_with(doing)?;
            return self.load(path);
        }
        let password = keystore::read_password(&self.password)?;
        let (path, _) = keystore::create(dir, &password)?;
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
        if path.extension().is_some_and(|end| end == WRAPPED) {
            let blob = read_blob(&path).wrap_err_with(|| format!("reading {}", path.display()))?;
            let signer = Arc::new(TpmKey::of(self.tpm.clone(), blob));
            return Ok(Found { signer, path, place: KeyPlace::Tpm });
        }
        let password = keystore::read_password(&self.password)?;
        let stored = keystore::load(&path, &password)?;
        let key = SoftwareKey::derive(&stored.to_bytes().0);
        let key = key.ok_or_else(|| eyre!("{} gives no key of P-256", path.display()))?;
        Ok(Found { signer: Arc::new(key), path, place: KeyPlace::Software })
    }

    /// The data folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.root()
    }
}

/// A TPM's key from its file; the TPM is not asked.
fn read_blob(path: &Path) -> eyre::Result<Blob> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BLOB_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BLOB_BYTES {
        bail!("it is far larger than any key of a TPM");
    }
    Ok(Blob::from_json(&text)?)
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
        Keyring::of(&Layer::default(), &folder).unwrap()
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
        // Who mends the password is looked at again, as who brings a file back.
        let seen = keys.seen();
        assert_eq!(keys.seen(), seen);
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(dir.path().join("password"), "sun\n").unwrap();
        assert_ne!(keys.seen(), seen);
        assert!(keys.find(made.hash()).is_ok());
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

    #[test]
    fn a_key_of_a_tpm_is_found_by_its_file_alone_and_what_is_no_such_key_is_said_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ring(dir.path());
        let software = keys.create(METER).unwrap();
        let blob = Blob { x: [1; 32], y: [2; 32], private: vec![3; 126] };
        let path = dir.path().join("keys/meter/01.tpm");
        std::fs::write(&path, blob.to_json()).unwrap();
        let all = keys.open(METER).unwrap();
        let places: Vec<_> = all.iter().map(|found| found.place).collect();
        assert!(places.contains(&KeyPlace::Tpm) && places.contains(&KeyPlace::Software));
        let hash = TpmKey::of(keys.tpm().clone(), blob).public().hash();
        assert_eq!(keys.find(hash).unwrap().path, path);
        assert_eq!(keys.find(software.hash()).unwrap().place, KeyPlace::Software);
        std::fs::write(&path, "{}").unwrap();
        let damaged = keys.find(hash).err().unwrap();
        assert!(damaged.contains("01.tpm") && damaged.contains("this is no key of a TPM"), "{damaged}");
        std::fs::write(&path, "0".repeat(20_000)).unwrap();
        assert!(keys.find(hash).err().unwrap().contains("far larger"));
    }

    #[cfg(not(feature = "tpm"))]
    #[test]
    fn a_build_without_tpm_says_so_when_the_settings_ask_for_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path()).unwrap();
        let mut settings = Layer::default();
        settings.energy.energy_meter_key = Some("tpm".into());
        let error = Keyring::of(&settings, &folder).unwrap().create(METER).err().unwrap();
        let text = format!("{error:#}");
        assert!(text.contains("/dev/tpmrm0") && text.contains("feature `tpm`"), "{text}");
    }
}
