//! Checks of this machine: files, wallet, container engine, terminal.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy::primitives::Address;
use sunwork_edge::{Deployment, keystore};
use sunwork_protocol::session::ClientSecret;

use super::super::args::Global;
use super::super::config_file::write_advice;
use super::super::exit::Exit;
use super::super::output::columns;
use super::super::session::Session;
use super::super::settings::{Settings, Sources, config_path};
use super::Check;

/// How long the container engine may take to answer.
const DOCKER_TIMEOUT: Duration = Duration::from_secs(10);
/// Fewer columns than this make reading hard.
const FEW_COLUMNS: usize = 40;

/// The configuration file, and what it says.
pub fn configuration(flags: &Global, sources: &Sources) -> (Vec<Check>, Option<Settings>) {
    const NAME: &str = "configuration";
    match Settings::load(flags, sources) {
        Ok(settings) => {
            let check = match config_path(flags) {
                Some(path) if path.is_file() => Check::pass(NAME, format!("{} is read", path.display())),
                Some(path) => Check::pass(NAME, format!("{} is not there, defaults are used", path.display())),
                None => Check::warn(
                    NAME,
                    "there is no home folder, so no configuration file is read",
                    "set HOME or XDG_CONFIG_HOME to an absolute path, or name a file with --config",
                ),
            };
            (vec![check], Some(settings))
        }
        Err(error) => {
            let fix = "correct the file (`sunwork config path` names it), the variable or the flag";
            (vec![Check::fail(NAME, Exit::Config, error.to_string(), fix)], None)
        }
    }
}

/// Where files of one's own go.
pub fn folders(settings: &Settings) -> Vec<Check> {
    const NAME: &str = "data folder";
    let dir = match &settings.keystore {
        Some(path) if path.is_dir() => path.clone(),
        Some(path) => path.parent().map(Path::to_owned).unwrap_or_default(),
        None => match Settings::keystore_dir() {
            Ok(dir) => dir,
            Err(_) => {
                let found = "there is no home folder: neither XDG_DATA_HOME nor HOME is set to an absolute path";
                let fix = "set HOME or XDG_DATA_HOME to an absolute path, or name the wallet with --keystore";
                return vec![Check::fail(NAME, Exit::Config, found, fix)];
            }
        },
    };
    let existing = existing(&dir);
    vec![match tempfile::tempfile_in(&existing) {
        Ok(_) => Check::pass(NAME, format!("{} can be written", existing.display())),
        // A wallet on a read-only disk is fine for reading and buying; only new keys cannot be stored.
        Err(error) => Check::warn(
            NAME,
            format!("{} cannot be written: {error}", existing.display()),
            format!("{} (needed to store a key, not to use one)", write_advice(error.kind())),
        ),
    }]
}

/// The part of a path that is there.
fn existing(path: &Path) -> PathBuf {
    let found = path.ancestors().find(|path| path.is_dir()).map(Path::to_owned);
    found.unwrap_or_else(|| PathBuf::from("."))
}

/// The deployment file.
pub fn deployment(settings: &Settings) -> (Check, Option<Deployment>) {
    const NAME: &str = "deployment file";
    let loaded = settings.deployment_file().and_then(|path| Ok((Deployment::load(&path)?, path)));
    match loaded {
        Ok((deployment, path)) => {
            let found =
                format!("{}: chain {}, {} classes", path.display(), deployment.chain_id, deployment.classes.len());
            (Check::pass(NAME, found), Some(deployment))
        }
        Err(error) => {
            let fix = "get the network's file and name it: `sunwork config set deployment FILE`";
            (Check::failed(NAME, Exit::Config, &error.to_string(), fix), None)
        }
    }
}

/// Keystore, its permissions, its password, and whether session keys can be derived from it.
pub async fn wallet(session: &Session, deployment: Option<&Deployment>) -> (Vec<Check>, Option<Address>) {
    const NAME: &str = "wallet";
    let path = match session.keystore() {
        Ok(path) => path,
        Err(error) => {
            let fix = "make one with `sunwork wallet create`, or name one with --keystore FILE";
            return (vec![Check::failed(NAME, Exit::Config, &format!("{error:#}"), fix)], None);
        }
    };
    let account = session.wallet_address();
    let named = account.map_or_else(|| "address unknown until it is opened".to_owned(), |address| address.to_string());
    let mut checks = vec![match mode(&path) {
        Err(error) => {
            let fix = "name the right file with --keystore FILE";
            Check::fail(NAME, Exit::Config, format!("{} cannot be read: {error}", path.display()), fix)
        }
        Ok(Some(mode)) if mode & 0o077 != 0 => Check::warn(
            NAME,
            format!("{named} in {}, which others may read (mode {:03o})", path.display(), mode & 0o777),
            format!("chmod 600 {}", path.display()),
        ),
        Ok(_) => Check::pass(NAME, format!("{named} in {}", path.display())),
    }];
    checks.extend(password(session, &path, deployment).await);
    (checks, account)
}

async fn password(session: &Session, keystore_file: &Path, deployment: Option<&Deployment>) -> Vec<Check> {
    const NAME: &str = "password";
    const ENCRYPTION: &str = "encryption";
    let Some(file) = session.settings.password_file.clone() else {
        return vec![
            Check::pass(NAME, "no password file is given; you are asked on the terminal"),
            Check::skip(ENCRYPTION, "it needs the opened wallet; give --password-file FILE to check it"),
        ];
    };
    let password = match keystore::read_password(&file) {
        Ok(password) => password,
        Err(error) => {
            let fix = "name a readable file with --password-file, or leave it out to be asked";
            return vec![Check::fail(NAME, Exit::Config, error.to_string(), fix)];
        }
    };
    let keystore_file = keystore_file.to_owned();
    // Scrypt is slow by intent.
    let opened = tokio::task::spawn_blocking(move || keystore::load(&keystore_file, &password)).await;
    let signer = match opened {
        Ok(Ok(signer)) => signer,
        Ok(Err(error)) => {
            return vec![Check::fail(
                NAME,
                Exit::Config,
                error.to_string(),
                "correct the first line of the password file",
            )];
        }
        Err(error) => return vec![Check::fail(NAME, Exit::Failed, error.to_string(), "try again")],
    };
    let mut checks = vec![Check::pass(NAME, format!("{} opens the wallet", file.display()))];
    checks.push(match deployment {
        Some(deployment) => {
            let secret =
                ClientSecret::from_signing_key(&signer.to_bytes().0, deployment.chain_id, deployment.dispatcher);
            let nonce = alloy::primitives::B256::repeat_byte(1);
            // The same nonce must give the same key tomorrow: nothing else keeps it.
            if secret.session_key(nonce).commitment() == secret.session_key(nonce).commitment() {
                Check::pass(
                    ENCRYPTION,
                    "session keys are derived from this wallet; with it and its password nothing else need be kept",
                )
            } else {
                Check::fail(ENCRYPTION, Exit::Failed, "the wallet derives another key each time", "update sunwork")
            }
        }
        None => Check::skip(ENCRYPTION, "there is no deployment file"),
    });
    checks
}

#[cfg(unix)]
fn mode(path: &Path) -> std::io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::File::open(path)?.metadata().map(|meta| Some(meta.permissions().mode()))
}

#[cfg(not(unix))]
fn mode(path: &Path) -> std::io::Result<Option<u32>> {
    std::fs::File::open(path).map(|_| None)
}

/// The container engine: only `sunwork image push` of a local image or Dockerfile needs one.
pub async fn docker() -> Check {
    const NAME: &str = "docker";
    const FIX: &str =
        "only `sunwork image push` of a local image needs it: install Docker or Podman, start it, and join its group";
    let asked = tokio::process::Command::new("docker")
        .args(["version", "--format", "{{.Server.Version}}"])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(DOCKER_TIMEOUT, asked).await {
        Ok(Ok(output)) if output.status.success() => {
            let version: String = String::from_utf8_lossy(&output.stdout).trim().chars().take(40).collect();
            Check::pass(NAME, format!("engine {version} answers"))
        }
        Ok(Ok(output)) => {
            let reason: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(200).collect();
            Check::warn(NAME, format!("the engine does not answer: {reason}"), FIX)
        }
        Ok(Err(error)) => Check::warn(NAME, format!("the docker command cannot be run: {error}"), FIX),
        Err(_) => Check::warn(NAME, format!("the engine did not answer within {} s", DOCKER_TIMEOUT.as_secs()), FIX),
    }
}

/// What is printed to.
pub fn terminal() -> Check {
    const NAME: &str = "terminal";
    let colour = if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        "no colour (NO_COLOR)"
    } else {
        "colour"
    };
    match columns() {
        Some(width) if width < FEW_COLUMNS => Check::warn(
            NAME,
            format!("{width} columns"),
            format!("make it at least {FEW_COLUMNS} columns wide, or set COLUMNS"),
        ),
        Some(width) => Check::pass(NAME, format!("{width} columns, {colour}")),
        None => Check::pass(NAME, "output goes to a file or a pipe: no colour, no progress bars"),
    }
}
