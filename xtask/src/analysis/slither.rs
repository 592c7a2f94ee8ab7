//! slither, on `contracts/` alone.
use std::{fs, time::Duration};

use eyre::{WrapErr, eyre};

use super::{
    finding::{self, Finding},
    home,
    python::Environment,
    work_dir,
};
use crate::command::capture;

/// Compiling with the WebAssembly compiler on a slow machine is most of it.
const LIMIT: Duration = Duration::from_secs(1800);

/// Runs all of its detectors.
///
/// # Errors
/// When it cannot be had, or the contracts do not compile.
pub async fn run() -> eyre::Result<Vec<Finding>> {
    let environment = Environment::ensure("slither").await?;
    let dir = work_dir();
    let (out, json) = (dir.join("slither-out"), dir.join("slither.json"));
    // It writes over nothing.
    if json.exists() {
        fs::remove_file(&json).wrap_err_with(|| format!("removing {}", json.display()))?;
    }
    let mut command = environment.with_forge("slither", &out).await?;
    command.arg(".").arg("--config-file").arg(home().join("slither.config.json"));
    command.arg("--foundry-out-directory").arg(&out).arg("--json").arg(&json);
    let ended = capture(command, LIMIT).await;
    match fs::read_to_string(&json) {
        Ok(text) => finding::read(&text),
        Err(_) => Err(ended.err().unwrap_or_else(|| eyre!("slither ended well but wrote no {}", json.display()))),
    }
}
