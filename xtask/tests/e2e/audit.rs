//! The late audit: one more verifier looks at a result that is open, and finds the worker's digests in its blob.

use std::time::Duration;

use sunwork_protocol::status::{Ending, RoundKind};
use xtask::devnet::{Options, SUN};

use crate::support::{Net, expect, small_bag};

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_audited_by_one_more_verifier_who_reads_the_blob() -> eyre::Result<()> {
    // Every result is drawn.
    let mut net = Net::start(Options::for_tests()?.param("/compute/auditOneIn", 1)).await?;
    let image = net.image("raytrace").await?;
    let agreement = net.buy(small_bag(&image)).await?.address;
    let ending = net.until_over(agreement, Duration::from_secs(150), |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Verified)?;
    let view = net.view(agreement).await?;
    assert_eq!((view.voteRound, view.kind, view.slots.len()), (1, RoundKind::Audit as u8, 3), "{view:?}");
    let settlement = net.client.settlement(agreement).await?;
    let done = |name: &str| settlement.transactions.iter().filter(|tx| tx.ok && tx.name == name).count();
    assert_eq!(done("openLate"), 1, "{:#?}", settlement.transactions);
    for slot in &view.slots {
        assert_eq!(settlement.paid.get(&slot.verifier), Some(&(5 * SUN)), "{settlement:?}");
    }
    assert!(settlement.adds_up(), "{settlement:?}");
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}
