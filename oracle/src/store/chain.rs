//! The write side of the index: batches on top, rollbacks to a common ancestor.
use std::collections::{BTreeMap, BTreeSet, HashSet};

use alloy::primitives::Address;
use sqlx::{Any, Row as _, Transaction};

use super::{
    Doing as _, Store, StoreError, corrupt,
    energy::{self, ReadRecord},
    number, sql_int,
};
use crate::{
    chain::Header,
    energy::{CertificateMove, EnergyContracts},
    events::{Event, PlacedEvent},
    fold::{AgreementRow, ClientRow, MeterRow, WorkerRow},
    json::Account,
};

/// What one step of the index adds: whole blocks, in order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Blocks to remember; the last one is where the batch ends.
    pub headers: Vec<Header>,
    /// Events of these and the blocks between them, in chain order.
    pub events: Vec<PlacedEvent>,
    /// Blocks from here to `prune_to` (both included) are forgotten; their events stay.
    pub prune_from: u64,
    /// See `prune_from`; nothing is forgotten when it is smaller.
    pub prune_to: u64,
    /// The energy contracts, where the deployment has any.
    pub energy: Option<EnergyContracts>,
    /// The signed records behind events of the ledger, by block and position of the event.
    pub records: BTreeMap<(u64, u64), ReadRecord>,
    /// What certificates did.
    pub moves: Vec<CertificateMove>,
}

impl Store {
    /// The newest block that the index has taken in.
    pub async fn last_block(&self) -> Result<Option<Header>, StoreError> {
        self.highest_block_upto(u64::MAX).await
    }

    /// The highest remembered block not above `number`.
    pub async fn highest_block_upto(&self, limit: u64) -> Result<Option<Header>, StoreError> {
        let doing = "reading the indexed blocks";
        let row = sqlx::query(
            "SELECT number, hash, parent, time FROM blocks WHERE number <= $1 ORDER BY number DESC LIMIT 1",
        )
        .bind(sql_int(limit))
        .fetch_optional(&self.pool)
        .await
        .doing(doing)?;
        let Some(row) = row else { return Ok(None) };
        let hash = |column: usize| -> Result<_, StoreError> {
            row.try_get::<String, _>(column).doing(doing)?.parse().map_err(|e| corrupt("blocks", &e))
        };
        Ok(Some(Header {
            number: number(&row, 0).doing(doing)?,
            hash: hash(1)?,
            parent: hash(2)?,
            time: number(&row, 3).doing(doing)?,
        }))
    }

    /// Which of these addresses are agreements of ours.
    pub async fn known_agreements(&self, addresses: &BTreeSet<Address>) -> Result<HashSet<Address>, StoreError> {
        let mut known = HashSet::new();
        for address in addresses {
            let found = sqlx::query("SELECT 1 FROM agreements WHERE address = $1")
                .bind(Account(*address).to_db())
                .fetch_optional(&self.pool)
                .await
                .doing("looking up an agreement")?;
            if found.is_some() {
                known.insert(*address);
            }
        }
        Ok(known)
    }

    /// Adds a batch and folds its events into the rows, all in one transaction.
    pub async fn append(&self, batch: &Batch) -> Result<(), StoreError> {
        let doing = "adding blocks to the index";
        let _turn = self.write().await;
        let mut tx = self.pool.begin().await.doing(doing)?;
        for header in &batch.headers {
            sqlx::query("INSERT INTO blocks (number, hash, parent, time) VALUES ($1, $2, $3, $4)")
                .bind(sql_int(header.number))
                .bind(header.hash.to_string())
                .bind(header.parent.to_string())
                .bind(sql_int(header.time))
                .execute(&mut *tx)
                .await
                .doing(doing)?;
        }
        for event in &batch.events {
            insert_event(&mut tx, event).await?;
        }
        sqlx::query("DELETE FROM blocks WHERE number >= $1 AND number <= $2")
            .bind(sql_int(batch.prune_from))
            .bind(sql_int(batch.prune_to))
            .execute(&mut *tx)
            .await
            .doing("forgetting old blocks")?;
        for agreement in distinct(batch.events.iter().filter_map(|e| e.agreement)) {
            let events: Vec<_> = batch.events.iter().filter(|e| e.agreement == Some(agreement)).cloned().collect();
            let row = read_view(&mut tx, AGREEMENT_VIEW, "agreements", agreement).await?;
            write_agreement(&mut tx, agreement, AgreementRow::fold(row, &events)).await?;
        }
        for worker in distinct(batch.events.iter().filter_map(|e| e.worker)) {
            let events: Vec<_> = batch.events.iter().filter(|e| e.worker == Some(worker)).cloned().collect();
            let row = read_view(&mut tx, WORKER_VIEW, "workers", worker).await?;
            write_worker(&mut tx, worker, WorkerRow::fold(row, &events)).await?;
        }
        for client in distinct(batch.events.iter().filter_map(|e| e.client)) {
            let events: Vec<_> = batch.events.iter().filter(|e| e.client == Some(client)).cloned().collect();
            let row = read_view(&mut tx, CLIENT_VIEW, "clients", client).await?;
            write_client(&mut tx, client, ClientRow::fold(row, &events)).await?;
        }
        energy::apply(&mut tx, batch).await?;
        tx.commit().await.doing(doing)
    }

    /// Takes back everything above block `ancestor` (everything at all for `None`) and folds the rows concerned anew.
    pub async fn rollback(&self, ancestor: Option<u64>) -> Result<(), StoreError> {
        let doing = "taking back blocks that the chain dropped";
        let keep_below = ancestor.map_or(0, |number| number.saturating_add(1));
        let _turn = self.write().await;
        let mut tx = self.pool.begin().await.doing(doing)?;
        let rows = sqlx::query("SELECT DISTINCT agreement, worker, client FROM events WHERE block >= $1")
            .bind(sql_int(keep_below))
            .fetch_all(&mut *tx)
            .await
            .doing(doing)?;
        let (mut agreements, mut workers, mut clients) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for row in rows {
            agreements.insert(row.try_get::<String, _>(0).doing(doing)?);
            workers.insert(row.try_get::<String, _>(1).doing(doing)?);
            clients.insert(row.try_get::<String, _>(2).doing(doing)?);
        }
        let meters = energy::meters_above(&mut tx, keep_below).await?;
        energy::take_back(&mut tx, keep_below).await?;
        for delete in ["DELETE FROM events WHERE block >= $1", "DELETE FROM blocks WHERE number >= $1"] {
            sqlx::query(delete).bind(sql_int(keep_below)).execute(&mut *tx).await.doing(doing)?;
        }
        for agreement in accounts(agreements)? {
            let events = read_events(&mut tx, EVENTS_OF_AGREEMENT, agreement).await?;
            write_agreement(&mut tx, agreement, AgreementRow::fold(None, &events)).await?;
        }
        for worker in accounts(workers)? {
            let events = read_events(&mut tx, EVENTS_OF_WORKER, worker).await?;
            write_worker(&mut tx, worker, WorkerRow::fold(None, &events)).await?;
        }
        for client in accounts(clients)? {
            let events = read_events(&mut tx, EVENTS_OF_CLIENT, client).await?;
            write_client(&mut tx, client, ClientRow::fold(None, &events)).await?;
        }
        for meter in accounts(meters)? {
            let events = read_events(&mut tx, EVENTS_OF_METER, meter).await?;
            energy::write_meter(&mut tx, meter, MeterRow::fold(None, &events).as_ref()).await?;
        }
        tx.commit().await.doing(doing)
    }
}

const AGREEMENT_VIEW: &str = "SELECT view FROM agreements WHERE address = $1";
const WORKER_VIEW: &str = "SELECT view FROM workers WHERE address = $1";
const CLIENT_VIEW: &str = "SELECT view FROM clients WHERE address = $1";
const EVENTS_OF_AGREEMENT: &str = "SELECT block, log_index, time, tx, address, block_hash, event FROM events \
     WHERE agreement = $1 ORDER BY block, log_index";
const EVENTS_OF_WORKER: &str = "SELECT block, log_index, time, tx, address, block_hash, event FROM events \
     WHERE worker = $1 ORDER BY block, log_index";
const EVENTS_OF_CLIENT: &str = "SELECT block, log_index, time, tx, address, block_hash, event FROM events \
     WHERE client = $1 ORDER BY block, log_index";
const EVENTS_OF_METER: &str = "SELECT block, log_index, time, tx, address, block_hash, event FROM events \
     WHERE meter = $1 ORDER BY block, log_index";

type Tx = Transaction<'static, Any>;

fn distinct(accounts: impl Iterator<Item = Account>) -> BTreeSet<Account> {
    accounts.collect()
}

/// The accounts in a column; empty text stands for none.
fn accounts(texts: BTreeSet<String>) -> Result<Vec<Account>, StoreError> {
    let named = texts.iter().filter(|text| !text.is_empty());
    named.map(|text| text.parse().map_err(|e| corrupt("events", &e))).collect()
}

fn db(account: Option<Account>) -> String {
    account.map(Account::to_db).unwrap_or_default()
}

async fn insert_event(tx: &mut Tx, placed: &PlacedEvent) -> Result<(), StoreError> {
    let event = serde_json::to_string(&placed.event).map_err(|e| corrupt("events", &e))?;
    sqlx::query(
        "INSERT INTO events (block, log_index, block_hash, time, tx, address, agreement, worker, client, meter, event) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(sql_int(placed.block))
    .bind(sql_int(placed.log_index))
    .bind(placed.block_hash.to_string())
    .bind(sql_int(placed.time))
    .bind(placed.tx.to_string())
    .bind(placed.address.to_db())
    .bind(db(placed.agreement))
    .bind(db(placed.worker))
    .bind(db(placed.client))
    .bind(db(placed.meter))
    .bind(event)
    .execute(&mut **tx)
    .await
    .doing("adding an event to the index")?;
    Ok(())
}

async fn read_events(tx: &mut Tx, sql: &'static str, of: Account) -> Result<Vec<PlacedEvent>, StoreError> {
    let doing = "reading events to fold them anew";
    let rows = sqlx::query(sql).bind(of.to_db()).fetch_all(&mut **tx).await.doing(doing)?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let text = |column: usize| row.try_get::<String, _>(column).doing(doing);
        let event: Event = serde_json::from_str(&text(6)?).map_err(|e| corrupt("events", &e))?;
        events.push(PlacedEvent {
            block: number(&row, 0).doing(doing)?,
            log_index: number(&row, 1).doing(doing)?,
            time: number(&row, 2).doing(doing)?,
            tx: text(3)?.parse().map_err(|e| corrupt("events", &e))?,
            address: text(4)?.parse().map_err(|e| corrupt("events", &e))?,
            block_hash: text(5)?.parse().map_err(|e| corrupt("events", &e))?,
            // The folds look at the event alone.
            agreement: None,
            worker: None,
            client: None,
            meter: None,
            event,
        });
    }
    Ok(events)
}

async fn read_view<T: serde::de::DeserializeOwned>(
    tx: &mut Tx,
    sql: &'static str,
    table: &'static str,
    address: Account,
) -> Result<Option<T>, StoreError> {
    let doing = "reading a row to fold on";
    let row = sqlx::query(sql).bind(address.to_db()).fetch_optional(&mut **tx).await.doing(doing)?;
    row.map(|row| {
        let view: String = row.try_get(0).doing(doing)?;
        serde_json::from_str(&view).map_err(|e| corrupt(table, &e))
    })
    .transpose()
}

async fn write_agreement(tx: &mut Tx, address: Account, row: Option<AgreementRow>) -> Result<(), StoreError> {
    let doing = "writing an agreement's row";
    let Some(row) = row else {
        return delete(tx, "DELETE FROM agreements WHERE address = $1", address).await;
    };
    sqlx::query(
        "INSERT INTO agreements (address, client, worker, status, deadline, bought_block, bought_log, view) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (address) DO UPDATE SET \
         client = excluded.client, worker = excluded.worker, status = excluded.status, deadline = excluded.deadline, \
         bought_block = excluded.bought_block, bought_log = excluded.bought_log, view = excluded.view",
    )
    .bind(address.to_db())
    .bind(row.client.to_db())
    .bind(db(row.worker))
    .bind(i64::from(row.status as u8))
    .bind(sql_int(row.deadline))
    .bind(sql_int(row.bought_block))
    .bind(sql_int(row.bought_log))
    .bind(serde_json::to_string(&row).map_err(|e| corrupt("agreements", &e))?)
    .execute(&mut **tx)
    .await
    .doing(doing)?;
    Ok(())
}

async fn write_worker(tx: &mut Tx, address: Account, row: Option<WorkerRow>) -> Result<(), StoreError> {
    let doing = "writing a worker's row";
    let Some(row) = row else {
        return delete(tx, "DELETE FROM workers WHERE address = $1", address).await;
    };
    sqlx::query(
        "INSERT INTO workers (address, registered_block, registered_log, view) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (address) DO UPDATE SET registered_block = excluded.registered_block, \
         registered_log = excluded.registered_log, view = excluded.view",
    )
    .bind(address.to_db())
    .bind(sql_int(row.registered_block))
    .bind(sql_int(row.registered_log))
    .bind(serde_json::to_string(&row).map_err(|e| corrupt("workers", &e))?)
    .execute(&mut **tx)
    .await
    .doing(doing)?;
    Ok(())
}

async fn write_client(tx: &mut Tx, address: Account, row: Option<ClientRow>) -> Result<(), StoreError> {
    let Some(row) = row else {
        return delete(tx, "DELETE FROM clients WHERE address = $1", address).await;
    };
    sqlx::query(
        "INSERT INTO clients (address, view) VALUES ($1, $2) ON CONFLICT (address) DO UPDATE SET view = excluded.view",
    )
    .bind(address.to_db())
    .bind(serde_json::to_string(&row).map_err(|e| corrupt("clients", &e))?)
    .execute(&mut **tx)
    .await
    .doing("writing a client's row")?;
    Ok(())
}

async fn delete(tx: &mut Tx, sql: &'static str, address: Account) -> Result<(), StoreError> {
    sqlx::query(sql).bind(address.to_db()).execute(&mut **tx).await.doing("deleting a row without events")?;
    Ok(())
}
