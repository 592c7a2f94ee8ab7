//! What the end-to-end tests share: images, jobs, waiting for an end, and the questions about money asked after it.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use alloy::primitives::{Address, U256};
use eyre::{WrapErr, bail, ensure, eyre};
use sunwork_client::{
    Client,
    app_logs::AttemptLogs,
    buy::{Agreement, Payment},
    job::{JobBuilder, Resources, Windows},
    keying::KeyKeeper,
};
use sunwork_protocol::{
    abi::IComputeAgreement::AgreementView,
    status::{Ending, Status},
};
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::sleep,
};
use xtask::{
    accounts,
    apps::{self, Image},
    devnet::{Devnet, Options, SUN},
};

static ONE_AT_A_TIME: LazyLock<Arc<Mutex<()>>> = LazyLock::new(Arc::default);

/// The right to use the machine.
pub async fn turn() -> OwnedMutexGuard<()> {
    ONE_AT_A_TIME.clone().lock_owned().await
}

/// A network, an image, and the right to use the machine.
pub struct Net {
    pub devnet: Devnet,
    pub client: Client,
    pub files: TempDir,
    /// Hand out the session keys of what was bought, as `sunwork run` does while it is there.
    keyed: std::sync::Mutex<Vec<KeyKeeper>>,
    _turn: OwnedMutexGuard<()>,
}

impl Net {
    pub async fn start(options: Options) -> eyre::Result<Self> {
        let turn = turn().await;
        let devnet = Devnet::start(options).await.wrap_err("starting the network")?;
        let client = devnet.client(accounts::CLIENT).await?;
        Ok(Self { devnet, client, files: tempfile::tempdir()?, keyed: std::sync::Mutex::default(), _turn: turn })
    }

    pub async fn image(&self, app: &str) -> eyre::Result<Image> {
        apps::image(&apps::build(app).await?, self.files.path())
    }

    /// Buys what `job` says, by one transaction, and hands out its key from then on.
    pub async fn buy(&self, job: JobBuilder) -> eyre::Result<Agreement> {
        let plan = self.client.prepare(&job.build()?).await?;
        let bought = self.client.buy(&plan, Payment::ApproveAndCall).await?;
        self.keyed.lock().expect("nobody panics with it").push(self.client.keep_keyed(bought.address));
        Ok(bought)
    }

    /// What the app printed; the worker sends it a moment after its reveal.
    pub async fn app_logs(&self, agreement: Address) -> eyre::Result<Vec<AttemptLogs>> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            match self.client.app_logs(agreement).await {
                Ok(logs) => return Ok(logs),
                Err(error) if Instant::now() > until => bail!("{error}\n{}", self.logs()),
                Err(_) => sleep(Duration::from_millis(250)).await,
            }
        }
    }

    pub async fn view(&self, agreement: Address) -> eyre::Result<AgreementView> {
        Ok(self.client.compute(agreement).agreement().call().await?)
    }

    pub async fn status(&self, agreement: Address) -> eyre::Result<Status> {
        Status::from_u8(self.view(agreement).await?.status as u8).ok_or_else(|| eyre!("unknown status"))
    }

    /// Calls `each` four times a second until the agreement is over.
    pub async fn until_over(
        &mut self,
        agreement: Address,
        limit: Duration,
        mut each: impl FnMut(&mut Devnet, Status) -> eyre::Result<()>,
    ) -> eyre::Result<Ending> {
        let until = Instant::now() + limit;
        loop {
            let view = self.view(agreement).await?;
            let status = Status::from_u8(view.status as u8).ok_or_else(|| eyre!("unknown status"))?;
            each(&mut self.devnet, status)?;
            if status.is_final() {
                return Ending::from_u8(view.ending as u8).ok_or_else(|| eyre!("unknown ending"));
            }
            ensure!(
                Instant::now() < until,
                "the agreement is still {status} after {} s: {view:?}\n{}",
                limit.as_secs(),
                self.logs()
            );
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Last lines of every worker's log.
    pub fn logs(&self) -> String {
        let tail = |path: &std::path::Path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(12).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        self.devnet.workers.iter().map(|w| format!("--- {}\n{}\n", w.name, tail(w.log()))).collect()
    }

    /// Nothing of anybody's stake is locked, and nobody but `losers` has less than it staked.
    pub async fn expect_stakes_whole(&self, losers: &[Address]) -> eyre::Result<()> {
        for worker in &self.devnet.workers {
            let info = self.client.dispatcher().workerInfo(worker.owner).call().await?;
            ensure!(info.locked.is_zero(), "{} still has {} locked", worker.name, info.locked);
            let device = self.client.dispatcher().deviceInfo(worker.device).call().await?;
            ensure!(device.locked.is_zero(), "{}'s device still has {} locked", worker.name, device.locked);
            let staked = 2500 * SUN;
            let bonded: u128 = info.bonded.to();
            let lost = losers.contains(&worker.owner);
            ensure!(
                lost == (bonded < staked),
                "{} has {bonded} of {staked} staked; should it have lost? {lost}",
                worker.name
            );
        }
        Ok(())
    }

    /// The agreement's money adds up, its escrow is empty, and each step took effect once.
    pub async fn expect_settled_once(&self, agreement: Address) -> eyre::Result<()> {
        let settlement = self.client.settlement(agreement).await?;
        ensure!(settlement.adds_up(), "money does not add up: {settlement:?}");
        let escrow = self.client.dispatcher().escrowOf(agreement).call().await?;
        ensure!(escrow.balance.is_zero(), "{} is left in escrow", escrow.balance);
        // The worker opens its seal alone or together with the verifiers'.
        for names in [&["accept"][..], &["sealResult"], &["reveal", "settleAll"]] {
            let done = settlement.transactions.iter().filter(|tx| tx.ok && names.contains(&tx.name.as_str())).count();
            ensure!(done == 1, "{names:?} took effect {done} times: {:#?}", settlement.transactions);
        }
        // A claim opens the draw, too, where another agreement had its round recorded.
        let opened = settlement.transactions.iter().filter(|tx| tx.ok && tx.name == "openDraw").count();
        ensure!(opened <= 1, "openDraw took effect {opened} times: {:#?}", settlement.transactions);
        Ok(())
    }

    /// Tokens of everybody add up to the supply.
    pub async fn expect_supply_unchanged(&self) -> eyre::Result<()> {
        let token = self.devnet.deployment.token;
        let total = self.devnet.chain.token_total(token).await?;
        ensure!(total == 87_000_000 * SUN, "all balances add up to {total}");
        let supply = self.client.token().totalSupply().call().await?;
        ensure!(supply == U256::from(total), "the supply is {supply}, all balances are {total}");
        Ok(())
    }
}

/// A small bag of the example app: tiles of a 64 x 36 picture.
pub fn small_bag(image: &Image) -> JobBuilder {
    JobBuilder::new(image.archive.display().to_string())
        .args(["--width", "64", "--height", "36", "--samples", "2"])
        .leaves(4)
        .verifiers(2)
        .samples(2)
        .reward(100 * SUN, 100 * SUN)
        .verifier_fee(5 * SUN)
        .trust(8)
        .resources(Resources { memory_mib: 64, disk_mib: 16, leaf_secs: 30, output_mib: 8, ..Resources::default() })
        .windows(Windows { accept_secs: 60, work_secs: Some(60), verify_secs: Some(60), dispute_secs: None })
}

/// A one-leaf job of the hostile app in one of its moods.
pub fn hostile(image: &Image, mood: &[&str]) -> JobBuilder {
    small_bag(image).args(mood.iter().copied()).leaves(1).samples(1)
}

pub fn expect(ending: Ending, wanted: Ending) -> eyre::Result<()> {
    if ending != wanted {
        bail!("ended as {ending}, expected {wanted}");
    }
    Ok(())
}
