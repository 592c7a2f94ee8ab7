//! A worker that cheats alone: all verifiers are honest, so it is caught as soon as one of them computes a false leaf.

use super::{case::Case, chance};

/// The chance that at least one of `honest` verifiers computes one of `false_leaves` false leaves:
/// q(c) = 1 - (C(n-c,k)/C(n,k))^h. Each draws its own sample.
pub fn caught(case: &Case, honest: u32, false_leaves: u32) -> f64 {
    let missed = chance::miss(case.leaves, case.computed(), false_leaves);
    1.0 - (0..honest).fold(1.0, |all, _| all * missed)
}

/// What false leaves bring the worker beyond honest work, as a multiple of the reward: the work saved, worth at most R c/n, less
/// reward and lock if caught: c/n - q(c) (R + L_w)/R.
pub fn gain(case: &Case, false_leaves: u32) -> f64 {
    let saved = f64::from(false_leaves) / f64::from(case.leaves);
    saved - caught(case, case.verifiers.into(), false_leaves) * (1.0 + case.money().worker_lock)
}

/// The best number of false leaves and its gain. q is concave in c (the miss chance is a product of falling lines), so the best
/// is at one end; all are tried in small bags, both ends in large ones.
pub fn best(case: &Case) -> (u32, f64) {
    let all = 1..=case.leaves;
    let ends = [1, case.leaves];
    let tried: Vec<u32> = if case.leaves <= 1000 { all.collect() } else { ends.to_vec() };
    tried
        .into_iter()
        .map(|c| (c, gain(case, c)))
        .fold((0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best })
}

/// The greatest worth of one false leaf to a lone cheat that is still deterred, as a multiple of the reward: q(1) (R + L_w)/R.
pub fn deterred_worth_of_one_leaf(case: &Case) -> f64 {
    caught(case, case.verifiers.into(), 1) * (1.0 + case.money().worker_lock)
}

/// The lock, as a multiple of the reward, that deters a lone cheat to whom one false leaf is worth `worth` rewards: worth/q(1) - 1.
pub fn lock_alone(case: &Case, worth: f64) -> f64 {
    (worth / caught(case, case.verifiers.into(), 1) - 1.0).max(0.0)
}

/// The lock, as a multiple of the reward, that deters a cheat to whom one false leaf is worth `worth` rewards, when a share of
/// the stake colludes but cannot outvote: `2V/(V+1) (worth/q - 1)` with q = 1 - (1 - (1-s) k/n)^V. The first factor because a
/// coalition can hold up to V - 1 of the seats that share the half of the slash.
pub fn lock_for_worth(case: &Case, share: f64, worth: f64) -> f64 {
    let verifiers = f64::from(case.verifiers);
    let q = 1.0 - (1.0 - (1.0 - share) * case.coverage()).powf(verifiers);
    (2.0 * verifiers / (verifiers + 1.0) * (worth / q - 1.0)).max(0.0)
}
