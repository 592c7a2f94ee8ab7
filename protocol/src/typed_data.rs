//! EIP-712 domain of the dispatcher and the check of ECDSA signatures over it, as strict as `TypedDataLib.sol`.
//!
//! A signer that is a contract (or an account with an EIP-7702 delegation) is not checked here: ask its
//! `isValidSignature(hash, signature)` (ERC-1271) on the chain.

use alloy::primitives::{Address, B256, Signature, U256};
use alloy::sol_types::{Eip712Domain, SolStruct, eip712_domain};
use thiserror::Error;

/// Name in the domain.
pub const DOMAIN_NAME: &str = "Sunwork";
/// Version in the domain.
pub const DOMAIN_VERSION: &str = "1";

/// A signature that the contracts would refuse.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SignatureError {
    /// Neither form.
    #[error("the signature has {found} bytes, expected 65 (r, s, v) or 64 (EIP-2098)")]
    Length {
        /// Its length.
        found: usize,
    },
    /// Another recovery value; the contracts do not take 0 and 1.
    #[error("the signature's last byte is {found}, expected 27 or 28")]
    V {
        /// The byte.
        found: u8,
    },
    /// It has a twin with a low s, which is the one to use.
    #[error("s of the signature is {found:#x}, in the upper half of the group order")]
    HighS {
        /// The value.
        found: U256,
    },
    /// No key made it.
    #[error("the signature is of no key: {0}")]
    NoKey(String),
    /// Signed by another, or something else was signed.
    #[error("the signature is of {found}, expected {expected}")]
    WrongSigner {
        /// Whom it recovers to.
        found: Address,
        /// Who should have signed.
        expected: Address,
    },
}

/// The domain of every signature that a dispatcher or an agreement of it takes.
pub fn domain(chain_id: u64, dispatcher: Address) -> Eip712Domain {
    eip712_domain! {
        name: DOMAIN_NAME,
        version: DOMAIN_VERSION,
        chain_id: chain_id,
        verifying_contract: dispatcher,
    }
}

/// What is signed for `value`.
pub(crate) fn signing_hash(value: &impl SolStruct, chain_id: u64, dispatcher: Address) -> B256 {
    value.eip712_signing_hash(&domain(chain_id, dispatcher))
}

/// Who signed `hash`.
///
/// # Errors
/// When the signature has another length, a high s, another v than 27 or 28, or is of no key.
pub fn signer(hash: B256, signature: &[u8]) -> Result<Address, SignatureError> {
    let parsed = match signature.len() {
        64 => Signature::from_erc2098(signature),
        65 => {
            let v = signature[64];
            if v != 27 && v != 28 {
                return Err(SignatureError::V { found: v });
            }
            Signature::from_bytes_and_parity(signature, v == 28)
        }
        found => return Err(SignatureError::Length { found }),
    };
    if parsed.normalize_s().is_some() {
        return Err(SignatureError::HighS { found: parsed.s() });
    }
    parsed.recover_address_from_prehash(&hash).map_err(|error| SignatureError::NoKey(error.to_string()))
}

/// Checks that the key of `expected` signed `hash`.
///
/// # Errors
/// As [`signer`], and when it was another key.
pub fn check_signer(hash: B256, signature: &[u8], expected: Address) -> Result<(), SignatureError> {
    let found = signer(hash, signature)?;
    if found != expected {
        return Err(SignatureError::WrongSigner { found, expected });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloy::signers::{SignerSync, local::PrivateKeySigner};

    use super::*;

    /// Order of the group of secp256k1.
    const N: U256 = alloy::primitives::uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

    #[test]
    fn both_forms_are_read_and_no_other() {
        let key = PrivateKeySigner::random();
        let hash = B256::repeat_byte(7);
        let signature = key.sign_hash_sync(&hash).unwrap();
        let long = signature.as_bytes();
        assert_eq!(signer(hash, &long), Ok(key.address()));
        assert_eq!(signer(hash, &signature.as_erc2098()), Ok(key.address()));
        assert_eq!(signer(hash, &long[..63]), Err(SignatureError::Length { found: 63 }));
        assert_eq!(signer(hash, &[&long[..], &[0]].concat()), Err(SignatureError::Length { found: 66 }));
        assert_eq!(signer(hash, &[]), Err(SignatureError::Length { found: 0 }));
        for v in [0, 1, 26, 29, 255] {
            let other = [&long[..64], &[v]].concat();
            assert_eq!(signer(hash, &other), Err(SignatureError::V { found: v }));
        }
        assert_eq!(
            check_signer(hash, &long, Address::ZERO),
            Err(SignatureError::WrongSigner { found: key.address(), expected: Address::ZERO })
        );
    }

    #[test]
    fn the_twin_is_refused() {
        let key = PrivateKeySigner::random();
        let hash = B256::repeat_byte(7);
        let signature = key.sign_hash_sync(&hash).unwrap();
        let high = N - signature.s();
        let twin = Signature::new(signature.r(), high, !signature.v());
        assert_eq!(twin.recover_address_from_prehash(&hash).unwrap(), key.address(), "it would recover");
        assert_eq!(signer(hash, &twin.as_bytes()), Err(SignatureError::HighS { found: high }));
    }

    #[test]
    fn what_no_key_made_is_refused() {
        let mut none = [0_u8; 65];
        none[64] = 27;
        assert!(matches!(signer(B256::ZERO, &none), Err(SignatureError::NoKey(_))));
        assert!(matches!(signer(B256::ZERO, &none[..64]), Err(SignatureError::NoKey(_))));
    }
}
