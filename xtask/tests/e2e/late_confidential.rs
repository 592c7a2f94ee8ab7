//! A later round in confidential work whose client has left: the auditor, drawn when the result is open, gets the session key from
//! the worker, computes blinded digests, and reads the worker's blob with key and salt.

use std::time::{Duration, Instant};

use eyre::ensure;
use sunwork_client::Payment;
use sunwork_protocol::status::{Ending, RoundKind};
use xtask::devnet::{Options, SUN};

use crate::support::{Net, expect, small_bag};

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_hands_the_key_to_a_verifier_of_a_later_round_when_the_client_is_gone() -> eyre::Result<()> {
    // Every result is drawn.
    let mut net = Net::start(Options::for_tests()?.param("/compute/auditOneIn", 1)).await?;
    let image = net.image("raytrace").await?;
    let plan = net.client.prepare(&small_bag(&image).build()?).await?;
    ensure!(plan.confidential, "the bag must be confidential");
    // Bought without a keeper: the key is posted to the worker once, and to nobody else.
    let agreement = net.client.buy(&plan, Payment::ApproveAndCall).await?.address;
    let until = Instant::now() + Duration::from_secs(60);
    while net.client.post_key_if_due(agreement).await?.is_none() {
        ensure!(Instant::now() < until, "the key never was due");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let ending = net.until_over(agreement, Duration::from_secs(150), |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified)?;
    let view = net.view(agreement).await?;
    assert_eq!((view.voteRound, view.kind, view.slots.len()), (1, RoundKind::Audit as u8, 3), "{view:?}");
    let settlement = net.client.settlement(agreement).await?;
    let done = |name: &str| settlement.transactions.iter().filter(|tx| tx.ok && tx.name == name).count();
    assert_eq!((done("openLate"), done("decline")), (1, 0), "{:#?}", settlement.transactions);
    for slot in &view.slots {
        assert_eq!((slot.opened, slot.dissent), (true, 0), "{view:?}");
        assert_eq!(settlement.paid.get(&slot.verifier), Some(&(5 * SUN)), "{settlement:?}");
    }
    // The digests on chain are the blinded ones, and the wallet proves its results against them.
    let results = net.client.results(agreement, &net.files.path().join("results")).await?;
    assert_eq!((results.ending, results.leaves.len()), (Ending::Verified, 4));
    net.expect_stakes_whole(&[]).await?;
    net.devnet.stop().await
}
