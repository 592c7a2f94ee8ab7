//! The worker as a process: connect, watch for purchases, one [`Supervisor`] for each, stop cleanly.
use std::{collections::HashMap, sync::Arc, time::Duration};

use alloy::{primitives::Address, providers::Provider as _};
use eyre::{WrapErr, eyre};
use sunwork_edge::{
    Deployment, Rpc, TxManager,
    blobs::BlobClient,
    mail::MailClient,
    rpc::{self, RpcOptions},
    tx::TxOptions,
};
use sunwork_protocol::abi::IWorkerDispatcher::AgreementBought;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    amount::Unit,
    chain::{Chain, LOG_CHUNK_BLOCKS},
    config::{Layer, Loaded},
    context::Context,
    control::{self, Control, Reloaded},
    energy,
    facts::Facts,
    folder::Folder,
    governor::{Governor, now_secs},
    identity,
    journal::{Header, Journal, Record, VERSION},
    notify,
    orders::{self, Inbox},
    policy::{Mode, hardware::Hardware},
    refusal::Refusal,
    runtime::{Docker, DockerConfig, Kind, Runtime, Several, Wasm, WasmConfig},
    supervisor::{Supervisor, SupervisorError},
    timings::Timings,
    view::Head,
    why::Fate,
};

/// Blocks that are read again at every look: purchases that a reorg moved are found anew.
const REORG_BLOCKS: u64 = 32;
/// Purchases older than this are not counted as demand of today.
const FRESH_BLOCKS: u64 = 7200;
/// A new worker looks back this far: older agreements are over.
const FIRST_LOOK_BACK_BLOCKS: u64 = 50_000;
/// The last block is written down this often when nothing happens.
const SEEN_EVERY_BLOCKS: u64 = 64;
/// How often disk and pressure are looked at.
const LOOK_AROUND: Duration = Duration::from_secs(10);
/// Pause between attempts to reach node or engine at the start.
const START_PAUSE: Duration = Duration::from_secs(3);

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
            let keys = energy::attest::keys::Keyring::of(&settings, &ctx.folder);
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
    let ended = Watcher {
        ctx,
        heads_out,
        poll,
        idle_poll: Duration::from_millis(settings.idle_poll_ms()?),
        supervisors: JoinSet::new(),
        running: HashMap::new(),
        scanned: None,
        seen: None,
    }
    .run()
    .await;
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

/// Connection and facts: from the chain or, where no node answers and an earlier start kept them, from the data folder, so that what
/// was running goes on without network. `None` on shutdown.
async fn beginning(
    settings: &Layer,
    deployment: &Deployment,
    folder: &Folder,
    device: Address,
    shutdown: &CancellationToken,
) -> eyre::Result<Option<(Rpc, Facts)>> {
    let attempt = || async {
        let asked = async {
            let rpc = connect(settings, deployment).await?;
            let facts = retry(Facts::read(&Chain::new(rpc.clone(), deployment.clone()), device).await)?;
            Ok((rpc, facts))
        };
        let error = match asked.await {
            Ok((rpc, facts)) => {
                if facts.me.is_zero() {
                    let sentence = "acts for no worker; run `sunwork-worker register` with the owner's key first";
                    return Err(Start::Never(eyre!("the device key {device} {sentence}")));
                }
                if let Err(error) = facts.keep(&folder.facts()) {
                    tracing::warn!(%error, "what the chain said is not kept: a start without network will have to wait for it");
                }
                return Ok((rpc, facts));
            }
            Err(Start::Never(error)) => return Err(Start::Never(error)),
            Err(Start::NotYet(error)) => error,
        };
        let Some(facts) = Facts::kept(&folder.facts(), deployment, device) else { return Err(Start::NotYet(error)) };
        tracing::warn!("{error:#}; going on from local state until a node answers");
        let urls = settings.rpc().map_err(|error| Start::Never(error.into()))?;
        let rpc = rpc::connect_later(urls, deployment.chain_id, RpcOptions::default());
        Ok((rpc.map_err(|error| Start::Never(error.into()))?, facts))
    };
    until_there(shutdown, attempt).await
}

/// Confidential work is refused one by one; why is said once at the start.
async fn say_who_reads(ctx: Arc<Context>) {
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
fn reloader(
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
async fn reload_on_signal(control: Arc<Control>, hangups: std::io::Result<Signal>) {
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
async fn look_around(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(LOOK_AROUND);
    let mut round = 0_u32;
    loop {
        ticks.tick().await;
        ctx.governor.sample();
        ctx.journal.look_for_room();
        ctx.governor.set_journal_short(ctx.journal.is_short_of_room());
        // Gas moves block by block; a request a minute is enough for a rule of thumb.
        if round.is_multiple_of(6) {
            match ctx.chain.rpc().provider().get_gas_price().await {
                Ok(wei) => ctx.governor.set_gas_price(u64::try_from(wei).unwrap_or(u64::MAX)),
                Err(error) => tracing::debug!(%error, "cannot ask for the price of gas"),
            }
        }
        if round.is_multiple_of(6) {
            ctx.runtime.make_room().await;
        }
        round = round.wrapping_add(1);
    }
}

async fn connect(settings: &Layer, deployment: &Deployment) -> Result<Rpc, Start> {
    let urls = settings.rpc().map_err(|error| Start::Never(error.into()))?;
    rpc::connect(urls, deployment.chain_id)
        .await
        .map_err(|error| if error.is_temporary() { Start::NotYet(error.into()) } else { Start::Never(error.into()) })
}

/// What runs leaves: as set, or as the classes that we are in need it.
fn kinds(settings: &Layer, needed: Vec<Kind>) -> Vec<Kind> {
    let Some(set) = settings.runtimes.clone() else { return needed };
    for kind in needed.iter().filter(|kind| !set.contains(kind)) {
        tracing::warn!(
            ?kind,
            "a class that this worker has joined needs a runtime that the setting `runtimes` leaves out"
        );
    }
    set
}

async fn runtimes(kinds: &[Kind], docker: &DockerConfig, wasm: &WasmConfig) -> eyre::Result<Several> {
    Ok(Several {
        docker: if kinds.contains(&Kind::Docker) { Some(engine(docker).await?) } else { None },
        wasm: if kinds.contains(&Kind::Wasm) { Some(Wasm::open(wasm.clone())?) } else { None },
    })
}

async fn engine(config: &DockerConfig) -> eyre::Result<Docker> {
    let docker = Docker::connect(config.clone()).await?;
    let removed = docker.sweep().await?;
    if removed > 0 {
        tracing::info!(removed, "removed what an earlier run left in the container engine");
    }
    Ok(docker)
}

enum Start {
    NotYet(eyre::Report),
    Never(eyre::Report),
}

fn retry<T>(result: eyre::Result<T>) -> Result<T, Start> {
    result.map_err(Start::NotYet)
}

/// Tries until it works: after a power cut the network may be back later than the worker. `None` on shutdown.
async fn until_there<T, F: Future<Output = Result<T, Start>>>(
    shutdown: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> eyre::Result<Option<T>> {
    loop {
        let result = tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            result = attempt() => result,
        };
        match result {
            Ok(value) => return Ok(Some(value)),
            Err(Start::Never(error)) => return Err(error),
            Err(Start::NotYet(error)) => tracing::warn!("{error:#}; trying again in {} s", START_PAUSE.as_secs()),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(START_PAUSE) => {}
        }
    }
}

/// Settles what was under way when the process ended, and then whatever nobody waits for any more. Supervisors need not wait for
/// it: the same call is never sent twice.
async fn recover(ctx: Arc<Context>) {
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

/// Follows the chain, block by block, and starts a supervisor for each purchase.
struct Watcher {
    ctx: Arc<Context>,
    heads_out: watch::Sender<Head>,
    poll: Duration,
    idle_poll: Duration,
    supervisors: JoinSet<Result<(), SupervisorError>>,
    running: HashMap<Address, AbortHandle>,
    /// Last block whose purchases are known, in this run.
    scanned: Option<u64>,
    /// The same as it is written down.
    seen: Option<u64>,
}

impl Watcher {
    async fn run(mut self) -> eyre::Result<()> {
        self.seen = self.ctx.journal.last_block();
        // Before the first block is known: what was running goes on meanwhile.
        for address in self.ctx.journal.state().agreements.into_keys() {
            self.supervise(address)?;
        }
        let mut result = Ok(());
        let mut next_look = tokio::time::Instant::now();
        while result.is_ok() && !self.ctx.shutdown.is_cancelled() {
            tokio::select! {
                () = self.ctx.shutdown.cancelled() => {}
                Some(ended) = self.supervisors.join_next() => result = settled(ended),
                () = tokio::time::sleep_until(next_look) => {
                    result = self.look().await;
                    // On a solar panel every look counts; deadlines are there only where an agreement is.
                    let idle = self.supervisors.is_empty() && self.scanned.is_some();
                    next_look = tokio::time::Instant::now() + if idle { self.idle_poll } else { self.poll };
                }
            }
            notify::alive();
            if result.is_ok() {
                result = self.run_dry();
            }
        }
        self.ctx.shutdown.cancel();
        while let Some(ended) = self.supervisors.join_next().await {
            if let Err(error) = settled(ended) {
                tracing::error!("{error:#}");
                result = result.and(Err(error));
            }
        }
        if let (Ok(()), Some(block)) = (&result, self.scanned) {
            self.write(Record::Seen { block })?;
        }
        result
    }

    /// Ends the worker when the owner lets it run dry and nothing is left, or the time for that is over.
    fn run_dry(&self) -> eyre::Result<()> {
        let governor = &self.ctx.governor;
        let Mode::Draining { until } = governor.mode() else { return Ok(()) };
        let late = until.is_some_and(|until| until <= now_secs());
        let dry = self.scanned.is_some() && governor.board.is_dry() && self.is_dry_by_journal();
        if dry || late {
            tracing::info!(dry, "the owner let it run dry: stopping");
            // The next start is the owner's new word.
            governor.set_mode(Mode::Auto).wrap_err("writing down that it ran dry")?;
            self.ctx.shutdown.cancel();
        }
        Ok(())
    }

    /// Nothing is under way that the board does not know yet.
    fn is_dry_by_journal(&self) -> bool {
        let state = self.ctx.journal.state();
        let mut open = state.agreements.iter().filter(|(_, known)| known.took_part() && !known.is_closed());
        state.txs.is_empty() && open.all(|(agreement, _)| self.ctx.governor.board.has(*agreement))
    }

    async fn look(&mut self) -> eyre::Result<()> {
        let head = match self.ctx.chain.rpc().latest().await {
            Ok((number, timestamp)) => Head { number, timestamp },
            Err(error) => {
                tracing::warn!(%error, "cannot read the newest block");
                return Ok(());
            }
        };
        if *self.heads_out.borrow() == head && self.scanned.is_some() {
            return Ok(());
        }
        if self.heads_out.borrow().number == 0 {
            // The first look reads far back: the supervisors of old agreements need a clock before that.
            self.heads_out.send_replace(head);
        }
        self.scan(head.number).await?;
        self.heads_out.send_replace(head);
        Ok(())
    }

    /// Reads purchases up to the head, a piece at a time; a failed piece is read again at the next look.
    async fn scan(&mut self, head: u64) -> eyre::Result<()> {
        let first = self.ctx.chain.deployment.deployed_block.max(head.saturating_sub(FIRST_LOOK_BACK_BLOCKS));
        let known = self.scanned.or(self.seen);
        let mut from = known.map_or(first, |block| block.min(head).saturating_sub(REORG_BLOCKS).max(first));
        while from <= head {
            let to = head.min(from + LOG_CHUNK_BLOCKS - 1);
            let purchases = match self.ctx.chain.purchases(from, to).await {
                Ok(purchases) => purchases,
                Err(error) => {
                    tracing::warn!(%error, from, to, "cannot read purchases; trying again");
                    return Ok(());
                }
            };
            let mut news = false;
            for (block, event) in purchases {
                match self.bought(block, event).await? {
                    Purchase::Known => {}
                    Purchase::New => news = true,
                    // From this block on again at the next look.
                    Purchase::NoRoom => return Ok(()),
                }
            }
            self.scanned = Some(to);
            if (news || to >= self.seen.unwrap_or(0) + SEEN_EVERY_BLOCKS) && self.write(Record::Seen { block: to })? {
                self.seen = Some(to);
            }
            from = to + 1;
        }
        Ok(())
    }

    /// Writes down what can wait for room. True when it is written.
    fn write(&self, record: Record) -> eyre::Result<bool> {
        match self.ctx.journal.append(record) {
            Ok(()) => Ok(true),
            Err(error) if error.is_full() => {
                self.ctx.governor.set_journal_short(true);
                tracing::debug!(%error, "not written down");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a purchase down and starts on it.
    async fn bought(&mut self, block: u64, event: AgreementBought) -> eyre::Result<Purchase> {
        let agreement = event.agreement;
        let known = self.ctx.journal.agreement(agreement);
        let fresh = match &known {
            None => true,
            Some(known) => {
                !known.is_closed()
                    && (known.client, &known.terms, &known.spec) != (event.client, &event.terms, &event.spec)
            }
        };
        if !fresh {
            let waits = known.is_some_and(|known| !known.is_closed());
            if waits && self.running.get(&agreement).is_none_or(AbortHandle::is_finished) {
                // A reorganisation took it away for so long that it was left alone, and another brought it back.
                self.supervise(agreement)?;
            }
            return Ok(Purchase::Known);
        }
        if let Err(refusal) = self.is_ours(&event).await {
            self.note(agreement, block, Fate::Excluded { refusal });
            return Ok(Purchase::Known);
        }
        if self.ctx.journal.is_short_of_room() {
            // What is left is for the agreements under way.
            self.note(agreement, block, Fate::Excluded { refusal: Refusal::JournalRoom });
            return Ok(Purchase::NoRoom);
        }
        self.note(agreement, block, Fate::Fits);
        tracing::info!(%agreement, client = %event.client, block, budget = %event.budget, "a purchase in our class");
        let (client, terms, spec) = (event.client, event.terms, event.spec);
        if !self.write(Record::Bought { agreement, client, terms, spec, block })? {
            return Ok(Purchase::NoRoom);
        }
        self.supervise(agreement)?;
        Ok(Purchase::New)
    }

    async fn is_ours(&self, event: &AgreementBought) -> Result<(), Refusal> {
        let class = self.ctx.chain.deployment.class_name(event.classId);
        crate::policy::kind_and_runtime(&self.ctx.governor.policy(), event.kindId, &class)?;
        match self.ctx.chain.worker_info(self.ctx.me).await {
            Ok(info) if info.classes.to::<u64>() >> event.classId & 1 == 0 => Err(Refusal::Class { asked: class }),
            // Looked at closely later; better one too many than one missed.
            _ => Ok(()),
        }
    }

    /// What a first look finds in old blocks is no demand of today; a block's age is judged by its distance.
    fn note(&self, agreement: Address, block: u64, fate: Fate) {
        if self.heads_out.borrow().number.saturating_sub(block) <= FRESH_BLOCKS {
            self.ctx.governor.why.note(agreement, fate, now_secs());
        }
    }

    fn supervise(&mut self, agreement: Address) -> eyre::Result<()> {
        if let Some(supervisor) = Supervisor::new(self.ctx.clone(), agreement)? {
            let handle = self.supervisors.spawn(supervisor.run());
            if let Some(old) = self.running.insert(agreement, handle) {
                // A reorg put another purchase at this address: whoever works on the old one must stop.
                old.abort();
            }
            self.running.retain(|_, handle| !handle.is_finished());
        }
        Ok(())
    }
}

/// What a purchase was.
enum Purchase {
    /// Known, or not for us.
    Known,
    /// Written down, and begun.
    New,
    /// There is no room to write it down.
    NoRoom,
}

fn settled(ended: Result<Result<(), SupervisorError>, tokio::task::JoinError>) -> eyre::Result<()> {
    match ended {
        Ok(result) => result.wrap_err("an agreement cannot be carried on"),
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => Err(eyre!("a supervisor ended unexpectedly: {error}")),
    }
}
