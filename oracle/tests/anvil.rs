//! The whole oracle on a real node. The contracts are puppets that say what the test wants; the real ones are played by the
//! end-to-end tests.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod common;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy::{
    primitives::{
        Address, B256, Bytes, LogData, U256,
        aliases::{U40, U48},
    },
    providers::{DynProvider, Provider as _, ext::AnvilApi as _},
    rpc::types::TransactionRequest,
    sol_types::{SolCall as _, SolEvent as _},
};
use common::chain::{DISPATCHER, bought};
use serde_json::{Value, json};
use sunwork_edge::{keystore, rpc};
use sunwork_oracle::{config::Settings, server::Server};
use sunwork_protocol::{abi::IComputeAgreement, status::Status};
use tokio::time::{sleep, timeout};

const CHAIN_ID: u64 = 31337;
const GRACE_SECS: u64 = 5;

struct Anvil {
    child: Child,
    url: String,
}

impl Anvil {
    fn start() -> Self {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let local = root.join(format!("node_modules/@foundry-rs/anvil-linux-{arch}/bin/anvil"));
        let program = if local.exists() { local } else { PathBuf::from("anvil") };
        let mut child =
            Command::new(&program).args(["--port", "0"]).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
                panic!("cannot start {}: {error}; run `npm install --no-save`", program.display())
            });
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().strip_prefix("Listening on ").map(str::to_owned)).unwrap();
        // Its pipe must stay empty, or it blocks some day.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: format!("http://{address}") }
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A contract that emits what it is called with: `topics` words of topics, then the data.
fn relay(topics: u8) -> Bytes {
    let skip = topics * 32;
    // size = calldatasize - skip; calldatacopy(0, skip, size)
    let mut code = vec![0x60, skip, 0x36, 0x03, 0x80, 0x60, skip, 0x60, 0, 0x37];
    for topic in (0..topics).rev() {
        code.extend([0x60, topic * 32, 0x35]);
    }
    // log(0, size, topics…)
    code.extend([0x80 + topics, 0x60, 0, 0xa0 + topics, 0x00]);
    code.into()
}

/// A contract that answers `agreement()` with `view`, and does `otherwise` for every other call.
fn puppet(view: &IComputeAgreement::AgreementView, otherwise: &[u8]) -> Bytes {
    let data = IComputeAgreement::agreementCall::abi_encode_returns(view);
    let word = |n: usize| (n as u16).to_be_bytes();
    let answer_at = 16 + otherwise.len();
    let data_at = answer_at + 16;
    let mut code = vec![0x60, 0, 0x35, 0x60, 0xe0, 0x1c, 0x63];
    code.extend(IComputeAgreement::agreementCall::SELECTOR);
    code.extend([0x14, 0x61]);
    code.extend(word(answer_at));
    code.push(0x57);
    assert_eq!(code.len(), 16);
    code.extend(otherwise);
    code.extend([0x5b, 0x61]);
    code.extend(word(data.len()));
    code.push(0x61);
    code.extend(word(data_at));
    code.extend([0x60, 0, 0x39, 0x61]);
    code.extend(word(data.len()));
    code.extend([0x60, 0, 0xf3]);
    assert_eq!(code.len(), data_at);
    code.extend(data);
    code.into()
}

/// Emits `StatusChanged(status, 0, 0)`.
fn emit_status(status: Status) -> Vec<u8> {
    let mut code = vec![0x60, status as u8, 0x7f];
    code.extend(IComputeAgreement::StatusChanged::SIGNATURE_HASH);
    code.extend([0x60, 0x40, 0x60, 0, 0xa2, 0x00]);
    code
}

const REVERT: [u8; 5] = [0x60, 0, 0x60, 0, 0xfd];

struct Stage {
    provider: DynProvider,
    from: Address,
}

impl Stage {
    async fn new(anvil: &Anvil) -> Self {
        let provider = rpc::connect(&[anvil.url.parse().unwrap()], CHAIN_ID).await.unwrap().provider().clone();
        let from = provider.get_accounts().await.unwrap()[0];
        provider.anvil_set_code(DISPATCHER, relay(4)).await.unwrap();
        Self { provider, from }
    }

    /// Has `address` emit a log, in a block of its own.
    async fn say(&self, address: Address, log: LogData) {
        let mut input: Vec<u8> = log.topics().iter().flat_map(|topic| topic.0).collect();
        input.extend(&log.data);
        let request = TransactionRequest::default().from(self.from).to(address).input(Bytes::from(input).into());
        let pending = self.provider.send_transaction(request).await.unwrap();
        let hash = *pending.tx_hash();
        let mined = async {
            loop {
                if let Some(receipt) = self.provider.get_transaction_receipt(hash).await.unwrap() {
                    return receipt;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(timeout(Duration::from_secs(10), mined).await.unwrap().status());
    }

    async fn buy(&self, agreement: Address) {
        self.say(DISPATCHER, bought(agreement, 1).encode_log_data()).await;
        self.provider.anvil_set_code(agreement, relay(2)).await.unwrap();
    }

    async fn set_status(&self, agreement: Address, status: Status, deadline: u64) {
        let event =
            IComputeAgreement::StatusChanged { status: status as u8, attempt: 0, deadline: U40::from(deadline) };
        self.say(agreement, event.encode_log_data()).await;
    }

    async fn head(&self) -> (u64, u64) {
        let block = self.provider.get_block(alloy::eips::BlockId::latest()).await.unwrap().unwrap();
        (block.header.inner.number, block.header.inner.timestamp)
    }
}

fn view(status: Status, deadline: u64, round: u64) -> IComputeAgreement::AgreementView {
    IComputeAgreement::AgreementView {
        status: status as u8,
        ending: 0,
        attempt: 0,
        strikes: 0,
        sealedCount: 0,
        openedCount: 0,
        worker: Address::ZERO,
        deadline: U40::from(deadline),
        reward: Default::default(),
        round: U48::from(round),
        snapshotEpoch: 0,
        closesAt: U40::ZERO,
        classUnits: U40::ZERO,
        drawSeed: B256::ZERO,
        commitment: B256::ZERO,
        slots: vec![],
    }
}

/// Settings of an oracle in `dir`; its deployment begins at block 0.
fn settings(dir: &Path, anvil: &Anvil, chain_id: u64) -> Settings {
    let deployment = dir.join("deployment.json");
    let text = json!({"chainId": chain_id, "deployedBlock": 0, "token": DISPATCHER, "dispatcher": DISPATCHER,
        "beacon": DISPATCHER, "computeImplementation": DISPATCHER, "classes": ["linux/amd64+docker"]});
    std::fs::write(&deployment, text.to_string()).unwrap();
    Settings {
        listen: Some(([127, 0, 0, 1], 0).into()),
        data_dir: Some(dir.join("data")),
        rpc: Some(vec![anvil.url.parse().unwrap()]),
        deployment: Some(deployment),
        poll_ms: Some(50),
        keeper_grace_secs: Some(GRACE_SECS),
        ..Settings::default()
    }
}

/// Asks until the answer is as wanted.
async fn until(server: &Server, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let url = format!("{}{path}", server.url());
    let mut last = Value::Null;
    for _ in 0..400 {
        last = reqwest::get(&url).await.unwrap().json().await.unwrap();
        if wanted(&last) {
            return last;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} does not happen; {path} says {last}");
}

async fn until_status(server: &Server, agreement: Address, status: &str) {
    let path = format!("/v1/agreements/{agreement}");
    until(server, &path, &format!("{agreement} {status}"), |shown| shown["status"] == status).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keeper_moves_on_what_nobody_moves_and_burns_nothing_on_lost_races() {
    let anvil = Anvil::start();
    let stage = Stage::new(&anvil).await;
    let dir = tempfile::tempdir().unwrap();
    let (key, account) = keystore::create(dir.path(), "secret").unwrap();
    std::fs::write(dir.path().join("password"), "secret\n").unwrap();
    stage.provider.anvil_set_balance(account, U256::from(10).pow(U256::from(18))).await.unwrap();

    let [late, sealed, lost] = [1, 2, 3].map(Address::repeat_byte);
    for agreement in [late, sealed, lost] {
        stage.buy(agreement).await;
    }
    let (round, now) = stage.head().await;
    let sealing = IComputeAgreement::Sealed {
        worker: Address::ZERO,
        attempt: 0,
        seal: B256::ZERO,
        ciphertextRoot: B256::ZERO,
        resultBlob: B256::ZERO,
        round: U48::from(round),
    };
    stage.say(sealed, sealing.encode_log_data()).await;
    for (agreement, status, deadline, otherwise) in [
        (late, Status::Working, now + 1000, emit_status(Status::Cancelled)),
        // A status without deadline, so that nobody asks the puppet again, which says the same for ever.
        (sealed, Status::Sealed, now + 100_000, emit_status(Status::Revealing)),
        (lost, Status::Working, now + 1000, REVERT.to_vec()),
    ] {
        stage.set_status(agreement, status, deadline).await;
        let code = puppet(&view(status, deadline, round), &otherwise);
        stage.provider.anvil_set_code(agreement, code).await.unwrap();
    }

    let mut settings = settings(dir.path(), &anvil, CHAIN_ID);
    settings.keystore = Some(key);
    settings.password_file = Some(dir.path().join("password"));
    let server = Server::bind(settings.clone().check().unwrap()).await.unwrap();
    let second = Server::bind(settings.check().unwrap()).await.unwrap_err();
    assert!(format!("{second:#}").contains("another oracle runs in"), "{second:#}");

    // Inside the grace nothing is sent.
    until_status(&server, late, "working").await;
    assert_eq!(stage.provider.get_transaction_count(account).await.unwrap(), 0);

    stage.provider.anvil_set_next_block_timestamp(now + 1000 + GRACE_SECS + 1).await.unwrap();
    stage.provider.anvil_mine(Some(1), None).await.unwrap();
    until_status(&server, late, "cancelled").await;
    until_status(&server, sealed, "revealing").await;
    until_status(&server, lost, "working").await;
    // The keeper counts when it has the receipts, which is later than the index has the events.
    let counted = async {
        loop {
            let text = reqwest::get(format!("{}/metrics", server.url())).await.unwrap().text().await.unwrap();
            let is = |counter: &str| text.contains(&format!("\nsunwork_oracle_keeper_{counter}\n"));
            if is("sent_total 2") && is("lost_total 1") && is("failed_total 0") {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(10), counted).await.expect("two sent, one lost");
    assert_eq!(stage.provider.get_transaction_count(account).await.unwrap(), 2);
    server.shutdown().await.unwrap();
    let journal = std::fs::read_to_string(dir.path().join("data/keeper.jsonl")).unwrap();
    assert_eq!(journal.matches("\"resolved\"").count(), 2, "{journal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reorganised_chain_and_a_restart_are_followed() {
    let anvil = Anvil::start();
    let stage = Stage::new(&anvil).await;
    let dir = tempfile::tempdir().unwrap();
    let [stays, goes, comes] = [1, 2, 3].map(Address::repeat_byte);
    // Enough blocks for far and near.
    stage.provider.anvil_mine(Some(5), None).await.unwrap();
    stage.buy(stays).await;
    stage.provider.anvil_mine(Some(400), None).await.unwrap();
    let server = Server::bind(settings(dir.path(), &anvil, CHAIN_ID).check().unwrap()).await.unwrap();
    stage.buy(goes).await;
    until_status(&server, goes, "open").await;
    stage.provider.anvil_rollback(Some(1)).await.unwrap();
    stage.buy(comes).await;
    until_status(&server, comes, "open").await;
    let list = until(&server, "/v1/agreements", "a list", |_| true).await;
    let addresses: Vec<_> = list["agreements"].as_array().unwrap().iter().map(|row| row["address"].clone()).collect();
    assert_eq!(addresses, [json!(comes.to_string()), json!(stays.to_string())]);
    server.shutdown().await.unwrap();

    // While it is down the chain loses a block and gets others.
    stage.provider.anvil_rollback(Some(1)).await.unwrap();
    stage.provider.anvil_mine(Some(3), None).await.unwrap();
    stage.buy(goes).await;
    let server = Server::bind(settings(dir.path(), &anvil, CHAIN_ID).check().unwrap()).await.unwrap();
    until_status(&server, goes, "open").await;
    let health = until(&server, "/v1/health", "health", |health| health["ok"] == true).await;
    assert_eq!(health["indexedBlock"], stage.head().await.0);
    let gone = until(&server, &format!("/v1/agreements/{comes}"), "an answer", |_| true).await;
    assert_eq!(gone["error"]["code"], "no_such_agreement");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_node_of_another_chain_and_a_wrong_password_are_refused() {
    let anvil = Anvil::start();
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = settings(dir.path(), &anvil, 1);
    let error = Server::bind(wrong.clone().check().unwrap()).await.unwrap_err();
    assert!(format!("{error:#}").contains("chain 31337, expected chain 1"), "{error:#}");

    wrong = settings(dir.path(), &anvil, CHAIN_ID);
    let (key, _) = keystore::create(dir.path(), "secret").unwrap();
    std::fs::write(dir.path().join("password"), "Secret").unwrap();
    wrong.keystore = Some(key);
    wrong.password_file = Some(dir.path().join("password"));
    let error = Server::bind(wrong.check().unwrap()).await.unwrap_err();
    assert!(format!("{error:#}").contains("password"), "{error:#}");
}
