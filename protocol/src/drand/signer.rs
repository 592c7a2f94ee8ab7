//! Rounds signed by one key that everybody knows: for development networks. A real chain's key exists in shares only.
use blst::{BLST_ERROR, min_sig};

use super::{PublicKey, RoundProof, SignatureError, key::DST, message};

/// Signs rounds of a development network.
pub struct Signer(min_sig::SecretKey);

/// Known to everybody, as the accounts of development chains are.
const DEVELOPMENT_SEED: &[u8] = b"sunwork development network drand";

impl Signer {
    /// The key of all development networks.
    pub fn development() -> Self {
        Self::from_seed(DEVELOPMENT_SEED).expect("the seed above has more than 32 bytes")
    }

    /// The key of a seed: the key derivation of the BLS signature draft, with 32 bytes or more of input.
    ///
    /// # Errors
    /// When the seed is shorter.
    pub fn from_seed(seed: &[u8]) -> Result<Self, SignatureError> {
        let bad = |_: BLST_ERROR| SignatureError::BadKey {
            found: seed.len(),
            reason: "a seed of less than 32 bytes makes no key".to_owned(),
        };
        min_sig::SecretKey::key_gen(seed, b"sunwork.drand.dev").map(Self).map_err(bad)
    }

    /// The key that its signatures are checked by.
    pub fn public_key(&self) -> PublicKey {
        self.0.sk_to_pk().into()
    }

    /// Signs a round.
    pub fn sign(&self, round: u64) -> RoundProof {
        RoundProof::of(round, &self.0.sign(message(round).as_slice(), DST, &[]))
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({:?})", self.public_key())
    }
}
