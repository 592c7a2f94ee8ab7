//! Reorganisations of depth 1 to 20 while an agreement is under way: with everybody's transactions in the new blocks, without them
//! (blocks as many as before, but empty), and to a shorter chain. Worker, verifiers, keeper and index follow.

use std::{collections::BTreeMap, time::Duration};

use alloy::{
    network::Ethereum,
    primitives::Address,
    providers::{DynProvider, Provider, ext::AnvilApi as _},
    rpc::types::anvil::{ReorgOptions, TransactionData},
};
use eyre::{WrapErr, ensure};
use sunwork_client::job::Windows;
use sunwork_protocol::status::{Ending, Status};
use tokio::time::{Instant, sleep};
use xtask::devnet::Options;

use crate::support::{Net, expect, small_bag};

/// Depth up to which the test reorganises; earlier blocks stay.
const DEEPEST: u64 = 20;
const LIMIT: Duration = Duration::from_secs(150);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// The new blocks have the old ones' transactions.
    With,
    /// They are empty.
    Without,
    /// There are none: the chain is shorter.
    Shorter,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn reorganisations_up_to_depth_20_are_followed() -> eyre::Result<()> {
    run(&[(1, Fate::Without), (3, Fate::With), (8, Fate::Shorter), (13, Fate::With), (20, Fate::Without)]).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn reorganisations_of_every_depth_and_kind_are_followed() -> eyre::Result<()> {
    let all: Vec<_> =
        (1..=DEEPEST).flat_map(|depth| [Fate::With, Fate::Without, Fate::Shorter].map(|fate| (depth, fate))).collect();
    run(&all).await
}

async fn run(plan: &[(u64, Fate)]) -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("raytrace").await?;
    let provider = net.devnet.chain.provider().clone();
    // What a network needs to be one stays.
    provider.anvil_mine(Some(DEEPEST + 5), None).await?;
    let mut plan = plan.iter().copied().peekable();
    let (mut bought, mut vanished) = (0, 0);
    let mut met: BTreeMap<Status, u32> = BTreeMap::new();
    let mut ended = Vec::new();
    while plan.peek().is_some() {
        let windows = Windows { accept_secs: 90, work_secs: Some(300), verify_secs: Some(300), dispute_secs: None };
        let agreement = net.buy(small_bag(&image).windows(windows).public(true)).await?.address;
        bought += 1;
        // The purchase itself stays: it is below every depth.
        provider.anvil_mine(Some(DEEPEST + 2), None).await?;
        let mut last = None;
        let until = Instant::now() + LIMIT;
        let gone = loop {
            net.devnet.expect_alive()?;
            ensure!(Instant::now() < until, "not over after {} s\n{}", LIMIT.as_secs(), net.logs());
            if provider.get_code_at(agreement).await?.is_empty() {
                break true;
            }
            let status = net.status(agreement).await?;
            // At each new state, once; and then until it is over without.
            if last != Some(status) && status != Status::Open {
                last = Some(status);
                if let Some((depth, fate)) = plan.next() {
                    reorganise(&provider, depth, fate).await.wrap_err_with(|| format!("depth {depth}, {fate:?}"))?;
                    *met.entry(status).or_default() += 1;
                    continue;
                }
            }
            if status.is_final() {
                break false;
            }
            sleep(Duration::from_millis(200)).await;
        };
        if gone {
            vanished += 1;
        } else {
            ended.push(agreement);
        }
    }
    for agreement in ended {
        let gone = provider.get_code_at(agreement).await?.is_empty();
        if !gone {
            let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
            expect(ending, Ending::Verified)?;
            net.expect_settled_once(agreement).await?;
            let results = net.client.results(agreement, &net.files.path().join(agreement.to_string())).await?;
            assert_eq!(results.failed().count(), 0);
            indexed(&net, agreement).await?;
        }
    }
    ensure!(vanished < bought, "no agreement is left to judge");
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    println!("{bought} bought, {vanished} taken back; reorganised at {met:?}");
    net.devnet.stop().await
}

/// The oracle's index says the same as the chain.
async fn indexed(net: &Net, agreement: Address) -> eyre::Result<()> {
    let url = net.devnet.oracle_url().join(&format!("v1/agreements/{agreement}"))?;
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let shown: serde_json::Value = reqwest::get(url.clone()).await?.json().await?;
        if shown["status"] == "settled" {
            return Ok(());
        }
        ensure!(Instant::now() < until, "the index says {shown:#}");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn reorganise(provider: &DynProvider<Ethereum>, depth: u64, fate: Fate) -> eyre::Result<()> {
    if fate == Fate::Shorter {
        return Ok(provider.anvil_rollback(Some(depth)).await?);
    }
    let head = provider.get_block_number().await?;
    let mut tx_block_pairs = Vec::new();
    if fate == Fate::With {
        for offset in 0..depth {
            let Some(block) = provider.get_block_by_number((head - depth + 1 + offset).into()).await? else { continue };
            for hash in block.transactions.hashes() {
                if let Some(raw) = provider.get_raw_transaction_by_hash(hash).await? {
                    tx_block_pairs.push((TransactionData::Raw(raw), offset));
                }
            }
        }
    }
    Ok(provider.anvil_reorg(ReorgOptions { depth, tx_block_pairs }).await?)
}
