//! Openings of later rounds that came without the worker's digests, as their events tell: the worker has to prove its digests of
//! those leaves before the votes are counted, or loses.
use std::collections::BTreeSet;

use alloy::primitives::Address;
use sunwork_protocol::status::Status;

use super::Supervisor;
use crate::{
    chain::SeenOpening,
    step::StepError,
    view::{Head, View},
};

/// Blocks that are read again at every look: a reorganisation moves events.
const REORG_BLOCKS: u64 = 64;

/// What was read of one round's openings, so that a look at a new block reads that block and a few before it.
#[derive(Debug, Default)]
pub(super) struct UnprovenLog {
    vote_round: u8,
    /// First block that is read at the next look.
    next: u64,
    /// In the order of the chain.
    seen: Vec<SeenOpening>,
}

impl UnprovenLog {
    /// For a round whose openings come in this block at the earliest.
    fn starting(vote_round: u8, block: u64) -> Self {
        Self { vote_round, next: block, seen: Vec::new() }
    }

    /// Takes in what the blocks from `next` to `head` hold, and all that is forgotten again for the next look.
    fn take(&mut self, found: Vec<SeenOpening>, head: u64) {
        self.seen.retain(|opening| opening.block < self.next);
        self.seen.extend(found);
        self.next = self.next.max((head + 1).saturating_sub(REORG_BLOCKS));
    }

    /// Verifiers whose opening waits for the worker's digests.
    fn unanswered(&self) -> BTreeSet<Address> {
        let mut waiting = BTreeSet::new();
        for opening in &self.seen {
            if opening.proven {
                waiting.remove(&opening.verifier);
            } else {
                waiting.insert(opening.verifier);
            }
        }
        waiting
    }
}

impl Supervisor {
    /// Verifiers of the present round that opened without the worker's digests, which nobody has proven yet.
    pub(super) async fn unanswered(&mut self, view: &View, head: Head) -> Result<BTreeSet<Address>, StepError> {
        if view.vote_round == 0 || view.status.is_final() {
            self.unproven = None;
            return Ok(BTreeSet::new());
        }
        if view.status != Status::Opening {
            // The openings of this round are yet to come.
            let from = head.number.saturating_sub(REORG_BLOCKS).max(self.bought_block);
            self.unproven = Some(UnprovenLog::starting(view.vote_round, from));
            return Ok(BTreeSet::new());
        }
        let me = self.ctx.me;
        if view.worker != me && !view.slots.iter().any(|slot| slot.verifier == me) {
            // None of our business.
            return Ok(BTreeSet::new());
        }
        let same = self.unproven.take().filter(|log| log.vote_round == view.vote_round);
        // After a restart everything is read once.
        let mut log = same.unwrap_or_else(|| UnprovenLog::starting(view.vote_round, self.bought_block));
        let found = self.ctx.chain.openings(self.address, log.next, head.number).await;
        let found = found.map(|found| log.take(found, head.number));
        let mut waiting = log.unanswered();
        self.unproven = Some(log);
        found?;
        waiting.retain(|verifier| view.slot_of(*verifier).is_some());
        Ok(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Address = Address::repeat_byte(1);
    const B: Address = Address::repeat_byte(2);

    fn opening(block: u64, verifier: Address, proven: bool) -> SeenOpening {
        SeenOpening { block, verifier, proven }
    }

    fn waiting(log: &UnprovenLog) -> Vec<Address> {
        log.unanswered().into_iter().collect()
    }

    #[test]
    fn an_opening_without_proof_waits_until_it_is_answered() {
        let mut log = UnprovenLog::starting(1, 10);
        log.take(vec![opening(12, A, false), opening(12, B, true), opening(13, B, false)], 13);
        assert_eq!(waiting(&log), [A, B], "the order of the chain counts");
        log.take(vec![opening(12, A, false), opening(13, B, false), opening(14, A, true)], 14);
        assert_eq!(waiting(&log), [B]);
    }

    #[test]
    fn what_a_reorganisation_takes_away_is_forgotten_and_old_blocks_are_read_once() {
        let mut log = UnprovenLog::starting(1, 10);
        log.take(vec![opening(12, A, false)], 20);
        assert_eq!(log.next, 10, "few blocks are all read again");
        log.take(vec![], 21);
        assert!(waiting(&log).is_empty());
        log.take(vec![opening(30, A, false)], 1_000);
        assert_eq!(log.next, 937);
        log.take(vec![opening(990, B, false)], 1_001);
        assert_eq!(waiting(&log), [A, B], "block 30 is not read again, and stays");
    }
}
