//! The chances that everything else is built from: exact fractions, and the same in `f64`.
//!
//! Products of at most 32 factors in `f64` are off by less than 1e-14 of their value; the tests hold them against the
//! exact fractions.

use num_bigint::BigInt;
use num_rational::BigRational;

/// The chance that `samples` leaves drawn without replacement from `leaves` miss all `false_leaves`:
/// C(n-c, k) / C(n, k) = product over i < k of (n - c - i) / (n - i).
pub fn miss_exact(leaves: u32, samples: u32, false_leaves: u32) -> BigRational {
    let one = BigRational::from_integer(BigInt::from(1));
    (0..samples.min(leaves)).fold(one, |all, i| {
        let left = leaves.saturating_sub(false_leaves).saturating_sub(i);
        all * BigRational::new(BigInt::from(left), BigInt::from(leaves - i))
    })
}

/// [`miss_exact`] in `f64`.
pub fn miss(leaves: u32, samples: u32, false_leaves: u32) -> f64 {
    (0..samples.min(leaves)).fold(1.0, |all, i| {
        let left = leaves.saturating_sub(false_leaves).saturating_sub(i);
        all * f64::from(left) / f64::from(leaves - i)
    })
}

/// The chances of 0, 1, … `draws` hits when each hits independently with chance `share`: seats drawn by stake when the stake is
/// split over very many identities.
pub fn binomial(draws: u32, share: f64) -> Vec<f64> {
    let mut chances = vec![1.0];
    for _ in 0..draws {
        let mut next = vec![0.0; chances.len() + 1];
        for (hits, chance) in chances.iter().enumerate() {
            next[hits] += chance * (1.0 - share);
            next[hits + 1] += chance * share;
        }
        chances = next;
    }
    chances
}

/// The chances of 0, 1, … `draws` colluders when `draws` different workers are drawn out of `workers` with equal stakes,
/// `colluders` of them colluding: exact.
pub fn hypergeometric_exact(workers: u32, colluders: u32, draws: u32) -> Vec<BigRational> {
    let zero = BigRational::from_integer(BigInt::from(0));
    let mut chances = vec![BigRational::from_integer(BigInt::from(1))];
    for drawn in 0..draws.min(workers) {
        let mut next = vec![zero.clone(); chances.len() + 1];
        for (hits, chance) in chances.iter().enumerate() {
            let hits_so_far = u32::try_from(hits).unwrap_or(u32::MAX);
            let left = colluders.saturating_sub(hits_so_far);
            let share = BigRational::new(BigInt::from(left), BigInt::from(workers - drawn));
            next[hits + 1] += chance * &share;
            next[hits] += chance * (BigRational::from_integer(BigInt::from(1)) - share);
        }
        chances = next;
    }
    chances
}

/// The chance that all of `draws` different workers collude: C(colluders, draws) / C(workers, draws).
pub fn all_drawn(workers: u32, colluders: u32, draws: u32) -> f64 {
    (0..draws.min(workers)).fold(1.0, |all, i| all * f64::from(colluders.saturating_sub(i)) / f64::from(workers - i))
}
