//! The key agent of a whole oracle, on a real node with puppets for contracts.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod common;

use std::time::Duration;

use alloy::{
    consensus::Transaction as _,
    eips::BlockId,
    primitives::{Address, B256, Bytes, U256, aliases::U96, keccak256},
    providers::{Provider as _, ext::AnvilApi as _},
    signers::local::PrivateKeySigner,
    sol_types::{SolCall, SolEvent as _},
};
use common::{
    anvil::{Anvil, CHAIN_ID, Stage, puppet, relay, settings, until, until_status, view},
    chain::{DISPATCHER, bought},
};
use sunwork_edge::{keystore, mail::MailClient};
use sunwork_oracle::{
    config::{AgentSettings, Settings},
    server::Server,
};
use sunwork_protocol::{
    abi::{IComputeAgreement, IWorkerDispatcher},
    envelope::{Context, Purpose, SecretKey, open_key, seal_key},
    mail::{Message, TOPIC_AGENT, TOPIC_KEY},
    session::SessionKey,
    status::Status,
    terms::ComputeSpec,
};
use tokio::time::{sleep, timeout};

const DEADLINE: u64 = 4_000_000_000;

/// Answers every call with what is stored under the hash of its calldata.
const ANSWERS: [u8; 20] =
    [0x36, 0x60, 0, 0x60, 0, 0x37, 0x36, 0x60, 0, 0x20, 0x54, 0x60, 0, 0x52, 0x60, 0x20, 0x60, 0, 0xf3, 0];

/// An agreement that waits for a key: goes to work when one is posted, and emits what it is told to.
fn keying(attempt: u8, worker: Address) -> Bytes {
    let mut shown = view(Status::Keying, DEADLINE, 0);
    (shown.attempt, shown.worker) = (attempt, worker);
    agreement(&shown)
}

fn agreement(shown: &IComputeAgreement::AgreementView) -> Bytes {
    let relay = relay(2);
    let on_post = 31 + relay.len();
    let mut code = vec![0x60, 0, 0x35, 0x60, 0xe0, 0x1c, 0x63];
    code.extend(IComputeAgreement::postKeyCall::SELECTOR);
    code.extend([0x14, 0x60, u8::try_from(on_post).unwrap(), 0x57]);
    code.extend(&relay);
    // StatusChanged(Working, attempt, 0)
    code.extend([0x5b, 0x60, shown.attempt, 0x60, 0, 0x52, 0x60, Status::Working as u8, 0x7f]);
    code.extend(IComputeAgreement::StatusChanged::SIGNATURE_HASH);
    code.extend([0x60, 0x40, 0x60, 0, 0xa2, 0x00]);
    puppet(shown, &code)
}

fn spec(key: &SessionKey) -> ComputeSpec {
    ComputeSpec {
        key_commitment: key.commitment(),
        key_nonce: B256::repeat_byte(2),
        client_key: SecretKey::derive(&[3; 32]).public(),
        ..sunwork_protocol::testing::spec()
    }
}

struct Play {
    stage: Stage,
    agent: Address,
}

impl Play {
    async fn buy(&self, agreement: Address, client: Address, key: &SessionKey) {
        self.stage.provider.anvil_set_code(DISPATCHER, relay(4)).await.unwrap();
        let purchase =
            IWorkerDispatcher::AgreementBought { client, spec: spec(key).encode().into(), ..bought(agreement, 1) };
        self.stage.say(DISPATCHER, purchase.encode_log_data()).await;
    }

    async fn name_agent(&self, client: Address) {
        self.stage.provider.anvil_set_code(DISPATCHER, relay(2)).await.unwrap();
        let named = IWorkerDispatcher::KeyAgentSet { client, agent: self.agent };
        self.stage.say(DISPATCHER, named.encode_log_data()).await;
    }

    async fn accept(&self, agreement: Address, attempt: u8, worker: Address) {
        self.stage.provider.anvil_set_code(agreement, keying(attempt, worker)).await.unwrap();
        let accepted = IComputeAgreement::Accepted { worker, attempt, reward: U96::ONE, locked: U96::ONE };
        self.stage.say(agreement, accepted.encode_log_data()).await;
        self.stage.set_attempt(agreement, Status::Keying, attempt, DEADLINE).await;
    }

    /// Has the dispatcher answer a call.
    async fn answer(&self, call: impl SolCall, value: B256) {
        let slot = U256::from_be_bytes(keccak256(call.abi_encode()).0);
        self.stage.provider.anvil_set_storage_at(DISPATCHER, slot, value).await.unwrap();
    }

    /// What the agent sent, in order: to whom, and the calldata.
    async fn sent(&self) -> Vec<(Address, Bytes)> {
        let mut sent = Vec::new();
        for number in 0..=self.stage.head().await.0 {
            let block = self.stage.provider.get_block(BlockId::number(number)).full().await.unwrap().unwrap();
            for tx in block.transactions.txns().filter(|tx| tx.inner.signer() == self.agent) {
                sent.push((tx.to().unwrap(), tx.input().clone()));
            }
        }
        sent
    }

    /// Envelopes posted to an agreement, in order.
    async fn posted(&self, agreement: Address) -> Vec<Bytes> {
        let sent = self.sent().await.into_iter().filter(|(to, _)| *to == agreement);
        sent.map(|(_, input)| IComputeAgreement::postKeyCall::abi_decode(&input).unwrap().sealedKey).collect()
    }
}

/// Mails a session key for the agent as a client does; again while the oracle does not know the agreement.
async fn mail_key(server: &Server, client: &PrivateKeySigner, agreement: Address, agent_key: B256, key: &SessionKey) {
    let context = Context { purpose: Purpose::AgentKey, chain_id: CHAIN_ID, agreement, attempt: 0 };
    let envelope = seal_key(agent_key, &context, key, [5; 32]).unwrap();
    let now_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let message = Message::new(agreement, agent_key, TOPIC_AGENT, now_ms, envelope).unwrap();
    let mail = MailClient::new(vec![server.url().parse().unwrap()], CHAIN_ID);
    let send = async {
        while let Err(error) = mail.send(client, message.clone()).await {
            assert!(error.is_temporary(), "{error}");
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), send).await.unwrap();
}

async fn until_metric(server: &Server, line: &str) {
    let seen = async {
        loop {
            let text = reqwest::get(format!("{}/metrics", server.url())).await.unwrap().text().await.unwrap();
            if text.contains(&format!("\nsunwork_oracle_{line}\n")) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), seen).await.unwrap_or_else(|_| panic!("{line} does not come"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_go_to_the_workers_of_clients_that_named_the_agent_and_to_nobody_else() {
    let anvil = Anvil::start();
    let stage = Stage::new(&anvil).await;
    let dir = tempfile::tempdir().unwrap();
    let (keystore, agent) = keystore::create(dir.path(), "secret").unwrap();
    std::fs::write(dir.path().join("password"), "secret\n").unwrap();
    stage.provider.anvil_set_balance(agent, U256::from(10).pow(U256::from(18))).await.unwrap();
    let play = Play { stage, agent };

    let signer = |n| PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).unwrap();
    let (client, disloyal) = (signer(1), signer(2));
    let [plain, unnamed, late, wrong, keyless] = [1, 2, 3, 4, 5].map(Address::repeat_byte);
    let [first, second, without] = [11, 12, 13].map(Address::repeat_byte);
    let [first_key, second_key] = [21, 22].map(|n| SecretKey::derive(&[n; 32]));
    let session = SessionKey::from_bytes([7; 32]);
    for agreement in [plain, late, wrong, keyless] {
        play.buy(agreement, client.address(), &session).await;
    }
    play.buy(unnamed, disloyal.address(), &session).await;
    play.name_agent(client.address()).await;
    // By its events this client named the agent; the chain itself says otherwise.
    play.name_agent(disloyal.address()).await;
    play.stage.provider.anvil_set_code(DISPATCHER, Bytes::from(ANSWERS)).await.unwrap();
    play.answer(IWorkerDispatcher::keyAgentOfCall { client: client.address() }, agent.into_word()).await;
    play.answer(IWorkerDispatcher::encryptionKeyOfCall { account: first }, first_key.public()).await;
    play.answer(IWorkerDispatcher::encryptionKeyOfCall { account: second }, second_key.public()).await;
    for agreement in [plain, unnamed, late, wrong] {
        play.accept(agreement, 0, first).await;
    }
    play.accept(keyless, 0, without).await;

    let mut settings = settings(dir.path(), &anvil, CHAIN_ID);
    settings.key_agent = AgentSettings {
        clients: Some("any".parse().unwrap()),
        keystore: Some(keystore),
        password_file: Some(dir.path().join("password")),
        ..AgentSettings::default()
    };
    let bind = async |settings: &Settings| Server::bind(settings.clone().check().unwrap()).await.unwrap();
    let server = bind(&settings).await;
    let identity = until(&server, "/v1/key-agent", "an identity", |shown| shown["address"].is_string()).await;
    assert_eq!(identity["address"], agent.to_string());
    let agent_key: B256 = identity["encryptionKey"].as_str().unwrap().parse().unwrap();
    let sent = play.sent().await;
    let published = IWorkerDispatcher::setEncryptionKeyCall { key: agent_key }.abi_encode();
    assert_eq!(sent, [(DISPATCHER, Bytes::from(published))], "its key, once, and no session key");
    play.answer(IWorkerDispatcher::encryptionKeyOfCall { account: agent }, agent_key).await;
    until_metric(&server, "key_agent_waiting 5").await;

    for (agreement, key) in [(plain, &session), (wrong, &SessionKey::from_bytes([8; 32])), (keyless, &session)] {
        mail_key(&server, &client, agreement, agent_key, key).await;
    }
    mail_key(&server, &disloyal, unnamed, agent_key, &session).await;
    until_status(&server, plain, "working").await;
    until_status(&server, keyless, "working").await;
    let context = |attempt| Context { purpose: Purpose::WorkerKey, chain_id: CHAIN_ID, agreement: plain, attempt };
    let posted = play.posted(plain).await;
    assert_eq!(posted.len(), 1);
    assert_eq!(open_key(&first_key, &context(0), &posted[0], session.commitment()), Ok(session.clone()));
    assert_eq!(play.posted(keyless).await, [Bytes::new()], "nothing can be sealed to it, and it is not left waiting");

    // A message that comes late is still in time.
    assert_eq!(play.posted(late).await.len(), 0);
    mail_key(&server, &client, late, agent_key, &session).await;
    until_status(&server, late, "working").await;

    // Drawn verifiers get the key as well, though by the index the claim window has not closed yet.
    let (verifier, reader) = (Address::repeat_byte(14), SecretKey::derive(&[24; 32]));
    play.answer(IWorkerDispatcher::encryptionKeyOfCall { account: verifier }, reader.public()).await;
    let mut verifying = view(Status::Verifying, DEADLINE, 0);
    // In a later round of voting: the slots of earlier ones, who have had the key, come before.
    let earlier = IComputeAgreement::Slot { verifier: Address::repeat_byte(15), ..Default::default() };
    verifying.slots = vec![earlier, IComputeAgreement::Slot { verifier, voteRound: 1, ..Default::default() }];
    (verifying.voteRound, verifying.firstSlot) = (1, 1);
    play.stage.provider.anvil_set_code(late, agreement(&verifying)).await.unwrap();
    play.stage.set_attempt(late, Status::Drawing, 0, DEADLINE).await;
    let mail = MailClient::new(vec![server.url().parse().unwrap()], CHAIN_ID);
    let letter = async {
        loop {
            let found = mail.inbox_from(&[agent], reader.public(), late, TOPIC_KEY).await.unwrap();
            if let Some((_, message)) = found.into_iter().next() {
                return message;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let letter = timeout(Duration::from_secs(60), letter).await.expect("a letter to the verifier");
    let for_verifier = Context { purpose: Purpose::VerifierKey, chain_id: CHAIN_ID, agreement: late, attempt: 0 };
    assert_eq!(open_key(&reader, &for_verifier, &letter.body, session.commitment()), Ok(session.clone()));

    // The worker gives up and another one accepts: it gets an envelope of its own.
    play.accept(plain, 1, second).await;
    until_metric(&server, "key_agent_posted_total 4").await;
    until_status(&server, plain, "working").await;
    let posted = play.posted(plain).await;
    assert_eq!(posted.len(), 2);
    assert_eq!(open_key(&second_key, &context(1), &posted[1], session.commitment()), Ok(session.clone()));

    // The chain drops the block with the post: it is made again.
    play.stage.provider.anvil_rollback(Some(1)).await.unwrap();
    assert_eq!(play.posted(plain).await.len(), 1);
    play.stage.provider.anvil_mine(Some(2), None).await.unwrap();
    until_metric(&server, "key_agent_posted_total 5").await;
    let posted = play.posted(plain).await;
    assert_eq!(posted.len(), 2);
    assert_eq!(open_key(&second_key, &context(1), &posted[1], session.commitment()), Ok(session));
    until_status(&server, plain, "working").await;

    // A restart repeats nothing, and neither the wrong key nor the one of the disloyal client was ever posted.
    let before = play.sent().await;
    server.shutdown().await.unwrap();
    let server = bind(&settings).await;
    until(&server, "/v1/key-agent", "an identity", |shown| shown["encryptionKey"] == agent_key.to_string()).await;
    until_metric(&server, "key_agent_waiting 1").await;
    assert_eq!(play.sent().await, before);
    for (agreement, status) in [(wrong, "keying"), (unnamed, "keying"), (late, "drawing"), (keyless, "working")] {
        until_status(&server, agreement, status).await;
    }
    server.shutdown().await.unwrap();
}
