//! Mail over real HTTP with oracles that lie, hide, flood and fail.
#![allow(clippy::unwrap_used)]
use std::sync::{Arc, Mutex};

use alloy::{
    primitives::{Address, B256, Bytes, U256},
    signers::{SignerSync, local::PrivateKeySigner},
};
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use sunwork_edge::mail::{MAX_INBOX, MailClient, MailError};
use sunwork_protocol::mail::{MAX_BODY_BYTES, Message, TOPIC_KEY};
use url::Url;

const CHAIN_ID: u64 = 31337;
const AGREEMENT: Address = Address::repeat_byte(1);
const RECIPIENT: B256 = B256::repeat_byte(2);

/// What an oracle does.
#[derive(Clone)]
struct Oracle {
    /// Answers to questions, page by page.
    pages: Vec<(u16, String)>,
    /// Status for letters.
    takes: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Oracle {
    fn new() -> Self {
        Self { pages: vec![(200, r#"{"messages":[]}"#.into())], takes: 201, seen: Arc::default() }
    }

    fn showing(messages: Vec<Value>) -> Self {
        Self { pages: vec![(200, json!({ "messages": messages, "nextCursor": null }).to_string())], ..Self::new() }
    }

    async fn start(&self) -> Url {
        let router = Router::new().route("/base/v1/mail", get(list).post(take)).with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }
}

async fn list(State(oracle): State<Oracle>, RawQuery(query): RawQuery) -> Response {
    let mut seen = oracle.seen.lock().unwrap();
    seen.push(query.unwrap());
    let (status, body) = oracle.pages[(seen.len() - 1).min(oracle.pages.len() - 1)].clone();
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

async fn take(State(oracle): State<Oracle>, body: String) -> Response {
    oracle.seen.lock().unwrap().push(body);
    let error = r#"{"error":{"code":"some","message":"because"}}"#;
    (StatusCode::from_u16(oracle.takes).unwrap(), error).into_response()
}

/// Nobody listens there.
fn dead() -> Url {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap()).parse().unwrap()
}

fn signer(n: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).unwrap()
}

fn message(sent_at_ms: u64, body: &[u8]) -> Message {
    Message::new(AGREEMENT, RECIPIENT, TOPIC_KEY, sent_at_ms, body.to_vec()).unwrap()
}

fn signed(signer: &PrivateKeySigner, message: Message) -> Message {
    let signature = signer.sign_hash_sync(&message.digest(CHAIN_ID)).unwrap();
    message.signed(&signature)
}

/// As an oracle shows it.
fn shown(message: &Message) -> Value {
    let mut value = serde_json::to_value(message).unwrap();
    // What it says of the sender is not believed.
    value["sender"] = json!(Address::repeat_byte(0xee));
    value["storedAtMs"] = json!(1);
    value["expiresAtMs"] = json!(2);
    value["somethingNew"] = json!({});
    value
}

async fn inbox(urls: Vec<Url>) -> Result<Vec<(Address, Message)>, MailError> {
    MailClient::new(urls, CHAIN_ID).inbox(RECIPIENT, AGREEMENT, TOPIC_KEY).await
}

#[tokio::test]
async fn one_oracle_that_takes_it_is_enough_and_all_are_tried() {
    let (refusing, taking) = (Oracle { takes: 404, ..Oracle::new() }, Oracle::new());
    let urls = vec![dead(), refusing.start().await, taking.start().await];
    let client = MailClient::new(urls.clone(), CHAIN_ID);
    client.send(&signer(1), message(5, b"x")).await.unwrap();
    let sent: Message = serde_json::from_str(&taking.seen.lock().unwrap()[0]).unwrap();
    assert_eq!(sent.sender(CHAIN_ID), Ok(signer(1).address()));
    assert_eq!(refusing.seen.lock().unwrap().len(), 1);

    let client = MailClient::new(urls[..2].to_vec(), CHAIN_ID);
    let error = client.send(&signer(1), message(5, b"x")).await.unwrap_err();
    let words = error.to_string();
    assert!(words.contains("404") && words.contains("because"), "{words}");
    assert!(error.is_temporary(), "the oracle may know the agreement soon");
    let client = MailClient::new(vec![dead()], CHAIN_ID);
    assert!(client.send(&signer(1), message(5, b"x")).await.unwrap_err().is_temporary());
    let full = Oracle { takes: 400, ..Oracle::new() }.start().await;
    let error = MailClient::new(vec![full], CHAIN_ID).send(&signer(1), message(5, b"x")).await.unwrap_err();
    assert!(!error.is_temporary());
    let error = MailClient::new(vec![], CHAIN_ID).send(&signer(1), message(5, b"x")).await.unwrap_err();
    assert!(matches!(error, MailError::NoOracle));
    let long = Message { body: vec![0; MAX_BODY_BYTES + 1].into(), ..message(5, b"x") };
    let error = MailClient::new(urls, CHAIN_ID).send(&signer(1), long).await.unwrap_err();
    assert!(matches!(error, MailError::Message { .. }) && !error.is_temporary(), "{error}");
}

#[tokio::test]
async fn nothing_that_an_oracle_says_is_believed_and_junk_is_passed_over() {
    let genuine = signed(&signer(1), message(5, b"genuine"));
    let junk = |change: fn(&mut Message)| {
        let mut message = genuine.clone();
        change(&mut message);
        // Rightly signed by somebody, but not what was asked for.
        shown(&signed(&signer(2), message))
    };
    let forged = Message { body: Bytes::from_static(b"changed"), ..genuine.clone() };
    let lying = Oracle::showing(vec![
        json!(null),
        json!("text"),
        json!({ "agreement": 1 }),
        junk(|message| message.agreement = Address::ZERO),
        junk(|message| message.recipient = B256::ZERO),
        junk(|message| message.topic = "logs".into()),
        shown(&Message { signature: Bytes::from_static(&[1; 65]), ..genuine.clone() }),
        shown(&Message { topic: "NOT A TOPIC".into(), ..genuine.clone() }),
        shown(&forged),
        shown(&genuine),
        shown(&genuine),
    ]);
    let found = inbox(vec![lying.start().await]).await.unwrap();
    let senders: Vec<_> = found.iter().map(|(sender, _)| *sender).collect();
    // What was changed after signing comes from nobody that anybody knows.
    assert_eq!(found.iter().filter(|(sender, _)| *sender == signer(1).address()).count(), 1, "{senders:?}");
    assert!(!senders.contains(&signer(2).address()) && !senders.contains(&Address::repeat_byte(0xee)));
    let (_, message) = found.iter().find(|(sender, _)| *sender == signer(1).address()).unwrap();
    assert_eq!(*message, genuine);
    let query = lying.seen.lock().unwrap()[0].clone();
    let expected = format!("recipient={RECIPIENT}&agreement={AGREEMENT}&topic=key&limit=64");
    assert_eq!(query, expected);

    let url = lying.start().await;
    let from = MailClient::new(vec![url], CHAIN_ID);
    let found = from.inbox_from(&[signer(1).address()], RECIPIENT, AGREEMENT, TOPIC_KEY).await.unwrap();
    assert_eq!(found, [(signer(1).address(), genuine)]);
}

#[tokio::test]
async fn the_newest_of_all_oracles_counts_and_a_dead_one_does_not_matter() {
    let (old, new) = (signed(&signer(1), message(5, b"old")), signed(&signer(1), message(6, b"new")));
    let other = signed(&signer(2), message(9, b"other"));
    let stale = Oracle::showing(vec![shown(&old)]).start().await;
    let fresh = Oracle::showing(vec![shown(&other), shown(&new)]).start().await;
    let broken = Oracle { pages: vec![(503, "no".into())], ..Oracle::new() }.start().await;
    for urls in
        [vec![stale.clone(), fresh.clone(), dead(), broken.clone()], vec![broken.clone(), fresh.clone(), stale.clone()]]
    {
        let found = inbox(urls).await.unwrap();
        assert_eq!(found, [(signer(2).address(), other.clone()), (signer(1).address(), new.clone())]);
    }
    assert!(inbox(vec![broken, dead()]).await.unwrap_err().is_temporary());
    assert!(matches!(inbox(vec![]).await, Err(MailError::NoOracle)));
    let silly = Oracle { pages: vec![(200, "<html>".into())], ..Oracle::new() }.start().await;
    let error = inbox(vec![silly]).await.unwrap_err().to_string();
    assert!(error.contains("is this the URL of an oracle?"), "{error}");
    let huge = Oracle { pages: vec![(200, " ".repeat(5 << 20))], ..Oracle::new() }.start().await;
    let error = inbox(vec![huge]).await.unwrap_err().to_string();
    assert!(error.contains("bytes or more"), "{error}");
}

#[tokio::test]
async fn an_oracle_full_of_inventions_does_not_push_out_what_another_one_has() {
    let genuine = signed(&signer(1), message(5, b"genuine"));
    let invented = |count: u64, from: u64| -> Vec<Value> {
        let sender = |n: u64| PrivateKeySigner::from_bytes(&B256::from(U256::from(1000 + n))).unwrap();
        (from..from + count).map(|n| shown(&signed(&sender(n), message(1_000_000 + n, b"junk")))).collect()
    };
    let liar = Oracle::showing(invented(64, 0)).start().await;
    let honest = Oracle::showing(vec![shown(&genuine)]).start().await;
    let found = inbox(vec![liar, honest.clone()]).await.unwrap();
    assert_eq!(found.len(), MAX_INBOX);
    assert!(found.iter().any(|(_, message)| *message == genuine));
    assert!(found.is_sorted_by(|a, b| a.1.sent_at_ms >= b.1.sent_at_ms));

    // Who knows the sender finds its message behind pages of others; but no oracle makes us read for ever.
    let page = |n: u64| json!({ "messages": invented(64, n * 64), "nextCursor": format!("c{n}") }).to_string();
    let last = json!({ "messages": [shown(&genuine)], "nextCursor": "more" }).to_string();
    let mut long = Oracle::new();
    long.pages = (0..3).map(page).chain([last]).map(|body| (200, body)).collect();
    let client = MailClient::new(vec![long.start().await], CHAIN_ID);
    let found = client.inbox_from(&[signer(1).address()], RECIPIENT, AGREEMENT, TOPIC_KEY).await.unwrap();
    assert_eq!(found, [(signer(1).address(), genuine)]);
    let seen = long.seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    assert!(seen[1].ends_with("&cursor=c0"), "{}", seen[1]);
}
