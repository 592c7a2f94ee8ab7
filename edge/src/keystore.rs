//! Private keys in Web3 secret storage (scrypt, AES-128-CTR), one file per key.
use std::path::{Path, PathBuf};

use alloy::{
    primitives::Address,
    signers::{
        k256::elliptic_curve::rand_core::OsRng,
        local::{LocalSignerError, PrivateKeySigner},
    },
};
use eth_keystore::KeystoreError as FileError;

/// Largest keystore file that is read, bytes. Real ones have about 500.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The password does not open the file.
    #[error("the password does not open the keystore {}; check the password file", path.display())]
    WrongPassword {
        /// The keystore.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot {doing} the keystore {}: {reason}", path.display())]
    Io {
        /// "read" or "write".
        doing: &'static str,
        /// The keystore.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The file is not a keystore.
    #[error("{} is not a Web3 keystore: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Opens a keystore file. Deliberately slow (scrypt): call it from a blocking task where that matters.
///
/// # Errors
/// A wrong password is its own variant.
pub fn load(path: impl AsRef<Path>, password: &str) -> Result<PrivateKeySigner, KeystoreError> {
    let path = path.as_ref();
    let owned = || path.to_owned();
    let io = |reason: String| KeystoreError::Io { doing: "read", path: owned(), reason };
    let size = std::fs::metadata(path).map_err(|error| io(error.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        let reason = format!("it has {size} bytes, expected at most {MAX_FILE_BYTES}");
        return Err(KeystoreError::Invalid { path: owned(), reason });
    }
    PrivateKeySigner::decrypt_keystore(path, password).map_err(|error| match error {
        LocalSignerError::EthKeystoreError(FileError::MacMismatch) => KeystoreError::WrongPassword { path: owned() },
        LocalSignerError::EthKeystoreError(FileError::StdIo(reason)) => io(reason),
        other => KeystoreError::Invalid { path: owned(), reason: other.to_string() },
    })
}

/// Makes a new random key and stores it in `dir` as `<address>.json`, readable by its owner only.
///
/// # Errors
/// When the file cannot be written.
pub fn create(dir: impl AsRef<Path>, password: &str) -> Result<(PathBuf, Address), KeystoreError> {
    let signer = PrivateKeySigner::random_with(&mut OsRng);
    let path = store(dir, &signer, password)?;
    Ok((path, signer.address()))
}

/// Stores an existing key in `dir` as `<address>.json`, readable by its owner only.
///
/// # Errors
/// When the file cannot be written.
pub fn store(dir: impl AsRef<Path>, signer: &PrivateKeySigner, password: &str) -> Result<PathBuf, KeystoreError> {
    let dir = dir.as_ref();
    let name = format!("{:?}.json", signer.address());
    let path = dir.join(&name);
    let io = |reason: String| KeystoreError::Io { doing: "write", path: path.clone(), reason };
    std::fs::create_dir_all(dir).map_err(|error| io(error.to_string()))?;
    // Made under another name first: a crash leaves no half-written key under the final one.
    let draft = format!(".{name}.draft");
    PrivateKeySigner::encrypt_keystore(dir, &mut OsRng, signer.to_bytes(), password, Some(&draft))
        .map_err(|error| io(error.to_string()))?;
    let draft = dir.join(draft);
    let finish = || -> std::io::Result<()> {
        restrict(&draft)?;
        std::fs::File::open(&draft)?.sync_all()?;
        std::fs::rename(&draft, &path)?;
        std::fs::File::open(dir)?.sync_all()
    };
    finish().map_err(|error| io(error.to_string()))?;
    Ok(path)
}

/// Reads a password from the first line of a file.
///
/// # Errors
/// When the file cannot be read.
pub fn read_password(path: impl AsRef<Path>) -> Result<String, KeystoreError> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|error| KeystoreError::Io {
        doing: "read the password file of",
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(unix)]
fn restrict(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_wrong_password() {
        let dir = tempfile::tempdir().unwrap();
        let (path, address) = create(dir.path(), "sun").unwrap();
        assert_eq!(load(&path, "sun").unwrap().address(), address);
        let error = load(&path, "moon").unwrap_err();
        assert!(matches!(error, KeystoreError::WrongPassword { .. }), "{error}");
        assert!(error.to_string().contains("password does not open"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays behind");
    }

    #[test]
    fn broken_and_missing_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        assert!(matches!(load(&path, "sun").unwrap_err(), KeystoreError::Io { .. }));
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(load(&path, "sun").unwrap_err(), KeystoreError::Invalid { .. }));
    }
}
