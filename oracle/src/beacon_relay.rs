//! Records drand rounds that agreements wait for, where the deployment's beacon is a drand beacon.
//!
//! A useful service and no more: the signature is public and the contract checks it, so anybody may record a round, and one
//! recording serves every agreement that draws from it. The relay waits a little for others, asks the beacon before it sends,
//! and checks what its sources say. Draws name multiples of the stride only, so what it can be made to pay for is one recording
//! per stride.
mod rounds;
mod run;

use std::sync::atomic::AtomicU64;

pub use rounds::{Rounds, waited_round};
pub use run::{BeaconRelay, RelayOptions};

/// What the relay did since the start.
#[derive(Debug, Default)]
pub struct RelayCounters {
    /// Rounds recorded by its transactions.
    pub recorded: AtomicU64,
    /// Rounds that others had recorded.
    pub known: AtomicU64,
    /// Transactions and reads of the chain that failed.
    pub failed: AtomicU64,
    /// Rounds that no source gave when asked.
    pub unavailable: AtomicU64,
    /// Rounds that agreements wait for now.
    pub waiting: AtomicU64,
}
