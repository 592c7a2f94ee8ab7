//! Odds of a voter and the share of the odds that a digest needs (`CredibilityLib.sol`, docs/PROTOCOL.md, Settlement).
//!
//! After Sarmenta's credibility-based fault tolerance (FGCS 18(4), 2002): odds say how many times likelier a voter is
//! right than wrong; independent voters multiply. The odds of a digest are the product over those who voted for it, and
//! the digest wins with a share of all odds above `1 - 1/T`.
//!
//! Products fit 128 bits: `6^49 < 2^127`, and no leaf has more than [`MAX_VOTERS`] voters. A sum of such products never exceeds
//! the product of all (`a + b <= a b` from 2 on), so sums fit as well. Nothing is rounded here.

use alloy::primitives::U256;

/// Odds of a worker whose score is below 5.
pub const NEWCOMER_ODDS: u8 = 2;
/// The greatest odds, three times a newcomer's.
pub const MAX_ODDS: u8 = 6;
/// A score stops rising here.
pub const MAX_SCORE: u16 = 1000;
/// A score loses an eighth for each so many epochs without a settlement.
pub const DECAY_EPOCHS: u32 = 90;
/// Most voters whose product of odds surely fits 128 bits. The protocol stays below: the worker, eight verifiers, one
/// auditor, nine of a dispute and two rounds of nine make 37.
pub const MAX_VOTERS: usize = 49;

/// Odds of a voter with this score.
pub fn odds(score: u16) -> u8 {
    match score {
        0..5 => NEWCOMER_ODDS,
        5..20 => 3,
        20..60 => 4,
        60..200 => 5,
        _ => MAX_ODDS,
    }
}

/// The score after a paid, verified agreement, in an epoch that has not raised it yet.
pub fn score_after_kept(score: u16) -> u16 {
    if score < MAX_SCORE { score + 1 } else { score }
}

/// What is left of a score after `idle_epochs` without a settlement: an eighth less for each [`DECAY_EPOCHS`], rounded down
/// (against the idle).
pub fn decayed(score: u16, idle_epochs: u32) -> u16 {
    let left = 8 - (idle_epochs / DECAY_EPOCHS).min(8);
    // At most the score itself.
    (u32::from(score) * left / 8) as u16
}

/// The score after a lost vote: two thirds, rounded against the loser.
pub fn score_after_lost(score: u16) -> u16 {
    // Two thirds of a u16 fit a u16.
    (u32::from(score) * 2 / 3) as u16
}

/// The odds of a digest: the product over its voters. `None` above 128 bits, which [`MAX_VOTERS`] voters never reach.
pub fn product(voters: impl IntoIterator<Item = u8>) -> Option<u128> {
    voters.into_iter().try_fold(1_u128, |all, odds| all.checked_mul(u128::from(odds)))
}

/// The trust that a worker and `verifiers` unanimous newcomers reach; terms that ask for more are refused.
/// `None` above 128 bits.
pub fn reachable_trust(verifiers: u8) -> Option<u128> {
    u128::from(NEWCOMER_ODDS).checked_pow(u32::from(verifiers) + 1)
}

/// Does a digest with the odds `product` win among digests whose odds add up to `sum`? Its share must be above
/// `1 - 1/trust`: `product * trust > (trust - 1) * sum`, strictly, so a tie decides nothing. Trust 0 counts as 1, with
/// which any vote wins. Exact for all arguments: the products are taken in 256 bits.
pub fn wins(product: u128, sum: u128, trust: u16) -> bool {
    let (product, sum, trust) = (U256::from(product), U256::from(sum), U256::from(trust.max(1)));
    product * trust > (trust - U256::ONE) * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_steps_where_it_says() {
        let steps = [(0, 2), (4, 2), (5, 3), (19, 3), (20, 4), (59, 4), (60, 5), (199, 5), (200, 6), (u16::MAX, 6)];
        for (score, expected) in steps {
            assert_eq!(odds(score), expected, "score {score}");
        }
        assert_eq!((score_after_lost(1), score_after_lost(200), score_after_lost(u16::MAX)), (0, 133, 43690));
        assert_eq!((score_after_kept(999), score_after_kept(1000)), (1000, 1000));
        assert_eq!((decayed(200, 89), decayed(200, 90), decayed(9, 719), decayed(u16::MAX, 720)), (200, 175, 1, 0));
    }

    #[test]
    fn a_share_of_exactly_the_threshold_does_not_win() {
        // 6 against 2 is three quarters: enough for T = 3, not for T = 4.
        assert!(wins(6, 8, 3));
        assert!(!wins(6, 8, 4));
        assert!(!wins(2, 4, 2), "a tie");
    }

    #[test]
    fn products_of_the_most_voters_fit() {
        assert!(product(std::iter::repeat_n(MAX_ODDS, MAX_VOTERS)).is_some());
        assert!(product(std::iter::repeat_n(MAX_ODDS, MAX_VOTERS + 1)).is_none());
        assert_eq!(reachable_trust(8), Some(512));
        assert!(wins(u128::MAX, u128::MAX, u16::MAX), "the widest arguments");
    }
}
