//! The session key of an agreement, and what is derived from it. docs/CONFIDENTIAL.md tells who holds it when.
//!
//! ```text
//! commitment  = keccak("sunwork.session.commit.v1" | K)                                in the terms, by the specification
//! input key i = HKDF-SHA256(K, salt "sunwork.input.key.v1", info u32(i))               aad "sunwork.input.v1" | u32(i)
//! blind       = keccak("sunwork.leaf.blind.v1" | HKDF(K, salt "sunwork.leaf.blind.key.v1", info agreement | u32(leaf)) | digest)
//! ```
//! Everything of a client is derived from one secret and the random nonce in the specification, so a wallet is all that is
//! needed to read a result years later.

use std::fmt;
use std::io::{Read, Write};

use alloy::primitives::{Address, B256, keccak256};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::envelope::SecretKey;
use crate::segments::{self, SegmentError};

/// The key that all readers of an agreement share; 32 zero bytes for public work.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// Of public work: everybody has it.
    pub const PUBLIC: Self = Self([0; 32]);

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// True for the key that everybody has.
    pub fn is_public(&self) -> bool {
        *self == Self::PUBLIC
    }

    /// What the specification holds; zero for public work.
    pub fn commitment(&self) -> B256 {
        if self.is_public() {
            return B256::ZERO;
        }
        keccak256(Zeroizing::new([b"sunwork.session.commit.v1".as_slice(), &self.0].concat()))
    }

    /// Key of input blob `index`.
    pub fn input_key(&self, index: u32) -> [u8; 32] {
        derive(&self.0, b"sunwork.input.key.v1", &index.to_be_bytes())
    }

    /// Encrypts input blob `index`.
    ///
    /// # Errors
    /// See [`segments::seal`].
    pub fn seal_input(&self, index: u32, plain: impl Read, out: impl Write) -> Result<u64, SegmentError> {
        segments::seal(&Zeroizing::new(self.input_key(index)), &input_aad(index), plain, out)
    }

    /// Decrypts input blob `index`.
    ///
    /// # Errors
    /// See [`segments::open`].
    pub fn open_input(&self, index: u32, sealed: impl Read, out: impl Write) -> Result<u64, SegmentError> {
        segments::open(&Zeroizing::new(self.input_key(index)), &input_aad(index), sealed, out)
    }

    /// The digest of a leaf as it stands in seals, trees and events. Digests of confidential work are blinded, or whoever can
    /// guess a result could check the guess against the chain. Public ones stay as they are.
    pub fn blind(&self, agreement: Address, leaf: u32, digest: B256) -> B256 {
        if self.is_public() {
            return digest;
        }
        let key = self.blind_key(agreement, leaf);
        keccak256([b"sunwork.leaf.blind.v1".as_slice(), key.as_slice(), digest.as_slice()].concat())
    }

    /// The key that blinds one leaf's digest. Who hands a result of confidential work to a contract shows it to the chain: it
    /// opens nothing else.
    pub fn blind_key(&self, agreement: Address, leaf: u32) -> B256 {
        let info = [agreement.as_slice(), &leaf.to_be_bytes()].concat();
        derive(&self.0, b"sunwork.leaf.blind.key.v1", &info).into()
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_public() { "SessionKey(public)" } else { "SessionKey(secret)" })
    }
}

fn input_aad(index: u32) -> Vec<u8> {
    [b"sunwork.input.v1".as_slice(), &index.to_be_bytes()].concat()
}

fn derive(ikm: &[u8], salt: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, &mut out).expect("32 bytes are one block of SHA-256");
    out
}

/// What a client derives the keys of all its agreements from.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ClientSecret([u8; 32]);

impl ClientSecret {
    /// From the wallet's signing key, for one deployment. The signing key cannot be computed back from it.
    pub fn from_signing_key(key: &[u8; 32], chain_id: u64, dispatcher: Address) -> Self {
        let info = [chain_id.to_be_bytes().as_slice(), dispatcher.as_slice()].concat();
        Self(derive(key, b"sunwork.client.secret.v1", &info))
    }

    /// From 32 random bytes that are kept elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Session key of the agreement whose specification holds `nonce`.
    pub fn session_key(&self, nonce: B256) -> SessionKey {
        SessionKey(derive(&self.0, b"sunwork.session.key.v1", nonce.as_slice()))
    }

    /// The client's message key for that agreement; its public half is `clientKey` of the specification.
    pub fn message_key(&self, nonce: B256) -> SecretKey {
        SecretKey::derive(&Zeroizing::new(derive(&self.0, b"sunwork.message.key.v1", nonce.as_slice())))
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_confidential_digests_are_blinded_and_no_two_alike() {
        let (digest, here) = (B256::repeat_byte(1), Address::repeat_byte(2));
        assert_eq!(SessionKey::PUBLIC.blind(here, 0, digest), digest);
        let key = SessionKey::from_bytes([3; 32]);
        let all = [
            digest,
            key.blind(here, 0, digest),
            key.blind(here, 1, digest),
            key.blind(Address::repeat_byte(4), 0, digest),
            SessionKey::from_bytes([4; 32]).blind(here, 0, digest),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn keys_differ_by_wallet_deployment_and_nonce_and_do_not_show_in_debug() {
        let secret = ClientSecret::from_signing_key(&[1; 32], 1, Address::ZERO);
        let elsewhere = ClientSecret::from_signing_key(&[1; 32], 2, Address::ZERO);
        let (a, b) = (B256::repeat_byte(1), B256::repeat_byte(2));
        assert_eq!(secret.session_key(a), secret.session_key(a));
        assert_ne!(secret.session_key(a), secret.session_key(b));
        assert_ne!(secret.session_key(a), elsewhere.session_key(a));
        assert_ne!(secret.message_key(a).public(), secret.message_key(b).public());
        assert_ne!(secret.session_key(a).commitment(), B256::ZERO);
        assert_eq!(SessionKey::PUBLIC.commitment(), B256::ZERO);
        assert_eq!(format!("{:?} {secret:?}", secret.session_key(a)), "SessionKey(secret) ClientSecret");
    }

    #[test]
    fn inputs_do_not_open_in_each_others_place() {
        let key = SessionKey::from_bytes([5; 32]);
        let mut sealed = Vec::new();
        key.seal_input(1, b"sun".as_slice(), &mut sealed).unwrap();
        let mut plain = Vec::new();
        key.open_input(1, sealed.as_slice(), &mut plain).unwrap();
        assert_eq!(plain, b"sun");
        assert!(key.open_input(2, sealed.as_slice(), Vec::new()).is_err());
    }

    /// The values were computed with Python's `cryptography`, from the formulas above alone.
    #[test]
    fn golden_values() {
        use alloy::primitives::{address, b256};
        use sha2::Digest;

        let (key, here) = (SessionKey::from_bytes([0x55; 32]), address!("00000000000000000000000000000000000000aa"));
        assert_eq!(key.commitment(), b256!("337f396f17758233a7cbaac8d2ea386dbe24fc82f51c77c08be83d1b3deee984"));
        let mut sealed = Vec::new();
        key.seal_input(7, [9; 70_000].as_slice(), &mut sealed).unwrap();
        assert_eq!(sealed.len(), 70_032);
        assert_eq!(
            hex::encode(Sha256::digest(&sealed)),
            "6aacd7685ab7854ced6d03752a200d2e576c285d7a8b7ede4d34e6a83c146820"
        );
        assert_eq!(
            key.blind(here, 5, B256::repeat_byte(0x66)),
            b256!("521eb77adb6e903b84f1290fa17517e71bcab2939252e49b6c7f71e473e27ab9")
        );
        let secret = ClientSecret::from_signing_key(&[0x77; 32], 31_337, here);
        let nonce = B256::repeat_byte(0x88);
        assert_eq!(
            B256::from(secret.session_key(nonce).0),
            b256!("4877c07d9c1d54ca0f00f4a087b4f5afb38f1a4fde931af9f68123db201c0d37")
        );
        assert_eq!(
            secret.message_key(nonce).public(),
            b256!("91c2cb0e72140351188490d2563f40a63c3afeeb492d00680cffcc3c5763f609")
        );
    }
}
