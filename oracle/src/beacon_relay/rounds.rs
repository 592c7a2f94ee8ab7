//! Which rounds to record now, as pure bookkeeping.
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::{Duration, Instant},
};

use sunwork_protocol::drand::Schedule;

use crate::fold::AgreementRow;

/// Rounds under way at a time.
const MAX_UNDER_WAY: usize = 4;
/// Pause after a first failure; doubled with each further one.
const RETRY: Duration = Duration::from_secs(2);
/// Longest pause after failures.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// A recorded round that agreements still wait for is looked at again: a reorganisation may have taken the recording back.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// The beacon round that an agreement waits for at chain time `now`, as far as the index knows: the one that its verifiers are
/// drawn from, or (where the deployment has late `audits`) the one of the audit's lot. One whose deadline is over waits no more.
pub fn waited_round(row: &AgreementRow, schedule: &Schedule, audits: bool, now: u64) -> Option<u64> {
    if row.deadline < now {
        return None;
    }
    let lot = row.lot_since().filter(|_| audits).map(|since| schedule.next_round(since));
    row.beacon_round().or(lot)
}

/// What is known of rounds that are waited for.
#[derive(Debug, Default)]
pub struct Rounds {
    under_way: HashSet<u64>,
    /// Not before this instant, after so many failures in a row.
    later: HashMap<u64, (Instant, u32)>,
}

impl Rounds {
    /// The oldest of `waited` that come up to `newest` and may be tried at `now`; they count as under way from here on. What
    /// nobody waits for is forgotten.
    pub fn start(&mut self, waited: &BTreeSet<u64>, newest: u64, now: Instant) -> Vec<u64> {
        self.later.retain(|round, _| waited.contains(round));
        let room = MAX_UNDER_WAY.saturating_sub(self.under_way.len());
        let is_due = |round: &u64| {
            !self.under_way.contains(round) && self.later.get(round).is_none_or(|(instant, _)| *instant <= now)
        };
        let due: Vec<u64> = waited.range(..=newest).copied().filter(is_due).take(room).collect();
        self.under_way.extend(&due);
        due
    }

    /// The round is recorded, by us or by others.
    pub fn settled(&mut self, round: u64, now: Instant) {
        self.under_way.remove(&round);
        self.later.insert(round, (now + LOOK_AGAIN, 0));
    }

    /// It did not work. Returns the pause until it is tried again.
    pub fn failed(&mut self, round: u64, now: Instant) -> Duration {
        self.under_way.remove(&round);
        let failures = self.later.get(&round).map_or(0, |(_, failures)| *failures);
        let pause = RETRY.saturating_mul(1 << failures.min(8)).min(RETRY_MAX);
        self.later.insert(round, (now + pause, failures + 1));
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_tried_once_at_a_time_and_not_before_its_time() {
        let (mut rounds, now) = (Rounds::default(), Instant::now());
        let waited = BTreeSet::from([10, 20, 30]);
        assert_eq!(rounds.start(&waited, 9, now), [0_u64; 0]);
        assert_eq!(rounds.start(&waited, 20, now), [10, 20]);
        assert_eq!(rounds.start(&waited, 20, now), [0_u64; 0]);
        assert_eq!(rounds.start(&waited, 30, now), [30]);
        rounds.settled(10, now);
        assert_eq!(rounds.start(&waited, 30, now), [0_u64; 0]);
        // Still waited for long after it was recorded.
        assert_eq!(rounds.start(&waited, 30, now + LOOK_AGAIN), [10]);
    }

    #[test]
    fn failures_are_tried_again_with_growing_pauses() {
        let (mut rounds, mut now) = (Rounds::default(), Instant::now());
        let waited = BTreeSet::from([7]);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(rounds.start(&waited, 7, now), [7]);
            let pause = rounds.failed(7, now);
            assert_eq!(rounds.start(&waited, 7, now + pause - Duration::from_millis(1)), [0_u64; 0]);
            now += pause;
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        // Nobody waits any more: all is forgotten.
        assert_eq!(rounds.start(&BTreeSet::new(), 7, now), [0_u64; 0]);
        assert_eq!(rounds.start(&waited, 7, now), [7]);
        assert_eq!(rounds.failed(7, now), RETRY);
    }

    #[test]
    fn a_thousand_rounds_are_recorded_some_at_a_time_the_oldest_first() {
        let (mut rounds, now) = (Rounds::default(), Instant::now());
        let waited: BTreeSet<u64> = (1..=1000).collect();
        for first in (1..=1000).step_by(MAX_UNDER_WAY) {
            let due = rounds.start(&waited, 1000, now);
            assert_eq!(due, (first..first + MAX_UNDER_WAY as u64).collect::<Vec<_>>());
            due.into_iter().for_each(|round| rounds.settled(round, now));
        }
    }
}
