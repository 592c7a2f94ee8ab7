//! The honest path, and what the oracle and the worker's own status say about it.

use std::time::Duration;

use sunwork_protocol::{leaf::Outcome, status::Ending};
use xtask::devnet::{Options, SUN};

use crate::support::{Net, expect, small_bag};

#[tokio::test(flavor = "multi_thread")]
async fn a_bag_is_computed_verified_paid_and_fetched() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("raytrace").await?;
    let agreement = net.buy(small_bag(&image)).await?.address;
    let ending = net.until_over(agreement, Duration::from_secs(120), |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified)?;

    net.expect_settled_once(agreement).await?;
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;

    // Everybody was paid what the terms say, and the client got the rest of its budget back (there is none but the tip's).
    let settlement = net.client.settlement(agreement).await?;
    assert_eq!(settlement.burned, 0);
    // One transaction opened all seals and settled: the verifiers had mailed their openings to the worker.
    let done = |name: &str| settlement.transactions.iter().filter(|tx| tx.ok && tx.name == name).count();
    assert_eq!(
        [done("settleAll"), done("reveal"), done("openVerification")],
        [1, 0, 0],
        "{:#?}",
        settlement.transactions
    );
    assert!(settlement.stakes.iter().all(|stake| stake.slashed == 0));
    let view = net.view(agreement).await?;
    let paid = |who| settlement.paid.get(&who).copied().unwrap_or_default();
    assert!(paid(view.worker) >= 100 * SUN, "{:?}", settlement.paid);
    for slot in &view.slots {
        assert_eq!(paid(slot.verifier), 5 * SUN, "{:?}", settlement.paid);
    }

    // The results are those on chain, and fetching again changes nothing.
    let dir = net.files.path().join("results");
    let results = net.client.results(agreement, &dir).await?;
    assert_eq!(results.leaves.len(), 4);
    for leaf in &results.leaves {
        assert_eq!(leaf.outcome, Outcome::Completed);
        assert!(leaf.path.as_ref().unwrap().join("tile.ppm").is_file(), "{leaf:?}");
    }
    assert_eq!(net.client.results(agreement, &dir).await?, results);

    // The oracle indexes the same, a moment later.
    let url = net.devnet.oracle_url().join(&format!("v1/agreements/{agreement}"))?;
    let until = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let body: serde_json::Value = reqwest::get(url.clone()).await?.error_for_status()?.json().await?;
        if body["status"] == "settled" && body["ending"] == "verified" {
            break;
        }
        assert!(std::time::Instant::now() < until, "{body:#}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }

    // The worker collected its pay, and says so.
    let worker = net.devnet.workers.iter().find(|w| w.owner == view.worker).unwrap();
    let token = net.devnet.deployment.token;
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while net.devnet.chain.token_balance(token, worker.owner).await? < alloy::primitives::U256::from(1100 * SUN) {
        assert!(std::time::Instant::now() < until, "the worker did not redeem its payment\n{}", net.logs());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let status = worker.once(&["status", "--output", "json"]).await?;
    serde_json::from_str::<serde_json::Value>(&status)?;
    net.devnet.stop().await
}
