//! The vector file that both languages must meet: this test recomputes it and compares; `test/Vectors.t.sol` checks the
//! contracts against the same file. After a deliberate change of the protocol: `SUNWORK_BLESS=1 cargo test -p
//! sunwork-protocol --test vectors` writes it anew.

use std::path::PathBuf;

use alloy::primitives::{Address, B256, U256, keccak256};
use serde_json::{Value, json};
use sunwork_protocol::{
    draw, merkle, seal,
    settlement::{self, SettleInput, Vote},
    status::Ending,
    terms::{BoundTerms, ComputeSpec, ComputeTerms, Input},
};

fn digest(label: &str, i: u32) -> B256 {
    keccak256([label.as_bytes(), &i.to_be_bytes()].concat())
}

fn address(i: u32) -> Address {
    Address::from_word(digest("address", i))
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn seals() -> Value {
    let rows: Vec<Value> = (0..4_u32)
        .map(|i| {
            let (root, salt, cipher) = (digest("root", i), digest("salt", i), digest("cipher", i));
            let (agreement, worker, chain_id, attempt) = (address(i), address(i + 100), 31337 + u64::from(i), i as u8);
            let worker_seal = seal::worker_seal(root, salt, cipher, chain_id, agreement, attempt, worker);
            let digests: Vec<B256> = (0..=i).map(|j| digest("digest", j)).collect();
            let leaves: Vec<u32> = (0..=i).map(|j| j * 3).collect();
            json!({
                "root": root, "salt": salt, "ciphertextRoot": cipher, "chainId": chain_id, "agreement": agreement,
                "attempt": attempt, "worker": worker, "workerSeal": worker_seal,
                "resultBlob": digest("blob", i),
                "announcement": seal::announcement(worker_seal, cipher, digest("blob", i)),
                "digests": digests, "leaves": leaves,
                "verifierSeal": seal::verifier_seal(&digests, salt, chain_id, agreement, attempt, worker),
                "revealed": seal::revealed(root, &leaves, &digests),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

fn draws() -> Value {
    let cases = [(1_u32, 1_u8), (16, 5), (16, 16), (3, 9), (1000, 32), (1 << 20, 7)];
    let rows: Vec<Value> = cases
        .iter()
        .enumerate()
        .map(|(i, &(leaf_count, samples))| {
            let i = i as u32;
            let (beacon, agreement, verifier) = (digest("beacon", i), address(i), address(i + 200));
            let seed = draw::draw_seed(beacon, 31337, agreement, i as u8);
            let (units, expected, step) = (u64::from(i) * 1000 + 7, 8_u64, u64::from(i) * 2);
            json!({
                "beaconSeed": beacon, "chainId": 31337, "agreement": agreement, "attempt": i, "drawSeed": seed,
                "verifier": verifier, "ticketIndex": i * 11,
                "ticket": B256::from(draw::ticket(seed, verifier, u64::from(i) * 11)),
                "classUnits": units, "expected": expected, "step": step,
                "threshold": B256::from(draw::threshold(units, expected, step)),
                "leafCount": leaf_count, "samples": samples,
                "sampledLeaves": draw::sampled_leaves(seed, verifier, leaf_count, samples),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

fn trees() -> Value {
    let rows: Vec<Value> = [1_u32, 2, 3, 4, 5, 16, 17, 100]
        .iter()
        .map(|&n| {
            let data: Vec<B256> = (0..n).map(|i| digest("leaf", i)).collect();
            let tree = merkle::Tree::new(&data);
            let leaves: Vec<u32> = (0..n).filter(|i| i % 3 == 0 || *i == n - 1).collect();
            let chosen: Vec<B256> = leaves.iter().map(|l| data[*l as usize]).collect();
            json!({
                "leafCount": n, "depth": merkle::depth_of(n), "root": tree.root(), "leaves": leaves,
                "digests": chosen, "proof": tree.multiproof(&leaves),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

fn settlements() -> Value {
    use Vote::{Honest, Lost, Silent};
    let cases: Vec<(Ending, u128, u128, u128, u8, Vec<Vote>)> = vec![
        (Ending::Verified, 1_000_000_000, 50_000_000, 7, 5, vec![Honest, Honest]),
        (Ending::Verified, 1_000_000_001, 50_000_003, 0, 5, vec![Honest, Silent]),
        (Ending::Verified, 999, 1, 0, 1, vec![Lost]),
        (Ending::Verified, 7, 0, 3, 1, vec![Silent, Silent, Silent]),
        (Ending::Refuted, 1_000_000_000, 50_000_000, 7, 5, vec![Honest, Honest, Lost]),
        (Ending::Refuted, 3, 1_000_000, 0, 2, vec![Lost, Silent]),
        (Ending::Refuted, 1_000, 1_000_000, 0, 2, vec![Honest, Honest]),
        (Ending::Undecided, 1_000_000_001, 50_000_000, 0, 32, vec![Honest]),
        (Ending::Undecided, 5, 5, 5, 1, vec![Honest, Lost, Silent, Honest, Honest, Honest, Honest, Honest]),
    ];
    let text = |n: &u128| n.to_string();
    let rows: Vec<Value> = cases
        .into_iter()
        .map(|(ending, reward, fee, spare, samples, votes)| {
            let verifiers = votes.len() as u8;
            let input = SettleInput {
                ending,
                escrow: reward + fee * u128::from(verifiers) + spare,
                reward,
                verifier_fee: fee,
                worker_lock: settlement::worker_lock(reward, fee, samples, verifiers),
                verifier_lock: settlement::verifier_lock(reward, fee, verifiers),
                votes,
            };
            let out = settlement::settle(&input).expect("cases are settlements");
            json!({
                "ending": ending as u8, "escrow": text(&input.escrow), "reward": text(&reward), "fee": text(&fee),
                "samples": samples, "verifiers": verifiers,
                "votes": input.votes.iter().map(|v| *v as u8).collect::<Vec<_>>(),
                "workerLock": text(&input.worker_lock), "verifierLock": text(&input.verifier_lock),
                "workerPay": text(&out.worker_pay), "workerSlash": text(&out.worker_slash),
                "verifierPay": out.verifier_pay.iter().map(text).collect::<Vec<_>>(),
                "verifierSlash": out.verifier_slash.iter().map(text).collect::<Vec<_>>(),
                "burned": text(&out.burned), "refund": text(&out.refund),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

fn terms() -> Value {
    let terms = ComputeTerms {
        reward_min: 1_000_000_001,
        reward_max: (1 << 80) - 3,
        verifier_fee: 77_000_000,
        class_id: 0x0102,
        flags: 1,
        trust_level: 1,
        trust: 0x0308,
        leaf_count: 0x0a0b_0c0d,
        samples: 5,
        verifiers: 2,
        accept_secs: 0x01_0203,
        work_secs: 0x04_0506,
        verify_secs: 0x07_0809,
    };
    let spec = ComputeSpec {
        image_digest: digest("image", 0),
        image_name: "registry.example/sun/app".into(),
        platform: "linux/amd64".into(),
        args: vec!["--width".into(), "1280".into(), String::new()],
        inputs: vec![
            Input { name: "scene.txt".into(), sha256: digest("input", 0), size_bytes: 12345 },
            Input { name: "b".into(), sha256: digest("input", 1), size_bytes: u64::MAX },
        ],
        first_index: 3,
        milli_cpu: 1500,
        memory_mib: 256,
        disk_mib: 64,
        max_pids: 32,
        leaf_secs: 600,
        output_mib: 16,
        key_commitment: digest("key", 0),
        key_nonce: digest("key", 1),
        client_key: digest("key", 2),
    };
    let bound =
        BoundTerms { client: address(1), bought_at: 1_790_000_000, spec_hash: spec.hash(), terms: terms.clone() };
    json!({
        "packed": hex(terms.pack().expect("amounts fit")),
        "bound": hex(bound.pack().expect("amounts fit")),
        "client": bound.client, "boughtAt": bound.bought_at,
        "rewardMin": terms.reward_min.to_string(), "rewardMax": terms.reward_max.to_string(),
        "verifierFee": terms.verifier_fee.to_string(), "classId": terms.class_id, "trust": terms.trust,
        "leafCount": terms.leaf_count, "samples": terms.samples, "verifiers": terms.verifiers,
        "acceptSecs": terms.accept_secs, "workSecs": terms.work_secs, "verifySecs": terms.verify_secs,
        "spec": hex(spec.encode()), "specHash": spec.hash(),
        "imageDigest": spec.image_digest, "imageName": spec.image_name, "platform": spec.platform, "args": spec.args,
        "inputNames": spec.inputs.iter().map(|i| i.name.clone()).collect::<Vec<_>>(),
        "inputHashes": spec.inputs.iter().map(|i| i.sha256).collect::<Vec<_>>(),
        "inputSizes": spec.inputs.iter().map(|i| i.size_bytes.to_string()).collect::<Vec<_>>(),
        "firstIndex": spec.first_index, "milliCpu": spec.milli_cpu, "memoryMib": spec.memory_mib,
        "diskMib": spec.disk_mib, "maxPids": spec.max_pids, "leafSecs": spec.leaf_secs,
        "outputMib": spec.output_mib, "keyCommitment": spec.key_commitment,
        "keyNonce": spec.key_nonce, "clientKey": spec.client_key,
    })
}

#[test]
fn the_committed_vectors_are_what_this_crate_computes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/protocol.json");
    let computed = json!({
        "about": "Checked by protocol/tests/vectors.rs and test/Vectors.t.sol; see docs/PROTOCOL.md",
        "seals": seals(), "draws": draws(), "trees": trees(), "settlements": settlements(), "terms": terms(),
    });
    let text = serde_json::to_string_pretty(&computed).expect("JSON values print") + "\n";
    if std::env::var_os("SUNWORK_BLESS").is_some() {
        std::fs::write(&path, &text).expect("the vector file can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("protocol/vectors/protocol.json is committed");
    assert!(
        committed == text,
        "protocol/vectors/protocol.json differs from what this crate computes; if the protocol \
        was changed on purpose, run SUNWORK_BLESS=1 cargo test -p sunwork-protocol --test vectors"
    );
    // Guards against a file of empty lists.
    assert_eq!(U256::from(computed["trees"]["count"].as_u64().expect("a number")), U256::from(8));
}
