use alloy::{
    primitives::{Bytes, keccak256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use sunwork_protocol::{
    order::Order,
    terms::{FLAG_GREEN, FLAG_NAMED, FLAG_POOL},
    testing,
};

use super::*;

const NOW: u64 = 1_790_000_100;
const START: u64 = NOW - 30;
const CHAIN: u64 = 31_337;
const ME: Address = Address::repeat_byte(1);
const DISPATCHER: Address = Address::repeat_byte(0xd1);

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

/// An order of these terms, in order but for what `change` spoils before it is signed.
fn signed(terms: &ComputeTerms, change: impl FnOnce(&mut Order)) -> SignedOrder {
    let spec = Bytes::from(testing::spec().encode());
    let mut order = Order {
        client: signer().address(),
        kind_id: 0,
        terms: terms.pack().unwrap().into(),
        spec_hash: keccak256(&spec),
        start_at: START,
        expiry: NOW + 60,
        volume: 2,
        salt: B256::ZERO,
        worker: Address::ZERO,
        nonce: 3,
    };
    change(&mut order);
    let signature = signer().sign_hash_sync(&order.hash(CHAIN, DISPATCHER).unwrap()).unwrap();
    order.signed(spec, &signature)
}

fn facts() -> OrderFacts {
    OrderFacts {
        me: ME,
        now: NOW,
        uses: 1,
        nonce: 3,
        classes: 1,
        free_stake: 1_000,
        not_positive: None,
        chain_id: CHAIN,
        dispatcher: DISPATCHER,
        client_has_code: false,
    }
}

fn look(order: &SignedOrder, facts: &OrderFacts, limits: &Limits) -> Result<(), OrderRefusal> {
    check(order, |_| "linux/amd64+docker".into(), facts, limits).map(drop)
}

fn terms() -> ComputeTerms {
    ComputeTerms { reward_min: 100, reward_max: 200, verifier_fee: 1, accept_secs: 60, ..testing::terms() }
}

#[test]
fn a_good_order_is_read_and_each_state_of_it_on_chain_has_its_reason() {
    let order = signed(&terms(), |_| {});
    let limits = Limits::default();
    let (read, spec) = check(&order, |_| "linux/amd64+docker".into(), &facts(), &limits).unwrap();
    assert_eq!((read, spec), (terms(), testing::spec()));
    let hash = order.order.hash(CHAIN, DISPATCHER).unwrap();
    let with = |change: fn(&mut OrderFacts)| {
        let mut facts = facts();
        change(&mut facts);
        look(&order, &facts, &limits).unwrap_err()
    };
    assert_eq!(with(|f| f.uses = CANCELLED), OrderRefusal::Cancelled { hash });
    assert_eq!(with(|f| f.uses = 2), OrderRefusal::UsedUp { hash, used: 2, volume: 2 });
    let client = signer().address();
    assert_eq!(with(|f| f.nonce = 4), OrderRefusal::Nonce { client, found: 3, expected: 4 });
    assert!(matches!(with(|f| f.now = START - 1), OrderRefusal::Order(OrderError::NotStarted { .. })));
    assert!(matches!(with(|f| f.now = NOW + 61), OrderRefusal::Order(OrderError::Expired { .. })));
    assert!(matches!(with(|f| f.chain_id = 1), OrderRefusal::Order(OrderError::Signature(_))));
    assert!(matches!(with(|f| f.me = signer().address()), OrderRefusal::Own { .. }));
    assert!(matches!(with(|f| f.classes = 2), OrderRefusal::Class { class_id: 0, .. }));
    // The whole lock of the highest price.
    let need = worker_lock(200, terms().verifier_fee, terms().samples, terms().verifiers);
    assert_eq!(look(&order, &OrderFacts { free_stake: need, ..facts() }, &limits), Ok(()));
    let short = OrderFacts { free_stake: need - 1, ..facts() };
    assert_eq!(look(&order, &short, &limits), Err(OrderRefusal::Stake { need, free: need - 1 }));
}

#[test]
fn green_orders_are_for_positive_workers_and_plain_ones_are_for_all() {
    let limits = Limits::default();
    let standing = NotPositive::Deficit { net_wh: -42 };
    let short = OrderFacts { not_positive: Some(standing), ..facts() };
    let green = signed(&ComputeTerms { flags: FLAG_GREEN, ..terms() }, |_| {});
    assert_eq!(look(&green, &short, &limits), Err(OrderRefusal::Work(Refusal::NotPositive { standing })));
    assert_eq!(look(&green, &facts(), &limits), Ok(()));
    assert_eq!(look(&signed(&terms(), |_| {}), &short, &limits), Ok(()));
}

#[test]
fn orders_for_others_and_orders_that_a_stranger_made_up_are_refused() {
    let limits = Limits::default();
    let refused = |order: &SignedOrder| look(order, &facts(), &limits).unwrap_err();
    let other = Address::repeat_byte(9);
    assert_eq!(
        refused(&signed(&terms(), |order| order.worker = other)),
        OrderRefusal::AnotherWorker { expected: other, me: ME }
    );
    let named = ComputeTerms { flags: FLAG_NAMED, named: other, ..terms() };
    assert_eq!(refused(&signed(&named, |_| {})), OrderRefusal::AnotherWorker { expected: other, me: ME });
    let pool = ComputeTerms { flags: FLAG_POOL, named: other, ..terms() };
    assert_eq!(refused(&signed(&pool, |_| {})), OrderRefusal::Pool { pool: other });
    assert_eq!(refused(&signed(&terms(), |order| order.kind_id = 1)), OrderRefusal::Kind { found: 1 });
    assert!(matches!(refused(&signed(&terms(), |order| order.terms = Bytes::new())), OrderRefusal::Unreadable(_)));
    // With no verifiers or samples the lock has no meaning: nothing may divide by them.
    for (verifiers, samples) in [(0, 1), (1, 0), (255, 255)] {
        let wild = ComputeTerms { verifiers, samples, ..terms() };
        assert!(matches!(refused(&signed(&wild, |_| {})), OrderRefusal::Terms(_)), "{verifiers} {samples}");
    }
    let mut forged = signed(&terms(), |_| {});
    forged.order.volume = 3;
    assert!(matches!(refused(&forged), OrderRefusal::Order(OrderError::Signature(_))));
    // A contract signs as it likes; the dispatcher asks it.
    assert_eq!(look(&forged, &OrderFacts { client_has_code: true, ..facts() }, &limits), Ok(()));
    forged.spec = Bytes::from_static(b"other");
    assert!(matches!(refused(&forged), OrderRefusal::Order(OrderError::Spec { .. })));
}

#[test]
fn own_limits_and_the_least_reward_are_those_of_every_purchase() {
    let order = signed(&terms(), |_| {});
    let small = Limits { max_memory_mib: 63, ..Limits::default() };
    assert!(matches!(look(&order, &facts(), &small), Err(OrderRefusal::Work(Refusal::Memory { .. }))));
    // 30 of 60 s: half way up.
    let picky = |min_reward| look(&order, &facts(), &Limits { min_reward, ..Limits::default() });
    assert_eq!(picky(149), Ok(()));
    let said = picky(151).unwrap_err().to_string();
    assert!(said.contains("149 now and 200 at most, the least one is 151"), "{said}");
    let late = signed(&terms(), |order| order.expiry = NOW + 600);
    let over = OrderFacts { now: START + 61, ..facts() };
    assert!(matches!(look(&late, &over, &Limits::default()), Err(OrderRefusal::WindowOver { .. })));
}
