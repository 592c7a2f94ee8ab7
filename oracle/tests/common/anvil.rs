//! A real node with puppets on it: contracts that say what the test wants.
use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use alloy::{
    primitives::{
        Address, B256, Bytes, LogData,
        aliases::{U40, U48},
    },
    providers::{DynProvider, Provider as _, ext::AnvilApi as _},
    rpc::types::TransactionRequest,
    sol_types::{SolCall as _, SolEvent as _},
};
use serde_json::{Value, json};
use sunwork_edge::rpc;
use sunwork_oracle::{config::Settings, server::Server};
use sunwork_protocol::{abi::IComputeAgreement, status::Status};
use tokio::time::{sleep, timeout};

use super::chain::{DISPATCHER, bought};

pub const CHAIN_ID: u64 = 31337;
pub const GRACE_SECS: u64 = 5;

pub struct Anvil {
    child: Child,
    pub url: String,
}

impl Anvil {
    pub fn start() -> Self {
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
pub fn relay(topics: u8) -> Bytes {
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
pub fn puppet(view: &IComputeAgreement::AgreementView, otherwise: &[u8]) -> Bytes {
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

pub struct Stage {
    pub provider: DynProvider,
    pub from: Address,
}

impl Stage {
    pub async fn new(anvil: &Anvil) -> Self {
        let provider = rpc::connect(&[anvil.url.parse().unwrap()], CHAIN_ID).await.unwrap().provider().clone();
        let from = provider.get_accounts().await.unwrap()[0];
        provider.anvil_set_code(DISPATCHER, relay(4)).await.unwrap();
        Self { provider, from }
    }

    /// Has `address` emit a log, in a block of its own.
    pub async fn say(&self, address: Address, log: LogData) {
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
        assert!(timeout(Duration::from_secs(60), mined).await.unwrap().status());
    }

    pub async fn buy(&self, agreement: Address) {
        self.say(DISPATCHER, bought(agreement, 1).encode_log_data()).await;
        self.provider.anvil_set_code(agreement, relay(2)).await.unwrap();
    }

    pub async fn set_status(&self, agreement: Address, status: Status, deadline: u64) {
        self.set_attempt(agreement, status, 0, deadline).await;
    }

    pub async fn set_attempt(&self, agreement: Address, status: Status, attempt: u8, deadline: u64) {
        let event = IComputeAgreement::StatusChanged { status: status as u8, attempt, deadline: U40::from(deadline) };
        self.say(agreement, event.encode_log_data()).await;
    }

    pub async fn head(&self) -> (u64, u64) {
        let block = self.provider.get_block(alloy::eips::BlockId::latest()).await.unwrap().unwrap();
        (block.header.inner.number, block.header.inner.timestamp)
    }
}

pub fn view(status: Status, deadline: u64, round: u64) -> IComputeAgreement::AgreementView {
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
        voteRound: 0,
        kind: 0,
        wanted: 2,
        firstSlot: 0,
        leaves: vec![],
        slots: vec![],
    }
}

/// Settings of an oracle in `dir`; its deployment begins at block 0.
pub fn settings(dir: &Path, anvil: &Anvil, chain_id: u64) -> Settings {
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
pub async fn until(server: &Server, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
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

pub async fn until_status(server: &Server, agreement: Address, status: &str) {
    let path = format!("/v1/agreements/{agreement}");
    until(server, &path, &format!("{agreement} {status}"), |shown| shown["status"] == status).await;
}
