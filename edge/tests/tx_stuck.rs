//! Transactions that no block takes, and chains that take back what they had: bumped up to the cap, gaps filled, nothing twice.
#![allow(clippy::unwrap_used)]
mod common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    consensus::Transaction as _,
    eips::BlockId,
    network::TransactionBuilder as _,
    primitives::{Address, Bytes, U256, address},
    providers::{Provider, ext::AnvilApi},
    rpc::types::TransactionRequest,
};
use common::Anvil;
use sunwork_edge::{
    rpc::{self, Rpc},
    tx::{FeePolicy, MemoryTxLog, PendingState, TxError, TxLog, TxManager, TxOptions, TxOutcome},
};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const TO: Address = address!("0x00000000000000000000000000000000000000AA");
const GWEI: u128 = 1_000_000_000;
/// For what takes milliseconds on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(60);

async fn connected(anvil: &Anvil) -> Rpc {
    rpc::connect(std::slice::from_ref(&anvil.url), 31337).await.unwrap()
}

fn quick() -> TxOptions {
    TxOptions {
        poll: Duration::from_millis(20),
        stuck_after: Duration::from_millis(200),
        give_up_after: Duration::from_secs(60),
        ..TxOptions::default()
    }
}

fn manager(rpc: &Rpc, log: Arc<dyn TxLog>, options: TxOptions) -> TxManager {
    TxManager::with_options(rpc.clone(), KEY.parse().unwrap(), log, options)
}

async fn until(what: &str, mut wanted: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !wanted().await {
        assert!(started.elapsed() < PATIENCE, "{what} does not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The base fee rises above what was offered: it is bumped again and again, never above the cap, and mined once gas is cheap.
#[tokio::test]
async fn a_rising_base_fee_is_followed_up_to_the_cap_and_no_further() {
    let anvil = Anvil::start(&["--no-mining", "--base-fee", "1000000000"]);
    let rpc = connected(&anvil).await;
    let log = Arc::new(MemoryTxLog::default());
    let cap_wei = 5 * GWEI;
    let fees = FeePolicy { max_fee_per_gas_wei: cap_wei, bump_percent: 30, ..FeePolicy::default() };
    let sender = manager(&rpc, log.clone(), TxOptions { fees, ..quick() });
    let sending = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send("slow", TO, Bytes::from_static(b"slow")).await }
    });
    until("a first attempt", async || !log.pending().is_empty()).await;
    rpc.provider().anvil_set_next_block_base_fee_per_gas(9 * GWEI).await.unwrap();
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    until("it is at the cap", async || {
        sender.pending().await.unwrap().first().is_some_and(|tx| tx.max_fee_wei == cap_wei)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let shown = sender.pending().await.unwrap().remove(0);
    assert_eq!((shown.state, shown.max_fee_wei, shown.cap_wei), (PendingState::Underpriced, cap_wei, Some(cap_wei)));
    assert!(shown.attempts >= 3, "{shown:?}");
    assert!(shown.signed_at.is_some() && shown.base_fee_wei > cap_wei, "{shown:?}");
    let json = serde_json::to_value(&shown).unwrap();
    assert_eq!(json["capWei"], cap_wei.to_string());
    for entry in log.pending() {
        let raw = alloy::eips::Decodable2718::decode_2718(&mut entry.raw.as_ref());
        let tx: alloy::consensus::TxEnvelope = raw.unwrap();
        assert!(tx.max_fee_per_gas() <= cap_wei, "no attempt is above the cap: {}", tx.max_fee_per_gas());
    }
    until("it is mined", async || {
        rpc.provider().anvil_set_next_block_base_fee_per_gas(GWEI).await.unwrap();
        rpc.provider().anvil_mine(Some(1), None).await.unwrap();
        sending.is_finished()
    })
    .await;
    assert!(sending.await.unwrap().unwrap().status());
    assert!(log.pending().is_empty());
    assert_eq!(rpc.provider().get_transaction_count(sender.address()).await.unwrap(), 1, "one of the attempts, once");
}

/// Who waited gave up; a later call is behind it. Its first is bumped all the same, so that the later one is mined.
#[tokio::test]
async fn a_later_call_gets_an_abandoned_one_going() {
    let anvil = Anvil::start(&["--no-mining"]);
    let rpc = connected(&anvil).await;
    let log = Arc::new(MemoryTxLog::default());
    let sender = manager(&rpc, log.clone(), TxOptions { give_up_after: Duration::from_millis(100), ..quick() });
    let error = sender.send("first", TO, Bytes::from_static(b"first")).await.unwrap_err();
    assert!(matches!(error, TxError::Stuck(_)), "{error}");
    // The node forgets what waits, as one that is killed does.
    rpc.provider().raw_request::<_, ()>("anvil_dropAllTransactions".into(), ()).await.unwrap();
    let later = manager(&rpc, log.clone(), quick());
    let sending = tokio::spawn({
        let later = later.clone();
        async move { later.send("second", TO, Bytes::from_static(b"second")).await }
    });
    until("both are sent", async || {
        rpc.provider().get_transaction_count(later.address()).pending().await.unwrap() == 2
    })
    .await;
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    assert!(sending.await.unwrap().unwrap().status());
    let settled = later.tend().await.unwrap();
    assert_eq!((settled.len(), settled[0].1), (1, TxOutcome::Mined), "what nobody waits for is noted, too");
    assert!(log.pending().is_empty());
}

#[tokio::test]
async fn what_a_run_before_wrote_down_and_nobody_sent_is_sent_by_tending() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil).await;
    // Signed on a node that is gone: what is in the log was never in this chain's pool.
    let elsewhere = Anvil::start(&["--no-mining"]);
    let log = Arc::new(MemoryTxLog::default());
    let before = manager(
        &connected(&elsewhere).await,
        log.clone(),
        TxOptions { give_up_after: Duration::from_millis(50), ..quick() },
    );
    before.send("pay", TO, Bytes::from_static(b"once")).await.unwrap_err();
    let now = manager(&rpc, log.clone(), quick());
    until("it is settled", async || {
        now.tend().await.unwrap().first().is_some_and(|(_, outcome)| *outcome == TxOutcome::Mined)
    })
    .await;
    assert_eq!(rpc.provider().get_transaction_count(now.address()).await.unwrap(), 1);
}

/// On a node that keeps no old states nobody can say which transaction used the nonce: it counts as lost once that lasts, and is not
/// listed for ever.
#[tokio::test]
async fn a_nonce_that_was_used_by_nobody_knows_whom_is_let_go_by_tending() {
    let anvil = Anvil::start(&["--prune-history", "1"]);
    let rpc = connected(&anvil).await;
    let elsewhere = Anvil::start(&["--no-mining"]);
    let log = Arc::new(MemoryTxLog::default());
    let hasty = TxOptions { give_up_after: Duration::from_millis(50), ..quick() };
    let before = manager(&connected(&elsewhere).await, log.clone(), hasty);
    before.send("pay", TO, Bytes::from_static(b"once")).await.unwrap_err();
    let foreign = manager(&rpc, Arc::new(MemoryTxLog::default()), quick());
    foreign.send("other", TO, Bytes::from_static(b"other")).await.unwrap();
    for _ in 0..20 {
        rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    }
    let now = manager(&rpc, log.clone(), quick());
    assert!(now.tend().await.unwrap().is_empty(), "one look proves nothing");
    assert_eq!(now.pending().await.unwrap()[0].state, PendingState::NonceUsed);
    let mut settled = Vec::new();
    until("it is let go", async || {
        settled = now.tend().await.unwrap();
        !settled.is_empty()
    })
    .await;
    assert_eq!((settled.len(), settled[0].1), (1, TxOutcome::Dropped));
    assert!(log.pending().is_empty());
}

/// Receiver and input of the account's transactions on the chain, in their order.
async fn sent_by(rpc: &Rpc, account: Address) -> Vec<(Address, Bytes)> {
    let mut sent = Vec::new();
    for number in 0..=rpc.provider().get_block_number().await.unwrap() {
        let block = rpc.provider().get_block(BlockId::number(number)).full().await.unwrap().unwrap();
        for tx in block.transactions.into_transactions().filter(|tx| tx.inner.signer() == account) {
            sent.push((tx.inner.to().unwrap(), tx.inner.input().clone()));
        }
    }
    sent
}

/// Reorganisations of depth 1 to 20 take back mined transactions of ours, and one more waits behind them: everything goes on, with
/// every call mined once.
#[tokio::test]
async fn what_reorganisations_take_back_holds_nothing_up() {
    for depth in [1, 2, 3, 5, 8, 13, 20_u64] {
        let anvil = Anvil::start(&[]);
        let rpc = connected(&anvil).await;
        rpc.provider().anvil_mine(Some(30), None).await.unwrap();
        let log = Arc::new(MemoryTxLog::default());
        let sender = manager(&rpc, log.clone(), quick());
        for n in 0..depth {
            assert!(sender.send("note", TO, Bytes::from(vec![n as u8])).await.unwrap().status());
        }
        rpc.provider().anvil_set_auto_mine(false).await.unwrap();
        let waiting = tokio::spawn({
            let sender = sender.clone();
            async move { sender.send("last", TO, Bytes::from_static(b"last")).await }
        });
        until("it waits", async || log.pending().iter().any(|entry| entry.nonce == depth)).await;
        // The blocks with the first ones are gone, and the node has forgotten them.
        rpc.provider().anvil_rollback(Some(depth)).await.unwrap();
        assert_eq!(rpc.provider().get_transaction_count(sender.address()).await.unwrap(), 0);
        rpc.provider().anvil_set_auto_mine(true).await.unwrap();
        // The same call again takes the lowest missing nonce, the others are filled; on a slow machine all are filled before it.
        assert!(sender.send("note", TO, Bytes::from(vec![0])).await.unwrap().status(), "depth {depth}");
        let receipt = waiting.await.unwrap().unwrap_or_else(|error| panic!("depth {depth}: {error}"));
        assert!(receipt.status());
        let sent = sent_by(&rpc, sender.address()).await;
        let (calls, fillers): (Vec<_>, Vec<_>) = sent.into_iter().partition(|(to, _)| *to == TO);
        let calls: Vec<Bytes> = calls.into_iter().map(|(_, input)| input).collect();
        let (note, last) = (Bytes::from(vec![0]), Bytes::from_static(b"last"));
        assert!(
            calls == [note.clone(), last.clone()] || calls == [last, note.clone()],
            "depth {depth}: each call once: {calls:?}"
        );
        let idle = |(to, input): &(Address, Bytes)| *to == sender.address() && input.is_empty();
        assert!(fillers.iter().all(idle), "depth {depth}: the others do nothing");
        let late = u64::from(calls[0] != note);
        assert_eq!(
            fillers.len() as u64,
            depth - 1 + late,
            "depth {depth}: no nonce is filled but those that are missing"
        );
        until("nothing waits", async || {
            sender.tend().await.unwrap();
            log.pending().is_empty()
        })
        .await;
    }
}

/// The same with other transactions of the account in the new blocks: ours with the same nonce are lost, noticed, and sent anew.
#[tokio::test]
async fn a_reorganisation_with_other_transactions_loses_no_call() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil).await;
    let log = Arc::new(MemoryTxLog::default());
    let sender = manager(&rpc, log.clone(), quick());
    assert!(sender.send("note", TO, Bytes::from_static(b"a")).await.unwrap().status());
    rpc.provider().anvil_rollback(Some(1)).await.unwrap();
    let foreign = TransactionRequest::default()
        .with_from(sender.address())
        .with_to(Address::repeat_byte(9))
        .with_value(U256::from(1));
    let sent = rpc.provider().send_transaction(foreign).await.unwrap();
    until("another program's is mined", async || {
        rpc.provider().get_transaction_receipt(*sent.tx_hash()).await.unwrap().is_some()
    })
    .await;
    let receipt = sender.send("note", TO, Bytes::from_static(b"a")).await.unwrap();
    let tx = rpc.provider().get_transaction_by_hash(receipt.transaction_hash).await.unwrap().unwrap();
    assert_eq!((tx.nonce(), receipt.status()), (1, true));
    assert!(log.pending().is_empty());
}
