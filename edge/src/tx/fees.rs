//! What a transaction may cost: EIP-1559 fees with a cap that is obeyed. Pure.

/// Fees per gas, wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Most that is paid in all.
    pub max_fee_wei: u128,
    /// Most that goes to the block's proposer.
    pub tip_wei: u128,
}

/// Nodes replace a transaction only for at least so much more, percent.
const LEAST_BUMP_PERCENT: u32 = 10;

/// Fees for a new transaction: room for the base fee to double. `None` when the base fee alone is above the cap.
pub fn initial(base_fee_wei: u128, suggested_tip_wei: u128, cap_wei: u128) -> Option<Fees> {
    if base_fee_wei > cap_wei {
        return None;
    }
    let tip = suggested_tip_wei.min(cap_wei - base_fee_wei);
    let max_fee = base_fee_wei.saturating_mul(2).saturating_add(tip).min(cap_wei);
    Some(Fees { max_fee_wei: max_fee, tip_wei: tip.min(max_fee) })
}

/// Higher fees for the same nonce, by `percent` or, where the cap leaves less room, up to the cap. `None` when it leaves no
/// room for a replacement that nodes accept.
pub fn bump(last: Fees, now: Option<Fees>, cap_wei: u128, percent: u32) -> Option<Fees> {
    let raised = |fee: u128, percent: u32| {
        fee.saturating_add((fee / 100).saturating_mul(percent.into())).saturating_add(fee % 100)
    };
    let percent = percent.max(LEAST_BUMP_PERCENT);
    let least = Fees {
        max_fee_wei: raised(last.max_fee_wei, LEAST_BUMP_PERCENT).saturating_add(1),
        tip_wei: raised(last.tip_wei, LEAST_BUMP_PERCENT).saturating_add(1),
    };
    if least.max_fee_wei > cap_wei {
        return None;
    }
    let wanted = raised(last.max_fee_wei, percent).max(least.max_fee_wei);
    let max_fee_wei = wanted.max(now.map_or(0, |now| now.max_fee_wei)).min(cap_wei);
    let tip = raised(last.tip_wei, percent).max(least.tip_wei).max(now.map_or(0, |now| now.tip_wei));
    Some(Fees { max_fee_wei, tip_wei: tip.min(max_fee_wei) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cap_is_obeyed() {
        assert_eq!(initial(10, 2, 100), Some(Fees { max_fee_wei: 22, tip_wei: 2 }));
        assert_eq!(initial(90, 20, 100), Some(Fees { max_fee_wei: 100, tip_wei: 10 }));
        assert_eq!(initial(101, 1, 100), None);
    }

    #[test]
    fn a_replacement_is_a_tenth_higher_or_none() {
        let last = Fees { max_fee_wei: 1_000, tip_wei: 80 };
        let next = bump(last, None, 10_000, 13).unwrap();
        assert!(next.max_fee_wei >= 1_130 && next.tip_wei >= 88, "{next:?}");
        assert_eq!(bump(last, None, 1_100, 13), None);
        let dear = Fees { max_fee_wei: 5_000, tip_wei: 500 };
        assert_eq!(bump(last, Some(dear), 10_000, 13), Some(dear));
        assert!(bump(last, None, 10_000, 0).unwrap().max_fee_wei >= 1_101, "less than nodes take counts as a tenth");
    }

    #[test]
    fn the_last_step_ends_at_the_cap() {
        let last = Fees { max_fee_wei: 1_000, tip_wei: 80 };
        assert_eq!(bump(last, None, 1_110, 50).unwrap().max_fee_wei, 1_110);
        assert_eq!(bump(Fees { max_fee_wei: 1_110, tip_wei: 90 }, None, 1_110, 50), None);
        let huge = Fees { max_fee_wei: u128::MAX / 2, tip_wei: 1 };
        assert!(bump(huge, None, u128::MAX, 1_000).is_some(), "no overflow");
    }
}
