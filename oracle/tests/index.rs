//! Whatever the chain does, and whenever the oracle is stopped, the database ends up as if it had only seen the final chain.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod common;

use std::{collections::BTreeSet, sync::Arc};

use common::{
    chain::{DEPLOYED, DISPATCHER, FakeChain, agreement_of},
    db::{self, Postgres, dump},
};
use sunwork_oracle::{
    index::{IndexOptions, Indexer, Step},
    store::{AgreementFilter, Store},
};
use sunwork_protocol::status::Status;

/// Small numbers, so that chains of a hundred blocks are taken near and far.
const OPTIONS: IndexOptions = IndexOptions {
    deployed_block: DEPLOYED,
    dispatcher: DISPATCHER,
    keep_blocks: 32,
    near_blocks: 8,
    far_blocks: 16,
    energy: None,
};

fn indexer(chain: &FakeChain, store: &Arc<Store>) -> Indexer<FakeChain> {
    Indexer::new(chain.clone(), store.clone(), OPTIONS)
}

async fn follow(chain: &FakeChain, store: &Arc<Store>) {
    let mut indexer = indexer(chain, store);
    for _ in 0..1000 {
        if indexer.step().await.unwrap() == Step::UpToDate {
            return;
        }
    }
    panic!("the index does not come to an end");
}

/// What a straight run over this chain gives.
async fn straight(chain: &FakeChain, url: &str) -> String {
    let store = Arc::new(db::open(url).await);
    follow(chain, &store).await;
    store.close().await;
    dump(url).await
}

/// Compares without the diff of two long texts.
fn assert_same(found: &str, expected: &str, what: &str) {
    let first = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(
        found == expected,
        "{what}: lines {} and {}, first difference: {first:#?}",
        found.lines().count(),
        expected.lines().count()
    );
}

#[tokio::test]
async fn reorganisations_of_any_depth_end_as_a_straight_run() {
    let dir = tempfile::tempdir().unwrap();
    for depth in (1..=20).chain([31, 32, 33, 60, 96]) {
        let chain = FakeChain::default();
        chain.grow(100, 2);
        let url = db::sqlite(&dir, &format!("reorg{depth}"));
        let store = Arc::new(db::open(&url).await);
        follow(&chain, &store).await;
        chain.cut(depth);
        chain.grow(depth + 2, 3);
        follow(&chain, &store).await;
        store.close().await;
        let expected = straight(&chain, &db::sqlite(&dir, &format!("straight{depth}"))).await;
        assert_same(&dump(&url).await, &expected, &format!("depth {depth}"));
    }
}

#[tokio::test]
async fn another_chain_under_the_same_number_is_indexed_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let chain = FakeChain::default();
    chain.grow(60, 2);
    let url = db::sqlite(&dir, "replaced");
    let store = Arc::new(db::open(&url).await);
    follow(&chain, &store).await;
    chain.cut(60);
    chain.grow(2, 5);
    // Shorter than the deployment: says nothing yet.
    let step = indexer(&chain, &store).step().await.unwrap();
    assert_eq!(step, Step::NodeBehind { head: 1, indexed: 59 });
    chain.grow(18, 5);
    assert_eq!(indexer(&chain, &store).step().await.unwrap(), Step::RolledBack { from: 59, to: None });
    follow(&chain, &store).await;
    store.close().await;
    assert_same(&dump(&url).await, &straight(&chain, &db::sqlite(&dir, "straight")).await, "replaced");
}

#[tokio::test]
async fn a_lagging_node_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let chain = FakeChain::default();
    chain.grow(100, 2);
    let store = Arc::new(db::open(&db::sqlite(&dir, "lag")).await);
    follow(&chain, &store).await;
    for hidden in [1, 20, 90, 99] {
        chain.hide(hidden);
        let step = indexer(&chain, &store).step().await.unwrap();
        assert_eq!(step, Step::NodeBehind { head: 99 - hidden as u64, indexed: 99 });
    }
}

#[tokio::test]
async fn smaller_ranges_are_asked_for_when_a_node_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let chain = FakeChain::default();
    chain.grow(100, 2);
    chain.refuse_ranges_above(3);
    let url = db::sqlite(&dir, "ranges");
    let store = Arc::new(db::open(&url).await);
    let mut indexer = indexer(&chain, &store);
    let mut refused = 0;
    loop {
        match indexer.step().await {
            Ok(Step::UpToDate) => break,
            Ok(_) => {}
            Err(_) => refused += 1,
        }
        assert!(refused < 40, "it does not learn");
    }
    assert!(refused > 0);
    chain.refuse_ranges_above(u64::MAX);
    store.close().await;
    assert_same(&dump(&url).await, &straight(&chain, &db::sqlite(&dir, "straight")).await, "ranges");
}

/// A number generator for scripts: the same seed tells the same story.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Grows, reorganises, fails in the middle of steps and restarts the store between them, as the dice say.
async fn random_story(url: &str, straight_url: &str, seed: u64, rounds: u64) {
    let mut dice = Dice(seed);
    let chain = FakeChain::default();
    chain.grow(60, 2);
    let mut store = Arc::new(db::open(url).await);
    for round in 0..rounds {
        match dice.roll(6) {
            0 => chain.grow(1 + dice.roll(12) as usize, round + 10),
            1 => {
                let depth = 1 + dice.roll(20) as usize;
                chain.cut(depth);
                // Shorter, as long, or longer than before.
                chain.grow(depth - 1 + dice.roll(3) as usize, round + 10);
            }
            2 => chain.fail_after(dice.roll(12)),
            3 => {
                store.close().await;
                store = Arc::new(db::open(url).await);
            }
            _ => {
                // A fresh indexer each time: all that it knows is in the store. Scripted failures change nothing.
                let _ = indexer(&chain, &store).step().await;
            }
        }
    }
    // Out of reach of the last failure, and above all that was seen.
    chain.grow(70, 7);
    let _ = indexer(&chain, &store).step().await;
    chain.fail_after(u64::MAX / 2);
    follow(&chain, &store).await;
    store.close().await;
    assert_same(&dump(url).await, &straight(&chain, straight_url).await, &format!("seed {seed}"));
}

#[tokio::test]
async fn restarts_and_failures_between_any_two_steps_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..12 {
        let url = db::sqlite(&dir, &format!("story{seed}"));
        random_story(&url, &db::sqlite(&dir, &format!("straight{seed}")), seed, 80).await;
    }
}

#[tokio::test]
async fn only_the_dispatcher_makes_agreements_and_pages_are_complete() {
    let dir = tempfile::tempdir().unwrap();
    let chain = FakeChain::default();
    chain.grow(50, 2);
    let store = Arc::new(db::open(&db::sqlite(&dir, "pages")).await);
    follow(&chain, &store).await;
    check_queries(&store).await;
}

async fn check_queries(store: &Store) {
    let all = store.agreements(AgreementFilter::default(), 200, None).await.unwrap();
    let expected: Vec<_> = (3..50).filter(|n| n % 3 == 0).rev().map(agreement_of).collect();
    assert_eq!(all.iter().map(|row| row.address.0).collect::<Vec<_>>(), expected);
    let settled = AgreementFilter { status: Some(Status::Settled), ..AgreementFilter::default() };
    assert_eq!(store.agreements(settled, 200, None).await.unwrap().len(), all.len() - 1);
    let worker = all[3].worker.unwrap();
    let by_worker = AgreementFilter { worker: Some(worker), ..AgreementFilter::default() };
    assert!(store.agreements(by_worker, 200, None).await.unwrap().iter().all(|row| row.worker == Some(worker)));
    let by_client = AgreementFilter { client: Some(worker), ..AgreementFilter::default() };
    assert!(store.agreements(by_client, 200, None).await.unwrap().is_empty());

    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.agreements(AgreementFilter::default(), 4, cursor).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = Some(format!("{}-{}", last.bought_block, last.bought_log).parse().unwrap());
        seen.extend(page.iter().map(|row| row.address.0));
    }
    assert_eq!(seen, expected);

    let workers = store.workers(200, None).await.unwrap();
    assert_eq!(workers.len(), 5);
    assert!(workers.iter().all(|row| row.locked.0 > 0 && row.bonded.0 > 0));
    let due: BTreeSet<_> = store.maybe_due(u64::MAX, 100).await.unwrap().iter().map(|row| row.status.name()).collect();
    assert_eq!(due, BTreeSet::from(["Working"]));
    let events = store.events_of(all[1].address).await.unwrap();
    assert!(events.iter().any(|e| e.event.get().contains("AgreementBought")), "{events:?}");
    assert!(events.iter().any(|e| e.event.get().contains("StatusChanged")), "{events:?}");
}

#[tokio::test]
async fn a_database_of_another_deployment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = db::open(&db::sqlite(&dir, "foreign")).await;
    let mut deployment: sunwork_edge::Deployment = serde_json::from_value(serde_json::json!({
        "chainId": 31337, "deployedBlock": 1, "token": DISPATCHER, "dispatcher": DISPATCHER, "beacon": DISPATCHER,
        "computeImplementation": DISPATCHER,
    }))
    .unwrap();
    store.belong_to(&deployment).await.unwrap();
    store.belong_to(&deployment).await.unwrap();
    deployment.chain_id = 1;
    let error = store.belong_to(&deployment).await.unwrap_err().to_string();
    assert!(error.contains("chain id found 31337, expected 1"), "{error}");
}

#[tokio::test]
async fn postgresql_gives_the_same() {
    let Some(postgres) = Postgres::find().await else { return };
    for seed in 100..103 {
        let url = postgres.database(&format!("story{seed}")).await;
        random_story(&url, &postgres.database(&format!("straight{seed}")).await, seed, 60).await;
    }
    let chain = FakeChain::default();
    chain.grow(50, 2);
    let url = postgres.database("pages").await;
    let store = Arc::new(db::open(&url).await);
    follow(&chain, &store).await;
    check_queries(&store).await;
    store.close().await;
    // Word for word what SQLite holds.
    let dir = tempfile::tempdir().unwrap();
    assert_same(&dump(&url).await, &straight(&chain, &db::sqlite(&dir, "same")).await, "PostgreSQL and SQLite");
}
