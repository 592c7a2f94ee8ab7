//! Agreements and workers.
use axum::{
    Json,
    extract::{Path, RawQuery, State},
};
use serde::Serialize;
use sunwork_protocol::status::Status;

use super::{
    Api,
    error::ApiError,
    params::{ADDRESS, Params},
};
use crate::{
    fold::{AgreementRow, WorkerRow},
    json::Account,
    store::{AgreementFilter, Cursor, PlacedJson},
};

/// A page of agreements.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgreementPage {
    agreements: Vec<AgreementRow>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

/// A page of workers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerPage {
    workers: Vec<WorkerShown>,
    next_cursor: Option<String>,
}

/// A worker with the names of its classes.
#[derive(Serialize)]
pub struct WorkerShown {
    #[serde(flatten)]
    row: WorkerRow,
    classes: Vec<String>,
}

/// One agreement with its events.
#[derive(Serialize)]
pub struct AgreementShown {
    #[serde(flatten)]
    row: AgreementRow,
    events: Vec<PlacedJson>,
}

/// `GET /v1/agreements`
pub async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Json<AgreementPage>, ApiError> {
    let params = Params::parse(query.as_deref(), &["client", "worker", "status", "limit", "cursor"])?;
    let filter = AgreementFilter {
        client: params.value("client", ADDRESS)?,
        worker: params.value("worker", ADDRESS)?,
        status: params.text("status").map(status).transpose()?,
    };
    let limit = params.limit()?;
    let agreements = api.store.agreements(filter, limit, cursor(&params)?).await?;
    let position = |row: &AgreementRow| Cursor { block: row.bought_block, log_index: row.bought_log };
    let next_cursor = next(&agreements, limit, position);
    Ok(Json(AgreementPage { agreements, next_cursor }))
}

/// `GET /v1/agreements/{address}`
pub async fn one(State(api): State<Api>, Path(address): Path<String>) -> Result<Json<AgreementShown>, ApiError> {
    let address: Account = address.parse().map_err(|_| ApiError::BadValue {
        name: "address",
        found: address,
        expected: ADDRESS.to_owned(),
    })?;
    let row = api.store.agreement(address).await?.ok_or(ApiError::NoSuchAgreement(address))?;
    let events = api.store.events_of(address).await?;
    Ok(Json(AgreementShown { row, events }))
}

/// `GET /v1/workers`
pub async fn workers(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Json<WorkerPage>, ApiError> {
    let params = Params::parse(query.as_deref(), &["limit", "cursor"])?;
    let limit = params.limit()?;
    let rows = api.store.workers(limit, cursor(&params)?).await?;
    let position = |row: &WorkerRow| Cursor { block: row.registered_block, log_index: row.registered_log };
    let next_cursor = next(&rows, limit, position);
    let show = |row: WorkerRow| WorkerShown { classes: class_names(&api, row.class_bits), row };
    Ok(Json(WorkerPage { workers: rows.into_iter().map(show).collect(), next_cursor }))
}

fn class_names(api: &Api, bits: u64) -> Vec<String> {
    (0..u64::BITS as u16).filter(|id| bits >> id & 1 == 1).map(|id| api.deployment.class_name(id)).collect()
}

fn cursor(params: &Params) -> Result<Option<Cursor>, ApiError> {
    Ok(params.text("cursor").map(str::parse).transpose()?)
}

/// A full page may have a successor; a shorter one has none.
fn next<T>(rows: &[T], limit: u32, position: impl Fn(&T) -> Cursor) -> Option<String> {
    rows.last().filter(|_| rows.len() >= limit as usize).map(|row| position(row).to_string())
}

fn status(text: &str) -> Result<Status, ApiError> {
    let names = || Status::ALL.iter().map(|status| status.name().to_lowercase()).collect::<Vec<_>>().join(", ");
    let found = Status::ALL.iter().find(|status| status.name().eq_ignore_ascii_case(text));
    found.copied().ok_or_else(|| ApiError::BadValue {
        name: "status",
        found: text.to_owned(),
        expected: format!("one of {}", names()),
    })
}
