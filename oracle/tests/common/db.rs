//! Databases for tests: SQLite always, PostgreSQL where there is one.
use std::{
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{AnyPool, Connection as _, Row as _, any::install_default_drivers};
use sunwork_oracle::store::Store;
use tempfile::TempDir;

/// User and group that a PostgreSQL of root's runs as: it refuses to be root.
const NOBODY: u32 = 65534;

/// The whole content that follows from the chain, as text.
pub async fn dump(url: &str) -> String {
    install_default_drivers();
    let pool = AnyPool::connect(url).await.unwrap();
    let tables = [
        ("blocks", "SELECT number, hash, parent, time FROM blocks ORDER BY number"),
        (
            "events",
            "SELECT block, log_index, time, block_hash, tx, address, agreement, worker, client, meter, event FROM events \
             ORDER BY block, log_index",
        ),
        (
            "agreements",
            "SELECT status, deadline, bought_block, bought_log, address, client, worker, view FROM agreements \
             ORDER BY address",
        ),
        ("clients", "SELECT address, view FROM clients ORDER BY address"),
        ("meters", "SELECT latitude, registered_block, registered_log, worker, view FROM meters ORDER BY worker"),
        (
            "energy_days",
            "SELECT block, log_index, day, sequence, counted, known, production_wh, nameplate_watts, clear_wh, worker, site, \
             link, view FROM energy_days ORDER BY block, log_index",
        ),
        (
            "findings",
            "SELECT block, spot, first_day, last_day, id, worker, rule, severity, view FROM findings WHERE anchored = 1 \
             ORDER BY block, spot",
        ),
        (
            "certificate_moves",
            "SELECT block, log_index, position, watt_hours, kind, worker, sender, receiver, agreement, view \
             FROM certificate_moves ORDER BY block, log_index, position",
        ),
        ("workers", "SELECT registered_block, registered_log, address, view FROM workers ORDER BY address"),
    ];
    let mut text = String::new();
    for (table, sql) in tables {
        for row in sqlx::query(sql).fetch_all(&pool).await.unwrap() {
            text += table;
            for column in 0..row.len() {
                let number = row.try_get::<i64, _>(column).map(|number| number.to_string());
                text += " ";
                text += &number.unwrap_or_else(|_| row.get::<String, _>(column));
            }
            text += "\n";
        }
    }
    pool.close().await;
    text
}

pub async fn open(url: &str) -> Store {
    Store::open(url).await.unwrap()
}

/// A fresh SQLite database.
pub fn sqlite(dir: &TempDir, name: &str) -> String {
    Store::sqlite_url(&dir.path().join(name)).unwrap()
}

/// A PostgreSQL server: the one of the environment, or one of our own.
pub struct Postgres {
    url: String,
    own: Option<(Child, TempDir)>,
}

impl Postgres {
    /// `None`, with a word on standard error, where there is none.
    pub async fn find() -> Option<Self> {
        if let Ok(url) = std::env::var("SUNWORK_TEST_POSTGRES") {
            return Some(Self { url: url.trim_end_matches('/').to_owned(), own: None });
        }
        let Some(bin) = binaries() else {
            eprintln!("no PostgreSQL on this machine and SUNWORK_TEST_POSTGRES is not set: ran on SQLite only");
            return None;
        };
        Some(Self::start(bin).await)
    }

    async fn start(bin: PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let is_root =
            std::fs::metadata("/proc/self").map(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0).unwrap();
        if is_root {
            chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let command = |name: &str| {
            let mut command = Command::new(bin.join(name));
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command.current_dir(dir.path()).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
            command
        };
        let made = command("initdb")
            .args(["-U", "postgres", "--auth=trust", "-N", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .status();
        assert!(made.unwrap().success(), "initdb of {} failed", bin.display());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = command("postgres")
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
                "-F",
                "-p",
                &port.to_string(),
                "-D",
            ])
            .arg(&data)
            .spawn()
            .unwrap();
        let server = Self { url: format!("postgres://postgres@127.0.0.1:{port}"), own: Some((child, dir)) };
        let give_up_at = Instant::now() + Duration::from_secs(30);
        install_default_drivers();
        while sqlx::AnyConnection::connect(&format!("{}/postgres", server.url)).await.is_err() {
            assert!(Instant::now() < give_up_at, "PostgreSQL does not come up");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server
    }

    /// A fresh database.
    pub async fn database(&self, name: &str) -> String {
        let name = format!("sunwork_{}_{name}", std::process::id());
        let mut admin = sqlx::AnyConnection::connect(&format!("{}/postgres", self.url)).await.unwrap();
        for sql in [format!("DROP DATABASE IF EXISTS {name}"), format!("CREATE DATABASE {name}")] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
        }
        format!("{}/{name}", self.url)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.own {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    bins.filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).max()
}
