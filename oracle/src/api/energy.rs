//! Meters, their days, findings, certificates, and records that are handed in (docs/PLAUSIBILITY.md).
use std::time::{Duration, SystemTime};

use alloy::primitives::B256;
use axum::{
    Json,
    body::Body,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::IntoResponse,
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};
use sunwork_protocol::energy::Body as Claim;

use super::{
    Api,
    error::ApiError,
    params::{ADDRESS, Params},
};
use crate::{
    energy::{
        EnergyDay, Finding, Rule, Severity,
        evidence::{Posted, Seen, unpack},
    },
    fold::{MeterRow, MeterState},
    json::Account,
    store::{CertificateFilter, Cursor, FindingFilter, FindingTotals, Offered},
};

/// Largest body of a record that is handed in, bytes: 483 in hex, with air.
const MAX_POST_BYTES: usize = 4096;
/// It has to come quickly.
const POST_TIME: Duration = Duration::from_secs(10);
/// Most meters of a page: each costs a count of its findings.
const MAX_METERS: u32 = 100;

/// A meter with what follows from its row.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeterShown {
    #[serde(flatten)]
    row: MeterRow,
    key_hash: B256,
    /// Days with counts in the window; absent where the deployment file does not say how long that is.
    attested_days: Option<usize>,
    /// As the ledger's `isPositive` at the newest block.
    positive: Option<bool>,
    findings: FindingTotals,
    certificates_issued_wh: u64,
    certificates_retired_wh: u64,
}

/// A day with its counts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DayShown {
    #[serde(flatten)]
    row: EnergyDay,
    sequence: Option<u32>,
    counter_epoch: Option<u16>,
    counter_wh: Option<u64>,
    production: Option<Vec<u16>>,
    consumption: Option<Vec<u16>>,
}

/// A finding without its evidence.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingListed {
    id: B256,
    worker: Account,
    rule: Rule,
    severity: Severity,
    first_day: u16,
    last_day: u16,
    measured: i64,
    limit: i64,
    unit: crate::energy::Unit,
    other: Option<Account>,
    chain_checks: bool,
    block: u64,
    time: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MeterPage {
    meters: Vec<MeterShown>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DayPage {
    days: Vec<DayShown>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindingPage {
    findings: Vec<FindingListed>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificatePage {
    moves: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// What came of a record that was handed in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    outcome: &'static str,
    finding: Option<B256>,
}

/// `GET /v1/meters`
pub async fn meters(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["limit", "cursor"])?;
    let limit = params.limit_upto(MAX_METERS)?;
    let rows = api.store.meters(limit, cursor(&params)?).await?;
    let next_cursor = next(&rows, limit, |row| Cursor { block: row.registered_block, log_index: row.registered_log });
    let mut meters = Vec::with_capacity(rows.len());
    for row in rows {
        meters.push(shown(&api, row).await?);
    }
    Ok(Json(MeterPage { meters, next_cursor }))
}

/// `GET /v1/meters/{worker}`
pub async fn meter(State(api): State<Api>, Path(worker): Path<String>) -> Result<Json<MeterShown>, ApiError> {
    let worker = address(worker)?;
    let row = api.store.meter(worker).await?.ok_or(ApiError::NoSuchMeter(worker))?;
    Ok(Json(shown(&api, row).await?))
}

/// `GET /v1/meters/{worker}/days`
pub async fn days(
    State(api): State<Api>,
    Path(worker): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, ApiError> {
    let worker = address(worker)?;
    let params = Params::parse(query.as_deref(), &["limit", "cursor"])?;
    let limit = params.limit()?;
    let rows = api.store.energy_days(worker, limit, cursor(&params)?).await?;
    if rows.is_empty() && api.store.meter(worker).await?.is_none() {
        return Err(ApiError::NoSuchMeter(worker));
    }
    let next_cursor = next(&rows, limit, |row| Cursor { block: row.block, log_index: row.log_index });
    Ok(Json(DayPage { days: rows.into_iter().map(DayShown::new).collect(), next_cursor }))
}

/// `GET /v1/findings`
pub async fn findings(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, ApiError> {
    let known = ["worker", "rule", "severity", "since", "limit", "cursor"];
    let params = Params::parse(query.as_deref(), &known)?;
    let filter = FindingFilter {
        worker: params.value("worker", ADDRESS)?,
        rule: params.value("rule", &format!("one of {}", Rule::ALL.map(Rule::name).join(", ")))?,
        severity: params.value("severity", "proof, impossible or unlikely")?,
        since: params.value("since", "a day since 1970-01-01, 0 to 65535")?,
    };
    let limit = params.limit()?;
    let rows = api.store.findings(filter, limit, cursor(&params)?).await?;
    let next_cursor = next(&rows, limit, |row| row.cursor);
    let listed = rows.into_iter().map(|row| FindingListed::from(row.finding)).collect();
    Ok(Json(FindingPage { findings: listed, next_cursor }))
}

/// `GET /v1/findings/{id}`
pub async fn finding(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    let bad = || ApiError::BadValue { name: "id", found: id.clone(), expected: "0x and 64 hex digits".to_owned() };
    let id: B256 = id.parse().map_err(|_| bad())?;
    let finding = api.store.finding(id).await?.ok_or(ApiError::NoSuchFinding(id))?;
    let advice = advice(&api, &finding).await?;
    let mut shown = serde_json::to_value(finding).map_err(|error| ApiError::Internal(error.to_string()))?;
    shown["advice"] = advice.into();
    Ok(Json(shown))
}

/// `GET /v1/certificates`
pub async fn certificates(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<impl IntoResponse, ApiError> {
    let params = Params::parse(query.as_deref(), &["worker", "holder", "agreement", "limit", "cursor"])?;
    let filter = CertificateFilter {
        worker: params.value("worker", ADDRESS)?,
        holder: params.value("holder", ADDRESS)?,
        agreement: params.value("agreement", ADDRESS)?,
    };
    let limit = params.limit()?;
    let rows = api.store.certificate_moves(filter, limit, cursor(&params)?).await?;
    let next_cursor = next(&rows, limit, |row| row.0);
    Ok(Json(CertificatePage { moves: rows.into_iter().map(|row| row.1).collect(), next_cursor }))
}

/// `POST /v1/records`
pub async fn post(State(api): State<Api>, body: Body) -> Result<impl IntoResponse, ApiError> {
    let Some(contracts) = api.energy else { return Err(ApiError::NoEnergyLedger) };
    let read = tokio::time::timeout(POST_TIME, axum::body::to_bytes(body, MAX_POST_BYTES)).await;
    let bytes = read.map_err(|_| ApiError::TooSlow)?.map_err(|_| ApiError::RecordTooLarge { max: MAX_POST_BYTES })?;
    let posted: Posted = serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::BadRecord(format!("the body is not what was expected: {error}")))?;
    let signed = unpack(&posted).map_err(|error| ApiError::BadRecord(error.to_string()))?;
    let worker = Account(signed.record.worker);
    let head = api.progress.borrow().indexed;
    let (block, time) = head.map_or((0, 0), |head| (head.number, head.time));
    let meter = api.store.meter(worker).await?.ok_or(ApiError::NoSuchMeter(worker))?;
    let seen = Seen::check(&posted, &signed, &meter, time, &contracts)
        .map_err(|error| ApiError::BadRecord(error.to_string()))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    Ok(match api.store.offer_record(&seen, &meter, &contracts, (block, time), now_ms).await? {
        Offered::Known => (StatusCode::OK, Json(Taken { outcome: "known", finding: None })),
        Offered::Kept => (StatusCode::CREATED, Json(Taken { outcome: "kept", finding: None })),
        Offered::Contradicts(id) => {
            tracing::info!(%worker, day = seen.day, %id, "a record that was handed in contradicts another one");
            (StatusCode::CREATED, Json(Taken { outcome: "contradicts", finding: Some(id) }))
        }
    })
}

async fn shown(api: &Api, row: MeterRow) -> Result<MeterShown, ApiError> {
    let findings = api.store.finding_totals(row.worker).await?;
    let (certificates_issued_wh, certificates_retired_wh) = api.store.certified_wh(row.worker).await?;
    let rules = api.deployment.parameters.energy;
    let attested_days = rules.map(|rules| row.counted_in(rules.window_days));
    let now = api.progress.borrow().indexed.map_or(0, |head| head.time);
    let positive = rules.zip(attested_days).map(|(rules, attested)| {
        let is_fresh = row.last_day.is_some_and(|last| {
            now / sunwork_protocol::energy::DAY_SECS <= u64::from(last) + u64::from(rules.fresh_days)
        });
        row.state == MeterState::Active && row.window_net_wh >= 0 && attested >= usize::from(rules.min_days) && is_fresh
    });
    let key_hash = row.key.hash();
    Ok(MeterShown { row, key_hash, attested_days, positive, findings, certificates_issued_wh, certificates_retired_wh })
}

impl DayShown {
    fn new(row: EnergyDay) -> Self {
        let signed = row.signed();
        let record = signed.as_ref().map(|signed| &signed.record);
        let (production, consumption) = match record.map(|record| &record.body) {
            Some(Claim::Production(production)) => (Some(production.0.to_vec()), None),
            Some(Claim::Metered { production, consumption }) => {
                (Some(production.0.to_vec()), Some(consumption.0.to_vec()))
            }
            Some(Claim::Gap) | None => (None, None),
        };
        Self {
            sequence: record.map(|record| record.sequence),
            counter_epoch: record.map(|record| record.counter_epoch),
            counter_wh: record.map(|record| record.counter_wh),
            production,
            consumption,
            row,
        }
    }
}

impl From<Finding> for FindingListed {
    fn from(finding: Finding) -> Self {
        let Finding { id, worker, rule, severity, first_day, last_day, measured, limit, unit, other, .. } = finding;
        let (chain_checks, block, time) = (finding.chain_checks, finding.block, finding.time);
        Self {
            id,
            worker,
            rule,
            severity,
            first_day,
            last_day,
            measured,
            limit,
            unit,
            other,
            chain_checks,
            block,
            time,
        }
    }
}

/// What anybody can do with it.
async fn advice(api: &Api, finding: &Finding) -> Result<String, ApiError> {
    Ok(match finding.rule {
        Rule::Struck => "settled: the ledger checked it and took the bond".to_owned(),
        Rule::Equivocation => {
            let meter = api.store.meter(finding.worker).await?;
            let is_settled =
                meter.is_some_and(|meter| !matches!(meter.state, MeterState::Active | MeterState::Leaving));
            if is_settled {
                "the meter has no bond at stake any more: it was struck, or has left".to_owned()
            } else {
                "send evidence.report.calldata to evidence.report.to: the ledger checks both signatures and pays half of the bond"
                    .to_owned()
            }
        }
        _ => "advice only: no contract can check it, and nobody can be slashed for it".to_owned(),
    })
}

fn address(text: String) -> Result<Account, ApiError> {
    text.parse().map_err(|_| ApiError::BadValue { name: "worker", found: text, expected: ADDRESS.to_owned() })
}

fn cursor(params: &Params) -> Result<Option<Cursor>, ApiError> {
    Ok(params.text("cursor").map(str::parse).transpose()?)
}

/// A full page may have a successor; a shorter one has none.
fn next<T>(rows: &[T], limit: u32, position: impl Fn(&T) -> Cursor) -> Option<String> {
    rows.last().filter(|_| rows.len() >= limit as usize).map(|row| position(row).to_string())
}
