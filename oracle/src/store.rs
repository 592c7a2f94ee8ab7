//! The SQL store: what was read from the chain, what follows from it, and mail.
//!
//! One dialect serves SQLite (the default, embedded) and PostgreSQL. A chain batch is one transaction: blocks, events and the
//! rows folded from them change together or not at all, so a crash between any two steps leaves a state that is true.
mod chain;
mod energy;
mod energy_query;
mod key_posts;
mod mail;
mod page;
mod query;

use std::{path::Path, time::Duration};

use sqlx::{
    AnyPool, Row as _,
    any::{AnyPoolOptions, install_default_drivers},
};
use sunwork_edge::Deployment;
use tokio::sync::{Mutex, MutexGuard};

pub use chain::Batch;
pub use energy::{Offered, ReadRecord};
pub use energy_query::{CertificateFilter, EnergyCounts, FindingFilter, FindingTotals, PlacedFinding};
pub use mail::{MailFilter, MailTotals, NewMail, PutMail, StoredMail};
pub use page::{Cursor, CursorError};
pub use query::{AgreementFilter, PlacedJson};

/// Enough for the API, the index and the keeper together; SQLite's writers are serialised by [`Store::write`] anyway.
const MAX_CONNECTIONS: u32 = 8;
/// A database that does not answer for so long counts as down.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database said no.
    #[error("{doing}: {source}")]
    Database {
        /// What was being done.
        doing: &'static str,
        /// Its words.
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("bringing the database schema up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The database holds the index of another deployment.
    #[error(
        "the database is about another deployment: {field} found {found}, expected {expected}; \
         name another database or data folder, or delete this one (the index can be rebuilt from the chain; its mail is lost)"
    )]
    OtherDeployment {
        /// Which fact differs.
        field: &'static str,
        /// In the database.
        found: String,
        /// In the deployment file.
        expected: String,
    },
    /// A row cannot be read: written by another version, or damaged.
    #[error(
        "a row of table {table} cannot be read ({reason}); delete the database to rebuild the index from the chain; its mail is lost"
    )]
    Corrupt {
        /// Its table.
        table: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// Adds what was being done to a database error.
trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Database { doing, source })
    }
}

/// The store. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Store {
    pool: AnyPool,
    /// SQLite has one writer; waiting here is fair and never ends in its "database is locked".
    writer: Mutex<()>,
}

impl Store {
    /// URL of an SQLite database file.
    pub fn sqlite_url(path: &Path) -> std::io::Result<String> {
        let path = std::path::absolute(path)?;
        let url = url::Url::from_file_path(&path)
            .map_err(|()| std::io::Error::other(format!("{} is not a path of a file", path.display())))?;
        Ok(format!("sqlite{}?mode=rwc", url.as_str().trim_start_matches("file")))
    }

    /// Connects and brings the schema up to date. `url` is `sqlite://…` or `postgres://…`.
    ///
    /// # Errors
    /// When the database cannot be reached or its schema is of a later version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        install_default_drivers();
        let is_sqlite = url.starts_with("sqlite:");
        let pool = AnyPoolOptions::new()
            .max_connections(MAX_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if is_sqlite {
                        // Readers go on while the index writes. FULL, since a power cut must not take mail that was
                        // promised to be kept; the index alone could be read from the chain again.
                        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
                        sqlx::raw_sql(pragmas).execute(connection).await?;
                    }
                    Ok(())
                })
            })
            .connect(url)
            .await
            .doing("connecting to the database")?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool, writer: Mutex::new(()) })
    }

    /// Makes sure that the database is about this deployment, or takes an empty one for it.
    ///
    /// # Errors
    /// When it is about another one.
    pub async fn belong_to(&self, deployment: &Deployment) -> Result<(), StoreError> {
        let facts = [
            ("chain id", deployment.chain_id.to_string()),
            ("dispatcher", deployment.dispatcher.to_string()),
            ("deployed block", deployment.deployed_block.to_string()),
        ];
        let _turn = self.write().await;
        for (name, expected) in facts {
            sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
                .bind(name)
                .bind(&expected)
                .execute(&self.pool)
                .await
                .doing("writing the deployment into the database")?;
            let found: String = sqlx::query("SELECT value FROM meta WHERE name = $1")
                .bind(name)
                .fetch_one(&self.pool)
                .await
                .and_then(|row| row.try_get(0))
                .doing("reading the deployment from the database")?;
            if found != expected {
                return Err(StoreError::OtherDeployment { field: name, found, expected });
            }
        }
        Ok(())
    }

    /// Ends all connections; to be called last.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn write(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().await
    }
}

/// An unsigned number as SQL holds it; none of ours (blocks, seconds, gas) reaches 2^63.
fn sql_int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn corrupt(table: &'static str, error: &impl ToString) -> StoreError {
    StoreError::Corrupt { table, reason: error.to_string() }
}

/// Reads an unsigned number.
fn number(row: &sqlx::any::AnyRow, column: usize) -> Result<u64, sqlx::Error> {
    row.try_get::<i64, _>(column).map(|n| u64::try_from(n).unwrap_or(0))
}
