//! Samples for the tests of all crates, so that a new field is added in one place: good public work of a small bag, from which a test
//! departs in what it is about (`ComputeTerms { flags: FLAG_NAMED, ..testing::terms() }`). No part of the API.

use alloy::primitives::{Address, B256};

use crate::terms::{ComputeSpec, ComputeTerms};

/// Terms that the contracts take: 16 leaves, two verifiers of two, for half a token to one (9 decimals).
pub fn terms() -> ComputeTerms {
    ComputeTerms {
        reward_min: 500_000_000,
        reward_max: 1_000_000_000,
        verifier_fee: 100_000_000,
        class_id: 0,
        flags: 0,
        trust_level: 1,
        trust: 2,
        leaf_count: 16,
        samples: 2,
        verifiers: 2,
        accept_secs: 600,
        work_secs: 600,
        verify_secs: 600,
        dispute_secs: 0,
        named: Address::ZERO,
        callback: Address::ZERO,
        callback_gas: 0,
    }
}

/// A specification without arguments and inputs.
pub fn spec() -> ComputeSpec {
    ComputeSpec {
        image_digest: B256::repeat_byte(7),
        image_name: String::new(),
        platform: "linux/amd64".into(),
        args: Vec::new(),
        inputs: Vec::new(),
        first_index: 0,
        milli_cpu: 1000,
        memory_mib: 64,
        disk_mib: 16,
        max_pids: 32,
        leaf_secs: 60,
        output_mib: 8,
        key_commitment: B256::ZERO,
        key_nonce: B256::ZERO,
        client_key: B256::ZERO,
        hosts: Vec::new(),
        network_mib: 0,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_samples_are_good() {
        assert_eq!((super::terms().check(), super::spec().check()), (Ok(()), Ok(())));
    }
}
