//! `kill -9` of workers, oracle, container engine and chain at random moments, with several agreements under way.
//!
//! The seed is printed; `SUNWORK_SEED` replays the order of kills (not the machine's timing). The engine is one that the test starts
//! itself. Anvil goes on from its state file, which it writes every few seconds: a kill loses the blocks since then and all that
//! waited, so that it is a reorganisation of a few blocks with and without everybody's transactions. A purchase may be among
//! them: it never was, then, and nothing is owed for it.
//!
//! After it all: every agreement that is on the chain has ended, for a reason; nothing took effect twice; money adds up; nobody lost
//! stake; finished results are delivered; no process ended by itself; no transaction is left over.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use alloy::{primitives::Address, providers::Provider as _};
use eyre::{WrapErr, bail, ensure};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sunwork_protocol::status::{Ending, Status};
use tokio::time::{Instant, sleep};
use xtask::{apps::Image, devnet::Options};

use crate::support::{Net, small_bag};

mod engine;

use engine::Engine;

/// Agreements under way at a time.
const AT_ONCE: usize = 3;
/// Seconds between two writes of the chain's state.
const STATE_SECS: u64 = 2;
/// What was bought last must be over by then.
const END_LIMIT: Duration = Duration::from_secs(150);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Worker,
    Oracle,
    Engine,
    Chain,
}

struct Chaos {
    net: Net,
    engine: Engine,
    image: Image,
    rng: StdRng,
    open: Vec<Address>,
    ended: BTreeMap<Address, Ending>,
    kills: BTreeMap<Victim, u32>,
    /// Purchases that a kill of the chain took back.
    vanished: u32,
    /// Blocks that kills of the chain took back.
    lost_blocks: Vec<u64>,
    good_state: PathBuf,
    bought: u32,
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_moments_lose_nothing_and_do_nothing_twice() -> eyre::Result<()> {
    run(20, Duration::from_secs(60)).await
}

/// As above, for hundreds of kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn hundreds_of_kills_at_random_moments_lose_nothing() -> eyre::Result<()> {
    run(300, Duration::from_secs(1200)).await
}

fn seed() -> u64 {
    let given = std::env::var("SUNWORK_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_millis() as u64))
}

async fn run(kills: u32, limit: Duration) -> eyre::Result<()> {
    let seed = seed();
    println!("seed {seed}: SUNWORK_SEED={seed} replays it");
    if !rustix::process::geteuid().is_root() {
        println!("not root: no engine of our own can be started and killed; nothing is tried");
        return Ok(());
    }
    let turn = Chaos::start(seed).await;
    let mut chaos = turn?;
    let result = chaos.play(kills, limit).await;
    println!(
        "seed {seed}: kills {:?}, {} agreements bought, {} taken back with their blocks, blocks lost {:?}",
        chaos.kills, chaos.bought, chaos.vanished, chaos.lost_blocks
    );
    match result {
        Ok(()) => chaos.net.devnet.stop().await,
        Err(error) => {
            let logs = chaos.net.logs();
            chaos.net.devnet.keep_folder();
            Err(error.wrap_err(format!("seed {seed}\n{logs}")))
        }
    }
}

impl Chaos {
    async fn start(seed: u64) -> eyre::Result<Self> {
        let engine = Engine::start().await?;
        let mut options = Options::for_tests()?.worker_env("SUNWORK_WORKER_DOCKER_HOST", &engine.host());
        options.state_secs = Some(STATE_SECS);
        let net = Net::start(options).await?;
        let image = net.image("raytrace").await?;
        let good_state = net.files.path().join("anvil-state.good");
        let rng = StdRng::seed_from_u64(seed);
        let (open, ended, kills) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let lost_blocks = Vec::new();
        Ok(Self { net, engine, image, rng, open, ended, kills, vanished: 0, lost_blocks, good_state, bought: 0 })
    }

    async fn play(&mut self, kills: u32, limit: Duration) -> eyre::Result<()> {
        // A state file must be there before the first kill of the chain.
        sleep(Duration::from_secs(STATE_SECS + 1)).await;
        let until = Instant::now() + limit;
        let mut done = 0;
        while done < kills && Instant::now() < until {
            self.look().await?;
            while self.open.len() < AT_ONCE {
                self.buy().await?;
            }
            sleep(Duration::from_millis(self.rng.random_range(500..1800))).await;
            let victim = match self.rng.random_range(0..100) {
                0..50 => Victim::Worker,
                50..70 => Victim::Oracle,
                70..85 => Victim::Engine,
                _ => Victim::Chain,
            };
            let down = Duration::from_millis(self.rng.random_range(0..600));
            self.kill(victim, down).await.wrap_err_with(|| format!("kill {done}, of {victim:?}"))?;
            *self.kills.entry(victim).or_default() += 1;
            done += 1;
        }
        ensure!(done * 2 >= kills, "only {done} of {kills} kills fitted into {} s", limit.as_secs());
        self.engine.wait_until_up().await?;
        self.net.devnet.oracle.wait_until_up().await?;
        let until = Instant::now() + END_LIMIT;
        while !self.open.is_empty() {
            self.look().await?;
            if Instant::now() > until {
                let mut open = Vec::new();
                for agreement in &self.open {
                    open.push(format!("{:?}", self.net.view(*agreement).await?));
                }
                bail!("still open after {} s: {open:#?}", END_LIMIT.as_secs());
            }
            sleep(Duration::from_millis(250)).await;
        }
        self.judge().await
    }

    /// No purchase fails for good: a node or an oracle that is just coming up is asked again.
    async fn buy(&mut self) -> eyre::Result<()> {
        let public = self.rng.random_bool(0.5);
        let mut tries = 0;
        loop {
            tries += 1;
            match self.net.buy(small_bag(&self.image).public(public)).await {
                Ok(bought) => {
                    self.open.retain(|open| *open != bought.address);
                    self.open.push(bought.address);
                    self.bought += 1;
                    return Ok(());
                }
                Err(error) if tries < 10 => {
                    println!("buying again: {error:#}");
                    sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return Err(error.wrap_err("buying")),
            }
        }
    }

    /// Notes what has ended, and what was never bought after all.
    async fn look(&mut self) -> eyre::Result<()> {
        self.net.devnet.expect_alive()?;
        self.engine.keep_up()?;
        for agreement in self.open.clone() {
            let code = self.net.devnet.chain.provider().get_code_at(agreement).await?;
            if code.is_empty() {
                self.vanished += 1;
                self.open.retain(|open| *open != agreement);
                continue;
            }
            let view = self.net.view(agreement).await?;
            if Status::from_u8(view.status as u8).is_some_and(Status::is_final) {
                let Some(ending) = Ending::from_u8(view.ending as u8) else { bail!("unknown ending {view:?}") };
                self.ended.insert(agreement, ending);
                self.open.retain(|open| *open != agreement);
            }
        }
        Ok(())
    }

    async fn kill(&mut self, victim: Victim, down: Duration) -> eyre::Result<()> {
        match victim {
            Victim::Worker => {
                let index = self.rng.random_range(0..self.net.devnet.workers.len());
                self.net.devnet.workers[index].kill();
                sleep(down).await;
                self.net.devnet.workers[index].start(&[])
            }
            Victim::Oracle => {
                let oracle = &mut self.net.devnet.oracle;
                oracle.process.kill();
                sleep(down).await;
                oracle.start_again()
            }
            Victim::Engine => {
                self.engine.kill().await;
                sleep(down).await;
                self.engine.keep_up()
            }
            Victim::Chain => {
                let chain = &mut self.net.devnet.chain;
                let before = chain.provider().get_block_number().await?;
                chain.process.kill();
                sleep(down).await;
                // A kill may tear the file, which anvil does not write in one go; then the last whole one is taken.
                let file = chain.state_file().map(ToOwned::to_owned).unwrap_or_default();
                let text = std::fs::read(&file).wrap_err("reading the chain's state")?;
                if serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok() {
                    std::fs::write(&self.good_state, text)?;
                } else {
                    println!("the chain's state file is torn; going on from the one before");
                    std::fs::copy(&self.good_state, &file).wrap_err("taking the chain's state before")?;
                }
                chain.start_again().await?;
                let after = chain.provider().get_block_number().await?;
                self.lost_blocks.push(before.saturating_sub(after));
                // What had ended may be open again.
                self.open.extend(std::mem::take(&mut self.ended).into_keys());
                Ok(())
            }
        }
    }

    async fn judge(&mut self) -> eyre::Result<()> {
        ensure!(!self.ended.is_empty(), "no agreement is left to judge");
        let mut endings: BTreeMap<String, u32> = BTreeMap::new();
        for (&agreement, &ending) in &self.ended {
            *endings.entry(ending.to_string()).or_default() += 1;
            let view = self.net.view(agreement).await?;
            let settlement = self.net.client.settlement(agreement).await?;
            ensure!(settlement.adds_up(), "money does not add up: {settlement:?}");
            let escrow = self.net.client.dispatcher().escrowOf(agreement).call().await?;
            ensure!(escrow.balance.is_zero(), "{agreement}: {} is left in escrow", escrow.balance);
            let attempts = usize::from(view.attempt) + 1;
            let count = |names: &[&str]| {
                settlement.transactions.iter().filter(|tx| tx.ok && names.contains(&tx.name.as_str())).count()
            };
            for (names, most) in
                [(&["accept"][..], attempts), (&["sealResult"], attempts), (&["reveal", "settleAll"], 1)]
            {
                let done = count(names);
                ensure!(
                    done <= most,
                    "{names:?} took effect {done} times in {attempts} attempts: {:#?}",
                    settlement.transactions
                );
            }
            ensure!(ending != Ending::None, "{agreement} ended without a reason");
            if ending == Ending::Verified {
                let results =
                    self.net.client.results(agreement, &self.net.files.path().join(agreement.to_string())).await?;
                ensure!(results.failed().count() == 0, "{agreement}: leaves failed");
            }
        }
        println!("endings {endings:?}");
        // Anvil that goes on from a state file answers BLOCKHASH of earlier blocks with an invented hash (measured: of block 5 it is
        // keccak("5")). A round from before such a kill can be proven by nobody: the agreement ends without a beacon, refunded.
        let chain_killed = self.kills.contains_key(&Victim::Chain);
        let counts = |ending: &Ending| *ending == Ending::Verified || (chain_killed && *ending == Ending::NoBeacon);
        ensure!(self.ended.values().all(counts), "all had time enough, and not all are verified: {endings:?}");
        ensure!(self.ended.values().any(|ending| *ending == Ending::Verified), "none is verified: {endings:?}");
        self.net.expect_supply_unchanged().await?;
        self.net.expect_stakes_whole(&[]).await?;
        self.expect_nothing_left_over().await
    }

    /// Every transaction of every worker is decided, within the time of a look after them.
    async fn expect_nothing_left_over(&mut self) -> eyre::Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let mut left = Vec::new();
            for worker in &self.net.devnet.workers {
                let status: serde_json::Value =
                    serde_json::from_str(&worker.once(&["--output", "json", "status"]).await?)?;
                let txs = status["transactions"].as_array().cloned().unwrap_or_default();
                let own = status["agreements"].as_array().cloned().unwrap_or_default();
                if !txs.is_empty() {
                    left.push(format!("{}: {txs:?} {own:?}", worker.name));
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < until, "transactions are left over: {left:#?}");
            sleep(Duration::from_millis(500)).await;
        }
    }
}
