//! The price of an offer: rises linearly from the lower to the upper bound while it waits for a worker, in 1/65,535 steps of
//! that range, rounded down for the client (`ComputeSteps._pricedNow`, docs/PROTOCOL.md).

use crate::terms::ComputeTerms;

/// The step at which the upper bound is reached.
pub const FULL_PRICE: u16 = u16::MAX;

/// The step at `now`, of an offer that waits until `deadline` and stood at `from` when its present window began (0 unless a
/// worker had left). Times are Unix seconds.
pub fn step_at(from: u16, now: u64, deadline: u64, accept_secs: u32) -> u16 {
    // Terms with a window of zero are not sold.
    let window = u64::from(accept_secs.max(1));
    let passed = window.saturating_sub(deadline.saturating_sub(now));
    // At most FULL_PRICE, since passed is at most the window.
    from + (u64::from(FULL_PRICE - from) * passed / window) as u16
}

/// The reward at a step, without what others added, smallest token unit.
pub fn reward_at(terms: &ComputeTerms, step: u16) -> u128 {
    let range = terms.reward_max.saturating_sub(terms.reward_min);
    // Amounts of terms have at most 96 bits.
    terms.reward_min + range * u128::from(step) / u128::from(FULL_PRICE)
}

/// The reward at `now` of an offer that nobody has accepted yet: `bought_at` is the time of purchase, or a signed order's start.
pub fn reward_of_offer(terms: &ComputeTerms, bought_at: u64, now: u64) -> u128 {
    let deadline = bought_at + u64::from(terms.accept_secs);
    reward_at(terms, step_at(0, now, deadline, terms.accept_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_rises_from_bound_to_bound() {
        assert_eq!((step_at(0, 0, 600, 600), step_at(0, 300, 600, 600), step_at(0, 600, 600, 600)), (0, 32767, 65535));
        // After the window, and before it (a clock behind): the bounds.
        assert_eq!((step_at(0, 9999, 600, 600), step_at(7, 0, 99_999, 600)), (65535, 7));
        // A later window goes on from where a worker had accepted.
        assert_eq!(step_at(32767, 900, 1200, 600), 32767 + 16384);
        assert_eq!(step_at(65535, 900, 1200, 600), 65535);
    }
}
