//! The owner's way into a running worker: HTTP/1 with JSON over a Unix socket that only its user can open (docs/CONTROL.md).
//!
//! Bounded: requests of at most 4 KiB, so many at a time, each for so long.
use std::{
    collections::BTreeMap,
    fs::File,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Query, Request, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use eyre::WrapErr;
use serde::{Deserialize, Serialize};
use sunwork_edge::tx::{self, PendingState, TxEntry};
use sunwork_energy::keeper::State as EnergyState;
use tokio::{net::UnixListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    account::Account,
    amount::Unit,
    board::Standing,
    clock::Clock,
    context::Context,
    earnings::{self, Earning},
    energy::{attest::Attestation, handle::Spent},
    governor::now_secs,
    policy::{
        Mode,
        gas_money::{self, least_gas},
        hardware::Caps,
    },
    refusal::{Reason, Refusal},
    why::{Summary, WINDOW_SECS},
};

pub mod client;
pub mod metrics;

/// Largest request.
const MAX_BODY_BYTES: usize = 4096;
/// Requests at a time; further ones are turned away.
const MAX_REQUESTS: usize = 16;
/// Longest request; earnings of years take their time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long `status` waits for the chain; what needs it is left out after that.
const CHAIN_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest path of a socket that Linux takes, bytes.
const MAX_SOCKET_PATH: usize = 107;

/// A way to a socket that is short enough: long paths go through the open folder.
pub(crate) struct ShortPath {
    pub(crate) path: PathBuf,
    /// Keeps the folder open as long as the path is used.
    _folder: Option<File>,
}

impl ShortPath {
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        let name = path.file_name().filter(|_| path.as_os_str().len() > MAX_SOCKET_PATH);
        let (Some(folder), Some(name)) = (path.parent(), name) else {
            return Ok(Self { path: path.to_owned(), _folder: None });
        };
        let folder = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Self { path, _folder: Some(folder) })
    }
}

/// Reads the settings again and puts them into effect; says which need a restart.
pub type Reload = dyn Fn() -> eyre::Result<Reloaded> + Send + Sync;

/// What requests are answered from.
pub struct Control {
    /// The worker.
    pub ctx: Arc<Context>,
    /// The token.
    pub unit: Unit,
    /// See [`Reload`].
    pub reload: Box<Reload>,
    /// When the process started, Unix seconds.
    pub started_at: u64,
    /// Ends with the worker.
    pub shutdown: CancellationToken,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of the worker.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Unix seconds.
    pub started_at: u64,
    /// Unix seconds of this answer.
    pub now: u64,
    /// The owner's word.
    pub mode: Mode,
    /// Why nothing new is taken now; empty when it is.
    pub not_working: Vec<NotWorking>,
    /// How the machine's clock stands to the chain's.
    #[serde(default)]
    pub clock: Clock,
    /// Newest block.
    pub block: u64,
    /// Its Unix time: the clock of all deadlines.
    pub block_time: u64,
    /// Leaves that run.
    pub running_leaves: u64,
    /// What they may use, thousandths of a core.
    pub running_milli_cpu: u64,
    /// What leaves may use together.
    pub caps: Caps,
    /// What a unit of gas costs, wei.
    pub gas_price_wei: Option<u64>,
    /// Agreements under way.
    pub agreements: Vec<Standing>,
    /// Pay of those that we take part in, if all goes well; decimal text, smallest token unit.
    pub pending_pay: String,
    /// Transactions without an outcome.
    pub transactions: Vec<Transaction>,
    /// What the chain says about the worker; absent when it cannot be asked.
    pub account: Option<Account>,
    /// Why it is absent.
    pub account_error: Option<String>,
    /// What was attested of the energy; absent where none is kept, or the chain was not asked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// A reason that holds whatever is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotWorking {
    /// The reason.
    pub reason: Reason,
    /// With its numbers.
    pub text: String,
    /// What the owner can do.
    pub remedy: String,
}

impl From<Refusal> for NotWorking {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.reason();
        Self { reason, text: refusal.to_string(), remedy: reason.remedy().to_owned() }
    }
}

/// A transaction under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// What it is for.
    pub label: String,
    /// Account nonce.
    pub nonce: u64,
    /// Its hash.
    pub hash: String,
    /// How often it was signed: replacements, and the first.
    pub attempts: usize,
    /// Replacements with a higher fee: attempts but for the first.
    pub bumps: usize,
    /// Since its first attempt was signed, seconds; absent where an older version signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_secs: Option<u64>,
    /// Most that it pays per gas, wei; decimal text.
    pub max_fee_wei: String,
    /// Most that its gas can cost, wei; decimal text. Absent when the chain cannot be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_wei: Option<String>,
    /// Base fee of the newest block, wei per gas; decimal text. Absent when the chain cannot be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_fee_wei: Option<String>,
    /// Most that it may pay per gas by the setting `max_fee_gwei`, wei; decimal text.
    pub cap_wei: String,
    /// Where it stands: waiting, underpriced, behind, unsent, mined, nonce_used; unknown when the chain cannot be asked.
    pub state: String,
}

/// Body of `pause` and `drain`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct For {
    /// For so long, seconds; without an end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secs: Option<u64>,
}

/// Answer to `pause`, `resume` and `drain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spoken {
    /// What holds now.
    pub mode: Mode,
    /// Agreements that we take part in, with their deadlines.
    pub agreements: Vec<Standing>,
}

/// Answer to `reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    /// Settings that hold from now on.
    pub changed: Vec<String>,
    /// Settings that differ and need a restart.
    pub needs_restart: Vec<String>,
}

/// Answer to `earnings`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Earnings {
    /// Token's symbol.
    pub symbol: String,
    /// Token's decimals.
    pub decimals: u8,
    /// The oldest first.
    pub earnings: Vec<Earning>,
    /// What agreements used, by address; empty where no energy is kept.
    #[serde(default)]
    pub energy: BTreeMap<String, Spent>,
}

/// `GET /v1/energy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnergyAnswer {
    /// The state.
    #[serde(flatten)]
    pub state: EnergyState,
    /// What agreements used, by address.
    pub agreements: BTreeMap<String, Spent>,
    /// What was attested on chain; absent until the chain was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// Every failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// What went wrong.
    pub error: String,
}

#[derive(Debug, Deserialize)]
struct WhyQuery {
    secs: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct EarningsQuery {
    days: Option<u32>,
}

/// Binds the socket. The data folder is locked by now, so a socket that is there is of a worker that is gone.
///
/// # Errors
/// When it cannot be bound.
pub fn bind(path: &Path) -> eyre::Result<UnixListener> {
    let doing = || format!("making the control socket {}; name another place with --control-socket", path.display());
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).wrap_err_with(doing),
        _ => {}
    }
    let short = ShortPath::of(path).wrap_err_with(doing)?;
    let listener = UnixListener::bind(&short.path).wrap_err_with(doing)?;
    // Whoever cannot write to the socket cannot connect to it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).wrap_err_with(doing)?;
    Ok(listener)
}

/// Answers until the worker ends.
pub async fn serve(listener: UnixListener, control: Arc<Control>) {
    let stop = control.shutdown.clone();
    let served = axum::serve(listener, router(control)).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the control API ended");
    }
}

fn router(control: Arc<Control>) -> Router {
    let slots = Arc::new(Semaphore::new(MAX_REQUESTS));
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/why", get(why))
        .route("/v1/energy", get(energy))
        .route("/v1/earnings", get(all_earnings))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/drain", post(drain))
        .route("/v1/reload", post(reload))
        .route("/v1/metrics", get(metrics_text))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is no such path; docs/CONTROL.md lists them") })
        .method_not_allowed_fallback(|| async {
            failure(StatusCode::METHOD_NOT_ALLOWED, "this path takes another method; docs/CONTROL.md lists them")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(slots, bounded))
        .with_state(control)
}

async fn bounded(State(slots): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_slot) = slots.try_acquire() else {
        return failure(StatusCode::SERVICE_UNAVAILABLE, "too many requests at a time; try again");
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => failure(StatusCode::GATEWAY_TIMEOUT, "it took longer than a minute; is the chain's node slow?"),
    }
}

/// Status and sentence: every failure goes out as an [`ApiError`], what axum refuses by itself too.
#[derive(Debug, PartialEq, Eq)]
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(ApiError { error: self.1 })).into_response()
    }
}

impl From<QueryRejection> for Failure {
    fn from(error: QueryRejection) -> Self {
        Self(error.status(), error.body_text())
    }
}

impl From<BytesRejection> for Failure {
    fn from(error: BytesRejection) -> Self {
        Self(error.status(), error.body_text())
    }
}

fn failure(code: StatusCode, error: impl Into<String>) -> Response {
    Failure(code, error.into()).into_response()
}

async fn status(State(control): State<Arc<Control>>) -> Json<Status> {
    Json(control.status().await)
}

async fn why(
    State(control): State<Arc<Control>>,
    query: Result<Query<WhyQuery>, QueryRejection>,
) -> Result<Json<Summary>, Failure> {
    let secs = query?.secs.unwrap_or(WINDOW_SECS).min(WINDOW_SECS);
    Ok(Json(control.ctx.governor.why.summary(now_secs(), secs)))
}

async fn all_earnings(
    State(control): State<Arc<Control>>,
    query: Result<Query<EarningsQuery>, QueryRejection>,
) -> Result<Json<Earnings>, Failure> {
    let earnings = earnings::read(&control.ctx.chain, control.ctx.me, query?.days.unwrap_or(30)).await;
    let earnings = earnings.map_err(|error| Failure(StatusCode::BAD_GATEWAY, format!("{error:#}")))?;
    let Unit { symbol, decimals } = control.unit.clone();
    let energy = control.ctx.governor.energy.accounts();
    Ok(Json(Earnings { symbol, decimals, earnings, energy }))
}

async fn energy(State(control): State<Arc<Control>>) -> Result<Json<EnergyAnswer>, Failure> {
    let energy = &control.ctx.governor.energy;
    let Some(state) = energy.state() else {
        let text = match energy.is_on() {
            true => "the sensors were not read yet; ask again in a few seconds",
            false => {
                "no energy is kept: name sensors (energy_sensors) or a simulation (simulate) in the settings; docs/ENERGY.md"
            }
        };
        return Err(Failure(StatusCode::NOT_FOUND, text.into()));
    };
    let attestation = energy.attestation().map(|attestation| (*attestation).clone());
    Ok(Json(EnergyAnswer { state: (*state).clone(), agreements: energy.accounts(), attestation }))
}

async fn pause(State(control): State<Arc<Control>>, body: Body) -> Result<Response, Failure> {
    Ok(control.speak(Mode::Paused { until: until(body)? }))
}

async fn resume(State(control): State<Arc<Control>>) -> Response {
    control.speak(Mode::Auto)
}

async fn drain(State(control): State<Arc<Control>>, body: Body) -> Result<Response, Failure> {
    Ok(control.speak(Mode::Draining { until: until(body)? }))
}

type Body = Result<Bytes, BytesRejection>;

/// Reads a [`For`], whatever content type was named: a duration that is overlooked would be a pause without an end.
fn until(body: Body) -> Result<Option<u64>, Failure> {
    let bytes = body?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let read: Result<For, _> = serde_json::from_slice(&bytes);
    let problem = |error| format!("the body cannot be used: {error}; expected nothing or {{\"secs\": 1800}}");
    let wanted = read.map_err(|error| Failure(StatusCode::BAD_REQUEST, problem(error)))?;
    Ok(wanted.secs.map(|secs| now_secs().saturating_add(secs)))
}

async fn reload(State(control): State<Arc<Control>>) -> Response {
    match (control.reload)() {
        Ok(reloaded) => Json(reloaded).into_response(),
        Err(error) => failure(StatusCode::UNPROCESSABLE_ENTITY, format!("{error:#}")),
    }
}

async fn metrics_text(State(control): State<Arc<Control>>) -> String {
    metrics::text(&control)
}

impl Control {
    fn speak(&self, mode: Mode) -> Response {
        if let Err(error) = self.ctx.governor.set_mode(mode) {
            return failure(StatusCode::INTERNAL_SERVER_ERROR, format!("writing it down: {error}"));
        }
        tracing::info!(?mode, "the owner speaks");
        Json(Spoken { mode, agreements: self.taken_part() }).into_response()
    }

    fn taken_part(&self) -> Vec<Standing> {
        let mut all = self.ctx.governor.board.all();
        all.retain(|row| row.role != crate::board::Part::Candidate);
        all
    }

    /// From the chain; from the journal alone where the chain cannot be asked.
    async fn transactions(&self) -> Vec<Transaction> {
        let now = now_secs();
        let cap_wei = self.ctx.tx.fees().max_fee_per_gas_wei.to_string();
        let name = |state: PendingState| serde_json::to_value(state).ok()?.as_str().map(str::to_owned);
        let asked = tokio::time::timeout(CHAIN_TIMEOUT, self.ctx.tx.pending()).await;
        let error = match asked {
            Ok(Ok(pending)) => {
                return pending
                    .into_iter()
                    .map(|tx| Transaction {
                        label: tx.label,
                        nonce: tx.nonce,
                        hash: tx.hash.to_string(),
                        attempts: tx.attempts,
                        bumps: tx.attempts.saturating_sub(1),
                        age_secs: tx.signed_at.map(|at| now.saturating_sub(at)),
                        max_fee_wei: tx.max_fee_wei.to_string(),
                        max_cost_wei: Some(tx.max_cost_wei.to_string()),
                        base_fee_wei: Some(tx.base_fee_wei.to_string()),
                        cap_wei: tx.cap_wei.map_or_else(|| cap_wei.clone(), |cap| cap.to_string()),
                        state: name(tx.state).unwrap_or_default(),
                    })
                    .collect();
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", CHAIN_TIMEOUT.as_secs()),
        };
        tracing::debug!(error, "cannot ask where the transactions stand");
        of_journal(&self.ctx.journal.state().txs, &cap_wei, now)
    }

    async fn status(&self) -> Status {
        let ctx = &self.ctx;
        let head = *ctx.heads.borrow();
        let (running_leaves, running_milli_cpu) = ctx.governor.running();
        let read = Account::read(&ctx.chain, ctx.signer.address(), &self.unit);
        // Side by side, and not for long: what does not need the chain must be told without it.
        let (read, transactions) = tokio::join!(tokio::time::timeout(CHAIN_TIMEOUT, read), self.transactions());
        let (account, account_error) = match read {
            Ok(Ok(account)) => (Some(account), None),
            Ok(Err(error)) => (None, Some(format!("{error:#}"))),
            Err(_) => (None, Some(format!("the chain gave no answer within {} s", CHAIN_TIMEOUT.as_secs()))),
        };
        if let Some(wei) = account.as_ref().and_then(|account| account.device_wei.parse().ok()) {
            ctx.governor.set_device_wei(wei, ctx.signer.address());
        }
        let mut not_working: Vec<NotWorking> = ctx.governor.hold().err().map(NotWorking::from).into_iter().collect();
        not_working.extend(account.as_ref().and_then(no_stake).map(NotWorking::from));
        not_working.extend(ctx.governor.gas_money(least_gas()).err().map(NotWorking::from));
        let agreements = ctx.governor.board.all();
        let pending = agreements.iter().filter_map(|row| row.pay.parse::<u128>().ok());
        let pending_pay = pending.fold(0_u128, u128::saturating_add).to_string();
        let now = now_secs();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.started_at,
            now,
            clock: Clock::judge(head, now),
            mode: ctx.governor.mode(),
            not_working,
            block: head.number,
            block_time: head.timestamp,
            running_leaves,
            running_milli_cpu,
            caps: ctx.governor.caps(),
            gas_price_wei: ctx.governor.gas_price_wei(),
            agreements,
            pending_pay,
            transactions,
            account,
            account_error,
            attestation: ctx.governor.energy.attestation().map(|attestation| (*attestation).clone()),
        }
    }
}

/// Transactions as the journal has them, for when no node answers.
pub fn of_journal(entries: &[TxEntry], cap_wei: &str, now: u64) -> Vec<Transaction> {
    let first_signed = |nonce| entries.iter().find(|entry| entry.nonce == nonce).and_then(|entry| entry.signed_at);
    tx::attempts(entries)
        .into_iter()
        .map(|(entry, attempts)| Transaction {
            label: entry.label.clone(),
            nonce: entry.nonce,
            hash: entry.hash.to_string(),
            attempts,
            bumps: attempts.saturating_sub(1),
            age_secs: first_signed(entry.nonce).map(|at| now.saturating_sub(at)),
            max_fee_wei: tx::max_fee_wei(entry).unwrap_or(0).to_string(),
            max_cost_wei: None,
            base_fee_wei: None,
            cap_wei: cap_wei.to_owned(),
            state: "unknown".to_owned(),
        })
        .collect()
}

/// Without any free stake nothing can be entered.
pub fn no_stake(account: &Account) -> Option<Refusal> {
    let number = |text: &String| text.parse::<u128>().unwrap_or(0);
    let free = number(&account.stake).saturating_sub(number(&account.locked));
    (free == 0).then_some(Refusal::Stake { free, needed: 1 })
}

/// Without ether for the smallest part nothing is entered, whatever is under way. The price is that of a unit of gas.
pub fn no_gas_money(account: &Account, gas_price_wei: Option<u64>) -> Option<Refusal> {
    gas_money::check(account.device_wei.parse().ok(), least_gas(), 0, gas_price_wei).err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_its_owners_alone_and_a_stale_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        drop(bind(&path).unwrap());
        let _again = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let deep = dir.path().join("x".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        let far = deep.join("control.sock");
        let _listener = bind(&far).unwrap();
        let short = ShortPath::of(&far).unwrap();
        tokio::net::UnixStream::connect(&short.path).await.unwrap();
        let error = format!("{:#}", bind(&dir.path().join("missing/control.sock")).unwrap_err());
        assert!(error.contains("--control-socket"), "{error}");
    }

    #[tokio::test]
    async fn every_failure_is_json_and_no_duration_is_overlooked() {
        let read = |text: &'static str| until(Ok(Bytes::from_static(text.as_bytes())));
        assert_eq!(read(""), Ok(None));
        assert!(read("{\"secs\":5}").unwrap().unwrap() >= now_secs());
        for bad in ["secs=5", "{\"secs\":-1}", "{\"minutes\":1}", "5"] {
            let Failure(code, error) = read(bad).unwrap_err();
            assert_eq!(code, StatusCode::BAD_REQUEST);
            assert!(error.contains("expected nothing or {\"secs\": 1800}"), "{error}");
        }
        let uri: axum::http::Uri = "/v1/why?secs=soon".parse().unwrap();
        let refused = Query::<WhyQuery>::try_from_uri(&uri).unwrap_err();
        let response = Failure::from(refused).into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let said: ApiError = serde_json::from_slice(&body).unwrap();
        assert!(said.error.contains("invalid digit"), "{}", said.error);
    }

    #[test]
    fn an_account_says_whether_stake_and_ether_are_there() {
        let account = |device_wei: &str| Account {
            symbol: "SUN".into(),
            decimals: 9,
            worker: alloy::primitives::Address::repeat_byte(1),
            device: alloy::primitives::Address::repeat_byte(2),
            payout: alloy::primitives::Address::repeat_byte(1),
            score: 0,
            device_wei: device_wei.into(),
            stake: "5".into(),
            locked: "5".into(),
            unbonding: "0".into(),
            unbonding_until: 0,
            device_limit: "5".into(),
            device_locked: "5".into(),
            payable: "0".into(),
            block: 1,
        };
        assert_eq!(no_stake(&account("0")), Some(Refusal::Stake { free: 0, needed: 1 }));
        let said = NotWorking::from(no_gas_money(&account("0"), Some(1_000_000_000)).unwrap());
        assert_eq!(said.reason, Reason::GasMoney);
        assert!(said.text.starts_with("the device's key holds 0 ETH < 0.000"), "{}", said.text);
        assert!(said.remedy.contains("send ether"), "{}", said.remedy);
        assert_eq!(no_gas_money(&account("1000000000000000000"), Some(1_000_000_000)), None);
        assert_eq!(no_gas_money(&account("0"), None), None);
    }

    #[test]
    fn durations_are_optional_and_nothing_else_is_taken() {
        assert_eq!(serde_json::from_str::<For>("{}").unwrap().secs, None);
        assert_eq!(serde_json::from_str::<For>("{\"secs\":5}").unwrap().secs, Some(5));
        assert!(serde_json::from_str::<For>("{\"minutes\":5}").is_err());
    }
}
