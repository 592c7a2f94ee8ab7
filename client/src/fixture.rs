//! A purchase for the tests of what is said about one.

use alloy::primitives::{Address, B256};
use sunwork_protocol::terms::ComputeTerms;

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
        terms: ComputeTerms { samples: 5, verifiers: 3, ..sunwork_protocol::testing::terms() },
        spec: sunwork_protocol::testing::spec(),
        block: 5,
        time: 1000,
        tx: B256::repeat_byte(1),
    }
}
