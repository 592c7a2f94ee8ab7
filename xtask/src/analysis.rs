//! `cargo xtask analyse`: slither on the contracts, halmos on the rules in `test/symbolic`.
//!
//! Both come from PyPI into a virtual environment below `target/`, with pinned versions and hashes (`script/analysis/`). Every
//! finding of slither is either mended or excepted, with its reason, in `script/analysis/exceptions.json`; an exception that no
//! longer matches anything is an error too.
use std::path::PathBuf;

use clap::ValueEnum;

use crate::{paths, setup, stage::Stages, test::Results};

mod exceptions;
mod finding;
mod halmos;
mod python;
mod report;
mod slither;

/// What is to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// slither
    Static,
    /// halmos
    Symbolic,
}

/// Runs one part, or both; goes on after a failure.
///
/// # Errors
/// Names every part that failed.
pub async fn run(only: Option<Part>) -> eyre::Result<()> {
    let mut stages = Stages::default();
    setup::packages(&mut stages).await?;
    let mut results = Results::default();
    if only != Some(Part::Symbolic) {
        results.note("static analysis", stages.run("static analysis", static_analysis()).await);
    }
    if only == Some(Part::Symbolic) || (only.is_none() && halmos_is_available()) {
        results.note("symbolic checks", stages.run("symbolic checks", symbolic_checks()).await);
    }
    results.print(&stages);
    results.verdict()
}

/// slither on `contracts/`. Prints what is not excepted, in a form that can be pasted into the exceptions file.
///
/// # Errors
/// When Python is missing, the contracts do not compile, or findings and exceptions do not match one to one.
pub async fn static_analysis() -> eyre::Result<()> {
    let findings = slither::run().await?;
    let exceptions = exceptions::read(&home().join("exceptions.json"))?;
    report::verdict(&exceptions::compare(&findings, &exceptions), findings.len())
}

/// halmos on `test/symbolic/`.
///
/// # Errors
/// When Python is missing, or a check fails, times out, or was not run to its end.
pub async fn symbolic_checks() -> eyre::Result<()> {
    halmos::run().await
}

/// Whether halmos can be had for this machine. Says so if not.
pub fn halmos_is_available() -> bool {
    let why = halmos::unavailable();
    why.iter().for_each(|why| println!("symbolic checks left out: {why}"));
    why.is_none()
}

/// Requirements, configuration and exceptions; committed.
fn home() -> PathBuf {
    paths::root().join("script/analysis")
}

/// The virtual environment and everybody's artifacts; never committed.
fn work_dir() -> PathBuf {
    paths::root().join("target/analysis")
}
