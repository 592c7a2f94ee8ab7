//! Private messages between the parties of an agreement. Oracles carry them and can read nothing: bodies are envelopes.
//!
//! ```text
//! digest = keccak(abi(keccak("sunwork.mail.v1"), chainId, agreement, recipient, keccak(topic), sentAtMs, keccak(body)))
//! ```
//! The sender signs the digest; who it is, is recovered from the signature. An oracle keeps one message per agreement,
//! recipient, sender and topic: the newest.

use alloy::primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use alloy::sol_types::SolValue;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest body.
pub const MAX_BODY_BYTES: usize = 16 << 10;
/// Longest topic.
pub const MAX_TOPIC_BYTES: usize = 16;

/// The session key, from the worker to a drawn verifier.
pub const TOPIC_KEY: &str = "key";
/// Where the app's output lies, from the worker to the client.
pub const TOPIC_LOGS: &str = "logs";
/// The session key, from the client to its key agent.
pub const TOPIC_AGENT: &str = "agent";
/// What opens a verifier's seal, from the verifier to the worker.
pub const TOPIC_OPENING: &str = "opening";

/// A message as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Message {
    /// The agreement that it is about.
    pub agreement: Address,
    /// X25519 key that the body is sealed to.
    pub recipient: B256,
    /// What it is; lower-case letters, digits and dashes.
    pub topic: String,
    /// When it was sent, Unix milliseconds by the sender's clock; a newer one replaces an older one.
    pub sent_at_ms: u64,
    /// The envelope.
    pub body: Bytes,
    /// The sender's signature over the digest: r, s, v.
    pub signature: Bytes,
}

/// A message that cannot be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum MailError {
    /// Too long.
    #[error("the message has {found} bytes, expected at most {MAX_BODY_BYTES}")]
    TooLong {
        /// Length of the body.
        found: usize,
    },
    /// A topic of another shape.
    #[error("the topic is {found:?}, expected 1 to {MAX_TOPIC_BYTES} lower-case letters, digits or dashes")]
    Topic {
        /// The topic.
        found: String,
    },
    /// Not signed.
    #[error("the signature is not one of 65 bytes over this message: {0}")]
    Signature(String),
}

impl Message {
    /// A message without signature.
    ///
    /// # Errors
    /// When topic or body are out of bounds.
    pub fn new(
        agreement: Address,
        recipient: B256,
        topic: &str,
        sent_at_ms: u64,
        body: Vec<u8>,
    ) -> Result<Self, MailError> {
        let message = Self {
            agreement,
            recipient,
            topic: topic.to_owned(),
            sent_at_ms,
            body: body.into(),
            signature: Bytes::new(),
        };
        message.check()?;
        Ok(message)
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// When topic or body are out of bounds.
    pub fn check(&self) -> Result<(), MailError> {
        if self.body.len() > MAX_BODY_BYTES {
            return Err(MailError::TooLong { found: self.body.len() });
        }
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if self.topic.is_empty() || self.topic.len() > MAX_TOPIC_BYTES || !self.topic.bytes().all(plain) {
            let found = self.topic.chars().take(32).collect();
            return Err(MailError::Topic { found });
        }
        Ok(())
    }

    /// What the sender signs.
    pub fn digest(&self, chain_id: u64) -> B256 {
        let fields = (
            keccak256("sunwork.mail.v1"),
            U256::from(chain_id),
            self.agreement,
            self.recipient,
            keccak256(&self.topic),
            U256::from(self.sent_at_ms),
            keccak256(&self.body),
        );
        keccak256(fields.abi_encode())
    }

    /// With a signature.
    #[must_use]
    pub fn signed(mut self, signature: &Signature) -> Self {
        self.signature = signature.as_bytes().to_vec().into();
        self
    }

    /// Who signed it. Whether that is a party of the agreement, the chain says.
    ///
    /// # Errors
    /// When it is out of bounds or not signed; signatures with a high s are refused, so that a message has one form.
    pub fn sender(&self, chain_id: u64) -> Result<Address, MailError> {
        self.check()?;
        let bad = |error: String| MailError::Signature(error);
        let signature = Signature::from_raw(&self.signature).map_err(|error| bad(error.to_string()))?;
        if signature.normalize_s().is_some() {
            return Err(bad("its s is in the upper half".into()));
        }
        signature.recover_address_from_prehash(&self.digest(chain_id)).map_err(|error| bad(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use alloy::signers::{SignerSync, local::PrivateKeySigner};

    use super::*;

    fn signed(signer: &PrivateKeySigner) -> Message {
        let message =
            Message::new(Address::repeat_byte(1), B256::repeat_byte(2), TOPIC_KEY, 3, b"sealed".to_vec()).unwrap();
        let signature = signer.sign_hash_sync(&message.digest(31_337)).unwrap();
        message.signed(&signature)
    }

    #[test]
    fn the_sender_is_recovered_and_every_field_is_signed() {
        let signer = PrivateKeySigner::random();
        let message = signed(&signer);
        assert_eq!(message.sender(31_337), Ok(signer.address()));
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
        let changed = [
            Message { agreement: Address::ZERO, ..message.clone() },
            Message { recipient: B256::ZERO, ..message.clone() },
            Message { topic: TOPIC_LOGS.into(), ..message.clone() },
            Message { sent_at_ms: 4, ..message.clone() },
            Message { body: Bytes::from_static(b"other"), ..message.clone() },
        ];
        for other in changed {
            assert_ne!(other.sender(31_337), Ok(signer.address()));
        }
        assert_ne!(message.sender(1), Ok(signer.address()));
    }

    #[test]
    fn bounds_and_signatures_are_checked() {
        let long = Message::new(Address::ZERO, B256::ZERO, "key", 0, vec![0; MAX_BODY_BYTES + 1]);
        assert_eq!(long, Err(MailError::TooLong { found: MAX_BODY_BYTES + 1 }));
        for topic in ["", "Key", "k y", "seventeen-letters"] {
            assert!(matches!(Message::new(Address::ZERO, B256::ZERO, topic, 0, vec![]), Err(MailError::Topic { .. })));
        }
        let message = signed(&PrivateKeySigner::random());
        let cut = Message { signature: message.signature.slice(..64), ..message };
        assert!(matches!(cut.sender(31_337), Err(MailError::Signature(_))));
    }
}
