//! EIP-2612: a signature instead of an approve transaction.

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolValue, eip712_domain};
use sunwork_protocol::abi::IWorkerDispatcher::Permit;
use thiserror::Error;

/// A permit that cannot be made.
#[derive(Debug, Error)]
pub enum PermitError {
    /// The token's domain is not the standard one; a signature for it could mean something else.
    #[error(
        "the token's EIP-712 domain is {found}, expected {expected} (name {name:?}, version \"1\"); pay by allowance \
         instead"
    )]
    Domain {
        /// What the token says.
        found: B256,
        /// What it should be.
        expected: B256,
        /// The token's name.
        name: String,
    },
    /// The signer failed.
    #[error("signing the permit failed: {0}")]
    Signing(#[from] alloy::signers::Error),
}

/// What a permit is for.
#[derive(Clone, Debug)]
pub struct PermitTerms {
    /// The token's name, as its domain holds it.
    pub token_name: String,
    /// The token.
    pub token: Address,
    /// The chain.
    pub chain_id: u64,
    /// Who may take.
    pub spender: Address,
    /// How much, smallest unit.
    pub value: U256,
    /// The owner's next permit.
    pub nonce: U256,
    /// Unix seconds.
    pub deadline: U256,
}

/// Signs a permit, after checking that the token's own `DOMAIN_SEPARATOR` is the one of this name, chain and token: a
/// node that lies about it would get a signature for something else.
///
/// # Errors
/// See [`PermitError`].
pub fn sign_permit(
    signer: &PrivateKeySigner,
    terms: &PermitTerms,
    domain_separator: B256,
) -> Result<Permit, PermitError> {
    let domain = eip712_domain! {
        name: terms.token_name.clone(),
        version: "1",
        chain_id: terms.chain_id,
        verifying_contract: terms.token,
    };
    let expected = domain.separator();
    if domain_separator != expected {
        return Err(PermitError::Domain { found: domain_separator, expected, name: terms.token_name.clone() });
    }
    let kind = keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    let message =
        keccak256((kind, signer.address(), terms.spender, terms.value, terms.nonce, terms.deadline).abi_encode());
    let digest = keccak256([&[0x19, 0x01], expected.as_slice(), message.as_slice()].concat());
    let signature = signer.sign_hash_sync(&digest)?;
    Ok(Permit {
        value: terms.value,
        deadline: terms.deadline,
        v: 27 + u8::from(signature.v()),
        r: signature.r().into(),
        s: signature.s().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::Signature;
    use alloy::sol_types::SolStruct;

    fn terms() -> PermitTerms {
        PermitTerms {
            token_name: "Sunwork Token".into(),
            token: Address::repeat_byte(1),
            chain_id: 31337,
            spender: Address::repeat_byte(2),
            value: U256::from(5),
            nonce: U256::ZERO,
            deadline: U256::from(9),
        }
    }

    #[test]
    fn a_foreign_domain_is_not_signed() {
        let signer = PrivateKeySigner::random();
        let refused = sign_permit(&signer, &terms(), B256::repeat_byte(7));
        assert!(matches!(refused, Err(PermitError::Domain { .. })));
    }

    /// The digest is computed a second way, by alloy's own EIP-712.
    #[test]
    fn the_signature_is_the_owners() {
        alloy::sol! {
            struct Permit { address owner; address spender; uint256 value; uint256 nonce; uint256 deadline; }
        }
        let (signer, terms) = (PrivateKeySigner::random(), terms());
        let domain = eip712_domain! {
            name: "Sunwork Token", version: "1", chain_id: 31337_u64, verifying_contract: Address::repeat_byte(1),
        };
        let permit = sign_permit(&signer, &terms, domain.separator()).unwrap();
        let message = Permit {
            owner: signer.address(),
            spender: terms.spender,
            value: terms.value,
            nonce: terms.nonce,
            deadline: terms.deadline,
        };
        let signature = Signature::new(permit.r.into(), permit.s.into(), permit.v == 28);
        let recovered = signature.recover_address_from_prehash(&message.eip712_signing_hash(&domain)).unwrap();
        assert_eq!(recovered, signer.address());
    }
}
