//! Signed offers: a client signs what it would buy, and whoever accepts buys for it (`OrderLib.sol`).
//!
//! Signing is the caller's: sign [`Order::hash`] with any key and put the bytes into [`SignedOrder`].

use alloy::primitives::{Address, B256, Bytes, Signature, aliases::U40, keccak256};
use alloy::sol_types::SolStruct;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::abi::IWorkerDispatcher;
use crate::terms::MAX_SPEC_BYTES;
use crate::typed_data::{self, SignatureError};

mod typed {
    #![allow(missing_docs)]
    alloy::sol! {
        // The fields of contracts/types/Order.sol, in its order.
        #[derive(Debug, PartialEq, Eq)]
        struct Order {
            address client;
            uint8 kindId;
            bytes terms;
            bytes32 specHash;
            uint40 startAt;
            uint40 expiry;
            uint32 volume;
            bytes32 salt;
            address worker;
            uint64 nonce;
        }
    }
}

pub use typed::Order as TypedOrder;

/// As `acceptOffer` takes it.
impl From<TypedOrder> for IWorkerDispatcher::Order {
    fn from(order: TypedOrder) -> Self {
        let TypedOrder { client, kindId, terms, specHash, startAt, expiry, volume, salt, worker, nonce } = order;
        Self { client, kindId, terms, specHash, startAt, expiry, volume, salt, worker, nonce }
    }
}

/// What the contract counts for a cancelled order instead of uses.
pub const CANCELLED: u32 = u32::MAX;

/// A client's offer, without signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Order {
    /// Who buys and pays.
    pub client: Address,
    /// Kind of work at the dispatcher.
    pub kind_id: u8,
    /// Packed terms of that kind.
    pub terms: Bytes,
    /// keccak256 of the specification.
    pub spec_hash: B256,
    /// When the price starts to rise, Unix seconds; an order of the future is refused.
    pub start_at: u64,
    /// Last second at which it can be used, Unix seconds.
    pub expiry: u64,
    /// How many agreements may be made of it.
    pub volume: u32,
    /// Tells apart orders that are otherwise equal.
    pub salt: B256,
    /// Zero: any worker may accept; else this one only.
    pub worker: Address,
    /// The client's order nonce at the dispatcher; raising it cancels every order with a lower one.
    pub nonce: u64,
}

/// An offer as it travels: everything that a worker needs to accept it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedOrder {
    /// What is signed.
    pub order: Order,
    /// The specification that the order names by its hash.
    pub spec: Bytes,
    /// Of the client: 65 bytes (r, s, v), 64 (EIP-2098), or what its contract takes.
    pub signature: Bytes,
}

/// An order that the contracts would refuse.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OrderError {
    /// A time above 40 bits.
    #[error("{field} of the order is {found}, expected at most {} seconds", U40::MAX)]
    TimeTooLarge {
        /// Which.
        field: &'static str,
        /// Unix seconds.
        found: u64,
    },
    /// Starts later.
    #[error("the order starts at {start_at}, it is {now} (Unix seconds)")]
    NotStarted {
        /// The time asked for.
        now: u64,
        /// Its start.
        start_at: u64,
    },
    /// Its last second is past.
    #[error("the order could be used until {expiry}, it is {now} (Unix seconds)")]
    Expired {
        /// The time asked for.
        now: u64,
        /// Its last second.
        expiry: u64,
    },
    /// Good for no agreement at all.
    #[error("the order has volume 0, expected at least 1")]
    NoVolume,
    /// Another specification.
    #[error("the specification has hash {found}, the order names {expected}")]
    Spec {
        /// Of what came along.
        found: B256,
        /// What the client signed.
        expected: B256,
    },
    /// Longer than the dispatcher takes.
    #[error("the specification has {found} bytes, expected at most {MAX_SPEC_BYTES}")]
    SpecTooLong {
        /// Its length.
        found: usize,
    },
    /// Not signed by the client's key.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Order {
    /// The struct of EIP-712 and of the contracts' ABI.
    ///
    /// # Errors
    /// When a time needs more than 40 bits.
    pub fn typed(&self) -> Result<TypedOrder, OrderError> {
        let time = |field, found| U40::try_from(found).map_err(|_| OrderError::TimeTooLarge { field, found });
        Ok(TypedOrder {
            client: self.client,
            kindId: self.kind_id,
            terms: self.terms.clone(),
            specHash: self.spec_hash,
            startAt: time("startAt", self.start_at)?,
            expiry: time("expiry", self.expiry)?,
            volume: self.volume,
            salt: self.salt,
            worker: self.worker,
            nonce: self.nonce,
        })
    }

    /// What the client signs, and by which the contracts know the order.
    ///
    /// # Errors
    /// When a time needs more than 40 bits.
    pub fn hash(&self, chain_id: u64, dispatcher: Address) -> Result<B256, OrderError> {
        Ok(typed_data::signing_hash(&self.typed()?, chain_id, dispatcher))
    }

    /// The hash of the struct alone, without domain.
    ///
    /// # Errors
    /// When a time needs more than 40 bits.
    pub fn struct_hash(&self) -> Result<B256, OrderError> {
        Ok(self.typed()?.eip712_hash_struct())
    }

    /// With its specification and the client's signature over [`Order::hash`].
    pub fn signed(self, spec: Bytes, signature: &Signature) -> SignedOrder {
        SignedOrder { order: self, spec, signature: signature.as_bytes().to_vec().into() }
    }
}

impl SignedOrder {
    /// Checks all that needs no chain, except the signature: times, volume and specification. What is left to ask the
    /// dispatcher: how often it was used or whether it was cancelled, and the client's nonce.
    ///
    /// # Errors
    /// The first thing for which the contracts would refuse it at Unix time `now`.
    pub fn check(&self, now: u64) -> Result<(), OrderError> {
        let Order { start_at, expiry, volume, spec_hash: expected, .. } = self.order;
        self.order.typed()?;
        if now < start_at {
            return Err(OrderError::NotStarted { now, start_at });
        }
        if now > expiry {
            return Err(OrderError::Expired { now, expiry });
        }
        if volume == 0 {
            return Err(OrderError::NoVolume);
        }
        if self.spec.len() > MAX_SPEC_BYTES {
            return Err(OrderError::SpecTooLong { found: self.spec.len() });
        }
        let found = keccak256(&self.spec);
        if found != expected {
            return Err(OrderError::Spec { found, expected });
        }
        Ok(())
    }

    /// Checks the signature of a client without code. One with code is asked by ERC-1271 instead.
    ///
    /// # Errors
    /// When the client's key did not sign it in this domain.
    pub fn verify(&self, chain_id: u64, dispatcher: Address) -> Result<(), OrderError> {
        let hash = self.order.hash(chain_id, dispatcher)?;
        Ok(typed_data::check_signer(hash, &self.signature, self.order.client)?)
    }
}

#[cfg(test)]
mod tests;
