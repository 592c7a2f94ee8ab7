//! A purchase for the tests of what is said about one.

use alloy::primitives::{Address, B256};
use sunwork_protocol::terms::{ComputeSpec, ComputeTerms};

use crate::agreements::Purchase;

/// Who bought it.
pub(crate) const CLIENT: Address = Address::repeat_byte(0xc1);

/// A public bag of 16 leaves, for at most 1.31 SUN.
pub(crate) fn purchase() -> Purchase {
    Purchase {
        address: Address::repeat_byte(0xaa),
        client: CLIENT,
        class_id: 0,
        budget: 1_310_000_000,
        terms: ComputeTerms {
            reward_min: 500_000_000,
            reward_max: 1_000_000_000,
            verifier_fee: 100_000_000,
            class_id: 0,
            flags: 0,
            trust_level: 1,
            trust: 2,
            leaf_count: 16,
            samples: 5,
            verifiers: 3,
            accept_secs: 600,
            work_secs: 600,
            verify_secs: 600,
            dispute_secs: 0,
            named: Address::ZERO,
            callback: Address::ZERO,
            callback_gas: 0,
        },
        spec: ComputeSpec {
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
        },
        block: 5,
        time: 1000,
        tx: B256::repeat_byte(1),
    }
}
