//! For how little the owner works. Amounts are in the token's smallest unit; all roundings are in the owner's favour.
//!
//! What is priced is what the purchase *reserves* (cores, memory, time limit of every leaf we would run), as anybody who rents
//! out a machine does it: what will really be used is known only afterwards.
use crate::refusal::Refusal;

/// Prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Least reward of an agreement.
    pub min_reward: u128,
    /// For one core, one hour.
    pub per_core_hour: u128,
    /// For one GiB of memory, one hour.
    pub per_gib_hour: u128,
    /// What one ether is worth in tokens, smallest unit. Without it gas is not compared with the pay.
    pub tokens_per_ether: Option<u128>,
    /// Highest price of a unit of gas at which work is taken, wei.
    pub gas_price_limit_wei: Option<u64>,
}

/// What a part of an agreement reserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Thousandths of a core, each leaf.
    pub milli_cpu: u32,
    /// Memory of each leaf, MiB.
    pub memory_mib: u32,
    /// Time limit of each leaf, seconds.
    pub leaf_secs: u32,
    /// Leaves that we would run.
    pub leaves: u32,
}

const WEI_PER_ETHER: u128 = 1_000_000_000_000_000_000;

impl Booking {
    fn leaf_seconds(&self) -> u128 {
        u128::from(self.leaf_secs) * u128::from(self.leaves)
    }

    /// `price * cores * hours`, rounded up.
    fn core_price(&self, per_core_hour: u128) -> u128 {
        let core_milli_secs = u128::from(self.milli_cpu) * self.leaf_seconds();
        core_milli_secs.saturating_mul(per_core_hour).div_ceil(1000 * 3600)
    }

    /// `price * GiB * hours`, rounded up.
    fn memory_price(&self, per_gib_hour: u128) -> u128 {
        let mib_secs = u128::from(self.memory_mib) * self.leaf_seconds();
        mib_secs.saturating_mul(per_gib_hour).div_ceil(1024 * 3600)
    }
}

/// Whether the pay is enough.
///
/// # Errors
/// The first price that is not met.
pub fn check(
    prices: &Prices,
    pay: u128,
    booking: &Booking,
    gas_units: u64,
    gas_price_wei: Option<u64>,
) -> Result<(), Refusal> {
    let least = booking.core_price(prices.per_core_hour);
    if pay < least {
        return Err(Refusal::CorePrice { offered: pay, least });
    }
    let least = booking.memory_price(prices.per_gib_hour);
    if pay < least {
        return Err(Refusal::MemoryPrice { offered: pay, least });
    }
    let both = booking.core_price(prices.per_core_hour).saturating_add(least);
    if pay < both {
        return Err(Refusal::CorePrice { offered: pay, least: both });
    }
    gas(prices, pay, gas_units, gas_price_wei)
}

/// Without a known price of gas nothing is held back: the fee cap of the transaction manager still holds.
fn gas(prices: &Prices, pay: u128, gas_units: u64, gas_price_wei: Option<u64>) -> Result<(), Refusal> {
    let Some(found_wei) = gas_price_wei else { return Ok(()) };
    if let Some(limit_wei) = prices.gas_price_limit_wei
        && found_wei > limit_wei
    {
        return Err(Refusal::GasPrice { found_wei, limit_wei });
    }
    if let Some(tokens_per_ether) = prices.tokens_per_ether {
        let wei = u128::from(gas_units) * u128::from(found_wei);
        let cost = wei.saturating_mul(tokens_per_ether).div_ceil(WEI_PER_ETHER);
        if pay < cost {
            return Err(Refusal::GasCost { pay, cost });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::gas_units::worker_gas;
    use proptest::prelude::*;

    const HOUR: Booking = Booking { milli_cpu: 1500, memory_mib: 512, leaf_secs: 1800, leaves: 4 };

    fn refused(prices: &Prices, pay: u128, gas_price: Option<u64>) -> Option<Refusal> {
        check(prices, pay, &HOUR, 500_000, gas_price).err()
    }

    #[test]
    fn cores_and_memory_are_priced_by_what_is_reserved() {
        // 1.5 cores, half an hour, four leaves: 3 core-hours and 1 GiB-hour.
        let cores = Prices { per_core_hour: 10, ..Prices::default() };
        assert_eq!(refused(&cores, 29, None), Some(Refusal::CorePrice { offered: 29, least: 30 }));
        assert_eq!(refused(&cores, 30, None), None);
        let memory = Prices { per_gib_hour: 7, ..Prices::default() };
        assert_eq!(refused(&memory, 6, None), Some(Refusal::MemoryPrice { offered: 6, least: 7 }));
        let both = Prices { per_core_hour: 10, per_gib_hour: 7, ..Prices::default() };
        assert_eq!(refused(&both, 36, None), Some(Refusal::CorePrice { offered: 36, least: 37 }));
        assert_eq!(refused(&both, 37, None), None);
    }

    #[test]
    fn work_that_costs_more_gas_than_it_pays_is_not_taken() {
        // 500,000 gas at 20 gwei are 0.01 ether; at 1,000 units per ether that is 10.
        let prices = Prices { tokens_per_ether: Some(1000), ..Prices::default() };
        assert_eq!(refused(&prices, 9, Some(20_000_000_000)), Some(Refusal::GasCost { pay: 9, cost: 10 }));
        assert_eq!(refused(&prices, 10, Some(20_000_000_000)), None);
        assert_eq!(refused(&prices, 0, None), None, "without a price nothing is compared");
        let limit = Prices { gas_price_limit_wei: Some(5), ..Prices::default() };
        assert_eq!(refused(&limit, 0, Some(6)), Some(Refusal::GasPrice { found_wei: 6, limit_wei: 5 }));
    }

    proptest! {
        #[test]
        fn no_price_overflows_and_a_higher_pay_is_never_refused_where_a_lower_one_is_not(
            per_core in any::<u64>(), per_gib in any::<u64>(), rate in any::<u64>(), pay in any::<u128>(),
            milli_cpu in any::<u32>(), memory_mib in any::<u32>(), leaf_secs in any::<u32>(), leaves in any::<u32>(), wei in any::<u64>(),
        ) {
            let prices = Prices {
                per_core_hour: per_core.into(), per_gib_hour: per_gib.into(), tokens_per_ether: Some(rate.into()), ..Prices::default()
            };
            let booking = Booking { milli_cpu, memory_mib, leaf_secs, leaves };
            if check(&prices, pay, &booking, worker_gas(1, 8), Some(wei)).is_ok() {
                prop_assert!(check(&prices, pay.saturating_add(1), &booking, worker_gas(1, 8), Some(wei)).is_ok());
            }
        }
    }
}
