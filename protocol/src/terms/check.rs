//! Which terms can be bought (`ComputeQuoteLib.sol`): a client learns it before it pays for a call.

use alloy::primitives::Address;
use thiserror::Error;

use super::{ALL_FLAGS, ComputeTerms, FLAG_NAMED, FLAG_POOL};
use crate::credibility;

/// Most verifiers, V.
pub const MAX_VERIFIERS: u8 = 8;
/// Most leaves of a verifier, k.
pub const MAX_SAMPLES: u8 = 32;
/// Most leaves of all verifiers, V k.
pub const MAX_TOTAL_SAMPLES: u32 = 64;
/// Most leaves of a bag, n.
pub const MAX_LEAVES: u32 = 1 << 20;
/// Largest reward or fee, smallest token unit.
pub const MAX_AMOUNT: u128 = 1 << 80;
/// Longest window, seconds.
const MAX_SECS: u128 = (1 << 24) - 1;
/// Least gas that a delivery may grant.
pub const MIN_CALLBACK_GAS: u32 = 10_000;
/// Most gas that a delivery may grant.
pub const MAX_CALLBACK_GAS: u32 = 10_000_000;

/// Terms that the contracts refuse.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TermsError {
    /// A field is out of its range.
    #[error("the terms are not acceptable: {field} is {found}, expected {min} to {max}")]
    Range {
        /// Its name in `ComputeTerms.sol`.
        field: &'static str,
        /// What it is.
        found: u128,
        /// The least.
        min: u128,
        /// The most.
        max: u128,
    },
    /// More trust than these verifiers can give.
    #[error("the trust {trust} cannot be reached with {verifiers} verifiers: at most {reachable}")]
    TrustUnreachable {
        /// T.
        trust: u16,
        /// V.
        verifiers: u8,
        /// 2^(V + 1).
        reachable: u128,
    },
    /// A flag without the address it announces.
    #[error("the terms are not acceptable: {field} is {found}, expected another address than zero")]
    NoAddress {
        /// Which.
        field: &'static str,
        /// Zero.
        found: Address,
    },
}

fn range(field: &'static str, found: u128, min: u128, max: u128) -> Result<(), TermsError> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(TermsError::Range { field, found, min, max }) }
}

impl ComputeTerms {
    /// Checks what the contracts check at a purchase, as far as it needs no chain: whether the class holds enough workers and
    /// whether the callback's address is a contract of ours only the chain can tell.
    ///
    /// # Errors
    /// The first field that breaks its rule, in the order of the contract.
    pub fn check(&self) -> Result<(), TermsError> {
        let named = self.flags & (FLAG_NAMED | FLAG_POOL);
        if self.has_callback() {
            let gas = (u128::from(MIN_CALLBACK_GAS), u128::from(MAX_CALLBACK_GAS));
            range("callbackGas", self.callback_gas.into(), gas.0, gas.1)?;
            if self.callback.is_zero() {
                return Err(TermsError::NoAddress { field: "callback", found: self.callback });
            }
        }
        range("trustLevel", self.trust_level.into(), 0, 1)?;
        range("flags", self.flags.into(), 0, ALL_FLAGS.into())?;
        range("flags: worker or pool", named.into(), 0, u128::from(FLAG_NAMED | FLAG_POOL) - 1)?;
        if named != 0 && self.named.is_zero() {
            return Err(TermsError::NoAddress { field: "named", found: self.named });
        }
        range("rewardMin", self.reward_min, 1, MAX_AMOUNT)?;
        range("rewardMax", self.reward_max, self.reward_min, MAX_AMOUNT)?;
        // The bond of a rejection is made of fees.
        range("verifierFee", self.verifier_fee, u128::from(self.trust_level == 0), MAX_AMOUNT)?;
        range("leafCount", self.leaf_count.into(), 1, MAX_LEAVES.into())?;
        range("verifiers", self.verifiers.into(), 1, MAX_VERIFIERS.into())?;
        range("samples", self.samples.into(), 1, MAX_SAMPLES.into())?;
        let total = u128::from(self.verifiers) * u128::from(self.samples);
        range("verifiers * samples", total, 1, MAX_TOTAL_SAMPLES.into())?;
        range("acceptSecs", self.accept_secs.into(), 1, MAX_SECS)?;
        range("workSecs", self.work_secs.into(), 1, MAX_SECS)?;
        range("verifySecs", self.verify_secs.into(), 1, MAX_SECS)?;
        range("disputeSecs", self.dispute_secs.into(), u128::from(self.trust_level == 0), MAX_SECS)?;
        range("trust", self.trust.into(), 2, u16::MAX.into())?;
        // At most eight verifiers: far from overflow.
        let reachable = credibility::reachable_trust(self.verifiers).unwrap_or(u128::MAX);
        if u128::from(self.trust) > reachable {
            return Err(TermsError::TrustUnreachable { trust: self.trust, verifiers: self.verifiers, reachable });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::FLAG_CALLBACK;
    use super::*;

    fn terms() -> ComputeTerms {
        ComputeTerms { reward_min: 1, verifier_fee: 0, trust: 8, samples: 4, ..crate::testing::terms() }
    }

    #[test]
    fn each_broken_rule_is_named_with_its_range() {
        assert_eq!(terms().check(), Ok(()));
        type Change = fn(&mut ComputeTerms);
        let cases: [(Change, &str); 10] = [
            (|t| t.trust_level = 2, "trustLevel is 2, expected 0 to 1"),
            (|t| (t.trust_level, t.verifier_fee) = (0, 1), "disputeSecs is 0, expected 1 to 16777215"),
            (|t| (t.trust_level, t.verifier_fee) = (0, 0), "verifierFee is 0, expected 1 to"),
            (|t| t.flags = 32, "flags is 32, expected 0 to 31"),
            (|t| t.flags = 6, "flags: worker or pool is 6, expected 0 to 5"),
            (|t| t.flags = 2, "named is 0x0000000000000000000000000000000000000000, expected another"),
            (|t| t.flags = FLAG_CALLBACK, "callbackGas is 0, expected 10000 to 10000000"),
            (|t| t.reward_max = 0, "rewardMax is 0, expected 1 to"),
            (|t| (t.verifiers, t.samples) = (8, 17), "verifiers * samples is 136, expected 1 to 64"),
            (|t| t.trust = 9, "trust 9 cannot be reached with 2 verifiers: at most 8"),
        ];
        for (change, expected) in cases {
            let mut terms = terms();
            change(&mut terms);
            let error = terms.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
