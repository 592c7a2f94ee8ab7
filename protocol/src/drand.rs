//! drand as a beacon: rounds, messages and seeds as `contracts/beacon/DrandBeacon.sol` has them. Signatures are checked by
//! [`PublicKey`] (feature `drand`); development networks sign their own rounds with [`Signer`] (feature `drand-signer`).
//!
//! Scheme `bls-unchained-g1-rfc9380`: BLS12-381, signatures in G1, keys in G2; a round's message is the SHA-256 of its number,
//! its randomness the SHA-256 of its signature.
#[cfg(feature = "drand")]
mod key;
#[cfg(feature = "drand-signer")]
mod signer;

use alloy::primitives::{B256, U256, keccak256};
use alloy::sol_types::SolValue;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

#[cfg(feature = "drand")]
pub use key::{PublicKey, RoundProof, SignatureError};
#[cfg(feature = "drand-signer")]
pub use signer::Signer;

/// Length of a signature as drand publishes it.
pub const SIGNATURE_BYTES: usize = 48;
/// Length of a signature as `DrandBeacon.record` takes it: x and y.
pub const PROOF_BYTES: usize = 96;
/// Length of a key as drand publishes it.
pub const KEY_BYTES: usize = 96;
/// Length of a key as deployment parameters have it: x.c1, x.c0, y.c1, y.c0.
pub const LONG_KEY_BYTES: usize = 192;

/// When rounds come, and which of them draws name. The beacon's part of the deployment parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Unix time of round 1, seconds.
    pub genesis: u64,
    /// Seconds from one round to the next, not zero.
    pub period_secs: u32,
    /// Seconds between a commitment and the round it draws from.
    pub margin_secs: u32,
    /// Draws name multiples of this number, not zero.
    pub stride_rounds: u32,
}

/// A schedule that no beacon can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the drand schedule has a period of {period_secs} s and a stride of {stride_rounds} rounds, expected neither to be zero"
)]
pub struct ScheduleError {
    /// The period found, seconds.
    pub period_secs: u32,
    /// The stride found, rounds.
    pub stride_rounds: u32,
}

impl Schedule {
    /// The same schedule, checked.
    ///
    /// # Errors
    /// When period or stride is zero.
    pub const fn checked(self) -> Result<Self, ScheduleError> {
        let Self { period_secs, stride_rounds, .. } = self;
        if period_secs == 0 || stride_rounds == 0 {
            return Err(ScheduleError { period_secs, stride_rounds });
        }
        Ok(self)
    }

    /// The newest round whose time has come at Unix time `now`; zero before genesis.
    pub fn current_round(&self, now: u64) -> u64 {
        now.checked_sub(self.genesis).map_or(0, |age| age / self.period() + 1)
    }

    /// The round that something committed in a block of time `now` draws from: the first multiple of the stride whose time is
    /// not before now plus margin. Both divisions round up.
    pub fn next_round(&self, now: u64) -> u64 {
        let earliest = now.saturating_add(u64::from(self.margin_secs));
        let round = earliest.saturating_sub(self.genesis).div_ceil(self.period()) + 1;
        round.next_multiple_of(u64::from(self.stride_rounds.max(1)))
    }

    /// Unix time at which `round` is published, seconds. Rounds count from 1; round 0, which never comes, counts as 1.
    pub fn time_of(&self, round: u64) -> u64 {
        self.genesis.saturating_add(round.saturating_sub(1).saturating_mul(self.period()))
    }

    /// Zero, which [`Schedule::checked`] refuses, counts as one: a division must not end the program.
    fn period(&self) -> u64 {
        u64::from(self.period_secs.max(1))
    }
}

/// What drand signs for `round`: the SHA-256 of its number as eight big-endian bytes.
pub fn message(round: u64) -> B256 {
    B256::from_slice(&Sha256::digest(round.to_be_bytes()))
}

/// A round's randomness as drand publishes it: the SHA-256 of its signature, compressed.
pub fn randomness(signature: &[u8; SIGNATURE_BYTES]) -> B256 {
    B256::from_slice(&Sha256::digest(signature))
}

/// The seed that `DrandBeacon` keeps for `round`.
pub fn seed(round: u64, randomness: B256) -> B256 {
    keccak256((U256::from(round), randomness).abi_encode())
}
