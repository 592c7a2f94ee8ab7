//! Events of an agreement as typed progress. Pure: logs in, progress out.

use alloy::primitives::{Address, B256, LogData};
use alloy::sol_types::SolEventInterface;
use serde::Serialize;
use sunwork_protocol::abi::IComputeAgreement::IComputeAgreementEvents as Event;
pub use sunwork_protocol::status::RoundKind;
use sunwork_protocol::status::{Ending, Status};

/// What happened to an agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Progress {
    /// The status changed.
    StatusChanged {
        /// The new status.
        status: Status,
        /// Which worker's attempt; the first is 0.
        attempt: u8,
        /// Unix seconds after which anybody may move it on; 0 for none.
        deadline: u64,
    },
    /// A worker took the work.
    Accepted {
        /// The worker.
        worker: Address,
        /// Which attempt.
        attempt: u8,
        /// Its reward, smallest token unit.
        #[serde(serialize_with = "decimal")]
        reward: u128,
        /// Its stake now locked, smallest token unit.
        #[serde(serialize_with = "decimal")]
        locked: u128,
    },
    /// The session key was posted (confidential work only).
    KeyPosted {
        /// Which attempt.
        attempt: u8,
    },
    /// The worker gave up or vanished; the work is offered again or cancelled.
    WorkerLeft {
        /// The worker.
        worker: Address,
        /// Which attempt.
        attempt: u8,
        /// What it lost, smallest token unit.
        #[serde(serialize_with = "decimal")]
        slashed: u128,
    },
    /// The worker committed to its result.
    Sealed {
        /// The worker.
        worker: Address,
        /// Which attempt.
        attempt: u8,
        /// Merkle root over the encrypted leaves.
        ciphertext_root: B256,
        /// SHA-256 of the result blob.
        result_blob: B256,
        /// Beacon round that draws the verifiers.
        round: u64,
    },
    /// A further round of voting begins.
    RoundOpened {
        /// Its number; the first round is 0.
        vote_round: u8,
        /// What it is for.
        kind: RoundKind,
        /// Verifiers that are drawn.
        wanted: u8,
        /// What they compute, for kind `leaves`.
        leaves: Vec<u32>,
        /// Beacon round that draws them.
        round: u64,
    },
    /// Somebody disputed a leaf with a bond; at level 0 the client rejected the result.
    Disputed {
        /// Who.
        by: Address,
        /// Which leaf.
        leaf: u32,
        /// Its bond, smallest token unit.
        #[serde(serialize_with = "decimal")]
        bond: u128,
    },
    /// Somebody added to the reward.
    Contributed {
        /// Who.
        payer: Address,
        /// How much, smallest token unit.
        #[serde(serialize_with = "decimal")]
        amount: u128,
        /// All additions so far, smallest token unit.
        #[serde(serialize_with = "decimal")]
        total: u128,
    },
    /// A contributor got its part of what was refunded.
    ContributionRefunded {
        /// Who.
        payer: Address,
        /// How much, smallest token unit.
        #[serde(serialize_with = "decimal")]
        amount: u128,
    },
    /// A leaf was handed to the contract that the terms name.
    Delivered {
        /// Which leaf.
        leaf: u32,
        /// False if the receiver failed: it can be tried again.
        ok: bool,
    },
    /// The beacon round is proven, verifiers claim.
    DrawOpened {
        /// Which attempt.
        attempt: u8,
        /// Round of voting; the first is 0.
        vote_round: u8,
        /// Seed of the draw.
        draw_seed: B256,
    },
    /// A verifier holds a slot.
    Claimed {
        /// The verifier.
        verifier: Address,
        /// Who lost the slot to its lower ticket.
        displaced: Option<Address>,
    },
    /// A verifier committed to its digests.
    VerifierSealed {
        /// The verifier.
        verifier: Address,
    },
    /// A verifier declined or vanished; its slot is drawn again.
    VerifierLeft {
        /// The verifier.
        verifier: Address,
        /// Its reason; see docs/PROTOCOL.md.
        reason: u16,
        /// What it lost, smallest token unit.
        #[serde(serialize_with = "decimal")]
        slashed: u128,
    },
    /// The worker opened its seal: the result is readable from here on.
    Revealed {
        /// The worker.
        worker: Address,
        /// Merkle root over the leaf digests.
        root: B256,
        /// Salt of seal and leaf keys.
        salt: B256,
        /// Merkle root over the encrypted leaves.
        ciphertext_root: B256,
        /// SHA-256 of the result blob.
        result_blob: B256,
        /// Leaves that were sampled.
        leaves: Vec<u32>,
        /// Their digests.
        digests: Vec<B256>,
    },
    /// A verifier opened its seal.
    Opened {
        /// The verifier.
        verifier: Address,
        /// Bit i: its digest of its i-th sampled leaf differs from the worker's.
        dissent: u32,
    },
    /// The agreement ended.
    Ended {
        /// How.
        ending: Ending,
    },
}

/// Progress with its place on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// What happened.
    #[serde(flatten)]
    pub progress: Progress,
    /// In which block.
    pub block: u64,
    /// That block's time, Unix seconds.
    pub time: u64,
    /// In which transaction.
    pub tx: B256,
}

fn decimal<S: serde::Serializer>(amount: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

impl Progress {
    /// Reads a log of an agreement; `None` for an event (or a status) that this build does not know.
    pub fn from_log(log: &LogData) -> Option<Self> {
        let event = Event::decode_raw_log(log.topics(), &log.data).ok()?;
        Some(match event {
            Event::StatusChanged(e) => Self::StatusChanged {
                status: Status::from_u8(e.status)?,
                attempt: e.attempt,
                deadline: e.deadline.to(),
            },
            Event::Accepted(e) => {
                Self::Accepted { worker: e.worker, attempt: e.attempt, reward: e.reward.to(), locked: e.locked.to() }
            }
            Event::KeyPosted(e) => Self::KeyPosted { attempt: e.attempt },
            Event::WorkerLeft(e) => Self::WorkerLeft { worker: e.worker, attempt: e.attempt, slashed: e.slashed.to() },
            Event::Sealed(e) => Self::Sealed {
                worker: e.worker,
                attempt: e.attempt,
                ciphertext_root: e.ciphertextRoot,
                result_blob: e.resultBlob,
                round: e.round.to(),
            },
            Event::RoundOpened(e) => Self::RoundOpened {
                vote_round: e.voteRound,
                kind: RoundKind::from_u8(e.kind)?,
                wanted: e.wanted,
                leaves: e.leaves,
                round: e.beaconRound.to(),
            },
            Event::Disputed(e) => Self::Disputed { by: e.by, leaf: e.leaf, bond: e.bond.to() },
            Event::Contributed(e) => Self::Contributed { payer: e.payer, amount: e.amount.to(), total: e.total.to() },
            Event::ContributionRefunded(e) => Self::ContributionRefunded { payer: e.payer, amount: e.amount.to() },
            Event::Delivered(e) => Self::Delivered { leaf: e.leaf, ok: e.ok },
            Event::DrawOpened(e) => {
                Self::DrawOpened { attempt: e.attempt, vote_round: e.voteRound, draw_seed: e.drawSeed }
            }
            Event::Claimed(e) => Self::Claimed {
                verifier: e.verifier,
                displaced: Some(e.displaced).filter(|address| !address.is_zero()),
            },
            Event::VerifierSealed(e) => Self::VerifierSealed { verifier: e.verifier },
            Event::VerifierLeft(e) => {
                Self::VerifierLeft { verifier: e.verifier, reason: e.reason, slashed: e.slashed.to() }
            }
            Event::Revealed(e) => Self::Revealed {
                worker: e.worker,
                root: e.root,
                salt: e.salt,
                ciphertext_root: e.ciphertextRoot,
                result_blob: e.resultBlob,
                leaves: e.leaves,
                digests: e.digests,
            },
            Event::Opened(e) => Self::Opened { verifier: e.verifier, dissent: e.dissent },
            Event::Ended(e) => Self::Ended { ending: Ending::from_u8(e.ending)? },
            #[allow(unreachable_patterns)] // Later issues add events to the interface.
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{Bytes, aliases::U40};
    use alloy::sol_types::SolEvent;
    use sunwork_protocol::abi::IComputeAgreement as abi;

    #[test]
    fn logs_become_progress_and_strange_logs_nothing() {
        let log = abi::StatusChanged { status: 2, attempt: 1, deadline: U40::from(77) }.encode_log_data();
        assert_eq!(
            Progress::from_log(&log),
            Some(Progress::StatusChanged { status: Status::ALL[2], attempt: 1, deadline: 77 })
        );
        let unknown = abi::StatusChanged { status: 99, attempt: 1, deadline: U40::ZERO }.encode_log_data();
        assert_eq!(Progress::from_log(&unknown), None);
        let strange = LogData::new_unchecked(vec![B256::repeat_byte(1)], Bytes::from_static(b"x"));
        assert_eq!(Progress::from_log(&strange), None);
        let mut cut = log;
        cut.data = Bytes::from_static(&[0; 31]);
        assert_eq!(Progress::from_log(&cut), None);
    }

    #[test]
    fn later_rounds_and_third_parties_are_read() {
        let round = abi::RoundOpened {
            voteRound: 1,
            kind: 2,
            wanted: 3,
            leaves: vec![5],
            beaconRound: alloy::primitives::aliases::U48::from(77),
        };
        let read = |log: LogData| Progress::from_log(&log);
        assert_eq!(
            read(round.encode_log_data()),
            Some(Progress::RoundOpened {
                vote_round: 1,
                kind: RoundKind::Leaves,
                wanted: 3,
                leaves: vec![5],
                round: 77
            })
        );
        assert_eq!(read(abi::RoundOpened { kind: 3, ..round }.encode_log_data()), None, "a kind of the future");
        let by = Address::repeat_byte(4);
        let disputed = abi::Disputed { by, leaf: 5, bond: alloy::primitives::aliases::U96::from(9) };
        assert_eq!(read(disputed.encode_log_data()), Some(Progress::Disputed { by, leaf: 5, bond: 9 }));
    }

    #[test]
    fn json_has_names_and_decimal_strings() {
        let seen = Seen {
            progress: Progress::Accepted { worker: Address::ZERO, attempt: 1, reward: 1 << 90, locked: 2 },
            block: 3,
            time: 4,
            tx: B256::ZERO,
        };
        let json = serde_json::to_value(&seen).unwrap();
        assert_eq!(json["event"], "accepted");
        assert_eq!(json["reward"], (1_u128 << 90).to_string());
        assert_eq!(json["block"], 3);
    }
}
