//! Whose room is whose: junk of one displaces nothing of another, and all of it has an end.
use std::sync::atomic::Ordering;

use crate::cast::*;
use crate::common::http::NOW_MS;
use alloy::{
    primitives::{B256, Bytes},
    signers::local::PrivateKeySigner,
};
use serde_json::Value;
use sunwork_edge::mail::MailClient;
use sunwork_oracle::{
    chain::Header,
    events::{Event, PlacedEvent},
    json::Account,
    mail::MailLimits,
    store::{Batch, Store},
};
use sunwork_protocol::mail::{MAX_BODY_BYTES, Message, TOPIC_KEY, TOPIC_LOGS};

#[tokio::test]
async fn a_mailbox_full_of_junk_neither_hides_nor_displaces_what_others_wrote() {
    let dir = tempfile::tempdir().unwrap();
    let limits = MailLimits { signer_messages: 20, ..MailLimits::default() };
    let (api, cast) = start(dir.path(), limits).await;
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS, b"the genuine key")).await.0, 201);

    // Strangers fill nothing.
    for n in 0..50 {
        assert_eq!(post(&api, &cast.stranger, message(TOPIC_KEY, NOW_MS + n, &[0; 1000])).await.0, 403);
    }
    // A hostile party writes as much as it may: every topic and recipient that it can think of, largest bodies, newest times.
    let mut refused = 0;
    for n in 0..60_u64 {
        let newest = NOW_MS + 299_000 + n;
        let junk = Message { recipient: B256::repeat_byte(n as u8), ..message(TOPIC_KEY, newest, &[9; 1000]) };
        refused += u32::from(post(&api, &cast.verifier, junk).await.0 == 429);
        refused += u32::from(post(&api, &cast.verifier, message(&format!("junk-{n}"), newest, b"x")).await.0 == 429);
        post(&api, &cast.verifier, message(TOPIC_KEY, newest, &[9; 1000])).await;
    }
    assert!(refused >= 100, "{refused}");
    let large = post(&api, &cast.former_worker, message(TOPIC_KEY, NOW_MS, &[9; MAX_BODY_BYTES])).await;
    assert_eq!(large.0, 201);
    let mut taken = 1;
    for n in 0..20 {
        let answer = post(&api, &cast.former_worker, message(&format!("big-{n}"), NOW_MS, &[9; MAX_BODY_BYTES])).await;
        match answer.0 {
            201 => taken += 1,
            _ => assert_eq!(code(&answer), (429, "too_much_mail")),
        }
    }
    assert_eq!(taken, 3, "128 KiB hold three bodies of 16 KiB in hex");

    // A party that keeps changing its helper does not get more room in a list for it.
    for n in 20..60 {
        let device = PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).unwrap();
        let event = Event::KeyAgentSet { client: Account(cast.client.address()), agent: Account(device.address()) };
        say(&api.store, u64::from(n), event).await;
        assert_eq!(post(&api, &device, message(TOPIC_KEY, NOW_MS + 1000, b"junk")).await.0, 201);
    }

    // The recipient finds the genuine message by topic, whatever is in the box, and so does the client library.
    let shown = list(&api, &format!("{}&limit=64", path(TOPIC_KEY))).await;
    let is_genuine = |m: &&Value| m["sender"] == cast.worker.address().to_string();
    assert_eq!(shown.iter().filter(is_genuine).count(), 1);
    assert!(
        shown.len() <= 6,
        "a message of the worker, the verifier and the former worker, two for the client: {shown:?}"
    );
    let mail = MailClient::new(vec![api.url("").parse().unwrap()], CHAIN_ID);
    let inbox = mail.inbox(RECIPIENT, AGREEMENT, TOPIC_KEY).await.unwrap();
    let found = inbox.iter().find(|(sender, _)| *sender == cast.worker.address()).unwrap();
    assert_eq!(found.1.body, Bytes::from_static(b"the genuine key"));
    // And others still write.
    assert_eq!(post(&api, &cast.worker, message(TOPIC_LOGS, NOW_MS, b"logs")).await.0, 201);
}

/// One more event in a block of its own.
async fn say(store: &Store, number: u64, event: Event) {
    let header = Header { number, hash: B256::with_last_byte(number as u8), parent: B256::ZERO, time: 1000 + number };
    let placed = PlacedEvent {
        block: number,
        block_hash: header.hash,
        time: header.time,
        log_index: 0,
        tx: B256::ZERO,
        address: Account::default(),
        agreement: None,
        worker: event.worker(),
        client: event.client(),
        meter: None,
        event,
    };
    store
        .append(&Batch { headers: vec![header], events: vec![placed], prune_from: 1, prune_to: 0, ..Batch::default() })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_helpers_junk_does_not_use_up_its_principals_share() {
    let dir = tempfile::tempdir().unwrap();
    let (api, cast) = start(dir.path(), MailLimits { signer_messages: 5, ..MailLimits::default() }).await;
    for n in 0..10 {
        let answer = post(&api, &cast.device, message(&format!("t{n}"), NOW_MS, &[0; 100])).await;
        assert_eq!(answer.0, if n < 5 { 201 } else { 429 });
    }
    assert_eq!(post(&api, &cast.worker, message(TOPIC_KEY, NOW_MS, b"mine")).await.0, 201);
    // Replacing is always possible.
    assert_eq!(post(&api, &cast.device, message("t0", NOW_MS + 1, &[0; 100])).await.0, 201);
}

#[tokio::test]
async fn agreements_that_nobody_entered_do_not_buy_much_room() {
    let dir = tempfile::tempdir().unwrap();
    let (api, cast) = start(dir.path(), MailLimits::default()).await;
    let letter =
        |topic: &str, bytes: usize| Message { agreement: OPEN_AGREEMENT, ..message(topic, NOW_MS, &vec![7; bytes]) };
    // A session key for the key agent fits well.
    assert_eq!(post(&api, &cast.client, letter("agent", 81)).await.0, 201);
    assert_eq!(code(&post(&api, &cast.client, letter("junk", 4 << 10)).await), (429, "too_much_mail"));
    // The same letter about work that somebody entered is taken.
    assert_eq!(post(&api, &cast.client, message("junk", NOW_MS, &[7; 4 << 10])).await.0, 201);
}

#[tokio::test]
async fn the_whole_mailbox_has_a_limit_and_expiry_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    let limits = MailLimits { quota_bytes: 2 * 1024, ..MailLimits::default() };
    let (api, cast) = start(dir.path(), limits).await;
    assert_eq!(post(&api, &cast.worker, message("a", NOW_MS, &[0; 256])).await.0, 201);
    assert_eq!(post(&api, &cast.worker, message("b", NOW_MS, &[0; 256])).await.0, 201);
    let full = post(&api, &cast.client, message("a", NOW_MS, b"x")).await;
    assert_eq!(code(&full), (507, "mailbox_full"));
    // In place of an older one of the same size there is room.
    assert_eq!(post(&api, &cast.worker, message("b", NOW_MS + 1, &[1; 256])).await.0, 201);
    api.now_ms.fetch_add(8 * 24 * 3600 * 1000, Ordering::SeqCst);
    api.mailbox.sweep().await.unwrap();
    assert_eq!(post(&api, &cast.client, message("a", NOW_MS, b"x")).await.0, 201);
}
