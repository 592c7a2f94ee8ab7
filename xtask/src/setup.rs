//! `cargo xtask setup`: makes a fresh machine ready, or says what is missing.
use crate::{docker::Engine, npm, stage::Stages};

/// Installs npm packages.
///
/// # Errors
/// What is missing.
pub async fn packages(stages: &mut Stages) -> eyre::Result<()> {
    let done = stages.run("npm packages", npm::ensure_packages()).await?;
    stages.note(done);
    Ok(())
}

/// Finds, starts or installs a container engine. Keep what is returned for as long as containers run.
///
/// # Errors
/// What is missing.
pub async fn engine(stages: &mut Stages) -> eyre::Result<Engine> {
    let engine = stages.run("Docker Engine", Engine::ensure()).await?;
    stages.note(&engine.describe());
    Ok(engine)
}

/// Both.
///
/// # Errors
/// What is missing.
pub async fn all(stages: &mut Stages) -> eyre::Result<Engine> {
    packages(stages).await?;
    engine(stages).await
}
