//! Transactions on a real chain: in order, found again after a crash, replaced when stuck, explained when refused.
#![allow(clippy::unwrap_used)]
mod common;

use std::{sync::Arc, time::Duration};

use alloy::{
    primitives::{Address, Bytes, U256, address},
    providers::{Provider, ext::AnvilApi},
    signers::local::PrivateKeySigner,
};
use common::Anvil;
use sunwork_edge::{
    rpc::{self, Rpc},
    tx::{MemoryTxLog, TxEntry, TxError, TxLog, TxLogError, TxManager, TxOptions, TxOutcome},
};

const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const TO: Address = address!("0x00000000000000000000000000000000000000AA");

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

fn manager(rpc: &Rpc, log: Arc<dyn TxLog>) -> TxManager {
    TxManager::with_options(rpc.clone(), KEY.parse().unwrap(), log, quick())
}

#[tokio::test]
async fn many_at_once_leave_without_gaps() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil).await;
    let log = Arc::new(MemoryTxLog::default());
    let sender = manager(&rpc, log.clone());
    let sends = (0..12_u8).map(|i| {
        let sender = sender.clone();
        async move { sender.send("note", TO, Bytes::from(vec![i])).await.unwrap() }
    });
    let receipts = futures::future::join_all(sends).await;
    assert!(receipts.iter().all(|receipt| receipt.status()));
    let count = rpc.provider().get_transaction_count(sender.address()).await.unwrap();
    assert_eq!(count, 12);
    assert!(log.pending().is_empty());
}

#[tokio::test]
async fn the_same_call_at_once_is_sent_once() {
    let anvil = Anvil::start(&["--no-mining"]);
    let rpc = connected(&anvil).await;
    let sender = manager(&rpc, Arc::new(MemoryTxLog::default()));
    let (one, two) = (sender.clone(), sender.clone());
    let pair = tokio::spawn(async move {
        tokio::join!(one.send("same", TO, Bytes::from_static(b"x")), two.send("same", TO, Bytes::from_static(b"x")))
    });
    while rpc.provider().get_transaction_count(sender.address()).pending().await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    let (one, two) = pair.await.unwrap();
    assert_eq!(one.unwrap().transaction_hash, two.unwrap().transaction_hash);
}

#[tokio::test]
async fn a_stuck_one_is_replaced_with_a_higher_fee() {
    let anvil = Anvil::start(&["--no-mining"]);
    let rpc = connected(&anvil).await;
    let log = Arc::new(MemoryTxLog::default());
    let sender = manager(&rpc, log.clone());
    let task = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send("slow", TO, Bytes::new()).await }
    });
    while log.pending().len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let entries = log.pending();
    assert_eq!(entries[0].nonce, entries[1].nonce);
    assert_ne!(entries[0].hash, entries[1].hash);
    // It is written down before it is sent: the node must have it before there is a block.
    while rpc.provider().get_transaction_by_hash(entries[1].hash).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rpc.provider().anvil_mine(Some(1), None).await.unwrap();
    let receipt = task.await.unwrap().unwrap();
    assert_ne!(receipt.transaction_hash, entries[0].hash, "the replacement was mined");
}

/// A log that stops the process, so to speak, at a chosen point: it fails after the entry was kept.
struct Crash(MemoryTxLog);

impl TxLog for Crash {
    fn signed(&self, entry: &TxEntry) -> Result<(), TxLogError> {
        self.0.signed(entry)?;
        Err(TxLogError("the power failed".into()))
    }
    fn resolved(&self, nonce: u64, hash: alloy::primitives::B256, outcome: TxOutcome) -> Result<(), TxLogError> {
        self.0.resolved(nonce, hash, outcome)
    }
    fn pending(&self) -> Vec<TxEntry> {
        self.0.pending()
    }
}

#[tokio::test]
async fn what_was_logged_and_never_sent_is_sent_once_after_the_restart() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil).await;
    let log = Arc::new(Crash(MemoryTxLog::default()));
    let error = manager(&rpc, log.clone()).send("pay", TO, Bytes::from_static(b"once")).await.unwrap_err();
    assert!(matches!(error, TxError::Log { .. }), "{error}");
    assert_eq!(rpc.provider().get_transaction_count(manager(&rpc, log.clone()).address()).await.unwrap(), 0);

    let restarted = manager(&rpc, log.clone());
    let outcomes = restarted.recover().await.unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].1, TxOutcome::Mined);
    assert_eq!(rpc.provider().get_transaction_count(restarted.address()).await.unwrap(), 1);
    assert!(restarted.recover().await.unwrap().is_empty(), "a second restart finds nothing to do");
}

#[tokio::test]
async fn a_nonce_that_somebody_else_used_is_noticed() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil).await;
    let log = Arc::new(Crash(MemoryTxLog::default()));
    let _ = manager(&rpc, log.clone()).send("mine", TO, Bytes::from_static(b"mine")).await;
    let other = manager(&rpc, Arc::new(MemoryTxLog::default()));
    other.send("other", TO, Bytes::from_static(b"other")).await.unwrap();
    let outcomes = manager(&rpc, log).recover().await.unwrap();
    assert_eq!(outcomes[0].1, TxOutcome::Dropped);
}

#[tokio::test]
async fn reverts_cost_nothing_and_are_explained() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil).await;
    // Reverts with WrongStatus(Working, Open): PUSH the selector and both words to memory and revert.
    use alloy::sol_types::SolError;
    let data = sunwork_protocol::abi::IComputeAgreement::WrongStatus { found: 2, expected: 0 }.abi_encode();
    let mut code = Vec::new();
    for (index, byte) in data.iter().enumerate() {
        code.extend([0x60, *byte, 0x60, index as u8, 0x53]); // PUSH1 byte PUSH1 index MSTORE8
    }
    code.extend([0x60, data.len() as u8, 0x60, 0, 0xfd]); // PUSH1 length PUSH1 0 REVERT
    rpc.provider().anvil_set_code(TO, code.into()).await.unwrap();
    let sender = manager(&rpc, Arc::new(MemoryTxLog::default()));
    let error = sender.send("accept", TO, Bytes::new()).await.unwrap_err();
    assert_eq!(error.revert_name(), Some("WrongStatus"));
    assert_eq!(error.to_string(), "accept was refused: the agreement is Working, expected Open");
    assert_eq!(rpc.provider().get_transaction_count(sender.address()).await.unwrap(), 0);
}

#[tokio::test]
async fn no_ether_says_how_much_is_needed() {
    let anvil = Anvil::start(&[]);
    let rpc = connected(&anvil).await;
    let poor = PrivateKeySigner::from_bytes(&[7; 32].into()).unwrap();
    let sender = TxManager::with_options(rpc.clone(), poor, Arc::new(MemoryTxLog::default()), quick());
    let error = sender.send("accept", TO, Bytes::new()).await.unwrap_err();
    let TxError::InsufficientFunds { have_wei, need_wei, .. } = &error else { panic!("{error}") };
    assert!(have_wei.is_zero() && !need_wei.is_zero(), "{error}");
    assert!(error.to_string().contains("too little ether for gas: 0 ETH, needed 0.0"), "{error}");
    let error = sender.send_value("gift", TO, U256::from(1), Bytes::new()).await.unwrap_err();
    assert!(matches!(error, TxError::InsufficientFunds { .. }), "{error}");
}
