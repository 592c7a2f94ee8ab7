//! From logs to [`Event`]s. The only module that knows the ABI.
use alloy::{
    primitives::{Address, B256, Log},
    sol_types::{SolEvent, SolEventInterface},
};
use sunwork_protocol::abi::{
    IComputeAgreement::{self, IComputeAgreementEvents as Compute},
    IEnergyLedger::IEnergyLedgerEvents as Ledger,
    ISignedOrders::{self, ISignedOrdersEvents as Orders},
    IWorkerDispatcher::{self, IWorkerDispatcherEvents as Dispatcher},
};

use super::Event;

/// Topics of all events that are kept: what `eth_getLogs` is filtered by.
pub fn topics() -> Vec<B256> {
    IWorkerDispatcher::IWorkerDispatcherEvents::SELECTORS
        .iter()
        .chain(ISignedOrders::ISignedOrdersEvents::SELECTORS)
        .chain(IComputeAgreement::IComputeAgreementEvents::SELECTORS)
        .map(B256::from)
        .collect()
}

/// The agreement that a purchase made, if `log` is one.
pub fn bought_agreement(log: &Log) -> Option<Address> {
    IWorkerDispatcher::AgreementBought::decode_log(log).ok().map(|bought| bought.data.agreement)
}

impl Event {
    /// Reads a log of the dispatcher. `None` for an event that this version does not know.
    pub fn of_dispatcher(log: &Log) -> Option<Self> {
        let Ok(decoded) = Dispatcher::decode_log(log) else { return Self::of_orders(log) };
        Some(match decoded.data {
            Dispatcher::ClassAdded(e) => Self::ClassAdded { class_id: e.classId, class_name: e.name },
            Dispatcher::KindAdded(e) => {
                Self::KindAdded { kind_id: e.kindId, implementation: e.implementation.into(), code_hash: e.codeHash }
            }
            Dispatcher::WorkerRegistered(e) => Self::WorkerRegistered {
                worker: e.worker.into(),
                payout: e.payout.into(),
                classes: e.classes.to(),
                kinds: e.kinds.to(),
                encryption_key: e.encryptionKey,
                transport_key: e.transportKey,
            },
            Dispatcher::WorkerUpdated(e) => Self::WorkerUpdated {
                worker: e.worker.into(),
                payout: e.payout.into(),
                classes: e.classes.to(),
                kinds: e.kinds.to(),
            },
            Dispatcher::DeviceSet(e) => Self::DeviceSet {
                worker: e.worker.into(),
                device: e.device.into(),
                limit: e.limit.into(),
                since_epoch: e.sinceEpoch,
            },
            Dispatcher::EncryptionKeySet(e) => Self::EncryptionKeySet { account: e.account.into(), key: e.key },
            Dispatcher::KeyAgentSet(e) => Self::KeyAgentSet { client: e.client.into(), agent: e.agent.into() },
            Dispatcher::Staked(e) => Self::Staked {
                worker: e.worker.into(),
                amount: e.amount.into(),
                active_from_epoch: e.activeFromEpoch.saturating_to(),
            },
            Dispatcher::Unstaked(e) => Self::Unstaked {
                worker: e.worker.into(),
                amount: e.amount.into(),
                withdrawable_from: e.withdrawableFrom.saturating_to(),
            },
            Dispatcher::UnbondingWithdrawn(e) => {
                Self::UnbondingWithdrawn { worker: e.worker.into(), amount: e.amount.into() }
            }
            Dispatcher::StakeLocked(e) => Self::StakeLocked {
                worker: e.worker.into(),
                agreement: e.agreement.into(),
                device: e.device.into(),
                amount: e.amount.into(),
            },
            Dispatcher::StakeReleased(e) => Self::StakeReleased {
                worker: e.worker.into(),
                agreement: e.agreement.into(),
                released: e.released.into(),
                slashed: e.slashed.into(),
                paid: e.paid.into(),
            },
            Dispatcher::Funded(e) => {
                Self::Funded { agreement: e.agreement.into(), from: e.from.into(), amount: e.amount.into() }
            }
            Dispatcher::Paid(e) => {
                Self::Paid { agreement: e.agreement.into(), account: e.account.into(), amount: e.amount.into() }
            }
            Dispatcher::Burned(e) => Self::Burned { agreement: e.agreement.into(), amount: e.amount.into() },
            Dispatcher::Withdrawn(e) => Self::Withdrawn { account: e.account.into(), amount: e.amount.into() },
            Dispatcher::AgreementBought(e) => Self::AgreementBought {
                agreement: e.agreement.into(),
                client: e.client.into(),
                class_id: e.classId,
                kind_id: e.kindId,
                budget: e.budget.into(),
                terms: e.terms,
                spec: e.spec,
            },
        })
    }

    /// The part of the dispatcher that keeps signed orders.
    fn of_orders(log: &Log) -> Option<Self> {
        Some(match Orders::decode_log(log).ok()?.data {
            Orders::OrderUsed(e) => Self::OrderUsed {
                order_hash: e.orderHash,
                client: e.client.into(),
                agreement: e.agreement.into(),
                index: e.index,
            },
            Orders::OrderCancelled(e) => Self::OrderCancelled { order_hash: e.orderHash, client: e.client.into() },
            Orders::OrdersCancelled(e) => Self::OrdersCancelled { client: e.client.into(), nonce: e.nonce },
        })
    }

    /// Reads a log of an agreement. `None` for an event that this version does not know.
    pub fn of_agreement(log: &Log) -> Option<Self> {
        Some(match Compute::decode_log(log).ok()?.data {
            Compute::StatusChanged(e) => {
                Self::StatusChanged { status: e.status, attempt: e.attempt, deadline: e.deadline.to() }
            }
            Compute::Ended(e) => Self::Ended { ending: e.ending },
            Compute::Accepted(e) => Self::Accepted {
                worker: e.worker.into(),
                attempt: e.attempt,
                reward: e.reward.into(),
                locked: e.locked.into(),
            },
            Compute::KeyPosted(e) => Self::KeyPosted { attempt: e.attempt, sealed_key: e.sealedKey },
            Compute::WorkerLeft(e) => {
                Self::WorkerLeft { worker: e.worker.into(), attempt: e.attempt, slashed: e.slashed.into() }
            }
            Compute::Sealed(e) => Self::Sealed {
                worker: e.worker.into(),
                attempt: e.attempt,
                seal: e.seal,
                ciphertext_root: e.ciphertextRoot,
                result_blob: e.resultBlob,
                round: e.round.to(),
                location: e.location,
            },
            Compute::RoundOpened(e) => Self::RoundOpened {
                vote_round: e.voteRound,
                kind: e.kind,
                wanted: e.wanted,
                leaves: e.leaves,
                beacon_round: e.beaconRound.to(),
            },
            Compute::DrawOpened(e) => Self::DrawOpened {
                attempt: e.attempt,
                vote_round: e.voteRound,
                draw_seed: e.drawSeed,
                snapshot_epoch: e.snapshotEpoch,
                class_units: e.classUnits.to(),
            },
            Compute::Claimed(e) => {
                Self::Claimed { verifier: e.verifier.into(), ticket: e.ticket.into(), displaced: e.displaced.into() }
            }
            Compute::VerifierSealed(e) => Self::VerifierSealed { verifier: e.verifier.into(), seal: e.seal },
            Compute::VerifierLeft(e) => {
                Self::VerifierLeft { verifier: e.verifier.into(), reason: e.reason, slashed: e.slashed.into() }
            }
            Compute::Revealed(e) => Self::Revealed {
                worker: e.worker.into(),
                root: e.root,
                salt: e.salt,
                ciphertext_root: e.ciphertextRoot,
                result_blob: e.resultBlob,
                leaves: e.leaves,
                digests: e.digests,
            },
            Compute::Opened(e) => Self::Opened { verifier: e.verifier.into(), dissent: e.dissent, digests: e.digests },
            Compute::OpenedUnproven(e) => Self::OpenedUnproven { verifier: e.verifier.into(), digests: e.digests },
            Compute::Disputed(e) => Self::Disputed { by: e.by.into(), leaf: e.leaf, bond: e.bond.into() },
            Compute::Contributed(e) => {
                Self::Contributed { payer: e.payer.into(), amount: e.amount.into(), total: e.total.into() }
            }
            Compute::ContributionRefunded(e) => {
                Self::ContributionRefunded { payer: e.payer.into(), amount: e.amount.into() }
            }
            Compute::Delivered(e) => Self::Delivered { leaf: e.leaf, ok: e.ok },
        })
    }

    /// Reads a log of the energy ledger. `None` for what is no meter's matter (a reward that was paid out), or is not known.
    pub fn of_ledger(log: &Log) -> Option<Self> {
        Some(match Ledger::decode_log(log).ok()?.data {
            Ledger::MeterRegistered(e) => Self::MeterRegistered {
                worker: e.worker.into(),
                key_hash: e.keyHash,
                key_x: e.keyX,
                key_y: e.keyY,
                nameplate_watts: e.nameplateWatts,
                country: e.country,
                latitude_decidegrees: e.latitudeDecidegrees,
                longitude_decidegrees: e.longitudeDecidegrees,
                from_day: e.fromDay,
            },
            Ledger::KeyReplaced(e) => Self::KeyReplaced {
                worker: e.worker.into(),
                old_key_hash: e.oldKeyHash,
                new_key_hash: e.newKeyHash,
                liable_until: e.liableUntil.to(),
            },
            Ledger::DayRecorded(e) => Self::DayRecorded {
                worker: e.worker.into(),
                day: e.day,
                production_wh: e.productionWh,
                consumption_wh: e.consumptionWh,
                window_net_wh: e.windowNetWh.as_i64(),
            },
            Ledger::GapRecorded(e) => Self::GapRecorded {
                worker: e.worker.into(),
                last_day: e.lastDay,
                first_day: e.firstDay,
                window_net_wh: e.windowNetWh.as_i64(),
            },
            Ledger::SurplusTaken(e) => Self::SurplusTaken {
                worker: e.worker.into(),
                day: e.day,
                watt_hours: e.wattHours,
                window_net_wh: e.windowNetWh.as_i64(),
            },
            Ledger::Equivocated(e) => Self::Equivocated {
                worker: e.worker.into(),
                day: e.day,
                reporter: e.reporter.into(),
                reward: e.reward.into(),
                burned: e.burned.into(),
                digest_a: e.digestA,
                digest_b: e.digestB,
            },
            Ledger::MeterLeaving(e) => Self::MeterLeaving { worker: e.worker.into(), bond_free_at: e.bondFreeAt.to() },
            Ledger::BondWithdrawn(e) => Self::BondWithdrawn { worker: e.worker.into(), amount: e.amount.into() },
            Ledger::RewardWithdrawn(_) => return None,
        })
    }
}
