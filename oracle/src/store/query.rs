//! The read side: what the API shows and the keeper looks at.
use alloy::primitives::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::Row as _;
use sunwork_protocol::status::Status;

use super::{
    Cursor, Doing as _, Store, StoreError, corrupt, number,
    page::{position, view},
    sql_int,
};
use crate::{
    events::Event,
    fold::{AgreementRow, ClientRow, WorkerRow},
    json::Account,
};

/// Most events of one agreement that are shown; the contract allows far fewer.
const MAX_EVENTS: i64 = 10_000;

/// Which agreements are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgreementFilter {
    /// Bought by.
    pub client: Option<Account>,
    /// Worked on by.
    pub worker: Option<Account>,
    /// Standing at.
    pub status: Option<Status>,
}

/// An event with its place, its JSON as stored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacedJson {
    /// Block number.
    pub block: u64,
    /// Position in it.
    pub log_index: u64,
    /// Unix time of the block, seconds.
    pub time: u64,
    /// Transaction.
    pub tx: String,
    /// Name and arguments.
    pub event: Box<RawValue>,
}

impl Store {
    /// Agreements, newest first, at most `limit` of those before `before`.
    pub async fn agreements(
        &self,
        filter: AgreementFilter,
        limit: u32,
        before: Option<Cursor>,
    ) -> Result<Vec<AgreementRow>, StoreError> {
        let (block, log) = position(before);
        let rows = sqlx::query(
            "SELECT view FROM agreements WHERE ($1 = '' OR client = $1) AND ($2 = '' OR worker = $2) \
             AND ($3 < 0 OR status = $3) AND (bought_block < $4 OR (bought_block = $4 AND bought_log < $5)) \
             ORDER BY bought_block DESC, bought_log DESC LIMIT $6",
        )
        .bind(filter.client.map(Account::to_db).unwrap_or_default())
        .bind(filter.worker.map(Account::to_db).unwrap_or_default())
        .bind(filter.status.map_or(-1, |status| i64::from(status as u8)))
        .bind(block)
        .bind(log)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing("listing agreements")?;
        rows.iter().map(|row| view(row, 0, "agreements")).collect()
    }

    /// One agreement.
    pub async fn agreement(&self, address: Account) -> Result<Option<AgreementRow>, StoreError> {
        let row = sqlx::query("SELECT view FROM agreements WHERE address = $1")
            .bind(address.to_db())
            .fetch_optional(&self.pool)
            .await
            .doing("reading an agreement")?;
        row.map(|row| view(&row, 0, "agreements")).transpose()
    }

    /// One worker.
    pub async fn worker(&self, address: Account) -> Result<Option<WorkerRow>, StoreError> {
        let row = sqlx::query("SELECT view FROM workers WHERE address = $1")
            .bind(address.to_db())
            .fetch_optional(&self.pool)
            .await
            .doing("reading a worker")?;
        row.map(|row| view(&row, 0, "workers")).transpose()
    }

    /// What a client said of itself, if it did.
    pub async fn client(&self, address: Account) -> Result<Option<ClientRow>, StoreError> {
        let row = sqlx::query("SELECT view FROM clients WHERE address = $1")
            .bind(address.to_db())
            .fetch_optional(&self.pool)
            .await
            .doing("reading a client")?;
        row.map(|row| view(&row, 0, "clients")).transpose()
    }

    /// The specification that an agreement was bought with, in the kind's format.
    pub async fn spec_of(&self, row: &AgreementRow) -> Result<Option<Bytes>, StoreError> {
        let doing = "reading a purchase";
        let event = sqlx::query("SELECT event FROM events WHERE block = $1 AND log_index = $2")
            .bind(sql_int(row.bought_block))
            .bind(sql_int(row.bought_log))
            .fetch_optional(&self.pool)
            .await
            .doing(doing)?;
        let Some(event) = event else { return Ok(None) };
        let text: String = event.try_get(0).doing(doing)?;
        match serde_json::from_str(&text).map_err(|e| corrupt("events", &e))? {
            Event::AgreementBought { agreement, spec, .. } if agreement == row.address => Ok(Some(spec)),
            _ => Ok(None),
        }
    }

    /// All events of an agreement, in chain order.
    pub async fn events_of(&self, agreement: Account) -> Result<Vec<PlacedJson>, StoreError> {
        let doing = "reading an agreement's events";
        let rows = sqlx::query(
            "SELECT block, log_index, time, tx, event FROM events WHERE agreement = $1 \
             ORDER BY block, log_index LIMIT $2",
        )
        .bind(agreement.to_db())
        .bind(MAX_EVENTS)
        .fetch_all(&self.pool)
        .await
        .doing(doing)?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let event: String = row.try_get(4).doing(doing)?;
            events.push(PlacedJson {
                block: number(&row, 0).doing(doing)?,
                log_index: number(&row, 1).doing(doing)?,
                time: number(&row, 2).doing(doing)?,
                tx: row.try_get(3).doing(doing)?,
                event: RawValue::from_string(event).map_err(|e| corrupt("events", &e))?,
            });
        }
        Ok(events)
    }

    /// Workers, newest first, at most `limit` of those before `before`.
    pub async fn workers(&self, limit: u32, before: Option<Cursor>) -> Result<Vec<WorkerRow>, StoreError> {
        let (block, log) = position(before);
        let rows = sqlx::query(
            "SELECT view FROM workers \
             WHERE registered_block < $1 OR (registered_block = $1 AND registered_log < $2) \
             ORDER BY registered_block DESC, registered_log DESC LIMIT $3",
        )
        .bind(block)
        .bind(log)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing("listing workers")?;
        rows.iter().map(|row| view(row, 0, "workers")).collect()
    }

    /// Agreements that the keeper should look at: those whose deadline lies at or before `now`, and those that may be
    /// moved on before it (an unproven round, a claim window, openings that nobody counted). Oldest deadline first, at most `limit`.
    pub async fn maybe_due(&self, now: u64, limit: u32) -> Result<Vec<AgreementRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT view FROM agreements WHERE status NOT IN ($1, $2) \
             AND ((deadline > 0 AND deadline <= $3) OR status IN ($4, $5, $6, $7)) ORDER BY deadline LIMIT $8",
        )
        .bind(i64::from(Status::Settled as u8))
        .bind(i64::from(Status::Cancelled as u8))
        .bind(sql_int(now))
        .bind(i64::from(Status::Sealed as u8))
        .bind(i64::from(Status::Drawing as u8))
        .bind(i64::from(Status::Verifying as u8))
        .bind(i64::from(Status::Opening as u8))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing("listing agreements that are due")?;
        rows.iter().map(|row| view(row, 0, "agreements")).collect()
    }

    /// Agreements that may wait for a beacon round (of a draw, or of a late audit's lot), oldest deadline first, at most
    /// `limit`.
    pub async fn waiting_for_beacon(&self, limit: u32) -> Result<Vec<AgreementRow>, StoreError> {
        let rows =
            sqlx::query("SELECT view FROM agreements WHERE status >= $1 AND status <= $2 ORDER BY deadline LIMIT $3")
                .bind(i64::from(Status::Sealed as u8))
                .bind(i64::from(Status::Opening as u8))
                .bind(i64::from(limit))
                .fetch_all(&self.pool)
                .await
                .doing("listing agreements that wait for a beacon round")?;
        rows.iter().map(|row| view(row, 0, "agreements")).collect()
    }
}
