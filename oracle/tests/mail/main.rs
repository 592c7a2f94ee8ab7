//! The mailbox over real HTTP: who may write, how much, for how long, and that nothing of it can be read here.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod cast;
#[path = "../common/mod.rs"]
mod common;
mod limits;

use std::{path::Path, sync::atomic::Ordering, time::Duration};

use alloy::{
    primitives::{Address, B256, Bytes},
    signers::local::PrivateKeySigner,
};
use cast::*;
use common::{
    db::{self, Postgres},
    http::{Limits, NOW_MS, TestApi},
};
use serde_json::Value;
use sunwork_oracle::mail::{Clock, MailLimits, Mailbox, MailboxError};
use sunwork_protocol::{
    envelope::{Context, Purpose, SecretKey, seal, seal_key},
    mail::{MAX_BODY_BYTES, Message, TOPIC_AGENT, TOPIC_KEY, TOPIC_LOGS},
    session::SessionKey,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test]
async fn parties_and_their_helpers_may_write_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (api, cast) = start(dir.path(), MailLimits::default()).await;
    let allowed = [
        &cast.client,
        &cast.agent,
        &cast.worker,
        &cast.device,
        &cast.former_worker,
        &cast.verifier,
        &cast.former_verifier,
    ];
    for signer in allowed {
        assert_eq!(post(&api, signer, message(TOPIC_KEY, NOW_MS, b"sealed")).await.0, 201, "{}", signer.address());
    }
    let shown = list(&api, &path(TOPIC_KEY)).await;
    let senders: Vec<_> = shown.iter().map(|message| message["sender"].as_str().unwrap().to_owned()).collect();
    let newest_first: Vec<_> = allowed.iter().rev().map(|signer| signer.address().to_string()).collect();
    assert_eq!(senders, newest_first);
    assert_eq!(shown[0]["storedAtMs"], NOW_MS);
    assert_eq!(shown[0]["expiresAtMs"], NOW_MS + 7 * 24 * 3600 * 1000);

    for signer in [&cast.stranger, &cast.old_device, &cast.displaced] {
        let refused = post(&api, signer, message(TOPIC_KEY, NOW_MS, b"sealed")).await;
        assert_eq!(code(&refused), (403, "not_a_party"));
        let words = refused.1["error"]["message"].as_str().unwrap();
        for named in [signer, &cast.client, &cast.worker, &cast.agent, &cast.device] {
            assert!(words.contains(&named.address().to_string()), "{words}");
        }
    }
    assert_eq!(list(&api, &path(TOPIC_KEY)).await.len(), allowed.len());

    // While the index lags, who is unknown may be known soon.
    api.progress.send_modify(|progress| progress.head.as_mut().unwrap().number += 1);
    let refused = post(&api, &cast.stranger, message(TOPIC_KEY, NOW_MS, b"sealed")).await;
    assert_eq!(code(&refused), (503, "index_behind"));

    let unknown = Message { agreement: Address::repeat_byte(1), ..message(TOPIC_KEY, NOW_MS, b"sealed") };
    assert_eq!(code(&post(&api, &cast.client, unknown).await), (404, "no_such_agreement"));
    let metrics = api.http.get(api.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in ["mail_messages 7", "mail_stored_total 7", "mail_refused_total 5", "mail_quota_bytes 1073741824"] {
        assert!(metrics.contains(&format!("\nsunwork_oracle_{line}\n")), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn newer_messages_replace_older_ones_and_replays_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (api, cast) = start(dir.path(), MailLimits::default()).await;
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS, b"first")).await.0, 201);
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS, b"first")).await.0, 200);
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS, b"other, same time")).await.0, 200);
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS + 1, b"second")).await.0, 201);
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS, b"first")).await.0, 200, "a replay");
    let shown = list(&api, &path(TOPIC_KEY)).await;
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0]["body"], Bytes::from_static(b"second").to_string());
    let (messages, bytes) = (api.mailbox.messages(), api.mailbox.bytes());
    assert_eq!((messages, bytes), (1, 512 + 2 * 6));

    // Other topics, recipients and agreements are other boxes.
    assert_eq!(post(&api, &cast.worker, message(TOPIC_LOGS, NOW_MS, b"logs")).await.0, 201);
    let elsewhere = Message { agreement: OTHER_AGREEMENT, ..message(TOPIC_KEY, NOW_MS, b"x") };
    assert_eq!(post(&api, &cast.worker, elsewhere).await.0, 201);
    let to_other = Message { recipient: B256::ZERO, ..message(TOPIC_KEY, NOW_MS, b"x") };
    assert_eq!(post(&api, &cast.worker, to_other).await.0, 201);
    assert_eq!(list(&api, &path(TOPIC_KEY)).await.len(), 1);
    assert_eq!(list(&api, &format!("/v1/mail?recipient={RECIPIENT}")).await.len(), 3);
}

#[tokio::test]
async fn pages_hold_every_message_once() {
    let dir = tempfile::tempdir().unwrap();
    let (api, cast) = start(dir.path(), MailLimits::default()).await;
    for n in 0..25 {
        assert_eq!(post(&api, &cast.worker, message(&format!("t{n}"), NOW_MS, &[n])).await.0, 201);
    }
    let mut seen = Vec::new();
    let mut path = format!("/v1/mail?recipient={RECIPIENT}&limit=10");
    loop {
        let (_, page) = api.json(&path).await;
        seen.extend(page["messages"].as_array().unwrap().iter().map(|m| m["topic"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/v1/mail?recipient={RECIPIENT}&limit=10&cursor={cursor}");
    }
    let expected: Vec<_> = (0..25).rev().map(|n| format!("t{n}")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn mail_expires_and_is_swept() {
    let dir = tempfile::tempdir().unwrap();
    let limits = MailLimits { retention: Duration::from_secs(60), ..MailLimits::default() };
    let (api, cast) = start(dir.path(), limits).await;
    post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS + 100, b"early")).await;
    api.now_ms.store(NOW_MS + 30_000, Ordering::SeqCst);
    post(&api, &cast.client, message(TOPIC_KEY, NOW_MS, b"late")).await;
    assert_eq!(api.mailbox.sweep().await.unwrap(), 0);
    api.now_ms.store(NOW_MS + 60_000, Ordering::SeqCst);
    let shown = list(&api, &path(TOPIC_KEY)).await;
    assert_eq!(shown.len(), 1, "what has expired is not shown, swept or not");
    assert_eq!(shown[0]["sender"], cast.client.address().to_string());
    // What has expired is not in the way of an older message either.
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS, b"again")).await.0, 201);
    assert_eq!(api.mailbox.messages(), 2);
    api.now_ms.store(NOW_MS + 90_000, Ordering::SeqCst);
    assert_eq!(api.mailbox.sweep().await.unwrap(), 1);
    assert_eq!((api.mailbox.messages(), api.mailbox.bytes()), (1, 512 + 2 * 5));
    api.now_ms.store(NOW_MS + 1_000_000, Ordering::SeqCst);
    assert_eq!(api.mailbox.sweep().await.unwrap(), 1);
    assert_eq!((api.mailbox.messages(), api.mailbox.bytes()), (0, 0));

    let future = NOW_MS + 1_000_000 + 5 * 60 * 1000;
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, future, b"x")).await.0, 201);
    let refused = post(&api, &cast.client, message(TOPIC_KEY, future + 1, b"x")).await;
    assert_eq!(code(&refused), (400, "bad_message"));
    let far = post(&api, &cast.client, message(TOPIC_KEY, u64::MAX, b"x")).await;
    assert_eq!(code(&far), (400, "bad_message"));
}

#[tokio::test]
async fn mail_survives_a_restart_and_its_sums_too() {
    let dir = tempfile::tempdir().unwrap();
    let (api, cast) = start(dir.path(), MailLimits::default()).await;
    for n in 0..3 {
        post(&api, &cast.worker, message(&format!("t{n}"), NOW_MS + n, b"kept")).await;
    }
    let before = list(&api, &format!("/v1/mail?recipient={RECIPIENT}")).await;
    let sums = (api.mailbox.messages(), api.mailbox.bytes());
    api.store.close().await;
    drop(api);
    let api = TestApi::start(dir.path(), Limits::default()).await;
    assert_eq!(list(&api, &format!("/v1/mail?recipient={RECIPIENT}")).await, before);
    assert_eq!((api.mailbox.messages(), api.mailbox.bytes()), sums);
    assert_eq!(post(&api, &cast.worker, message("t9", NOW_MS, b"new")).await.0, 201);
    let after = list(&api, &format!("/v1/mail?recipient={RECIPIENT}")).await;
    assert_eq!((after.len(), after[0]["topic"].as_str()), (4, Some("t9")));
}

#[tokio::test]
async fn garbage_is_refused_with_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    let (api, cast) = start(dir.path(), MailLimits::default()).await;
    let good = serde_json::to_value(signed(&cast.worker, message(TOPIC_KEY, NOW_MS, b"x"))).unwrap();
    let with = |field: &str, value: Value| {
        let mut changed = good.clone();
        changed[field] = value;
        changed.to_string()
    };
    let long = Bytes::from(vec![0; MAX_BODY_BYTES + 1]).to_string();
    let cases = [
        (String::new(), 400, "bad_message"),
        ("{}".to_owned(), 400, "bad_message"),
        ("[".repeat(10_000), 400, "bad_message"),
        ("\u{0}\u{1}".to_owned(), 400, "bad_message"),
        (with("extra", 1.into()), 400, "bad_message"),
        (with("topic", "Upper".into()), 400, "bad_message"),
        (with("topic", "".into()), 400, "bad_message"),
        (with("sentAtMs", (-1).into()), 400, "bad_message"),
        (with("recipient", "0x12".into()), 400, "bad_message"),
        (with("signature", "0x".into()), 400, "bad_message"),
        (with("body", long.into()), 413, "too_large"),
        ("x".repeat(40_000), 413, "too_large"),
        ("x".repeat(3_000_000), 413, "too_large"),
        // Another signer than the one who signed is somebody else, who is no party.
        (with("sentAtMs", (NOW_MS + 1).into()), 403, "not_a_party"),
    ];
    for (body, status, expected) in cases {
        let start: String = body.chars().take(60).collect();
        let response = api.http.post(api.url("/v1/mail")).body(body).send().await.unwrap();
        let found = response.status().as_u16();
        let json: Value = response.json().await.unwrap();
        assert_eq!((found, json["error"]["code"].as_str()), (status, Some(expected)), "{start}: {json}");
        assert!(json["error"]["message"].as_str().unwrap().len() < 2000, "{json}");
    }
    let questions = [
        ("/v1/mail", "bad_value", "X25519"),
        ("/v1/mail?recipient=0x77", "bad_value", "64 hex digits"),
        ("/v1/mail?recipient=RECIPIENT&topic=A", "bad_value", "lower-case"),
        ("/v1/mail?recipient=RECIPIENT&topic=%00", "bad_value", "lower-case"),
        ("/v1/mail?recipient=RECIPIENT&agreement=0x1", "bad_value", "40 hex digits"),
        ("/v1/mail?recipient=RECIPIENT&limit=65", "bad_value", "from 1 to 64"),
        ("/v1/mail?recipient=RECIPIENT&cursor=x", "bad_value", "nextCursor"),
        ("/v1/mail?recipient=RECIPIENT&sender=x", "unknown_parameter", "topic"),
    ];
    for (path, expected, words) in questions {
        let (status, answer) = api.json(&path.replace("RECIPIENT", &RECIPIENT.to_string())).await;
        assert_eq!((status, answer["error"]["code"].as_str()), (400, Some(expected)), "{path}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{path}: {answer}");
    }
    assert_eq!(api.mailbox.messages(), 0);
    let none = api.json("/v1/key-agent").await;
    assert_eq!(code(&none), (404, "no_key_agent"));
}

#[tokio::test]
async fn a_slow_letter_is_given_up_and_does_not_block_others() {
    let dir = tempfile::tempdir().unwrap();
    let limits = MailLimits { parallel: 1, body_time: Duration::from_millis(300), ..MailLimits::default() };
    let (api, cast) = start(dir.path(), limits).await;
    let mut slow = TcpStream::connect(api.address).await.unwrap();
    let head = "POST /v1/mail HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The only place is taken until the slow one is given up; then it is ours.
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS, b"x")).await.0, 201);
    let mut answer = vec![0; 1024];
    let length = slow.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("too_slow"), "{answer}");
}

#[tokio::test]
async fn the_operator_can_read_nothing_of_a_confidential_agreement() {
    let dir = tempfile::tempdir().unwrap();
    let (api, cast) = start(dir.path(), MailLimits::default()).await;
    let session = SessionKey::from_bytes(*b"this session key is thirty-two B");
    let plaintext = b"where the logs are: nobody but the client shall know";
    let reader = SecretKey::derive(&[1; 32]);
    let context = |purpose| Context { purpose, chain_id: CHAIN_ID, agreement: AGREEMENT, attempt: 0 };
    let sealed = |n, purpose| seal_key(reader.public(), &context(purpose), &session, [n; 32]).unwrap();
    let logs = seal(reader.public(), &context(Purpose::Logs), plaintext, [3; 32]).unwrap();
    let letters = [
        (&cast.client, TOPIC_AGENT, sealed(1, Purpose::AgentKey)),
        (&cast.worker, TOPIC_KEY, sealed(2, Purpose::VerifierKey)),
        (&cast.worker, TOPIC_LOGS, logs),
    ];
    for (signer, topic, body) in &letters {
        let letter = Message::new(AGREEMENT, reader.public(), topic, NOW_MS, body.clone()).unwrap();
        assert_eq!(post(&api, signer, letter).await.0, 201);
    }
    let mut everything = Vec::new();
    for path in [
        format!("/v1/mail?recipient={}", reader.public()),
        format!("/v1/agreements/{AGREEMENT}"),
        "/v1/agreements".into(),
        "/v1/workers".into(),
        "/v1/health".into(),
        "/metrics".into(),
    ] {
        everything.extend(api.http.get(api.url(&path)).send().await.unwrap().bytes().await.unwrap());
    }
    for entry in walk(dir.path()) {
        everything.extend(std::fs::read(entry).unwrap());
    }
    let holds = |needle: &[u8]| everything.windows(needle.len()).any(|window| window == needle);
    // What is looked for would be found: the envelopes themselves are there, in hex, on disk and in the answers.
    assert!(holds(hex::encode(&letters[0].2).as_bytes()));
    for secret in [session.as_bytes().as_slice(), plaintext] {
        // Long pieces, so that a secret cut by a page of the database is found as well.
        for piece in secret.chunks(16).filter(|piece| piece.len() == 16) {
            assert!(!holds(piece) && !holds(hex::encode(piece).as_bytes()), "{}", String::from_utf8_lossy(piece));
            assert!(!holds(hex::encode_upper(piece).as_bytes()));
        }
    }
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn postgres_keeps_mail_like_sqlite() {
    let Some(postgres) = Postgres::find().await else { return };
    let store = std::sync::Arc::new(db::open(&postgres.database("mail").await).await);
    let cast = Cast::new();
    cast.play(&store).await;
    let limits = MailLimits { signer_messages: 2, ..MailLimits::default() };
    let clock = Clock(std::sync::Arc::new(|| NOW_MS));
    let mailbox = Mailbox::open(store.clone(), CHAIN_ID, limits, clock.clone()).await.unwrap();
    let put = async |signer: &PrivateKeySigner, topic: &str, sent| {
        mailbox.put(&signed(signer, message(topic, sent, b"sealed"))).await
    };
    put(&cast.device, TOPIC_KEY, NOW_MS).await.unwrap();
    put(&cast.device, TOPIC_KEY, NOW_MS + 1).await.unwrap();
    put(&cast.device, TOPIC_LOGS, NOW_MS).await.unwrap();
    assert!(matches!(put(&cast.device, "more", NOW_MS).await, Err(MailboxError::Quota { .. })));
    assert!(matches!(put(&cast.stranger, "more", NOW_MS).await, Err(MailboxError::NotAParty { .. })));
    let one = mailbox.one(RECIPIENT, AGREEMENT, TOPIC_KEY, cast.device.address()).await.unwrap().unwrap();
    assert_eq!(one.sender(CHAIN_ID), Ok(cast.device.address()));
    assert_eq!(one.sent_at_ms, NOW_MS + 1);
    let later = Clock(std::sync::Arc::new(|| NOW_MS + 30 * 24 * 3600 * 1000));
    let mailbox = Mailbox::open(store, CHAIN_ID, limits, later).await.unwrap();
    assert_eq!((mailbox.messages(), mailbox.sweep().await.unwrap(), mailbox.messages()), (2, 2, 0));
}
