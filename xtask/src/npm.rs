//! npm packages: Foundry, the Solidity compiler and libraries.
use std::{fs, path::Path, time::Duration};

use eyre::{WrapErr, bail};

use crate::{
    command::{capture, program},
    paths,
};

/// Oldest Node.js that the packages run on.
const MIN_NODE_MAJOR: u32 = 18;
/// A slow line and a Raspberry Pi.
const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// Installs the packages of `package-lock.json` when they are missing or older. Returns what was done.
///
/// # Errors
/// When Node.js or npm is missing or too old, or the packages cannot be had.
pub async fn ensure_packages() -> eyre::Result<&'static str> {
    let mut node = program("node");
    node.arg("--version");
    let version = capture(node, Duration::from_secs(30)).await.wrap_err(
        "Node.js is needed for Foundry and the Solidity compiler; install Node.js 18 or newer (https://nodejs.org)",
    )?;
    if node_major(&version).is_none_or(|major| major < MIN_NODE_MAJOR) {
        bail!("found Node.js {}, expected {MIN_NODE_MAJOR} or newer; see https://nodejs.org", version.trim());
    }
    if is_current(paths::root())? {
        return Ok("npm packages are there");
    }
    // Not `npm ci`: npm 11 leaves other platforms' optional packages out of the lock file it writes, and `ci` then refuses that
    // file. All direct dependencies are pinned exactly, and the lock file's hashes are checked all the same.
    let mut npm = program("npm");
    npm.args(["install", "--no-save", "--no-progress"]);
    capture(npm, INSTALL_LIMIT).await.wrap_err("installing the npm packages")?;
    Ok("npm packages installed")
}

fn node_major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// npm writes its own copy of the lock file last of all, so that file tells of a complete installation.
fn is_current(root: &Path) -> eyre::Result<bool> {
    let lock = root.join("package-lock.json");
    let wanted =
        fs::metadata(&lock).and_then(|meta| meta.modified()).wrap_err_with(|| format!("reading {}", lock.display()))?;
    let installed = fs::metadata(root.join("node_modules/.package-lock.json")).and_then(|meta| meta.modified());
    Ok(installed.is_ok_and(|installed| installed >= wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(node_major("v22.1.0\n"), Some(22));
        assert_eq!(node_major("strange"), None);
    }

    #[test]
    fn an_older_installation_is_not_current() {
        let dir = tempfile::tempdir().unwrap();
        let lock = dir.path().join("package-lock.json");
        fs::write(&lock, "{}").unwrap();
        assert!(!is_current(dir.path()).unwrap(), "missing");
        fs::create_dir(dir.path().join("node_modules")).unwrap();
        let installed = dir.path().join("node_modules/.package-lock.json");
        fs::write(&installed, "{}").unwrap();
        assert!(is_current(dir.path()).unwrap());
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().write(true).open(&installed).unwrap().set_modified(long_ago).unwrap();
        assert!(!is_current(dir.path()).unwrap(), "older than the lock file");
    }
}
