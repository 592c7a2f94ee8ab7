use alloy::primitives::U256;
use proptest::prelude::*;
use sunwork_protocol::status::Ending;

use super::{
    record::{BarredFrom, KeyFrom},
    *,
};
use crate::{machine::DeclineReason, refusal::Refusal};

fn header() -> Header {
    Header { version: VERSION, chain_id: 31337, dispatcher: Address::repeat_byte(7), worker: Address::repeat_byte(1) }
}

fn entry(nonce: u64) -> TxEntry {
    TxEntry {
        label: "accept".into(),
        to: Address::repeat_byte(3),
        value: U256::ZERO,
        input_hash: B256::repeat_byte(4),
        nonce,
        hash: B256::with_last_byte(nonce as u8),
        raw: vec![1, 2, 3].into(),
        intent: None,
        signed_at: None,
    }
}

fn records() -> Vec<Record> {
    let agreement = Address::repeat_byte(2);
    let other = Address::repeat_byte(8);
    vec![
        Record::Seen { block: 5 },
        Record::Bought {
            agreement,
            client: Address::repeat_byte(9),
            terms: vec![1].into(),
            spec: vec![2].into(),
            block: 6,
        },
        Record::Bought { agreement: other, client: Address::ZERO, terms: vec![].into(), spec: vec![].into(), block: 6 },
        Record::Refused { agreement: other, refusal: Refusal::Memory { asked_mib: 9, limit_mib: 8 } },
        Record::Prepared { agreement },
        Record::Working { agreement, salt: B256::repeat_byte(1) },
        Record::Holding { agreement, attempt: 1 },
        Record::Key { agreement, attempt: 1, from: KeyFrom::Client, envelope: vec![1, 2, 3].into() },
        Record::TxSigned(entry(0)),
        Record::TxResolved { nonce: 0, hash: entry(0).hash, outcome: TxOutcome::Mined },
        Record::Leaf { agreement, leaf: 0, digest: B256::repeat_byte(2), body: Some(B256::repeat_byte(3)) },
        Record::Leaf { agreement, leaf: 1, digest: B256::repeat_byte(4), body: None },
        Record::Bundle {
            agreement,
            attempt: 1,
            root: B256::repeat_byte(5),
            ciphertext_root: B256::repeat_byte(6),
            blob: B256::repeat_byte(7),
        },
        Record::KeySent { agreement, attempt: 1, verifier: Address::repeat_byte(5) },
        Record::KeySent { agreement, attempt: 1, verifier: Address::repeat_byte(6) },
        Record::LogsSent { agreement, attempt: 1, blob: Some(B256::repeat_byte(7)) },
        Record::Claiming { agreement, salt: B256::repeat_byte(8) },
        Record::Sampling { agreement, draw_seed: B256::repeat_byte(9), leaves: vec![0, 1] },
        Record::Verdict { agreement, draw_seed: B256::repeat_byte(9), digests: vec![B256::repeat_byte(1); 2] },
        Record::Checked { agreement, blob: B256::repeat_byte(2) },
        Record::Proven {
            agreement,
            draw_seed: B256::repeat_byte(9),
            digests: vec![B256::repeat_byte(3); 2],
            proof: vec![B256::repeat_byte(4)],
        },
        Record::Unproven { agreement, draw_seed: B256::repeat_byte(9) },
        Record::Impossible { agreement, reason: DeclineReason::OwnFailure },
        Record::Barred { agreement, from: BarredFrom::Claiming },
        Record::Barred { agreement, from: BarredFrom::Accepting },
        Record::TxSigned(entry(1)),
        Record::Seen { block: 4 },
    ]
}

fn fold(records: impl IntoIterator<Item = Record>) -> State {
    let mut state = State::default();
    records.into_iter().for_each(|record| state.apply(record));
    state
}

#[test]
fn leaves_that_were_encrypted_for_another_attempt_are_forgotten() {
    let agreement = Address::repeat_byte(1);
    let mut state = State::default();
    let leaf = Record::Leaf { agreement, leaf: 0, digest: B256::repeat_byte(2), body: Some(B256::repeat_byte(3)) };
    for record in [Record::Holding { agreement, attempt: 0 }, leaf, Record::Holding { agreement, attempt: 0 }] {
        state.apply(record);
    }
    assert_eq!(state.agreements[&agreement].leaves.len(), 1);
    state.apply(Record::Holding { agreement, attempt: 1 });
    assert!(state.agreements[&agreement].leaves.is_empty());
}

#[test]
fn a_verdict_of_another_draw_forgets_that_a_bundle_was_checked() {
    let agreement = Address::repeat_byte(1);
    let verdict = |seed| Record::Verdict { agreement, draw_seed: B256::repeat_byte(seed), digests: vec![] };
    let checked = Record::Checked { agreement, blob: B256::repeat_byte(2) };
    let known = |records: Vec<Record>| fold(records).agreements[&agreement].checked;
    assert!(known(vec![verdict(1), checked.clone(), verdict(1)]).is_some());
    assert!(known(vec![verdict(1), checked, verdict(2)]).is_none());
}

#[test]
fn survives_a_cut_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path, &header()).unwrap();
    let mut sizes = vec![std::fs::metadata(&path).unwrap().len() as usize];
    for record in records() {
        journal.append(record).unwrap();
        sizes.push(std::fs::metadata(&path).unwrap().len() as usize);
    }
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let all: Vec<_> = std::iter::once(Record::Header(header())).chain(records()).collect();
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let journal = Journal::open(&path, &header()).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let kept = sizes.iter().filter(|size| **size <= cut).count();
        // The header is written anew when it was cut itself.
        let expected = fold(all.iter().take(kept.max(1)).cloned());
        assert_eq!(journal.state(), expected, "cut at {cut}");
        // What is written after the repair is found again.
        journal.append(Record::Seen { block: 900 }).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path, &header()).unwrap().last_block(), Some(900), "cut at {cut}");
    }
}

#[test]
fn a_torn_last_line_of_garbage_is_cut_and_a_broken_middle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path, &header()).unwrap();
    for record in records() {
        journal.append(record).unwrap();
    }
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let mut zeros = whole.clone();
    zeros.extend([0; 700]);
    std::fs::write(&path, &zeros).unwrap();
    assert_eq!(
        Journal::open(&path, &header()).unwrap().state(),
        fold([Record::Header(header())].into_iter().chain(records()))
    );
    let middle = whole.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    let mut flipped = whole.clone();
    flipped[middle] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    assert!(matches!(Journal::open(&path, &header()), Err(JournalError::Broken { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), flipped, "a broken journal is left as it is");
}

#[test]
fn the_journal_of_another_worker_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(Journal::open(&path, &header()).unwrap());
    let other = Header { worker: Address::repeat_byte(5), ..header() };
    let error = Journal::open(&path, &other).err().unwrap();
    assert!(matches!(error, JournalError::Foreign { .. }));
    assert!(error.to_string().contains("another data folder"), "{error}");
}

#[test]
fn a_journal_of_older_contracts_is_refused_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let old = Header { version: 1, ..header() };
    drop(Journal::open(&path, &old));
    let error = Journal::open(&path, &header()).err().unwrap();
    assert!(matches!(error, JournalError::Version { found: 1, expected: VERSION, .. }));
    let text = error.to_string();
    assert!(text.contains("version 1") && text.contains("move the journal away"), "{text}");
    assert!(matches!(Journal::peek(&path), Err(JournalError::Version { .. })), "`status` says the same");
}

#[test]
fn the_state_written_as_records_says_the_same() {
    let state = fold(std::iter::once(Record::Header(header())).chain(records()));
    assert_eq!(
        fold(state.to_records()).agreements[&Address::repeat_byte(2)],
        state.agreements[&Address::repeat_byte(2)]
    );
    assert_eq!(fold(state.to_records()).txs, state.txs);
    let mut finished = state;
    finished.apply(Record::Finished { agreement: Address::repeat_byte(2), ending: Ending::Verified });
    let again = fold(finished.to_records());
    assert!(again.agreements.values().all(Agreement::is_closed));
    assert_eq!(fold(again.to_records()), again);
}

#[test]
fn a_fresh_salt_starts_the_bag_anew() {
    let agreement = Address::repeat_byte(2);
    let mut state = fold(records());
    let before = state.agreements[&agreement].clone();
    state.apply(Record::Working { agreement, salt: before.work_salt.unwrap() });
    assert_eq!(state.agreements[&agreement], before, "the same salt changes nothing");
    state.apply(Record::Working { agreement, salt: B256::repeat_byte(0x55) });
    let after = &state.agreements[&agreement];
    assert_eq!((after.leaves.len(), after.bundle, after.work_salt), (0, None, Some(B256::repeat_byte(0x55))));
    assert_eq!((&after.key, after.verdict_salt), (&before.key, before.verdict_salt), "the key stays");
}

/// Journals outlive versions of the worker: what is written today must be read tomorrow.
#[test]
fn the_words_of_the_journal_stay() {
    let agreement = Address::repeat_byte(2);
    let (hex20, hex32) = ("02".repeat(20), "07".repeat(32));
    let cases = [
        (
            Record::Holding { agreement, attempt: 1 },
            format!(r#"{{"kind":"holding","agreement":"0x{hex20}","attempt":1}}"#),
        ),
        (
            Record::Key { agreement, attempt: 1, from: KeyFrom::Worker, envelope: vec![1, 2].into() },
            format!(r#"{{"kind":"key","agreement":"0x{hex20}","attempt":1,"from":"worker","envelope":"0x0102"}}"#),
        ),
        (
            Record::KeySent { agreement, attempt: 1, verifier: agreement },
            format!(r#"{{"kind":"key_sent","agreement":"0x{hex20}","attempt":1,"verifier":"0x{hex20}"}}"#),
        ),
        (
            Record::LogsSent { agreement, attempt: 1, blob: Some(B256::repeat_byte(7)) },
            format!(r#"{{"kind":"logs_sent","agreement":"0x{hex20}","attempt":1,"blob":"0x{hex32}"}}"#),
        ),
        (
            Record::Impossible { agreement, reason: DeclineReason::KeyInvalid },
            format!(r#"{{"kind":"impossible","agreement":"0x{hex20}","reason":"KeyInvalid"}}"#),
        ),
        (
            Record::Proven {
                agreement,
                draw_seed: B256::repeat_byte(7),
                digests: vec![],
                proof: vec![B256::repeat_byte(7)],
            },
            format!(
                r#"{{"kind":"proven","agreement":"0x{hex20}","draw_seed":"0x{hex32}","digests":[],"proof":["0x{hex32}"]}}"#
            ),
        ),
        // Of the first version.
        (
            Record::Refused { agreement, refusal: Refusal::Confidential },
            format!(r#"{{"kind":"refused","agreement":"0x{hex20}","refusal":{{"reason":"confidential"}}}}"#),
        ),
    ];
    for (record, text) in cases {
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}

#[test]
fn every_record_has_listed_crash_points() {
    for record in records() {
        for point in record.crash_points() {
            assert!(crash::POINTS.contains(&point), "{point}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        std::fs::write(&path, bytes).unwrap();
        let _ = Journal::open(&path, &header());
    }
}

#[test]
fn a_whole_record_of_a_newer_version_is_never_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(Journal::open(&path, &header()).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    let json = r#"{"kind":"promised_by_a_newer_version","agreement":"0x00"}"#;
    bytes.extend(format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).bytes());
    std::fs::write(&path, &bytes).unwrap();
    let error = Journal::open(&path, &header()).err().unwrap();
    assert!(matches!(error, JournalError::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("a newer worker wrote it"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is left as it is");
}

#[test]
fn what_was_cut_off_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let journal = Journal::open(&path, &header()).unwrap();
    assert_eq!(journal.torn(), None);
    drop(journal);
    let whole = std::fs::metadata(&path).unwrap().len() as usize;
    let line = line::encode(&Record::Holding { agreement: Address::repeat_byte(2), attempt: 1 }).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(&line[..line.len() - 3]);
    std::fs::write(&path, &bytes).unwrap();
    let journal = Journal::open(&path, &header()).unwrap();
    let torn = journal.torn().unwrap();
    assert_eq!((torn.offset, torn.bytes, torn.kind.as_deref()), (whole, line.len() - 3, Some("holding")));
    assert_eq!(torn.to_string(), format!("{} bytes from byte {whole} on (record: holding)", line.len() - 3));
}

#[test]
fn a_file_that_is_far_too_large_is_refused_and_not_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    drop(Journal::open(&path, &header()).unwrap());
    // Sparse: it takes no room.
    std::fs::File::options().append(true).open(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
    let error = Journal::open(&path, &header()).err().unwrap();
    assert!(matches!(error, JournalError::TooLarge { .. }), "{error}");
    assert_eq!(std::fs::metadata(&path).unwrap().len(), MAX_BYTES + 1);
}
