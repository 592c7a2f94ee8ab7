//! `init`: data folder, password, all three keys.
use std::{io::Write, path::Path};

use eyre::WrapErr;
use sunwork_edge::keystore;

use super::{Report, write_secret};
use crate::{
    config::{self, Layer, Loaded},
    folder::Folder,
    identity,
};

mod given;

pub use given::Config;

/// The unit of deploy/, so that a machine with the binary alone has it.
const UNIT: &str = include_str!("../../../deploy/sunwork-worker.service");

/// Prints the systemd unit.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_unit() -> eyre::Result<()> {
    std::io::stdout().lock().write_all(UNIT.as_bytes()).wrap_err("printing the unit")
}

/// Makes what is missing and shows the addresses. Keys that are there are kept. `config` is the settings file of commands that are
/// started as this one.
///
/// # Errors
/// When something cannot be written.
pub fn init(loaded: &Loaded, write_config: Option<&Path>, config: &Config) -> eyre::Result<Report> {
    let settings = &loaded.layer;
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
    let mut written = None;
    if let Some(path) = write_config {
        if path.exists() {
            report.add(
                "config",
                "Settings file",
                format!("{} is there and stays", path.display()),
                path.display().to_string(),
            );
        } else {
            let given = given::values(loaded);
            config::keys().init_with(path, &given)?;
            let names: Vec<&str> = given.keys().copied().collect();
            let set = if names.is_empty() { String::new() } else { format!("; it sets {}", names.join(", ")) };
            let text = format!("{} written, with every setting explained{set}", path.display());
            report.add("config", "Settings file", text, path.display().to_string());
            written = Some(path);
        }
    }
    let tested = self_test(&folder);
    report.add(
        "selfTest",
        "Self-test",
        tested.as_ref().map_or_else(ToString::to_string, |()| "passed".into()),
        tested.is_ok(),
    );
    tested?;
    let then = "send ether (for gas) to both accounts, and tokens (for stake) to the owner; then";
    report.add("next", "Next", then, "register");
    let commands = given::next(loaded, config, written);
    for command in &commands {
        report.line("", command);
    }
    report.json["nextCommands"] = commands.into();
    Ok(report)
}

/// What a worker must be able to do before anything else: keep a journal, and only for its user.
fn self_test(folder: &Folder) -> eyre::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let doing = || format!("testing the data folder {}", folder.root().display());
    let probe = folder.root().join("self-test");
    crate::folder::write_durably(&probe, b"works").wrap_err_with(doing)?;
    let read = std::fs::read(&probe).wrap_err_with(doing)?;
    std::fs::remove_file(&probe).wrap_err_with(doing)?;
    eyre::ensure!(read == b"works", "{}: what was written is not what is read", doing());
    let mode = std::fs::metadata(folder.keys("device")).wrap_err_with(doing)?.permissions().mode();
    let root = std::fs::metadata(folder.root()).wrap_err_with(doing)?.permissions().mode();
    if mode & 0o077 != 0 && root & 0o077 != 0 {
        tracing::warn!("others on this machine may list {}; `chmod 700` it", folder.root().display());
    }
    Ok(())
}

/// The secret that session keys are sealed to. A worker with several devices copies it to all of them.
fn encryption(settings: &Layer, folder: &Folder, password_file: &std::path::Path) -> eyre::Result<()> {
    if settings.encryption_keystore.is_none() && identity::stored_key("encryption", folder)?.is_none() {
        keystore::create(folder.keys("encryption"), &keystore::read_password(password_file)?)?;
    }
    Ok(())
}
