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
    /// What the agreement holds.
    pub escrow: u128,
    /// The accepted price.
    pub reward: u128,
    /// Fee of each honest verifier.
    pub verifier_fee: u128,
    /// The worker's lock.
    pub worker_lock: u128,
    /// Each verifier's lock.
    pub verifier_lock: u128,
    /// One per slot.
    pub votes: Vec<Vote>,
}

/// What it says: `worker_pay + sum(verifier_pay) + burned + refund = escrow + all slashes`.
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
    /// Burned.
    pub burned: u128,
    /// Back to the client.
    pub refund: u128,
}

/// `max(R, V fees, ceil(R / (k V (1 - p^V))))` with p = 1/2.
pub fn worker_lock(reward: u128, verifier_fee: u128, samples: u8, verifiers: u8) -> u128 {
    let scale = 1_u128 << verifiers;
    let needed = (reward * scale).div_ceil(u128::from(samples) * u128::from(verifiers) * (scale - 1));
    needed.max(reward).max(verifier_fee * u128::from(verifiers))
}

/// `max(ceil(R / V), 10 fees)`.
pub fn verifier_lock(reward: u128, verifier_fee: u128, verifiers: u8) -> u128 {
    reward.div_ceil(u128::from(verifiers)).max(10 * verifier_fee)
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

/// Settles an agreement whose result was revealed. `None` when the ending is not a settlement or the escrow cannot
/// cover reward and fees (no agreement made by the contracts gets there).
pub fn settle(s: &SettleInput) -> Option<SettleOutput> {
    let mut out = SettleOutput::default();
    match s.ending {
        Ending::Verified => out.worker_pay = s.reward,
        Ending::Undecided => out.worker_pay = s.reward / 2,
        Ending::Refuted => out.worker_slash = s.worker_lock,
        _ => return None,
    }
    let verified = s.ending == Ending::Verified;
    let honest_verifiers = s.votes.iter().filter(|v| **v == Vote::Honest).count() as u128;
    let honest = honest_verifiers + u128::from(verified);
    let fees = honest_verifiers * s.verifier_fee;
    out.refund = s.escrow.checked_sub(out.worker_pay)?.checked_sub(fees)?;

    let slashed_verifiers = s.votes.len() as u128 - honest_verifiers;
    let slashes = out.worker_slash + slashed_verifiers * s.verifier_lock;
    let injury = if s.ending == Ending::Refuted { fees } else { 0 };
    let (to_client, to_honest, burned) = split(slashes, injury);
    out.refund += to_client;
    let share = to_honest.checked_div(honest).unwrap_or(0);
    out.burned = burned + to_honest - share * honest;
    if verified {
        out.worker_pay += share;
    }
    for vote in &s.votes {
        let honest = *vote == Vote::Honest;
        out.verifier_pay.push(if honest { s.verifier_fee + share } else { 0 });
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
            reward in 0_u128..1 << 90, fee in 0_u128..1 << 80, spare in 0_u128..1 << 80,
            votes in prop::collection::vec(prop::sample::select(vec![Vote::Honest, Vote::Lost, Vote::Silent]), 1..9),
            samples in 1_u8..33,
        ) {
            let verifiers = votes.len() as u8;
            let input = SettleInput {
                ending, escrow: reward + fee * u128::from(verifiers) + spare, reward, verifier_fee: fee,
                worker_lock: worker_lock(reward, fee, samples, verifiers),
                verifier_lock: verifier_lock(reward, fee, verifiers), votes,
            };
            let out = settle(&input).unwrap();
            let slashes = out.worker_slash + out.verifier_slash.iter().sum::<u128>();
            let paid = out.worker_pay + out.verifier_pay.iter().sum::<u128>();
            prop_assert_eq!(paid + out.burned + out.refund, input.escrow + slashes);
            let fees = input.votes.iter().filter(|v| **v == Vote::Honest).count() as u128 * fee;
            let injury = if ending == Ending::Refuted { fees.min(slashes) } else { 0 };
            prop_assert!(out.burned * 2 >= slashes - injury, "at least half beyond the injury is burned");
        }
    }
}
