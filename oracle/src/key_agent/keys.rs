//! The agent's message key, derived from its account: nothing more to keep or to lose.
use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use hkdf::Hkdf;
use sha2::Sha256;
use sunwork_protocol::envelope::SecretKey;
use zeroize::Zeroize as _;

/// `DeriveKeyPair(HKDF-SHA256(signing key, salt "sunwork.agent.key.v1", info u64(chainId) | dispatcher))`. The signing key cannot
/// be computed back from it, and each deployment has another.
pub fn message_key(signer: &PrivateKeySigner, chain_id: u64, dispatcher: Address) -> SecretKey {
    let info = [chain_id.to_be_bytes().as_slice(), dispatcher.as_slice()].concat();
    let mut signing: [u8; 32] = signer.to_bytes().into();
    let mut derived = [0; 32];
    Hkdf::<Sha256>::new(Some(b"sunwork.agent.key.v1"), &signing)
        .expand(&info, &mut derived)
        .expect("32 bytes are one block of SHA-256");
    let key = SecretKey::derive(&derived);
    signing.zeroize();
    derived.zeroize();
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_account_and_deployment_has_its_own_key_and_always_the_same() {
        let signer = |n| PrivateKeySigner::from_bytes(&alloy::primitives::B256::repeat_byte(n)).unwrap();
        let key = message_key(&signer(1), 1, Address::ZERO).public();
        assert_eq!(key, message_key(&signer(1), 1, Address::ZERO).public());
        assert_ne!(key, message_key(&signer(2), 1, Address::ZERO).public());
        assert_ne!(key, message_key(&signer(1), 2, Address::ZERO).public());
        assert_ne!(key, message_key(&signer(1), 1, Address::repeat_byte(1)).public());
    }
}
