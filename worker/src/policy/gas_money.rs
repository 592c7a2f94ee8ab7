//! Whether the device's ether pays for the transactions of a part in an agreement, beside those of all that is under way. Whoever enters
//! and cannot pay for the seal loses stake, so what cannot be paid for is not entered.
use super::gas_units::{verifier_gas, worker_gas};
use crate::refusal::Refusal;

const WEI_PER_GWEI: u128 = 1_000_000_000;
/// Blocks may get that much dearer; a transaction is signed for a base fee of twice that of the moment.
const ROOM: u128 = 2;
/// Most verifiers of a first round.
const MAX_VERIFIERS: u8 = 8;

/// Gas of the smallest part that there is.
pub const fn least_gas() -> u64 {
    let (works, verifies) = (worker_gas(0, 0), verifier_gas());
    if works < verifies { works } else { verifies }
}

/// Gas of the largest part that there is.
pub const fn most_gas() -> u64 {
    worker_gas(1, MAX_VERIFIERS)
}

/// Whether `held_wei` pays for `gas_units` of new work and for `under_way_units` that agreements which were entered still need. Where the
/// price or what is held is not known yet nothing is held back, as with the price of gas.
///
/// # Errors
/// When it does not, with the amounts.
pub fn check(
    held_wei: Option<u128>,
    gas_units: u64,
    under_way_units: u64,
    gas_price_wei: Option<u64>,
) -> Result<(), Refusal> {
    let (Some(held_wei), Some(price_wei)) = (held_wei, gas_price_wei) else { return Ok(()) };
    let cost_wei = |units: u64| (u128::from(units) * u128::from(price_wei)).saturating_mul(ROOM);
    let under_way_wei = cost_wei(under_way_units);
    let needed_wei = cost_wei(gas_units).saturating_add(under_way_wei);
    if held_wei >= needed_wei {
        return Ok(());
    }
    let gwei = |wei: u128| u64::try_from(wei).unwrap_or(u64::MAX);
    Err(Refusal::GasMoney {
        held_gwei: gwei(held_wei / WEI_PER_GWEI),
        needed_gwei: gwei(needed_wei.div_ceil(WEI_PER_GWEI)),
        under_way_gwei: gwei(under_way_wei.div_ceil(WEI_PER_GWEI)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::{Bound, Measure, Reason};

    #[test]
    fn an_empty_device_is_refused_with_what_it_needs_and_a_free_chain_needs_nothing() {
        // 100,000 gas at 3 gwei, twice: 0.0006 ether.
        let price = Some(3_000_000_000);
        let refusal = check(Some(0), 100_000, 0, price).unwrap_err();
        assert_eq!(refusal, Refusal::GasMoney { held_gwei: 0, needed_gwei: 600_000, under_way_gwei: 0 });
        assert_eq!(refusal.to_string(), "the device's key holds 0 ETH < 0.0006 ETH for the gas of new work");
        let unit = "gwei";
        assert_eq!(refusal.measure(), Some(Measure { found: 0, limit: 600_000, unit, bound: Bound::AtLeast }));
        assert!(!refusal.is_lasting() && refusal.reason() == Reason::GasMoney);
        assert_eq!(check(Some(600_000 * WEI_PER_GWEI), 100_000, 0, price), Ok(()));
        assert!(check(Some(600_000 * WEI_PER_GWEI - 1), 100_000, 0, price).is_err());
        assert_eq!(check(Some(0), u64::MAX, u64::MAX, Some(0)), Ok(()), "gas costs nothing there");
        assert_eq!(check(None, 1, 1, Some(1)), Ok(()));
        assert_eq!(check(Some(0), 1, 1, None), Ok(()));
        let dearest = check(Some(0), u64::MAX, u64::MAX, Some(u64::MAX)).unwrap_err();
        let all = u64::MAX;
        assert_eq!(dearest, Refusal::GasMoney { held_gwei: 0, needed_gwei: all, under_way_gwei: all }, "no overflow");
        assert!(least_gas() > 100_000 && least_gas() < most_gas());
    }

    #[test]
    fn what_is_under_way_comes_first_and_is_said_to_be_in_danger() {
        let price = Some(3_000_000_000);
        let check = |held_gwei: u128| check(Some(held_gwei * WEI_PER_GWEI), 100_000, 50_000, price);
        assert_eq!(check(900_000), Ok(()));
        let refusal = check(600_000).unwrap_err();
        assert_eq!(refusal, Refusal::GasMoney { held_gwei: 600_000, needed_gwei: 900_000, under_way_gwei: 300_000 });
        assert_eq!(
            refusal.to_string(),
            "the device's key holds 0.0006 ETH < 0.0009 ETH for the gas of new work and of agreements under way (0.0003 ETH)"
        );
        assert_eq!(
            check(299_999).unwrap_err().to_string(),
            "the device's key holds 0.000299999 ETH < 0.0009 ETH for the gas of new work and of agreements under way; their 0.0003 ETH \
             are not there: the stake in them is in danger"
        );
    }
}
