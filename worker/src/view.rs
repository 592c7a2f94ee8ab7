//! An agreement as the chain shows it, in plain numbers.
use alloy::primitives::{Address, B256, U256};
use sunwork_protocol::{
    abi::IComputeAgreement,
    status::{Ending, RoundKind, Status},
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
    /// It has found something else than the worker.
    pub dissents: bool,
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
    /// Verifiers that left in this round of voting.
    pub strikes: u8,
    /// The worker, or zero.
    pub worker: Address,
    /// Unix time after which anybody may move it on; 0 when ended.
    pub deadline: u64,
    /// Price of the work and what others added to it, smallest token unit.
    pub reward: u128,
    /// Beacon round of the draw, while it is awaited.
    pub round: u64,
    /// Epoch whose stake draws.
    pub snapshot_epoch: u32,
    /// When the claim window closes, or 0.
    pub closes_at: u64,
    /// Stake units of the class; 0 before the draw is open. From the last seal of the first round on: the beacon round that draws
    /// the lot of the late audit, if the deployment has any.
    pub class_units: u64,
    /// Seed of this round's draw, or zero until the beacon's round is recorded.
    pub draw_seed: B256,
    /// The worker's seal or what it revealed, hashed.
    pub commitment: B256,
    /// Round of voting, 0 for the first, which ends with the worker's reveal.
    pub vote_round: u8,
    /// What this round is for.
    pub kind: RoundKind,
    /// Slots to fill in this round.
    pub wanted: usize,
    /// Slots before this one belong to earlier rounds.
    pub first_slot: usize,
    /// What this round's verifiers compute, if its kind is [`RoundKind::Leaves`].
    pub leaves: Vec<u32>,
    /// Slots that are held, those of earlier rounds first.
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
    /// When status, ending or kind of round are unknown.
    pub fn from_abi(abi: &IComputeAgreement::AgreementView) -> Result<Self, UnknownNumber> {
        let status = Status::from_u8(abi.status).ok_or(UnknownNumber { field: "status", found: abi.status })?;
        let ending = Ending::from_u8(abi.ending).ok_or(UnknownNumber { field: "ending", found: abi.ending })?;
        let kind = RoundKind::from_u8(abi.kind).ok_or(UnknownNumber { field: "kind of round", found: abi.kind })?;
        let slots = abi.slots.iter().map(|slot| Slot {
            verifier: slot.verifier,
            rank: U256::from(slot.ticket),
            seal: slot.seal,
            opened: slot.opened,
            dissents: slot.dissent != 0,
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
            vote_round: abi.voteRound,
            kind,
            wanted: abi.wanted.into(),
            first_slot: abi.firstSlot.into(),
            leaves: abi.leaves.clone(),
            slots: slots.collect(),
        })
    }

    /// Slots of earlier rounds, and of this one.
    fn rounds(&self) -> (&[Slot], &[Slot]) {
        self.slots.split_at(self.first_slot.min(self.slots.len()))
    }

    /// The slots of this round.
    pub fn present(&self) -> &[Slot] {
        self.rounds().1
    }

    /// The slot that `who` holds in this round.
    pub fn slot_of(&self, who: Address) -> Option<&Slot> {
        self.present().iter().find(|slot| slot.verifier == who)
    }

    /// True when `who` verified in an earlier round.
    pub fn verified_before(&self, who: Address) -> bool {
        self.rounds().0.iter().any(|slot| slot.verifier == who)
    }

    /// True when the worker's result is open to the client.
    pub const fn is_revealed(&self) -> bool {
        self.vote_round != 0 || matches!(self.status, Status::Opening | Status::Disputable | Status::Settled)
    }
}
