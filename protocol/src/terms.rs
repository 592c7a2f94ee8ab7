//! What a client offers: the packed terms in an agreement's code (`contracts/types/ComputeTerms.sol`); the specification in
//! the purchase event is in [`ComputeSpec`].

mod check;
mod host;
mod spec;

use alloy::primitives::{Address, B256};
use thiserror::Error;

pub use crate::abi::IComputeAgreement::BoundTerms as BoundTermsAbi;
pub use check::{
    MAX_AMOUNT, MAX_CALLBACK_GAS, MAX_LEAVES, MAX_SAMPLES, MAX_TOTAL_SAMPLES, MAX_VERIFIERS, MIN_CALLBACK_GAS,
    TermsError,
};
pub use host::{Host, HostError, MAX_HOSTS, problem_of_name};
pub use spec::{ComputeSpec, Input, MAX_SPEC_BYTES, SPEC_VERSION, SPEC_VERSION_HOSTS, check_input_name};

/// Bytes of packed terms without tails.
pub const PACKED_BYTES: usize = 60;
/// Bytes of the tail that names a worker or a pool.
pub const NAMED_BYTES: usize = 20;
/// Bytes of the tail that says where results are delivered: the contract and its gas.
pub const CALLBACK_BYTES: usize = 24;
/// Bytes before the terms in an agreement's code: client 20, time of purchase 5, hash of the specification 32.
pub const HEAD_BYTES: usize = 57;
/// Bit 0 of the flags: the work starts with a sealed session key.
pub const FLAG_CONFIDENTIAL: u8 = 1;
/// Bit 1: only the worker [`ComputeTerms::named`] may accept.
pub const FLAG_NAMED: u8 = 2;
/// Bit 2: only whom the pool [`ComputeTerms::named`] places may accept.
pub const FLAG_POOL: u8 = 4;
/// Bit 3: results can be delivered to [`ComputeTerms::callback`].
pub const FLAG_CALLBACK: u8 = 8;
/// Bit 4: only workers that are positive in the deployment's energy ledger may accept and verify (greenOnly).
pub const FLAG_GREEN: u8 = 16;
/// All flags that the contracts know.
pub const ALL_FLAGS: u8 = 31;

/// Terms or specification that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SpecError {
    /// Another length of packed terms than their flags ask for.
    #[error(
        "packed terms have {found} bytes, expected {expected} (60, and by their flags 20 for who is named, 24 for a callback)"
    )]
    TermsLength {
        /// Bytes given.
        found: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// An amount above 96 bits.
    #[error("{field} is {found}, the largest amount that fits the terms is {max}")]
    AmountTooLarge {
        /// Which field.
        field: &'static str,
        /// The amount.
        found: u128,
        /// The largest that fits.
        max: u128,
    },
    /// The ABI decoder refused.
    #[error("the specification is not an ABI-encoded ComputeSpec: {0}")]
    NotAbi(String),
    /// Another version.
    #[error("the specification has version {found}, this build reads {SPEC_VERSION} and {SPEC_VERSION_HOSTS}")]
    Version {
        /// Version found.
        found: u16,
    },
    /// A field breaks its rule.
    #[error("{field} is {found}, expected {expected}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// Hot terms of a compute purchase. Amounts in the token's smallest unit, windows in seconds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ComputeTerms {
    /// Reward at the start of the accept window.
    pub reward_min: u128,
    /// Reward at its end; rises linearly in between ([`crate::price`]).
    pub reward_max: u128,
    /// Fee of each verifier.
    pub verifier_fee: u128,
    /// Pool of workers.
    pub class_id: u16,
    /// Of [`FLAG_CONFIDENTIAL`], [`FLAG_NAMED`], [`FLAG_POOL`], [`FLAG_CALLBACK`], [`FLAG_GREEN`].
    pub flags: u8,
    /// 0: the client accepts the result, stays silent or has it verified at its own bond. 1: proof of contribution.
    pub trust_level: u8,
    /// T: a digest wins a dissent with a share of the odds above 1 - 1/T.
    pub trust: u16,
    /// n: leaves of the bag.
    pub leaf_count: u32,
    /// k: leaves per verifier.
    pub samples: u8,
    /// V: verifiers.
    pub verifiers: u8,
    /// Window to accept.
    pub accept_secs: u32,
    /// From the start of the work to the seal.
    pub work_secs: u32,
    /// From the end of the draw to the verifiers' seals.
    pub verify_secs: u32,
    /// From the last opening to payment, in which anybody may dispute a leaf with a bond; may be zero. Level 0: how long the
    /// client may be silent.
    pub dispute_secs: u32,
    /// The worker or the pool, as the flags say; else zero.
    pub named: Address,
    /// Contract that results can be delivered to, or zero.
    pub callback: Address,
    /// Gas that a delivery grants it.
    pub callback_gas: u32,
}

impl ComputeTerms {
    /// The bytes that the contracts read: 60, and the tails that the flags ask for.
    ///
    /// # Errors
    /// When an amount needs more than 96 bits or a window more than 24, or when an address is set that no flag announces:
    /// it would be lost.
    pub fn pack(&self) -> Result<Vec<u8>, SpecError> {
        const MAX: u128 = (1 << 96) - 1;
        let mut out = Vec::with_capacity(self.packed_bytes());
        for (field, amount) in
            [("reward_min", self.reward_min), ("reward_max", self.reward_max), ("verifier_fee", self.verifier_fee)]
        {
            if amount > MAX {
                return Err(SpecError::AmountTooLarge { field, found: amount, max: MAX });
            }
            out.extend_from_slice(&amount.to_be_bytes()[4..]);
        }
        out.extend_from_slice(&self.class_id.to_be_bytes());
        out.extend_from_slice(&[self.flags, self.trust_level]);
        out.extend_from_slice(&self.trust.to_be_bytes());
        out.extend_from_slice(&self.leaf_count.to_be_bytes());
        out.extend_from_slice(&[self.samples, self.verifiers]);
        for (field, secs) in [
            ("accept_secs", self.accept_secs),
            ("work_secs", self.work_secs),
            ("verify_secs", self.verify_secs),
            ("dispute_secs", self.dispute_secs),
        ] {
            if secs >= 1 << 24 {
                return Err(SpecError::Field { field, found: secs.to_string(), expected: "below 2^24 seconds" });
            }
            out.extend_from_slice(&secs.to_be_bytes()[1..]);
        }
        if self.names_somebody() {
            out.extend_from_slice(self.named.as_slice());
        } else if !self.named.is_zero() {
            let expected = "zero, or flag 2 (worker) or 4 (pool) set";
            return Err(SpecError::Field { field: "named", found: self.named.to_string(), expected });
        }
        if self.has_callback() {
            out.extend_from_slice(self.callback.as_slice());
            out.extend_from_slice(&self.callback_gas.to_be_bytes());
        } else if !self.callback.is_zero() || self.callback_gas != 0 {
            let found = format!("{} with {} gas", self.callback, self.callback_gas);
            return Err(SpecError::Field { field: "callback", found, expected: "zero, or flag 8 set" });
        }
        Ok(out)
    }

    /// Reads packed terms.
    ///
    /// # Errors
    /// When the length is not the one that the flags ask for.
    pub fn unpack(packed: &[u8]) -> Result<Self, SpecError> {
        let wrong = |expected| Err(SpecError::TermsLength { found: packed.len(), expected });
        if packed.len() < PACKED_BYTES {
            return wrong(PACKED_BYTES);
        }
        let uint = |from: usize, to: usize| packed[from..to].iter().fold(0_u128, |n, b| n << 8 | u128::from(*b));
        let mut terms = Self {
            reward_min: uint(0, 12),
            reward_max: uint(12, 24),
            verifier_fee: uint(24, 36),
            class_id: uint(36, 38) as u16,
            flags: packed[38],
            trust_level: packed[39],
            trust: uint(40, 42) as u16,
            leaf_count: uint(42, 46) as u32,
            samples: packed[46],
            verifiers: packed[47],
            accept_secs: uint(48, 51) as u32,
            work_secs: uint(51, 54) as u32,
            verify_secs: uint(54, 57) as u32,
            dispute_secs: uint(57, 60) as u32,
            named: Address::ZERO,
            callback: Address::ZERO,
            callback_gas: 0,
        };
        if packed.len() != terms.packed_bytes() {
            return wrong(terms.packed_bytes());
        }
        let mut end = PACKED_BYTES;
        if terms.names_somebody() {
            terms.named = Address::from_slice(&packed[end..end + NAMED_BYTES]);
            end += NAMED_BYTES;
        }
        if terms.has_callback() {
            terms.callback = Address::from_slice(&packed[end..end + 20]);
            terms.callback_gas = uint(end + 20, end + CALLBACK_BYTES) as u32;
        }
        Ok(terms)
    }

    /// Length of [`ComputeTerms::pack`].
    pub const fn packed_bytes(&self) -> usize {
        let named = if self.names_somebody() { NAMED_BYTES } else { 0 };
        let callback = if self.has_callback() { CALLBACK_BYTES } else { 0 };
        PACKED_BYTES + named + callback
    }

    /// What the client pays in: the highest reward, every fee of the first round, the fee of a late audit where the deployment has
    /// any (`audit_one_in` not 0), and the tip for the beacon proof. Level 0 asks nobody, so it reserves no fees.
    pub const fn budget(&self, seed_tip: u128, audit_one_in: u16) -> u128 {
        if self.trust_level == 0 {
            return self.reward_max + seed_tip;
        }
        let fees = self.verifiers as u128 + (audit_one_in != 0) as u128;
        self.reward_max + fees * self.verifier_fee + seed_tip
    }

    /// True when the work needs a session key.
    pub const fn is_confidential(&self) -> bool {
        self.flags & FLAG_CONFIDENTIAL != 0
    }

    /// The one worker that may accept, if the terms name it.
    pub fn named_worker(&self) -> Option<Address> {
        (self.flags & FLAG_NAMED != 0).then_some(self.named)
    }

    /// The pool that places the worker, if the terms name one.
    pub fn pool(&self) -> Option<Address> {
        (self.flags & FLAG_POOL != 0).then_some(self.named)
    }

    /// True when results can be delivered to a contract.
    pub const fn has_callback(&self) -> bool {
        self.flags & FLAG_CALLBACK != 0
    }

    /// True when only positive workers may accept and verify.
    pub const fn is_green_only(&self) -> bool {
        self.flags & FLAG_GREEN != 0
    }

    const fn names_somebody(&self) -> bool {
        self.flags & (FLAG_NAMED | FLAG_POOL) != 0
    }
}

/// The terms with what the dispatcher added: client, time of purchase, hash of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundTerms {
    /// Who bought.
    pub client: Address,
    /// Unix seconds; of a signed order: its start.
    pub bought_at: u64,
    /// keccak256 of the specification.
    pub spec_hash: B256,
    /// The terms.
    pub terms: ComputeTerms,
}

impl BoundTerms {
    /// The bytes that stand in the agreement's code.
    ///
    /// # Errors
    /// As [`ComputeTerms::pack`].
    pub fn pack(&self) -> Result<Vec<u8>, SpecError> {
        let mut out = self.client.to_vec();
        out.extend_from_slice(&self.bought_at.to_be_bytes()[3..]);
        out.extend_from_slice(self.spec_hash.as_slice());
        out.extend_from_slice(&self.terms.pack()?);
        Ok(out)
    }
}

/// As the view `boundTerms` returns them.
impl From<BoundTermsAbi> for BoundTerms {
    fn from(bound: BoundTermsAbi) -> Self {
        let t = bound.terms;
        Self {
            client: bound.client,
            bought_at: bound.boughtAt.to(),
            spec_hash: bound.specHash,
            terms: ComputeTerms {
                reward_min: t.rewardMin.to(),
                reward_max: t.rewardMax.to(),
                verifier_fee: t.verifierFee.to(),
                class_id: t.classId,
                flags: t.flags,
                trust_level: t.trustLevel,
                trust: t.trust,
                leaf_count: t.leafCount,
                samples: t.samples,
                verifiers: t.verifiers,
                accept_secs: t.acceptSecs.to(),
                work_secs: t.workSecs.to(),
                verify_secs: t.verifySecs.to(),
                dispute_secs: t.disputeSecs.to(),
                named: t.named,
                callback: t.callback,
                callback_gas: t.callbackGas,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> ComputeTerms {
        ComputeTerms {
            reward_min: (1 << 96) - 1,
            reward_max: 0,
            verifier_fee: 3,
            dispute_secs: (1 << 24) - 1,
            ..crate::testing::terms()
        }
    }

    #[test]
    fn every_shape_survives_packing() {
        let named = Address::repeat_byte(0xab);
        let callback = Address::repeat_byte(0xcd);
        let plain = terms();
        let one_worker = ComputeTerms { flags: FLAG_NAMED, named, ..terms() };
        let delivered = ComputeTerms { flags: FLAG_CALLBACK, callback, callback_gas: u32::MAX, ..terms() };
        let both = ComputeTerms { flags: FLAG_POOL | FLAG_CALLBACK | FLAG_CONFIDENTIAL, named, ..delivered.clone() };
        assert_eq!((one_worker.named_worker(), one_worker.pool()), (Some(named), None));
        assert_eq!((both.named_worker(), both.pool()), (None, Some(named)));
        for (shape, bytes) in [(plain, 60), (one_worker, 80), (delivered, 84), (both, 104)] {
            let packed = shape.pack().unwrap();
            assert_eq!(packed.len(), bytes);
            assert_eq!(ComputeTerms::unpack(&packed), Ok(shape));
            for end in 0..bytes {
                let expected = if end < PACKED_BYTES { PACKED_BYTES } else { bytes };
                let found = ComputeTerms::unpack(&packed[..end]);
                assert_eq!(found, Err(SpecError::TermsLength { found: end, expected }));
            }
            let longer = [packed, vec![0]].concat();
            let found = ComputeTerms::unpack(&longer);
            assert_eq!(found, Err(SpecError::TermsLength { found: bytes + 1, expected: bytes }));
        }
    }

    #[test]
    fn what_does_not_fit_or_would_be_lost_is_refused() {
        let refused = |change: fn(&mut ComputeTerms), expected: &str| {
            let mut terms = terms();
            change(&mut terms);
            let error = terms.pack().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(|t| t.reward_min = 1 << 96, "reward_min is 79228162514264337593543950336");
        refused(|t| t.dispute_secs = 1 << 24, "dispute_secs is 16777216");
        refused(|t| t.named = Address::repeat_byte(1), "named is 0x0101");
        refused(|t| t.callback_gas = 1, "with 1 gas");
    }

    #[test]
    fn the_budget_is_what_the_contract_asks_for() {
        let mut terms = ComputeTerms { reward_max: 100, verifier_fee: 10, verifiers: 2, ..terms() };
        assert_eq!((terms.budget(7, 0), terms.budget(7, 50)), (127, 137));
        terms.trust_level = 0;
        assert_eq!(terms.budget(7, 50), 107);
    }
}
