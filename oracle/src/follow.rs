//! Runs the index: step after step, with pauses, and says how far it is.
use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::{ChainSource, Header, SourceError},
    index::{IndexError, Indexer, Step},
    store::Store,
};

/// Longest pause after failures.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How far the index is. Shown by the API, and what the keeper wakes on.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Newest block of the chain.
    pub head: Option<Header>,
    /// Newest block in the index.
    pub indexed: Option<Header>,
    /// When a step last went well.
    pub good_at: Option<Instant>,
    /// Reorganisations since the start.
    pub rollbacks: u64,
    /// Why the last step failed, if it did.
    pub trouble: Option<String>,
}

impl Progress {
    /// Blocks that are still to be read.
    pub fn lag(&self) -> u64 {
        let number = |header: Option<Header>| header.map_or(0, |header| header.number);
        number(self.head).saturating_sub(number(self.indexed))
    }
}

/// Follows the chain until cancelled. Failures are waited out: a chain that cannot be reached now may be later.
pub async fn run<S: ChainSource>(
    mut indexer: Indexer<S>,
    store: Arc<Store>,
    poll: Duration,
    progress: watch::Sender<Progress>,
    token: CancellationToken,
) {
    let mut backoff = poll;
    loop {
        let result = tokio::select! {
            () = token.cancelled() => return,
            result = step(&mut indexer, &store) => result,
        };
        let pause = match result {
            Ok((step, indexed)) => {
                backoff = poll;
                report(step);
                progress.send_modify(|progress| {
                    progress.head = indexer.head();
                    progress.indexed = indexed;
                    progress.good_at = Some(Instant::now());
                    progress.trouble = None;
                    progress.rollbacks += u64::from(matches!(step, Step::RolledBack { .. }));
                });
                match step {
                    Step::RolledBack { .. } => Duration::ZERO,
                    Step::Advanced { to, head, .. } if to < head => Duration::ZERO,
                    _ => poll,
                }
            }
            // The indexer has already made its next request smaller.
            Err(IndexError::Chain(error @ SourceError::TooMuch { .. })) => {
                tracing::debug!(%error, "asking for fewer blocks");
                Duration::ZERO
            }
            Err(error) => {
                tracing::warn!(%error, retry_ms = backoff.as_millis(), "the index cannot go on");
                progress.send_modify(|progress| progress.trouble = Some(error.to_string()));
                let pause = backoff;
                backoff = (backoff * 2).min(BACKOFF_MAX);
                pause
            }
        };
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn step<S: ChainSource>(indexer: &mut Indexer<S>, store: &Store) -> Result<(Step, Option<Header>), IndexError> {
    let step = indexer.step().await?;
    Ok((step, store.last_block().await?))
}

fn report(step: Step) {
    match step {
        Step::RolledBack { from, to } => tracing::warn!(from, ?to, "the chain was reorganised"),
        Step::NodeBehind { head, indexed } => tracing::warn!(head, indexed, "the node is behind the index"),
        Step::BeforeDeployment { head } => tracing::warn!(head, "the chain has not reached the deployment yet"),
        Step::Advanced { to, head, events } if events > 0 => tracing::debug!(to, head, events, "indexed"),
        Step::Advanced { .. } | Step::UpToDate => {}
    }
}
