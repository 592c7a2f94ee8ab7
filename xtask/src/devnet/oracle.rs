//! The network's oracle.
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use eyre::{WrapErr, bail};
use sunwork_edge::keystore;
use tokio::time::sleep;
use url::Url;

use super::Options;
use crate::{
    accounts, binaries,
    chain::{Chain, free_port, port_or_free},
    process::Process,
};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_GRACE: Duration = Duration::from_secs(10);
const PASSWORD: &str = "keeper of a development network";

/// The oracle's process.
#[derive(Debug)]
pub struct OracleNode {
    /// The process.
    pub process: Process,
    url: Url,
}

impl OracleNode {
    pub(super) async fn start(options: &Options, chain: &Chain, deployment: &Path, dir: &Path) -> eyre::Result<Self> {
        let home = dir.join("oracle");
        fs::create_dir_all(&home).wrap_err_with(|| format!("making {}", home.display()))?;
        let password_file = home.join("password");
        fs::write(&password_file, PASSWORD).wrap_err("writing the keeper's password")?;
        let signer = accounts::KEEPER.signer()?;
        let keys = home.join("keys");
        let keystore = tokio::task::spawn_blocking(move || keystore::store(keys, &signer, PASSWORD))
            .await
            .wrap_err("writing the keeper's keystore")??;

        let port = options.oracle_port.map_or_else(free_port, port_or_free)?;
        let url: Url = format!("http://127.0.0.1:{port}").parse().wrap_err("the oracle's address")?;
        let mut command = Command::new(binaries::path("sunwork-oracle")?);
        command
            .arg("run")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(["--rpc", chain.url().as_str(), "--poll-ms", "250"])
            .args(["--data-dir".as_ref(), home.as_os_str()])
            .args(["--deployment".as_ref(), deployment.as_os_str()])
            .args(["--keystore".as_ref(), keystore.as_os_str()])
            .args(["--password-file".as_ref(), password_file.as_os_str()])
            .envs(options.oracle_env.iter().map(|(name, value)| (name, value)))
            .current_dir(&home);
        let process = Process::spawn("the oracle", command, &dir.join("oracle.log"), STOP_GRACE)?;
        let mut node = Self { process, url };
        node.wait_until_up().await?;
        Ok(node)
    }

    /// Its HTTP address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    async fn wait_until_up(&mut self) -> eyre::Result<()> {
        let health = self.url.join("v1/health").wrap_err("the oracle's address")?;
        let until = Instant::now() + START_LIMIT;
        loop {
            self.process.expect_alive()?;
            // Plain HTTP, written by hand: the HTTP client needs a TLS provider, which lives in another crate.
            if healthy(&health).await {
                return Ok(());
            }
            if Instant::now() > until {
                bail!(
                    "the oracle did not answer at {health} within {} s:\n{}",
                    START_LIMIT.as_secs(),
                    self.process.last_lines()
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Does a GET answer with 200?
async fn healthy(url: &Url) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (Some(host), Some(port)) = (url.host_str(), url.port()) else { return false };
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect((host, port)).await.ok()?;
        let request = format!("GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", url.path());
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.ok()?;
        Some(status)
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Some(status)) if &status[9..] == b"200")
}
