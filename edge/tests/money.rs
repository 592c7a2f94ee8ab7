//! Money never surprises: what was signed is found again after a kill, one process sends at a time, a nonce used elsewhere
//! doubles nothing, and no transaction costs more than allowed. On a real chain, with real processes.
#![allow(clippy::unwrap_used)]
mod common;

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Once},
    time::{Duration, Instant},
};

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::{BlockNumberOrTag, Encodable2718},
    network::TxSignerSync,
    primitives::{Address, B256, Bytes, TxKind, U256, address},
    providers::{Provider, ext::AnvilApi},
    signers::local::PrivateKeySigner,
};
use common::Anvil;
use sunwork_edge::{
    rpc::{self, Rpc},
    tx::{
        Claim, FeePolicy, MemoryTxLog, Notice, Notify, PendingState, Settled, TxEntry, TxError, TxLog, TxLogError,
        TxManager, TxOptions, TxOutcome,
    },
    txlog::{FileTxLog, Identity},
};
use url::Url;

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const TO: Address = address!("0x00000000000000000000000000000000000000AA");
const INTENT: B256 = B256::repeat_byte(0x11);
const GWEI: u128 = 1_000_000_000;
/// For what must happen at some time on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(60);

fn signer() -> PrivateKeySigner {
    KEY.parse().unwrap()
}

async fn connected(url: &Url) -> Rpc {
    rpc::connect(std::slice::from_ref(url), 31337).await.unwrap()
}

/// Nothing is bumped by time: tests decide when blocks come.
fn options() -> TxOptions {
    TxOptions {
        poll: Duration::from_millis(20),
        stuck_after: PATIENCE,
        give_up_after: PATIENCE,
        claim_wait: PATIENCE,
        ..TxOptions::default()
    }
}

#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<Notice>>>);

impl Heard {
    fn notify(&self) -> Notify {
        let heard = self.0.clone();
        Notify::to(move |notice| heard.lock().unwrap().push(notice.clone()))
    }

    fn all(&self) -> Vec<Notice> {
        self.0.lock().unwrap().clone()
    }

    async fn until(&self, wanted: impl Fn(&Notice) -> bool) -> Notice {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(notice) = self.all().into_iter().find(|notice| wanted(notice)) {
                return notice;
            }
            assert!(Instant::now() < deadline, "heard only {:?}", self.all());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn file_log(rpc: &Rpc, dir: &Path) -> Arc<FileTxLog> {
    let genesis = rpc.provider().get_block_by_number(BlockNumberOrTag::Number(0)).await.unwrap().unwrap().header.hash;
    Arc::new(FileTxLog::new(dir, Identity { chain_id: 31337, genesis, account: signer().address() }))
}

fn manager(rpc: &Rpc, log: Arc<dyn TxLog>, options: TxOptions) -> TxManager {
    TxManager::with_options(rpc.clone(), signer(), log, options)
}

async fn nonce(rpc: &Rpc) -> u64 {
    rpc.provider().get_transaction_count(signer().address()).await.unwrap()
}

/// A log that does something at a chosen moment.
struct Hooked<L> {
    log: L,
    before_sending: Box<dyn Fn(&TxEntry) + Send + Sync>,
    after_sending: Box<dyn Fn(&TxEntry) + Send + Sync>,
}

impl<L: TxLog> Hooked<L> {
    fn before(log: L, hook: impl Fn(&TxEntry) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { log, before_sending: Box::new(hook), after_sending: Box::new(|_| {}) })
    }
}

impl<L: TxLog> TxLog for Hooked<L> {
    fn signed(&self, entry: &TxEntry) -> Result<(), TxLogError> {
        self.log.signed(entry)
    }
    fn resolved(&self, nonce: u64, hash: B256, outcome: TxOutcome) -> Result<(), TxLogError> {
        self.log.resolved(nonce, hash, outcome)
    }
    fn pending(&self) -> Vec<TxEntry> {
        self.log.pending()
    }
    fn sending(&self, entry: &TxEntry) {
        (self.before_sending)(entry);
    }
    fn sent(&self, entry: &TxEntry) {
        (self.after_sending)(entry);
    }
    fn claim(&self) -> Result<Claim, TxLogError> {
        self.log.claim()
    }
    fn settled(&self, intent: B256) -> Option<Settled> {
        self.log.settled(intent)
    }
}

/// A transaction of the same account from a program that knows nothing of the log.
fn foreign(nonce: u64, to: Address, input: &'static [u8], max_fee_wei: u128) -> Bytes {
    let mut tx = TxEip1559 {
        chain_id: 31337,
        nonce,
        gas_limit: 50_000,
        max_fee_per_gas: max_fee_wei,
        max_priority_fee_per_gas: max_fee_wei,
        to: TxKind::Call(to),
        value: U256::ZERO,
        access_list: Default::default(),
        input: Bytes::from_static(input),
    };
    let signature = signer().sign_transaction_sync(&mut tx).unwrap();
    TxEnvelope::from(tx.into_signed(signature)).encoded_2718().into()
}

/// Sends from within a hook, which is not async; returns when it is mined, or only in the pool.
fn send_now(url: &Url, raw: Bytes, until_mined: bool) {
    let url = url.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let rpc = connected(&url).await;
            let hash = *rpc.provider().send_raw_transaction(&raw).await.unwrap().tx_hash();
            let deadline = Instant::now() + PATIENCE;
            while until_mined && rpc.provider().get_transaction_receipt(hash).await.unwrap().is_none() {
                assert!(Instant::now() < deadline, "the other transaction is not mined");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    });
    thread.join().unwrap();
}

// --- another process ------------------------------------------------------------------------------------------------

/// Not a test of its own: what [`Other`] runs. It sends one transaction and says each step.
#[tokio::test(flavor = "multi_thread")]
async fn other_process() {
    let (Ok(url), Ok(dir)) = (std::env::var("MONEY_RPC"), std::env::var("MONEY_DIR")) else { return };
    let rpc = connected(&url.parse().unwrap()).await;
    let genesis = rpc.provider().get_block_by_number(BlockNumberOrTag::Number(0)).await.unwrap().unwrap().header.hash;
    let identity = Identity { chain_id: 31337, genesis, account: signer().address() };
    let hang = std::env::var("MONEY_HANG").is_ok();
    let say = |word: &str| {
        println!("\nstep:{word}");
        std::io::stdout().flush().unwrap();
    };
    let log = Hooked {
        log: FileTxLog::new(dir, identity),
        before_sending: Box::new(move |_| {
            say("signed");
            if hang {
                std::thread::sleep(PATIENCE);
            }
        }),
        after_sending: Box::new(move |_| say("sent")),
    };
    let sender = manager(&rpc, Arc::new(log), options());
    sender.send_intent("buyContract", TO, Bytes::from_static(b"buy"), INTENT).await.unwrap();
    say("mined");
}

/// A process that sends with the same wallet.
struct Other {
    child: Child,
    steps: std::sync::mpsc::Receiver<String>,
}

impl Other {
    fn start(url: &Url, dir: &Path, hang_before_sending: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["other_process", "--exact", "--nocapture"]).env("MONEY_RPC", url.as_str()).env("MONEY_DIR", dir);
        if hang_before_sending {
            command.env("MONEY_HANG", "1");
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (steps_in, steps) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(step) = line.strip_prefix("step:") {
                    let _ = steps_in.send(step.to_owned());
                }
            }
        });
        Self { child, steps }
    }

    fn wait_for(&self, step: &str) {
        while self.steps.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it never came to {step}")) != step {}
    }

    /// As by `kill -9`.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// --- 1: killed on the way -------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_process_killed_before_it_sent_leaves_a_transaction_that_the_next_one_sends_once() {
    let (anvil, dir) = (Anvil::start(&[]), tempfile::tempdir().unwrap());
    let rpc = connected(&anvil.url).await;
    let other = Other::start(&anvil.url, dir.path(), true);
    other.wait_for("signed");
    other.kill();
    assert_eq!(nonce(&rpc).await, 0, "it was never sent");

    let heard = Heard::default();
    let log = file_log(&rpc, dir.path()).await;
    let next = manager(&rpc, log, TxOptions { notify: heard.notify(), ..options() });
    let list = next.pending().await.unwrap();
    assert_eq!((list.len(), list[0].label.as_str(), list[0].state), (1, "buyContract", PendingState::Unsent));
    let claim = next.claim("buyContract").await.unwrap();
    let found = next.settle(INTENT).await.unwrap().expect("the purchase of the killed process is found");
    assert_eq!((found.hash, found.told), (list[0].hash, false));
    assert_eq!(nonce(&rpc).await, 1, "sent once");
    assert!(matches!(heard.all()[0], Notice::Recovering { nonce: 0, .. }), "{:?}", heard.all());
    assert!(matches!(heard.all()[1], Notice::Recovered { outcome: TxOutcome::Mined, .. }), "{:?}", heard.all());
    next.told(found.hash).unwrap();
    drop(claim);
    assert!(next.pending().await.unwrap().is_empty());
    let recovered = next.recover().await.unwrap();
    assert_eq!((recovered.len(), recovered[0].0.intent), (1, Some(INTENT)));
    assert!(next.recover().await.unwrap().is_empty());
    let later = manager(&rpc, file_log(&rpc, dir.path()).await, options());
    let _claim = later.claim("buyContract").await.unwrap();
    assert!(later.settle(INTENT).await.unwrap().unwrap().told, "that somebody was told is durable too");
}

#[tokio::test]
async fn a_process_killed_before_it_was_mined_is_waited_for() {
    let (anvil, dir) = (Anvil::start(&["--no-mining"]), tempfile::tempdir().unwrap());
    let rpc = connected(&anvil.url).await;
    let other = Other::start(&anvil.url, dir.path(), false);
    other.wait_for("sent");
    other.kill();
    let heard = Heard::default();
    let log = file_log(&rpc, dir.path()).await;
    let next = manager(&rpc, log, TxOptions { notify: heard.notify(), ..options() });
    assert_eq!(next.pending().await.unwrap()[0].state, PendingState::Waiting);
    let task = tokio::spawn({
        let next = next.clone();
        async move {
            let _claim = next.claim("buyContract").await.unwrap();
            next.settle(INTENT).await.unwrap()
        }
    });
    heard.until(|notice| matches!(notice, Notice::Recovering { .. })).await;
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    assert!(task.await.unwrap().is_some());
    assert_eq!(nonce(&rpc).await, 1);
}

// --- 2: two at once -------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_second_process_waits_says_for_whom_and_goes_on() {
    let (anvil, dir) = (Anvil::start(&["--no-mining"]), tempfile::tempdir().unwrap());
    let rpc = connected(&anvil.url).await;
    let other = Other::start(&anvil.url, dir.path(), false);
    other.wait_for("sent");

    let impatient = TxOptions { claim_wait: Duration::ZERO, ..options() };
    let error = manager(&rpc, file_log(&rpc, dir.path()).await, impatient).send("approve", TO, Bytes::new()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, TxError::Busy { pid: Some(pid), .. } if pid == other.child.id()), "{error}");
    assert!(error.is_temporary() && error.to_string().contains("stop it, then try again"), "{error}");

    let heard = Heard::default();
    let log = file_log(&rpc, dir.path()).await;
    let second = manager(&rpc, log, TxOptions { notify: heard.notify(), ..options() });
    let task = tokio::spawn(async move { second.send("approve", TO, Bytes::from_static(b"approve")).await });
    let notice = heard.until(|notice| matches!(notice, Notice::WaitingForOther { .. })).await;
    let pid = other.child.id();
    assert_eq!(notice, Notice::WaitingForOther { pid: Some(pid) });
    let expected = format!("another sunwork command (pid {pid}) is sending with this wallet; waiting");
    assert_eq!(notice.to_string(), expected);
    // From now on blocks come by themselves, for both.
    rpc.provider().anvil_set_auto_mine(true).await.unwrap();
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    other.wait_for("mined");
    assert!(task.await.unwrap().unwrap().status());
    assert_eq!(nonce(&rpc).await, 2, "both, one after the other");
    assert_eq!(heard.all().len(), 1, "told once, and nothing was left to recover: {:?}", heard.all());
}

#[tokio::test]
async fn two_senders_of_one_file_never_mix_up_nonces() {
    let (anvil, dir) = (Anvil::start(&[]), tempfile::tempdir().unwrap());
    let rpc = connected(&anvil.url).await;
    let mut tasks = Vec::new();
    for sender in 0..3_u8 {
        let manager = manager(&rpc, file_log(&rpc, dir.path()).await, options());
        for call in 0..3_u8 {
            let manager = manager.clone();
            tasks.push(tokio::spawn(async move {
                manager.send("note", TO, Bytes::from(vec![sender, call])).await.unwrap().transaction_hash
            }));
        }
    }
    let mut hashes = std::collections::BTreeSet::new();
    for task in tasks {
        hashes.insert(task.await.unwrap());
    }
    assert_eq!((hashes.len(), nonce(&rpc).await), (9, 9));
}

// --- 3: a nonce used elsewhere --------------------------------------------------------------------------------------

#[tokio::test]
async fn a_nonce_that_another_program_used_first_is_explained_and_ours_goes_out_anew() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil.url).await;
    let (once, url, heard) = (Once::new(), anvil.url.clone(), Heard::default());
    let elsewhere = foreign(0, TO, b"other", 10 * GWEI);
    let log = Hooked::before(MemoryTxLog::default(), move |_| {
        once.call_once(|| send_now(&url, elsewhere.clone(), true));
    });
    let sender = manager(&rpc, log, TxOptions { notify: heard.notify(), ..options() });
    let receipt = sender.send("approve", TO, Bytes::from_static(b"ours")).await.unwrap();
    assert!(receipt.status());
    let block = rpc.provider().get_block_by_number(1.into()).await.unwrap().unwrap();
    let other = block.transactions.hashes().next().unwrap();
    let expected = Notice::NonceTaken { label: "approve".into(), nonce: 0, by: Some(other) };
    assert_eq!(heard.all(), vec![expected]);
    assert_eq!(nonce(&rpc).await, 2, "the other one and ours, once");
}

#[tokio::test]
async fn a_nonce_that_another_programs_transaction_waits_with_is_left_to_it() {
    let anvil = Anvil::start(&["--no-mining"]);
    let rpc = connected(&anvil.url).await;
    let (once, url, heard) = (Once::new(), anvil.url.clone(), Heard::default());
    // Dearer than ours: it cannot be replaced by ours, and must not be.
    let elsewhere = foreign(0, TO, b"other", 400 * GWEI);
    let log = Hooked::before(MemoryTxLog::default(), move |_| {
        once.call_once(|| send_now(&url, elsewhere.clone(), false));
    });
    let sender = manager(&rpc, log, TxOptions { notify: heard.notify(), ..options() });
    let task = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send("approve", TO, Bytes::from_static(b"ours")).await }
    });
    heard.until(|notice| matches!(notice, Notice::NonceTaken { nonce: 0, by: None, .. })).await;
    let deadline = Instant::now() + PATIENCE;
    while rpc.provider().get_transaction_count(signer().address()).pending().await.unwrap() < 2 {
        assert!(Instant::now() < deadline, "ours never came with the next nonce");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    assert!(task.await.unwrap().unwrap().status());
    assert_eq!(nonce(&rpc).await, 2);
}

#[tokio::test]
async fn the_same_call_sped_up_by_another_program_is_not_made_twice() {
    let anvil = Anvil::start(&["--no-mining"]);
    let rpc = connected(&anvil.url).await;
    let (heard, log) = (Heard::default(), Arc::new(MemoryTxLog::default()));
    let sender = manager(&rpc, log.clone(), TxOptions { notify: heard.notify(), ..options() });
    let task = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send_intent("buyContract", TO, Bytes::from_static(b"buy"), INTENT).await }
    });
    let deadline = Instant::now() + PATIENCE;
    while rpc.provider().get_transaction_count(signer().address()).pending().await.unwrap() < 1 {
        assert!(Instant::now() < deadline, "it was never sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let faster = rpc.provider().send_raw_transaction(&foreign(0, TO, b"buy", 300 * GWEI)).await.unwrap();
    let faster = *faster.tx_hash();
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    let receipt = task.await.unwrap().unwrap();
    assert_eq!(receipt.transaction_hash, faster, "the other program's transaction did what we wanted");
    assert_eq!(sender.settle(INTENT).await.unwrap().unwrap().hash, faster);
    assert_eq!(heard.all(), vec![Notice::SentElsewhere { label: "buyContract".into(), hash: faster }]);
    assert_eq!(nonce(&rpc).await, 1, "nothing was sent twice");
}

#[tokio::test]
async fn who_used_a_nonce_is_found_far_back() {
    let (anvil, dir) = (Anvil::start(&[]), tempfile::tempdir().unwrap());
    let rpc = connected(&anvil.url).await;
    let other = Other::start(&anvil.url, dir.path(), true);
    other.wait_for("signed");
    other.kill();
    // Long before the next command the account sent other things.
    rpc.provider().anvil_mine(Some(5), None).await.unwrap();
    for nonce in 0..3 {
        drop(rpc.provider().send_raw_transaction(&foreign(nonce, TO, b"other", 10 * GWEI)).await.unwrap());
        rpc.provider().anvil_mine(Some(7), None).await.unwrap();
    }
    let before = nonce(&rpc).await;
    let next = manager(&rpc, file_log(&rpc, dir.path()).await, options());
    let recovered = next.recover().await.unwrap();
    assert_eq!(recovered[0].1, TxOutcome::Dropped);
    assert_eq!(next.settle(INTENT).await.unwrap(), None, "it never took place");
    assert_eq!(nonce(&rpc).await, before);
}

// --- 4: what gas may cost -------------------------------------------------------------------------------------------

fn capped(fees: FeePolicy) -> TxOptions {
    TxOptions { fees, ..options() }
}

#[tokio::test]
async fn what_would_cost_more_than_allowed_is_not_sent() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil.url).await;
    let log = Arc::new(MemoryTxLog::default());
    for fees in [
        FeePolicy { max_fee_per_gas_wei: GWEI / 100, ..FeePolicy::default() },
        FeePolicy { max_tx_cost_wei: Some(21_000 * GWEI / 100), ..FeePolicy::default() },
    ] {
        let error = manager(&rpc, log.clone(), capped(fees)).send("approve", TO, Bytes::new()).await.unwrap_err();
        let TxError::FeeAboveCap { base_fee_wei, .. } = &error else { panic!("{error}") };
        assert_eq!(*base_fee_wei, GWEI, "{error}");
        assert!(error.to_string().contains("max_fee_gwei") && error.to_string().contains("max_tx_cost_eth"), "{error}");
    }
    assert_eq!((nonce(&rpc).await, log.pending().len()), (0, 0));

    // Just enough for the present base fee: the offer is cut down to the cap instead of room for twice of it.
    let fees = FeePolicy { max_tx_cost_wei: Some(30_000 * GWEI * 11 / 10), ..FeePolicy::default() };
    let receipt = manager(&rpc, log, capped(fees)).send("approve", TO, Bytes::new()).await.unwrap();
    assert!(receipt.effective_gas_price * u128::from(receipt.gas_used) <= 30_000 * GWEI * 11 / 10);
}

/// A chain whose base fee rose above what the transaction offers: blocks pass it by.
async fn dearer(rpc: &Rpc, base_fee_wei: u128) {
    rpc.provider().anvil_set_next_block_base_fee_per_gas(base_fee_wei).await.unwrap();
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_up_to_the_cap_and_then_reported() {
    let anvil = Anvil::start(&["--no-mining"]);
    let rpc = connected(&anvil.url).await;
    let cap = 20 * GWEI;
    let fees = FeePolicy { max_fee_per_gas_wei: cap, max_tx_cost_wei: None, bump_percent: 50, bump_after_blocks: 1 };
    let (log, heard) = (Arc::new(MemoryTxLog::default()), Heard::default());
    let sender = manager(&rpc, log.clone(), TxOptions { notify: heard.notify(), ..capped(fees) });
    let task = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send("approve", TO, Bytes::from_static(b"x")).await }
    });
    let deadline = Instant::now() + PATIENCE;
    let mut blocks = 0;
    while !heard.all().iter().any(|notice| matches!(notice, Notice::AtCap { .. })) {
        assert!(Instant::now() < deadline, "{:?}", heard.all());
        if !log.pending().is_empty() {
            dearer(&rpc, 2 * cap).await;
            blocks += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let attempts = log.pending();
    assert!(blocks > 1 && attempts.len() > 2, "{} attempts", attempts.len());
    assert!(attempts.iter().all(|entry| entry.nonce == 0));
    let mut last = 0;
    for notice in heard.all() {
        match notice {
            Notice::Replaced { max_fee_wei, .. } => {
                assert!(max_fee_wei <= cap && max_fee_wei * 10 >= last * 11, "{last} {max_fee_wei}");
                last = max_fee_wei;
            }
            Notice::AtCap { max_fee_wei, cap_wei, base_fee_wei, .. } => {
                assert_eq!((max_fee_wei, cap_wei, base_fee_wei), (last, cap, 2 * cap));
            }
            other => panic!("{other:?}"),
        }
    }
    let list = sender.pending().await.unwrap();
    assert_eq!((list.len(), list[0].attempts, list[0].max_fee_wei), (1, attempts.len(), last));
    assert!(matches!(list[0].state, PendingState::Underpriced | PendingState::Unsent), "{:?}", list[0].state);

    task.abort();
    let impatient = TxOptions { give_up_after: Duration::ZERO, ..capped(fees) };
    let error = manager(&rpc, log.clone(), impatient).recover().await.unwrap_err();
    let TxError::Stuck(stuck) = &error else { panic!("{error}") };
    assert_eq!((stuck.max_fee_wei, stuck.base_fee_wei, stuck.cap_wei, stuck.nonce), (last, 2 * cap, cap, 0));
    assert!(error.is_temporary() && error.to_string().contains("raise max_fee_gwei"), "{error}");

    // Gas is cheap again: the next use of the key brings it home.
    dearer(&rpc, GWEI).await;
    let task = tokio::spawn({
        let sender = sender.clone();
        async move { sender.recover().await }
    });
    let deadline = Instant::now() + PATIENCE;
    while !task.is_finished() {
        assert!(Instant::now() < deadline, "it is not mined");
        rpc.provider().anvil_mine(Some(1), None).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(task.await.unwrap().unwrap()[0].1, TxOutcome::Mined);
    assert_eq!(nonce(&rpc).await, 1, "one of the attempts, once");
}

// --- 5: no money ----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn an_account_that_cannot_pay_for_the_gas_is_told_before_anything_is_signed() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil.url).await;
    // A little ether, but not for the gas.
    rpc.provider().anvil_set_balance(signer().address(), U256::from(1_000)).await.unwrap();
    let log = Arc::new(MemoryTxLog::default());
    let error = manager(&rpc, log.clone(), options()).send("approve", TO, Bytes::new()).await.unwrap_err();
    let TxError::InsufficientFunds { have_wei, need_wei, .. } = &error else { panic!("{error}") };
    assert!(*have_wei == U256::from(1_000) && need_wei > have_wei, "{error}");
    assert!(log.pending().is_empty());
}

#[tokio::test]
async fn a_node_that_says_no_funds_is_understood() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil.url).await;
    // The ether goes away after it was looked at, so that the node is the first to notice.
    let (once, url) = (Once::new(), anvil.url.clone());
    let log = Hooked::before(MemoryTxLog::default(), move |_| {
        let url = url.clone();
        once.call_once(|| {
            let thread = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let rpc = connected(&url).await;
                    rpc.provider().anvil_set_balance(signer().address(), U256::from(5)).await.unwrap();
                });
            });
            thread.join().unwrap();
        });
    });
    let error = manager(&rpc, log.clone(), options()).send("approve", TO, Bytes::new()).await.unwrap_err();
    let TxError::InsufficientFunds { have_wei, .. } = &error else { panic!("{error}") };
    assert_eq!(*have_wei, U256::from(5));
    assert!(log.pending().is_empty(), "it is not sent later, when there is money for something else");
}
