//! The worker as a process: connect, watch for purchases, one [`Supervisor`](crate::supervisor::Supervisor) for each, stop cleanly.
//!
//! - `start`: node, facts and engines; `watcher`: the chain, block by block; `chores`: what goes on beside
mod chores;
mod start;
mod watcher;

use std::{sync::Arc, time::Duration};

use eyre::WrapErr;
use sunwork_edge::{Deployment, TxManager, blobs::BlobClient, mail::MailClient, tx::TxOptions};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{
    chores::{look_around, recover, reload_on_signal, reloader, say_who_reads},
    start::{beginning, kinds, retry, runtimes, until_there},
    watcher::Watcher,
};
use crate::{
    chain::Chain,
    config::Loaded,
    context::Context,
    control::{self, Control},
    energy,
    folder::Folder,
    governor::{Governor, now_secs},
    identity,
    journal::{Header, Journal, VERSION},
    notify,
    orders::{self, Inbox},
    policy::hardware::Hardware,
    runtime::{DockerConfig, Runtime, WasmConfig},
    timings::Timings,
    view::Head,
};

/// Runs until `shutdown`, or until something fails that only a person can mend.
///
/// # Errors
/// Settings, keys, a foreign journal, a chain id that is not the deployment's, a journal that cannot be written.
pub async fn run(
    loaded: Loaded,
    read_again: impl Fn() -> eyre::Result<Loaded> + Send + Sync + 'static,
    shutdown: CancellationToken,
) -> eyre::Result<()> {
    // From here on a reload waits for the end of the start; by itself the signal would end the process.
    let hangups = signal(SignalKind::hangup());
    let settings = loaded.layer.clone();
    let hardware = Hardware::detect(&settings.data_dir());
    let folder = Folder::create(settings.data_dir()).wrap_err("opening the data folder")?;
    // First of all: a second process must not even read the journal.
    let _lock = folder.lock()?;
    let deployment = Deployment::load(settings.deployment()?)?;
    let signer = identity::device_key(&settings, &folder)?;
    let device = signer.address();
    let encryption = identity::encryption_key(&settings, &folder)?;
    tracing::info!(%device, data_dir = %folder.root().display(), chain_id = deployment.chain_id, "starting");

    let fees = settings.fees()?;
    let Some((rpc, facts)) = beginning(&settings, &deployment, &folder, device, &shutdown).await? else {
        return Ok(());
    };
    let chain = Chain::new(rpc.clone(), deployment.clone());
    let (me, params, unit) = (facts.me, facts.params, facts.unit.clone());

    let settled = settings.settle(&unit, &hardware).map_err(|error| loaded.explain(error))?;
    tracing::info!(caps = ?settled.caps, "what leaves may use together");
    let governor = Arc::new(Governor::open(&folder, settled));
    let socket = settings.control_socket();
    let listener = control::bind(&socket)?;
    let metrics = match settings.metrics_listen {
        Some(address) => {
            let doing = || format!("listening for metrics on {address}; name another place with --metrics-listen");
            Some(TcpListener::bind(address).await.wrap_err_with(doing)?)
        }
        None => None,
    };
    let header =
        Header { version: VERSION, chain_id: deployment.chain_id, dispatcher: deployment.dispatcher, worker: me };
    let journal = Arc::new(Journal::open(folder.journal(), &header)?);
    governor.set_journal_short(journal.is_short_of_room());
    let still_open = |agreement| journal.agreement(agreement).is_some_and(|known| !known.is_closed());
    match folder.sweep(still_open) {
        Ok(0) => {}
        Ok(swept) => tracing::info!(swept, "deleted the files of agreements that are over"),
        Err(error) => tracing::warn!(%error, "cannot delete the files of agreements that are over"),
    }
    let (image_quota, cache_quota) = settings.quotas().map_err(|error| loaded.explain(error))?;
    let docker_config = DockerConfig {
        host: settings.docker_host.clone(),
        work_dir: folder.images(),
        // The device, not the worker: a fleet may share an engine.
        label: format!("{device:?}"),
        quota: image_quota,
    };
    let wasm_config =
        WasmConfig { runner: settings.wasm_runner.clone(), work_dir: folder.root().to_owned(), quota: cache_quota };
    let kinds = kinds(&settings, facts.kinds(&deployment));
    let open = || async { retry(runtimes(&kinds, &docker_config, &wasm_config).await) };
    let Some(runtimes) = until_there(&shutdown, open).await? else { return Ok(()) };

    let (heads_out, heads) = watch::channel(Head::default());
    let tx = TxManager::with_options(rpc, signer.clone(), journal.clone(), TxOptions { fees, ..TxOptions::default() });
    let oracles = settings.oracle()?.to_vec();
    let ctx = Arc::new(Context {
        chain,
        tx,
        journal,
        blobs: BlobClient::new(oracles.clone()),
        mail: MailClient::new(oracles, deployment.chain_id),
        signer,
        encryption,
        runtime: Arc::new(runtimes.clone()) as Arc<dyn Runtime>,
        folder,
        governor: governor.clone(),
        timings: Timings::default(),
        me,
        params,
        heads,
        shutdown: shutdown.clone(),
        finality_blocks: settings.finality_blocks.unwrap_or(32),
    });
    tracing::info!(worker = %me, %device, runtimes = runtimes.describe(), "ready");

    let reload = reloader(loaded, read_again, governor, unit.clone(), hardware);
    let control = Arc::new(Control {
        ctx: ctx.clone(),
        unit,
        reload: Box::new(reload),
        started_at: now_secs(),
        shutdown: shutdown.clone(),
    });
    let mut helpers = JoinSet::new();
    helpers.spawn(control::serve(listener, control.clone()));
    if let Some(listener) = metrics {
        helpers.spawn(control::metrics::serve(listener, control.clone()));
    }
    helpers.spawn(reload_on_signal(control, hangups));
    helpers.spawn(look_around(ctx.clone()));
    let kept = match settings.energy.settle()? {
        Some(energy) => {
            let task =
                energy::task::Task::open(energy, &ctx, hardware.threads).wrap_err("opening the energy's sensors")?;
            let (store, plant) = task.attests();
            let keys = energy::attest::keys::Keyring::of(&settings, &ctx.folder)?;
            let attests = energy::attest::task::Task::new(ctx.clone(), keys, store, plant);
            Some((tokio::spawn(task.run(ctx.clone())), tokio::spawn(attests.run())))
        }
        None => None,
    };
    helpers.spawn(say_who_reads(ctx.clone()));
    notify::ready();

    let recovery = tokio::spawn(recover(ctx.clone()));
    let poll = Duration::from_millis(settings.poll_ms()?);
    let offers = tokio::spawn(orders::serve(ctx.clone(), Inbox::new(ctx.folder.root()), poll));
    let idle_poll = Duration::from_millis(settings.idle_poll_ms()?);
    let ended = Watcher::new(ctx, heads_out, poll, idle_poll).run().await;
    notify::stopping();
    shutdown.cancel();
    helpers.shutdown().await;
    let _ = std::fs::remove_file(&socket);
    if let Some((kept, attested)) = kept {
        kept.await.wrap_err("keeping the energy")?;
        attested.await.wrap_err("attesting the energy")?;
    }
    recovery.await.wrap_err("settling the transactions from before the restart")?;
    offers.await.wrap_err("taking signed offers")?;
    if let Some(docker) = &runtimes.docker
        && let Err(error) = docker.sweep().await
    {
        tracing::warn!(%error, "cannot remove the containers of unfinished leaves; the next start will");
    }
    tracing::info!("stopped");
    ended
}
