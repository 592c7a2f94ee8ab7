//! A node whose chain holds one agreement, and an oracle that lies about it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use alloy::primitives::{Address, B256, Bytes, U256, address, hex, keccak256};
use alloy::sol_types::{SolCall, SolEvent};
use serde_json::{Value, json};
use sunwork_protocol::abi::IComputeAgreement::{self, AgreementView, ComputeParams};
use sunwork_protocol::abi::IWorkerDispatcher;
use sunwork_protocol::abi::SunToken;
use sunwork_protocol::status::{Ending, Status};
use sunwork_protocol::terms::{ComputeSpec, ComputeTerms};

pub const AGREEMENT: Address = address!("0xabababababababababababababababababababab");
pub const CLIENT: Address = address!("0xc1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1");
pub const TX: B256 = B256::repeat_byte(0x55);
const DISPATCHER: Address = address!("0x1000000000000000000000000000000000000002");
/// Time of every block.
pub const NOW: u64 = 1_772_374_000;

/// A server on the loopback that answers every request with `answer(request line, body)`.
pub struct Server {
    pub url: String,
    /// The request lines so far.
    pub asked: Arc<Mutex<Vec<String>>>,
}

pub fn serve(answer: impl Fn(&str, &[u8]) -> String + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (answer, log) = (Arc::new(answer), asked.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (answer, log) = (answer.clone(), log.clone());
            std::thread::spawn(move || one(stream, &*answer, &log));
        }
    });
    Server { url, asked }
}

fn one(mut stream: TcpStream, answer: &dyn Fn(&str, &[u8]) -> String, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    log.lock().unwrap().push(first.trim().to_owned());
    let body = answer(first.trim(), &body);
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()
}

/// An oracle that says of everything that it is settled.
pub fn lying_oracle() -> Server {
    serve(|line, _| {
        let lie = json!({ "address": AGREEMENT, "status": "settled", "ending": "verified", "events": [] });
        match line.contains("/v1/health") {
            true => json!({ "ok": true, "chainId": 31337, "indexedBlock": 10, "headBlock": 10 }).to_string(),
            false => {
                json!({ "agreements": [lie.clone()], "nextCursor": null, "status": "settled", "ending": "verified" })
                    .to_string()
            }
        }
    })
}

pub fn terms() -> ComputeTerms {
    ComputeTerms { leaf_count: 4, ..sunwork_protocol::testing::terms() }
}

pub fn spec() -> ComputeSpec {
    ComputeSpec { args: vec!["--width".into()], ..sunwork_protocol::testing::spec() }
}

/// A node of chain 31337 with one agreement in this status, its deadline three minutes ahead.
pub fn chain(status: Status, ending: Ending) -> Server {
    serve(move |_, body| {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let method = request["method"].as_str().unwrap_or_default();
        let result = result(method, &request["params"], status, ending);
        json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string()
    })
}

fn result(method: &str, params: &Value, status: Status, ending: Ending) -> Value {
    match method {
        "eth_chainId" => json!("0x7a69"),
        "eth_blockNumber" => json!("0xa"),
        "eth_getCode" => json!("0x01"),
        "eth_getBalance" => json!("0xde0b6b3a7640000"),
        "eth_getBlockByNumber" => block(params[0].as_str().unwrap_or("latest")),
        "eth_getLogs" => logs(&params[0]),
        "eth_call" => {
            let input = params[0]["input"].as_str().or_else(|| params[0]["data"].as_str()).unwrap_or("0x");
            json!(Bytes::from(call(&hex::decode(input).unwrap_or_default(), status, ending)))
        }
        _ => Value::Null,
    }
}

fn block(number: &str) -> Value {
    let number = if number.starts_with("0x") { number } else { "0xa" };
    let zero = B256::ZERO;
    json!({
        "hash": keccak256(number), "parentHash": zero, "sha3Uncles": zero, "miner": Address::ZERO, "stateRoot": zero,
        "transactionsRoot": zero, "receiptsRoot": zero, "logsBloom": format!("0x{}", "00".repeat(256)), "difficulty": "0x0",
        "number": number, "gasLimit": "0x1c9c380", "gasUsed": "0x0", "timestamp": format!("{NOW:#x}"), "extraData": "0x",
        "mixHash": zero, "nonce": "0x0000000000000000", "baseFeePerGas": "0x1", "size": "0x1", "transactions": [], "uncles": [],
    })
}

fn logs(filter: &Value) -> Value {
    let address = filter["address"].to_string().to_lowercase();
    let topics = filter["topics"].to_string().to_lowercase();
    let event = IWorkerDispatcher::AgreementBought {
        agreement: AGREEMENT,
        client: CLIENT,
        classId: 0,
        kindId: 0,
        budget: alloy::primitives::aliases::U96::from(1_210_000_000_u64),
        terms: terms().pack().unwrap().to_vec().into(),
        spec: spec().encode().into(),
    };
    let signature = format!("{:?}", IWorkerDispatcher::AgreementBought::SIGNATURE_HASH);
    if !address.contains(&format!("{DISPATCHER:?}")) || !topics.contains(&signature) {
        return json!([]);
    }
    let buyer = &filter["topics"][2];
    if !buyer.is_null() && !buyer.to_string().to_lowercase().contains(&hex::encode(CLIENT)) {
        return json!([]);
    }
    let log = event.encode_log_data();
    json!([{
        "address": DISPATCHER, "topics": log.topics(), "data": log.data, "blockNumber": "0x5", "blockHash": keccak256("0x5"),
        "blockTimestamp": format!("{:#x}", NOW - 300), "transactionHash": TX, "transactionIndex": "0x0", "logIndex": "0x0",
        "removed": false,
    }])
}

fn call(input: &[u8], status: Status, ending: Ending) -> Vec<u8> {
    let selector: [u8; 4] = input.get(..4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    match selector {
        SunToken::decimalsCall::SELECTOR => U256::from(9).to_be_bytes_vec(),
        SunToken::symbolCall::SELECTOR => SunToken::symbolCall::abi_encode_returns(&"SUN".to_owned()),
        // A bond of 0.5 SUN, and a wallet that holds none.
        IComputeAgreement::disputeBondCall::SELECTOR => U256::from(500_000_000).to_be_bytes_vec(),
        IWorkerDispatcher::escrowOfCall::SELECTOR => {
            [U256::from(1_210_000_000_u64).to_be_bytes_vec(), U256::from(1).to_be_bytes_vec()].concat()
        }
        IComputeAgreement::agreementCall::SELECTOR => {
            IComputeAgreement::agreementCall::abi_encode_returns(&AgreementView {
                status: status as u8,
                ending: ending as u8,
                deadline: alloy::primitives::aliases::U40::from(if status.is_final() { 0 } else { NOW + 180 }),
                reward: alloy::primitives::aliases::U96::from(700_000_000_u64),
                ..view()
            })
        }
        IComputeAgreement::paramsCall::SELECTOR => IComputeAgreement::paramsCall::abi_encode_returns(&params()),
        // Balances, allowances, key agents: zero.
        _ => U256::ZERO.to_be_bytes_vec(),
    }
}

fn view() -> AgreementView {
    AgreementView {
        status: 0,
        ending: 0,
        attempt: 0,
        strikes: 0,
        sealedCount: 0,
        openedCount: 0,
        worker: Address::ZERO,
        deadline: Default::default(),
        reward: Default::default(),
        round: Default::default(),
        snapshotEpoch: 0,
        closesAt: Default::default(),
        classUnits: Default::default(),
        drawSeed: B256::ZERO,
        commitment: B256::ZERO,
        voteRound: 0,
        kind: 0,
        wanted: 2,
        firstSlot: 0,
        leaves: Vec::new(),
        slots: Vec::new(),
    }
}

fn params() -> ComputeParams {
    let secs = alloy::primitives::aliases::U24::from(60);
    ComputeParams {
        keySecs: secs,
        seedSecs: secs,
        drawStepSecs: secs,
        drawSteps: 5,
        drawFactor: 4,
        revealSecs: secs,
        openSecs: secs,
        maxAttempts: 3,
        maxStrikes: 4,
        abortBps: 200,
        vanishBps: 1000,
        seedTip: alloy::primitives::aliases::U96::from(10_000_000),
        auditOneIn: 0,
    }
}
