//! `cargo xtask snapshot`: the gas of the contracts' main paths, committed in `.gas-snapshot` and compared by CI.
use std::time::Duration;

use eyre::{WrapErr, bail};

use crate::{abi::Mode, command::capture, foundry, paths};

const TESTS: &str = "test/gas/*.t.sol";
const FILE: &str = ".gas-snapshot";
const LIMIT: Duration = Duration::from_secs(900);

/// Writes or compares the snapshot.
///
/// # Errors
/// When a gas test fails, or the numbers differ.
pub async fn run(mode: Mode) -> eyre::Result<()> {
    if !paths::root().join("test/gas").is_dir() {
        println!("no gas tests: there is no {TESTS}");
        return Ok(());
    }
    let mut args = vec!["snapshot", "--match-path", TESTS, "--snap", FILE];
    if mode == Mode::Check {
        if !paths::root().join(FILE).is_file() {
            bail!("there are gas tests but no {FILE}; run `cargo xtask snapshot` and commit it");
        }
        args = vec!["snapshot", "--match-path", TESTS, "--check", FILE];
    }
    let text = capture(foundry::forge_for_tests(&args).await?, LIMIT)
        .await
        .wrap_err("the gas differs from .gas-snapshot (if that is meant, run `cargo xtask snapshot` and commit)")?;
    if mode == Mode::Write {
        println!("wrote {FILE} ({} lines of output)", text.lines().count());
    }
    Ok(())
}
