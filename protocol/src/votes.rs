//! Who is right on a disputed leaf (`VoteLib.sol`, docs/PROTOCOL.md, Rounds): the digest whose voters' odds, multiplied, are a
//! share above `1 - 1/T` of all digests' odds, and that at least two parties found independently. A worker predicts with it
//! how its vote will fare, a client explains an ending.

use alloy::primitives::B256;

use crate::credibility;
use crate::settlement::Vote;
use crate::status::Ending;

/// Most leaves that a further round looks at.
pub const MAX_OPEN: usize = 8;

/// One verifier's vote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ballot {
    /// False of one that sealed and did not open: it says nothing.
    pub opened: bool,
    /// Integer odds of the voter ([`credibility::odds`]).
    pub odds: u8,
    /// Its leaves, ascending.
    pub leaves: Vec<u32>,
    /// Bit i: its digest of `leaves[i]` is not the worker's.
    pub dissent: u32,
    /// Its digests, where it dissents at all (else empty).
    pub digests: Vec<B256>,
}

impl Ballot {
    /// `None` if it did not vote on this leaf; zero for the worker's own digest.
    fn on(&self, leaf: u32) -> Option<B256> {
        let at = self.leaves.iter().position(|l| *l == leaf).filter(|_| self.opened)?;
        if self.dissent_bit(at) { self.digests.get(at).copied() } else { Some(B256::ZERO) }
    }

    /// A list has at most 32 leaves; what lies beyond is no dissent.
    fn dissent_bit(&self, at: usize) -> bool {
        u32::try_from(at).ok().and_then(|at| self.dissent.checked_shr(at)).is_some_and(|bits| bits & 1 == 1)
    }
}

/// Who stands where on one leaf: the numbers of `LeafOutcome` in `VoteLib.sol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeafOutcome {
    /// The worker's digest won, or nobody dissents.
    Stands,
    /// Another digest won.
    Falls,
    /// Neither.
    Undecided,
    /// Neither, and another digest has more than half of the odds.
    Doubted,
}

/// What the votes say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Verified, Refuted or Undecided.
    pub ending: Ending,
    /// One for each ballot.
    pub votes: Vec<Vote>,
    /// Undecided leaves that a further round looks at: one at least for each dissenter that has lost none, ascending.
    pub open: Vec<u32>,
    /// On an undecided leaf another digest has more than half of the odds.
    pub doubted: bool,
}

/// Counts the votes. The worker votes on every leaf, with its own digest. `None` where the odds of a leaf exceed 128 bits, which
/// those of a real agreement never do ([`credibility::MAX_VOTERS`]).
pub fn decide(ballots: &[Ballot], worker_odds: u8, trust: u16) -> Option<Tally> {
    let mut votes: Vec<Vote> = ballots.iter().map(|b| if b.opened { Vote::Honest } else { Vote::Silent }).collect();
    let (mut ending, mut doubted) = (Ending::Verified, false);
    let mut undecided: Vec<(u32, bool)> = vec![];
    for (i, ballot) in ballots.iter().enumerate() {
        for leaf in dissented(ballot) {
            let choices = choices_on(ballots, leaf);
            // By its first dissenter, so that a leaf is decided once.
            if first_dissenter(&choices) != Some(i) {
                continue;
            }
            let (outcome, winner) = decide_leaf(ballots, &choices, worker_odds, trust)?;
            if matches!(outcome, LeafOutcome::Undecided | LeafOutcome::Doubted) {
                undecided.push((leaf, outcome == LeafOutcome::Doubted));
                continue;
            }
            if outcome == LeafOutcome::Falls {
                ending = Ending::Refuted;
            }
            for (vote, choice) in votes.iter_mut().zip(&choices) {
                if choice.is_some_and(|digest| digest != winner) {
                    *vote = Vote::Lost;
                }
            }
        }
    }
    let mut open = vec![];
    // One leaf that falls is enough.
    if ending == Ending::Verified
        && let Some(found) = find_open(ballots, &votes, &undecided)
    {
        ending = Ending::Undecided;
        (open, doubted) = found;
    }
    Some(Tally { ending, votes, open, doubted })
}

/// What the ballots say of one leaf; undecided if no verifier voted on it. `None` as of [`decide`].
pub fn outcome_of(ballots: &[Ballot], worker_odds: u8, trust: u16, leaf: u32) -> Option<LeafOutcome> {
    let choices = choices_on(ballots, leaf);
    if first_dissenter(&choices).is_some() {
        return decide_leaf(ballots, &choices, worker_odds, trust).map(|(outcome, _)| outcome);
    }
    Some(if choices.iter().any(Option::is_some) { LeafOutcome::Stands } else { LeafOutcome::Undecided })
}

/// The leaves on which a ballot says otherwise than the worker, ascending.
fn dissented(ballot: &Ballot) -> impl Iterator<Item = u32> {
    let leaves = if ballot.opened { ballot.leaves.as_slice() } else { &[] };
    leaves.iter().enumerate().filter(|(at, _)| ballot.dissent_bit(*at)).map(|(_, leaf)| *leaf)
}

fn choices_on(ballots: &[Ballot], leaf: u32) -> Vec<Option<B256>> {
    ballots.iter().map(|ballot| ballot.on(leaf)).collect()
}

fn first_dissenter(choices: &[Option<B256>]) -> Option<usize> {
    choices.iter().position(|choice| choice.is_some_and(|digest| !digest.is_zero()))
}

/// The outcome and the digest that won, zero for the worker's.
fn decide_leaf(
    ballots: &[Ballot],
    choices: &[Option<B256>],
    worker_odds: u8,
    trust: u16,
) -> Option<(LeafOutcome, B256)> {
    let for_digest = |wanted: B256| {
        let voters: Vec<u8> =
            ballots.iter().zip(choices).filter(|(_, c)| **c == Some(wanted)).map(|(b, _)| b.odds).collect();
        credibility::product(voters.iter().copied()).map(|odds| (odds, voters.len()))
    };
    let (of_supporters, supporters) = for_digest(B256::ZERO)?;
    let mine = of_supporters.checked_mul(u128::from(worker_odds))?;
    let mut all = mine;
    let (mut best, mut best_voters, mut winner) = (0, 0, B256::ZERO);
    for (i, choice) in choices.iter().enumerate() {
        let Some(digest) = choice.filter(|digest| !digest.is_zero()) else { continue };
        if choices[..i].contains(choice) {
            continue;
        }
        let (odds, voters) = for_digest(digest)?;
        all = all.checked_add(odds)?;
        if odds > best {
            (best, best_voters, winner) = (odds, voters, digest);
        }
    }
    if supporters != 0 && credibility::wins(mine, all, trust) {
        return Some((LeafOutcome::Stands, B256::ZERO));
    }
    if best_voters < 2 {
        return Some((LeafOutcome::Undecided, B256::ZERO));
    }
    if credibility::wins(best, all, trust) {
        return Some((LeafOutcome::Falls, winner));
    }
    // More than half, without doubling a number that may fill its type.
    let doubted = best > all - best;
    Some((if doubted { LeafOutcome::Doubted } else { LeafOutcome::Undecided }, B256::ZERO))
}

/// A dissenter that lost a leaf is not heard on others; of each of the rest one leaf is enough to tell who lies. The leaves,
/// ascending, and whether most of the odds stand against the worker on one of them; `None` where no such dissenter is left.
fn find_open(ballots: &[Ballot], votes: &[Vote], undecided: &[(u32, bool)]) -> Option<(Vec<u32>, bool)> {
    let (mut open, mut doubted, mut any) = (Vec::new(), false, false);
    for (ballot, _) in ballots.iter().zip(votes).filter(|(_, vote)| **vote != Vote::Lost) {
        let mine: Vec<(u32, bool)> =
            dissented(ballot).filter_map(|leaf| undecided.iter().copied().find(|(of, _)| *of == leaf)).collect();
        let Some((first, _)) = mine.first() else { continue };
        any = true;
        doubted |= mine.iter().any(|(_, doubted)| *doubted);
        if open.len() < MAX_OPEN && !mine.iter().any(|(leaf, _)| open.contains(leaf)) {
            open.push(*first);
        }
    }
    open.sort_unstable();
    any.then_some((open, doubted))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWCOMER: u8 = 2;

    fn ballot(odds: u8, leaves: &[u32], dissent: &[(u32, u8)]) -> Ballot {
        let mut ballot = Ballot { opened: true, odds, leaves: leaves.to_vec(), ..Ballot::default() };
        if !dissent.is_empty() {
            ballot.digests = vec![B256::repeat_byte(0xee); leaves.len()];
            for (leaf, digest) in dissent {
                let at = leaves.iter().position(|l| l == leaf).unwrap();
                ballot.dissent |= 1 << at;
                ballot.digests[at] = B256::repeat_byte(*digest);
            }
        }
        ballot
    }

    #[test]
    fn nobody_decides_alone() {
        // One dissenter with the greatest odds against a newcomer that nobody supports: undecided, both ways.
        let tally = decide(&[ballot(6, &[1, 4], &[(4, 7)])], NEWCOMER, 2).unwrap();
        assert_eq!((tally.ending, tally.open.as_slice(), tally.doubted), (Ending::Undecided, &[4_u32][..], false));
        assert_eq!(tally.votes, [Vote::Honest]);
        // Nor does a lone worker win against a lone dissenter.
        let tally = decide(&[ballot(2, &[4], &[(4, 7)])], 6, 2).unwrap();
        assert_eq!(tally.ending, Ending::Undecided);
    }

    #[test]
    fn two_that_agree_refute_and_the_third_loses() {
        let ballots = [ballot(4, &[4], &[(4, 7)]), ballot(4, &[4, 9], &[(4, 7)]), ballot(2, &[4], &[(4, 8)])];
        // 16 against 2 and 2: 16/20 is above 3/4, not above 4/5.
        let tally = decide(&ballots, NEWCOMER, 4).unwrap();
        assert_eq!((tally.ending, tally.votes), (Ending::Refuted, vec![Vote::Honest, Vote::Honest, Vote::Lost]));
        let tally = decide(&ballots, NEWCOMER, 5).unwrap();
        assert_eq!((tally.ending, tally.doubted, tally.open), (Ending::Undecided, true, vec![4]));
        assert_eq!(outcome_of(&ballots, NEWCOMER, 4, 4), Some(LeafOutcome::Falls));
        assert_eq!(outcome_of(&ballots, NEWCOMER, 5, 4), Some(LeafOutcome::Doubted));
        assert_eq!(outcome_of(&ballots, NEWCOMER, 4, 9), Some(LeafOutcome::Stands));
        assert_eq!(outcome_of(&ballots, NEWCOMER, 4, 5), Some(LeafOutcome::Undecided));
    }

    #[test]
    fn who_lost_a_leaf_is_not_heard_on_another() {
        // The first loses leaf 4 to a crowd; that it dissents on leaf 9 too does not matter any more.
        let liar = ballot(2, &[4, 9], &[(4, 7), (9, 7)]);
        let crowd = [liar, ballot(6, &[4], &[]), ballot(6, &[4], &[])];
        let tally = decide(&crowd, 6, 4).unwrap();
        assert_eq!((tally.ending, tally.votes), (Ending::Verified, vec![Vote::Lost, Vote::Honest, Vote::Honest]));
        assert!(tally.open.is_empty() && !tally.doubted);
    }

    #[test]
    fn accomplices_that_dissent_elsewhere_do_not_hide_an_honest_dissenter() {
        // Junk on 0, 1 and 3 before the honest one that dissents on 3 alone.
        let leaves = [0, 1, 2, 3];
        let ballots = [
            ballot(2, &leaves, &[(0, 9), (1, 9), (3, 9)]),
            ballot(2, &leaves, &[(1, 8), (3, 8)]),
            ballot(2, &leaves, &[(3, 7)]),
        ];
        let tally = decide(&ballots, NEWCOMER, 16).unwrap();
        assert_eq!((tally.ending, tally.open), (Ending::Undecided, vec![0, 1, 3]));
    }

    #[test]
    fn who_did_not_open_says_nothing() {
        let silent = Ballot { opened: false, ..ballot(6, &[4], &[(4, 7)]) };
        let tally = decide(&[silent, ballot(2, &[4], &[])], NEWCOMER, 8).unwrap();
        assert_eq!((tally.ending, tally.votes), (Ending::Verified, vec![Vote::Silent, Vote::Honest]));
    }
}
