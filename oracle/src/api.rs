//! The HTTP API, version 1 (docs/PROTOCOL.md).
mod agreements;
mod energy;
pub mod error;
mod listener;
mod metrics;
pub mod params;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{Method, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use serde::Serialize;
use serde_json::json;
use sunwork_edge::Deployment;
use tokio::sync::watch;
use tower_http::cors::{Any, CorsLayer};

pub use listener::{ConnectionLimits, LimitedListener};

use crate::{
    beacon_relay::RelayCounters,
    blobs::http::{self as blob_http, BlobService},
    energy::{EnergyContracts, reporter::ReporterCounters},
    follow::Progress,
    keeper::KeeperCounters,
    key_agent::AgentReport,
    mail::http::{self as mail_http, MailService},
    store::Store,
};
use error::ApiError;

/// An index whose last good step is older counts as stuck.
pub const STALE_AFTER: Duration = Duration::from_secs(60);

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Api {
    /// The contracts that are followed.
    pub deployment: Arc<Deployment>,
    /// The index.
    pub store: Arc<Store>,
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
    /// Blobs.
    pub blobs: BlobService,
    /// What the keeper did.
    pub keeper: Arc<KeeperCounters>,
    /// Mail.
    pub mail: MailService,
    /// The key agent.
    pub agent: Arc<AgentReport>,
    /// What the beacon relay did.
    pub relay: Arc<RelayCounters>,
    /// The energy contracts, where there are any.
    pub energy: Option<EnergyContracts>,
    /// What was reported to the ledger.
    pub reporter: Arc<ReporterCounters>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    ok: bool,
    chain_id: u64,
    indexed_block: u64,
    head_block: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl Api {
    /// All routes.
    pub fn router(self) -> Router {
        let blobs = get(blob_http::get).head(blob_http::head).put(blob_http::put);
        let blobs = Router::new().route("/v1/blobs/{sha256}", blobs).with_state(self.blobs.clone());
        let mail = get(mail_http::list).post(mail_http::post);
        let mail = Router::new().route("/v1/mail", mail).with_state(self.mail.clone());
        // Everything here is public and nothing depends on who asks, so any page may read it.
        let cors = CorsLayer::new().allow_origin(Any).allow_methods([Method::GET, Method::HEAD]);
        Router::new()
            .route("/v1/health", get(health))
            .route("/v1/deployment", get(deployment))
            .route("/v1/agreements", get(agreements::list))
            .route("/v1/agreements/{address}", get(agreements::one))
            .route("/v1/workers", get(agreements::workers))
            .route("/v1/meters", get(energy::meters))
            .route("/v1/meters/{worker}", get(energy::meter))
            .route("/v1/meters/{worker}/days", get(energy::days))
            .route("/v1/findings", get(energy::findings))
            .route("/v1/findings/{id}", get(energy::finding))
            .route("/v1/certificates", get(energy::certificates))
            .route("/v1/records", post(energy::post))
            .route("/v1/key-agent", get(key_agent))
            .route("/metrics", get(metrics::show))
            .with_state(self)
            .merge(blobs)
            .merge(mail)
            .fallback(async || ApiError::NoSuchPath)
            .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
            .layer(cors)
    }
}

async fn health(State(api): State<Api>) -> impl IntoResponse {
    let progress = api.progress.borrow().clone();
    let ok = progress.good_at.is_some_and(|good_at| good_at.elapsed() < STALE_AFTER);
    let status = if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let health = Health {
        ok,
        chain_id: api.deployment.chain_id,
        indexed_block: progress.indexed.map_or(0, |header| header.number),
        head_block: progress.head.map_or(0, |header| header.number),
        trouble: progress.trouble,
    };
    (status, Json(health))
}

async fn key_agent(State(api): State<Api>) -> Result<impl IntoResponse, ApiError> {
    api.agent.identity().map(Json).map_err(ApiError::NoKeyAgent)
}

async fn deployment(State(api): State<Api>) -> impl IntoResponse {
    // Through `json!`, and with checksums, as everywhere in this API.
    let d = &*api.deployment;
    let address = |address: alloy::primitives::Address| address.to_string();
    Json(json!({
        "chainId": d.chain_id,
        "deployedBlock": d.deployed_block,
        "token": address(d.token),
        "dispatcher": address(d.dispatcher),
        "beacon": address(d.beacon),
        "computeImplementation": address(d.compute_implementation),
        "energyLedger": api.energy.map(|energy| address(energy.ledger)),
        "energyCertificates": api.energy.map(|energy| address(energy.certificates)),
        "classes": d.classes,
        "owner": address(d.owner),
    }))
}
