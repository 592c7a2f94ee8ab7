//! The whole oracle on a real node. The contracts are puppets that say what the test wants; the real ones are played by the
//! end-to-end tests.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod common;

use std::time::Duration;

use alloy::{
    primitives::{Address, B256, U256, aliases::U48},
    providers::{Provider as _, ext::AnvilApi as _},
    sol_types::SolEvent as _,
};
use common::anvil::{Anvil, CHAIN_ID, GRACE_SECS, Stage, puppet, settings, until, until_status, view};
use serde_json::{Value, json};
use sunwork_edge::keystore;
use sunwork_oracle::server::Server;
use sunwork_protocol::{abi::IComputeAgreement, status::Status};
use tokio::time::{sleep, timeout};

/// Emits `StatusChanged(status, 0, 0)`.
fn emit_status(status: Status) -> Vec<u8> {
    let mut code = vec![0x60, status as u8, 0x7f];
    code.extend(IComputeAgreement::StatusChanged::SIGNATURE_HASH);
    code.extend([0x60, 0x40, 0x60, 0, 0xa2, 0x00]);
    code
}

const REVERT: [u8; 5] = [0x60, 0, 0x60, 0, 0xfd];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keeper_moves_on_what_nobody_moves_and_burns_nothing_on_lost_races() {
    let anvil = Anvil::start();
    let stage = Stage::new(&anvil).await;
    let dir = tempfile::tempdir().unwrap();
    let (key, account) = keystore::create(dir.path(), "secret").unwrap();
    std::fs::write(dir.path().join("password"), "secret\n").unwrap();
    stage.provider.anvil_set_balance(account, U256::from(10).pow(U256::from(18))).await.unwrap();

    let [late, sealed, lost, open_result, uncounted] = [1, 2, 3, 4, 5].map(Address::repeat_byte);
    for agreement in [late, sealed, lost, open_result, uncounted] {
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
        location: Default::default(),
    };
    stage.say(sealed, sealing.encode_log_data()).await;
    for (agreement, status, deadline, otherwise) in [
        (late, Status::Working, now + 1000, emit_status(Status::Cancelled)),
        // A status without deadline, so that nobody asks the puppet again, which says the same for ever.
        (sealed, Status::Sealed, now + 100_000, emit_status(Status::Revealing)),
        (lost, Status::Working, now + 1000, REVERT.to_vec()),
        (open_result, Status::Disputable, now + 1000, emit_status(Status::Settled)),
        // Whose votes are all in: there is nothing to wait for.
        (uncounted, Status::Opening, now + 100_000, emit_status(Status::Settled)),
    ] {
        stage.set_status(agreement, status, deadline).await;
        let mut shown = view(status, deadline, round);
        if agreement == uncounted {
            // Of a later round; the first one's slot comes before.
            (shown.slots, shown.firstSlot, shown.openedCount) = (vec![Default::default(); 3], 1, 2);
        }
        let code = puppet(&shown, &otherwise);
        stage.provider.anvil_set_code(agreement, code).await.unwrap();
    }

    let mut settings = settings(dir.path(), &anvil, CHAIN_ID);
    settings.keystore = Some(key);
    settings.password_file = Some(dir.path().join("password"));
    let server = Server::bind(settings.clone().check().unwrap()).await.unwrap();
    let second = Server::bind(settings.check().unwrap()).await.unwrap_err();
    assert!(format!("{second:#}").contains("another oracle runs in"), "{second:#}");

    // Votes are counted at once; deadlines have a grace, inside which nothing is sent.
    until_status(&server, uncounted, "settled").await;
    until_status(&server, late, "working").await;
    until_status(&server, open_result, "disputable").await;
    assert_eq!(stage.provider.get_transaction_count(account).await.unwrap(), 1);

    stage.provider.anvil_set_next_block_timestamp(now + 1000 + GRACE_SECS + 1).await.unwrap();
    stage.provider.anvil_mine(Some(1), None).await.unwrap();
    until_status(&server, late, "cancelled").await;
    until_status(&server, open_result, "settled").await;
    until_status(&server, sealed, "revealing").await;
    until_status(&server, lost, "working").await;
    // The keeper counts when it has the receipts, which is later than the index has the events.
    let counted = async {
        loop {
            let text = reqwest::get(format!("{}/metrics", server.url())).await.unwrap().text().await.unwrap();
            let is = |counter: &str| text.contains(&format!("\nsunwork_oracle_keeper_{counter}\n"));
            if is("sent_total 4") && is("lost_total 1") && is("failed_total 0") {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(60), counted).await.expect("four sent, one lost");
    assert_eq!(stage.provider.get_transaction_count(account).await.unwrap(), 4);
    server.shutdown().await.unwrap();
    let journal = std::fs::read_to_string(dir.path().join("data/keeper.jsonl")).unwrap();
    assert_eq!(journal.matches("\"resolved\"").count(), 4, "{journal}");
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

/// The purchase comes back in another block, or another one stands in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reorganisations_of_depth_1_to_20_are_followed() {
    let anvil = Anvil::start();
    let stage = Stage::new(&anvil).await;
    let dir = tempfile::tempdir().unwrap();
    stage.provider.anvil_mine(Some(5), None).await.unwrap();
    let server = Server::bind(settings(dir.path(), &anvil, CHAIN_ID).check().unwrap()).await.unwrap();
    for depth in 1..=20_u8 {
        let [goes, comes] = [depth, depth + 100].map(Address::repeat_byte);
        stage.buy(goes).await;
        // As deep as it is below the head.
        stage.provider.anvil_mine(Some(u64::from(depth) - 1), None).await.unwrap();
        until_status(&server, goes, "open").await;
        stage.provider.anvil_rollback(Some(u64::from(depth))).await.unwrap();
        let stays = depth % 2 == 0;
        let now = if stays { goes } else { comes };
        stage.buy(now).await;
        stage.provider.anvil_mine(Some(u64::from(depth) / 3), None).await.unwrap();
        let path = format!("/v1/agreements/{goes}");
        let followed = |shown: &Value| match stays {
            true => shown["status"] == "open",
            false => shown["error"]["code"] == "no_such_agreement",
        };
        // The new chain may still be the shorter one.
        until_status(&server, now, "open").await;
        until(&server, &path, "what the new chain says", followed).await;
        // Above the old head nothing that is indexed is from the old chain.
        stage.provider.anvil_mine(Some(u64::from(depth)), None).await.unwrap();
        let head = stage.head().await.0;
        until(&server, "/v1/health", "the whole chain", |health| health["indexedBlock"].as_u64() >= Some(head)).await;
        let shown = until(&server, &path, "an answer", |_| true).await;
        assert!(followed(&shown), "depth {depth}: {shown}");
    }
    server.shutdown().await.unwrap();
}
