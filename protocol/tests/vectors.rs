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
    terms::{BoundTerms, ComputeSpec, ComputeTerms, FLAG_CALLBACK, FLAG_CONFIDENTIAL, FLAG_NAMED, FLAG_POOL, Input},
    votes::{self, Ballot},
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
            let vote_round = (i % 4) as u8;
            let seed = draw::draw_seed(beacon, 31337, agreement, i as u8, vote_round);
            let (units, expected, step) = (u64::from(i) * 1000 + 7, 8_u64, u64::from(i) * 2);
            json!({
                "beaconSeed": beacon, "chainId": 31337, "agreement": agreement, "attempt": i,
                "voteRound": vote_round, "drawSeed": seed,
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

/// A settlement: V of the terms and who voted, in the first round (and the audit) and in later ones.
struct Case {
    ending: Ending,
    doubted: bool,
    reward: u128,
    fee: u128,
    spare: u128,
    samples: u8,
    verifiers: u8,
    reserved: Vec<Vote>,
    extras: Vec<Vote>,
    disputes_won: u32,
    disputes_lost: u32,
}

impl Case {
    /// One round, nobody disputed.
    fn plain(ending: Ending, reward: u128, fee: u128, spare: u128, samples: u8, votes: Vec<Vote>) -> Self {
        let verifiers = votes.len() as u8;
        let (extras, disputes_won, disputes_lost) = (vec![], 0, 0);
        let doubted = false;
        Self {
            ending,
            doubted,
            reward,
            fee,
            spare,
            samples,
            verifiers,
            reserved: votes,
            extras,
            disputes_won,
            disputes_lost,
        }
    }
}

fn settlement_cases() -> Vec<Case> {
    use Vote::{Honest, Lost, Silent};
    let later = |case: Case, extras: Vec<Vote>, won: u32, lost: u32| Case {
        extras,
        disputes_won: won,
        disputes_lost: lost,
        ..case
    };
    let sun = 1_000_000_000;
    let two = |ending, first, second| Case::plain(ending, sun + 1, 50_000_003, 9, 5, vec![first, second]);
    vec![
        Case::plain(Ending::Verified, sun, 50_000_000, 7, 5, vec![Honest, Honest]),
        Case::plain(Ending::Verified, sun + 1, 50_000_003, 0, 5, vec![Honest, Silent]),
        Case::plain(Ending::Verified, 999, 1, 0, 1, vec![Lost]),
        Case::plain(Ending::Verified, 7, 0, 3, 1, vec![Silent, Silent, Silent]),
        Case::plain(Ending::Refuted, sun, 50_000_000, 7, 5, vec![Honest, Honest, Lost]),
        Case::plain(Ending::Refuted, 3, 1_000_000, 0, 2, vec![Lost, Silent]),
        Case::plain(Ending::Refuted, 1_000, 1_000_000, 0, 2, vec![Honest, Honest]),
        Case::plain(Ending::Undecided, sun + 1, 50_000_000, 0, 32, vec![Honest]),
        Case::plain(Ending::Undecided, 5, 5, 5, 1, vec![Honest, Lost, Silent, Honest, Honest, Honest, Honest, Honest]),
        Case { doubted: true, ..Case::plain(Ending::Undecided, sun + 1, 50_000_000, 0, 32, vec![Honest]) },
        // A late audit: one more vote whose fee is reserved, silent or not.
        Case { verifiers: 2, ..Case::plain(Ending::Verified, sun, 50_000_000, 7, 5, vec![Honest, Honest, Honest]) },
        Case { verifiers: 2, ..Case::plain(Ending::Verified, sun, 50_000_000, 7, 5, vec![Honest, Honest, Silent]) },
        // Rounds caused by dissent: the liar pays them.
        later(two(Ending::Verified, Honest, Lost), vec![Honest, Honest, Honest], 0, 0),
        later(two(Ending::Verified, Lost, Lost), vec![Honest, Silent, Lost, Honest, Honest, Honest], 0, 0),
        later(two(Ending::Refuted, Lost, Honest), vec![Honest, Honest, Honest], 0, 0),
        later(two(Ending::Undecided, Honest, Honest), vec![Honest, Honest, Honest], 0, 0),
        later(Case { doubted: true, ..two(Ending::Undecided, Honest, Silent) }, vec![Honest, Honest, Honest], 0, 0),
        // Nobody was slashed and little is left: the extra fees are what there is, divided.
        later(Case::plain(Ending::Undecided, 10, 1_000, 0, 1, vec![Honest]), vec![Honest, Honest, Honest], 0, 0),
        later(Case::plain(Ending::Verified, 10, 1_000, 2, 1, vec![Honest]), vec![Honest, Honest, Honest], 0, 0),
        // Disputes: won, lost, one of each, and several.
        later(two(Ending::Refuted, Lost, Lost), vec![Honest, Honest, Honest], 1, 0),
        later(two(Ending::Verified, Honest, Honest), vec![Honest, Honest, Honest], 0, 1),
        later(two(Ending::Verified, Honest, Honest), vec![Honest, Silent, Lost], 0, 2),
        later(two(Ending::Refuted, Honest, Lost), vec![Honest, Honest, Silent], 2, 0),
        later(two(Ending::Undecided, Honest, Honest), vec![Honest, Honest], 0, 3),
        later(Case { doubted: true, ..two(Ending::Undecided, Honest, Honest) }, vec![], 0, 1),
        // Bought at level 0 and rejected: the bond has paid for the fees.
        Case { spare: 100_000_006, ..two(Ending::Refuted, Honest, Honest) },
    ]
}

fn settlements() -> Value {
    let text = |n: &u128| n.to_string();
    let rows: Vec<Value> = settlement_cases()
        .into_iter()
        .map(|case| {
            let (reward, fee, verifiers) = (case.reward, case.fee, case.verifiers);
            let input = SettleInput {
                ending: case.ending,
                doubted: case.doubted,
                escrow: reward + fee * case.reserved.len() as u128 + case.spare,
                reward,
                verifier_fee: fee,
                worker_lock: settlement::worker_lock(reward, fee, case.samples, verifiers),
                verifier_lock: settlement::verifier_lock(reward, fee, verifiers),
                reserved: case.reserved.len(),
                votes: [case.reserved, case.extras].concat(),
                bond: settlement::dispute_bond(reward, fee, verifiers),
                disputes_won: case.disputes_won,
                disputes_lost: case.disputes_lost,
            };
            let out = settlement::settle(&input).expect("cases are settlements");
            json!({
                "ending": input.ending as u8, "doubted": input.doubted, "escrow": text(&input.escrow),
                "reward": text(&reward), "fee": text(&fee), "samples": case.samples, "verifiers": verifiers,
                "votes": input.votes.iter().map(|v| *v as u8).collect::<Vec<_>>(), "reserved": input.reserved,
                "bond": text(&input.bond), "disputesWon": input.disputes_won, "disputesLost": input.disputes_lost,
                "workerLock": text(&input.worker_lock), "verifierLock": text(&input.verifier_lock),
                "workerPay": text(&out.worker_pay), "workerSlash": text(&out.worker_slash),
                "verifierPay": out.verifier_pay.iter().map(text).collect::<Vec<_>>(),
                "verifierSlash": out.verifier_slash.iter().map(text).collect::<Vec<_>>(),
                "disputerPay": text(&out.disputer_pay), "burned": text(&out.burned), "refund": text(&out.refund),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

/// A count whose every choice follows from its number: small odds, few leaves, digests that often meet.
fn drawn_count(i: u32) -> (Vec<Ballot>, u8, u16) {
    let mut numbers = digest("tally", i).to_vec();
    let mut next = move |bound: u8| {
        if numbers.is_empty() {
            return 0;
        }
        let first = numbers.remove(0);
        numbers.push(first.rotate_left(3) ^ 0x5b);
        first % bound
    };
    let ballots = (0..1 + next(7))
        .map(|_| {
            let leaves: Vec<u32> = (0..6).filter(|_| next(2) == 0).collect();
            let mut ballot = Ballot { opened: next(8) != 0, odds: 2 + next(5), leaves, ..Ballot::default() };
            // Where the number is odd most speak against the worker, and with one voice.
            for at in 0..ballot.leaves.len() {
                if next(3) == 0 || i % 2 == 1 && next(4) != 0 {
                    ballot.dissent |= 1 << at;
                }
                ballot.digests.push(digest("vote", if i % 2 == 1 { 0 } else { next(2).into() }));
            }
            if ballot.dissent == 0 || !ballot.opened {
                (ballot.dissent, ballot.digests) = (0, vec![]);
            }
            ballot
        })
        .collect();
    (ballots, 2 + next(5), [2, 3, 4, 8, 64, 512][usize::from(next(6))])
}

/// Twelve that lie alone, each on leaves of its own: more than a round has room for.
fn crowded_count() -> (Vec<Ballot>, u8, u16) {
    let ballots = (0..12_u32)
        .map(|i| Ballot {
            opened: true,
            odds: 2,
            leaves: vec![100 - i, 200 + i],
            dissent: if i % 2 == 0 { 1 } else { 2 },
            digests: vec![digest("vote", i), digest("vote", i)],
        })
        .collect();
    (ballots, 6, 8)
}

fn tallies() -> Value {
    let rows: Vec<Value> = (0..24)
        .map(drawn_count)
        .chain([crowded_count()])
        .map(|(ballots, worker_odds, trust)| {
            let tally = votes::decide(&ballots, worker_odds, trust).expect("small odds");
            let outcomes: Vec<u8> = (0..7)
                .map(|leaf| votes::outcome_of(&ballots, worker_odds, trust, leaf).expect("small odds") as u8)
                .collect();
            let rows: Vec<Value> = ballots
                .iter()
                .map(|b| {
                    json!({
                        "opened": b.opened, "odds": b.odds, "leaves": b.leaves, "dissent": b.dissent,
                        "digests": b.digests,
                    })
                })
                .collect();
            json!({
                "ballots": { "count": rows.len(), "rows": rows }, "workerOdds": worker_odds, "trust": trust,
                "ending": tally.ending as u8, "doubted": tally.doubted, "open": tally.open,
                "votes": tally.votes.iter().map(|v| *v as u8).collect::<Vec<_>>(),
                "outcomes": outcomes,
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

fn spec() -> ComputeSpec {
    ComputeSpec {
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
        hosts: Vec::new(),
        network_mib: 0,
    }
}

fn specs() -> Value {
    let spec = spec();
    let hosts = ["api.example.org:443", "data.example.org:8080"];
    let named =
        ComputeSpec { hosts: hosts.map(|host| host.parse().expect("a host")).into(), network_mib: 96, ..spec.clone() };
    json!({
        "hosts": hosts, "networkMib": named.network_mib,
        "specV3": hex(named.encode()), "specV3Hash": named.hash(),
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

/// Every shape of packed terms: plain, with who is named, with a callback, with both.
fn terms() -> Value {
    let plain = ComputeTerms {
        reward_min: 1_000_000_001,
        reward_max: (1 << 80) - 3,
        verifier_fee: 77_000_000,
        class_id: 0x0102,
        flags: FLAG_CONFIDENTIAL,
        trust_level: 1,
        trust: 0x0308,
        leaf_count: 0x0a0b_0c0d,
        samples: 5,
        verifiers: 2,
        accept_secs: 0x01_0203,
        work_secs: 0x04_0506,
        verify_secs: 0x07_0809,
        dispute_secs: 0x0a_0b0c,
        named: Address::ZERO,
        callback: Address::ZERO,
        callback_gas: 0,
    };
    let named = ComputeTerms { flags: FLAG_CONFIDENTIAL | FLAG_NAMED, named: address(50), ..plain.clone() };
    let callback = ComputeTerms {
        flags: FLAG_CALLBACK,
        trust_level: 0,
        callback: address(60),
        callback_gas: 0x0001_0203,
        ..plain.clone()
    };
    let both = ComputeTerms { flags: FLAG_POOL | FLAG_CALLBACK, named: address(51), ..callback.clone() };
    let rows: Vec<Value> = [plain, named, callback, both]
        .into_iter()
        .map(|terms| {
            let bound = BoundTerms {
                client: address(1),
                bought_at: 1_790_000_000,
                spec_hash: spec().hash(),
                terms: terms.clone(),
            };
            json!({
                "packed": hex(terms.pack().expect("amounts fit")),
                "bound": hex(bound.pack().expect("amounts fit")),
                "client": bound.client, "boughtAt": bound.bought_at, "specHash": bound.spec_hash,
                "rewardMin": terms.reward_min.to_string(), "rewardMax": terms.reward_max.to_string(),
                "verifierFee": terms.verifier_fee.to_string(), "classId": terms.class_id, "flags": terms.flags,
                "trustLevel": terms.trust_level, "trust": terms.trust, "leafCount": terms.leaf_count,
                "samples": terms.samples, "verifiers": terms.verifiers, "acceptSecs": terms.accept_secs,
                "workSecs": terms.work_secs, "verifySecs": terms.verify_secs, "disputeSecs": terms.dispute_secs,
                "named": terms.named, "callback": terms.callback, "callbackGas": terms.callback_gas,
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

#[test]
fn the_committed_vectors_are_what_this_crate_computes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/protocol.json");
    let computed = json!({
        "about": "Checked by protocol/tests/vectors.rs and test/Vectors.t.sol; see docs/PROTOCOL.md",
        "seals": seals(), "draws": draws(), "trees": trees(), "settlements": settlements(),
        "tallies": tallies(), "terms": terms(), "spec": specs(),
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
    let seen = |list: &str, key: &str| -> Vec<u64> {
        let rows = computed[list]["rows"].as_array().into_iter().flatten();
        let all = rows.flat_map(|row| row[key].as_array().cloned().unwrap_or_else(|| vec![row[key].clone()]));
        all.filter_map(|value| value.as_u64()).collect()
    };
    for (list, key, values) in [
        ("tallies", "ending", 1..=3),
        ("tallies", "outcomes", 0..=3),
        ("tallies", "votes", 0..=2),
        ("settlements", "ending", 1..=3),
    ] {
        let seen = seen(list, key);
        assert!(
            values.clone().all(|value| seen.contains(&value)),
            "{list} has {key} {seen:?}, expected all of {values:?}"
        );
    }
    // Guards against a file of empty lists.
    assert_eq!(U256::from(computed["trees"]["count"].as_u64().expect("a number")), U256::from(8));
}
