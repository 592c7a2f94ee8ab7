//! A device that runs out of ether in the middle of an agreement: it takes nothing new, says what is missing and what is in danger, and
//! goes on by itself once it is sent some.
use alloy::{
    primitives::U256,
    providers::{Provider, ext::AnvilApi},
};
use eyre::{OptionExt, ensure};
use sunwork_client::job::Taker;
use sunwork_protocol::status::Status;

use super::{LEAVES, Net, bag, expect_verified, until, until_excluded, until_held, until_status};

/// What is left to the device: nothing can be sent with it.
const LEFT_WEI: u64 = 7_000_000_000;

pub(super) async fn a_device_without_ether_takes_nothing_until_it_is_sent_some(net: &mut Net) -> eyre::Result<()> {
    let image = net.image("raytrace").await?;
    let running = net.buy(bag(&image, LEAVES, Taker::Anybody)).await?.address;
    until_status(net, running, Status::Working).await?;
    let working = net.view(running).await?.worker;
    let who = net.devnet.workers.iter().position(|worker| worker.owner == working).ok_or_eyre("nobody works")?;
    let device = net.devnet.workers[who].device;
    let provider = net.devnet.chain.provider().clone();
    let held = provider.get_balance(device).await?;
    provider.anvil_set_balance(device, U256::from(LEFT_WEI)).await?;

    // `status` asks the chain: from then on the rules know, too.
    let said = until_held(&net.devnet.workers[who], "gas_money").await?;
    let reason = &said["daemon"]["notWorking"][0];
    let text = reason["text"].as_str().unwrap_or_default();
    let named = ["holds 0.000000007 ETH < 0.", "are not there: the stake in them is in danger"];
    ensure!(named.iter().all(|part| text.contains(part)), "{said:#}");
    ensure!(reason["remedy"].as_str().is_some_and(|text| text.contains("send ether")), "{said:#}");
    let row =
        said["agreements"].as_array().into_iter().flatten().find(|row| row["agreement"] == serde_json::json!(running));
    ensure!(row.is_some_and(|row| row["gasUnits"].as_u64().is_some_and(|gas| gas > 0)), "{said:#}");

    let wanted = net.buy(bag(&image, 1, Taker::Worker(working)).samples(1)).await?.address;
    let excluded = until_excluded(&net.devnet.workers[who], "gas_money").await?;
    let example = excluded["example"].as_str().unwrap_or_default();
    ensure!(example.contains("holds 0.000000007 ETH < 0."), "{excluded:#}");
    ensure!(excluded["measured"]["unit"] == "gwei" && excluded["measured"]["lowest"] == 7, "{excluded:#}");
    ensure!(net.status(wanted).await? == Status::Open, "it took what it cannot pay for");
    ensure!(net.status(running).await? == Status::Working, "it was sealed without ether");

    provider.anvil_set_balance(device, held).await?;
    let free = |said: &serde_json::Value| said["daemon"]["notWorking"].as_array().is_some_and(Vec::is_empty);
    until(&net.devnet.workers[who], &["status"], "it takes work again", free).await?;
    expect_verified(net, running).await?;
    expect_verified(net, wanted).await?;
    ensure!(net.view(wanted).await?.worker == working, "another worker took what names this one");
    Ok(())
}
