//! `cargo xtask coverage`: which lines and branches of `contracts/` no test reaches, each with its explanation.
//!
//! forge measures with the code as the legacy code generator makes it without optimizer, so tests of exact gas are left out, and
//! the random invariant campaign too (minutes, and what it reaches is another thing each time). `docs/COVERAGE.md` explains what is not reached;
//! what it does not explain is a failure, and so is an explanation of something that is reached by now.
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use eyre::{WrapErr, bail};

use crate::{command::capture, foundry, paths, setup, stage::Stages};

mod explained;
mod lcov;

/// Compiling takes a minute or two, the tests run three times as long as optimized ones.
const LIMIT: Duration = Duration::from_secs(3600);
/// Contracts whose tests are left out.
const WITHOUT_CONTRACTS: &str = "SizesTest|InvariantsTest|P256SolidityTest";
/// Tests of exact gas, which unoptimized code does not meet, and two of the verifier that [`STAND_IN`] takes away.
const WITHOUT_TESTS: &str = r"^(test_gas|test_gasIsGrantedToTheUnit|test_attack_returnDataBomb|test_solidityVerifierTakesTheSameRecords|test_VerifierInSolidityIsDeployedWhereTheParametersAskForIt)\(";
/// OpenZeppelin's P-256 does not compile without the optimizer: "stack too deep".
const STAND_IN: &str = "@openzeppelin/contracts/utils/cryptography/P256.sol=test/coverage/P256.sol";
/// forge takes a remapping that is given for the one of foundry.toml below whose prefix it lies: that has to be given too.
const BESIDE_IT: &str = "@openzeppelin/=node_modules/@openzeppelin/";
/// Only these files are the project's contracts.
const SOURCES: &str = "contracts/";

/// Measures, prints, compares with `docs/COVERAGE.md`.
///
/// # Errors
/// When a test fails, or lines and explanations do not match one to one.
pub async fn run() -> eyre::Result<()> {
    let mut stages = Stages::default();
    setup::packages(&mut stages).await?;
    let text = stages.run("coverage", measure()).await?;
    let files = lcov::parse(&text, SOURCES)?;
    if files.is_empty() {
        bail!("forge's report names no file of {SOURCES}");
    }
    print!("{}", lcov::table(&files));
    let doc = paths::root().join("docs/COVERAGE.md");
    let doc = fs::read_to_string(&doc).wrap_err_with(|| format!("reading {}", doc.display()))?;
    let missed = explained::missed(&files, |file| {
        fs::read_to_string(paths::root().join(file)).wrap_err_with(|| format!("reading {file}"))
    })?;
    explained::verdict(&missed, &explained::parse(&doc)?)
}

/// forge's report in lcov's format. Stays in `target/coverage/lcov.info`, for viewers.
async fn measure() -> eyre::Result<String> {
    let report = folder().join("lcov.info");
    fs::create_dir_all(folder()).wrap_err_with(|| format!("making {}", folder().display()))?;
    // forge writes none where it fails early: an old one must not pass for a new one.
    if report.exists() {
        fs::remove_file(&report).wrap_err_with(|| format!("removing the old {}", report.display()))?;
    }
    let started = Instant::now();
    let mut command = foundry::forge(&["coverage", "--report", "lcov", "--report-file"]).await?;
    command
        .arg(&report)
        .args([
            "--no-match-contract",
            WITHOUT_CONTRACTS,
            "--no-match-test",
            WITHOUT_TESTS,
            "--remappings",
            BESIDE_IT,
            "--remappings",
            STAND_IN,
        ])
        .env("FOUNDRY_VIA_IR", "false")
        .env("FOUNDRY_OUT", folder().join("out"))
        .env("FOUNDRY_CACHE_PATH", folder().join("cache"));
    let said = capture(command, LIMIT).await.wrap_err("measuring coverage")?;
    // Whatever its exit status says: a test that stopped early reached less.
    let failed: Vec<&str> = said.lines().filter(|line| line.starts_with("[FAIL")).collect();
    if !failed.is_empty() {
        bail!("tests fail under coverage:\n{}", failed.join("\n"));
    }
    eprintln!("measured in {} s", started.elapsed().as_secs());
    fs::read_to_string(&report).wrap_err_with(|| format!("reading forge's {}", report.display()))
}

fn folder() -> PathBuf {
    paths::root().join("target/coverage")
}
