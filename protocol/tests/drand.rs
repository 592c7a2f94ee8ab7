//! drand's rounds against `protocol/vectors/drand.json`: real rounds of a public chain, and rounds of a development network
//! that this test recomputes (`SUNWORK_BLESS=1` writes them anew). `test/beacon/DrandBeacon.t.sol` reads the same file.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use alloy::primitives::{B256, hex};
use proptest::prelude::*;
use serde_json::{Value, json};
use sunwork_protocol::drand::{PublicKey, Schedule, SignatureError, Signer, message};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/drand.json")
}

fn vectors() -> Value {
    serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn key(chain: &Value) -> PublicKey {
    PublicKey::from_bytes(&bytes(&chain["publicKey"])).unwrap()
}

fn schedule(chain: &Value) -> Schedule {
    serde_json::from_value(chain["schedule"].clone()).unwrap()
}

fn devnet() -> Value {
    let signer = Signer::development();
    let public_key = signer.public_key();
    let rows: Vec<Value> = [1_u64, 2, 3, 1000, (1 << 48) - 1]
        .into_iter()
        .map(|round| {
            let proof = signer.sign(round);
            json!({
                "round": round, "message": message(round), "signature": hex::encode_prefixed(proof.signature()),
                "proof": proof.proof(), "randomness": proof.randomness(), "seed": proof.seed(),
            })
        })
        .collect();
    let schedule = Schedule { genesis: 1_700_000_000, period_secs: 2, margin_secs: 5, stride_rounds: 3 };
    let times: Vec<Value> = [
        0,
        1_699_999_994,
        1_699_999_995,
        1_699_999_996,
        1_700_000_000,
        1_700_000_001,
        1_700_000_006,
    ]
    .into_iter()
    .map(|now: u64| json!({ "now": now, "current": schedule.current_round(now), "next": schedule.next_round(now) }))
    .collect();
    json!({
        "publicKey": hex::encode_prefixed(public_key.to_long_bytes()),
        "publishedKey": hex::encode_prefixed(public_key.to_bytes()),
        "schedule": schedule, "times": { "count": times.len(), "rows": times },
        "rounds": { "count": rows.len(), "rows": rows },
    })
}

#[test]
fn the_development_network_signs_what_the_file_says() {
    let mut all = vectors();
    let found = devnet();
    if std::env::var_os("SUNWORK_BLESS").is_some() {
        all["devnet"] = found;
        std::fs::write(path(), serde_json::to_string_pretty(&all).unwrap() + "\n").unwrap();
        return;
    }
    assert_eq!(all["devnet"], found);
}

#[test]
fn rounds_of_a_public_chain_are_accepted_and_give_its_randomness() {
    let all = vectors();
    for chain in [&all["quicknet"], &all["devnet"]] {
        let key = key(chain);
        assert_eq!(key.to_bytes().to_vec(), bytes(&chain["publishedKey"]));
        assert_eq!(PublicKey::from_bytes(&key.to_bytes()).unwrap(), key);
        assert_eq!(key.to_long_bytes().to_vec(), bytes(&chain["publicKey"]));
        for row in chain["rounds"]["rows"].as_array().unwrap() {
            let round = row["round"].as_u64().unwrap();
            assert_eq!(message(round).to_vec(), bytes(&row["message"]), "round {round}");
            let proof = key.verify(round, &bytes(&row["signature"])).unwrap();
            assert_eq!(proof.proof().to_vec(), bytes(&row["proof"]), "round {round}");
            assert_eq!(proof.randomness().to_vec(), bytes(&row["randomness"]), "round {round}");
            assert_eq!(proof.seed().to_vec(), bytes(&row["seed"]), "round {round}");
        }
    }
}

#[test]
fn what_is_not_the_rounds_signature_is_refused() {
    let all = vectors();
    let key = key(&all["quicknet"]);
    let rows = all["quicknet"]["rounds"]["rows"].as_array().unwrap();
    let (round, good) = (rows[0]["round"].as_u64().unwrap(), bytes(&rows[0]["signature"]));

    let wrong = |round, signature: &[u8]| key.verify(round, signature).unwrap_err();
    assert!(matches!(wrong(round + 1, &good), SignatureError::Wrong { .. }), "another round");
    assert!(matches!(wrong(round, &bytes(&rows[1]["signature"])), SignatureError::Wrong { .. }), "another signature");
    let mut negated = good.clone();
    negated[0] ^= 0x20;
    assert!(matches!(wrong(round, &negated), SignatureError::Wrong { .. }), "negated");

    let bad = |signature: &[u8]| match wrong(round, signature) {
        SignatureError::BadPoint { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let mut infinity = [0; 48];
    infinity[0] = 0xc0;
    assert_eq!(bad(&infinity), "the point at infinity");
    // x = 1 has no y, x = 4 has one outside the subgroup.
    let mut off = [0; 48];
    (off[0], off[47]) = (0x80, 1);
    assert_eq!(bad(&off), "not on the curve");
    off[47] = 4;
    assert_eq!(bad(&off), "not in the subgroup");
    for found in [&good[..47], &[], &[good.as_slice(), &[0]].concat(), &bytes(&rows[0]["proof"]), &[0xff; 48]] {
        assert!(bad(found).starts_with("wrong length"), "{found:?}");
    }
    for key in [&[][..], &[0; 96], &[0; 192], &good, &[0xc0; 96]] {
        assert!(matches!(PublicKey::from_bytes(key), Err(SignatureError::BadKey { .. })), "{key:?}");
    }
    assert!(Signer::from_seed(b"short").is_err());
}

#[test]
fn the_schedule_is_the_one_of_the_file_and_of_the_contract() {
    let all = vectors();
    let chain = &all["devnet"];
    let schedule = schedule(chain).checked().unwrap();
    for row in chain["times"]["rows"].as_array().unwrap() {
        let now = row["now"].as_u64().unwrap();
        assert_eq!(schedule.current_round(now), row["current"].as_u64().unwrap(), "{now}");
        assert_eq!(schedule.next_round(now), row["next"].as_u64().unwrap(), "{now}");
    }
    // Quicknet's round 1000 came 999 periods after genesis.
    let quicknet: Schedule = serde_json::from_value(all["quicknet"]["schedule"].clone()).unwrap();
    assert_eq!(quicknet.time_of(1000), 1_692_803_367 + 999 * 3);
    assert_eq!(quicknet.current_round(1_692_803_367), 1);
    let zero = Schedule { period_secs: 0, ..quicknet };
    assert!(zero.checked().unwrap_err().to_string().contains("a period of 0 s"));
}

proptest! {
    #[test]
    fn the_next_round_is_past_the_margin_and_no_earlier_one_would_do(
        genesis in 0..1_u64 << 34, now in 0..1_u64 << 35, period in 1..10_000_u32, margin in 0..100_000_u32, stride in 1..5_000_u32,
    ) {
        let schedule = Schedule { genesis, period_secs: period, margin_secs: margin, stride_rounds: stride };
        let round = schedule.next_round(now);
        prop_assert_eq!(round % u64::from(stride), 0);
        prop_assert!(round > 0 && schedule.time_of(round) >= now + u64::from(margin));
        prop_assert!(margin == 0 || round > schedule.current_round(now));
        if let Some(earlier) = round.checked_sub(u64::from(stride)).filter(|round| *round > 0) {
            prop_assert!(schedule.time_of(earlier) < now + u64::from(margin));
        }
    }

    #[test]
    fn random_bytes_are_never_a_signature(signature in proptest::array::uniform32(any::<u8>()), round in any::<u64>()) {
        let key = Signer::development().public_key();
        let padded = [&[0x80; 16][..], &signature].concat();
        prop_assert!(key.verify(round, &padded).is_err());
        prop_assert_ne!(B256::from(signature), message(round));
    }
}
