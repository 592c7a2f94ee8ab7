//! `cargo xtask test`: everything that can be tested, in one go.
use std::{process::Command, time::SystemTime};

use eyre::WrapErr;

use crate::{
    abi::Mode,
    command::{cargo, program, show},
    foundry, setup,
    stage::Stages,
};

/// How far the tests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// As before every push.
    Normal,
    /// More fuzzing from a seed of the day, and the long end-to-end cases.
    Deep,
}

/// Sets up and runs all tests; goes on after failures.
///
/// # Errors
/// Names every part that failed.
pub async fn run(depth: Depth) -> eyre::Result<()> {
    let mut stages = Stages::default();
    let _engine = setup::all(&mut stages).await?;
    let mut results = Results::default();
    for (name, command) in suites(depth).await? {
        results.note(name, stages.run(name, command).await);
    }
    results.print(&stages);
    results.verdict()
}

type Suite = (&'static str, std::pin::Pin<Box<dyn Future<Output = eyre::Result<()>>>>);

/// The suites, in their order.
async fn suites(depth: Depth) -> eyre::Result<Vec<Suite>> {
    let mut forge = foundry::forge_for_tests(&["test"]).await?;
    let mut runner = cargo();
    if has_nextest() {
        runner.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
    } else {
        runner.args(["test", "--workspace", "--no-fail-fast"]);
    }
    let mut examples = cargo();
    examples.args(["test", "--workspace", "--doc", "--no-fail-fast"]);
    if depth == Depth::Deep {
        let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
        println!("deep: seed {seed}; again with the same: SUNWORK_SEED={seed} FOUNDRY_FUZZ_SEED={seed}");
        forge.env("FOUNDRY_PROFILE", "deep").args(["--fuzz-seed", &seed.to_string()]);
        runner.env("SUNWORK_DEEP", "1").env("SUNWORK_SEED", seed.to_string());
        // Scenarios that would make the normal run too long carry `#[ignore = "deep"]`.
        if has_nextest() {
            runner.args(["--run-ignored", "all"]);
        } else {
            runner.args(["--", "--include-ignored"]);
        }
    }
    let mut all = cargo();
    all.args(["build", "--quiet", "--workspace", "--all-targets"]);
    // The Solidity compiler is WebAssembly with one thread: the other cores build what is written in Rust meanwhile.
    let building = tokio::spawn(show(all));
    let mut suites: Vec<Suite> = vec![
        ("forge test", Box::pin(show(forge))),
        // Facts that are made from the contracts and committed.
        ("ABI", Box::pin(crate::abi::run(Mode::Check))),
        ("gas snapshot", Box::pin(crate::gas::run(Mode::Check))),
        // End-to-end tests start these programs.
        ("programs and tests are built", Box::pin(async move { building.await.wrap_err("waiting for cargo")? })),
        ("cargo tests and end-to-end tests", Box::pin(show(runner))),
        // Which nextest does not run.
        ("documentation examples", Box::pin(show(examples))),
    ];
    if depth == Depth::Deep {
        // Last: it leaves a worker behind that links the library, until the next build.
        suites.push(("keys in a TPM", Box::pin(crate::tpm::run())));
    }
    Ok(suites)
}

fn has_nextest() -> bool {
    Command::new("cargo-nextest").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// What became of each part.
#[derive(Debug, Default)]
pub struct Results(Vec<(String, eyre::Result<()>)>);

impl Results {
    /// Notes one.
    pub fn note(&mut self, name: &str, result: eyre::Result<()>) {
        if let Err(error) = &result {
            eprintln!("{name} FAILED: {error:#}");
        }
        self.0.push((name.to_owned(), result));
    }

    /// The closing lines.
    pub fn print(&self, stages: &Stages) {
        println!();
        for (name, result) in &self.0 {
            let seconds =
                stages.done().iter().find(|(stage, _)| stage == name).map_or(0.0, |(_, took)| took.as_secs_f64());
            println!("{:<6} {seconds:>7.1} s  {name}", if result.is_ok() { "ok" } else { "FAILED" });
        }
    }

    /// # Errors
    /// When any failed.
    pub fn verdict(self) -> eyre::Result<()> {
        let failed: Vec<_> =
            self.0.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| name.as_str()).collect();
        if failed.is_empty() {
            println!("all {} parts passed", self.0.len());
            return Ok(());
        }
        Err(eyre::eyre!("{} of {} parts failed: {}", failed.len(), self.0.len(), failed.join(", ")))
    }
}

/// Formatting, lints and documentation of both languages.
pub(crate) async fn lints() -> eyre::Result<Vec<Suite>> {
    let cargo_with = |args: &[&str]| {
        let mut command = cargo();
        command.args(args);
        command
    };
    let mut doc = cargo_with(&["doc", "--workspace", "--no-deps", "--quiet"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let mut ci = program("bash");
    ci.args(["-n", ".ci/run"]);
    Ok(vec![
        ("forge fmt", Box::pin(show(foundry::forge(&["fmt", "--check"]).await?))),
        ("forge lint", Box::pin(show(foundry::lint().await?))),
        ("cargo fmt", Box::pin(show(cargo_with(&["fmt", "--all", "--check"])))),
        (
            "clippy",
            Box::pin(show(cargo_with(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))),
        ),
        ("cargo doc", Box::pin(show(doc))),
        // The example programs use it so: a dependency of the command alone shows up here.
        ("SDK without the command", Box::pin(show(cargo_with(&["check", "--quiet", "--package", "sunwork-examples"])))),
        (".ci/run", Box::pin(show(ci))),
    ])
}

/// For `check`: the same suites as `test`.
pub(crate) async fn normal_suites() -> eyre::Result<Vec<Suite>> {
    suites(Depth::Normal).await
}
