//! The contracts' events as the index keeps them. Only `read` knows the ABI; everything behind it reads [`Event`].
mod concerns;
mod read;

use alloy::primitives::{B256, Bytes, FixedBytes};
use serde::{Deserialize, Serialize};

pub use read::{bought_agreement, topics};

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
    use alloy::{
        primitives::{Address, Log, U256, aliases::U96},
        sol_types::SolEvent,
    };
    use sunwork_protocol::abi::{IComputeAgreement, ISignedOrders, IWorkerDispatcher};

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
