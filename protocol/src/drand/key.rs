//! A drand chain's key, and signatures checked by it.
use std::fmt;

use alloy::primitives::{B256, Bytes, hex};
use blst::{BLST_ERROR, min_sig};

use super::{KEY_BYTES, LONG_KEY_BYTES, PROOF_BYTES, SIGNATURE_BYTES, message, randomness, seed};

/// Domain of the scheme's signatures.
pub(super) const DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// Why bytes are no key, or no signature of a round.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key's bytes are not those of a key.
    #[error(
        "found {found} bytes that are no drand key ({reason}), expected a point of G2: {KEY_BYTES} bytes, or {LONG_KEY_BYTES}"
    )]
    BadKey {
        /// How many came.
        found: usize,
        /// What is wrong.
        reason: String,
    },
    /// The signature's bytes are not those of a point.
    #[error(
        "found {found} bytes that are no signature of round {round} ({reason}), expected a point of G1: {SIGNATURE_BYTES} bytes"
    )]
    BadPoint {
        /// The round.
        round: u64,
        /// How many came.
        found: usize,
        /// What is wrong.
        reason: String,
    },
    /// A point, but not this round's.
    #[error("the signature {found} is not the one of round {round} by the key {key}")]
    Wrong {
        /// The round.
        round: u64,
        /// What came.
        found: Bytes,
        /// The key, as drand publishes it.
        key: Bytes,
    },
}

/// The key of a drand chain: a point of G2, in the right subgroup and not infinity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(min_sig::PublicKey);

impl PublicKey {
    /// Reads a key as drand publishes it (96 bytes) or as deployment parameters have it (192 bytes).
    ///
    /// # Errors
    /// When the bytes are no such point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bad = |error: BLST_ERROR| SignatureError::BadKey { found: bytes.len(), reason: words(error).to_owned() };
        min_sig::PublicKey::key_validate(bytes).map(Self).map_err(bad)
    }

    /// As drand publishes it.
    pub fn to_bytes(&self) -> [u8; KEY_BYTES] {
        self.0.compress()
    }

    /// As deployment parameters and `DrandBeacon` have it.
    pub fn to_long_bytes(&self) -> [u8; LONG_KEY_BYTES] {
        self.0.serialize()
    }

    /// Checks a signature as drand publishes it, and turns it into what the beacon contract takes.
    ///
    /// # Errors
    /// When it is not the round's.
    pub fn verify(&self, round: u64, signature: &[u8]) -> Result<RoundProof, SignatureError> {
        let found = signature.len();
        let bad = |error: BLST_ERROR| SignatureError::BadPoint { round, found, reason: words(error).to_owned() };
        let point = min_sig::Signature::uncompress(signature).map_err(bad)?;
        point.validate(true).map_err(bad)?;
        // Both points are checked already.
        match point.verify(false, message(round).as_slice(), DST, &[], &self.0, false) {
            BLST_ERROR::BLST_SUCCESS => Ok(RoundProof::of(round, &point)),
            _ => Err(SignatureError::Wrong {
                round,
                found: Bytes::copy_from_slice(signature),
                key: self.to_bytes().into(),
            }),
        }
    }
}

impl From<min_sig::PublicKey> for PublicKey {
    fn from(key: min_sig::PublicKey) -> Self {
        Self(key)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", hex::encode_prefixed(self.to_bytes()))
    }
}

/// A round's signature that was checked or made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundProof {
    round: u64,
    signature: [u8; SIGNATURE_BYTES],
    proof: [u8; PROOF_BYTES],
}

impl RoundProof {
    pub(super) fn of(round: u64, point: &min_sig::Signature) -> Self {
        Self { round, signature: point.compress(), proof: point.serialize() }
    }

    /// The round.
    pub const fn round(&self) -> u64 {
        self.round
    }

    /// The signature as drand publishes it.
    pub const fn signature(&self) -> &[u8; SIGNATURE_BYTES] {
        &self.signature
    }

    /// The signature as `DrandBeacon.record` takes it.
    pub fn proof(&self) -> Bytes {
        Bytes::copy_from_slice(&self.proof)
    }

    /// drand's randomness of the round.
    pub fn randomness(&self) -> B256 {
        randomness(&self.signature)
    }

    /// The seed that the beacon contract keeps.
    pub fn seed(&self) -> B256 {
        seed(self.round, self.randomness())
    }
}

fn words(error: BLST_ERROR) -> &'static str {
    match error {
        BLST_ERROR::BLST_SUCCESS => "nothing is wrong with them",
        BLST_ERROR::BLST_BAD_ENCODING => "wrong length, flags, or a coordinate that is not below the field's prime",
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => "not on the curve",
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => "not in the subgroup",
        BLST_ERROR::BLST_PK_IS_INFINITY => "the point at infinity",
        _ => "refused by the curve library",
    }
}
