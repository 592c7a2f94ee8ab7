//! What a transaction may cost: EIP-1559 fees with a cap that is obeyed. Pure.

/// Fees per gas, wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Most that is paid in all.
    pub max_fee_wei: u128,
    /// Most that goes to the block's proposer.
    pub tip_wei: u128,
}

/// Nodes replace a transaction only for at least a tenth more; an eighth leaves room for their rounding.
const BUMP_DIVISOR: u128 = 8;

/// Fees for a new transaction: room for the base fee to double. `None` when the base fee alone is above the cap.
pub fn initial(base_fee_wei: u128, suggested_tip_wei: u128, cap_wei: u128) -> Option<Fees> {
    if base_fee_wei > cap_wei {
        return None;
    }
    let tip = suggested_tip_wei.min(cap_wei - base_fee_wei);
    let max_fee = base_fee_wei.saturating_mul(2).saturating_add(tip).min(cap_wei);
    Some(Fees { max_fee_wei: max_fee, tip_wei: tip.min(max_fee) })
}

/// Higher fees for the same nonce. `None` when the cap leaves no room for a replacement that nodes accept.
pub fn bump(last: Fees, now: Option<Fees>, cap_wei: u128) -> Option<Fees> {
    let raised = |fee: u128| fee.saturating_add(fee / BUMP_DIVISOR).saturating_add(1);
    let floor = Fees { max_fee_wei: raised(last.max_fee_wei), tip_wei: raised(last.tip_wei) };
    if floor.max_fee_wei > cap_wei {
        return None;
    }
    let now = now.unwrap_or(floor);
    let max_fee_wei = floor.max_fee_wei.max(now.max_fee_wei).min(cap_wei);
    Some(Fees { max_fee_wei, tip_wei: floor.tip_wei.max(now.tip_wei).min(max_fee_wei) })
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
        let next = bump(last, None, 10_000).unwrap();
        assert!(next.max_fee_wei >= 1_100 && next.tip_wei >= 88);
        assert_eq!(bump(last, None, 1_050), None);
        let dear = Fees { max_fee_wei: 5_000, tip_wei: 500 };
        assert_eq!(bump(last, Some(dear), 10_000), Some(dear));
    }
}
