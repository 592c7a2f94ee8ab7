//! What the tests share: a real anvil, and a node that misbehaves on command.
#![allow(dead_code)]

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use serde_json::{Value, json};
use url::Url;

/// A real anvil on a port of its own choice; ends with the value.
pub struct Anvil {
    child: Child,
    pub url: Url,
}

impl Anvil {
    pub fn start(args: &[&str]) -> Self {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let local = root.join(format!("node_modules/@foundry-rs/anvil-linux-{arch}/bin/anvil"));
        let program = if local.exists() { local } else { PathBuf::from("anvil") };
        let mut child =
            Command::new(&program).args(["--port", "0"]).args(args).stdout(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("cannot start {}: {error}; run `npm install --no-save`", program.display()),
            );
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| line.unwrap().strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil says where it listens");
        // Keep its pipe empty, or it blocks some day.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: format!("http://{address}").parse().unwrap() }
    }

    pub fn ws_url(&self) -> Url {
        self.url.as_str().replace("http://", "ws://").parse().unwrap()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a scripted node does with a request.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Answers like a node of this chain with this head.
    Good { chain_id: u64, head: u64 },
    /// Status 503.
    Down,
    /// Never answers.
    Lag,
    /// This text instead of JSON-RPC.
    Text(&'static str),
    /// This result for everything but the chain id.
    Result(Value),
    /// Good, but under another id.
    WrongId,
}

/// A node that does what it is told.
pub struct Node {
    pub url: Url,
    mode: Arc<Mutex<Mode>>,
    pub requests: Arc<AtomicU64>,
}

type Shared = (Arc<Mutex<Mode>>, Arc<AtomicU64>);

impl Node {
    pub async fn start(mode: Mode) -> Self {
        let mode = Arc::new(Mutex::new(mode));
        let requests = Arc::new(AtomicU64::new(0));
        let router = Router::new().route("/", post(answer)).with_state((mode.clone(), requests.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, mode, requests }
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }
}

async fn answer(State((mode, requests)): State<Shared>, body: String) -> impl IntoResponse {
    requests.fetch_add(1, Ordering::Relaxed);
    let request: Value = serde_json::from_str(&body).unwrap();
    let mode = mode.lock().unwrap().clone();
    let reply =
        |id: Value, result: Value| (StatusCode::OK, json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string());
    let id = request["id"].clone();
    let method = request["method"].as_str().unwrap();
    match mode {
        Mode::Down => (StatusCode::SERVICE_UNAVAILABLE, "down for maintenance".to_owned()),
        Mode::Lag => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            reply(id, Value::Null)
        }
        Mode::Text(text) => (StatusCode::OK, text.to_owned()),
        Mode::WrongId => reply(json!(123_456_789), json!("0x7a69")),
        Mode::Result(_) if method == "eth_chainId" => reply(id, json!("0x7a69")),
        Mode::Result(result) => reply(id, result),
        Mode::Good { chain_id, head } => {
            let result = match method {
                "eth_chainId" => json!(format!("{chain_id:#x}")),
                "eth_blockNumber" => json!(format!("{head:#x}")),
                "eth_getBlockByNumber" => block(head),
                _ => Value::Null,
            };
            reply(id, result)
        }
    }
}

fn block(number: u64) -> Value {
    let zero = format!("0x{}", "00".repeat(32));
    json!({
        "number": format!("{number:#x}"), "hash": zero, "parentHash": zero, "sha3Uncles": zero, "stateRoot": zero,
        "transactionsRoot": zero, "receiptsRoot": zero, "mixHash": zero, "miner": format!("0x{}", "00".repeat(20)),
        "logsBloom": format!("0x{}", "00".repeat(256)), "difficulty": "0x0", "gasLimit": "0x1c9c380", "gasUsed": "0x0",
        "timestamp": format!("{:#x}", 1_700_000_000 + number), "extraData": "0x", "nonce": "0x0000000000000000",
        "baseFeePerGas": "0x7", "uncles": [], "transactions": [], "size": "0x200",
    })
}
