//! Debian packages that are missing.
use std::{fs, time::Duration};

use eyre::{WrapErr, bail};

use crate::command::{capture, program};

/// `apt-get` over a slow line.
pub const LIMIT: Duration = Duration::from_secs(900);

/// Installs packages, for `what`.
///
/// # Errors
/// When there is no `apt-get`, or it fails, with the command that a person with the right to would give.
pub async fn install(what: &str, packages: &[&str]) -> eyre::Result<()> {
    let list = packages.join(" ");
    if !on_path("apt-get") {
        bail!("there is no {what}, and no apt-get to install it with (Debian's packages are {list})");
    }
    eprintln!("there is no {what}: apt-get install {list} …");
    let args = [&["install", "-y", "--no-install-recommends"], packages].concat();
    let install = || apt(&args);
    if !has_package_lists() {
        apt(&["update"]).await?;
    } else if install().await.is_ok() {
        return Ok(());
    } else {
        // The lists may be older than the mirror.
        apt(&["update"]).await?;
    }
    install().await.wrap_err_with(|| format!("there is no {what}: `apt-get install {list}`, as root, brings it"))
}

/// Whether the program can be started by its name.
pub fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

async fn apt(args: &[&str]) -> eyre::Result<()> {
    let mut command = program("apt-get");
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    capture(command, LIMIT).await.map(drop)
}

fn has_package_lists() -> bool {
    fs::read_dir("/var/lib/apt/lists")
        .is_ok_and(|files| files.flatten().any(|file| file.file_name().to_string_lossy().contains("_Packages")))
}
