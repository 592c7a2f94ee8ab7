//! Vectors of the price of an offer (reverse Dutch auction), extremes included. This test recomputes them and compares;
//! `test/PriceVectors.t.sol` reads the same prices off agreements. After a deliberate change of the protocol:
//! `SUNWORK_BLESS=1 cargo test -p sunwork-protocol --test price` writes them anew.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use alloy::primitives::Address;
use serde_json::{Value, json};
use sunwork_protocol::{
    price::{FULL_PRICE, reward_at, reward_of_offer, step_at},
    terms::ComputeTerms,
};

/// 2^96 - 1: more than any terms may ask, and all that their layout holds.
const WIDEST: u128 = (1 << 96) - 1;
/// 2^80: the largest reward that is sold.
const LARGEST: u128 = 1 << 80;
const BOUGHT_AT: u64 = 1_800_003_600;

fn terms(reward_min: u128, reward_max: u128, accept_secs: u32) -> ComputeTerms {
    ComputeTerms {
        reward_min,
        reward_max,
        verifier_fee: 0,
        class_id: 0,
        flags: 0,
        trust_level: 1,
        trust: 2,
        leaf_count: 1,
        samples: 1,
        verifiers: 1,
        accept_secs,
        work_secs: 1,
        verify_secs: 1,
        dispute_secs: 0,
        named: Address::ZERO,
        callback: Address::ZERO,
        callback_gas: 0,
    }
}

/// An offer that nobody has accepted, at seconds after its purchase.
fn offers() -> Value {
    let ranges =
        [(1, 1), (1, 2), (0, WIDEST), (1, LARGEST), (LARGEST, LARGEST), (99_999_999_999, 200_000_000_003), (7, 65_542)];
    let windows = [1_u32, 3, 300, 65_535, 65_536, (1 << 24) - 1];
    let mut rows = Vec::new();
    for (reward_min, reward_max) in ranges {
        for accept_secs in windows {
            let whole = u64::from(accept_secs);
            let mut moments = vec![0, 1, whole / 3, whole / 2, whole - 1, whole, whole + 1, whole + 1_000_000];
            moments.sort_unstable();
            moments.dedup();
            for passed in moments {
                let t = terms(reward_min, reward_max, accept_secs);
                let step = step_at(0, BOUGHT_AT + passed, BOUGHT_AT + whole, accept_secs);
                let reward = reward_of_offer(&t, BOUGHT_AT, BOUGHT_AT + passed);
                assert_eq!(reward, reward_at(&t, step));
                rows.push(json!({
                    "rewardMin": reward_min.to_string(), "rewardMax": reward_max.to_string(), "acceptSecs": accept_secs,
                    "passed": passed, "step": step, "reward": reward.to_string(),
                }));
            }
        }
    }
    json!({ "boughtAt": BOUGHT_AT, "count": rows.len(), "rows": rows })
}

/// Offered again: a worker had accepted `firstPassed` seconds after the purchase and left; the price goes on from there.
fn offered_again() -> Value {
    let (reward_min, reward_max) = (50_000_000_001, 150_000_000_000);
    let mut rows = Vec::new();
    let halves = [(300, 0, 0), (300, 0, 299), (300, 150, 0), (300, 150, 150), (300, 299, 1), (300, 300, 0), (7, 3, 2)];
    let extremes = [(1, 0, 0), (1, 0, 1), (1, 1, 1), (86_400, 12_345, 54_321), ((1 << 24) - 1, 1, (1 << 24) - 1)];
    for (accept_secs, first_passed, passed) in halves.into_iter().chain(extremes) {
        let accept_secs: u32 = accept_secs;
        let whole = u64::from(accept_secs);
        let from = step_at(0, first_passed, whole, accept_secs);
        let step = step_at(from, passed, whole, accept_secs);
        assert!((from..=FULL_PRICE).contains(&step), "a price never falls");
        rows.push(json!({
            "acceptSecs": accept_secs, "firstPassed": first_passed, "from": from, "passed": passed, "step": step,
            "reward": reward_at(&terms(reward_min, reward_max, accept_secs), step).to_string(),
        }));
    }
    json!({
        "rewardMin": reward_min.to_string(), "rewardMax": reward_max.to_string(), "count": rows.len(), "rows": rows,
    })
}

#[test]
fn the_committed_prices_are_what_this_crate_computes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/price.json");
    let all = json!({
        "about": "Checked by protocol/tests/price.rs and test/PriceVectors.t.sol; see docs/PROTOCOL.md, Price",
        "offers": offers(), "offeredAgain": offered_again(),
    });
    let text = serde_json::to_string_pretty(&all).unwrap() + "\n";
    if std::env::var_os("SUNWORK_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).expect("protocol/vectors/price.json is committed");
    assert!(
        committed == text,
        "protocol/vectors/price.json differs from what this crate computes; if the protocol was changed on purpose, run \
        SUNWORK_BLESS=1 cargo test -p sunwork-protocol --test price"
    );
}
