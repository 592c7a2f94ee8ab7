//! Several nodes, some of which die, lag, talk nonsense or are of another chain.
#![allow(clippy::unwrap_used)]
mod common;

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use alloy::providers::Provider;
use common::{Anvil, Mode, Node};
use serde_json::json;
use sunwork_edge::rpc::{self, RpcError, RpcOptions};

const CHAIN: u64 = 31337;

fn quick() -> RpcOptions {
    RpcOptions {
        request_timeout: Duration::from_millis(1500),
        rounds: 2,
        backoff: Duration::from_millis(20),
        stall: Duration::from_secs(1),
        ..RpcOptions::default()
    }
}

const fn good(head: u64) -> Mode {
    Mode::Good { chain_id: CHAIN, head }
}

#[tokio::test]
async fn the_next_node_answers_whatever_the_first_does() {
    let bad = [
        Mode::Down,
        Mode::Lag,
        Mode::Text("<html>welcome</html>"),
        Mode::Text("{\"jsonrpc\":\"2.0\""),
        Mode::Text(""),
        Mode::Result(json!("hello")),
        Mode::Result(json!({"number": 7})),
        Mode::Result(json!([])),
        Mode::WrongId,
        Mode::Good { chain_id: 1, head: 900 },
    ];
    for mode in bad {
        let (first, second) = (Node::start(good(5)).await, Node::start(good(5)).await);
        let rpc = rpc::connect_with(&[first.url.clone(), second.url.clone()], CHAIN, quick()).await.unwrap();
        assert_eq!(rpc.latest().await.unwrap().0, 5);
        assert_eq!(second.requests.load(Ordering::Relaxed), 2, "only the probe asks the second");
        first.set(mode.clone());
        // The failure itself makes the chain id unknown again, so that even a node that changed its chain is noticed
        // at the next failure; a silent change is what `Good` with another chain stands for.
        if let Mode::Good { .. } = mode {
            first.set(Mode::Down);
            rpc.latest().await.unwrap();
            first.set(mode.clone());
        }
        second.set(good(6));
        let head = rpc.latest().await.unwrap_or_else(|error| panic!("{mode:?}: {error}"));
        assert_eq!(head.0, 6, "{mode:?}");
    }
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused_with_both_numbers() {
    let node = Node::start(Mode::Good { chain_id: 5, head: 1 }).await;
    let error = rpc::connect_with(std::slice::from_ref(&node.url), CHAIN, quick()).await.unwrap_err();
    assert!(matches!(error, RpcError::WrongChain { found: 5, expected: CHAIN, .. }), "{error}");
    assert!(!error.is_temporary());
    let text = error.to_string();
    assert!(text.contains("chain 5") && text.contains("chain 31337"), "{text}");
}

#[tokio::test]
async fn a_node_that_turns_to_another_chain_is_left() {
    let node = Node::start(good(5)).await;
    let rpc = rpc::connect_with(std::slice::from_ref(&node.url), CHAIN, quick()).await.unwrap();
    node.set(Mode::Down);
    assert!(rpc.latest().await.is_err());
    node.set(Mode::Good { chain_id: 5, head: 9 });
    let error = rpc.latest().await.unwrap_err();
    assert!(error.to_string().contains("another chain than 31337"), "{error}");
    assert!(!rpc::is_temporary(&error));
}

#[tokio::test]
async fn nobody_answers_names_each_node_and_hides_keys() {
    let down = Node::start(Mode::Down).await;
    let mut keyed = down.url.clone();
    keyed.set_path("/v3/secret-key");
    let dead = "http://127.0.0.1:1/other-secret".parse().unwrap();
    let error = rpc::connect_with(&[keyed, dead], CHAIN, quick()).await.unwrap_err();
    assert!(error.is_temporary());
    let text = error.to_string();
    assert!(text.contains("127.0.0.1:1") && !text.contains("secret"), "{text}");
    assert!(text.contains("Connection refused"), "why, not only that: {text}");
}

#[tokio::test]
async fn a_node_that_stands_still_is_left_for_one_that_is_ahead() {
    let (slow, fast) = (Node::start(good(5)).await, Node::start(good(5)).await);
    let rpc = rpc::connect_with(&[slow.url.clone(), fast.url.clone()], CHAIN, quick()).await.unwrap();
    assert_eq!(rpc.latest().await.unwrap().0, 5);
    fast.set(good(50));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(rpc.latest().await.unwrap().0, 50);
    // A node that falls behind what was seen is left at once.
    fast.set(good(3));
    slow.set(good(51));
    assert_eq!(rpc.latest().await.unwrap().0, 51);
}

#[tokio::test]
async fn a_lagging_only_node_fails_in_bounded_time() {
    let node = Node::start(good(5)).await;
    let rpc = rpc::connect_with(std::slice::from_ref(&node.url), CHAIN, quick()).await.unwrap();
    node.set(Mode::Lag);
    let start = Instant::now();
    let error = rpc.latest().await.unwrap_err();
    assert!(rpc::is_temporary(&error), "{error}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

#[tokio::test]
async fn bad_urls_are_refused() {
    let error = rpc::connect(&["ftp://127.0.0.1/".parse().unwrap()], CHAIN).await.unwrap_err();
    assert!(error.to_string().contains("\"ftp\""), "{error}");
    assert!(matches!(rpc::connect(&[], CHAIN).await.unwrap_err(), RpcError::NoUrl));
}

#[tokio::test]
async fn a_real_node_over_both_protocols_and_through_its_death() {
    let (first, second) = (Anvil::start(&[]), Anvil::start(&[]));
    let rpc = rpc::connect_with(&[first.ws_url(), second.url.clone()], CHAIN, quick()).await.unwrap();
    assert_eq!(rpc.provider().get_chain_id().await.unwrap(), CHAIN);
    assert_eq!(rpc.latest().await.unwrap().0, 0);
    drop(first);
    assert_eq!(rpc.latest().await.unwrap().0, 0, "the second one goes on");
    let error = rpc::connect_with(std::slice::from_ref(&second.url), 1, quick()).await.unwrap_err();
    assert!(matches!(error, RpcError::WrongChain { found: CHAIN, expected: 1, .. }));
}
