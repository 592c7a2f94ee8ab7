//! One party on several sides: to raise its score, to slash itself, to rob honest verifiers.

use super::{
    case::Case,
    chance,
    dispute::{Board, Game, Play},
};

/// What raising a score by `points` costs in fees that strangers earn, in rewards: points V (1 - s) f. The client pays its own
/// worker, so the reward costs nothing; a point takes an agreement and an epoch. Without a fee strangers do not come,
/// and it costs gas only.
pub fn score_cost(case: &Case, points: u32, share: f64) -> f64 {
    f64::from(points) * f64::from(case.verifiers) * (1.0 - share) * case.money().fee
}

/// Share of its worker's lock that a party loses for good when it refutes its own worker, with `own` of the V verifiers its own: the
/// burned half of `L_w - V f`, and what strangers get: their fees and their part of the other half.
pub fn self_slash_loss(case: &Case, own: u32) -> f64 {
    let money = case.money();
    let verifiers = f64::from(case.verifiers);
    let rest = (money.worker_lock - verifiers * money.fee).max(0.0);
    let strangers = verifiers - f64::from(own);
    let to_strangers = strangers * (money.fee + rest / 2.0 / verifiers);
    (rest / 2.0 + to_strangers) / money.worker_lock
}

/// An app made so that every honest machine finds a different digest (from the processor's model, say), bought by the worker's own
/// coalition, whose members all vote for one. What it wins from honest verifiers' slashes, less the fees that it pays
/// them when nobody wins, in rewards. The reward goes from one of its pockets to the other.
pub fn rigged_app(case: &Case, share: f64) -> Play {
    let verifiers = u32::from(case.verifiers);
    let game = Game::new(case, share, 0.0);
    let mut all = Play::default();
    for (seats, chance) in (0..).zip(chance::binomial(verifiers, share)) {
        let honest = verifiers - seats;
        if honest == 0 {
            all.mix(chance, Play::accepted(0.0));
            continue;
        }
        for (on_leaf, overlap) in (0..).zip(chance::binomial(seats, case.coverage())) {
            let here = if case.computes_all() { honest } else { 1 };
            let play = game.play(Board {
                honest: here,
                honest_off: honest - here,
                loyal: on_leaf,
                colluders_off: seats - on_leaf,
                off_dissents: true,
                scattered: true,
                seated: seats,
                ..Board::default()
            });
            all.mix(chance * overlap, play);
        }
    }
    all
}
