//! `cargo xtask tpm`: the meter's key in a TPM 2.0, against a real one in software (swtpm). Apart from the other tests, since it links a C
//! library that nothing else needs.
use eyre::WrapErr;

use crate::{
    apt::{self, on_path},
    command::{cargo, program, show},
    setup,
    stage::Stages,
};

/// The library and its headers, what finds them, and the TPM.
const PACKAGES: [&str; 3] = ["libtss2-dev", "pkg-config", "swtpm"];
/// Oldest that `tss-esapi` 7 takes; Debian 12 has 3.2.1.
const LIBRARY: &str = "tss2-esys >= 2.4.6";

/// Installs what is missing where it may, lints, and runs all tests: of the part that speaks to a TPM, of the worker with it, and of a
/// network whose worker has its meter's key in one.
///
/// # Errors
/// What is missing and how to get it, or which test fails.
pub async fn run() -> eyre::Result<()> {
    ensure().await?;
    // Few dependencies: this is built in seconds, and nothing else is built anew for it.
    let of_the_crate = ["-p", "sunwork-tpm", "--features", "tss"];
    let mut clippy = quiet();
    clippy.args(["clippy", "--quiet"]).args(of_the_crate).args(["--all-targets", "--", "-D", "warnings"]);
    show(clippy).await.wrap_err("linting the part that speaks to a TPM")?;
    let mut tests = quiet();
    tests.arg("test").args(of_the_crate);
    show(tests).await.wrap_err("testing the part that speaks to a TPM")?;
    // What networks are made of, as always; of it only the worker is built with the library.
    setup::packages(&mut Stages::default()).await?;
    programs().await?;
    let tested = with_the_library().await;
    // What lies in target/debug afterwards is again what all other commands take it for: a worker without the library. It was built
    // before, so this costs seconds.
    let restored = programs().await;
    tested.and(restored)
}

async fn programs() -> eyre::Result<()> {
    let mut programs = quiet();
    programs.args(["build", "--quiet", "--workspace", "--bins"]);
    show(programs).await.wrap_err("building the programs without TPM support")
}

async fn with_the_library() -> eyre::Result<()> {
    // The whole workspace is chosen so that dependencies keep the features that they have, and are not built a second time.
    let mut worker = quiet();
    worker.args(["test", "--workspace", "--features", "sunwork-worker/tpm", "--test", "tpm"]);
    show(worker).await.wrap_err("testing the worker with its meter's key in a TPM")?;
    let mut network = quiet();
    network.args(["test", "--workspace", "--features", "sunwork-worker/tpm", "--test", "e2e", "--", "--ignored"]);
    network.args(["--nocapture", "meter::a_meter_moves_from_software_into_a_tpm"]).env("SUNWORK_TEST_SWTPM", "1");
    show(network).await.wrap_err("attesting days by a key in a TPM on a chain")
}

/// Cargo; the library's own words about errors that tests make on purpose are left out.
fn quiet() -> tokio::process::Command {
    let mut command = cargo();
    command.env("TSS2_LOG", "all+none");
    command
}

async fn ensure() -> eyre::Result<()> {
    if has_library().await && on_path("swtpm") {
        return Ok(());
    }
    apt::install("library tpm2-tss or no swtpm", &PACKAGES).await
}

async fn has_library() -> bool {
    let mut ask = program("pkg-config");
    ask.args(["--exists", LIBRARY]);
    ask.status().await.is_ok_and(|status| status.success())
}
