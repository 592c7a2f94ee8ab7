//! Trust level 0: the result is handed in open; the client stays silent, or rejects it with a bond that pays verifiers.

use std::time::{Duration, Instant};

use eyre::ensure;
use sunwork_client::{funding::Purpose, job::Windows};
use sunwork_protocol::status::{Ending, RoundKind, Status};
use xtask::devnet::{Options, SUN};

use crate::support::{Net, expect, small_bag};

const LIMIT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_result_stands_by_silence_or_by_the_verifiers_that_a_rejection_pays() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?).await?;
    let image = net.image("raytrace").await?;
    let job = |silence| {
        let windows =
            Windows { accept_secs: 60, work_secs: Some(60), verify_secs: Some(60), dispute_secs: Some(silence) };
        small_bag(&image).trust_level(0).windows(windows)
    };

    let silent = net.buy(job(5)).await?.address;
    expect(net.until_over(silent, LIMIT, |devnet, _| devnet.expect_alive()).await?, Ending::Verified)?;
    let settlement = net.client.settlement(silent).await?;
    let worker = net.view(silent).await?.worker;
    ensure!(settlement.paid.get(&worker) == Some(&(100 * SUN)), "{settlement:?}");
    let done = |name: &str| settlement.transactions.iter().filter(|tx| tx.ok && tx.name == name).count();
    assert_eq!([done("submitResult"), done("openDraw"), done("claim")], [1, 0, 0], "{:#?}", settlement.transactions);

    let rejected = net.buy(job(60)).await?.address;
    let until = Instant::now() + LIMIT;
    while net.status(rejected).await? != Status::Disputable {
        ensure!(Instant::now() < until, "nothing is handed in\n{}", net.logs());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let bond = net.client.dispute_bond(rejected).await?;
    assert_eq!(bond, 10 * SUN, "the fees of two verifiers");
    net.client.fund(rejected, bond, Purpose::Dispute { leaf: 0 }).await?;
    expect(net.until_over(rejected, LIMIT, |devnet, _| devnet.expect_alive()).await?, Ending::Verified)?;
    let view = net.view(rejected).await?;
    assert_eq!((view.kind, view.slots.len()), (RoundKind::Audit as u8, 2), "{view:?}");
    let settlement = net.client.settlement(rejected).await?;
    for slot in &view.slots {
        ensure!(settlement.paid.get(&slot.verifier) == Some(&(5 * SUN)), "{settlement:?}");
    }
    net.client.results(rejected, &net.files.path().join("results")).await?;
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}
