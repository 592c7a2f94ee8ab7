//! The API on a port of its own, without a chain.
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest as _, Sha256};
use sunwork_oracle::{
    api::{Api, ConnectionLimits, LimitedListener},
    blobs::{
        BlobLimits, BlobStore,
        http::{BlobService, TransferLimits},
    },
    energy::EnergyContracts,
    follow::Progress,
    keeper::KeeperCounters,
    key_agent::AgentReport,
    mail::{Clock, MailLimits, Mailbox, http::MailService},
    store::Store,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{chain::DISPATCHER, db};

/// When tests begin, Unix milliseconds.
pub const NOW_MS: u64 = 1_800_000_000_000;

pub struct TestApi {
    pub address: SocketAddr,
    pub blobs: BlobStore,
    pub store: Arc<Store>,
    pub progress: watch::Sender<Progress>,
    pub mailbox: Mailbox,
    /// Unix time by which mail is kept, milliseconds.
    pub now_ms: Arc<AtomicU64>,
    pub http: reqwest::Client,
    server: JoinHandle<()>,
}

#[derive(Clone, Copy)]
pub struct Limits {
    pub blobs: BlobLimits,
    pub transfers: TransferLimits,
    pub connections: ConnectionLimits,
    pub mail: MailLimits,
    pub energy: Option<EnergyContracts>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blobs: BlobLimits { max_bytes: 64 << 20, quota_bytes: 128 << 20 },
            transfers: TransferLimits::default(),
            connections: ConnectionLimits::default(),
            mail: MailLimits::default(),
            energy: None,
        }
    }
}

impl TestApi {
    pub async fn start(dir: &Path, limits: Limits) -> Self {
        // A second test of the same process finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = Arc::new(db::open(&Store::sqlite_url(&dir.join("index.db")).unwrap()).await);
        let blobs = BlobStore::open(&dir.join("blobs"), limits.blobs).unwrap();
        let (progress, watcher) = watch::channel(Progress::default());
        let deployment = serde_json::json!({
            "chainId": 31337, "deployedBlock": 3, "token": DISPATCHER, "dispatcher": DISPATCHER, "beacon": DISPATCHER,
            "computeImplementation": DISPATCHER, "classes": ["linux/amd64+docker", "linux/arm64+docker"],
            "parameters": {"energy": {"windowDays": 30, "minDays": 3, "freshDays": 3, "assumedWatts": 8}},
        });
        let now_ms = Arc::new(AtomicU64::new(NOW_MS));
        let clock = Clock(Arc::new({
            let now_ms = now_ms.clone();
            move || now_ms.load(Ordering::SeqCst)
        }));
        let mailbox = Mailbox::open(store.clone(), 31337, limits.mail, clock).await.unwrap();
        let api = Api {
            deployment: Arc::new(serde_json::from_value(deployment).unwrap()),
            store: store.clone(),
            progress: watcher.clone(),
            blobs: BlobService::new(blobs.clone(), limits.transfers),
            keeper: Arc::new(KeeperCounters::default()),
            mail: MailService::new(mailbox.clone(), watcher),
            agent: Arc::new(AgentReport::default()),
            relay: Arc::default(),
            energy: limits.energy,
            reporter: Arc::default(),
        };
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let listener = LimitedListener::new(tcp, limits.connections);
        let server = tokio::spawn(async move { axum::serve(listener, api.router()).await.unwrap() });
        Self { address, blobs, store, progress, mailbox, now_ms, http: reqwest::Client::new(), server }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn blob_url(&self, name: &str) -> String {
        self.url(&format!("/v1/blobs/{name}"))
    }

    pub async fn put(&self, name: &str, bytes: impl Into<reqwest::Body>) -> (u16, String) {
        let response = self.http.put(self.blob_url(name)).body(bytes).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    pub async fn json(&self, path: &str) -> (u16, serde_json::Value) {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

impl Drop for TestApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
