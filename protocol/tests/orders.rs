//! Signed offers and placements against the vector file that `test/libraries/OrderVectors.t.sol` checks too. After a
//! deliberate change: `SUNWORK_BLESS=1 cargo test -p sunwork-protocol --test orders` writes it anew. The keys are made for
//! this file and hold nothing.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use alloy::primitives::{Address, B256, Bytes, keccak256};
use alloy::signers::{SignerSync, local::PrivateKeySigner};
use alloy::sol_types::SolValue;
use serde_json::{Value, json};
use sunwork_protocol::{order::Order, placement::Placement, typed_data};

fn digest(label: &str, i: u32) -> B256 {
    keccak256([label.as_bytes(), &i.to_be_bytes()].concat())
}

fn address(i: u32) -> Address {
    Address::from_word(digest("address", i))
}

fn key(i: u32) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&digest("key", i)).unwrap()
}

fn orders() -> Value {
    let (max_time, zero) = ((1_u64 << 40) - 1, Address::ZERO);
    let cases = [
        (31_337_u64, 0_u8, 57_usize, 1_790_000_000_u64, 1_790_003_600_u64, 1_u32, zero, 0_u64),
        (1, 3, 0, 0, max_time, u32::MAX, address(9), u64::MAX),
        (u64::from(u32::MAX), 255, 100, 7, 8, 0, zero, 1),
    ];
    let rows: Vec<Value> = cases
        .into_iter()
        .zip(0_u32..)
        .map(|((chain_id, kind_id, terms, start_at, expiry, volume, worker, nonce), i)| {
            let key = key(i);
            let order = Order {
                client: key.address(),
                kind_id,
                terms: (0..terms).map(|b| b as u8).collect::<Vec<_>>().into(),
                spec_hash: keccak256(digest("spec", i)),
                start_at,
                expiry,
                volume,
                salt: digest("salt", i),
                worker,
                nonce,
            };
            let dispatcher = address(i);
            let hash = order.hash(chain_id, dispatcher).unwrap();
            let signature = key.sign_hash_sync(&hash).unwrap();
            let signed = order.clone().signed(Bytes::copy_from_slice(digest("spec", i).as_slice()), &signature);
            signed.verify(chain_id, dispatcher).unwrap();
            json!({
                "key": digest("key", i), "chainId": chain_id, "dispatcher": dispatcher,
                "domainSeparator": typed_data::domain(chain_id, dispatcher).separator(),
                "encoded": Bytes::from(order.typed().unwrap().abi_encode()),
                "order": order, "structHash": order.struct_hash().unwrap(), "orderHash": hash,
                "spec": signed.spec, "signature": signed.signature,
                "compact": Bytes::copy_from_slice(&signature.as_erc2098()),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

fn placements() -> Value {
    let rows: Vec<Value> = [(31_337_u64, 1_790_000_000_u64), (1, 0), (2, (1 << 40) - 1)]
        .into_iter()
        .zip(10_u32..)
        .map(|((chain_id, expiry), i)| {
            let (pool, dispatcher) = (key(i), address(i));
            let placement = Placement { agreement: address(i + 10), worker: address(i + 20), expiry };
            let hash = placement.hash(chain_id, dispatcher).unwrap();
            let signature = pool.sign_hash_sync(&hash).unwrap().as_bytes();
            placement.verify(chain_id, dispatcher, pool.address(), &signature, expiry).unwrap();
            json!({
                "key": digest("key", i), "pool": pool.address(), "chainId": chain_id, "dispatcher": dispatcher,
                "agreement": placement.agreement, "worker": placement.worker, "expiry": expiry,
                "placementHash": hash, "signature": Bytes::copy_from_slice(&signature),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

#[test]
fn the_committed_orders_are_what_this_crate_computes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/orders.json");
    let computed = json!({
        "about": "Checked by protocol/tests/orders.rs and test/libraries/OrderVectors.t.sol",
        "orders": orders(), "placements": placements(),
    });
    let text = serde_json::to_string_pretty(&computed).unwrap() + "\n";
    if std::env::var_os("SUNWORK_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).expect("protocol/vectors/orders.json is committed");
    assert!(
        committed == text,
        "protocol/vectors/orders.json differs from what this crate computes; if the protocol was changed on purpose, \
        run SUNWORK_BLESS=1 cargo test -p sunwork-protocol --test orders"
    );
}
