//! Records, registrations and windows of metering devices against the vector file that `test/energy/EnergyVectors.t.sol` checks
//! too; P-256 against the vectors of Wycheproof and NIST. After a deliberate change: `SUNWORK_BLESS=1 cargo test -p
//! sunwork-protocol --test energy` writes it anew. The keys are made for this file and hold nothing.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use alloy::primitives::{Address, B256, FixedBytes, keccak256};
use proptest::prelude::*;
use serde_json::{Value, json};
use sunwork_protocol::energy::{
    Account, AccountError, Body, Counts, Day, DeviceKey, Link, Meter, MeterError, NoEvidence, PublicKey, Record,
    RecordError, SignatureError, SignedRecord, Window, cap_wh,
};

const CHAIN_ID: u64 = 31_337;
const TODAY: u16 = 20_834;

fn digest(label: &str, i: u32) -> B256 {
    keccak256([label.as_bytes(), &i.to_be_bytes()].concat())
}

fn address(i: u32) -> Address {
    Address::from_word(digest("address", i))
}

fn key(i: u32) -> DeviceKey {
    // The first bit off: below the order of the curve.
    let mut secret = digest("device", i).0;
    secret[0] &= 0x7f;
    DeviceKey::from_bytes(&secret).unwrap()
}

fn counts(i: u32, below: u32) -> Counts {
    let mut counts = Counts::default();
    for (slot, count) in (0_u32..).zip(counts.0.iter_mut()) {
        let word = digest("count", i * 1000 + slot);
        *count = (u32::from_be_bytes([word[0], word[1], word[2], word[3]]) % below) as u16;
    }
    counts
}

fn body(i: u32) -> Body {
    let production = Box::new(counts(i, if i < 3 { 35 } else { 65_536 }));
    match i % 3 {
        0 => Body::Production(production),
        1 => Body::Metered { production, consumption: Box::new(counts(i + 50, 65_536)) },
        _ => Body::Gap,
    }
}

fn record(i: u32) -> Record {
    let big = i >= 3;
    Record {
        worker: address(i),
        sequence: if big { u32::MAX - i } else { i + 1 },
        day: if big { u16::MAX - 1 } else { TODAY - 1 },
        counter_epoch: if big { u16::MAX } else { 0 },
        counter_wh: if big { (1 << 48) - 1 } else { 10_000 },
        body: body(i),
    }
}

fn previous(i: u32) -> Link {
    if i == 0 { Link::ZERO } else { Record::link_of(digest("link", i)) }
}

fn records() -> Value {
    let rows: Vec<Value> = (0..6_u32)
        .map(|i| {
            let (record, ledger, chain_id) = (record(i), address(i + 100), CHAIN_ID + u64::from(i) * 1_000_000_007);
            let digest = record.digest(chain_id, ledger, previous(i)).unwrap();
            let signed = record.sign(&key(i), chain_id, ledger, previous(i)).unwrap();
            let public = key(i).public();
            assert_eq!(signed.verify(&public, chain_id, ledger, previous(i)).unwrap(), digest);
            let consumption = match &record.body {
                Body::Metered { consumption, .. } => consumption.sum_wh(),
                _ => 0,
            };
            json!({
                "chainId": chain_id, "ledger": ledger, "previous": previous(i), "worker": record.worker,
                "sequence": record.sequence, "day": record.day, "counterEpoch": record.counter_epoch,
                "counterWh": record.counter_wh, "kind": i % 3 + 1,
                "productionWh": record.body.production().map_or(0, Counts::sum_wh), "consumptionWh": consumption,
                "body": format!("0x{}", hex::encode(record.pack().unwrap())),
                "digest": digest, "link": Record::link_of(digest),
                "keyX": public.x, "keyY": public.y, "keyHash": public.hash(),
                "signed": format!("0x{}", hex::encode(signed.pack().unwrap())),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

fn meters() -> Value {
    let places = [(100, "US", 397, -1052), (1, "NL", 0, 0), (97_000, "AU", -900, 1800)];
    let rows: Vec<Value> = (0_u32..)
        .zip(places)
        .map(|(i, (watts, country, latitude, longitude))| {
            let meter = Meter {
                key: key(i).public(),
                nameplate_watts: watts,
                country: FixedBytes::from_slice(country.as_bytes()),
                latitude_decidegrees: latitude,
                longitude_decidegrees: longitude,
            };
            let (ledger, worker) = (address(i + 100), address(i));
            let digest = meter.digest(CHAIN_ID, ledger, worker);
            let signature = key(i).sign(digest);
            meter.key.verify(digest, &signature).unwrap();
            json!({
                "chainId": CHAIN_ID, "ledger": ledger, "worker": worker, "keyX": meter.key.x, "keyY": meter.key.y,
                "nameplateWatts": watts, "country": meter.country, "latitude": latitude, "longitude": longitude,
                "capWh": cap_wh(watts).unwrap(), "digest": digest,
                "signature": format!("0x{}", hex::encode(signature)),
            })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

/// Pairs of records of one key as evidence: the ledger's answer does not depend on what they are chained to, nor on their order.
fn evidence() -> Value {
    let a = || record(1);
    let other = |body: Body| Record { body, ..a() };
    let Body::Metered { production, consumption } = body(1) else { unreachable!("the second kind") };
    let changed = |counts: &Counts, slot: usize| {
        let mut counts = *counts;
        counts.0[slot] ^= 1;
        Box::new(counts)
    };
    let metered = |production, consumption| other(Body::Metered { production, consumption });
    let pairs = [
        ("the same record", a()),
        ("the same claim with another sequence", Record { sequence: 77, ..a() }),
        ("another count of production", metered(changed(&production, 0), consumption.clone())),
        ("another count of consumption", metered(production.clone(), changed(&consumption, 95))),
        ("another counter", Record { counter_wh: 10_001, ..a() }),
        ("another epoch of the counter", Record { counter_epoch: 1, ..a() }),
        ("without consumption", other(Body::Production(production.clone()))),
        (
            "another count and another sequence",
            Record { sequence: 77, ..metered(changed(&production, 95), consumption) },
        ),
        ("a gap", other(Body::Gap)),
        ("another day with the same sequence", Record { day: TODAY, ..a() }),
        ("another worker", Record { worker: address(9), ..a() }),
    ];
    let rows: Vec<Value> = pairs
        .into_iter()
        .map(|(name, b)| {
            let refused = match a().contradicts(&b) {
                Ok(()) => "",
                Err(NoEvidence::SameClaim) => "SameClaim",
                Err(NoEvidence::Gap) => "GapIsNoEvidence",
                Err(NoEvidence::Mismatch) => "EvidenceMismatch",
            };
            assert_eq!(a().contradicts(&b), b.contradicts(&a()), "{name}");
            let hex = |record: Record| format!("0x{}", hex::encode(record.pack().unwrap()));
            json!({ "name": name, "a": hex(a()), "b": hex(b), "refused": refused })
        })
        .collect();
    json!({ "count": rows.len(), "rows": rows })
}

// Steps of a window of 7 days: days on from the last, and the net energy of that day; a gap where it is null.
fn window() -> Value {
    let steps: [(u16, Option<i32>); 14] = [
        (1, Some(500)),
        (1, Some(-200)),
        (3, None),
        (1, Some(700)),
        (1, Some(5)),
        (1, Some(6)),
        (1, Some(7)),
        (2, None),
        (1, Some(-3000)),
        (5, None),
        (1, Some(1)),
        (7, None),
        (1, Some(9)),
        (300, None),
    ];
    let (mut window, mut day, mut rows) = (Window::new(7), 1000_u16, vec![]);
    for (on, net) in steps {
        day += on;
        match net {
            Some(net) => window.push(day, net.into()),
            None => window.advance(day),
        }
        rows.push(json!({
            "day": day, "gap": net.is_none(), "net": net.unwrap_or(0),
            "windowNet": window.net_wh(), "attested": window.attested_days(),
        }));
    }
    json!({ "length": 7, "start": 1000, "count": rows.len(), "rows": rows })
}

#[test]
fn the_vector_file_is_what_this_code_computes() {
    let computed = json!({ "records": records(), "meters": meters(), "evidence": evidence(), "window": window() });
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/energy.json");
    if std::env::var_os("SUNWORK_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&computed).unwrap() + "\n").unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(committed, computed);
}

#[test]
fn signatures_are_judged_as_wycheproof_and_nist_say_and_high_s_is_refused() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/p256.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let (mut taken, mut high, mut refused) = (0, 0, 0);
    for group in ["wycheproof", "nist"] {
        let words = |name: &str| serde_json::from_value::<Vec<B256>>(file[group][name].clone()).unwrap();
        let (digests, r, s, x, y) = (words("digests"), words("r"), words("s"), words("x"), words("y"));
        for i in 0..digests.len() {
            let signature: [u8; 64] = [r[i].0, s[i].0].concat().try_into().unwrap();
            let found = PublicKey { x: x[i], y: y[i] }.verify(digests[i], &signature);
            if !file[group]["valid"][i].as_bool().unwrap() {
                assert!(found.is_err(), "{group} {i}");
                refused += 1;
            } else if found == Err(SignatureError::HighS) {
                high += 1;
            } else {
                assert_eq!(found, Ok(()), "{group} {i}");
                taken += 1;
            }
        }
    }
    assert!(taken > 50 && high > 50 && refused > 50, "{taken} taken, {high} high, {refused} refused");
}

#[test]
fn a_record_of_another_chain_ledger_past_or_worker_is_not_verified() {
    let (ledger, link) = (address(7), previous(3));
    let signed = record(1).sign(&key(1), CHAIN_ID, ledger, link).unwrap();
    let public = key(1).public();
    signed.verify(&public, CHAIN_ID, ledger, link).unwrap();
    let mismatch = |found| matches!(found, Err(SignatureError::Mismatch { .. }));
    assert!(mismatch(signed.verify(&public, CHAIN_ID + 1, ledger, link)));
    assert!(mismatch(signed.verify(&public, CHAIN_ID, address(8), link)));
    assert!(mismatch(signed.verify(&public, CHAIN_ID, ledger, previous(4))));
    assert!(mismatch(signed.verify(&key(2).public(), CHAIN_ID, ledger, link)));
    let mut other = signed;
    other.record.worker = address(9);
    assert!(mismatch(other.verify(&public, CHAIN_ID, ledger, link)));
}

#[test]
fn records_of_wrong_kind_length_or_counter_are_named() {
    let packed = record(0).pack().unwrap();
    assert_eq!(Record::unpack(&packed[..226]), Err(RecordError::Length { found: 226, expected: 227 }));
    assert_eq!(Record::unpack(&packed[..34]), Err(RecordError::Length { found: 34, expected: 35 }));
    let mut other = packed;
    other[0] = 4;
    assert_eq!(Record::unpack(&other), Err(RecordError::Kind { found: 4 }));
    let large = Record { counter_wh: 1 << 48, ..record(0) };
    assert_eq!(large.pack(), Err(RecordError::Counter { found: 1 << 48, max: (1 << 48) - 1 }));
    assert_eq!(SignedRecord::unpack(&[1; 63]), Err(RecordError::Length { found: 63, expected: 99 }));
}

#[test]
fn a_meter_without_a_place_or_panel_is_refused_before_it_is_sent() {
    let meter = Meter {
        key: key(1).public(),
        nameplate_watts: 97_000,
        country: FixedBytes::from_slice(b"NL"),
        latitude_decidegrees: -900,
        longitude_decidegrees: 1800,
    };
    assert_eq!(meter.check(), Ok(()));
    for (latitude, longitude) in [(901, 0), (-901, 0), (0, 1801), (0, -1801), (i16::MIN, 0), (0, i16::MAX)] {
        let wrong = Meter { latitude_decidegrees: latitude, longitude_decidegrees: longitude, ..meter };
        assert_eq!(wrong.check(), Err(MeterError::Coordinates { latitude, longitude }));
    }
    for found in [0, 97_001] {
        assert_eq!(Meter { nameplate_watts: found, ..meter }.check(), Err(MeterError::Nameplate { found }));
    }
}

fn account() -> Account {
    Account {
        sequence: 4,
        day: TODAY - 10,
        counter_epoch: 1,
        counter_wh: 1000,
        cap_wh: 34,
        assumed_watts: 8,
        window: Window::new(30),
    }
}

fn next(body: Body) -> Record {
    let (sequence, day, counter_epoch, counter_wh) = (5, TODAY - 9, 1, 1000 + 960);
    Record { worker: address(1), sequence, day, counter_epoch, counter_wh, body }
}

fn flat(count: u16) -> Box<Counts> {
    Box::new(Counts([count; 96]))
}

#[test]
fn an_account_counts_as_the_ledger_does() {
    let mut a = account();
    let metered = next(Body::Metered { production: flat(10), consumption: flat(4) });
    assert_eq!(a.take(&metered, TODAY), Ok(Some(Day { production_wh: 960, consumption_wh: 384 })));
    let gap = Record { sequence: 8, day: TODAY - 6, counter_wh: 2000, ..next(Body::Gap) };
    assert_eq!(a.take(&gap, TODAY), Ok(None));
    let plain =
        Record { sequence: 9, day: TODAY - 5, counter_epoch: 2, counter_wh: 96, ..next(Body::Production(flat(1))) };
    assert_eq!(a.take(&plain, TODAY), Ok(Some(Day { production_wh: 96, consumption_wh: 192 })));
    assert_eq!((a.window.net_wh(), a.window.attested_days()), (576 - 96, 2));
}

#[test]
fn what_the_ledger_refuses_is_refused_with_its_reason_and_changes_nothing() {
    let good = || next(Body::Production(flat(10)));
    let day = TODAY - 9;
    let mut spike = Counts([10; 96]);
    spike.0[40] = 35;
    let cases = [
        (Record { sequence: 4, ..good() }, AccountError::Replayed { found: 4, expected: 5 }),
        (Record { sequence: 6, ..good() }, AccountError::OutOfOrder { found: 6, expected: 5 }),
        (Record { day: day + 2, ..good() }, AccountError::Day { found: day + 2, expected: day }),
        (Record { day: day + 2, ..next(Body::Gap) }, AccountError::GapSequence { found: 5, expected: 7 }),
        (Record { counter_wh: 999, ..good() }, AccountError::Counter { found: 999, last: 1000 }),
        (Record { counter_epoch: 0, ..good() }, AccountError::Epoch { found: 0, last: 1 }),
        (Record { counter_wh: 1959, ..good() }, AccountError::AboveCounter { sum: 960, grown: 959 }),
        (next(Body::Production(Box::new(spike))), AccountError::AboveCap { slot: 40, found: 35, cap: 34 }),
    ];
    for (record, expected) in cases {
        let mut a = account();
        assert_eq!(a.take(&record, TODAY), Err(expected));
        assert_eq!(a, account());
    }
    let mut a = account();
    assert_eq!(a.take(&good(), day), Err(AccountError::NotOver { found: day, today: day }));
}

#[test]
fn certificates_take_no_more_than_day_and_window_have() {
    let mut window = Window::new(7);
    window.push(10, 500);
    window.push(11, -300);
    assert!(!window.take(10, 201), "the window has 200");
    assert!(window.take(10, 150));
    assert!(!window.take(11, 1), "a day in deficit");
    assert!(!window.take(12, 1), "no such day");
    assert_eq!(window.net_wh(), 50);
    window.push(17, 1);
    assert_eq!(window.net_wh(), -299, "the day leaves with what was left of it");
}

proptest! {
    #[test]
    fn every_record_survives_packing(i in 0_u32..100, sequence: u32, day: u16, epoch: u16, counter in 0_u64..1 << 48) {
        let record = Record { sequence, day, counter_epoch: epoch, counter_wh: counter, ..record(i) };
        prop_assert_eq!(Record::unpack(&record.pack().unwrap()), Ok(record));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(record) = SignedRecord::unpack(&bytes) {
            prop_assert_eq!(record.pack().unwrap(), bytes);
        }
    }

    #[test]
    fn the_window_is_the_sum_of_its_last_days(steps in proptest::collection::vec((1_u16..9, -500_i64..500), 1..60)) {
        let (mut window, mut day, mut all) = (Window::new(7), 100_u16, vec![]);
        for (on, net) in steps {
            day += on;
            window.push(day, net);
            all.push((day, net));
            let inside = all.iter().filter(|(d, _)| *d + 7 > day);
            prop_assert_eq!(window.net_wh(), inside.clone().map(|(_, n)| n).sum::<i64>());
            prop_assert_eq!(window.attested_days(), inside.count());
        }
    }
}
