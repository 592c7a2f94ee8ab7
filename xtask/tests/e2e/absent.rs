//! Parties that vanish: the oracle's keeper ends what they left, and the money goes where docs/PROTOCOL.md says.

use std::time::Duration;

use alloy::primitives::Address;
use sunwork_client::job::{Resources, Windows};
use sunwork_protocol::status::{Ending, Status};
use xtask::devnet::{Devnet, Options};

use crate::support::{Net, expect, small_bag};

/// Windows that pass in a test's time.
fn hasty() -> eyre::Result<Options> {
    Ok(Options::for_tests()?.param("/compute/revealSecs", 8).param("/compute/openSecs", 8))
}

fn kill(devnet: &mut Devnet, who: Address) {
    let worker = devnet.workers.iter_mut().find(|w| w.owner == who).unwrap();
    worker.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_vanishes_before_its_seal_is_replaced() -> eyre::Result<()> {
    let mut net = Net::start(hasty()?).await?;
    let image = net.image("raytrace").await?;
    let windows = Windows { accept_secs: 60, work_secs: Some(40), verify_secs: Some(60), dispute_secs: None };
    // Enough leaves that it is killed long before the seal.
    let resources = Resources { memory_mib: 64, disk_mib: 16, leaf_secs: 10, output_mib: 8, ..Resources::default() };
    let job = small_bag(&image).leaves(16).resources(resources).windows(windows);
    let agreement = net.buy(job).await?.address;

    let mut vanished = Address::ZERO;
    for _ in 0..240 {
        let view = net.view(agreement).await?;
        if net.status(agreement).await? == Status::Working {
            vanished = view.worker;
            kill(&mut net.devnet, vanished);
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_ne!(vanished, Address::ZERO, "nobody accepted\n{}", net.logs());

    let ending = net.until_over(agreement, Duration::from_secs(300), |_, _| Ok(())).await?;
    expect(ending, Ending::Verified)?;
    let view = net.view(agreement).await?;
    assert_eq!(view.attempt, 1, "the second attempt");
    assert_ne!(view.worker, vanished, "another worker did it");
    net.expect_stakes_whole(&[vanished]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_does_not_reveal_is_slashed_and_the_client_refunded() -> eyre::Result<()> {
    let mut net = Net::start(hasty()?).await?;
    let image = net.image("raytrace").await?;
    let agreement = net.buy(small_bag(&image)).await?.address;
    let mut silent = Address::ZERO;
    for _ in 0..600 {
        let status = net.status(agreement).await?;
        if matches!(status, Status::Drawing | Status::Verifying) {
            silent = net.view(agreement).await?.worker;
            kill(&mut net.devnet, silent);
            break;
        }
        assert!(!status.is_final(), "it was too quick for the test");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ending = net.until_over(agreement, Duration::from_secs(120), |_, _| Ok(())).await?;
    expect(ending, Ending::WorkerSilent)?;
    net.expect_stakes_whole(&[silent]).await?;
    net.expect_supply_unchanged().await?;
    let settlement = net.client.settlement(agreement).await?;
    assert!(settlement.adds_up(), "{settlement:?}");
    net.devnet.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawn_verifier_that_vanishes_is_replaced_by_another() -> eyre::Result<()> {
    let mut net = Net::start(hasty()?).await?;
    let image = net.image("raytrace").await?;
    let windows = Windows { accept_secs: 60, work_secs: Some(60), verify_secs: Some(25), dispute_secs: None };
    let agreement = net.buy(small_bag(&image).windows(windows)).await?.address;
    let mut vanished = Address::ZERO;
    for _ in 0..600 {
        let view = net.view(agreement).await?;
        if let Some(slot) = view.slots.iter().find(|slot| slot.seal.is_zero()) {
            vanished = slot.verifier;
            kill(&mut net.devnet, vanished);
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_ne!(vanished, Address::ZERO, "nobody claimed a slot\n{}", net.logs());
    let ending = net.until_over(agreement, Duration::from_secs(300), |_, _| Ok(())).await?;
    expect(ending, Ending::Verified)?;
    let view = net.view(agreement).await?;
    let replaced = view.slots.iter().all(|slot| slot.verifier != vanished);
    // It may have been displaced by a lower ticket before it was missed; then it lost nothing.
    let losers: Vec<Address> = if view.strikes > 0 { vec![vanished] } else { vec![] };
    assert!(replaced, "{view:?}");
    net.expect_stakes_whole(&losers).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}
