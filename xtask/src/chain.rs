//! The development chain: anvil, and what only a development chain can do.
use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU16, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use alloy::{
    network::TransactionBuilder,
    primitives::{Address, Bytes, U256},
    providers::{DynProvider, Provider, ProviderBuilder, ext::AnvilApi},
    rpc::types::{Filter, TransactionRequest},
    sol_types::{SolCall, SolEvent},
};
use eyre::{WrapErr, bail};
use sunwork_protocol::abi::SunToken;
use tokio::time::sleep;
use url::Url;

use crate::{accounts, foundry, process::Process};

/// Chain id of every development network.
pub const CHAIN_ID: u64 = 31337;
const START_LIMIT: Duration = Duration::from_secs(20);
const STOP_GRACE: Duration = Duration::from_secs(5);
const RECEIPT_LIMIT: Duration = Duration::from_secs(30);
/// Plenty for a worker that only pays for gas.
const POCKET_MONEY_WEI: u128 = 1_000_000_000_000_000_000_000;

/// A running anvil.
#[derive(Debug)]
pub struct Chain {
    /// The process.
    pub process: Process,
    url: Url,
    provider: DynProvider,
    dir: PathBuf,
    port: u16,
    /// Where it keeps its state, and how often it writes it.
    state: Option<(PathBuf, u64)>,
    block_secs: AtomicU64,
}

impl Chain {
    /// Starts anvil on `port`, mining each transaction at once.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(port: u16, dir: &Path) -> eyre::Result<Self> {
        Self::start_with(port, dir, None).await
    }

    /// The same; with `state_secs` it writes its state to a file every so many seconds, from which [`Self::start_again`] goes on.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_with(port: u16, dir: &Path, state_secs: Option<u64>) -> eyre::Result<Self> {
        // The HTTP client is built without a TLS provider of its own. An error means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let state = state_secs.map(|secs| (dir.join("anvil-state.json"), secs));
        let process = spawn(port, dir, state.as_ref(), None).await?;
        let url: Url = format!("http://127.0.0.1:{port}").parse().wrap_err("the chain's address")?;
        let provider = ProviderBuilder::new().connect_http(url.clone()).erased();
        let (dir, block_secs) = (dir.to_owned(), AtomicU64::new(0));
        let mut chain = Self { process, url, provider, dir, port, state, block_secs };
        chain.wait_until_up().await?;
        Ok(chain)
    }

    async fn wait_until_up(&mut self) -> eyre::Result<()> {
        let until = Instant::now() + START_LIMIT;
        loop {
            if matches!(self.provider.get_chain_id().await, Ok(CHAIN_ID)) {
                // Another program's node on the same port would answer too, while ours dies of the taken port.
                sleep(Duration::from_millis(50)).await;
                return self.process.expect_alive();
            }
            self.process.expect_alive()?;
            if Instant::now() > until {
                bail!("anvil did not answer at {} within {} s", self.url, START_LIMIT.as_secs());
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Where its state is written to, if it is.
    pub fn state_file(&self) -> Option<&Path> {
        self.state.as_ref().map(|(path, _)| path.as_path())
    }

    /// Starts it anew on its state file, after it was killed: what was mined since the file was written is gone, as by a
    /// reorganisation, and what waited in its pool is forgotten.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_again(&mut self) -> eyre::Result<()> {
        let block_secs = Some(self.block_secs.load(Ordering::Relaxed)).filter(|secs| *secs > 0);
        self.process = spawn(self.port, &self.dir, self.state.as_ref(), block_secs).await?;
        self.wait_until_up().await
    }

    /// Its JSON-RPC address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A connection to it.
    pub fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// From now on a block every `seconds`, whether there are transactions or not.
    ///
    /// # Errors
    /// When anvil refuses.
    pub async fn mine_every(&self, seconds: u64) -> eyre::Result<()> {
        self.provider.anvil_set_interval_mining(seconds).await.wrap_err("setting the block time")?;
        self.block_secs.store(seconds, Ordering::Relaxed);
        Ok(())
    }

    /// Ether for gas.
    ///
    /// # Errors
    /// When anvil refuses.
    pub async fn fund(&self, account: Address) -> eyre::Result<()> {
        let amount = U256::from(POCKET_MONEY_WEI);
        self.provider.anvil_set_balance(account, amount).await.wrap_err_with(|| format!("funding {account}"))
    }

    /// Sends from a development account, which anvil signs for, and waits for the receipt.
    ///
    /// # Errors
    /// When it reverts or is not mined.
    pub async fn send(&self, from: Address, to: Address, call: impl SolCall) -> eyre::Result<()> {
        let request =
            TransactionRequest::default().with_from(from).with_to(to).with_input(Bytes::from(call.abi_encode()));
        let sent = self.provider.send_transaction(request).await.wrap_err("sending a transaction")?;
        let receipt = sent
            .with_timeout(Some(RECEIPT_LIMIT))
            .get_receipt()
            .await
            .wrap_err("waiting for a transaction's receipt")?;
        if !receipt.status() {
            bail!("transaction {} to {to} reverted", receipt.transaction_hash);
        }
        Ok(())
    }

    /// The tokens of everybody who was ever in a transfer, added up, in the smallest unit.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn token_total(&self, token: Address) -> eyre::Result<u128> {
        let filter = Filter::new().address(token).event_signature(SunToken::Transfer::SIGNATURE_HASH).from_block(0);
        let logs = self.provider.get_logs(&filter).await.wrap_err("reading the token's transfers")?;
        let mut holders = BTreeSet::new();
        for log in &logs {
            let transfer = SunToken::Transfer::decode_log(&log.inner).wrap_err("reading a transfer")?;
            holders.extend([transfer.from, transfer.to]);
        }
        let mut total = U256::ZERO;
        for holder in holders {
            total += self.token_balance(token, holder).await?;
        }
        u128::try_from(total).wrap_err("adding up the token's balances")
    }

    /// Tokens of `account`, smallest unit.
    ///
    /// # Errors
    /// When the chain cannot be read.
    pub async fn token_balance(&self, token: Address, account: Address) -> eyre::Result<U256> {
        SunToken::new(token, &self.provider)
            .balanceOf(account)
            .call()
            .await
            .wrap_err_with(|| format!("reading the token balance of {account}"))
    }
}

async fn spawn(
    port: u16,
    dir: &Path,
    state: Option<&(PathBuf, u64)>,
    block_secs: Option<u64>,
) -> eyre::Result<Process> {
    let mut command = Command::new(foundry::tool("anvil").await?);
    command
        .args(["--quiet", "--host", "127.0.0.1", "--order", "fifo"])
        .args(["--port", &port.to_string()])
        .args(["--chain-id", &CHAIN_ID.to_string()])
        .args(["--accounts", &accounts::ALL.len().to_string()])
        .current_dir(dir);
    if let Some((path, secs)) = state {
        command.arg("--state").arg(path).args(["--state-interval", &secs.to_string()]);
    }
    if let Some(secs) = block_secs {
        command.args(["--block-time", &secs.to_string()]);
    }
    Process::spawn("anvil", command, &dir.join("anvil.log"), STOP_GRACE)
}

/// Below the ports that the system gives to outgoing connections: none of those takes a server's port while it is down.
const FIRST_PORT: u16 = 20_000;
const PORTS: u16 = 12_000;
/// Each process looks in a range of its own first, so that networks that start at the same time do not meet.
const PORTS_OF_A_PROCESS: u16 = 50;

/// A port of the loopback that is free now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> eyre::Result<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let ranges = u32::from(PORTS / PORTS_OF_A_PROCESS);
    let own = (std::process::id() % ranges) as u16 * PORTS_OF_A_PROCESS;
    for _ in 0..PORTS {
        let port = FIRST_PORT + own.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("all ports of the loopback from {FIRST_PORT} to {} are taken", FIRST_PORT + PORTS - 1)
}

/// `wanted` if it is free, else any that is.
///
/// # Errors
/// When there is none.
pub fn port_or_free(wanted: u16) -> eyre::Result<u16> {
    match TcpListener::bind(("127.0.0.1", wanted)) {
        // 0 is "any": the listener had another one.
        Ok(_) if wanted != 0 => Ok(wanted),
        _ => free_port(),
    }
}
