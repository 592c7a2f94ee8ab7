//! `cargo xtask check`: the one command before a push. Reports all failures, not only the first.
use crate::{
    setup,
    stage::Stages,
    test::{self, Results},
};

/// Formatting, lints, documentation, generated facts, and all tests.
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
    results.print(&stages);
    results.verdict()
}
