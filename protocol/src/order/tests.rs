#![allow(clippy::unwrap_used)]
use alloy::signers::{SignerSync, local::PrivateKeySigner};

use super::*;

const CHAIN: u64 = 31_337;
const DISPATCHER: Address = Address::repeat_byte(0xd1);
const NOW: u64 = 1_790_000_000;

fn order(client: Address) -> Order {
    Order {
        client,
        kind_id: 3,
        terms: Bytes::from_static(b"packed terms"),
        spec_hash: keccak256("spec"),
        start_at: NOW,
        expiry: NOW + 3_600,
        volume: 2,
        salt: B256::repeat_byte(4),
        worker: Address::ZERO,
        nonce: 5,
    }
}

fn signed(key: &PrivateKeySigner) -> SignedOrder {
    let order = order(key.address());
    let signature = key.sign_hash_sync(&order.hash(CHAIN, DISPATCHER).unwrap()).unwrap();
    order.signed(Bytes::from_static(b"spec"), &signature)
}

#[test]
fn the_type_is_the_one_of_the_contracts() {
    assert_eq!(
        TypedOrder::eip712_encode_type(),
        "Order(address client,uint8 kindId,bytes terms,bytes32 specHash,uint40 startAt,uint40 expiry,uint32 volume,\
         bytes32 salt,address worker,uint64 nonce)"
    );
}

#[test]
fn a_signed_order_survives_json_and_is_verified() {
    let good = signed(&PrivateKeySigner::random());
    let json = serde_json::to_string(&good).unwrap();
    let read: SignedOrder = serde_json::from_str(&json).unwrap();
    assert_eq!(read, good);
    assert_eq!(read.check(NOW), Ok(()));
    assert_eq!(read.verify(CHAIN, DISPATCHER), Ok(()));
    assert!(serde_json::from_str::<SignedOrder>(&json.replace("\"volume\"", "\"amount\"")).is_err());
}

#[test]
fn every_field_and_the_domain_are_signed() {
    let good = signed(&PrivateKeySigner::random());
    let o = &good.order;
    let changed = [
        Order { client: Address::ZERO, ..o.clone() },
        Order { kind_id: 4, ..o.clone() },
        Order { terms: Bytes::new(), ..o.clone() },
        Order { spec_hash: B256::ZERO, ..o.clone() },
        Order { start_at: NOW - 1, ..o.clone() },
        Order { expiry: NOW, ..o.clone() },
        Order { volume: 3, ..o.clone() },
        Order { salt: B256::ZERO, ..o.clone() },
        Order { worker: Address::repeat_byte(1), ..o.clone() },
        Order { nonce: 6, ..o.clone() },
    ];
    for order in changed {
        let other = SignedOrder { order, ..good.clone() };
        let refusal = other.verify(CHAIN, DISPATCHER);
        assert!(matches!(refusal, Err(OrderError::Signature(SignatureError::WrongSigner { .. }))), "{refusal:?}");
    }
    assert!(good.verify(CHAIN + 1, DISPATCHER).is_err());
    assert!(good.verify(CHAIN, Address::ZERO).is_err());
}

#[test]
fn what_needs_no_chain_is_checked() {
    let good = signed(&PrivateKeySigner::random());
    let with = |order: Order| SignedOrder { order, ..good.clone() };
    let (o, expiry) = (&good.order, good.order.expiry);
    assert_eq!(good.check(expiry), Ok(()));
    assert_eq!(good.check(NOW - 1), Err(OrderError::NotStarted { now: NOW - 1, start_at: NOW }));
    assert_eq!(good.check(expiry + 1), Err(OrderError::Expired { now: expiry + 1, expiry }));
    assert_eq!(with(Order { volume: 0, ..o.clone() }).check(NOW), Err(OrderError::NoVolume));
    let late = with(Order { expiry: 1 << 40, ..o.clone() });
    assert_eq!(late.check(NOW), Err(OrderError::TimeTooLarge { field: "expiry", found: 1 << 40 }));
    let spec = |spec: Vec<u8>| SignedOrder { spec: spec.into(), ..good.clone() };
    let other = OrderError::Spec { found: keccak256("else"), expected: keccak256("spec") };
    assert_eq!(spec(b"else".to_vec()).check(NOW), Err(other));
    let found = MAX_SPEC_BYTES + 1;
    assert_eq!(spec(vec![0; found]).check(NOW), Err(OrderError::SpecTooLong { found }));
}
