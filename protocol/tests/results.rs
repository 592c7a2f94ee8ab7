//! Vectors of results that are handed to contracts: file, leaf digest, blinded digest, Merkle proof. This test recomputes them
//! and compares; `test/libraries/ResultLib.t.sol` checks `ResultLib` against the same file. After a deliberate change of the
//! protocol: `SUNWORK_BLESS=1 cargo test -p sunwork-protocol --test results` writes it anew.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use alloy::primitives::{Address, B256, keccak256};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sunwork_protocol::{
    leaf::{FileEntry, LeafRecord, tree_hash},
    merkle::Tree,
    session::SessionKey,
};

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn word(label: &str, i: u32) -> B256 {
    keccak256([label.as_bytes(), &i.to_be_bytes()].concat())
}

/// One result at `leaf` of a bag of `leaf_count`, whose other leaves are unlike it.
fn row(i: u32, name: &[u8], content: &[u8], leaf: u32, leaf_count: u32) -> Value {
    let entry = FileEntry { path: name.to_vec(), size: content.len() as u64, sha256: Sha256::digest(content).into() };
    let tree = tree_hash(&[entry]).unwrap();
    let digest = LeafRecord::completed(tree).digest();
    let key = SessionKey::from_bytes(word("session", i).0);
    let agreement = Address::from_word(word("agreement", i));
    let bag = |own: B256| {
        let digests: Vec<B256> = (0..leaf_count).map(|j| if j == leaf { own } else { word("other", j) }).collect();
        Tree::new(&digests)
    };
    let blinded = key.blind(agreement, leaf, digest);
    let (public, confidential) = (bag(digest), bag(blinded));
    json!({
        "fileName": hex(name), "content": hex(content), "leaf": leaf, "leafCount": leaf_count,
        "treeHash": tree, "leafDigest": digest, "root": public.root(), "proof": public.multiproof(&[leaf]),
        "sessionKey": hex(key.as_bytes()), "agreement": agreement, "blindKey": key.blind_key(agreement, leaf),
        "blinded": blinded, "blindedRoot": confidential.root(), "blindedProof": confidential.multiproof(&[leaf]),
    })
}

fn computed() -> Value {
    let long: Vec<u8> = (0..5000_u32).map(|i| (i * 7 % 256) as u8).collect();
    let rows = vec![
        row(0, b"answer", b"25\n", 0, 1),
        row(1, b"answer", b"", 1, 2),
        row(2, "sub/\u{fc}.txt".as_bytes(), b"hello", 2, 3),
        row(3, &[b'a'; 1024], &long, 15, 16),
        row(4, b"\xff\xfe raw", &[0; 64], 16, 17),
        row(5, b"tile.ppm", &[b'x'; 55], 99_999, 100_000),
    ];
    json!({
        "about": "Checked by protocol/tests/results.rs and test/libraries/ResultLib.t.sol; see docs/PROTOCOL.md",
        "count": rows.len(), "rows": rows,
    })
}

#[test]
fn the_committed_results_are_what_this_crate_computes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/results.json");
    let text = serde_json::to_string_pretty(&computed()).unwrap() + "\n";
    if std::env::var_os("SUNWORK_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).expect("protocol/vectors/results.json is committed");
    assert!(
        committed == text,
        "protocol/vectors/results.json differs from what this crate computes; if the protocol was changed on purpose, run \
        SUNWORK_BLESS=1 cargo test -p sunwork-protocol --test results"
    );
}
