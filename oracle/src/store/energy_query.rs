//! The read side of attested energy.
use alloy::primitives::B256;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{Row as _, any::AnyRow};

use super::{
    Cursor, Doing as _, Store, StoreError, corrupt, number,
    page::{position, view},
};
use crate::{
    energy::{EnergyDay, Finding, Rule, Severity},
    fold::MeterRow,
    json::Account,
};

/// Which findings are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct FindingFilter {
    /// Of this meter.
    pub worker: Option<Account>,
    /// By this check.
    pub rule: Option<Rule>,
    /// Of this weight.
    pub severity: Option<Severity>,
    /// About this day or a later one.
    pub since: Option<u16>,
}

/// A finding and where it stands in lists.
#[derive(Clone, Debug)]
pub struct PlacedFinding {
    /// For the next page.
    pub cursor: Cursor,
    /// It.
    pub finding: Finding,
}

/// Findings of a meter, by weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FindingTotals {
    /// Provable.
    pub proof: u64,
    /// Impossible.
    pub impossible: u64,
    /// Unlikely.
    pub unlikely: u64,
}

impl FindingTotals {
    fn add(&mut self, severity: &str, count: u64) {
        match severity.parse() {
            Ok(Severity::Proof) => self.proof += count,
            Ok(Severity::Impossible) => self.impossible += count,
            Ok(Severity::Unlikely) => self.unlikely += count,
            Err(()) => {}
        }
    }
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnergyCounts {
    /// Meters ever registered.
    pub meters: u64,
    /// Days with counts.
    pub days: u64,
    /// Of those, with counts that could not be read.
    pub unknown_days: u64,
    /// Findings.
    pub findings: FindingTotals,
}

/// Which certificates' moves are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct CertificateFilter {
    /// Produced by.
    pub worker: Option<Account>,
    /// From or to.
    pub holder: Option<Account>,
    /// Used up for.
    pub agreement: Option<Account>,
}

impl Store {
    /// Meters, newest registration first, at most `limit` of those before `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn meters(&self, limit: u32, before: Option<Cursor>) -> Result<Vec<MeterRow>, StoreError> {
        let (block, log) = position(before);
        let rows = sqlx::query(
            "SELECT view FROM meters WHERE registered_block < $1 OR (registered_block = $1 AND registered_log < $2) \
             ORDER BY registered_block DESC, registered_log DESC LIMIT $3",
        )
        .bind(block)
        .bind(log)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing("listing meters")?;
        rows.iter().map(|row| view(row, 0, "meters")).collect()
    }

    /// One meter.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn meter(&self, worker: Account) -> Result<Option<MeterRow>, StoreError> {
        let row = sqlx::query("SELECT view FROM meters WHERE worker = $1")
            .bind(worker.to_db())
            .fetch_optional(&self.pool)
            .await
            .doing("reading a meter")?;
        row.map(|row| view(&row, 0, "meters")).transpose()
    }

    /// Records of a meter, newest first, at most `limit` of those before `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn energy_days(
        &self,
        worker: Account,
        limit: u32,
        before: Option<Cursor>,
    ) -> Result<Vec<EnergyDay>, StoreError> {
        let (block, log) = position(before);
        let rows = sqlx::query(
            "SELECT view FROM energy_days WHERE worker = $1 AND (block < $2 OR (block = $2 AND log_index < $3)) \
             ORDER BY block DESC, log_index DESC LIMIT $4",
        )
        .bind(worker.to_db())
        .bind(block)
        .bind(log)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing("listing days of a meter")?;
        rows.iter().map(|row| view(row, 0, "energy_days")).collect()
    }

    /// Findings, newest first, at most `limit` of those before `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn findings(
        &self,
        filter: FindingFilter,
        limit: u32,
        before: Option<Cursor>,
    ) -> Result<Vec<PlacedFinding>, StoreError> {
        let doing = "listing findings";
        let (block, spot) = position(before);
        let rows = sqlx::query(
            "SELECT view, block, spot FROM findings WHERE ($1 = '' OR worker = $1) AND ($2 = '' OR rule = $2) \
             AND ($3 = '' OR severity = $3) AND last_day >= $4 AND (block < $5 OR (block = $5 AND spot < $6)) \
             ORDER BY block DESC, spot DESC LIMIT $7",
        )
        .bind(filter.worker.map(Account::to_db).unwrap_or_default())
        .bind(filter.rule.map(Rule::name).unwrap_or_default())
        .bind(filter.severity.map(Severity::name).unwrap_or_default())
        .bind(filter.since.map_or(0, i64::from))
        .bind(block)
        .bind(spot)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing(doing)?;
        let placed = |row: &AnyRow| {
            let (block, log_index) = (number(row, 1).doing(doing)?, number(row, 2).doing(doing)?);
            Ok(PlacedFinding { cursor: Cursor { block, log_index }, finding: view(row, 0, "findings")? })
        };
        rows.iter().map(placed).collect()
    }

    /// One finding.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finding(&self, id: B256) -> Result<Option<Finding>, StoreError> {
        let row = sqlx::query("SELECT view FROM findings WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .doing("reading a finding")?;
        row.map(|row| view(&row, 0, "findings")).transpose()
    }

    /// Findings of a meter by weight.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn finding_totals(&self, worker: Account) -> Result<FindingTotals, StoreError> {
        let doing = "counting findings of a meter";
        let rows = sqlx::query("SELECT severity, COUNT(*) FROM findings WHERE worker = $1 GROUP BY severity")
            .bind(worker.to_db())
            .fetch_all(&self.pool)
            .await
            .doing(doing)?;
        let mut totals = FindingTotals::default();
        for row in &rows {
            let severity: String = row.try_get(0).doing(doing)?;
            totals.add(&severity, number(row, 1).doing(doing)?);
        }
        Ok(totals)
    }

    /// Watt hours of a worker's certificates: issued, and of those retired.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn certified_wh(&self, worker: Account) -> Result<(u64, u64), StoreError> {
        let doing = "adding up a worker's certificates";
        let rows = sqlx::query(
            "SELECT kind, CAST(SUM(watt_hours) AS BIGINT) FROM certificate_moves WHERE worker = $1 AND kind <> 'moved' \
             GROUP BY kind",
        )
        .bind(worker.to_db())
        .fetch_all(&self.pool)
        .await
        .doing(doing)?;
        let (mut issued, mut retired) = (0, 0);
        for row in &rows {
            let kind: String = row.try_get(0).doing(doing)?;
            let sum = number(row, 1).doing(doing)?;
            if kind == "issued" {
                issued = sum;
            } else {
                retired = sum;
            }
        }
        Ok((issued, retired))
    }

    /// What certificates did, newest first, at most `limit` of those before `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn certificate_moves(
        &self,
        filter: CertificateFilter,
        limit: u32,
        before: Option<Cursor>,
    ) -> Result<Vec<(Cursor, Box<RawValue>)>, StoreError> {
        let doing = "listing certificates";
        let (block, spot) = position(before);
        let rows = sqlx::query(
            "SELECT view, block, log_index * 65536 + position AS spot FROM certificate_moves \
             WHERE ($1 = '' OR worker = $1) AND ($2 = '' OR sender = $2 OR receiver = $2) AND ($3 = '' OR agreement = $3) \
             AND (block < $4 OR (block = $4 AND log_index * 65536 + position < $5)) \
             ORDER BY block DESC, log_index DESC, position DESC LIMIT $6",
        )
        .bind(filter.worker.map(Account::to_db).unwrap_or_default())
        .bind(filter.holder.map(Account::to_db).unwrap_or_default())
        .bind(filter.agreement.map(Account::to_db).unwrap_or_default())
        .bind(block)
        .bind(spot)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing(doing)?;
        let one = |row: &AnyRow| {
            let text: String = row.try_get(0).doing(doing)?;
            let cursor = Cursor { block: number(row, 1).doing(doing)?, log_index: number(row, 2).doing(doing)? };
            Ok((cursor, RawValue::from_string(text).map_err(|e| corrupt("certificate_moves", &e))?))
        };
        rows.iter().map(one).collect()
    }

    /// How much there is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn energy_counts(&self) -> Result<EnergyCounts, StoreError> {
        let doing = "counting meters and findings";
        let mut counts = EnergyCounts::default();
        for (sql, into) in [
            ("SELECT COUNT(*) FROM meters", &mut counts.meters),
            ("SELECT COUNT(*) FROM energy_days WHERE counted = 1", &mut counts.days),
            ("SELECT COUNT(*) FROM energy_days WHERE counted = 1 AND known = 0", &mut counts.unknown_days),
        ] {
            let row = sqlx::query(sql).fetch_one(&self.pool).await.doing(doing)?;
            *into = number(&row, 0).doing(doing)?;
        }
        let rows = sqlx::query("SELECT severity, COUNT(*) FROM findings GROUP BY severity")
            .fetch_all(&self.pool)
            .await
            .doing(doing)?;
        for row in &rows {
            let severity: String = row.try_get(0).doing(doing)?;
            counts.findings.add(&severity, number(row, 1).doing(doing)?);
        }
        Ok(counts)
    }
}
