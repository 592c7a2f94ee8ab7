//! `cargo xtask check`: the one command before a push. Reports all failures, not only the first.
use crate::{
    analysis, coverage, setup,
    stage::Stages,
    test::{self, Results},
};

/// Formatting, lints, documentation, generated facts, all tests, static analysis, symbolic checks, coverage of the contracts.
///
/// # Errors
/// Names every part that failed.
pub async fn run() -> eyre::Result<()> {
    let mut stages = Stages::default();
    let _engine = setup::all(&mut stages).await?;
    let mut results = Results::default();
    for (name, suite) in test::lints().await?.into_iter().chain(test::normal_suites().await?) {
        results.note(name, stages.run(name, suite).await);
    }
    results.note("static analysis", stages.run("static analysis", analysis::static_analysis()).await);
    if analysis::halmos_is_available() {
        results.note("symbolic checks", stages.run("symbolic checks", analysis::symbolic_checks()).await);
    }
    results.note("coverage", stages.run("coverage of the contracts", coverage::run()).await);
    results.print(&stages);
    results.verdict()
}
