//! `init`: data folder, password, all three keys.
use eyre::WrapErr;
use sunwork_edge::keystore;

use super::{Report, write_secret};
use crate::{config::Layer, folder::Folder, identity};

/// Makes what is missing and shows the addresses. Keys that are there are kept.
///
/// # Errors
/// When something cannot be written.
pub fn init(settings: &Layer) -> eyre::Result<Report> {
    let folder = Folder::create(settings.data_dir())?;
    let device_password = settings.password_file.clone().unwrap_or_else(|| folder.password());
    if settings.password_file.is_none() && !device_password.exists() {
        let mut random = [0_u8; 24];
        rand::RngCore::fill_bytes(&mut rand::rng(), &mut random);
        write_secret(&device_password, &format!("{}\n", hex::encode(random)))?;
    }
    let owner_password = settings.owner_password_file.clone().unwrap_or_else(|| device_password.clone());
    let mut report = Report::new("init");
    report.add("dataDir", "Data folder", folder.root().display(), folder.root().display().to_string());
    encryption(settings, &folder, &device_password)?;
    let keys = [
        ("owner", "Owner account", &settings.owner_keystore, owner_password),
        ("device", "Device key", &settings.keystore, device_password),
    ];
    for (kind, label, given, password_file) in keys {
        let path = match given.clone().or(identity::stored_key(kind, &folder)?) {
            Some(path) => path,
            None => {
                let password = keystore::read_password(&password_file)?;
                keystore::create(folder.keys(kind), &password)?.0
            }
        };
        let address = match identity::address_of(&path) {
            Some(address) => address,
            None => {
                let password = keystore::read_password(&password_file)?;
                keystore::load(&path, &password).wrap_err_with(|| format!("opening the {kind} key"))?.address()
            }
        };
        report.add(kind, label, address, address.to_string());
        let keystore_label = format!("{kind}Keystore");
        report.add(&keystore_label, "  keystore", path.display(), path.display().to_string());
    }
    if let Some(key) = identity::encryption_key(settings, &folder)? {
        report.add("encryptionKey", "Encryption key", key.public(), key.public().to_string());
    }
    report.add(
        "next",
        "Next",
        "send ether (for gas) to both accounts and tokens (for stake) to the owner, then `sunwork-worker register --stake AMOUNT`",
        "register",
    );
    Ok(report)
}

/// The secret that session keys are sealed to. A worker with several devices copies it to all of them.
fn encryption(settings: &Layer, folder: &Folder, password_file: &std::path::Path) -> eyre::Result<()> {
    if settings.encryption_keystore.is_none() && identity::stored_key("encryption", folder)?.is_none() {
        keystore::create(folder.keys("encryption"), &keystore::read_password(password_file)?)?;
    }
    Ok(())
}
