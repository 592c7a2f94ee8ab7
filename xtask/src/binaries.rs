//! Our own programs, as cargo built them.
use std::{env, path::PathBuf};

use eyre::{WrapErr, bail};

use crate::command::{cargo, show};

/// Builds the workspace's programs. Silent and quick when nothing changed.
///
/// # Errors
/// When something does not compile.
pub async fn build() -> eyre::Result<()> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--workspace", "--bins"]);
    show(command).await.wrap_err("building sunwork-worker, sunwork-oracle and sunwork")
}

/// A program that lies beside this one (or, for a test, in the folder above it).
///
/// # Errors
/// When it is not built.
pub fn path(name: &str) -> eyre::Result<PathBuf> {
    let own = env::current_exe().wrap_err("finding the folder of the built programs")?;
    for dir in own.ancestors().skip(1).take(2) {
        let path = dir.join(name);
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("there is no {name} beside {}; run `cargo build --workspace --bins`", own.display())
}
