//! The oracle as a whole: bind, join, shut down.
use std::{fs::File, net::SocketAddr, sync::Arc, time::Duration};

use eyre::{WrapErr as _, bail, eyre};
use sunwork_edge::{Deployment, TxManager, keystore, rpc};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    api::{Api, LimitedListener},
    blobs::{BlobStore, http::BlobService},
    config::Config,
    follow::{self, Progress},
    index::{IndexOptions, Indexer},
    keeper::{Keeper, KeeperCounters, KeeperJournal, KeeperOptions},
    rpc_chain::RpcChain,
    store::Store,
};

/// What requests under way may still take after the order to stop.
const STOP_GRACE: Duration = Duration::from_secs(10);

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
        let rpc = rpc::connect(&config.rpc, deployment.chain_id).await.wrap_err("connecting to the chain")?;
        let url = match &config.database {
            Some(url) => url.clone(),
            None => Store::sqlite_url(&config.data_dir.join("index.db")).wrap_err("naming the database")?,
        };
        let store = Arc::new(Store::open(&url).await?);
        store.belong_to(&deployment).await?;
        let blobs = BlobStore::open(&config.data_dir.join("blobs"), config.blobs)?;
        let tx = match &config.keeper {
            Some(key) => {
                let password = keystore::read_password(&key.password_file)?;
                let path = key.keystore.clone();
                // Unlocking takes a second of pure computation by design.
                let signer = tokio::task::spawn_blocking(move || keystore::load(path, &password)).await??;
                let journal = KeeperJournal::open(&config.data_dir.join("keeper.jsonl"))?;
                Some(TxManager::new(rpc.clone(), signer, Arc::new(journal)))
            }
            None => None,
        };
        let tcp = TcpListener::bind(config.listen).await.wrap_err_with(|| format!("listening on {}", config.listen))?;
        let address = tcp.local_addr().wrap_err("asking for the address")?;

        let token = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (progress, watcher) = watch::channel(Progress::default());
        let options = IndexOptions::new(deployment.deployed_block, deployment.dispatcher);
        let indexer = Indexer::new(RpcChain::new(rpc.clone()), store.clone(), options);
        let index = follow::run(indexer, store.clone(), config.poll, progress, token.clone());
        tasks.spawn(async move {
            index.await;
            ("index", Ok(()))
        });

        let counters = Arc::new(KeeperCounters::default());
        if let Some(tx) = tx {
            let options = KeeperOptions { grace_secs: config.keeper_grace_secs, poll: config.poll };
            let keeper = Keeper::new(store.clone(), rpc, tx, options, counters.clone());
            let keeper = keeper.run(watcher.clone(), token.clone());
            tasks.spawn(async move {
                keeper.await;
                ("keeper", Ok(()))
            });
        }

        let api = Api {
            deployment,
            store: store.clone(),
            progress: watcher,
            blobs: BlobService::new(blobs, config.transfers),
            keeper: counters,
        };
        let listener = LimitedListener::new(tcp, config.connections);
        let http = serve(listener, api, token.clone());
        tasks.spawn(async move { ("http", http.await) });
        tracing::info!(%address, data_dir = %config.data_dir.display(), keeper = config.keeper.is_some(), "the oracle runs");
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
