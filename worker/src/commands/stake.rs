//! `unstake` and `withdraw`: the owner's money back.
use std::sync::Arc;

use alloy::{primitives::U256, sol_types::SolCall};
use eyre::{WrapErr, bail};
use sunwork_edge::{TxManager, tx::MemoryTxLog};
use sunwork_protocol::abi::IWorkerDispatcher;

use super::{Report, chain};
use crate::{config::Layer, folder::Folder, identity};

/// Takes stake out of the draws; "all" takes what is not locked.
///
/// # Errors
/// When less is free than asked.
pub async fn unstake(settings: &Layer, amount: &str) -> eyre::Result<Report> {
    let chain = chain(settings).await?;
    let signer = identity::owner_key(settings, &Folder::at(settings.data_dir()))?;
    let owner = signer.address();
    let unit = identity::unit(&chain).await?;
    let info = chain.worker_info(owner).await?;
    let free = info.bonded.saturating_sub(info.locked).to::<u128>();
    let amount = if amount == "all" { free } else { unit.parse(amount)? };
    if amount == 0 || amount > free {
        bail!(
            "{} cannot be unstaked: {} are staked, {} of them locked by agreements, {} are free",
            unit.format(amount),
            unit.format(info.bonded.to()),
            unit.format(info.locked.to()),
            unit.format(free)
        );
    }
    let tx = TxManager::new(chain.rpc().clone(), signer, Arc::new(MemoryTxLog::default()));
    let call = IWorkerDispatcher::unstakeCall { amount: U256::from(amount) };
    tx.send("unstake", chain.deployment.dispatcher, call.abi_encode().into()).await?;
    let info = chain.worker_info(owner).await?;
    let mut report = Report::new("unstake");
    report.add("unbonding", "Unbonding", unit.format(info.unbonding.to()), info.unbonding.to::<u128>().to_string());
    let until = info.unbondingUntil.to::<u64>();
    report.add("withdrawableFrom", "Withdrawable from (Unix time)", until, until);
    Ok(report)
}

/// Collects unbonded stake and earnings, whatever there is of both.
///
/// # Errors
/// When the chain refuses or cannot be reached.
pub async fn withdraw(settings: &Layer) -> eyre::Result<Report> {
    let chain = chain(settings).await?;
    let signer = identity::owner_key(settings, &Folder::at(settings.data_dir()))?;
    let owner = signer.address();
    let unit = identity::unit(&chain).await?;
    let dispatcher = chain.deployment.dispatcher;
    let info = chain.worker_info(owner).await?;
    let payout = chain.dispatcher().payoutOf(owner).call().await.wrap_err("reading the payout account")?;
    let earned = u128::try_from(chain.payable_of(owner).await?).unwrap_or(u128::MAX);
    let (_, now) = chain.rpc().latest().await.wrap_err("reading the newest block")?;
    let tx = TxManager::new(chain.rpc().clone(), signer, Arc::new(MemoryTxLog::default()));
    let mut report = Report::new("withdraw");
    if earned > 0 {
        let call = IWorkerDispatcher::withdrawCall { account: payout };
        tx.send("withdraw", dispatcher, call.abi_encode().into()).await?;
    }
    report.add("earnings", "Earnings sent", unit.format(earned), earned.to_string());
    let unbonding = info.unbonding.to::<u128>();
    let until = info.unbondingUntil.to::<u64>();
    let ripe = unbonding > 0 && now >= until;
    if ripe {
        let call = IWorkerDispatcher::withdrawUnbondedCall { worker: owner };
        tx.send("withdraw-unbonded", dispatcher, call.abi_encode().into()).await?;
    }
    let sent = if ripe { unbonding } else { 0 };
    report.add("stake", "Stake sent", unit.format(sent), sent.to_string());
    if unbonding > 0 && !ripe {
        let text = format!("{} until Unix time {until} (it is {now})", unit.format(unbonding));
        report.add("stillUnbonding", "Still unbonding", text, unbonding.to_string());
    }
    Ok(report)
}
