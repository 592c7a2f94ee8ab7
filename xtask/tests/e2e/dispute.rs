//! Disputes, by the command: a bond on a leaf that nobody sampled makes more verifiers look, and whoever is right by them is paid.

use std::time::{Duration, Instant};

use alloy::primitives::Address;
use eyre::ensure;
use sunwork_client::settlement::Settlement;
use sunwork_protocol::{
    abi::IComputeAgreement,
    draw,
    status::{Ending, RoundKind, Status},
};
use xtask::{
    accounts,
    devnet::{Options, SUN, WorkerNode},
};

use crate::{
    cheat::cheat_worker::{Cheat, FALSE_LEAF, MOOD},
    cli::{json, run, sunwork},
    support::{Net, expect, hostile},
};

const LIMIT: Duration = Duration::from_secs(150);
const REWARD: u128 = 100 * SUN;
const FEE: u128 = 5 * SUN;
/// The tip for recording the first beacon round is paid whatever comes out.
const TIP: u128 = 10_000_000;
const LEAVES: u32 = 8;
const SAMPLES: u8 = 1;
/// One verifier at first, two more for each dispute.
const VERIFIERS: u8 = 1;
const DISPUTE_SECS: u32 = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_bond_is_won_on_a_false_leaf_that_nobody_sampled_and_lost_on_a_good_one() -> eyre::Result<()> {
    let options = Options::for_tests()?.workers(4).param("/compute/drawSteps", 16);
    let mut net = Net::start(options).await?;
    let home = tempfile::tempdir()?;
    let cheat = Cheat::register(&net).await?;
    let (agreement, blind) = cheat_unseen(&mut net, &cheat).await?;
    until(&net, agreement, Status::Disputable).await?;
    assert_eq!(net.view(agreement).await?.slots.len(), 1, "the one verifier drawn saw nothing");

    // Nobody has to be asked for money before it is clear what it is for.
    let id = agreement.to_string();
    let refused = json(sunwork(&net, home.path(), &["dispute", &id, "--leaf", "8", "--dry-run"])?, 1).await?;
    ensure!(refused["error"]["message"].as_str().is_some_and(|text| text.contains("expected 0 to 7")), "{refused:#}");
    let leaf = FALSE_LEAF.to_string();
    let said = json(sunwork(&net, home.path(), &["dispute", &id, "--leaf", &leaf, "--yes"])?, 0).await?;
    let bond = net.client.dispute_bond(agreement).await?;
    assert_eq!((&said["bond"], &said["leaf"]), (&bond.to_string().into(), &FALSE_LEAF.into()), "{said:#}");
    let again = json(sunwork(&net, home.path(), &["dispute", &id, "--leaf", &leaf, "--yes"])?, 1).await?;
    ensure!(again["error"]["message"].as_str().is_some_and(|text| text.contains("disputed already")), "{again:#}");
    expect(net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?, Ending::Refuted)?;
    let view = net.view(agreement).await?;
    assert_eq!(
        (view.kind, view.slots.len(), &view.leaves[..]),
        (RoundKind::Leaves as u8, 3, &[FALSE_LEAF][..]),
        "{view:?}"
    );
    expect_won(&net, agreement, &cheat, blind, bond).await?;
    expect_worthless(&net, agreement).await?;

    // The same for honest work: the verifiers side with the worker, and the bond is gone.
    let image = net.image("hostile").await?;
    let mut good = hostile(&image, MOOD).leaves(LEAVES).samples(SAMPLES).verifiers(VERIFIERS).trust(2);
    good = good.windows(windows());
    let agreement = net.buy(good).await?.address;
    until(&net, agreement, Status::Disputable).await?;
    let id = agreement.to_string();
    json(sunwork(&net, home.path(), &["dispute", &id, "--leaf", "5", "--yes"])?, 0).await?;
    expect(net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?, Ending::Verified)?;
    let settlement = net.client.settlement(agreement).await?;
    let view = net.view(agreement).await?;
    ensure!(settlement.adds_up() && settlement.held == 0, "{settlement:?}");
    assert_eq!((view.slots.len(), &view.leaves[..]), (3, &[5_u32][..]), "{view:?}");
    ensure!(paid(&settlement, view.worker) >= REWARD, "{settlement:?}");
    for slot in &view.slots {
        ensure!(paid(&settlement, slot.verifier) >= FEE, "{} got less than its fee: {settlement:?}", slot.verifier);
    }
    // The two new verifiers are paid from the bond; the rest of it is burned.
    assert_eq!(settlement.funded.get(&accounts::CLIENT.address), Some(&bond), "{settlement:?}");
    assert_eq!(settlement.burned, bond - 2 * FEE, "{settlement:?}");
    let back = settlement.budget - REWARD - FEE - TIP;
    assert_eq!(paid(&settlement, accounts::CLIENT.address), back, "nothing of the bond: {settlement:?}");
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}

fn windows() -> sunwork_client::job::Windows {
    let dispute_secs = Some(DISPUTE_SECS);
    sunwork_client::job::Windows { accept_secs: 60, work_secs: Some(60), verify_secs: Some(60), dispute_secs }
}

/// A bag with a false leaf whose only verifier did not sample it. The draw is known before anybody claims: of the workers only one
/// runs that is blind to the leaf. Returns the verifier.
async fn cheat_unseen(net: &mut Net, cheat: &Cheat) -> eyre::Result<(Address, Address)> {
    net.devnet.workers.iter_mut().for_each(WorkerNode::stop);
    let image = net.image("hostile").await?;
    let job = hostile(&image, MOOD).leaves(LEAVES).samples(SAMPLES).verifiers(VERIFIERS).trust(2).public(true);
    let agreement = net.buy(job.windows(windows())).await?.address;
    cheat.send(agreement, IComputeAgreement::acceptCall {}).await?;
    let (seal, opened) = cheat.seal(net, agreement, LEAVES).await?;
    cheat.send(agreement, seal).await?;
    cheat.open_draw(net, agreement).await?;
    let seed = net.view(agreement).await?.drawSeed;
    let sees = |worker: &WorkerNode| draw::sampled_leaves(seed, worker.owner, LEAVES, SAMPLES).contains(&FALSE_LEAF);
    // Each of four sees it with a chance of an eighth: all of them once in 4,096 draws.
    let one = net.devnet.workers.iter_mut().find(|worker| !sees(worker));
    let one = one.ok_or_else(|| eyre::eyre!("all workers sample the false leaf"))?;
    one.start(&[])?;
    let blind = one.owner;
    until(net, agreement, Status::Revealing).await?;
    for worker in net.devnet.workers.iter_mut().filter(|worker| worker.owner != blind) {
        worker.start(&[])?;
    }
    let opening = opened.opening(&net.view(agreement).await?, LEAVES, SAMPLES);
    cheat.send(agreement, IComputeAgreement::revealCall { opening }).await?;
    Ok((agreement, blind))
}

/// The cheat lost its lock, of which the disputer has a share besides its bond; the client, who is the disputer here, all but the
/// tip besides. The verifier that saw nothing false is honest and paid like the others.
async fn expect_won(net: &Net, agreement: Address, cheat: &Cheat, blind: Address, bond: u128) -> eyre::Result<()> {
    let settlement = net.client.settlement(agreement).await?;
    ensure!(settlement.adds_up() && settlement.held == 0, "{settlement:?}");
    let view = net.view(agreement).await?;
    ensure!(view.slots.iter().any(|slot| slot.verifier == blind), "{view:?}");
    let lock: u128 = net.client.compute(agreement).workerLock(view.reward).call().await?.to();
    // The fees of three verifiers first; half of the rest for three verifiers and the disputer.
    let share = (lock - 3 * FEE) / 2 / 4;
    for slot in &view.slots {
        let found = paid(&settlement, slot.verifier);
        ensure!([FEE + share, FEE + share + TIP].contains(&found), "{} got {found}: {settlement:?}", slot.verifier);
    }
    let client = paid(&settlement, accounts::CLIENT.address);
    assert_eq!(client, settlement.budget - TIP + bond + share, "{settlement:?}");
    let slashed: Vec<_> = settlement.stakes.iter().filter(|stake| stake.slashed > 0).collect();
    ensure!(matches!(slashed[..], [one] if one.worker == cheat.address() && one.slashed == lock), "{settlement:?}");
    net.expect_stakes_whole(&[]).await
}

/// The command tells that the result is not to be believed.
async fn expect_worthless(net: &Net, agreement: Address) -> eyre::Result<()> {
    let home = tempfile::tempdir()?;
    let (code, out, err) =
        run(sunwork(net, home.path(), &["results", &agreement.to_string(), "--out", "out"])?).await?;
    ensure!(code != 0 || err.contains("at least one of these leaves is wrong"), "exit {code}\n{out}\n{err}");
    Ok(())
}

fn paid(settlement: &Settlement, who: Address) -> u128 {
    settlement.paid.get(&who).copied().unwrap_or_default()
}

async fn until(net: &Net, agreement: Address, wanted: Status) -> eyre::Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let status = net.status(agreement).await?;
        if status == wanted {
            return Ok(());
        }
        ensure!(!status.is_final() && Instant::now() < until, "the agreement is {status}\n{}", net.logs());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
