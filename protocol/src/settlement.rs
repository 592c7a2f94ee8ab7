//! Who is paid what (`SettlementLib.sol`, docs/PROTOCOL.md). Amounts in the token's smallest unit; the contract's
//! types keep every sum below 2^128.

use crate::status::Ending;

/// What became of a verifier's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vote {
    /// No other digest than its own won on its leaves.
    Honest,
    /// Another digest won on one of its leaves.
    Lost,
    /// Sealed and never opened.
    Silent,
}

/// What a settlement is computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleInput {
    /// Verified, Refuted or Undecided.
    pub ending: Ending,
    /// Undecided, and another digest than the worker's has more than half of the odds: the worker gets nothing.
    pub doubted: bool,
    /// What the agreement holds, without the bonds of disputes.
    pub escrow: u128,
    /// The accepted price with what others added.
    pub reward: u128,
    /// Fee of each honest verifier.
    pub verifier_fee: u128,
    /// The worker's lock.
    pub worker_lock: u128,
    /// Each verifier's lock.
    pub verifier_lock: u128,
    /// One per slot.
    pub votes: Vec<Vote>,
    /// The first so many votes have their fee in the escrow; the others were drawn because of a dissent or dispute.
    pub reserved: usize,
    /// Bond of each dispute.
    pub bond: u128,
    /// Disputes whose leaf fell.
    pub disputes_won: u32,
    /// Disputes whose leaf stood.
    pub disputes_lost: u32,
}

/// What it says: `worker_pay + sum(verifier_pay) + disputes_won * disputer_pay + burned + refund = escrow + all slashes + bonds won
/// and lost`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettleOutput {
    /// Paid to the worker.
    pub worker_pay: u128,
    /// Taken from the worker's lock.
    pub worker_slash: u128,
    /// Paid to each verifier.
    pub verifier_pay: Vec<u128>,
    /// Taken from each verifier's lock.
    pub verifier_slash: Vec<u128>,
    /// Paid for each dispute that was won: its bond and a share.
    pub disputer_pay: u128,
    /// Burned.
    pub burned: u128,
    /// Back to those who paid in: the client, and contributors in proportion.
    pub refund: u128,
}

/// `max(R + (2 V + 1) fees, ceil(R / (k V (1 - p^V))))` with p = 1/2 (docs/ECONOMICS.md, Locks).
pub fn worker_lock(reward: u128, verifier_fee: u128, samples: u8, verifiers: u8) -> u128 {
    let scale = 1_u128 << verifiers;
    let needed = (reward * scale).div_ceil(u128::from(samples) * u128::from(verifiers) * (scale - 1));
    needed.max(reward + verifier_fee * (2 * u128::from(verifiers) + 1))
}

/// `max(ceil(R / V), max(10, 2 (V + 1)) fees)`: one lost vote pays the two rounds that it causes.
pub fn verifier_lock(reward: u128, verifier_fee: u128, verifiers: u8) -> u128 {
    let verifiers = u128::from(verifiers);
    reward.div_ceil(verifiers).max(verifier_fee * (2 * (verifiers + 1)).max(10))
}

/// Bond of a dispute at level 1: what a verifier has at stake and the fees of the V + 1 that it calls.
pub fn dispute_bond(reward: u128, verifier_fee: u128, verifiers: u8) -> u128 {
    verifier_lock(reward, verifier_fee, verifiers) + (u128::from(verifiers) + 1) * verifier_fee
}

/// Bond of a rejection at level 0: the fees of the V verifiers that it calls, who are paid from it.
pub fn rejection_bond(verifier_fee: u128, verifiers: u8) -> u128 {
    verifier_fee * u128::from(verifiers)
}

/// Basis points of a lock, rounded up.
pub fn penalty(lock: u128, bps: u16) -> u128 {
    (lock * u128::from(bps)).div_ceil(10_000)
}

/// Splits a slash into what the injured, the honest side and the burn get.
pub fn split(slash: u128, injury: u128) -> (u128, u128, u128) {
    let to_injured = slash.min(injury);
    let to_honest = (slash - to_injured) / 2;
    (to_injured, to_honest, slash - to_injured - to_honest)
}

/// Who stands where.
struct Sides {
    /// All slashes and lost bonds.
    slashes: u128,
    /// Fees that are reserved and earned.
    fees: u128,
    /// Honest verifiers whose fee is not reserved.
    extras: u128,
    /// Parties that share in the slashes.
    honest: u128,
}

fn sides(s: &SettleInput, worker_slash: u128) -> Sides {
    let mut sides = Sides {
        slashes: worker_slash + u128::from(s.disputes_lost) * s.bond,
        fees: 0,
        extras: 0,
        honest: u128::from(s.disputes_won),
    };
    for (i, vote) in s.votes.iter().enumerate() {
        if *vote != Vote::Honest {
            sides.slashes += s.verifier_lock;
            continue;
        }
        sides.honest += 1;
        if i < s.reserved {
            sides.fees += s.verifier_fee;
        } else {
            sides.extras += 1;
        }
    }
    sides
}

/// Settles an agreement whose result was revealed. `None` when the ending is not a settlement or the escrow cannot
/// cover reward and fees (no agreement made by the contracts gets there).
pub fn settle(s: &SettleInput) -> Option<SettleOutput> {
    let mut out = SettleOutput::default();
    match s.ending {
        Ending::Verified => out.worker_pay = s.reward,
        Ending::Undecided if s.doubted => {}
        Ending::Undecided => out.worker_pay = s.reward / 2,
        Ending::Refuted => out.worker_slash = s.worker_lock,
        _ => return None,
    }
    let sides = sides(s, out.worker_slash);
    // Fees that nobody reserved come out of the slashes that caused them, then out of what is not paid to the worker.
    let unspent = s.escrow.checked_sub(out.worker_pay)?.checked_sub(sides.fees)?;
    let extra_fee = (unspent + sides.slashes).checked_div(sides.extras).map_or(0, |most| most.min(s.verifier_fee));
    let all_fees = sides.fees + extra_fee * sides.extras;
    // Whom it injured: those who pay for the extra verifiers, and a client who paid for finding out a refuted result.
    let injury = if s.ending == Ending::Refuted { all_fees } else { all_fees - sides.fees };
    let (to_injured, mut to_honest, mut burned) = split(sides.slashes, injury);
    // Only finding a false result earns: nobody gains by outvoting honest verifiers (docs/ECONOMICS.md, Outvoting).
    if s.ending != Ending::Refuted {
        burned += std::mem::take(&mut to_honest);
    }
    let share = to_honest.checked_div(sides.honest).unwrap_or(0);
    out.refund = (s.escrow + to_injured).checked_sub(out.worker_pay)?.checked_sub(all_fees)?;
    out.burned = burned + to_honest - share * sides.honest;
    if s.disputes_won != 0 {
        out.disputer_pay = s.bond + share;
    }
    for (i, vote) in s.votes.iter().enumerate() {
        let honest = *vote == Vote::Honest;
        let fee = if i < s.reserved { s.verifier_fee } else { extra_fee };
        out.verifier_pay.push(if honest { fee + share } else { 0 });
        out.verifier_slash.push(if honest { 0 } else { s.verifier_lock });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_made_or_lost(
            ending in prop::sample::select(vec![Ending::Verified, Ending::Refuted, Ending::Undecided]),
            doubted in any::<bool>(),
            reward in 0_u128..1 << 90, fee in 0_u128..1 << 80, spare in 0_u128..1 << 80,
            votes in prop::collection::vec(prop::sample::select(vec![Vote::Honest, Vote::Lost, Vote::Silent]), 1..9),
            extras in prop::collection::vec(prop::sample::select(vec![Vote::Honest, Vote::Lost, Vote::Silent]), 0..28),
            disputes_won in 0_u32..5, disputes_lost in 0_u32..5,
            samples in 1_u8..33,
        ) {
            let verifiers = votes.len() as u8;
            let reserved = votes.len();
            let input = SettleInput {
                ending, doubted: doubted && ending == Ending::Undecided,
                escrow: reward + fee * u128::from(verifiers) + spare, reward, verifier_fee: fee,
                worker_lock: worker_lock(reward, fee, samples, verifiers),
                verifier_lock: verifier_lock(reward, fee, verifiers), votes: [votes, extras].concat(), reserved,
                bond: dispute_bond(reward, fee, verifiers), disputes_won, disputes_lost,
            };
            let out = settle(&input).unwrap();
            let slashes = out.worker_slash + out.verifier_slash.iter().sum::<u128>() + u128::from(disputes_lost) * input.bond;
            let won = u128::from(disputes_won);
            let paid = out.worker_pay + out.verifier_pay.iter().sum::<u128>() + won * out.disputer_pay;
            prop_assert_eq!(paid + out.burned + out.refund, input.escrow + slashes + won * input.bond);
            let at_most = |i: usize| input.verifier_fee + if i < reserved { slashes } else { slashes + input.escrow };
            prop_assert!(out.verifier_pay.iter().enumerate().all(|(i, pay)| *pay <= at_most(i)));
            // Whatever the others' fees took: no less than half of what is left of the slashes is burned.
            let fees: u128 = out.verifier_pay.iter().zip(&input.votes).filter(|(_, v)| **v == Vote::Honest).map(|(p, _)| *p).sum();
            prop_assert!(out.burned * 2 + fees >= slashes);
        }
    }

    #[test]
    fn who_lied_pays_the_round_that_it_caused() {
        let mut input = SettleInput {
            ending: Ending::Verified,
            doubted: false,
            escrow: 1000 + 2 * 50,
            reward: 1000,
            verifier_fee: 50,
            worker_lock: 1000,
            verifier_lock: 500,
            votes: vec![Vote::Lost, Vote::Honest, Vote::Honest, Vote::Honest, Vote::Honest],
            reserved: 2,
            bond: 0,
            disputes_won: 0,
            disputes_lost: 0,
        };
        // 500 slashed: 150 for three extra fees, the rest burned. The lost vote's own fee goes back to the client.
        let out = settle(&input).unwrap();
        assert_eq!((out.worker_pay, out.refund, out.burned), (1000, 50, 350));
        assert_eq!(out.verifier_pay, [0, 50, 50, 50, 50]);
        // Nobody lied: the extra fees come out of the half that the worker does not get.
        (input.ending, input.votes[0]) = (Ending::Undecided, Vote::Honest);
        let out = settle(&input).unwrap();
        assert_eq!((out.worker_pay, out.refund, out.burned), (500, 350, 0));
        input.doubted = true;
        let out = settle(&input).unwrap();
        assert_eq!((out.worker_pay, out.refund), (0, 850));
    }

    #[test]
    fn who_disputes_rightly_gets_its_bond_and_a_share() {
        let input = SettleInput {
            ending: Ending::Refuted,
            doubted: false,
            escrow: 1100,
            reward: 1000,
            verifier_fee: 50,
            worker_lock: 1000,
            verifier_lock: 500,
            votes: vec![Vote::Lost, Vote::Lost, Vote::Honest, Vote::Honest, Vote::Honest],
            reserved: 2,
            bond: 650,
            disputes_won: 1,
            disputes_lost: 0,
        };
        // 2000 slashed, 150 for the fees, half of 1850 to four: 231 each, 1 of dust burned.
        let out = settle(&input).unwrap();
        assert_eq!((out.disputer_pay, out.refund, out.burned), (650 + 231, 1100, 926));
        assert_eq!(out.verifier_pay, [0, 0, 281, 281, 281]);
    }
}
