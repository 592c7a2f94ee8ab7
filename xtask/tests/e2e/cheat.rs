//! A worker that cheats on one leaf of a bag, played by the test, among honest worker processes: the chain finds it, pays who
//! was honest, takes the cheat's lock, and gives the client its money back.

use std::time::{Duration, Instant};

use alloy::primitives::Address;
use eyre::ensure;
use sunwork_protocol::{
    abi::IComputeAgreement::{self, RoundOpened},
    draw,
    status::{Ending, RoundKind, Status},
};
use xtask::{
    accounts,
    devnet::{Options, SUN, WorkerNode},
};

use crate::support::{Net, expect, hostile};

pub(crate) mod cheat_worker;

use cheat_worker::{Cheat, FALSE_LEAF};

const LIMIT: Duration = Duration::from_secs(150);
/// The tip for recording the beacon round is paid whatever comes out.
const TIP: u128 = 10_000_000;
const REWARD: u128 = 100 * SUN;
const FEE: u128 = 5 * SUN;

/// All three workers of a network, one of which cheats: both others see the false leaf and find the same.
#[tokio::test(flavor = "multi_thread")]
async fn two_verifiers_refute_a_worker_that_cheats_on_one_leaf() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?.workers(2)).await?;
    let cheat = Cheat::register(&net).await?;
    // Two newcomers' odds against one's are enough for a trust of 2.
    let agreement = buy_from(&cheat, &mut net, 4, 4, 2).await?;
    net.devnet.workers.iter_mut().try_for_each(|worker| worker.start(&[]))?;
    let (seal, opened) = cheat.seal(&net, agreement, 4).await?;
    cheat.send(agreement, seal).await?;

    until(&net, agreement, |status| status == Status::Revealing).await?;
    let opening = opened.opening(&net.view(agreement).await?, 4, 4);
    cheat.send(agreement, IComputeAgreement::revealCall { opening }).await?;
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Refuted)?;

    let view = net.view(agreement).await?;
    assert_eq!(view.voteRound, 0, "it took no further round");
    assert!(view.slots.iter().all(|slot| slot.dissent == 1 << FALSE_LEAF), "{view:?}");
    expect_justice(&net, agreement, &cheat).await?;
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}

/// Seven workers, one of which cheats: one of the two verifiers drawn sees the false leaf. It alone decides nothing; three more
/// compute that leaf.
#[tokio::test(flavor = "multi_thread")]
async fn one_verifier_that_sees_the_false_leaf_calls_three_more() -> eyre::Result<()> {
    const LEAVES: u32 = 8;
    const SAMPLES: u8 = 4;
    // Time for two processes to start within the claim window.
    let mut net = Net::start(Options::for_tests()?.workers(6).param("/compute/drawSteps", 16)).await?;
    let cheat = Cheat::register(&net).await?;
    // The draw is known before anybody claims. Of the six the test lets those two run that show the case; it is about even for
    // each whether it sees the leaf. Where all six are alike, nobody claims, and the cheat tries it again.
    let mut tries = 0;
    let (agreement, opened, pair) = loop {
        let agreement = buy_from(&cheat, &mut net, LEAVES, SAMPLES, 8).await?;
        let (seal, opened) = cheat.seal(&net, agreement, LEAVES).await?;
        cheat.send(agreement, seal).await?;
        cheat.open_draw(&net, agreement).await?;
        let seed = net.view(agreement).await?.drawSeed;
        let sees =
            |worker: &&mut WorkerNode| draw::sampled_leaves(seed, worker.owner, LEAVES, SAMPLES).contains(&FALSE_LEAF);
        let (mut seeing, mut blind): (Vec<_>, Vec<_>) = net.devnet.workers.iter_mut().partition(sees);
        if let (Some(one), Some(other)) = (seeing.first_mut(), blind.first_mut()) {
            one.start(&[])?;
            other.start(&[])?;
            break (agreement, opened, [one.owner, other.owner]);
        }
        expect(net.until_over(agreement, LIMIT, |_, _| Ok(())).await?, Ending::TooFewVerifiers)?;
        tries += 1;
        ensure!(tries < 4, "six workers sampled alike {tries} times: once in a million");
    };
    until(&net, agreement, |status| status == Status::Revealing).await?;
    for worker in net.devnet.workers.iter_mut().filter(|worker| !pair.contains(&worker.owner)) {
        worker.start(&[])?;
    }
    // The verifiers have mailed their openings; a worker has to carry the one against it, too.
    let view = net.view(agreement).await?;
    let opening = opened.opening(&view, LEAVES, SAMPLES);
    let call = cheat.settle_all(&net, agreement, &view, opening).await?;
    cheat.send(agreement, call).await?;

    let view = net.view(agreement).await?;
    assert_eq!((view.voteRound, view.kind, view.wanted), (1, RoundKind::Leaves as u8, 3), "{view:?}");
    assert_eq!(view.leaves, [FALSE_LEAF], "just the leaf in dispute");
    let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
    expect(ending, Ending::Refuted)?;

    let view = net.view(agreement).await?;
    assert_eq!(view.slots.len(), 5, "two, then three");
    assert!(view.slots[2..].iter().all(|slot| slot.dissent == 1), "{view:?}");
    let logs = net.client.compute(agreement).RoundOpened_filter().from_block(0).query().await?;
    assert!(matches!(&logs[..], [(RoundOpened { voteRound: 1, wanted: 3, .. }, _)]), "{logs:?}");
    expect_justice(&net, agreement, &cheat).await?;
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}

/// Buys a public bag, which the cheat accepts while the honest workers sleep.
async fn buy_from(cheat: &Cheat, net: &mut Net, leaves: u32, samples: u8, trust: u16) -> eyre::Result<Address> {
    net.devnet.workers.iter_mut().for_each(WorkerNode::stop);
    let image = net.image("hostile").await?;
    let job = hostile(&image, cheat_worker::MOOD).leaves(leaves).samples(samples).trust(trust).public(true);
    let agreement = net.buy(job).await?.address;
    cheat.send(agreement, IComputeAgreement::acceptCall {}).await?;
    Ok(agreement)
}

/// The cheat lost its lock and got nothing. Of the lock the fees are paid first; half of the rest is burned, half goes to the
/// verifiers, who have their fees besides. The client has all but the tip back.
async fn expect_justice(net: &Net, agreement: Address, cheat: &Cheat) -> eyre::Result<()> {
    let settlement = net.client.settlement(agreement).await?;
    ensure!(settlement.adds_up(), "{settlement:?}");
    let view = net.view(agreement).await?;
    let lock: u128 = net.client.compute(agreement).workerLock(view.reward).call().await?.to();
    ensure!(lock >= REWARD, "a lock of {lock} for a reward of {REWARD}");
    let count = view.slots.len() as u128;
    let to_honest = (lock - count * FEE) / 2;
    let each = FEE + to_honest / count;
    let paid = |who: Address| settlement.paid.get(&who).copied().unwrap_or_default();
    for slot in &view.slots {
        let found = paid(slot.verifier);
        // Who recorded the round by its owner account has the tip besides.
        ensure!([each, each + TIP].contains(&found), "{} got {found}, expected {each}: {settlement:?}", slot.verifier);
    }
    let tip = paid(cheat.address());
    ensure!(tip == 0 || tip == TIP, "the cheat got {tip}: {settlement:?}");
    let client = paid(accounts::CLIENT.address);
    ensure!(client == settlement.budget - TIP, "the client got {client} back: {settlement:?}");
    let burned = lock - count * FEE - to_honest / count * count;
    ensure!(settlement.burned == burned, "expected {burned} burned: {settlement:?}");
    for stake in &settlement.stakes {
        let lost = if stake.worker == cheat.address() { lock } else { 0 };
        ensure!(stake.slashed == lost, "{stake:?}");
    }
    Ok(())
}

async fn until(net: &Net, agreement: Address, reached: impl Fn(Status) -> bool) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let status = net.status(agreement).await?;
        if reached(status) {
            return Ok(());
        }
        ensure!(!status.is_final() && Instant::now() < until, "the agreement is {status}\n{}", net.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
