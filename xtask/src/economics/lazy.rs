//! Verifiers that do not compute (the verifier's dilemma: Luu, Teutsch, Kulkarni, Saxena, "Demystifying Incentives in the
//! Consensus Computer", CCS 2015). All amounts as multiples of the reward; the work that laziness saves is taken to
//! be worth what the worker is paid for it, R/n a leaf, its most.

use super::{bribe, case::Case};

/// Work of a verifier in the first round: k/n.
pub fn work(case: &Case) -> f64 {
    case.coverage()
}

/// First round, blind: the digests are sealed, so a lazy verifier must guess each of its k. It pays only if the chance `g`
/// that a guess is right has `1 - g^k < (k/n) / (L_v + f)`: the result returned is that g. One (certainty) where work is free.
pub fn guess_break_even(case: &Case) -> f64 {
    let money = case.money();
    let wrong = (work(case) / (money.verifier_lock + money.fee)).min(1.0);
    (1.0 - wrong).powf(1.0 / f64::from(case.computed()))
}

/// First round, with digests handed over by the worker: the share b of such workers that must cheat (on a leaf of the
/// verifier's sample) for computing to pay: `b (d (L_v + f) + W) > k/n`, where d is the chance that somebody else finds it and W the finder's
/// share. Above one: copying pays even from a certain cheat.
pub fn copy_break_even(case: &Case, found_by_others: f64) -> f64 {
    let money = case.money();
    work(case) / (found_by_others * (money.verifier_lock + money.fee) + bribe::finders_share(case))
}

/// A leaf round, where both digests are public: the chance e that the likelier digest is wrong, below which guessing it pays:
/// `e (L_v + f + W) < 1/n`.
pub fn round_break_even(case: &Case) -> f64 {
    let money = case.money();
    1.0 / f64::from(case.leaves) / (money.verifier_lock + money.fee + bribe::finders_share(case))
}

/// Chance that others find one given false leaf that a lazy verifier passed: V - 1 others of whom a share computes, and an
/// audit (which its own salt keeps secret from a worker that does not know all salts).
pub fn others_find(case: &Case, diligent: f64) -> f64 {
    let missed = (1.0 - diligent * case.coverage()).powf(f64::from(case.verifiers) - 1.0);
    let audit = if case.audit_one_in == 0 { 0.0 } else { case.coverage() / f64::from(case.audit_one_in) };
    1.0 - missed * (1.0 - audit)
}
