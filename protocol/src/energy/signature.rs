//! ECDSA over P-256 with SHA-256 digests, as the precompile of EIP-7951 checks it, low s only (`P256Lib.sol`).

use alloy::primitives::{B256, keccak256};
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::hazmat::{PrehashSigner, PrehashVerifier},
};
use thiserror::Error;

use super::record::{RecordError, SIGNATURE_BYTES};

/// Why a device's signature is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// No point of the curve.
    #[error("the device's public key is not a point of P-256")]
    Key,
    /// r or s is zero or not below the order of the curve.
    #[error("the device's signature has r or s out of range")]
    Range,
    /// The malleable twin of a signature.
    #[error(
        "the device's signature has the higher one of two possible s; sign with a library that makes low s, or subtract it from the order"
    )]
    HighS,
    /// Another key, or another digest.
    #[error("the device's signature does not fit its key and the digest {digest}")]
    Mismatch {
        /// What should have been signed.
        digest: B256,
    },
    /// The record itself.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// A device's key in software. Where a secure element holds it, that signs the digest instead.
pub struct DeviceKey(SigningKey);

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DeviceKey of {:?}", self.public())
    }
}

impl DeviceKey {
    /// From a secret scalar, big-endian.
    ///
    /// # Errors
    /// When it is zero or not below the order of the curve.
    pub fn from_bytes(secret: &[u8; 32]) -> Result<Self, SignatureError> {
        SigningKey::from_slice(secret).map(Self).map_err(|_| SignatureError::Range)
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        let point = self.0.verifying_key().to_sec1_point(false);
        let bytes = point.as_bytes();
        // Uncompressed: 0x04, x, y.
        PublicKey { x: B256::from_slice(&bytes[1..33]), y: B256::from_slice(&bytes[33..65]) }
    }

    /// r and s over a digest: deterministic (RFC 6979), with low s.
    pub fn sign(&self, digest: B256) -> [u8; SIGNATURE_BYTES] {
        let signed: Result<Signature, _> = self.0.sign_prehash(digest.as_slice());
        // Fails for digests shorter than half the curve's size only.
        signed.map_or([0; SIGNATURE_BYTES], |signature| signature.normalize_s().to_bytes().into())
    }
}

/// Where a device's key stands on the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// First coordinate.
    pub x: B256,
    /// Second coordinate.
    pub y: B256,
}

impl PublicKey {
    /// How the ledger names it: keccak256 of both coordinates.
    pub fn hash(&self) -> B256 {
        keccak256([self.x, self.y].concat())
    }

    /// Checks r and s over a digest.
    ///
    /// # Errors
    /// When the key is no point, or the signature out of range, high, or another's.
    pub fn verify(&self, digest: B256, signature: &[u8; SIGNATURE_BYTES]) -> Result<(), SignatureError> {
        let sec1 = [&[4], self.x.as_slice(), self.y.as_slice()].concat();
        let key = VerifyingKey::from_sec1_bytes(&sec1).map_err(|_| SignatureError::Key)?;
        let signature = Signature::from_slice(signature).map_err(|_| SignatureError::Range)?;
        if signature.normalize_s() != signature {
            return Err(SignatureError::HighS);
        }
        key.verify_prehash(digest.as_slice(), &signature).map_err(|_| SignatureError::Mismatch { digest })
    }
}
