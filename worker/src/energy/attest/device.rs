//! The meter's key: what signs a digest of 32 bytes and cannot be asked for its secret.
use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use sunwork_protocol::energy::{DeviceKey, PublicKey, SIGNATURE_BYTES};
use sunwork_tpm::{Blob, Tpm};

/// Where a key is behind the same questions: in software, in a TPM 2.0, and where another secure element would come in: an ATECC608
/// (`Sign`, external digest) makes s of any height, as a TPM does, and whoever writes it takes the lower of the two, as `p256` has it
/// (`Signature::normalize_s`).
pub trait DeviceSigner: Send + Sync {
    /// Its public half. The device need not be there.
    fn public(&self) -> PublicKey;

    /// Whether it would sign now.
    ///
    /// # Errors
    /// Why not, in words.
    fn check(&self) -> Result<(), String>;

    /// r and s over a digest, s in its lower form. May take seconds.
    ///
    /// # Errors
    /// Why the device does not sign, in words.
    fn sign(&self, digest: B256) -> Result<[u8; SIGNATURE_BYTES], String>;
}

/// A key in software, kept in a keystore that the worker's password opens.
#[derive(Debug)]
pub struct SoftwareKey(DeviceKey);

/// What the scalar is derived with from the keystore's 32 secret bytes: the same bytes are a key of another curve in other hands.
const TAG: &[u8] = b"sunwork.meter.key.1";

impl SoftwareKey {
    /// From the secret of a keystore: the first of SHA-256(tag | secret | counter) that is a scalar of P-256.
    #[must_use]
    pub fn derive(secret: &[u8; 32]) -> Option<Self> {
        // All but one in four thousand million digests are one.
        (0..=u8::MAX).find_map(|counter| {
            let scalar = Sha256::new().chain_update(TAG).chain_update(secret).chain_update([counter]).finalize();
            DeviceKey::from_bytes(&scalar.into()).ok().map(Self)
        })
    }
}

impl DeviceSigner for SoftwareKey {
    fn public(&self) -> PublicKey {
        self.0.public()
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn sign(&self, digest: B256) -> Result<[u8; SIGNATURE_BYTES], String> {
        Ok(self.0.sign(digest))
    }
}

/// A key that one TPM alone can use.
#[derive(Debug)]
pub struct TpmKey {
    tpm: Tpm,
    blob: Blob,
}

impl TpmKey {
    /// A key of this TPM; it is asked when the key is used.
    #[must_use]
    pub const fn of(tpm: Tpm, blob: Blob) -> Self {
        Self { tpm, blob }
    }
}

impl DeviceSigner for TpmKey {
    fn public(&self) -> PublicKey {
        PublicKey { x: self.blob.x.into(), y: self.blob.y.into() }
    }

    fn check(&self) -> Result<(), String> {
        self.tpm.check(&self.blob).map_err(|error| error.to_string())
    }

    fn sign(&self, digest: B256) -> Result<[u8; SIGNATURE_BYTES], String> {
        self.tpm.sign(&self.blob, digest.0).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_software_key_signs_what_the_ledger_takes_and_another_secret_is_another_key() {
        let key = SoftwareKey::derive(&[7; 32]).unwrap();
        let digest = B256::repeat_byte(3);
        key.public().verify(digest, &key.sign(digest).unwrap()).unwrap();
        assert_eq!(key.public(), SoftwareKey::derive(&[7; 32]).unwrap().public());
        assert_ne!(key.public(), SoftwareKey::derive(&[8; 32]).unwrap().public());
    }
}
