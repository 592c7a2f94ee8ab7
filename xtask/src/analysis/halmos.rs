//! halmos, on `test/symbolic/`.
use std::{env, fs, path::Path, process::Stdio, time::Duration};

use eyre::{WrapErr, bail, eyre};
use tokio::time::timeout;

use super::{python::Environment, work_dir};
use crate::{command::tail, paths};

/// About three times what two cores need.
const LIMIT: Duration = Duration::from_secs(900);
/// Most turns of a loop; the longest are those over three verifiers and over the nine steps of a score's decay.
const LOOP_TURNS: &str = "10";
/// A branch that the solver cannot exclude in this time is taken, and its end is left to the assertion's solver.
const BRANCH_LIMIT: &str = "200ms";
/// For one assertion on one path. A timeout is a failure.
const ASSERTION_LIMIT: &str = "60s";
/// `assert`, overflow, division by zero, index out of bounds: all failures.
const PANICS: &str = "0x01,0x11,0x12,0x32";

/// Why it cannot be had for this machine.
pub fn unavailable() -> Option<String> {
    let found = (env::consts::OS, env::consts::ARCH);
    (found != ("linux", "x86_64"))
        .then(|| format!("PyPI has halmos's solvers for Linux on x86_64; this is {} on {}", found.0, found.1))
}

/// Runs all checks.
///
/// # Errors
/// When one fails or times out, or fewer ran than are written, or halmos says that it left paths out.
pub async fn run() -> eyre::Result<()> {
    if let Some(why) = unavailable() {
        bail!("{why}");
    }
    let written = count(&paths::root().join("test/symbolic"))?;
    let environment = Environment::ensure("halmos").await?;
    let out = work_dir().join("halmos-out");
    let mut command = environment.with_forge("halmos", &out).await?;
    // Only the rules and their checks are compiled.
    command.env("FOUNDRY_SRC", "contracts/libraries").env("FOUNDRY_TEST", "test/symbolic");
    command.env("FOUNDRY_SCRIPT", "test/symbolic").env("COLUMNS", "200");
    command.arg("--forge-build-out").arg(out.strip_prefix(paths::root())?);
    // Named, so that it downloads none.
    command.arg("--solver-command").arg(environment.path("yices-smt2"));
    command.args(["--match-contract", "Symbolic$", "--no-status", "--loop", LOOP_TURNS, "--panic-error-codes", PANICS]);
    command.args(["--solver-timeout-branching", BRANCH_LIMIT, "--solver-timeout-assertion", ASSERTION_LIMIT]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = timeout(LIMIT, command.output())
        .await
        .map_err(|_| eyre!("halmos did not end within {} s", LIMIT.as_secs()))?
        .wrap_err("cannot start halmos")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    verdict(&plain(&said), output.status.success(), written)
}

/// Without colours: halmos does not ask whether a terminal is there.
fn plain(said: &str) -> String {
    let mut pieces = said.split("\u{1b}[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').map_or(piece, |(_, rest)| rest))
}

/// Judges what halmos said.
fn verdict(said: &str, ended_well: bool, written: usize) -> eyre::Result<()> {
    let passed = said.lines().filter(|line| line.contains("[PASS]")).inspect(|line| println!("{line}")).count();
    // A bound that was reached, or a path that could not be followed: halmos only warns of them.
    if !ended_well || said.contains("WARNING") || said.contains("ERROR") {
        bail!("halmos: {passed} of {written} checks passed\n{}", tail(&notes(said), 60));
    }
    if passed != written {
        bail!("halmos ran {passed} checks, expected the {written} of test/symbolic");
    }
    Ok(())
}

/// All but the passes and the compiler's words.
fn notes(said: &str) -> String {
    let from = said.find("Running ").unwrap_or(0);
    said[from..].lines().filter(|line| !line.contains("[PASS]")).collect::<Vec<_>>().join("\n")
}

/// How many checks are written.
fn count(dir: &Path) -> eyre::Result<usize> {
    let mut checks = 0;
    for entry in fs::read_dir(dir).wrap_err_with(|| format!("reading {}", dir.display()))? {
        let path = entry.wrap_err_with(|| format!("reading {}", dir.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "sol") {
            let text = fs::read_to_string(&path).wrap_err_with(|| format!("reading {}", path.display()))?;
            checks += text.lines().filter(|line| line.trim_start().starts_with("function check_")).count();
        }
    }
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_checks_run_to_their_end_are_a_success() {
        let good = "Compiling\nRunning 2 tests for x\n[PASS] check_a() (paths: 1)\n[PASS] check_b() (paths: 2)\n";
        assert!(verdict(good, true, 2).is_ok());
        assert!(verdict(good, false, 2).is_err(), "exit code");
        let error = verdict(good, true, 3).unwrap_err().to_string();
        assert_eq!(error, "halmos ran 2 checks, expected the 3 of test/symbolic");
        let bounded = format!("{good}WARNING  check_a(): paths have not been fully explored");
        let error = verdict(&bounded, true, 2).unwrap_err().to_string();
        assert!(error.ends_with("WARNING  check_a(): paths have not been fully explored"), "{error}");
    }

    #[test]
    fn colours_are_removed() {
        assert_eq!(plain("a \u{1b}[32m[PASS]\u{1b}[0m check_m()"), "a [PASS] check_m()");
        assert_eq!(plain("check_m()"), "check_m()");
    }

    #[test]
    fn checks_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("A.t.sol"), "  function check_a(\n function _check(\nfunction check_b() {").unwrap();
        fs::write(dir.path().join("README.md"), "function check_c()").unwrap();
        assert_eq!(count(dir.path()).unwrap(), 2);
    }
}
