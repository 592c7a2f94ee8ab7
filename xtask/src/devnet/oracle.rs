//! The network's oracle.
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
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
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    home: PathBuf,
    log: PathBuf,
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
        let rpc = options.rpc_url.as_ref().unwrap_or(chain.url());
        let mut args: Vec<OsString> = vec!["run".into(), "--listen".into(), format!("127.0.0.1:{port}").into()];
        args.extend(["--rpc", rpc.as_str(), "--poll-ms", "250"].map(OsString::from));
        for (flag, path) in [
            ("--data-dir", home.as_path()),
            ("--deployment", deployment),
            ("--keystore", keystore.as_path()),
            ("--password-file", password_file.as_path()),
        ] {
            args.extend([flag.into(), path.as_os_str().to_owned()]);
        }
        let (env, log) = (options.oracle_env.clone(), dir.join("oracle.log"));
        let process = spawn(&args, &env, &home, &log)?;
        let mut node = Self { process, url, args, env, home, log };
        node.wait_until_up().await?;
        Ok(node)
    }

    /// Starts it anew on its data, after it was killed. Does not wait until it answers.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_again(&mut self) -> eyre::Result<()> {
        self.process = spawn(&self.args, &self.env, &self.home, &self.log)?;
        Ok(())
    }

    /// Its HTTP address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// When it does not, or has ended.
    pub async fn wait_until_up(&mut self) -> eyre::Result<()> {
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

fn spawn(args: &[OsString], env: &[(String, String)], home: &Path, log: &Path) -> eyre::Result<Process> {
    let mut command = Command::new(binaries::path("sunwork-oracle")?);
    command.args(args).envs(env.iter().map(|(name, value)| (name, value))).current_dir(home);
    Process::spawn("the oracle", command, log, STOP_GRACE)
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
