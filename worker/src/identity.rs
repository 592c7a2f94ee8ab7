//! Keys, passwords, and the token's unit: what every subcommand needs before it can do anything.
use std::path::{Path, PathBuf};

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use eyre::WrapErr;
use sunwork_edge::keystore;
use sunwork_protocol::{abi::SunToken, envelope::SecretKey};

use crate::{amount::Unit, chain::Chain, config::Layer, folder::Folder};

/// Why there is no key to open.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Nobody made one, or it is elsewhere.
    #[error("there is no {kind} key in {}; run `sunwork-worker init` first, or name {}", folder.display(), elsewhere(kind))]
    Missing {
        /// "owner", "device" or "encryption".
        kind: &'static str,
        /// Where it should be.
        folder: PathBuf,
    },
    /// Which one is meant cannot be told.
    #[error("{} holds {count} keystores, expected one; name one of them by its path", folder.display())]
    Several {
        /// Where they are.
        folder: PathBuf,
        /// How many.
        count: usize,
    },
}

/// What else can be named in place of `kind`'s key in the data folder.
fn elsewhere(kind: &str) -> &'static str {
    match kind {
        "owner" => "another data folder with --data-dir, or a keystore with --owner-keystore",
        "encryption" => "another data folder with --data-dir, or a keystore with --encryption-keystore",
        _ => "another data folder with --data-dir, or a keystore with --keystore",
    }
}

/// The device's hot key: from the settings, else the one that `init` made.
///
/// # Errors
/// When there is none, or the password is wrong.
pub fn device_key(settings: &Layer, folder: &Folder) -> eyre::Result<PrivateKeySigner> {
    let password = settings.password_file.as_deref();
    key("device", settings.keystore.as_deref(), password, folder)
}

/// The device's address: from the keystore's name where that tells it, so that no password is needed.
///
/// # Errors
/// When there is no keystore, or it must be opened and the password is wrong.
pub fn device_address(settings: &Layer, folder: &Folder) -> eyre::Result<Address> {
    let path = match &settings.keystore {
        Some(path) => Some(path.clone()),
        None => stored_key("device", folder)?,
    };
    match path.as_deref().and_then(address_of) {
        Some(address) => Ok(address),
        None => Ok(device_key(settings, folder)?.address()),
    }
}

/// The owner's key.
///
/// # Errors
/// When there is none, or the password is wrong.
pub fn owner_key(settings: &Layer, folder: &Folder) -> eyre::Result<PrivateKeySigner> {
    let password = settings.owner_password_file.as_deref().or(settings.password_file.as_deref());
    key("owner", settings.owner_keystore.as_deref(), password, folder)
}

/// The key that session keys are sealed to; `None` when there is no keystore for it, and the worker does public work only.
/// A keystore holds 32 secret bytes; the X25519 key is derived from them.
///
/// # Errors
/// When there is one and it cannot be opened.
pub fn encryption_key(settings: &Layer, folder: &Folder) -> eyre::Result<Option<SecretKey>> {
    let given = settings.encryption_keystore.clone();
    if given.or(stored_key("encryption", folder)?).is_none() {
        return Ok(None);
    }
    let given = settings.encryption_keystore.as_deref();
    let stored = key("encryption", given, settings.password_file.as_deref(), folder)
        .wrap_err("opening the encryption key, which has the device's password")?;
    Ok(Some(SecretKey::derive(&stored.to_bytes().0)))
}

fn key(
    kind: &'static str,
    given: Option<&Path>,
    password: Option<&Path>,
    folder: &Folder,
) -> eyre::Result<PrivateKeySigner> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => stored_key(kind, folder)?.ok_or_else(|| KeyError::Missing { kind, folder: folder.keys(kind) })?,
    };
    let password = keystore::read_password(password.unwrap_or(&folder.password()))?;
    Ok(keystore::load(&path, &password)?)
}

/// The keystore in the data folder, if there is one.
///
/// # Errors
/// When there are several and none is named.
pub fn stored_key(kind: &str, folder: &Folder) -> eyre::Result<Option<PathBuf>> {
    let path = folder.keys(kind);
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).wrap_err_with(|| format!("reading {}", path.display())),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    match found.len() {
        0 => Ok(None),
        1 => Ok(found.pop()),
        count => Err(KeyError::Several { folder: path, count }.into()),
    }
}

/// Address in a keystore's file name, as `init` writes it.
pub fn address_of(path: &Path) -> Option<Address> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// The token's symbol and decimals.
///
/// # Errors
/// When the token cannot be read.
pub async fn unit(chain: &Chain) -> eyre::Result<Unit> {
    let token = SunToken::new(chain.deployment.token, chain.rpc().provider());
    let symbol = token.symbol().call().await.wrap_err("reading the token's symbol")?;
    let decimals = token.decimals().call().await.wrap_err("reading the token's decimals")?;
    Ok(Unit { symbol, decimals })
}
