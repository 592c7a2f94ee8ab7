//! A network on a drand beacon: its keeper records the rounds, and whole tasks are bought and paid with real workers. Every result
//! is drawn for the late audit, in which one more verifier looks at a result that is open, and finds the worker's digests in its
//! blob: three rounds for each task (the draw, the lot, the auditor's draw).

use std::{collections::BTreeSet, time::Duration};

use alloy::{providers::Provider, rpc::types::Filter, sol_types::SolEvent};
use eyre::{OptionExt, ensure};
use sunwork_protocol::{
    abi::IBeacon,
    status::{Ending, RoundKind},
};
use xtask::{
    accounts,
    devnet::{Beacon, Options, SUN},
};

use crate::support::{Net, expect, small_bag};

const LIMIT: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_drawn_audited_and_paid_by_drand_rounds_that_the_keeper_records() -> eyre::Result<()> {
    let mut options = Options::for_tests()?.param("/compute/auditOneIn", 1);
    options.beacon = Beacon::Drand;
    let mut net = Net::start(options).await?;
    let image = net.image("raytrace").await?;
    // Side by side, so that rounds may be shared.
    let (one, two) = (net.buy(small_bag(&image)).await?.address, net.buy(small_bag(&image)).await?.address);
    for agreement in [one, two] {
        let ending = net.until_over(agreement, LIMIT, |devnet, _| devnet.expect_alive()).await?;
        expect(ending, Ending::Verified)?;
        let view = net.view(agreement).await?;
        assert_eq!((view.voteRound, view.kind, view.slots.len()), (1, RoundKind::Audit as u8, 3), "{view:?}");
        let settlement = net.client.settlement(agreement).await?;
        let done = |name: &str| settlement.transactions.iter().filter(|tx| tx.ok && tx.name == name).count();
        assert_eq!(done("openLate"), 1, "{:#?}", settlement.transactions);
        for slot in &view.slots {
            let paid = settlement.paid.get(&slot.verifier).copied().unwrap_or_default();
            ensure!(paid >= 5 * SUN, "{} got {paid}: {settlement:?}", slot.verifier);
        }
        let paid = settlement.paid.get(&view.worker).copied().unwrap_or_default();
        ensure!(paid >= 100 * SUN, "the worker got {paid}: {settlement:?}");
        ensure!(settlement.adds_up() && settlement.held == 0 && settlement.burned == 0, "{settlement:?}");
        net.client.results(agreement, &net.files.path().join(agreement.to_string())).await?;
    }

    // Only the keeper records, and no worker can prove a round: every seed is what the chain of the network signed.
    let drand = net.devnet.drand.as_ref().ok_or_eyre("the network has no drand chain")?;
    let provider = net.devnet.chain.provider();
    let filter = Filter::new()
        .address(net.devnet.deployment.beacon)
        .event_signature(IBeacon::SeedRecorded::SIGNATURE_HASH)
        .from_block(0);
    let mut rounds = BTreeSet::new();
    for log in provider.get_logs(&filter).await? {
        let event = IBeacon::SeedRecorded::decode_log(&log.inner)?;
        let round = event.round.to::<u64>();
        assert_eq!(event.seed, drand.sign(round).seed(), "round {round}");
        let hash = log.transaction_hash.ok_or_eyre("a log without transaction")?;
        let receipt = provider.get_transaction_receipt(hash).await?.ok_or_eyre("no receipt")?;
        assert_eq!(receipt.from, accounts::KEEPER.address, "round {round}");
        ensure!(rounds.insert(round), "round {round} was recorded twice");
    }
    ensure!((3..=6).contains(&rounds.len()), "two tasks of three draws recorded {rounds:?}");
    net.expect_stakes_whole(&[]).await?;
    net.expect_supply_unchanged().await?;
    net.devnet.stop().await
}
