//! The JSON API over real HTTP, on an index of a scripted chain.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod common;

use std::sync::Arc;

use common::{
    chain::{DEPLOYED, DISPATCHER, FakeChain, agreement_of},
    http::{Limits, TestApi},
};
use serde_json::Value;
use sunwork_oracle::{
    follow::Progress,
    index::{IndexOptions, Indexer, Step},
};
use tokio::time::Instant;

async fn indexed(dir: &std::path::Path) -> TestApi {
    let api = TestApi::start(dir, Limits::default()).await;
    let chain = FakeChain::default();
    chain.grow(40, 2);
    let mut indexer = Indexer::new(chain, Arc::clone(&api.store), IndexOptions::new(DEPLOYED, DISPATCHER, None));
    while indexer.step().await.unwrap() != Step::UpToDate {}
    let indexed = api.store.last_block().await.unwrap();
    let progress = Progress { head: indexer.head(), indexed, good_at: Some(Instant::now()), ..Progress::default() };
    api.progress.send(progress).unwrap();
    api
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap()
}

#[tokio::test]
async fn health_deployment_and_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let api = TestApi::start(dir.path(), Limits::default()).await;
    assert_eq!(api.json("/v1/health").await.0, 503, "nothing is indexed yet");
    drop(api);
    let api = indexed(dir.path()).await;
    let (status, health) = api.json("/v1/health").await;
    assert_eq!(status, 200);
    assert_eq!(health, serde_json::json!({"ok": true, "chainId": 31337, "indexedBlock": 39, "headBlock": 39}));
    let (_, deployment) = api.json("/v1/deployment").await;
    assert_eq!(deployment["dispatcher"], DISPATCHER.to_string());
    assert_eq!(deployment["deployedBlock"], 3);
    let metrics = api.http.get(api.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nsunwork_oracle_indexed_block 39\n"), "{metrics}");
    assert!(metrics.contains("\nsunwork_oracle_lag_blocks 0\n"), "{metrics}");
}

#[tokio::test]
async fn agreements_come_newest_first_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let api = indexed(dir.path()).await;
    let mut seen = Vec::new();
    let mut path = "/v1/agreements?limit=5".to_owned();
    loop {
        let (status, page) = api.json(&path).await;
        assert_eq!(status, 200, "{page}");
        seen.extend(array(&page, "agreements").iter().map(|row| row["address"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/v1/agreements?limit=5&cursor={cursor}");
    }
    let expected: Vec<_> = (3..40).filter(|n| n % 3 == 0).rev().map(|n| agreement_of(n).to_string()).collect();
    assert_eq!(seen, expected);
    let (_, open) = api.json("/v1/agreements?status=WORKING").await;
    assert_eq!(array(&open, "agreements").len(), 0);
    let (_, settled) = api.json("/v1/agreements?status=settled&limit=200").await;
    assert_eq!(array(&settled, "agreements").len(), 12);
}

#[tokio::test]
async fn one_agreement_with_terms_parties_and_events() {
    let dir = tempfile::tempdir().unwrap();
    let api = indexed(dir.path()).await;
    let address = agreement_of(6);
    // Any spelling of the address will do.
    let (status, shown) = api.json(&format!("/v1/agreements/{address:#x}")).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["address"], address.to_string());
    assert_eq!((&shown["status"], &shown["ending"]), (&"settled".into(), &"verified".into()));
    let most = sunwork_protocol::testing::terms().reward_max.to_string();
    assert_eq!((&shown["budget"], &shown["terms"]["rewardMax"]), (&"2".into(), &most.into()));
    assert_eq!(shown["worker"], "0x0000000000000000000000000000000000000003");
    let names: Vec<_> = array(&shown, "events").iter().map(|e| e["event"]["name"].as_str().unwrap()).collect();
    let expected = [
        "StatusChanged",
        "AgreementBought",
        "Accepted",
        "StatusChanged",
        "StakeLocked",
        "Paid",
        "Ended",
        "StatusChanged",
    ];
    assert_eq!(names, expected);
    let first = &array(&shown, "events")[0];
    assert_eq!((&first["block"], first["tx"].as_str().unwrap().len()), (&6.into(), 66));
    let (status, missing) = api.json(&format!("/v1/agreements/{DISPATCHER}")).await;
    assert_eq!((status, missing["error"]["code"].as_str()), (404, Some("no_such_agreement")));
}

#[tokio::test]
async fn workers_with_their_classes() {
    let dir = tempfile::tempdir().unwrap();
    let api = indexed(dir.path()).await;
    let (_, page) = api.json("/v1/workers").await;
    assert_eq!(array(&page, "workers").len(), 5);
    let worker = &array(&page, "workers")[0];
    assert_eq!(worker["classes"], serde_json::json!(["linux/amd64+docker", "linux/arm64+docker"]));
    assert!(worker["bonded"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(page["nextCursor"], Value::Null);
}

#[tokio::test]
async fn mistakes_are_refused_with_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    let api = TestApi::start(dir.path(), Limits::default()).await;
    let cases = [
        ("/v1/agreements?clinet=0x00", 400, "unknown_parameter", "client, worker, status, limit, cursor"),
        ("/v1/agreements?client=0x00", 400, "bad_value", "40 hex digits"),
        ("/v1/agreements?status=done", 400, "bad_value", "open, keying, working"),
        ("/v1/agreements?limit=1000", 400, "bad_value", "from 1 to 200"),
        ("/v1/agreements?cursor=1", 400, "bad_cursor", "nextCursor"),
        ("/v1/agreements/xyz", 400, "bad_value", "40 hex digits"),
        ("/v1/workers?status=open", 400, "unknown_parameter", "limit, cursor"),
        ("/v2/agreements", 404, "no_such_path", "/v1/agreements"),
    ];
    for (path, status, code, words) in cases {
        let (found, body) = api.json(path).await;
        let message = body["error"]["message"].as_str().unwrap();
        assert_eq!((found, &body["error"]["code"]), (status, &code.into()), "{path}: {message}");
        assert!(message.contains(words), "{path}: {message}");
    }
    let posted = api.http.post(api.url("/v1/health")).send().await.unwrap();
    assert_eq!(posted.status(), 405);
    assert!(posted.text().await.unwrap().contains("method_not_allowed"));
}
