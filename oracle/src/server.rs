//! The oracle as a whole: bind, join, shut down.
use std::{fs::File, net::SocketAddr, sync::Arc, time::Duration};

use alloy::signers::local::PrivateKeySigner;
use eyre::{WrapErr as _, bail, eyre};
use sunwork_edge::{
    Deployment, Rpc, TxManager,
    deployment::{BeaconKind, DrandChain},
    drand::DrandClient,
    keystore,
    rpc::{self, RpcOptions},
};
use sunwork_protocol::drand::PublicKey;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Api, LimitedListener},
    beacon_relay::{BeaconRelay, RelayCounters, RelayOptions},
    blobs::{BlobStore, http::BlobService},
    config::{AgentConfig, Config, KeeperKey},
    energy::{
        EnergyContracts,
        reporter::{Reporter, ReporterCounters},
    },
    follow::{self, Progress},
    index::{IndexOptions, Indexer},
    keeper::{Keeper, KeeperBeacon, KeeperCounters, KeeperJournal, KeeperOptions},
    key_agent::{AgentKeys, AgentOptions, AgentReport, KeyAgent, message_key},
    mail::{Mailbox, http::MailService, system_clock},
    rpc_chain::RpcChain,
    store::Store,
};

/// What requests under way may still take after the order to stop.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// Pause between two sweeps of expired mail.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// A running oracle. Dropping it stops everything at once; [`Server::shutdown`] does it in order.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    token: CancellationToken,
    tasks: JoinSet<(&'static str, eyre::Result<()>)>,
    store: Arc<Store>,
    /// Held while it runs: no other oracle uses the folder.
    _lock: File,
}

impl Server {
    /// Opens everything and starts. When it returns, the address takes requests.
    ///
    /// # Errors
    /// When a file, the chain, the database or the address cannot be used.
    pub async fn bind(config: Config) -> eyre::Result<Self> {
        let lock = lock(&config).wrap_err("taking the data folder")?;
        let deployment = Arc::new(Deployment::load(&config.deployment)?);
        let rpc = match rpc::connect(&config.rpc, deployment.chain_id).await {
            // Blobs and mail are of use without the chain, too, and the index goes on when it is back.
            Err(error) if error.is_temporary() => {
                tracing::warn!(%error, "starting without the chain");
                rpc::connect_later(&config.rpc, deployment.chain_id, RpcOptions::default())
            }
            connected => connected,
        }
        .wrap_err("connecting to the chain")?;
        let url = match &config.database {
            Some(url) => url.clone(),
            None => Store::sqlite_url(&config.data_dir.join("index.db")).wrap_err("naming the database")?,
        };
        let store = Arc::new(Store::open(&url).await?);
        store.belong_to(&deployment).await?;
        let blobs = BlobStore::open(&config.data_dir.join("blobs"), config.blobs)?;
        let clock = system_clock();
        let mailbox = Mailbox::open(store.clone(), deployment.chain_id, config.mail, clock.clone()).await?;
        let keeper_signer = match &config.keeper {
            Some(key) => Some(unlock(key).await.wrap_err("unlocking the keeper's key")?),
            None => None,
        };
        let tx = match &keeper_signer {
            Some(signer) => {
                let journal = KeeperJournal::open(&config.data_dir.join("keeper.jsonl"))?;
                Some(TxManager::new(rpc.clone(), signer.clone(), Arc::new(journal)))
            }
            None => None,
        };
        let source = drand_source(&config, &deployment)?;
        let agent = match &config.key_agent {
            Some(agent) => Some(agent_parts(&config, agent, &rpc, &deployment, keeper_signer.zip(tx.clone())).await?),
            None => None,
        };
        let tcp = TcpListener::bind(config.listen).await.wrap_err_with(|| format!("listening on {}", config.listen))?;
        let address = tcp.local_addr().wrap_err("asking for the address")?;

        let token = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (progress, watcher) = watch::channel(Progress::default());
        let energy = EnergyContracts::of(&deployment);
        let options = IndexOptions::new(deployment.deployed_block, deployment.dispatcher, energy);
        let indexer = Indexer::new(RpcChain::new(rpc.clone(), energy), store.clone(), options);
        let index = follow::run(indexer, store.clone(), config.poll, progress, token.clone());
        tasks.spawn(async move {
            index.await;
            ("index", Ok(()))
        });

        let relay = Arc::new(RelayCounters::default());
        if let (Some((source, options)), Some(tx)) = (source, &tx) {
            let relay = BeaconRelay::new(store.clone(), rpc.clone(), tx.clone(), source, options, relay.clone());
            let relay = relay.run(watcher.clone(), token.clone());
            tasks.spawn(async move {
                relay.await;
                ("beacon relay", Ok(()))
            });
        }

        let reporter = Arc::new(ReporterCounters::default());
        if let (Some(energy), Some(tx)) = (energy, &tx) {
            let reporter = Reporter::new(store.clone(), tx.clone(), energy.ledger, reporter.clone());
            let reporter = reporter.run(watcher.clone(), config.poll, token.clone());
            tasks.spawn(async move {
                reporter.await;
                ("reporter", Ok(()))
            });
        }

        let counters = Arc::new(KeeperCounters::default());
        if let Some(tx) = tx {
            let beacon = keeper_beacon(&deployment);
            let options = KeeperOptions {
                grace_secs: config.keeper_grace_secs,
                poll: config.poll,
                beacon,
                beacon_contract: deployment.beacon,
                audits: deployment.parameters.compute.audit_one_in != 0,
            };
            let keeper = Keeper::new(store.clone(), rpc.clone(), tx, options, counters.clone());
            let keeper = keeper.run(watcher.clone(), token.clone());
            tasks.spawn(async move {
                keeper.await;
                ("keeper", Ok(()))
            });
        }

        let report = Arc::new(AgentReport::default());
        let key_agent = agent.is_some();
        if let Some((keys, options)) = agent {
            let (store, mailbox, report) = (store.clone(), mailbox.clone(), report.clone());
            let agent = KeyAgent::new(store, mailbox, rpc, keys, options, clock, report);
            let agent = agent.run(watcher.clone(), token.clone());
            tasks.spawn(async move {
                agent.await;
                ("key agent", Ok(()))
            });
        }
        let sweeper = sweep(mailbox.clone(), token.clone());
        tasks.spawn(async move {
            sweeper.await;
            ("mail", Ok(()))
        });

        let api = Api {
            deployment,
            store: store.clone(),
            progress: watcher.clone(),
            blobs: BlobService::new(blobs, config.transfers),
            keeper: counters,
            mail: MailService::new(mailbox, watcher),
            agent: report,
            relay,
            energy,
            reporter,
        };
        let listener = LimitedListener::new(tcp, config.connections);
        let http = serve(listener, api, token.clone());
        tasks.spawn(async move { ("http", http.await) });
        tracing::info!(%address, data_dir = %config.data_dir.display(), keeper = config.keeper.is_some(), key_agent, "the oracle runs");
        Ok(Self { address, token, tasks, store, _lock: lock })
    }

    /// Where it serves.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token that stops it when cancelled.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Waits until it was told to stop and has stopped, or until a part of it broke.
    ///
    /// # Errors
    /// When a part ended without being told to.
    pub async fn join(mut self) -> eyre::Result<()> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = match ended {
                Ok((_, Ok(()))) if self.token.is_cancelled() => Ok(()),
                Ok((name, Ok(()))) => Err(eyre!("the {name} task ended by itself")),
                Ok((name, Err(error))) => Err(error.wrap_err(format!("the {name} task failed"))),
                Err(error) => Err(eyre!(error).wrap_err("a task broke")),
            };
            // The first failure stops the rest, in order.
            self.token.cancel();
            result = result.and(ended);
        }
        self.store.close().await;
        result
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// When a part had failed before.
    pub async fn shutdown(self) -> eyre::Result<()> {
        self.token.cancel();
        self.join().await
    }
}

async fn serve(listener: LimitedListener, api: Api, token: CancellationToken) -> eyre::Result<()> {
    let stop = token.clone();
    let server = axum::serve(listener, api.router()).with_graceful_shutdown(stop.cancelled_owned());
    tokio::select! {
        result = server.into_future() => result.wrap_err("serving HTTP"),
        () = async { token.cancelled().await; tokio::time::sleep(STOP_GRACE).await } => {
            tracing::warn!("some requests did not end in time");
            Ok(())
        }
    }
}

async fn unlock(key: &KeeperKey) -> eyre::Result<PrivateKeySigner> {
    let password = keystore::read_password(&key.password_file)?;
    let path = key.keystore.clone();
    // Unlocking takes a second of pure computation by design.
    Ok(tokio::task::spawn_blocking(move || keystore::load(path, &password)).await??)
}

/// The key agent's sender, message key and options. With the keeper's account it sends through the keeper's sender: one
/// account has one journal.
async fn agent_parts(
    config: &Config,
    agent: &AgentConfig,
    rpc: &Rpc,
    deployment: &Deployment,
    keeper: Option<(PrivateKeySigner, TxManager)>,
) -> eyre::Result<(AgentKeys, AgentOptions)> {
    let own = match &agent.key {
        Some(key) => Some(unlock(key).await.wrap_err("unlocking the key agent's key")?),
        None => None,
    };
    let shared = keeper.filter(|(signer, _)| own.as_ref().is_none_or(|own| own.address() == signer.address()));
    let recovers = shared.is_none();
    let (signer, tx) = match (shared, own) {
        (Some(shared), _) => shared,
        (None, Some(own)) => {
            let journal = KeeperJournal::open(&config.data_dir.join("key-agent.jsonl"))?;
            (own.clone(), TxManager::new(rpc.clone(), own, Arc::new(journal)))
        }
        (None, None) => bail!("the key agent has no key; give key-agent-keystore, or keystore for the keeper's"),
    };
    let secret = message_key(&signer, deployment.chain_id, deployment.dispatcher);
    let options = AgentOptions {
        clients: agent.clients.clone(),
        daily_posts: agent.daily_posts,
        confirmations: agent.confirmations,
        poll: config.poll,
        dispatcher: deployment.dispatcher,
        recovers,
    };
    Ok((AgentKeys { signer, tx, secret }, options))
}

fn keeper_beacon(deployment: &Deployment) -> KeeperBeacon {
    match &deployment.parameters.beacon {
        BeaconKind::Block => KeeperBeacon::Block,
        BeaconKind::Drand(chain) => KeeperBeacon::Drand { schedule: chain.schedule },
    }
}

/// Where drand rounds come from, if there are any to record.
fn drand_source(config: &Config, deployment: &Deployment) -> eyre::Result<Option<(DrandClient, RelayOptions)>> {
    let BeaconKind::Drand(DrandChain { public_key, schedule }) = &deployment.parameters.beacon else {
        if !config.drand.is_empty() {
            tracing::warn!("drand sources are configured, but this deployment has no drand beacon; they are not used");
        }
        return Ok(None);
    };
    if config.drand.is_empty() {
        tracing::warn!(
            "this deployment has a drand beacon, but no drand sources are configured: rounds are left to others"
        );
        return Ok(None);
    }
    let key = PublicKey::from_bytes(public_key).wrap_err("reading the drand key of the deployment file")?;
    let options = RelayOptions {
        beacon: deployment.beacon,
        schedule: *schedule,
        audits: deployment.parameters.compute.audit_one_in != 0,
        grace_secs: config.keeper_grace_secs,
        poll: config.poll,
    };
    Ok(Some((DrandClient::new(config.drand.clone(), key), options)))
}

/// Deletes expired mail until cancelled. What cannot be deleted now is not shown and can be deleted later.
async fn sweep(mailbox: Mailbox, token: CancellationToken) {
    loop {
        match mailbox.sweep().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "expired mail was deleted"),
            Err(error) => tracing::warn!(%error, "expired mail is not deleted yet"),
        }
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(SWEEP_PAUSE) => {}
        }
    }
}

/// Makes the data folder and takes it for this process.
fn lock(config: &Config) -> eyre::Result<File> {
    let dir = &config.data_dir;
    std::fs::create_dir_all(dir).wrap_err_with(|| format!("making {}", dir.display()))?;
    let path = dir.join("lock");
    let file = File::create(&path).wrap_err_with(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("another oracle runs in {}; stop it or name another --data-dir", dir.display())
        }
        Err(std::fs::TryLockError::Error(error)) => Err(error).wrap_err_with(|| format!("locking {}", path.display())),
    }
}
