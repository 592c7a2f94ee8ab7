//! Messages that one party can open: HPKE (RFC 9180) in base mode with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
//! AES-256-GCM.
//!
//! ```text
//! envelope = u8(1) | enc (32) | ciphertext and tag
//! info     = "sunwork.envelope.v1" | u8(purpose) | u64(chainId) | agreement | u8(attempt)
//! ```
//! The attempt counts for logs only and is 0 elsewhere: a session key is the same in every attempt, and a reorganisation that puts
//! another attempt before the same worker must not make its envelope useless. Base mode does not say who sealed it: session keys are checked against their commitment, mail is signed.

use std::convert::Infallible;
use std::fmt;

use alloy::primitives::{Address, B256};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::session::SessionKey;

/// First byte of an envelope.
pub const VERSION: u8 = 1;
/// What an envelope adds to its plaintext.
pub const OVERHEAD_BYTES: usize = 1 + 32 + 16;
/// Length of an envelope with a session key.
pub const KEY_ENVELOPE_BYTES: usize = OVERHEAD_BYTES + 32;

type Suite = X25519HkdfSha256;

/// What an envelope is for; part of what it is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Purpose {
    /// The session key, from the client or its agent to the worker.
    WorkerKey = 1,
    /// The session key, from the worker to a drawn verifier.
    VerifierKey = 2,
    /// The session key, from the client to its key agent.
    AgentKey = 3,
    /// Where the app's output lies and how to read it, from the worker to the client.
    Logs = 4,
    /// What opens a verifier's seal, from the verifier to the worker once all have sealed.
    Opening = 5,
}

/// What an envelope is bound to: it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// What it is for.
    pub purpose: Purpose,
    /// Chain of the agreement.
    pub chain_id: u64,
    /// The agreement.
    pub agreement: Address,
    /// The attempt; it counts for [`Purpose::Logs`] only.
    pub attempt: u8,
}

impl Context {
    fn info(&self) -> Vec<u8> {
        let attempt = if self.purpose == Purpose::Logs { self.attempt } else { 0 };
        let chain = self.chain_id.to_be_bytes();
        [b"sunwork.envelope.v1".as_slice(), &[self.purpose as u8], &chain, self.agreement.as_slice(), &[attempt]]
            .concat()
    }
}

/// A message that cannot be sealed or opened.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// The recipient's key is no key.
    #[error("{0} is not a usable X25519 public key: a message sealed to it could be read by everybody")]
    Recipient(B256),
    /// Not an envelope.
    #[error("the message has {found} bytes, expected an envelope of at least {OVERHEAD_BYTES}")]
    Length {
        /// Its length.
        found: usize,
    },
    /// Another version.
    #[error("the envelope has version {found}, this build opens {VERSION}")]
    Version {
        /// Its first byte.
        found: u8,
    },
    /// For somebody else, or changed.
    #[error("the envelope does not open: it was sealed to another key or for another purpose, or was changed")]
    Open,
    /// A key of the wrong length.
    #[error("the envelope holds {found} bytes, expected a session key of 32")]
    KeyLength {
        /// Length of the plaintext.
        found: usize,
    },
    /// Another key than the terms say.
    #[error("the session key hashes to {found}, the terms commit to {expected}")]
    Commitment {
        /// Commitment of the key in the envelope.
        found: B256,
        /// Commitment in the specification.
        expected: B256,
    },
}

/// An X25519 private key.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// From secret bytes of full entropy (DeriveKeyPair of RFC 9180).
    pub fn derive(ikm: &[u8; 32]) -> Self {
        let (secret, _) = Suite::derive_keypair(ikm);
        Self(secret.to_bytes().into())
    }

    /// Its public half.
    ///
    /// # Panics
    /// Never: every 32 bytes are an X25519 private key.
    pub fn public(&self) -> B256 {
        let public: [u8; 32] = Suite::sk_to_pk(&self.hpke()).to_bytes().into();
        public.into()
    }

    fn hpke(&self) -> <Suite as Kem>::PrivateKey {
        <Suite as Kem>::PrivateKey::from_bytes(&self.0).expect("every 32 bytes are an X25519 private key")
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey of {}", self.public())
    }
}

/// Seals `plaintext` to `recipient`. `randomness` must be fresh.
///
/// # Errors
/// When the recipient's key is of small order or all zero.
pub fn seal(
    recipient: B256,
    context: &Context,
    plaintext: &[u8],
    randomness: [u8; 32],
) -> Result<Vec<u8>, EnvelopeError> {
    let unusable = |_| EnvelopeError::Recipient(recipient);
    let key = <Suite as Kem>::PublicKey::from_bytes(recipient.as_slice()).map_err(unusable)?;
    let mut rng = Seeded { seed: randomness, counter: 0 };
    let (enc, sealed) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, Suite>(
        &OpModeS::Base,
        &key,
        &context.info(),
        plaintext,
        &[],
        &mut rng,
    )
    .map_err(unusable)?;
    Ok([&[VERSION], enc.to_bytes().as_slice(), &sealed].concat())
}

/// Opens an envelope.
///
/// # Errors
/// When it was sealed to another key, for another context, or was changed.
pub fn open(secret: &SecretKey, context: &Context, envelope: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    if envelope.len() < OVERHEAD_BYTES {
        return Err(EnvelopeError::Length { found: envelope.len() });
    }
    let (version, rest) = envelope.split_at(1);
    if version[0] != VERSION {
        return Err(EnvelopeError::Version { found: version[0] });
    }
    let (enc, sealed) = rest.split_at(32);
    let enc = <Suite as Kem>::EncappedKey::from_bytes(enc).map_err(|_| EnvelopeError::Open)?;
    hpke::single_shot_open::<AesGcm256, HkdfSha256, Suite>(
        &OpModeR::Base,
        &secret.hpke(),
        &enc,
        &context.info(),
        sealed,
        &[],
    )
    .map_err(|_| EnvelopeError::Open)
}

/// [`seal`] for a session key.
///
/// # Errors
/// As [`seal`].
pub fn seal_key(
    recipient: B256,
    context: &Context,
    key: &SessionKey,
    randomness: [u8; 32],
) -> Result<Vec<u8>, EnvelopeError> {
    seal(recipient, context, key.as_bytes(), randomness)
}

/// Opens an envelope with a session key and checks the key against the specification's commitment.
///
/// # Errors
/// As [`open`], and when the key is another one than committed to.
pub fn open_key(
    secret: &SecretKey,
    context: &Context,
    envelope: &[u8],
    commitment: B256,
) -> Result<SessionKey, EnvelopeError> {
    let mut plain = open(secret, context, envelope)?;
    let found = plain.len();
    let bytes: Result<[u8; 32], _> = plain.as_slice().try_into();
    plain.zeroize();
    let key = SessionKey::from_bytes(bytes.map_err(|_| EnvelopeError::KeyLength { found })?);
    let found = key.commitment();
    if found != commitment {
        return Err(EnvelopeError::Commitment { found, expected: commitment });
    }
    Ok(key)
}

/// The randomness that the caller gave, as the generator that the library asks for: randomness is an argument here.
struct Seeded {
    seed: [u8; 32],
    counter: u32,
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(32) {
            let block = Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes()).finalize();
            self.counter += 1;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Seeded {}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(purpose: Purpose) -> Context {
        Context { purpose, chain_id: 31_337, agreement: Address::repeat_byte(9), attempt: 1 }
    }

    #[test]
    fn only_the_recipient_opens_and_only_in_its_context() {
        let (alice, bob) = (SecretKey::derive(&[1; 32]), SecretKey::derive(&[2; 32]));
        let here = context(Purpose::WorkerKey);
        let envelope = seal(alice.public(), &here, b"sun", [3; 32]).unwrap();
        assert_eq!(envelope.len(), OVERHEAD_BYTES + 3);
        assert_eq!(open(&alice, &here, &envelope).unwrap(), b"sun");
        assert_eq!(open(&bob, &here, &envelope), Err(EnvelopeError::Open));
        for elsewhere in [
            context(Purpose::VerifierKey),
            Context { chain_id: 1, ..here },
            Context { agreement: Address::ZERO, ..here },
        ] {
            assert_eq!(open(&alice, &elsewhere, &envelope), Err(EnvelopeError::Open));
        }
        let another_attempt = Context { attempt: 0, ..here };
        assert_eq!(open(&alice, &another_attempt, &envelope).unwrap(), b"sun");
        let logs = context(Purpose::Logs);
        let envelope = seal(alice.public(), &logs, b"sun", [3; 32]).unwrap();
        assert_eq!(open(&alice, &Context { attempt: 0, ..logs }, &envelope), Err(EnvelopeError::Open));
    }

    #[test]
    fn every_changed_byte_and_every_length_is_refused() {
        let alice = SecretKey::derive(&[1; 32]);
        let here = context(Purpose::Logs);
        let envelope = seal(alice.public(), &here, b"sun", [3; 32]).unwrap();
        for at in 0..envelope.len() {
            let mut changed = envelope.clone();
            changed[at] ^= 1;
            assert!(open(&alice, &here, &changed).is_err(), "byte {at}");
            assert!(open(&alice, &here, &envelope[..at]).is_err(), "length {at}");
        }
        assert!(open(&alice, &here, &[envelope, vec![0]].concat()).is_err());
    }

    #[test]
    fn a_key_of_small_order_is_no_recipient() {
        let here = context(Purpose::WorkerKey);
        assert_eq!(seal(B256::ZERO, &here, b"", [0; 32]), Err(EnvelopeError::Recipient(B256::ZERO)));
    }

    #[test]
    fn a_session_key_is_checked_against_its_commitment() {
        let alice = SecretKey::derive(&[1; 32]);
        let here = context(Purpose::VerifierKey);
        let (key, other) = (SessionKey::from_bytes([5; 32]), SessionKey::from_bytes([6; 32]));
        let envelope = seal_key(alice.public(), &here, &key, [3; 32]).unwrap();
        assert_eq!(envelope.len(), KEY_ENVELOPE_BYTES);
        assert_eq!(open_key(&alice, &here, &envelope, key.commitment()).unwrap(), key);
        let wrong = open_key(&alice, &here, &envelope, other.commitment()).unwrap_err();
        assert_eq!(wrong, EnvelopeError::Commitment { found: key.commitment(), expected: other.commitment() });
        let short = seal(alice.public(), &here, b"short", [3; 32]).unwrap();
        let error = open_key(&alice, &here, &short, key.commitment()).unwrap_err();
        assert_eq!(error, EnvelopeError::KeyLength { found: 5 });
    }

    /// Section 6.1 of the RFC.
    #[test]
    fn public_keys_are_those_of_rfc_7748() {
        for (secret, public) in [
            (
                hex_literal("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
                "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            ),
            (
                hex_literal("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
                "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            ),
        ] {
            assert_eq!(hex::encode(SecretKey(secret).public()), public);
        }
    }

    fn hex_literal(text: &str) -> [u8; 32] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// Computed with Python's `cryptography`, from RFC 9180 and the formulas above alone.
    #[test]
    fn golden_envelope() {
        use alloy::primitives::{address, b256};

        let context = Context {
            purpose: Purpose::WorkerKey,
            chain_id: 31_337,
            agreement: address!("00000000000000000000000000000000000000aa"),
            attempt: 2,
        };
        let recipient = b256!("91c2cb0e72140351188490d2563f40a63c3afeeb492d00680cffcc3c5763f609");
        let envelope = seal_key(recipient, &context, &SessionKey::from_bytes([0x55; 32]), [0x99; 32]).unwrap();
        assert_eq!(
            hex::encode(envelope),
            "01991c8be5234ca0c3b5a1f7ed0be1a9faaf06a638ef27848283463f85586c42636eb4c08f4d68bbc52280e0d801c7407c9228f0d737\
             1dd55ab861eeeda3d2821553c616e9020896d6766cfea017f195a1"
        );
    }
}
