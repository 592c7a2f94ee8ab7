//! Whether the device's ether pays for the transactions of a part in an agreement. Whoever enters and cannot pay for the seal loses
//! stake, so what cannot be paid for is not entered.
use super::price::{verifier_gas, worker_gas};
use crate::refusal::Refusal;

const WEI_PER_GWEI: u128 = 1_000_000_000;
/// Blocks may get that much dearer; a transaction is signed for a base fee of twice that of the moment.
const ROOM: u128 = 2;

/// Gas of the smallest part that there is.
pub const fn least_gas() -> u64 {
    let (works, verifies) = (worker_gas(0, 0), verifier_gas());
    if works < verifies { works } else { verifies }
}

/// Whether `held_wei` pays for `gas_units`. Where one of the figures is not known yet nothing is held back, as with the price of gas.
///
/// # Errors
/// When it does not, with both amounts.
pub fn check(held_wei: Option<u128>, gas_units: u64, gas_price_wei: Option<u64>) -> Result<(), Refusal> {
    let (Some(held_wei), Some(price_wei)) = (held_wei, gas_price_wei) else { return Ok(()) };
    let needed_wei = (u128::from(gas_units) * u128::from(price_wei)).saturating_mul(ROOM);
    if held_wei >= needed_wei {
        return Ok(());
    }
    let gwei = |wei: u128| u64::try_from(wei).unwrap_or(u64::MAX);
    let (held_gwei, needed_gwei) = (gwei(held_wei / WEI_PER_GWEI), gwei(needed_wei.div_ceil(WEI_PER_GWEI)));
    Err(Refusal::GasMoney { held_gwei, needed_gwei })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::{Bound, Measure, Reason};

    #[test]
    fn an_empty_device_is_refused_with_what_it_needs_and_a_free_chain_needs_nothing() {
        // 100,000 gas at 3 gwei, twice: 0.0006 ether.
        let price = Some(3_000_000_000);
        let refusal = check(Some(0), 100_000, price).unwrap_err();
        assert_eq!(refusal, Refusal::GasMoney { held_gwei: 0, needed_gwei: 600_000 });
        assert_eq!(refusal.to_string(), "the device's key holds 0 ETH < 0.0006 ETH for the gas of new work");
        let unit = "gwei";
        assert_eq!(refusal.measure(), Some(Measure { found: 0, limit: 600_000, unit, bound: Bound::AtLeast }));
        assert!(!refusal.is_lasting() && refusal.reason() == Reason::GasMoney);
        assert_eq!(check(Some(600_000 * WEI_PER_GWEI), 100_000, price), Ok(()));
        assert!(check(Some(600_000 * WEI_PER_GWEI - 1), 100_000, price).is_err());
        assert_eq!(check(Some(0), u64::MAX, Some(0)), Ok(()), "gas costs nothing there");
        assert_eq!(check(None, 1, Some(1)), Ok(()));
        assert_eq!(check(Some(0), 1, None), Ok(()));
        let dearest = check(Some(0), u64::MAX, Some(u64::MAX)).unwrap_err();
        assert_eq!(dearest, Refusal::GasMoney { held_gwei: 0, needed_gwei: u64::MAX }, "no overflow");
        assert!(least_gas() > 100_000 && least_gas() <= worker_gas(1, 8));
    }
}
