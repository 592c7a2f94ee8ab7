//! The worker as a process: connect, watch for purchases, one [`Supervisor`] for each, stop cleanly.
use std::{collections::HashMap, sync::Arc, time::Duration};

use alloy::primitives::Address;
use eyre::{WrapErr, bail, eyre};
use sunwork_edge::{Deployment, Rpc, TxManager, blobs::BlobClient, mail::MailClient, rpc};
use sunwork_protocol::{abi::IWorkerDispatcher::AgreementBought, envelope::SecretKey};
use tokio::{
    sync::{Semaphore, watch},
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::{
    chain::{Chain, LOG_CHUNK_BLOCKS},
    config::Layer,
    context::Context,
    folder::Folder,
    identity,
    journal::{Header, Journal, Record, VERSION},
    orders::{self, Inbox},
    refusal::Refusal,
    runtime::{Docker, DockerConfig, Kind, Runtime, Several, Wasm, WasmConfig},
    supervisor::{Supervisor, SupervisorError},
    timings::Timings,
    view::Head,
};

/// Blocks that are read again at every look: purchases that a reorg moved are found anew.
const REORG_BLOCKS: u64 = 32;
/// A new worker looks back this far: older agreements are over.
const FIRST_LOOK_BACK_BLOCKS: u64 = 50_000;
/// The last block is written down this often when nothing happens.
const SEEN_EVERY_BLOCKS: u64 = 64;
/// Pause between attempts to reach node or engine at the start.
const START_PAUSE: Duration = Duration::from_secs(3);

/// Runs until `shutdown`, or until something fails that only a person can mend.
///
/// # Errors
/// Settings, keys, a foreign journal, a chain id that is not the deployment's, a journal that cannot be written.
pub async fn run(settings: Layer, shutdown: CancellationToken) -> eyre::Result<()> {
    let folder = Folder::create(settings.data_dir()).wrap_err("opening the data folder")?;
    // First of all: a second process must not even read the journal.
    let _lock = folder.lock()?;
    let deployment = Deployment::load(settings.deployment()?)?;
    let signer = identity::device_key(&settings, &folder)?;
    let device = signer.address();
    let encryption = identity::encryption_key(&settings, &folder)?;
    tracing::info!(%device, data_dir = %folder.root().display(), chain_id = deployment.chain_id, "starting");

    let Some(rpc) = until_there(&shutdown, || connect(&settings, &deployment)).await? else { return Ok(()) };
    let chain = Chain::new(rpc.clone(), deployment.clone());
    let asked = until_there(&shutdown, || async { retry(facts(&chain, device, &settings).await) }).await?;
    let Some((me, params, limits)) = asked else { return Ok(()) };
    if me.is_zero() {
        bail!("the device key {device} acts for no worker; run `sunwork-worker register` with the owner's key first");
    }

    say_who_reads(&chain, me, encryption.as_ref()).await;

    let header =
        Header { version: VERSION, chain_id: deployment.chain_id, dispatcher: deployment.dispatcher, worker: me };
    let journal = Arc::new(Journal::open(folder.journal(), &header)?);
    let still_open = |agreement| journal.agreement(agreement).is_some_and(|known| !known.is_closed());
    match folder.sweep(still_open) {
        Ok(0) => {}
        Ok(swept) => tracing::info!(swept, "deleted the files of agreements that are over"),
        Err(error) => tracing::warn!(%error, "cannot delete the files of agreements that are over"),
    }
    let docker_config = DockerConfig {
        host: settings.docker_host.clone(),
        work_dir: folder.images(),
        // The device, not the worker: a fleet may share an engine.
        label: format!("{device:?}"),
    };
    let wasm_config = WasmConfig { runner: settings.wasm_runner.clone(), work_dir: folder.root().to_owned() };
    let Some(kinds) = until_there(&shutdown, || async { retry(kinds(&settings, &chain, me).await) }).await? else {
        return Ok(());
    };
    let open = || async { retry(runtimes(&kinds, &docker_config, &wasm_config).await) };
    let Some(runtimes) = until_there(&shutdown, open).await? else { return Ok(()) };

    let (heads_out, heads) = watch::channel(Head::default());
    let tx = TxManager::new(rpc, signer.clone(), journal.clone());
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
        leaf_permits: Arc::new(Semaphore::new(limits.parallel_leaves as usize)),
        limits,
        timings: Timings::default(),
        me,
        params,
        heads,
        shutdown: shutdown.clone(),
        finality_blocks: settings.finality_blocks.unwrap_or(12),
    });
    tracing::info!(worker = %me, %device, runtimes = runtimes.describe(), "ready");

    let recovery = tokio::spawn(recover(ctx.clone()));
    let poll = Duration::from_millis(settings.poll_ms()?);
    let offers = tokio::spawn(orders::serve(ctx.clone(), Inbox::new(ctx.folder.root()), poll));
    let ended = Watcher {
        ctx,
        heads_out,
        poll,
        supervisors: JoinSet::new(),
        running: HashMap::new(),
        scanned: None,
        seen: None,
    }
    .run()
    .await;
    shutdown.cancel();
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

/// Confidential work is refused one by one; why is said once at the start.
async fn say_who_reads(chain: &Chain, me: Address, own: Option<&SecretKey>) {
    let refusal = match (own, chain.encryption_key_of(me).await) {
        (None, _) => Refusal::NoEncryptionKey,
        (Some(own), Ok(published)) if published != own.public() => {
            Refusal::EncryptionKey { own: own.public(), published }
        }
        _ => return,
    };
    tracing::warn!("public work only: {refusal}");
}

/// What the chain must tell before anything can start.
async fn facts(
    chain: &Chain,
    device: Address,
    settings: &Layer,
) -> eyre::Result<(Address, crate::machine::Params, crate::config::Limits)> {
    let me = chain.worker_of(device).await?;
    let params = chain.params().await?;
    let min_reward = match &settings.min_reward {
        Some(text) => identity::unit(chain).await?.parse(text).wrap_err("min_reward")?,
        None => 0,
    };
    Ok((me, params, settings.limits(min_reward)?))
}

async fn connect(settings: &Layer, deployment: &Deployment) -> Result<Rpc, Start> {
    let urls = settings.rpc().map_err(|error| Start::Never(error.into()))?;
    rpc::connect(urls, deployment.chain_id)
        .await
        .map_err(|error| if error.is_temporary() { Start::NotYet(error.into()) } else { Start::Never(error.into()) })
}

/// What runs leaves: as set, or as the classes that we are in need it.
async fn kinds(settings: &Layer, chain: &Chain, me: Address) -> eyre::Result<Vec<Kind>> {
    let classes = chain.worker_info(me).await?.classes.to::<u64>();
    let ids = (0..48_u16).filter(|id| classes >> id & 1 == 1);
    let mut needed: Vec<Kind> = ids.filter_map(|id| Kind::of_class(&chain.deployment.class_name(id))).collect();
    needed.sort_unstable();
    needed.dedup();
    let Some(set) = settings.runtimes.clone() else { return Ok(needed) };
    for kind in needed.iter().filter(|kind| !set.contains(kind)) {
        tracing::warn!(
            ?kind,
            "a class that this worker has joined needs a runtime that the setting `runtimes` leaves out"
        );
    }
    Ok(set)
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

/// Settles what was under way when the process ended. Supervisors need not wait for it: the same call is never sent twice.
async fn recover(ctx: Arc<Context>) {
    let settle = async {
        loop {
            match ctx.tx.recover().await {
                Ok(outcomes) => {
                    for (entry, outcome) in outcomes {
                        tracing::info!(label = %entry.label, tx = %entry.hash, ?outcome, "settled a transaction from before");
                    }
                    return;
                }
                Err(error) => tracing::warn!(%error, "a transaction from before the restart is not settled yet"),
            }
            tokio::time::sleep(START_PAUSE).await;
        }
    };
    tokio::select! {
        () = ctx.shutdown.cancelled() => {}
        () = settle => {}
    }
}

/// Follows the chain, block by block, and starts a supervisor for each purchase.
struct Watcher {
    ctx: Arc<Context>,
    heads_out: watch::Sender<Head>,
    poll: Duration,
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
        let mut result = self.first_head().await;
        if result.is_ok() {
            for address in self.ctx.journal.state().agreements.into_keys() {
                self.supervise(address)?;
            }
        }
        let mut ticks = tokio::time::interval(self.poll);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while result.is_ok() && !self.ctx.shutdown.is_cancelled() {
            tokio::select! {
                () = self.ctx.shutdown.cancelled() => {}
                Some(ended) = self.supervisors.join_next() => result = settled(ended),
                _ = ticks.tick() => result = self.look().await,
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
            self.ctx.journal.append(Record::Seen { block })?;
        }
        result
    }

    /// Supervisors start with a real clock.
    async fn first_head(&mut self) -> eyre::Result<()> {
        while !self.ctx.shutdown.is_cancelled() {
            match self.ctx.chain.rpc().latest().await {
                Ok((number, timestamp)) => {
                    self.heads_out.send_replace(Head { number, timestamp });
                    return Ok(());
                }
                Err(error) => tracing::warn!(%error, "cannot read the newest block"),
            }
            tokio::time::sleep(self.poll).await;
        }
        Ok(())
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
                news |= self.bought(block, event).await?;
            }
            self.scanned = Some(to);
            if news || to >= self.seen.unwrap_or(0) + SEEN_EVERY_BLOCKS {
                self.ctx.journal.append(Record::Seen { block: to })?;
                self.seen = Some(to);
            }
            from = to + 1;
        }
        Ok(())
    }

    /// Writes a purchase down and starts on it. True when it is new.
    async fn bought(&mut self, block: u64, event: AgreementBought) -> eyre::Result<bool> {
        let agreement = event.agreement;
        let known = self.ctx.journal.agreement(agreement);
        let fresh = match &known {
            None => true,
            Some(known) => {
                !known.is_closed()
                    && (known.client, &known.terms, &known.spec) != (event.client, &event.terms, &event.spec)
            }
        };
        // Kind 0 is compute; others come with later versions.
        if !fresh || event.kindId != 0 || !self.is_ours(event.classId).await {
            return Ok(false);
        }
        tracing::info!(%agreement, client = %event.client, block, budget = %event.budget, "a purchase in our class");
        let (client, terms, spec) = (event.client, event.terms, event.spec);
        self.ctx.journal.append(Record::Bought { agreement, client, terms, spec, block })?;
        self.supervise(agreement)?;
        Ok(true)
    }

    async fn is_ours(&self, class_id: u16) -> bool {
        match self.ctx.chain.worker_info(self.ctx.me).await {
            Ok(info) => info.classes.to::<u64>() >> class_id & 1 == 1,
            // Looked at closely later; better one too many than one missed.
            Err(_) => true,
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

fn settled(ended: Result<Result<(), SupervisorError>, tokio::task::JoinError>) -> eyre::Result<()> {
    match ended {
        Ok(result) => result.wrap_err("an agreement cannot be carried on"),
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => Err(eyre!("a supervisor ended unexpectedly: {error}")),
    }
}
