//! What goes on beside the work: settings read again, disk and gas looked at, old transactions looked after.
use std::{sync::Arc, time::Duration};

use alloy::providers::Provider as _;
use tokio::signal::unix::Signal;

use super::start::START_PAUSE;
use crate::{
    amount::Unit,
    config::Loaded,
    context::Context,
    control::{Control, Reloaded},
    governor::Governor,
    policy::{gas_money::most_gas, hardware::Hardware},
    refusal::Refusal,
};

/// How often disk and pressure are looked at.
const LOOK_AROUND: Duration = Duration::from_secs(10);
/// Confidential work is refused one by one; why is said once at the start.
pub(super) async fn say_who_reads(ctx: Arc<Context>) {
    let refusal = match (&ctx.encryption, ctx.chain.encryption_key_of(ctx.me).await) {
        (None, _) => Refusal::NoEncryptionKey,
        (Some(own), Ok(published)) if published != own.public() => {
            Refusal::EncryptionKey { own: own.public(), published }
        }
        _ => return,
    };
    tracing::warn!("public work only: {refusal}");
}

/// Reads the settings again: what is wrong changes nothing.
pub(super) fn reloader(
    first: Loaded,
    read_again: impl Fn() -> eyre::Result<Loaded> + Send + Sync + 'static,
    governor: Arc<Governor>,
    unit: Unit,
    hardware: Hardware,
) -> impl Fn() -> eyre::Result<Reloaded> + Send + Sync {
    let last = std::sync::Mutex::new(first);
    move || {
        let loaded = read_again()?;
        let settled = loaded.layer.settle(&unit, &hardware).map_err(|error| loaded.explain(error))?;
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (changed, needs_restart) = loaded.changed_since(&last);
        governor.reload(settled);
        tracing::info!(?changed, ?needs_restart, "read the settings again");
        // What needs a restart is said at every reload until then.
        let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        let reloaded = Reloaded { changed: names(changed), needs_restart: names(needs_restart) };
        if reloaded.needs_restart.is_empty() {
            *last = loaded;
        }
        Ok(reloaded)
    }
}

/// SIGHUP, as `systemctl reload` sends it.
pub(super) async fn reload_on_signal(control: Arc<Control>, hangups: std::io::Result<Signal>) {
    let Ok(mut hangups) = hangups else {
        tracing::warn!("cannot listen for SIGHUP; reload with `sunwork-worker reload`");
        return;
    };
    while hangups.recv().await.is_some() {
        if let Err(error) = (control.reload)() {
            tracing::error!("the settings stay as they were: {error:#}");
        }
    }
}

/// Looks at disk, pressure and gas now and then.
pub(super) async fn look_around(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(LOOK_AROUND);
    let mut round = 0_u32;
    loop {
        ticks.tick().await;
        ctx.governor.sample();
        ctx.journal.look_for_room();
        ctx.governor.set_journal_short(ctx.journal.is_short_of_room());
        // Gas moves block by block; a request a minute is enough for a rule of thumb. Who waits for ether, if only for the largest part
        // that there is, is not kept waiting.
        if round.is_multiple_of(6) || ctx.governor.gas_money(most_gas()).is_err() {
            match ctx.chain.rpc().provider().get_gas_price().await {
                Ok(wei) => ctx.governor.set_gas_price(u64::try_from(wei).unwrap_or(u64::MAX)),
                Err(error) => tracing::debug!(%error, "cannot ask for the price of gas"),
            }
            let device = ctx.signer.address();
            match ctx.chain.rpc().provider().get_balance(device).await {
                Ok(wei) => ctx.governor.set_device_wei(u128::try_from(wei).unwrap_or(u128::MAX), device),
                Err(error) => tracing::debug!(%error, "cannot ask what the device's key holds"),
            }
        }
        if round.is_multiple_of(6) {
            ctx.runtime.make_room().await;
        }
        round = round.wrapping_add(1);
    }
}

/// Settles what was under way when the process ended, and then whatever nobody waits for any more. Supervisors need not wait for
/// it: the same call is never sent twice.
pub(super) async fn recover(ctx: Arc<Context>) {
    let tend = async {
        loop {
            // Not `TxManager::recover`, which waits for each: one that is stuck must not hold up the others.
            match ctx.tx.tend().await {
                Ok(outcomes) => {
                    for (entry, outcome) in outcomes {
                        tracing::info!(label = %entry.label, tx = %entry.hash, ?outcome, "settled a transaction that nobody waited for");
                    }
                }
                Err(error) => tracing::warn!(%error, "transactions that nobody waits for are not looked after now"),
            }
            tokio::time::sleep(START_PAUSE).await;
        }
    };
    tokio::select! {
        () = ctx.shutdown.cancelled() => {}
        () = tend => {}
    }
}
