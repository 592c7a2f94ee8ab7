//! Following the parts of a bag to their ends, with one bar for all.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use alloy::primitives::Address;
use futures::StreamExt;
use serde::Serialize;
use sunwork_protocol::leaf::Outcome as LeafOutcome;
use sunwork_protocol::status::{Ending, Status};

use super::bar;
use crate::bag::{BagError, BagLeaf, Part};
use crate::chain::short;
use crate::cli::errors::sentence;
use crate::cli::exit::{Exit, Failure};
use crate::cli::follow::{Interrupt, poke_late};
use crate::cli::output::{Output, Tone};
use crate::client::Client;

/// How often the parts are looked at for their statuses and for deadlines that nobody acts on.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// One agreement of the bag in the summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartReport {
    pub agreement: Address,
    pub first_index: u32,
    pub leaves: u32,
    pub block: u64,
    pub status: Option<Status>,
    pub ending: Option<Ending>,
    /// Leaves whose app failed; null before the results are here.
    pub failed_leaves: Option<u32>,
    /// Paid to others, smallest unit; null before it has ended.
    pub paid: Option<String>,
    /// Why there are no results.
    pub error: Option<String>,
}

impl PartReport {
    pub fn bought(part: &Part) -> Self {
        Self {
            agreement: part.agreement,
            first_index: part.first_index,
            leaves: part.leaves,
            block: part.block,
            status: None,
            ending: None,
            failed_leaves: None,
            paid: None,
            error: None,
        }
    }

    /// For people.
    pub fn state(&self) -> String {
        match (self.ending, self.status) {
            (Some(ending), _) => ending.to_string(),
            (None, Some(status)) => status.to_string(),
            (None, None) => "bought".to_owned(),
        }
    }
}

/// How the bag stands when it is not followed any more.
pub(super) struct Outcome {
    pub parts: Vec<PartReport>,
    pub exit: Exit,
    pub interrupted: bool,
    pub timed_out: bool,
}

/// Waits for all parts, fetches their results below `dir`, and sums up.
///
/// # Errors
/// When the chain cannot be read at the end; what goes wrong with a part stands in its report.
pub(super) async fn follow(
    client: &Client,
    output: &Output,
    parts: Vec<Part>,
    dir: &Path,
    timeout: Option<Duration>,
    interrupt: &mut Interrupt,
) -> Result<Outcome, Failure> {
    let mut tally = Tally::new(&parts);
    let total: u64 = parts.iter().map(|part| u64::from(part.leaves)).sum();
    let progress = bar("working", total, "leaves proven");
    let mut leaves = pin!(client.bag_results(parts, dir));
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut timeout = pin!(async {
        match timeout {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    });
    let (mut interrupted, mut timed_out) = (false, false);
    loop {
        tokio::select! {
            leaf = leaves.next() => match leaf {
                None => break,
                Some(Ok(leaf)) => {
                    tally.proven(&leaf);
                    progress.inc(1);
                }
                Some(Err(error)) => {
                    let text = tally.failed(error);
                    progress.suspend(|| output.note(&output.paint(Tone::Bad, &text)));
                }
            },
            _ = look.tick() => {
                tally.look(client).await;
                progress.set_message(tally.message());
            }
            () = &mut timeout => { timed_out = true; break }
            () = interrupt.heard() => { interrupted = true; break }
        }
    }
    progress.finish_and_clear();
    tally.finish(client).await?;
    let exit = match (interrupted, timed_out) {
        (true, _) => Exit::Interrupted,
        (_, true) => Exit::TimedOut,
        _ => tally.exit(),
    };
    Ok(Outcome { parts: tally.parts.into_values().collect(), exit, interrupted, timed_out })
}

/// What is known of the parts, by their first leaf.
struct Tally {
    parts: BTreeMap<u32, PartReport>,
    worst: Option<Exit>,
}

impl Tally {
    fn new(parts: &[Part]) -> Self {
        Self { parts: parts.iter().map(|part| (part.first_index, PartReport::bought(part))).collect(), worst: None }
    }

    fn of(&mut self, agreement: Address) -> Option<&mut PartReport> {
        self.parts.values_mut().find(|part| part.agreement == agreement)
    }

    fn proven(&mut self, leaf: &BagLeaf) {
        let failed = u32::from(leaf.result.outcome != LeafOutcome::Completed);
        if let Some(part) = self.of(leaf.agreement) {
            part.ending = Some(Ending::Verified);
            part.failed_leaves = Some(part.failed_leaves.unwrap_or(0) + failed);
        }
    }

    /// Notes why a part has no results; says it for people.
    fn failed(&mut self, error: BagError) -> String {
        let (agreement, ending) = match &error {
            BagError::Ended { agreement, ending, .. } => (Some(*agreement), Some(*ending)),
            BagError::Read { agreement, .. } => (Some(*agreement), None),
            _ => (None, None),
        };
        let failure = Failure::from(error);
        let text = sentence(&failure.report);
        // What the app did is the lightest; anything else about a part is worse.
        self.worst.get_or_insert(failure.exit);
        if let Some(part) = agreement.and_then(|agreement| self.of(agreement)) {
            part.ending = ending.or(part.ending);
            part.error = Some(text.clone());
        }
        text
    }

    /// Reads the statuses of the parts that have not ended, and moves on those that nobody else does.
    async fn look(&mut self, client: &Client) {
        for part in self.parts.values_mut().filter(|part| part.ending.is_none()) {
            let Ok(standing) = client.standing(part.agreement).await else { continue };
            part.status = Some(standing.status);
            if !standing.status.is_final() {
                poke_late(client, part.agreement).await;
            }
        }
    }

    /// "2 Open, 3 Working, 1 ended".
    fn message(&self) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for part in self.parts.values() {
            let state = if part.ending.is_some() { "ended".to_owned() } else { part.state() };
            *counts.entry(state).or_default() += 1;
        }
        counts.into_iter().map(|(state, count)| format!("{count} {state}")).collect::<Vec<_>>().join(", ")
    }

    async fn finish(&mut self, client: &Client) -> Result<(), Failure> {
        let own = client.address().unwrap_or_default();
        for part in self.parts.values_mut() {
            let standing = client.standing(part.agreement).await?;
            part.status = Some(standing.status);
            if standing.status.is_final() {
                part.ending = Some(standing.ending);
                part.paid = Some(client.paid_to_others(part.agreement, own, part.block).await?.to_string());
            }
            if part.error.is_some() {
                tracing::debug!(agreement = %short(part.agreement), error = ?part.error, "a part without results");
            }
        }
        Ok(())
    }

    fn exit(&self) -> Exit {
        let app_failed = self.parts.values().any(|part| part.failed_leaves.is_some_and(|failed| failed > 0));
        self.worst.unwrap_or(if app_failed { Exit::TaskFailed } else { Exit::Ok })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::LeafResult;
    use alloy::primitives::B256;

    fn parts() -> Vec<Part> {
        let part =
            |i: u8| Part { agreement: Address::repeat_byte(i), block: 1, first_index: u32::from(i) * 2, leaves: 2 };
        vec![part(1), part(2)]
    }

    fn leaf(agreement: u8, outcome: LeafOutcome) -> BagLeaf {
        let result =
            LeafResult { leaf: 0, outcome, exit_status: 0, digest: B256::ZERO, files: 0, bytes: 0, path: None };
        BagLeaf { index: 0, agreement: Address::repeat_byte(agreement), result }
    }

    #[test]
    fn the_summary_counts_leaves_and_the_worst_decides_the_exit_code() {
        let mut tally = Tally::new(&parts());
        assert_eq!((tally.message().as_str(), tally.exit()), ("2 bought", Exit::Ok));
        tally.proven(&leaf(1, LeafOutcome::Completed));
        tally.proven(&leaf(1, LeafOutcome::AppFailed));
        assert_eq!((tally.exit(), tally.message().as_str()), (Exit::TaskFailed, "1 bought, 1 ended"));
        let ended = BagError::Ended { agreement: Address::repeat_byte(2), first: 4, last: 5, ending: Ending::NoWorker };
        let said = tally.failed(ended);
        assert!(said.contains("leaves 4 to 5 of the bag"), "{said}");
        assert_eq!(tally.exit(), Exit::NoWorkers);
        let reports: Vec<_> = tally.parts.values().map(|part| (part.state(), part.failed_leaves)).collect();
        assert_eq!(reports, [("Verified".to_owned(), Some(1)), ("NoWorker".to_owned(), None)]);
    }
}
