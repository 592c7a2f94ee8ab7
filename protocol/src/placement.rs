//! Placements: a pool, named in the terms, signs which worker may take an agreement (`PoolLib.sol`).

use alloy::primitives::{Address, B256, Bytes, Signature, aliases::U40};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::typed_data::{self, SignatureError};

mod typed {
    #![allow(missing_docs)]
    alloy::sol! {
        #[derive(Debug, PartialEq, Eq)]
        struct Placement {
            address agreement;
            address worker;
            uint40 expiry;
        }
    }
}

pub use typed::Placement as TypedPlacement;

/// `worker` may take `agreement`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The agreement.
    pub agreement: Address,
    /// The worker's owner account, not a device.
    pub worker: Address,
    /// Last second at which it holds, Unix seconds.
    pub expiry: u64,
}

/// A placement with the pool's signature, as it is handed to the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPlacement {
    /// What is signed.
    #[serde(flatten)]
    pub placement: Placement,
    /// Of the pool: 65 bytes (r, s, v), 64 (EIP-2098), or what its contract takes.
    pub signature: Bytes,
}

/// A placement that the contracts would refuse.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlacementError {
    /// A time above 40 bits.
    #[error("expiry of the placement is {found}, expected at most {} seconds", U40::MAX)]
    TimeTooLarge {
        /// Unix seconds.
        found: u64,
    },
    /// Its last second is past.
    #[error("the placement held until {expiry}, it is {now} (Unix seconds)")]
    Expired {
        /// The time asked for.
        now: u64,
        /// Its last second.
        expiry: u64,
    },
    /// Not signed by the pool's key.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl Placement {
    /// What the pool signs, in the domain of the dispatcher that made the agreement.
    ///
    /// # Errors
    /// When the expiry needs more than 40 bits.
    pub fn hash(&self, chain_id: u64, dispatcher: Address) -> Result<B256, PlacementError> {
        let Self { agreement, worker, expiry } = *self;
        let expiry = U40::try_from(expiry).map_err(|_| PlacementError::TimeTooLarge { found: expiry })?;
        Ok(typed_data::signing_hash(&TypedPlacement { agreement, worker, expiry }, chain_id, dispatcher))
    }

    /// With the pool's signature over [`Placement::hash`].
    pub fn signed(self, signature: &Signature) -> SignedPlacement {
        SignedPlacement { placement: self, signature: signature.as_bytes().to_vec().into() }
    }

    /// Checks that it holds at Unix time `now` and that the key of `pool` signed it. A pool with code is asked by ERC-1271
    /// instead.
    ///
    /// # Errors
    /// The first thing for which the contracts would refuse it.
    pub fn verify(
        &self,
        chain_id: u64,
        dispatcher: Address,
        pool: Address,
        signature: &[u8],
        now: u64,
    ) -> Result<(), PlacementError> {
        let hash = self.hash(chain_id, dispatcher)?;
        if now > self.expiry {
            return Err(PlacementError::Expired { now, expiry: self.expiry });
        }
        Ok(typed_data::check_signer(hash, signature, pool)?)
    }
}

#[cfg(test)]
mod tests {
    use alloy::signers::{SignerSync, local::PrivateKeySigner};
    use alloy::sol_types::SolStruct;

    use super::*;

    #[test]
    fn only_what_the_pool_signed_holds_and_not_for_ever() {
        let pool = PrivateKeySigner::random();
        let (agreement, worker, dispatcher) =
            (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        let good = Placement { agreement, worker, expiry: 100 };
        let signature = pool.sign_hash_sync(&good.hash(1, dispatcher).unwrap()).unwrap().as_bytes();
        let verify = |p: Placement, chain, at, pool, now| p.verify(chain, at, pool, &signature, now);
        assert_eq!(verify(good, 1, dispatcher, pool.address(), 100), Ok(()));
        assert_eq!(
            verify(good, 1, dispatcher, pool.address(), 101),
            Err(PlacementError::Expired { now: 101, expiry: 100 })
        );
        let others = [
            Placement { agreement: worker, ..good },
            Placement { worker: agreement, ..good },
            Placement { expiry: 101, ..good },
        ];
        for other in others {
            assert!(matches!(verify(other, 1, dispatcher, pool.address(), 1), Err(PlacementError::Signature(_))));
        }
        assert!(verify(good, 2, dispatcher, pool.address(), 1).is_err());
        assert!(verify(good, 1, worker, pool.address(), 1).is_err());
        assert!(verify(good, 1, dispatcher, worker, 1).is_err());
        let late = Placement { expiry: 1 << 40, ..good };
        assert_eq!(late.hash(1, dispatcher), Err(PlacementError::TimeTooLarge { found: 1 << 40 }));
        let signed = good.signed(&pool.sign_hash_sync(&good.hash(1, dispatcher).unwrap()).unwrap());
        assert_eq!(signed.signature, signature.to_vec());
        let json = serde_json::to_string(&signed).unwrap();
        assert!(json.starts_with("{\"agreement\":\"0x01"), "{json}");
        assert_eq!(serde_json::from_str::<SignedPlacement>(&json).unwrap(), signed);
        let encoded = TypedPlacement::eip712_encode_type();
        assert_eq!(encoded, "Placement(address agreement,address worker,uint40 expiry)");
    }
}
