//! Attested energy, as anyone can check it: the records of meters read out of the chain, what in them cannot be or is unlikely,
//! and records that contradict each other.
//!
//! - [`calldata`] finds signed records in what was sent, since no event carries the counts
//! - [`EnergyDay`] is one record where it stands in the chain
//! - [`judge`] holds a day against the sun, its own past and its neighbours (`sunwork_energy::plausibility`); pure
//! - [`Finding`] is what is published, with its evidence
//! - [`evidence`] takes records that never reached the chain, and finds two of one key for one day
//! - [`reporter`] shows such a pair to the ledger, the only finding that the chain can check itself
//!
//! Findings of days are a function of the chain up to the block of the day's record and of nothing else: whoever indexes the same
//! chain has the same ones, word for word, and a reorganisation takes back exactly those of the blocks that it drops.
pub mod calldata;
mod certificates;
mod day;
pub mod evidence;
mod finding;
pub mod judge;
pub mod reporter;
mod site;

use alloy::primitives::Address;
use sunwork_edge::Deployment;

pub use certificates::{CertificateMove, MoveKind, moves_of};
pub use day::{DayKind, EnergyDay};
pub use finding::{Finding, RecordRef, Rule, Severity, Unit};
pub use site::Site;

/// The energy contracts of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnergyContracts {
    /// Chain that records are signed for.
    pub chain_id: u64,
    /// `EnergyLedger`.
    pub ledger: Address,
    /// `EnergyCertificates`.
    pub certificates: Address,
}

impl EnergyContracts {
    /// Those of a deployment, if it has any.
    pub fn of(deployment: &Deployment) -> Option<Self> {
        let (ledger, certificates) = (deployment.energy_ledger, deployment.energy_certificates);
        (!ledger.is_zero()).then_some(Self { chain_id: deployment.chain_id, ledger, certificates })
    }
}
