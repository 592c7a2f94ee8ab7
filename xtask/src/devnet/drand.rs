//! A drand chain of one: signs its rounds with the key that everybody knows, and serves them in drand's HTTP format
//! (`GET /public/{round}`, `GET /public/latest`).
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::{
    eips::BlockId,
    providers::{DynProvider, Provider},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use eyre::{OptionExt, WrapErr};
use serde_json::{Value, json};
use sunwork_protocol::drand::{RoundProof, Schedule, Signer};
use tokio::{net::TcpListener, task::JoinHandle};
use url::Url;

/// Seconds from one round to the next.
const PERIOD_SECS: u32 = 2;
/// Blocks of a development chain carry the time of the clock, and are final.
const MARGIN_SECS: u32 = 3;
/// Agreements that are sealed within this many rounds share one.
const STRIDE_ROUNDS: u32 = 2;

/// The chain's server, a task of this process. Dropping it stops it.
#[derive(Debug)]
pub struct DrandNode {
    url: Url,
    chain: Arc<DrandChain>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct DrandChain {
    signer: Signer,
    schedule: Schedule,
    provider: DynProvider,
}

impl DrandNode {
    /// Starts a chain whose round 1 is now.
    ///
    /// # Errors
    /// When the blockchain does not answer or there is no free port.
    pub(super) async fn start(provider: DynProvider) -> eyre::Result<Self> {
        let genesis = latest(&provider).await?;
        let schedule =
            Schedule { genesis, period_secs: PERIOD_SECS, margin_secs: MARGIN_SECS, stride_rounds: STRIDE_ROUNDS };
        let chain = Arc::new(DrandChain { signer: Signer::development(), schedule, provider });
        let listener = TcpListener::bind("127.0.0.1:0").await.wrap_err("looking for a port for drand")?;
        let address = listener.local_addr().wrap_err("asking for drand's port")?;
        let url = format!("http://{address}").parse().wrap_err("drand's address")?;
        let router = Router::new().route("/public/{round}", get(public)).with_state(chain.clone());
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("drand's server ended: {error}");
            }
        });
        Ok(Self { url, chain, server })
    }

    /// Its HTTP address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// When its rounds come.
    pub fn schedule(&self) -> Schedule {
        self.chain.schedule
    }

    /// A round, whether its time has come or not.
    pub fn sign(&self, round: u64) -> RoundProof {
        self.chain.signer.sign(round)
    }

    /// The group `beacon` of the deployment parameters.
    ///
    /// # Errors
    /// Never, unless a number were no JSON.
    pub(super) fn parameters(&self) -> eyre::Result<Value> {
        let mut group = serde_json::to_value(self.chain.schedule).wrap_err("writing drand's schedule")?;
        let key = self.chain.signer.public_key();
        group["kind"] = json!("drand");
        group["publicKey"] = json!(alloy::hex::encode_prefixed(key.to_long_bytes()));
        Ok(group)
    }
}

impl Drop for DrandNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Rounds whose time has come, as drand gives them. No other: a test that draws from a round of the future shall fail.
async fn public(State(chain): State<Arc<DrandChain>>, Path(round): Path<String>) -> Response {
    let now = match chain.now().await {
        Ok(now) => now,
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}")).into_response(),
    };
    let newest = chain.schedule.current_round(now);
    let wanted = if round == "latest" { Some(newest) } else { round.parse().ok() };
    let Some(round) = wanted.filter(|round| (1..=newest).contains(round)) else {
        return (StatusCode::NOT_FOUND, format!("there is no round {round}: the newest is {newest}")).into_response();
    };
    let proof = chain.signer.sign(round);
    Json(json!({
        "round": round,
        "randomness": alloy::hex::encode(proof.randomness()),
        "signature": alloy::hex::encode(proof.signature()),
    }))
    .into_response()
}

impl DrandChain {
    /// The clock, or the blockchain's where a test has put that ahead.
    async fn now(&self) -> eyre::Result<u64> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).wrap_err("reading the clock")?.as_secs();
        Ok(clock.max(latest(&self.provider).await?))
    }
}

async fn latest(provider: &DynProvider) -> eyre::Result<u64> {
    let block = provider.get_block(BlockId::latest()).await.wrap_err("asking for the newest block")?;
    Ok(block.ok_or_eyre("the chain has no block")?.header.inner.timestamp)
}
