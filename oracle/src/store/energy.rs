//! Meters, their days, findings and certificates: what follows from the chain is written in the transaction of its batch, event by
//! event, so that each record is judged by what stood before it and by nothing else.
use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use sqlx::{Any, Row as _, Transaction, any::AnyRow};
use sunwork_protocol::energy::{Link, Record};

use super::{Doing as _, Store, StoreError, chain::Batch, corrupt, number, sql_int};
use crate::{
    energy::{
        CertificateMove, DayKind, EnergyContracts, EnergyDay, Finding, Rule, Unit,
        evidence::Seen,
        judge::{self, Neighbour, Past, Total},
    },
    events::{Event, PlacedEvent},
    fold::{MeterRow, MeterState},
    json::Account,
};

/// Days of the past that are looked at: learning takes the oldest year of these.
const PAST_DAYS: u16 = 1100;
/// Meters of a band of latitude that distances are computed to.
const MAX_CANDIDATES: i64 = 4096;
/// Findings of one record have their places behind each other.
const SPOTS: u64 = 256;
/// Records of one meter that wait for a contradiction.
const MAX_SEEN: i64 = 16;
/// Contradictions that are published of one registration: one costs the bond, and a device can sign any number.
const MAX_CONTRADICTIONS: usize = 4;
/// A degree of latitude, rounded down.
const KILOMETRES_PER_DEGREE: i64 = 110;

type Tx = Transaction<'static, Any>;

/// A record as the index read it, beside its event.
#[derive(Clone, Debug)]
pub struct ReadRecord {
    /// The signed bytes, or why they are unknown.
    pub record: Result<alloy::primitives::Bytes, String>,
    /// Its link as the ledger keeps it; asked for where the bytes are unknown.
    pub link: Option<Link>,
}

/// What came of a record that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is in the chain, or was handed in before.
    Known,
    /// It contradicts nothing, and is kept for a while.
    Kept,
    /// It contradicts another one: this finding says which.
    Contradicts(B256),
}

/// Applies a batch's events of meters and certificates.
pub(super) async fn apply(tx: &mut Tx, batch: &Batch) -> Result<(), StoreError> {
    let Some(contracts) = batch.energy else { return Ok(()) };
    let mut rows: BTreeMap<Account, Option<MeterRow>> = BTreeMap::new();
    for placed in &batch.events {
        let Some(worker) = placed.meter else { continue };
        let known = match rows.remove(&worker) {
            Some(row) => row,
            None => meter_row(tx, worker).await?,
        };
        let row = MeterRow::fold(known, std::slice::from_ref(placed));
        write_meter(tx, worker, row.as_ref()).await?;
        if let Some(row) = &row {
            match &placed.event {
                Event::DayRecorded { .. } | Event::GapRecorded { .. } => {
                    let read = batch.records.get(&(placed.block, placed.log_index));
                    take_record(tx, &contracts, row, placed, read).await?;
                }
                Event::Equivocated { .. } => {
                    write_finding(tx, &struck(row, placed), placed.log_index * SPOTS, true).await?
                }
                _ => {}
            }
        }
        rows.insert(worker, row);
    }
    for moved in &batch.moves {
        write_move(tx, moved).await?;
    }
    Ok(())
}

/// Takes back what stands at or above `keep_below`. The rows of meters are folded anew by the caller, with [`write_meter`].
pub(super) async fn take_back(tx: &mut Tx, keep_below: u64) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM energy_days WHERE block >= $1",
        "DELETE FROM findings WHERE block >= $1 AND anchored = 1",
        "DELETE FROM certificate_moves WHERE block >= $1",
    ] {
        let query = sqlx::query(sql).bind(sql_int(keep_below));
        query.execute(&mut **tx).await.doing("taking back records that the chain dropped")?;
    }
    Ok(())
}

pub(super) async fn write_meter(tx: &mut Tx, worker: Account, row: Option<&MeterRow>) -> Result<(), StoreError> {
    let doing = "writing a meter's row";
    let Some(row) = row else {
        let delete = sqlx::query("DELETE FROM meters WHERE worker = $1").bind(worker.to_db());
        delete.execute(&mut **tx).await.doing(doing)?;
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO meters (worker, latitude, registered_block, registered_log, view) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (worker) DO UPDATE SET latitude = excluded.latitude, registered_block = excluded.registered_block, \
         registered_log = excluded.registered_log, view = excluded.view",
    )
    .bind(worker.to_db())
    .bind(i64::from(row.site.latitude_decidegrees))
    .bind(sql_int(row.registered_block))
    .bind(sql_int(row.registered_log))
    .bind(json(row, "meters")?)
    .execute(&mut **tx)
    .await
    .doing(doing)?;
    Ok(())
}

async fn meter_row(tx: &mut Tx, worker: Account) -> Result<Option<MeterRow>, StoreError> {
    let row = sqlx::query("SELECT view FROM meters WHERE worker = $1")
        .bind(worker.to_db())
        .fetch_optional(&mut **tx)
        .await
        .doing("reading a meter's row")?;
    row.map(|row| view(&row, 0, "meters")).transpose()
}

/// Writes a record down, holds it against what is known, and against what was handed in.
async fn take_record(
    tx: &mut Tx,
    contracts: &EnergyContracts,
    meter: &MeterRow,
    placed: &PlacedEvent,
    read: Option<&ReadRecord>,
) -> Result<(), StoreError> {
    let previous = previous_link(tx, meter).await?;
    let Some((day, link)) = day_of(contracts, meter, placed, read, previous) else { return Ok(()) };
    let sequence = day.signed().map_or(0, |signed| signed.record.sequence);
    let is_counted = day.kind != DayKind::Gap;
    sqlx::query(
        "INSERT INTO energy_days (block, log_index, worker, day, sequence, counted, known, production_wh, nameplate_watts, \
         clear_wh, site, link, view) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(sql_int(day.block))
    .bind(sql_int(day.log_index))
    .bind(day.worker.to_db())
    .bind(i64::from(day.day))
    .bind(i64::from(sequence))
    .bind(i64::from(is_counted))
    .bind(i64::from(day.record.is_some()))
    .bind(i64::from(day.production_wh))
    .bind(i64::from(day.site.nameplate_watts))
    .bind(i64::from(day.clear_wh))
    .bind(json(&day.site, "energy_days")?)
    .bind(link.map(|link| link.to_string()).unwrap_or_default())
    .bind(json(&day, "energy_days")?)
    .execute(&mut **tx)
    .await
    .doing("adding a day of a meter")?;
    if !is_counted {
        return Ok(());
    }
    let past = past_of(tx, &day).await?;
    for (spot, finding) in judge::judge(&day, &past).iter().enumerate() {
        write_finding(tx, finding, day.log_index * SPOTS + (spot as u64).min(SPOTS - 1), true).await?;
    }
    if let Some(seen) = Seen::of_day(&day, meter.key) {
        for other in seen_of(tx, &seen).await? {
            if seen.contradicts(&other) {
                let finding = seen.finding(&other, meter, contracts.ledger, day.block, day.time);
                write_contradiction(tx, &finding, meter).await?;
            }
        }
    }
    Ok(())
}

/// The row of a record's event, and what the next record is chained to.
fn day_of(
    contracts: &EnergyContracts,
    meter: &MeterRow,
    placed: &PlacedEvent,
    read: Option<&ReadRecord>,
    previous: Option<Link>,
) -> Option<(EnergyDay, Option<Link>)> {
    let (day, first_day, production_wh, consumption_wh, window_net_wh) = match &placed.event {
        Event::DayRecorded { day, production_wh, consumption_wh, window_net_wh, .. } => {
            (*day, *day, *production_wh, *consumption_wh, *window_net_wh)
        }
        Event::GapRecorded { last_day, first_day, window_net_wh, .. } => (*last_day, *first_day, 0, 0, *window_net_wh),
        _ => return None,
    };
    let read_record = read.map_or_else(|| Err("its transaction was not read".to_owned()), |read| read.record.clone());
    let verified = read_record.and_then(|bytes| {
        let signed = sunwork_protocol::energy::SignedRecord::unpack(&bytes).map_err(|error| error.to_string())?;
        // Without the link before it the signature cannot be checked; that the ledger took it says enough.
        let digest = previous
            .map(|previous| signed.verify(&meter.key.public(), contracts.chain_id, contracts.ledger, previous))
            .transpose()
            .map_err(|error| format!("what was found in its transaction is not what the ledger took: {error}"))?;
        Ok((bytes, signed, digest))
    });
    let is_gap = matches!(placed.event, Event::GapRecorded { .. });
    let kind = match &verified {
        _ if is_gap => DayKind::Gap,
        Ok((_, signed, _)) if matches!(signed.record.body, sunwork_protocol::energy::Body::Metered { .. }) => {
            DayKind::Metered
        }
        _ => DayKind::Day,
    };
    let (record, digest, unknown) = match verified {
        Ok((bytes, _, digest)) => (Some(bytes), digest, None),
        Err(reason) => (None, None, Some(reason)),
    };
    let link = digest.map(Record::link_of).or_else(|| read.and_then(|read| read.link));
    let day = EnergyDay {
        worker: meter.worker,
        day,
        first_day,
        kind,
        production_wh,
        consumption_wh,
        window_net_wh,
        site: meter.site.clone(),
        key_hash: meter.key.hash(),
        block: placed.block,
        block_hash: placed.block_hash,
        log_index: placed.log_index,
        time: placed.time,
        tx: placed.tx,
        previous: previous.filter(|_| record.is_some()),
        record,
        unknown,
        digest,
        clear_wh: meter.site.clear_wh(day),
    };
    Some((day, link))
}

/// What a meter's next record is chained to: nothing after its registration, else the record before; `None` if that is unknown.
async fn previous_link(tx: &mut Tx, meter: &MeterRow) -> Result<Option<Link>, StoreError> {
    let doing = "reading a meter's last record";
    let row = sqlx::query(
        "SELECT link FROM energy_days WHERE worker = $1 AND (block > $2 OR (block = $2 AND log_index > $3)) \
         ORDER BY block DESC, log_index DESC LIMIT 1",
    )
    .bind(meter.worker.to_db())
    .bind(sql_int(meter.registered_block))
    .bind(sql_int(meter.registered_log))
    .fetch_optional(&mut **tx)
    .await
    .doing(doing)?;
    let Some(row) = row else { return Ok(Some(Link::ZERO)) };
    let text: String = row.try_get(0).doing(doing)?;
    Ok(text.parse().ok())
}

/// Everything that the day of a record is judged by.
async fn past_of(tx: &mut Tx, today: &EnergyDay) -> Result<Past, StoreError> {
    let since = |days: u16| i64::from(today.day) - i64::from(days);
    let own = days_since(tx, today.worker, since(judge::OWN_DAYS)).await?;
    let around = around(tx, today).await?;
    let mut others = Vec::new();
    for (_, meter) in around.iter().take(judge::MAX_COMPARED) {
        let days = days_since(tx, meter.worker, since(judge::COPY_DAYS)).await?;
        others.push(days.into_iter().filter(|day| day.record.is_some()).collect());
    }
    let totals = totals(tx, today.worker, &today.site, since(PAST_DAYS)).await?;
    let mut neighbours = Vec::new();
    let near = around.iter().filter(|(kilometres, _)| *kilometres <= judge::NEIGHBOUR_KILOMETRES);
    let honest = near.filter(|(_, meter)| meter.state != MeterState::Struck);
    for (_, meter) in honest.take(judge::MAX_NEIGHBOURS) {
        let totals = self::totals(tx, meter.worker, &meter.site, since(PAST_DAYS)).await?;
        neighbours.push(Neighbour { worker: meter.worker, totals });
    }
    Ok(Past { own, others, totals, neighbours })
}

/// Other meters within the distance over which curves are compared, nearest first.
async fn around(tx: &mut Tx, today: &EnergyDay) -> Result<Vec<(u32, MeterRow)>, StoreError> {
    let doing = "looking for neighbours of a meter";
    let latitude = i64::from(today.site.latitude_decidegrees);
    let band = i64::from(judge::COPY_KILOMETRES) * 10 / KILOMETRES_PER_DEGREE + 1;
    let rows = sqlx::query(
        "SELECT view FROM meters WHERE latitude >= $1 AND latitude <= $2 AND worker <> $3 ORDER BY worker LIMIT $4",
    )
    .bind(latitude - band)
    .bind(latitude + band)
    .bind(today.worker.to_db())
    .bind(MAX_CANDIDATES)
    .fetch_all(&mut **tx)
    .await
    .doing(doing)?;
    let mut all = Vec::new();
    for row in &rows {
        let meter: MeterRow = view(row, 0, "meters")?;
        let kilometres = today.site.distance_kilometres(&meter.site);
        if kilometres <= judge::COPY_KILOMETRES {
            all.push((kilometres, meter));
        }
    }
    all.sort_by_key(|(kilometres, meter)| (*kilometres, meter.worker));
    Ok(all)
}

async fn days_since(tx: &mut Tx, worker: Account, after: i64) -> Result<Vec<EnergyDay>, StoreError> {
    let rows = sqlx::query("SELECT view FROM energy_days WHERE worker = $1 AND counted = 1 AND day > $2 ORDER BY day")
        .bind(worker.to_db())
        .bind(after)
        .fetch_all(&mut **tx)
        .await
        .doing("reading days of a meter")?;
    rows.iter().map(|row| view(row, 0, "energy_days")).collect()
}

async fn totals(
    tx: &mut Tx,
    worker: Account,
    site: &crate::energy::Site,
    after: i64,
) -> Result<Vec<Total>, StoreError> {
    let doing = "reading harvests of a meter";
    let rows = sqlx::query(
        "SELECT day, production_wh, nameplate_watts, clear_wh FROM energy_days \
         WHERE worker = $1 AND counted = 1 AND site = $2 AND day > $3 ORDER BY day",
    )
    .bind(worker.to_db())
    .bind(json(site, "energy_days")?)
    .bind(after)
    .fetch_all(&mut **tx)
    .await
    .doing(doing)?;
    let small = |row: &AnyRow, column| number(row, column).map(|n| u32::try_from(n).unwrap_or(u32::MAX)).doing(doing);
    let total = |row: &AnyRow| {
        Ok(Total {
            day: u16::try_from(number(row, 0).doing(doing)?).unwrap_or(u16::MAX),
            production_wh: small(row, 1)?,
            nameplate_watts: small(row, 2)?,
            clear_wh: small(row, 3)?,
        })
    };
    rows.iter().map(total).collect()
}

fn struck(meter: &MeterRow, placed: &PlacedEvent) -> Finding {
    let strike = meter.strike.as_ref();
    let digests = strike.map(|strike| (strike.digest_a, strike.digest_b)).unwrap_or_default();
    let day = strike.map_or(0, |strike| strike.day);
    Finding {
        id: Rule::Struck.id_of(&[meter.worker.0.as_slice(), digests.0.as_slice(), digests.1.as_slice()]),
        worker: meter.worker,
        rule: Rule::Struck,
        severity: Rule::Struck.severity(),
        first_day: day,
        last_day: day,
        measured: 2,
        limit: 1,
        unit: Unit::Records,
        other: None,
        chain_checks: true,
        block: placed.block,
        time: placed.time,
        site: meter.site.clone(),
        records: Vec::new(),
        evidence: serde_json::json!({ "strike": strike }),
    }
}

/// Findings that have no place in the chain stand behind those of their block, each somewhere of its own.
fn spot_of(finding: &Finding) -> u64 {
    let low = finding.id.last_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    (1 << 40) + u64::from(low)
}

async fn write_finding(tx: &mut Tx, finding: &Finding, spot: u64, is_anchored: bool) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO findings (id, block, spot, anchored, worker, rule, severity, first_day, last_day, view) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING",
    )
    .bind(finding.id.to_string())
    .bind(sql_int(finding.block))
    .bind(sql_int(spot))
    .bind(i64::from(is_anchored))
    .bind(finding.worker.to_db())
    .bind(finding.rule.name())
    .bind(finding.severity.name())
    .bind(i64::from(finding.first_day))
    .bind(i64::from(finding.last_day))
    .bind(json(finding, "findings")?)
    .execute(&mut **tx)
    .await
    .doing("adding a finding")?;
    Ok(())
}

/// Writes a contradiction down, unless there are enough of this registration; says which one to show.
async fn write_contradiction(tx: &mut Tx, finding: &Finding, meter: &MeterRow) -> Result<B256, StoreError> {
    let doing = "reading contradictions of a meter";
    let rows =
        sqlx::query("SELECT id FROM findings WHERE worker = $1 AND rule = $2 AND block >= $3 ORDER BY id LIMIT $4")
            .bind(finding.worker.to_db())
            .bind(Rule::Equivocation.name())
            .bind(sql_int(meter.registered_block))
            .bind(MAX_CONTRADICTIONS as i64)
            .fetch_all(&mut **tx)
            .await
            .doing(doing)?;
    if let Some(first) = rows.first().filter(|_| rows.len() >= MAX_CONTRADICTIONS) {
        let known: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().doing(doing)?;
        if known.contains(&finding.id.to_string()) {
            return Ok(finding.id);
        }
        let id: String = first.try_get(0).doing(doing)?;
        return id.parse().map_err(|e| corrupt("findings", &e));
    }
    write_finding(tx, finding, spot_of(finding), false).await?;
    Ok(finding.id)
}

async fn write_move(tx: &mut Tx, moved: &CertificateMove) -> Result<(), StoreError> {
    let db = |account: Option<Account>| account.map(Account::to_db).unwrap_or_default();
    sqlx::query(
        "INSERT INTO certificate_moves (block, log_index, position, kind, worker, sender, receiver, agreement, watt_hours, \
         view) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(sql_int(moved.block))
    .bind(sql_int(moved.log_index))
    .bind(i64::from(moved.position))
    .bind(moved.kind.name())
    .bind(moved.worker.to_db())
    .bind(db(moved.from))
    .bind(db(moved.to))
    .bind(db(moved.agreement))
    .bind(sql_int(moved.watt_hours))
    .bind(json(moved, "certificate_moves")?)
    .execute(&mut **tx)
    .await
    .doing("adding a certificate's move")?;
    Ok(())
}

/// Records of the same meter and day that were handed in.
async fn seen_of(tx: &mut Tx, seen: &Seen) -> Result<Vec<Seen>, StoreError> {
    let rows = sqlx::query("SELECT view FROM seen_records WHERE worker = $1 AND day = $2 ORDER BY digest")
        .bind(seen.worker.to_db())
        .bind(i64::from(seen.day))
        .fetch_all(&mut **tx)
        .await
        .doing("reading records that were handed in")?;
    rows.iter().map(|row| view(row, 0, "seen_records")).collect()
}

impl Store {
    /// Takes a record that was handed in, at head `block` of time `time`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn offer_record(
        &self,
        seen: &Seen,
        meter: &MeterRow,
        contracts: &EnergyContracts,
        (block, time): (u64, u64),
        now_ms: u64,
    ) -> Result<Offered, StoreError> {
        let doing = "taking a record that was handed in";
        let _turn = self.write().await;
        let mut tx = self.pool.begin().await.doing(doing)?;
        let rows =
            sqlx::query("SELECT view FROM energy_days WHERE worker = $1 AND counted = 1 AND known = 1 AND day = $2")
                .bind(seen.worker.to_db())
                .bind(i64::from(seen.day))
                .fetch_all(&mut *tx)
                .await
                .doing(doing)?;
        let mut others = Vec::new();
        for row in &rows {
            let day: EnergyDay = view(row, 0, "energy_days")?;
            others.extend(
                Some(day).filter(|day| day.key_hash == seen.key.hash()).and_then(|d| Seen::of_day(&d, seen.key)),
            );
        }
        others.extend(seen_of(&mut tx, seen).await?);
        let offered = if let Some(other) = others.iter().find(|other| seen.contradicts(other)) {
            let finding = seen.finding(other, meter, contracts.ledger, block, time);
            Offered::Contradicts(write_contradiction(&mut tx, &finding, meter).await?)
        } else if others.iter().any(|other| other.digest == seen.digest) {
            Offered::Known
        } else {
            keep(&mut tx, seen, now_ms).await?;
            Offered::Kept
        };
        tx.commit().await.doing(doing)?;
        Ok(offered)
    }

    /// Equivocations that were found here and that the ledger does not know yet, with their meters.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unreported(&self, limit: u32) -> Result<Vec<Finding>, StoreError> {
        let rows = sqlx::query(
            "SELECT findings.view, meters.view FROM findings JOIN meters ON meters.worker = findings.worker \
             WHERE findings.rule = $1 AND findings.block >= meters.registered_block ORDER BY findings.block DESC, findings.spot DESC LIMIT $2",
        )
        .bind(Rule::Equivocation.name())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing("listing equivocations")?;
        let mut open = Vec::new();
        for row in &rows {
            let meter: MeterRow = view(row, 1, "meters")?;
            if matches!(meter.state, MeterState::Active | MeterState::Leaving) {
                open.push(view(row, 0, "findings")?);
            }
        }
        Ok(open)
    }
}

async fn keep(tx: &mut Tx, seen: &Seen, now_ms: u64) -> Result<(), StoreError> {
    let doing = "keeping a record that was handed in";
    sqlx::query(
        "INSERT INTO seen_records (digest, worker, day, sequence, seen_ms, view) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (digest) DO NOTHING",
    )
    .bind(seen.digest.to_string())
    .bind(seen.worker.to_db())
    .bind(i64::from(seen.day))
    .bind(i64::from(seen.sequence))
    .bind(sql_int(now_ms))
    .bind(json(seen, "seen_records")?)
    .execute(&mut **tx)
    .await
    .doing(doing)?;
    // The oldest go: a meter signs one day after another.
    sqlx::query(
        "DELETE FROM seen_records WHERE worker = $1 AND digest NOT IN \
         (SELECT digest FROM seen_records WHERE worker = $1 ORDER BY seen_ms DESC, digest LIMIT $2)",
    )
    .bind(seen.worker.to_db())
    .bind(MAX_SEEN)
    .execute(&mut **tx)
    .await
    .doing(doing)?;
    Ok(())
}

fn json<T: serde::Serialize>(value: &T, table: &'static str) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| corrupt(table, &e))
}

fn view<T: serde::de::DeserializeOwned>(row: &AnyRow, column: usize, table: &'static str) -> Result<T, StoreError> {
    let text: String = row.try_get(column).doing("reading a row")?;
    serde_json::from_str(&text).map_err(|e| corrupt(table, &e))
}

/// Whose meters' events stand at or above `keep_below`.
pub(super) async fn meters_above(tx: &mut Tx, keep_below: u64) -> Result<BTreeSet<String>, StoreError> {
    let doing = "reading which meters are taken back";
    let rows = sqlx::query("SELECT DISTINCT meter FROM events WHERE block >= $1")
        .bind(sql_int(keep_below))
        .fetch_all(&mut **tx)
        .await
        .doing(doing)?;
    rows.iter().map(|row| row.try_get(0).doing(doing)).collect()
}
