//! The contracts' events as the index keeps them. The only module that knows the ABI; everything behind it reads [`Event`].
use alloy::{
    primitives::{Address, B256, Bytes, FixedBytes, Log},
    sol_types::{SolEvent, SolEventInterface},
};
use serde::{Deserialize, Serialize};
use sunwork_protocol::abi::{
    IComputeAgreement::{self, IComputeAgreementEvents as Compute},
    IEnergyLedger::IEnergyLedgerEvents as Ledger,
    ISignedOrders::{self, ISignedOrdersEvents as Orders},
    IWorkerDispatcher::{self, IWorkerDispatcherEvents as Dispatcher},
};

use crate::json::{Account, Amount};

/// An event of the dispatcher or of an agreement. Fields are named as in Solidity; JSON is `{"name": …, "args": {…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", content = "args", rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "the Solidity interfaces document them; saying it twice would let the two drift apart")]
pub enum Event {
    // Dispatcher: registry
    ClassAdded {
        class_id: u16,
        class_name: String,
    },
    KindAdded {
        kind_id: u8,
        implementation: Account,
        code_hash: B256,
    },
    WorkerRegistered {
        worker: Account,
        payout: Account,
        classes: u64,
        kinds: u64,
        encryption_key: B256,
        transport_key: B256,
    },
    WorkerUpdated {
        worker: Account,
        payout: Account,
        classes: u64,
        kinds: u64,
    },
    DeviceSet {
        worker: Account,
        device: Account,
        limit: Amount,
        since_epoch: u32,
    },
    EncryptionKeySet {
        account: Account,
        key: B256,
    },
    KeyAgentSet {
        client: Account,
        agent: Account,
    },
    // Dispatcher: money
    Staked {
        worker: Account,
        amount: Amount,
        active_from_epoch: u64,
    },
    Unstaked {
        worker: Account,
        amount: Amount,
        withdrawable_from: u64,
    },
    UnbondingWithdrawn {
        worker: Account,
        amount: Amount,
    },
    StakeLocked {
        worker: Account,
        agreement: Account,
        device: Account,
        amount: Amount,
    },
    StakeReleased {
        worker: Account,
        agreement: Account,
        released: Amount,
        slashed: Amount,
        paid: Amount,
    },
    Funded {
        agreement: Account,
        from: Account,
        amount: Amount,
    },
    Paid {
        agreement: Account,
        account: Account,
        amount: Amount,
    },
    Burned {
        agreement: Account,
        amount: Amount,
    },
    Withdrawn {
        account: Account,
        amount: Amount,
    },
    AgreementBought {
        agreement: Account,
        client: Account,
        class_id: u16,
        kind_id: u8,
        budget: Amount,
        terms: Bytes,
        spec: Bytes,
    },
    // Dispatcher: signed orders
    OrderUsed {
        order_hash: B256,
        client: Account,
        agreement: Account,
        index: u32,
    },
    OrderCancelled {
        order_hash: B256,
        client: Account,
    },
    OrdersCancelled {
        client: Account,
        nonce: u64,
    },
    // Agreements
    StatusChanged {
        status: u8,
        attempt: u8,
        deadline: u64,
    },
    Ended {
        ending: u8,
    },
    Accepted {
        worker: Account,
        attempt: u8,
        reward: Amount,
        locked: Amount,
    },
    KeyPosted {
        attempt: u8,
        sealed_key: Bytes,
    },
    WorkerLeft {
        worker: Account,
        attempt: u8,
        slashed: Amount,
    },
    Sealed {
        worker: Account,
        attempt: u8,
        seal: B256,
        ciphertext_root: B256,
        result_blob: B256,
        round: u64,
        location: Bytes,
    },
    RoundOpened {
        vote_round: u8,
        kind: u8,
        wanted: u8,
        leaves: Vec<u32>,
        beacon_round: u64,
    },
    DrawOpened {
        attempt: u8,
        vote_round: u8,
        draw_seed: B256,
        snapshot_epoch: u32,
        class_units: u64,
    },
    Claimed {
        verifier: Account,
        ticket: Amount,
        displaced: Account,
    },
    VerifierSealed {
        verifier: Account,
        seal: B256,
    },
    VerifierLeft {
        verifier: Account,
        reason: u16,
        slashed: Amount,
    },
    Revealed {
        worker: Account,
        root: B256,
        salt: B256,
        ciphertext_root: B256,
        result_blob: B256,
        leaves: Vec<u32>,
        digests: Vec<B256>,
    },
    Opened {
        verifier: Account,
        dissent: u32,
        digests: Vec<B256>,
    },
    OpenedUnproven {
        verifier: Account,
        digests: Vec<B256>,
    },
    Disputed {
        by: Account,
        leaf: u32,
        bond: Amount,
    },
    Contributed {
        payer: Account,
        amount: Amount,
        total: Amount,
    },
    ContributionRefunded {
        payer: Account,
        amount: Amount,
    },
    Delivered {
        leaf: u32,
        ok: bool,
    },
    // Energy ledger
    MeterRegistered {
        worker: Account,
        key_hash: B256,
        key_x: B256,
        key_y: B256,
        nameplate_watts: u32,
        country: FixedBytes<2>,
        latitude_decidegrees: i16,
        longitude_decidegrees: i16,
        from_day: u16,
    },
    KeyReplaced {
        worker: Account,
        old_key_hash: B256,
        new_key_hash: B256,
        liable_until: u64,
    },
    DayRecorded {
        worker: Account,
        day: u16,
        production_wh: u32,
        consumption_wh: u32,
        window_net_wh: i64,
    },
    GapRecorded {
        worker: Account,
        last_day: u16,
        first_day: u16,
        window_net_wh: i64,
    },
    SurplusTaken {
        worker: Account,
        day: u16,
        watt_hours: u32,
        window_net_wh: i64,
    },
    Equivocated {
        worker: Account,
        day: u16,
        reporter: Account,
        reward: Amount,
        burned: Amount,
        digest_a: B256,
        digest_b: B256,
    },
    MeterLeaving {
        worker: Account,
        bond_free_at: u64,
    },
    BondWithdrawn {
        worker: Account,
        amount: Amount,
    },
}

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

    /// The worker whose meter an event of the ledger concerns.
    pub const fn meter(&self) -> Option<Account> {
        match self {
            Self::MeterRegistered { worker, .. }
            | Self::KeyReplaced { worker, .. }
            | Self::DayRecorded { worker, .. }
            | Self::GapRecorded { worker, .. }
            | Self::SurplusTaken { worker, .. }
            | Self::Equivocated { worker, .. }
            | Self::MeterLeaving { worker, .. }
            | Self::BondWithdrawn { worker, .. } => Some(*worker),
            _ => None,
        }
    }

    /// The agreement that a dispatcher's event concerns.
    pub const fn agreement(&self) -> Option<Account> {
        match self {
            Self::AgreementBought { agreement, .. }
            | Self::StakeLocked { agreement, .. }
            | Self::StakeReleased { agreement, .. }
            | Self::Funded { agreement, .. }
            | Self::OrderUsed { agreement, .. }
            | Self::Paid { agreement, .. }
            | Self::Burned { agreement, .. } => Some(*agreement),
            _ => None,
        }
    }

    /// The worker whose registration or stake a dispatcher's event changes.
    pub const fn worker(&self) -> Option<Account> {
        match self {
            Self::WorkerRegistered { worker, .. }
            | Self::WorkerUpdated { worker, .. }
            | Self::DeviceSet { worker, .. }
            | Self::Staked { worker, .. }
            | Self::Unstaked { worker, .. }
            | Self::UnbondingWithdrawn { worker, .. }
            | Self::StakeLocked { worker, .. }
            | Self::StakeReleased { worker, .. } => Some(*worker),
            // Of any account: where it is no worker, there is no row to change.
            Self::EncryptionKeySet { account, .. } => Some(*account),
            _ => None,
        }
    }

    /// The client whose row a dispatcher's event changes.
    pub const fn client(&self) -> Option<Account> {
        match self {
            Self::KeyAgentSet { client, .. } | Self::OrdersCancelled { client, .. } => Some(*client),
            _ => None,
        }
    }
}

/// An event with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedEvent {
    /// Block number.
    pub block: u64,
    /// Hash of that block.
    pub block_hash: B256,
    /// Unix time of the block, seconds.
    pub time: u64,
    /// Position in the block.
    pub log_index: u64,
    /// Transaction.
    pub tx: B256,
    /// Who emitted it.
    pub address: Account,
    /// The agreement that it concerns.
    pub agreement: Option<Account>,
    /// The worker whose row it changes.
    pub worker: Option<Account>,
    /// The client whose row it changes.
    pub client: Option<Account>,
    /// The worker whose meter's row it changes.
    pub meter: Option<Account>,
    /// What happened.
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{U256, aliases::U96};

    use super::*;

    #[test]
    fn json_of_an_event_is_stable_and_read_back() {
        let address = Address::repeat_byte(0x11);
        let log = IComputeAgreement::Accepted {
            worker: Address::repeat_byte(0xab),
            attempt: 2,
            reward: U96::from(1_500_000_000_u64),
            locked: U96::from(3_u64),
        };
        let log = Log { address, data: log.encode_log_data() };
        let event = Event::of_agreement(&log).unwrap();
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"name":"Accepted","args":{"worker":"0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB","attempt":2,"reward":"1500000000","locked":"3"}}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        assert_eq!(Event::of_dispatcher(&log), None);
    }

    #[test]
    fn every_event_of_the_abi_is_asked_for_once() {
        let mut topics = topics();
        let count = topics.len();
        topics.sort_unstable();
        topics.dedup();
        assert_eq!(topics.len(), count);
        assert!(topics.contains(&IWorkerDispatcher::AgreementBought::SIGNATURE_HASH));
        assert!(topics.contains(&IComputeAgreement::Opened::SIGNATURE_HASH));
        assert!(topics.contains(&ISignedOrders::OrderUsed::SIGNATURE_HASH));
    }

    #[test]
    fn orders_are_the_dispatchers_and_belong_to_their_agreement() {
        let [client, agreement] = [1, 2].map(Address::repeat_byte);
        let used = ISignedOrders::OrderUsed { orderHash: B256::repeat_byte(3), client, agreement, index: 4 };
        let event = Event::of_dispatcher(&Log { address: client, data: used.encode_log_data() }).unwrap();
        assert_eq!(event.agreement(), Some(Account(agreement)));
        let cancelled = ISignedOrders::OrdersCancelled { client, nonce: 5 };
        let event = Event::of_dispatcher(&Log { address: client, data: cancelled.encode_log_data() }).unwrap();
        assert_eq!(event, Event::OrdersCancelled { client: client.into(), nonce: 5 });
        assert_eq!(event.client(), Some(client.into()));
    }

    #[test]
    fn a_purchase_names_its_agreement() {
        let agreement = Address::repeat_byte(7);
        let bought = IWorkerDispatcher::Paid { agreement, account: agreement, amount: U256::from(1) };
        assert_eq!(bought_agreement(&Log { address: agreement, data: bought.encode_log_data() }), None);
    }
}
