//! An agreement as the chain shows it, in plain numbers.
use alloy::primitives::{Address, B256, U256};
use sunwork_protocol::{
    abi::IComputeAgreement,
    status::{Ending, Status},
};

/// Number and time of a block: the clock of everything here. Wall time decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Block number.
    pub number: u64,
    /// Unix time of the block, seconds.
    pub timestamp: u64,
}

/// A verifier's slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Who holds it.
    pub verifier: Address,
    /// The ordering part of its ticket; lower is better.
    pub rank: U256,
    /// It has sealed.
    pub seal: B256,
    /// Its seal was opened.
    pub opened: bool,
}

/// Everything that an agreement knows at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Where it stands.
    pub status: Status,
    /// How it ended.
    pub ending: Ending,
    /// Which worker's turn it is, from 0.
    pub attempt: u8,
    /// Verifiers that left.
    pub strikes: u8,
    /// The worker, or zero.
    pub worker: Address,
    /// Unix time after which anybody may move it on; 0 when ended.
    pub deadline: u64,
    /// Price of the work, smallest token unit.
    pub reward: u128,
    /// Beacon round of the draw.
    pub round: u64,
    /// Epoch whose stake draws.
    pub snapshot_epoch: u32,
    /// When the claim window closes, or 0.
    pub closes_at: u64,
    /// Stake units of the class.
    pub class_units: u64,
    /// Seed of the draw, or zero.
    pub draw_seed: B256,
    /// The worker's seal or what it revealed, hashed.
    pub commitment: B256,
    /// Slots that are held.
    pub slots: Vec<Slot>,
}

/// A status or ending that this build does not know.
#[derive(Debug, thiserror::Error)]
#[error(
    "the agreement shows {field} {found}, which this version does not know; is the worker older than the contracts?"
)]
pub struct UnknownNumber {
    field: &'static str,
    found: u8,
}

impl View {
    /// Reads what the contract returns.
    ///
    /// # Errors
    /// When status or ending are unknown.
    pub fn from_abi(abi: &IComputeAgreement::AgreementView) -> Result<Self, UnknownNumber> {
        let status = Status::from_u8(abi.status).ok_or(UnknownNumber { field: "status", found: abi.status })?;
        let ending = Ending::from_u8(abi.ending).ok_or(UnknownNumber { field: "ending", found: abi.ending })?;
        let slots = abi.slots.iter().map(|slot| Slot {
            verifier: slot.verifier,
            rank: U256::from(slot.ticket),
            seal: slot.seal,
            opened: slot.opened,
        });
        Ok(Self {
            status,
            ending,
            attempt: abi.attempt,
            strikes: abi.strikes,
            worker: abi.worker,
            deadline: abi.deadline.to(),
            reward: abi.reward.to(),
            round: abi.round.to(),
            snapshot_epoch: abi.snapshotEpoch,
            closes_at: abi.closesAt.to(),
            class_units: abi.classUnits.to(),
            draw_seed: abi.drawSeed,
            commitment: abi.commitment,
            slots: slots.collect(),
        })
    }

    /// The slot that `who` holds.
    pub fn slot_of(&self, who: Address) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.verifier == who)
    }
}
