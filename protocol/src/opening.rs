//! What opens a verifier's seal, as it travels to the worker: with all of them one transaction opens every seal and settles.
//!
//! ```text
//! opening = salt (32) | digest_0 | … | digest_k-1      in an envelope (purpose 5), mailed with the topic "opening"
//! ```
//! It is sent once all have sealed, so nobody can use it to vote. Who sent it does not matter: it fits the seal or it does not.

use alloy::primitives::{Address, B256};

use crate::seal;

/// Most digests: leaves that a verifier computes.
pub const MAX_DIGESTS: usize = 32;

const WORD: usize = 32;

/// Salt and digests of one verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Salt of the seal.
    pub salt: B256,
    /// Digests of the verifier's leaves, in ascending order of the leaf.
    pub digests: Vec<B256>,
}

impl Opening {
    /// The bytes that travel, before they are sealed.
    pub fn encode(&self) -> Vec<u8> {
        [self.salt].iter().chain(&self.digests).flat_map(|word| word.0).collect()
    }

    /// Reads them. `None` for anything else than a salt and 1 to [`MAX_DIGESTS`] digests.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let whole = bytes.len().is_multiple_of(WORD);
        if !whole || !(2..=1 + MAX_DIGESTS).contains(&(bytes.len() / WORD)) {
            return None;
        }
        let mut words = bytes.chunks_exact(WORD).map(B256::from_slice);
        Some(Self { salt: words.next()?, digests: words.collect() })
    }

    /// True if it opens this seal, and the contract takes it: so many digests, none of them zero.
    pub fn fits(
        &self,
        seal: B256,
        samples: usize,
        chain_id: u64,
        agreement: Address,
        attempt: u8,
        verifier: Address,
    ) -> bool {
        self.digests.len() == samples
            && self.digests.iter().all(|digest| !digest.is_zero())
            && seal::verifier_seal(&self.digests, self.salt, chain_id, agreement, attempt, verifier) == seal
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGREEMENT: Address = Address::repeat_byte(1);
    const VERIFIER: Address = Address::repeat_byte(2);

    #[test]
    fn it_travels_whole_or_not_at_all() {
        let opening = Opening { salt: B256::repeat_byte(7), digests: vec![B256::repeat_byte(8); 2] };
        let bytes = opening.encode();
        assert_eq!(Opening::decode(&bytes), Some(opening));
        for bad in [&bytes[..0], &bytes[..32], &bytes[..95], &[0; 34 * 32][..]] {
            assert_eq!(Opening::decode(bad), None, "{} bytes", bad.len());
        }
    }

    #[test]
    fn only_what_opens_the_seal_fits() {
        let opening = Opening { salt: B256::repeat_byte(7), digests: vec![B256::repeat_byte(8); 2] };
        let sealed = seal::verifier_seal(&opening.digests, opening.salt, 1, AGREEMENT, 0, VERIFIER);
        let fits = |o: &Opening, samples, attempt| o.fits(sealed, samples, 1, AGREEMENT, attempt, VERIFIER);
        assert!(fits(&opening, 2, 0));
        assert!(!fits(&opening, 3, 0) && !fits(&opening, 2, 1));
        assert!(!fits(&Opening { salt: B256::ZERO, ..opening.clone() }, 2, 0));
        // The contract refuses a digest of zero: it stands for the worker's.
        let zero = Opening { digests: vec![B256::ZERO], ..opening };
        let sealed = seal::verifier_seal(&zero.digests, zero.salt, 1, AGREEMENT, 0, VERIFIER);
        assert!(!zero.fits(sealed, 1, 1, AGREEMENT, 0, VERIFIER));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
            if let Some(opening) = Opening::decode(&bytes) {
                prop_assert_eq!(opening.encode(), bytes);
            }
        }
    }
}
