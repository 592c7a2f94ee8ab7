//! Verifiers for sale. A vote is opened on chain, so a promise "paid if you voted so and lost" can be kept by a contract
//! (P + epsilon: Buterin, "The P + epsilon Attack", 2015).

use super::{
    case::Case,
    collude::{Cheat, cheat},
};

/// What a honest verifier that finds a false leaf alone gets from the slash, in rewards, when the round is honest: the half of
/// `L_w - fees` shared by the 2V + 1 verifiers of both rounds that are not slashed. In a bag the others' votes on
/// other leaves stand; where everybody computes all, the V - 1 bribed ones are slashed too and do not share.
pub fn finders_share(case: &Case) -> f64 {
    let money = case.money();
    let verifiers = f64::from(case.verifiers);
    let lost = if case.computes_all() { verifiers - 1.0 } else { 0.0 };
    let right = 2.0 * verifiers + 1.0 - lost;
    let slashed = money.worker_lock + lost * money.verifier_lock;
    (slashed - money.fee * right).max(0.0) / 2.0 / right
}

/// A bribe paid for the vote, whatever comes of it, in rewards per verifier: what it must exceed if the verifier thinks that nobody
/// else will dissent (it forgoes the finder's share), and if it thinks that somebody will (it loses lock and fee too).
pub fn plain_bribe(case: &Case) -> (f64, f64) {
    let money = case.money();
    let share = finders_share(case);
    (share, share + money.verifier_lock + money.fee)
}

/// What must be promised to each verifier, to be paid only if its false vote loses: lock, fee and forgone share. Then voting
/// falsely is at least as good whatever the others do, and if all do it nothing is paid.
pub fn promise(case: &Case) -> f64 {
    plain_bribe(case).1
}

/// The promises that must be backed, in rewards: for the V drawn; besides, for an auditor with its rounds; for a dispute with
/// its rounds.
pub fn reserve(case: &Case, audit: bool, dispute: bool) -> f64 {
    let round = f64::from(case.verifiers) + 1.0;
    let mut promised = f64::from(case.verifiers);
    if audit {
        promised += 1.0 + 2.0 * round;
    }
    if dispute {
        promised += 3.0 * round;
    }
    promised * promise(case)
}

/// What becomes of a bribe when a share of the stake cannot be bought: the chance that the false result is accepted, and what
/// the briber pays on average: promises to those that voted falsely and lost, none where it works. An upper bound: V + 2 (V+1)
/// false votes. Worker and bribed play as a coalition with the rest of the stake.
pub fn with_unbought(case: &Case, what: Cheat, unbought: f64) -> (f64, f64) {
    // A prize that outweighs every stake: the briber wants the result, not the money.
    let play = cheat(case, what, 1.0 - unbought, 1e4);
    let most = f64::from(case.verifiers) + 2.0 * (f64::from(case.verifiers) + 1.0);
    (play.accepted, (1.0 - play.accepted) * most * promise(case) * (1.0 - unbought))
}
