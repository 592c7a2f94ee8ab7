//! Meters on a scripted chain: what is found of them, and that it follows from the chain alone.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod common;

use std::{collections::BTreeMap, sync::Arc};

use alloy::{
    primitives::{Address, B256, Bytes, U256, hex},
    sol_types::SolEvent as _,
};
use common::{
    db::{self, Postgres, dump},
    http::{Limits, TestApi},
    meters::{CONTRACTS, FIRST_DAY, MeterChain, SITE, WATTS, Way, harvest, key, worker},
};
use serde_json::{Value, json};
use sunwork_oracle::{
    follow::Progress,
    index::{IndexOptions, Indexer, Step},
    store::Store,
};
use sunwork_protocol::{
    abi::{IEnergyCertificates, IEnergyLedger},
    energy::{Body, Counts, Link, Record, SignedRecord},
};
use tokio::time::Instant;

const OPTIONS: IndexOptions = IndexOptions {
    deployed_block: 0,
    dispatcher: Address::repeat_byte(0xd1),
    keep_blocks: 32,
    near_blocks: 8,
    far_blocks: 16,
    energy: Some(CONTRACTS),
};
/// Days of the long story, and the first of them on which there are lies: sixty are learned from, fourteen tested.
const LONG: (u16, u16) = (80, 62);
/// Enough for those who copy, and whose clock is wrong.
const SHORT: (u16, u16) = (24, 6);
const HONEST: [u8; 3] = [1, 2, 3];
const INFLATOR: u8 = 4;
const COPIER: u8 = 5;
const LATE_CLOCK: u8 = 6;

async fn follow(chain: &MeterChain, store: &Arc<Store>) -> Indexer<MeterChain> {
    let mut indexer = Indexer::new(chain.clone(), store.clone(), OPTIONS);
    for _ in 0..2000 {
        if indexer.step().await.unwrap() == Step::UpToDate {
            return indexer;
        }
    }
    panic!("the index does not come to an end");
}

async fn straight(chain: &MeterChain, url: &str) -> String {
    let store = Arc::new(db::open(url).await);
    follow(chain, &store).await;
    store.close().await;
    dump(url).await
}

/// What each meter reports of each day.
fn reports((days, lies_from): (u16, u16)) -> BTreeMap<u8, Vec<Counts>> {
    let honest = |panel| harvest(panel, days, |_| 100);
    let mut all: BTreeMap<u8, Vec<Counts>> = HONEST.map(|panel| (panel, honest(panel))).into();
    let from = usize::from(lies_from);
    all.insert(INFLATOR, harvest(INFLATOR, days, |index| if index >= lies_from { 150 } else { 100 }));
    let mut copied = honest(COPIER);
    copied[from..].copy_from_slice(&all[&1][from..]);
    all.insert(COPIER, copied);
    let mut late = honest(LATE_CLOCK);
    late[from..].iter_mut().for_each(|day| day.0.rotate_right(12));
    all.insert(LATE_CLOCK, late);
    all
}

/// Everybody records each day on the next one, in turn.
fn story(length: (u16, u16)) -> MeterChain {
    let (chain, reports) = (MeterChain::new(), reports(length));
    chain.block(FIRST_DAY, |block| reports.keys().for_each(|n| block.register(worker(*n), *n, FIRST_DAY)));
    for index in 0..length.0 {
        chain.block(FIRST_DAY + index + 1, |block| {
            for (n, counts) in &reports {
                let way = if (index + u16::from(*n)) % 9 == 0 { Way::Traced } else { Way::Direct };
                block.submit_by(worker(*n), &counts[usize::from(index)], way);
            }
        });
    }
    chain
}

async fn served(dir: &std::path::Path, chain: &MeterChain) -> TestApi {
    let limits = Limits { energy: Some(CONTRACTS), ..Limits::default() };
    let api = TestApi::start(dir, limits).await;
    catch_up(&api, chain).await;
    api
}

async fn catch_up(api: &TestApi, chain: &MeterChain) {
    let indexer = follow(chain, &api.store).await;
    let indexed = api.store.last_block().await.unwrap();
    api.progress
        .send(Progress { head: indexer.head(), indexed, good_at: Some(Instant::now()), ..Progress::default() })
        .unwrap();
}

async fn findings(api: &TestApi, query: &str) -> Vec<Value> {
    let (status, page) = api.json(&format!("/v1/findings?limit=200{query}")).await;
    assert_eq!(status, 200, "{page}");
    page["findings"].as_array().unwrap().clone()
}

async fn rules_of(api: &TestApi, n: u8) -> BTreeMap<String, usize> {
    let mut rules = BTreeMap::new();
    for finding in findings(api, &format!("&worker={}", worker(n))).await {
        *rules.entry(finding["rule"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    rules
}

#[tokio::test]
async fn liars_are_found_and_the_honest_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let api = served(dir.path(), &story(LONG)).await;
    for n in HONEST {
        assert_eq!(rules_of(&api, n).await, BTreeMap::new(), "worker {n}");
    }
    let inflator = rules_of(&api, INFLATOR).await;
    assert!(inflator.get("above_neighbours_14").is_some_and(|count| *count >= 4), "{inflator:?}");
    let copier = rules_of(&api, COPIER).await;
    assert!(copier.get("copied").is_some_and(|count| *count >= 10) && copier.len() == 1, "{copier:?}");
    let late = rules_of(&api, LATE_CLOCK).await;
    assert!(late.get("clock_shift").is_some_and(|count| *count >= 15), "{late:?}");

    let all = findings(&api, "").await;
    assert!(all.iter().all(|finding| finding["chainChecks"] == false && finding["severity"] != "proof"));
    let copied = findings(&api, "&rule=copied").await;
    let (_, one) = api.json(&format!("/v1/findings/{}", copied[0]["id"].as_str().unwrap())).await;
    assert_eq!((&one["other"], &one["worker"]), (&json!(worker(1).to_string()), &json!(worker(COPIER).to_string())));
    // Both records of each of the seven days, each to be found in the chain.
    assert_eq!(one["records"].as_array().unwrap().len(), 14);
    assert!(one["records"].as_array().unwrap().iter().all(|record| record["digest"].is_string()));
    assert!(one["advice"].as_str().unwrap().starts_with("advice only"));

    let above = findings(&api, "&rule=above_neighbours_14&severity=unlikely").await;
    let (_, one) = api.json(&format!("/v1/findings/{}", above[0]["id"].as_str().unwrap())).await;
    let days = one["evidence"]["days"].as_array().unwrap();
    assert_eq!((days.len(), one["records"].as_array().unwrap().len()), (14, 14));
    // The sum can be done again from the numbers alone.
    let sum = |name: &str| days.iter().map(|day| day[name].as_f64().unwrap()).sum::<f64>();
    let ratio = sum("reportedWh") / sum("expectedWh") * 1000.0;
    let measured = one["measured"].as_f64().unwrap();
    assert!(measured > 1160.0 && (ratio - measured).abs() < 250.0, "{ratio} {measured}");
    assert_eq!(findings(&api, &format!("&since={}", FIRST_DAY + LONG.0)).await, Vec::<Value>::new());
}

#[tokio::test]
async fn meters_and_their_days_are_shown_with_counts() {
    let dir = tempfile::tempdir().unwrap();
    let api = served(dir.path(), &story((5, 5))).await;
    let (_, page) = api.json("/v1/meters?limit=4").await;
    assert_eq!(page["meters"].as_array().unwrap().len(), 4);
    let (_, rest) = api.json(&format!("/v1/meters?limit=4&cursor={}", page["nextCursor"].as_str().unwrap())).await;
    assert_eq!((rest["meters"].as_array().unwrap().len(), &rest["nextCursor"]), (2, &Value::Null));
    let (_, meter) = api.json(&format!("/v1/meters/{}", worker(1))).await;
    assert_eq!(
        (&meter["state"], &meter["attestedDays"], &meter["positive"]),
        (&json!("active"), &json!(5), &json!(true))
    );
    assert_eq!(meter["findings"], json!({"proof": 0, "impossible": 0, "unlikely": 0}));
    assert_eq!(meter["site"]["nameplateWatts"], WATTS);

    let (_, days) = api.json(&format!("/v1/meters/{}/days?limit=2", worker(1))).await;
    let newest = &days["days"][0];
    let counts: Vec<u64> =
        newest["production"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect();
    let expected: Vec<u64> = reports((5, 5))[&1][4].0.iter().map(|count| u64::from(*count)).collect();
    assert_eq!((counts.len(), &counts), (96, &expected));
    assert_eq!(newest["productionWh"], expected.iter().sum::<u64>());
    assert_eq!((&newest["day"], &newest["sequence"]), (&json!(FIRST_DAY + 4), &json!(5)));
    let (_, older) =
        api.json(&format!("/v1/meters/{}/days?cursor={}", worker(1), days["nextCursor"].as_str().unwrap())).await;
    assert_eq!(older["days"].as_array().unwrap().len(), 3);
    // What was signed can be checked by whoever reads it.
    let previous: Link = newest["previous"].as_str().unwrap().parse().unwrap();
    let record: Bytes = newest["record"].as_str().unwrap().parse().unwrap();
    let signed = SignedRecord::unpack(&record).unwrap();
    let digest = signed.verify(&key(1).public(), CONTRACTS.chain_id, CONTRACTS.ledger, previous).unwrap();
    assert_eq!(newest["digest"], json!(digest));

    let metrics = api.http.get(api.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in ["meters 6", "energy_days 30", "energy_days_unknown 0", "findings_impossible 0"] {
        assert!(metrics.contains(&format!("\nsunwork_oracle_{line}\n")), "{line}: {metrics}");
    }
    for (path, code) in [
        (format!("/v1/meters/{}", worker(99)), "no_such_meter"),
        (format!("/v1/meters/{}/days", worker(99)), "no_such_meter"),
        (format!("/v1/findings/{}", B256::ZERO), "no_such_finding"),
        ("/v1/findings/12".to_owned(), "bad_value"),
        ("/v1/findings?rule=moon".to_owned(), "bad_value"),
        ("/v1/findings?severity=grave".to_owned(), "bad_value"),
        ("/v1/meters?limit=101".to_owned(), "bad_value"),
    ] {
        assert_eq!(api.json(&path).await.1["error"]["code"], code, "{path}");
    }
}

#[tokio::test]
async fn findings_are_the_same_words_whatever_the_chain_did_before() {
    let dir = tempfile::tempdir().unwrap();
    let chain = story(SHORT);
    let url = db::sqlite(&dir, "reorg");
    let store = Arc::new(db::open(&url).await);
    let reports = reports(SHORT);
    follow(&chain, &store).await;
    let before = findings_in(&dump(&url).await);
    assert!(before > 20, "{before}");
    for depth in [1, 7, 18] {
        // With the block that made the fork before.
        chain.cut(depth + usize::from(depth != 1));
        // On the fork everybody is late by a block, and then all goes on as before.
        chain.block(FIRST_DAY + SHORT.0 - depth as u16, |block| block.salt(depth as u8));
        follow(&chain, &store).await;
        for index in SHORT.0 - depth as u16..SHORT.0 {
            chain.block(FIRST_DAY + index + 1, |block| {
                for (n, counts) in &reports {
                    block.submit(worker(*n), &counts[usize::from(index)]);
                }
            });
        }
        follow(&chain, &store).await;
    }
    store.close().await;
    let (found, expected) = (dump(&url).await, straight(&chain, &db::sqlite(&dir, "straight")).await);
    let first = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(found == expected, "first difference: {first:#?}");
    assert_eq!(findings_in(&found), before);
}

fn findings_in(dump: &str) -> usize {
    dump.lines().filter(|line| line.starts_with("findings ")).count()
}

#[tokio::test]
async fn a_reorganisation_takes_back_what_it_drops_and_ids_stay() {
    let dir = tempfile::tempdir().unwrap();
    let chain = story(SHORT);
    let api = served(dir.path(), &chain).await;
    let ids = |all: &[Value]| all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let since = format!("&since={}", FIRST_DAY + SHORT.0 - 1);
    let newest = findings(&api, &since).await;
    assert!(newest.len() >= 3, "{newest:?}");
    chain.cut(1);
    chain.block(FIRST_DAY + SHORT.0, |block| block.salt(9));
    catch_up(&api, &chain).await;
    assert_eq!(findings(&api, &since).await, Vec::<Value>::new());
    let gone = api.json(&format!("/v1/findings/{}", newest[0]["id"].as_str().unwrap())).await;
    assert_eq!((gone.0, &gone.1["error"]["code"]), (404, &json!("no_such_finding")));
    let reports = reports(SHORT);
    chain.block(FIRST_DAY + SHORT.0, |block| {
        reports.iter().for_each(|(n, counts)| drop(block.submit(worker(*n), counts.last().unwrap())));
    });
    catch_up(&api, &chain).await;
    assert_eq!(ids(&findings(&api, &since).await), ids(&newest));
}

#[tokio::test]
async fn counts_that_cannot_be_read_say_why_and_the_chain_of_links_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let chain = MeterChain::new();
    let day = Counts([1; 96]);
    chain.block(FIRST_DAY, |block| block.register(worker(1), 1, FIRST_DAY));
    chain.block(FIRST_DAY + 1, |block| drop(block.submit_by(worker(1), &day, Way::Traced)));
    chain.block(FIRST_DAY + 2, |block| drop(block.submit_by(worker(1), &day, Way::Untraced)));
    chain.block(FIRST_DAY + 3, |block| drop(block.submit(worker(1), &day)));
    chain.block(FIRST_DAY + 6, |block| block.gap(worker(1), 2));
    chain.block(FIRST_DAY + 7, |block| {
        block.replace_key(worker(1), 2, FIRST_DAY);
        block.submit(worker(1), &day);
    });
    chain.block(FIRST_DAY + 8, |block| block.register(worker(1), 3, FIRST_DAY + 8));
    chain.block(FIRST_DAY + 9, |block| drop(block.submit(worker(1), &day)));
    let api = served(dir.path(), &chain).await;
    let (_, page) = api.json(&format!("/v1/meters/{}/days", worker(1))).await;
    let days = page["days"].as_array().unwrap();
    let shown: Vec<_> = days
        .iter()
        .rev()
        .map(|day| (day["kind"].as_str().unwrap(), day["production"].is_array(), day["digest"].is_string()))
        .collect();
    let counted = ("day", true, true);
    assert_eq!(shown, [counted, ("day", false, false), counted, ("gap", false, true), counted, counted]);
    let unknown = days[4]["unknown"].as_str().unwrap();
    assert!(unknown.contains("another contract") && unknown.contains("does not trace"), "{unknown}");
    assert_eq!((&days[2]["firstDay"], &days[2]["day"]), (&json!(FIRST_DAY + 3), &json!(FIRST_DAY + 4)));
    assert_eq!(days[0]["previous"], json!(Link::ZERO), "a new registration is chained to nothing");
}

#[tokio::test]
async fn a_transaction_that_nobody_can_trace_does_not_stop_the_index() {
    let dir = tempfile::tempdir().unwrap();
    let chain = MeterChain::new();
    chain.block(FIRST_DAY, |block| block.register(worker(1), 1, FIRST_DAY));
    chain.block(FIRST_DAY + 1, |block| drop(block.submit_by(worker(1), &Counts([1; 96]), Way::Broken)));
    let store = Arc::new(db::open(&db::sqlite(&dir, "trace")).await);
    let mut indexer = Indexer::new(chain.clone(), store.clone(), OPTIONS);
    let mut failures = 0;
    loop {
        match indexer.step().await {
            Ok(Step::UpToDate) => break,
            Ok(_) => {}
            Err(_) => failures += 1,
        }
        assert!(failures < 10, "it never goes on");
    }
    assert_eq!(failures, 3);
    let days = store.energy_days(worker(1).into(), 9, None).await.unwrap();
    assert!(days[0].unknown.as_ref().unwrap().contains("asked several times"), "{:?}", days[0].unknown);
}

/// The record of a day as another device of the same key would have signed it.
fn other_claim(signed: &SignedRecord, previous: Link, key_seed: u8) -> SignedRecord {
    let body = Body::Production(Box::new(Counts([2; 96])));
    let record = Record { body, counter_wh: 9999, ..signed.record.clone() };
    record.sign(&key(key_seed), CONTRACTS.chain_id, CONTRACTS.ledger, previous).unwrap()
}

async fn hand_in(api: &TestApi, previous: Link, record: &[u8]) -> (u16, Value) {
    let body = json!({ "previous": previous, "record": hex::encode_prefixed(record) });
    let response = api.http.post(api.url("/v1/records")).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn two_claims_of_one_key_for_one_day_are_proof_whichever_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let chain = MeterChain::new();
    chain.block(FIRST_DAY, |block| {
        block.register(worker(1), 1, FIRST_DAY);
        block.register(worker(2), 2, FIRST_DAY);
    });
    let first = chain.block(FIRST_DAY + 1, |block| block.submit(worker(1), &Counts([1; 96])));
    let api = served(dir.path(), &chain).await;

    // Against the chain.
    let link = chain.link(worker(1));
    assert_eq!(hand_in(&api, Link::ZERO, &first.pack().unwrap()).await.1["outcome"], "known");
    let lie = other_claim(&first, Link::ZERO, 1).pack().unwrap();
    let (status, taken) = hand_in(&api, Link::ZERO, &lie).await;
    assert_eq!((status, &taken["outcome"]), (201, &json!("contradicts")), "{taken}");
    let id = taken["finding"].as_str().unwrap().to_owned();
    assert_eq!(hand_in(&api, Link::ZERO, &lie).await.1["finding"], id.as_str(), "the same finding again");
    let (_, finding) = api.json(&format!("/v1/findings/{id}")).await;
    assert_eq!((&finding["rule"], &finding["severity"]), (&json!("equivocation"), &json!("proof")));
    assert_eq!((&finding["chainChecks"], finding["records"].as_array().unwrap().len()), (&json!(true), 1));
    assert!(finding["advice"].as_str().unwrap().contains("half of the bond"));
    let report: Bytes = finding["evidence"]["report"]["calldata"].as_str().unwrap().parse().unwrap();
    let call = <IEnergyLedger::reportEquivocationCall as alloy::sol_types::SolCall>::abi_decode(&report).unwrap();
    assert_eq!(B256::from(call.keyX), key(1).public().x);
    let mut shown = [call.a.data.to_vec(), call.b.data.to_vec()];
    shown.sort();
    let mut both = [lie.clone(), first.pack().unwrap()];
    both.sort();
    assert_eq!(shown, both);

    // Handed in before the other one comes to the chain.
    let probe = MeterChain::new();
    let second = probe.block(FIRST_DAY, |block| {
        block.register(worker(2), 2, FIRST_DAY);
        block.submit(worker(2), &Counts([1; 96]))
    });
    let early = other_claim(&second, Link::ZERO, 2).pack().unwrap();
    assert_eq!(hand_in(&api, Link::ZERO, &early).await, (201, json!({"outcome": "kept", "finding": null})));
    assert_eq!(hand_in(&api, Link::ZERO, &early).await.1["outcome"], "known");
    chain.block(FIRST_DAY + 1, |block| drop(block.submit(worker(2), &Counts([1; 96]))));
    catch_up(&api, &chain).await;
    assert_eq!(findings(&api, &format!("&severity=proof&worker={}", worker(2))).await.len(), 1);

    // A reorganisation takes no proof back, and a strike is what settles it.
    chain.cut(2);
    chain.block(FIRST_DAY + 1, |block| block.salt(1));
    catch_up(&api, &chain).await;
    assert_eq!(findings(&api, "&rule=equivocation").await.len(), 2);
    chain.block(FIRST_DAY + 1, |block| block.struck(worker(1), FIRST_DAY, [B256::ZERO; 2]));
    catch_up(&api, &chain).await;
    assert_eq!(findings(&api, "&rule=struck").await.len(), 1);
    let (_, finding) = api.json(&format!("/v1/findings/{id}")).await;
    assert!(finding["advice"].as_str().unwrap().contains("no bond at stake"));
    let unreported = api.store.unreported(10).await.unwrap();
    assert_eq!(unreported.iter().map(|finding| finding.worker.0).collect::<Vec<_>>(), [worker(2)]);
    assert_ne!(link, Link::ZERO);
}

#[tokio::test]
async fn strangers_records_are_refused_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let chain = MeterChain::new();
    chain.block(FIRST_DAY, |block| block.register(worker(1), 1, FIRST_DAY));
    let first = chain.block(FIRST_DAY + 1, |block| block.submit(worker(1), &Counts([1; 96])));
    let api = served(dir.path(), &chain).await;
    let good = other_claim(&first, Link::ZERO, 1);
    let refused = |(status, body): (u16, Value)| (status, body["error"]["code"].as_str().unwrap_or("").to_owned());
    let stranger = other_claim(&first, Link::ZERO, 9).pack().unwrap();
    assert_eq!(refused(hand_in(&api, Link::ZERO, &stranger).await), (400, "bad_record".into()));
    let elsewhere = good.record.sign(&key(1), 1, CONTRACTS.ledger, Link::ZERO).unwrap().pack().unwrap();
    assert_eq!(refused(hand_in(&api, Link::ZERO, &elsewhere).await), (400, "bad_record".into()));
    assert_eq!(refused(hand_in(&api, Link::repeat_byte(1), &good.pack().unwrap()).await), (400, "bad_record".into()));
    assert_eq!(refused(hand_in(&api, Link::ZERO, &[1; 40]).await), (400, "bad_record".into()));
    let nobody = Record { worker: worker(9), ..good.record.clone() };
    let nobody = nobody.sign(&key(1), CONTRACTS.chain_id, CONTRACTS.ledger, Link::ZERO).unwrap().pack().unwrap();
    assert_eq!(refused(hand_in(&api, Link::ZERO, &nobody).await), (404, "no_such_meter".into()));
    let gap = Record { body: Body::Gap, ..good.record.clone() };
    let gap = gap.sign(&key(1), CONTRACTS.chain_id, CONTRACTS.ledger, Link::ZERO).unwrap().pack().unwrap();
    assert_eq!(refused(hand_in(&api, Link::ZERO, &gap).await), (400, "bad_record".into()));
    for body in ["", "{}", r#"{"previous":"0x00","record":"0x"}"#, &"x".repeat(4096)] {
        let response = api.http.post(api.url("/v1/records")).body(body.to_owned()).send().await.unwrap();
        assert_eq!(response.status(), 400, "{body}");
    }
    let response = api.http.post(api.url("/v1/records")).body("x".repeat(4097)).send().await.unwrap();
    assert_eq!(response.status(), 413);
    // The same claim after another record, or with the sequence that a lying node told: no contradiction.
    let again = first.record.sign(&key(1), CONTRACTS.chain_id, CONTRACTS.ledger, Link::repeat_byte(2)).unwrap();
    assert_eq!(hand_in(&api, Link::repeat_byte(2), &again.pack().unwrap()).await.1["outcome"], "kept");
    let again = Record { sequence: 77, ..first.record.clone() };
    let again = again.sign(&key(1), CONTRACTS.chain_id, CONTRACTS.ledger, Link::ZERO).unwrap();
    assert_eq!(hand_in(&api, Link::ZERO, &again.pack().unwrap()).await.1["outcome"], "kept");
    // A device that signs whatever it likes fills sixteen places.
    for n in 0..40_u16 {
        let record = Record { day: 100 + n, sequence: 1000 + u32::from(n), ..good.record.clone() };
        let signed = record.sign(&key(1), CONTRACTS.chain_id, CONTRACTS.ledger, Link::ZERO).unwrap().pack().unwrap();
        assert_eq!(hand_in(&api, Link::ZERO, &signed).await.1["outcome"], "kept");
    }
    let url = db::sqlite(&dir, "index.db");
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&url).await.unwrap();
    let count: i64 =
        sqlx::Row::get(&sqlx::query("SELECT COUNT(*) FROM seen_records").fetch_one(&pool).await.unwrap(), 0);
    assert_eq!(count, 16);
    // And contradicts itself for one day as often as it likes: four are enough to lose a bond.
    for n in 0..10_u16 {
        let record = Record { body: Body::Production(Box::new(Counts([n + 5; 96]))), ..good.record.clone() };
        let signed = record.sign(&key(1), CONTRACTS.chain_id, CONTRACTS.ledger, Link::ZERO).unwrap().pack().unwrap();
        let (_, taken) = hand_in(&api, Link::ZERO, &signed).await;
        assert_eq!(taken["outcome"], "contradicts");
        assert_eq!(api.json(&format!("/v1/findings/{}", taken["finding"].as_str().unwrap())).await.0, 200);
    }
    assert_eq!(findings(&api, "&rule=equivocation").await.len(), 4);
}

#[tokio::test]
async fn certificates_are_followed_through_hands_and_reorganisations() {
    let dir = tempfile::tempdir().unwrap();
    let chain = MeterChain::new();
    let [seller, buyer, agreement] = [1, 0x20, 0x30].map(Address::repeat_byte);
    let id = |day: u16, hour: u8| U256::from_be_slice(&[seller.as_slice(), &day.to_be_bytes(), &[hour]].concat());
    let wh = U256::from(40);
    chain.block(FIRST_DAY, |block| block.register(worker(1), 1, FIRST_DAY));
    chain.block(FIRST_DAY + 1, |block| {
        let (id, at) = (id(FIRST_DAY, 12), Default::default());
        let issued = IEnergyCertificates::Issued { worker: seller, id, to: seller, startAt: at, wattHours: wh };
        block.event(CONTRACTS.certificates, issued.encode_log_data());
    });
    chain.block(FIRST_DAY + 1, |block| {
        let (by, worker, id) = (buyer, seller, id(FIRST_DAY, 12));
        let retired = IEnergyCertificates::Retired { agreement, id, by, worker, wattHours: U256::from(15) };
        block.event(CONTRACTS.certificates, retired.encode_log_data());
    });
    let api = served(dir.path(), &chain).await;
    let (_, meter) = api.json(&format!("/v1/meters/{seller}")).await;
    assert_eq!((&meter["certificatesIssuedWh"], &meter["certificatesRetiredWh"]), (&json!(40), &json!(15)));
    let (_, page) = api.json(&format!("/v1/certificates?agreement={agreement}")).await;
    let moved = &page["moves"][0];
    assert_eq!((&moved["kind"], &moved["day"], &moved["hour"]), (&json!("retired"), &json!(FIRST_DAY), &json!(12)));
    assert_eq!(moved["worker"], json!(seller.to_string()));
    let (_, page) = api.json(&format!("/v1/certificates?worker={seller}&limit=1")).await;
    let (_, older) =
        api.json(&format!("/v1/certificates?worker={seller}&cursor={}", page["nextCursor"].as_str().unwrap())).await;
    assert_eq!(older["moves"][0]["kind"], "issued");
    chain.cut(1);
    chain.block(FIRST_DAY + 1, |block| block.salt(3));
    catch_up(&api, &chain).await;
    let (_, meter) = api.json(&format!("/v1/meters/{seller}")).await;
    assert_eq!((&meter["certificatesIssuedWh"], &meter["certificatesRetiredWh"]), (&json!(40), &json!(0)));
}

#[tokio::test]
async fn postgresql_finds_the_same() {
    let Some(postgres) = Postgres::find().await else { return };
    let chain = story(SHORT);
    let dir = tempfile::tempdir().unwrap();
    let expected = straight(&chain, &db::sqlite(&dir, "same")).await;
    let found = straight(&chain, &postgres.database("meters").await).await;
    let first = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(found == expected, "first difference: {first:#?}");
    assert_ne!(SITE, (0, 0));
}
