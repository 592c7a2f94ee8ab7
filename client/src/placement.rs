//! Placements: work whose terms name a pool is taken by the worker that the pool's key signs for it. Signing sends nothing.

use alloy::primitives::Address;
use alloy::signers::SignerSync;
use sunwork_protocol::placement::{Placement, PlacementError, SignedPlacement};
use sunwork_protocol::status::Status;
use thiserror::Error;

use crate::agreements::FindError;
use crate::chain::{Doing, ReadError};
use crate::class::{Classified, ErrorClass};
use crate::client::{Client, NoSigner};

/// A placement that could not be made.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// No key.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// The agreement.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The chain.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Anybody, or one named worker, may accept it.
    #[error("the terms of agreement {agreement} name no pool, so nobody can place it; workers take it by themselves")]
    NoPool {
        /// The agreement.
        agreement: Address,
    },
    /// Another pool's.
    #[error(
        "agreement {agreement} is placed by {pool}, and this wallet is {wallet}; sign with that pool's keystore (--keystore)"
    )]
    NotThePool {
        /// The agreement.
        agreement: Address,
        /// Whom the terms name.
        pool: Address,
        /// This wallet.
        wallet: Address,
    },
    /// Somebody has it, or it is over.
    #[error("agreement {agreement} cannot be accepted now ({}), so there is nothing to place", status.meaning())]
    NotOpen {
        /// The agreement.
        agreement: Address,
        /// Where it stands.
        status: Status,
    },
    /// Nobody of that name.
    #[error("{worker} is registered as no worker here; name the worker's owner account, not its device")]
    NoWorker {
        /// Who should have got it.
        worker: Address,
    },
    /// The time.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The signer failed.
    #[error("signing the placement failed: {0}")]
    Signing(#[from] alloy::signers::Error),
}

impl Classified for PlaceError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Find(error) => error.class(),
            Self::Read(error) => error.class(),
            _ => ErrorClass::Stop,
        }
    }
}

/// Whether this wallet can place the agreement now. Pure.
///
/// # Errors
/// When the terms name no pool or another one, or the work is not to be had.
pub fn placeable(agreement: Address, pool: Option<Address>, wallet: Address, status: Status) -> Result<(), PlaceError> {
    let pool = pool.ok_or(PlaceError::NoPool { agreement })?;
    if pool != wallet {
        return Err(PlaceError::NotThePool { agreement, pool, wallet });
    }
    if status != Status::Open {
        return Err(PlaceError::NotOpen { agreement, status });
    }
    Ok(())
}

impl Client {
    /// Signs that `worker` may take `agreement` within `life_secs` from the newest block on. The wallet must be the pool that the
    /// terms name; a pool that is a contract signs its own way.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub async fn place(
        &self,
        agreement: Address,
        worker: Address,
        life_secs: u64,
    ) -> Result<SignedPlacement, PlaceError> {
        let signer = self.signer()?;
        let terms = self.purchase_of(agreement).await?.terms;
        let status = self.standing(agreement).await?.status;
        placeable(agreement, terms.pool(), signer.address(), status)?;
        let known = self.dispatcher().workerOf(worker).call().await;
        let known = known.doing(|| format!("reading whether {worker} is a worker"))?;
        if known != worker {
            return Err(PlaceError::NoWorker { worker });
        }
        let (_, now) = self.rpc().latest().await.doing(|| "reading the latest block".into())?;
        let placement = Placement { agreement, worker, expiry: now.saturating_add(life_secs) };
        let hash = placement.hash(self.deployment().chain_id, self.deployment().dispatcher)?;
        Ok(placement.signed(&signer.sign_hash_sync(&hash)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pool_places_and_only_open_work() {
        let (work, pool, other) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(3));
        assert!(placeable(work, Some(pool), pool, Status::Open).is_ok());
        assert!(matches!(placeable(work, None, pool, Status::Open), Err(PlaceError::NoPool { .. })));
        let theirs = placeable(work, Some(pool), other, Status::Open).unwrap_err().to_string();
        assert!(theirs.contains(&pool.to_string()) && theirs.contains("--keystore"), "{theirs}");
        for status in Status::ALL.iter().copied().filter(|status| *status != Status::Open) {
            let late = placeable(work, Some(pool), pool, status);
            assert!(matches!(late, Err(PlaceError::NotOpen { .. })), "{status}");
        }
    }
}
