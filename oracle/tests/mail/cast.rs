//! Everybody with a part in an agreement, a mailbox that serves it, and how letters are written, posted and read.
use std::path::Path;

use crate::common::http::{Limits, TestApi};
use alloy::{
    primitives::{Address, B256, Bytes},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use serde_json::Value;
use sunwork_oracle::{
    chain::Header,
    events::{Event, PlacedEvent},
    follow::Progress,
    json::{Account, Amount},
    mail::MailLimits,
    store::{Batch, Store},
};
use sunwork_protocol::{mail::Message, status::Status};
use tokio::time::Instant;

pub const CHAIN_ID: u64 = 31337;
pub const AGREEMENT: Address = Address::repeat_byte(0xaa);
/// Bought, and nobody has accepted it.
pub const OPEN_AGREEMENT: Address = Address::repeat_byte(0x0e);
pub const OTHER_AGREEMENT: Address = Address::repeat_byte(0xab);
pub const RECIPIENT: B256 = B256::repeat_byte(0x77);

/// Everybody with a part in the agreement, and one without.
pub struct Cast {
    pub client: PrivateKeySigner,
    pub agent: PrivateKeySigner,
    pub worker: PrivateKeySigner,
    pub device: PrivateKeySigner,
    pub old_device: PrivateKeySigner,
    pub former_worker: PrivateKeySigner,
    pub verifier: PrivateKeySigner,
    pub displaced: PrivateKeySigner,
    pub former_verifier: PrivateKeySigner,
    pub stranger: PrivateKeySigner,
}

impl Cast {
    pub fn new() -> Self {
        let signer = |n| PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).unwrap();
        Self {
            client: signer(1),
            agent: signer(2),
            worker: signer(3),
            device: signer(4),
            old_device: signer(5),
            former_worker: signer(6),
            verifier: signer(7),
            displaced: signer(8),
            former_verifier: signer(9),
            stranger: signer(10),
        }
    }

    /// Puts the agreement, and another one of the same client, into an index.
    pub async fn play(&self, store: &Store) {
        let who = |signer: &PrivateKeySigner| Account(signer.address());
        let bought = |agreement: Address| Event::AgreementBought {
            agreement: Account(agreement),
            client: who(&self.client),
            class_id: 0,
            kind_id: 0,
            budget: Amount(1),
            terms: Bytes::new(),
            spec: Bytes::new(),
        };
        let registered = |signer: &PrivateKeySigner| Event::WorkerRegistered {
            worker: who(signer),
            payout: who(signer),
            classes: 1,
            kinds: 1,
            encryption_key: B256::ZERO,
            transport_key: B256::ZERO,
        };
        let accepted = |signer: &PrivateKeySigner, attempt| Event::Accepted {
            worker: who(signer),
            attempt,
            reward: Amount(1),
            locked: Amount(1),
        };
        let device = |signer: &PrivateKeySigner, limit| Event::DeviceSet {
            worker: who(&self.worker),
            device: who(signer),
            limit: Amount(limit),
            since_epoch: 9,
        };
        let claimed = |signer: &PrivateKeySigner, displaced| Event::Claimed {
            verifier: who(signer),
            ticket: Amount(1),
            displaced,
        };
        let status = |status: Status, attempt| Event::StatusChanged { status: status as u8, attempt, deadline: 0 };
        let mut events = vec![
            (None, registered(&self.worker)),
            (None, device(&self.device, 5)),
            (None, device(&self.old_device, 5)),
            (None, device(&self.old_device, 0)),
            (None, Event::KeyAgentSet { client: who(&self.client), agent: who(&self.stranger) }),
            (None, Event::KeyAgentSet { client: who(&self.client), agent: who(&self.agent) }),
        ];
        for agreement in [AGREEMENT, OTHER_AGREEMENT] {
            let of_it = [
                bought(agreement),
                accepted(&self.former_worker, 0),
                Event::WorkerLeft { worker: who(&self.former_worker), attempt: 0, slashed: Amount(0) },
                status(Status::Open, 1),
                accepted(&self.worker, 1),
                status(Status::Drawing, 1),
                claimed(&self.displaced, Account::default()),
                claimed(&self.verifier, who(&self.displaced)),
                claimed(&self.former_verifier, Account::default()),
                Event::VerifierLeft { verifier: who(&self.former_verifier), reason: 6, slashed: Amount(0) },
            ];
            events.extend(of_it.into_iter().map(|event| (Some(Account(agreement)), event)));
        }
        events.push((Some(Account(OPEN_AGREEMENT)), bought(OPEN_AGREEMENT)));
        let header = Header { number: 5, hash: B256::repeat_byte(5), parent: B256::ZERO, time: 1000 };
        let placed = |(i, (agreement, event)): (usize, (Option<Account>, Event))| PlacedEvent {
            block: header.number,
            block_hash: header.hash,
            time: header.time,
            log_index: i as u64,
            tx: B256::ZERO,
            address: Account::default(),
            agreement,
            worker: event.worker(),
            client: event.client(),
            meter: None,
            event,
        };
        let events = events.into_iter().enumerate().map(placed).collect();
        store
            .append(&Batch { headers: vec![header], events, prune_from: 1, prune_to: 0, ..Batch::default() })
            .await
            .unwrap();
    }
}

pub async fn start(dir: &Path, mail: MailLimits) -> (TestApi, Cast) {
    let api = TestApi::start(dir, Limits { mail, ..Limits::default() }).await;
    let cast = Cast::new();
    cast.play(&api.store).await;
    let head = api.store.last_block().await.unwrap();
    let progress = Progress { head, indexed: head, good_at: Some(Instant::now()), ..Progress::default() };
    api.progress.send(progress).unwrap();
    (api, cast)
}

pub fn message(topic: &str, sent_at_ms: u64, body: &[u8]) -> Message {
    Message::new(AGREEMENT, RECIPIENT, topic, sent_at_ms, body.to_vec()).unwrap()
}

pub fn signed(signer: &PrivateKeySigner, message: Message) -> Message {
    let signature = signer.sign_hash_sync(&message.digest(CHAIN_ID)).unwrap();
    message.signed(&signature)
}

pub async fn post(api: &TestApi, signer: &PrivateKeySigner, message: Message) -> (u16, Value) {
    let response = api.http.post(api.url("/v1/mail")).json(&signed(signer, message)).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or_default())
}

pub fn path(topic: &str) -> String {
    format!("/v1/mail?recipient={RECIPIENT}&agreement={AGREEMENT}&topic={topic}")
}

pub async fn list(api: &TestApi, path: &str) -> Vec<Value> {
    let (status, page) = api.json(path).await;
    assert_eq!(status, 200, "{page}");
    page["messages"].as_array().unwrap().clone()
}

pub fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"]["code"].as_str().unwrap_or_default())
}
