//! Attested energy: a worker on simulated sun signs its days, and the ledger on anvil adds them up. The chain's clock runs as fast as
//! the simulated one: a block four times a second, each many minutes after the one before.

use std::{
    collections::BTreeSet,
    os::unix::process::ExitStatusExt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy::{
    primitives::Address,
    providers::{DynProvider, Provider, ext::AnvilApi},
    rpc::types::{Filter, anvil::MineOptions},
    sol_types::SolEvent,
};
use eyre::{OptionExt, WrapErr, bail, ensure, eyre};
use sunwork_client::job::{Resources, Windows};
use sunwork_energy::keeper::{Mode, Row};
use sunwork_protocol::{
    abi::IEnergyLedger,
    status::{Ending, Status},
};
use sunwork_worker::energy::store::Store;
use tokio::{task::JoinHandle, time::sleep};
use xtask::devnet::{Devnet, Options, SUN};

use crate::support::{Net, small_bag};

const DAY_SECS: u64 = 86_400;
const BLOCK_EVERY: Duration = Duration::from_millis(250);

/// Mines blocks whose time is that of a fast clock.
pub struct FastClock {
    begin: u64,
    began: Instant,
    began_unix_ms: u128,
    speed: u64,
    mining: JoinHandle<()>,
}

impl FastClock {
    /// From the next midnight on.
    pub async fn start(devnet: &Devnet, speed: u64) -> eyre::Result<Self> {
        let provider: DynProvider = devnet.chain.provider().clone();
        devnet.chain.mine_every(0).await?;
        provider.anvil_set_auto_mine(false).await.wrap_err("switching mining off")?;
        let latest = provider.get_block(alloy::eips::BlockId::latest()).await?.ok_or_eyre("the chain has no block")?;
        let begin = (latest.header.timestamp / DAY_SECS + 1) * DAY_SECS;
        provider.evm_mine(Some(MineOptions::Timestamp(Some(begin)))).await.wrap_err("mining the first fast block")?;
        let (began, began_unix_ms) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
        let mining = Self::mine(provider, begin, began, speed);
        Ok(Self { begin, began, began_unix_ms, speed, mining })
    }

    fn mine(provider: DynProvider, begin: u64, began: Instant, speed: u64) -> JoinHandle<()> {
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(BLOCK_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            ticks.tick().await;
            loop {
                ticks.tick().await;
                let time = begin + began.elapsed().as_millis() as u64 * speed / 1000;
                // A chain that is gone ends the test elsewhere.
                let _ = provider.evm_mine(Some(MineOptions::Timestamp(Some(time)))).await;
            }
        })
    }

    /// Mines no more blocks; the time goes on.
    pub fn pause(&self) {
        self.mining.abort();
    }

    /// Mines again, from what time it is now.
    pub async fn resume(&mut self, devnet: &Devnet) -> eyre::Result<()> {
        let provider: DynProvider = devnet.chain.provider().clone();
        provider.anvil_set_auto_mine(false).await.wrap_err("switching mining off")?;
        self.mining.abort();
        self.mining = Self::mine(provider, self.begin, self.began, self.speed);
        Ok(())
    }

    fn now(&self) -> u64 {
        self.begin + self.began.elapsed().as_millis() as u64 * self.speed / 1000
    }

    fn days(&self) -> f64 {
        (self.now() - self.begin) as f64 / DAY_SECS as f64
    }
}

impl Drop for FastClock {
    fn drop(&mut self) {
        self.mining.abort();
    }
}

/// Puts worker 0 on a simulated site; it is stopped, and not started again.
pub fn simulate(net: &mut Net, clock: &FastClock, mut site: serde_json::Value) -> eyre::Result<()> {
    let worker = &mut net.devnet.workers[0];
    worker.stop();
    site["start"] = clock.begin.into();
    site["began_unix_ms"] = u64::try_from(clock.began_unix_ms)?.into();
    let file = worker.dir().with_file_name("site.json");
    std::fs::write(&file, site.to_string())?;
    worker.set_env("SUNWORK_WORKER_SIMULATE", &file.display().to_string());
    worker.set_env("SUNWORK_WORKER_SIMULATE_SPEED", &clock.speed.to_string());
    worker.set_env("SUNWORK_WORKER_ENERGY_INTERVAL_SECS", "1");
    Ok(())
}

async fn register(net: &Net) -> eyre::Result<()> {
    let args =
        ["energy", "--energy-place", "0,0,0", "meter", "register", "--nameplate-watts", "100", "--country", "NL"];
    let shown = net.devnet.workers[0].once(&args).await.wrap_err("registering the meter")?;
    ensure!(shown.contains("Meter") && shown.contains("active"), "{shown}");
    // Again: nothing more is done, and no second bond is taken.
    net.devnet.workers[0].once(&args).await.wrap_err("registering the meter again")?;
    Ok(())
}

fn ledger(net: &Net) -> IEnergyLedger::IEnergyLedgerInstance<DynProvider> {
    IEnergyLedger::new(net.devnet.deployment.energy_ledger, net.devnet.chain.provider().clone())
}

/// Days with counts and days in gaps, as the ledger's events tell them, in order.
pub async fn recorded(net: &Net, worker: Address) -> eyre::Result<(Vec<u16>, Vec<u16>)> {
    let filter = Filter::new().address(net.devnet.deployment.energy_ledger).from_block(0).topic1(worker.into_word());
    let logs = net.devnet.chain.provider().get_logs(&filter).await.wrap_err("reading the ledger's events")?;
    let (mut days, mut gaps) = (Vec::new(), Vec::new());
    for log in &logs {
        if let Ok(event) = IEnergyLedger::DayRecorded::decode_log(&log.inner) {
            days.push(event.day);
        } else if let Ok(event) = IEnergyLedger::GapRecorded::decode_log(&log.inner) {
            gaps.extend(event.firstDay..=event.lastDay);
        }
    }
    Ok((days, gaps))
}

/// Lines of worker 0's log that hold all words.
fn said(net: &Net, words: &str) -> usize {
    let text = std::fs::read_to_string(net.devnet.workers[0].log()).unwrap_or_default();
    text.lines().filter(|line| line.contains(words)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_around_its_signature_attests_every_day_once() -> eyre::Result<()> {
    let mut net = Net::start(Options::for_tests()?.workers(1)).await?;
    let worker = net.devnet.workers[0].owner;
    register(&net).await?;
    let contract = ledger(&net);
    let registered = contract.meterOf(worker).call().await?;
    ensure!(registered.bond.to::<u128>() == 100 * SUN, "{registered:?}");
    // A day in six seconds.
    let clock = FastClock::start(&net.devnet, DAY_SECS / 6).await?;
    // A board that sleeps signs nothing, and each start of this one is hours in which nobody saw the battery (a tenth of it in doubt for
    // each): when it may sleep is not asked here.
    net.devnet.workers[0].set_env("SUNWORK_WORKER_ENERGY_SLEEP", "false");
    let site = serde_json::json!({"days": 60, "panel_wp": 100, "battery_wh": 5000, "charge_permille": 900, "board": "pi4b",
        "latitude": 0.0, "seed": 4});
    simulate(&mut net, &clock, site)?;
    // In the book and not sent; sent and not known to be; on the chain and not written down.
    let points = ["attest.book.after", "tx.attest.sent", "tx.attest.mined"];
    for point in points {
        let node = &mut net.devnet.workers[0];
        node.start(&[("SUNWORK_CRASH_AT".into(), point.into())])?;
        let until = Instant::now() + Duration::from_secs(30);
        let exit = loop {
            let process = net.devnet.workers[0].process_mut().ok_or_eyre("the worker runs")?;
            if let Some(exit) = process.ended() {
                break exit;
            }
            ensure!(Instant::now() < until, "nothing died at {point}\n{}", net.logs());
            sleep(Duration::from_millis(50)).await;
        };
        ensure!(exit.signal() == Some(9), "{exit} instead of dying at {point}\n{}", net.logs());
        net.devnet.workers[0].kill();
    }
    net.devnet.workers[0].start(&[])?;
    let until = Instant::now() + Duration::from_secs(30);
    let (days, gaps) = loop {
        net.devnet.expect_alive()?;
        let (days, gaps) = recorded(&net, worker).await?;
        if days.len() >= 3 {
            break (days, gaps);
        }
        if Instant::now() > until {
            let shown = net.devnet.workers[0].once(&["energy", "--output", "json"]).await.unwrap_or_default();
            let shown: serde_json::Value = serde_json::from_str(&shown).unwrap_or_default();
            let told = &shown["attestation"];
            bail!("only {days:?} and {gaps:?} are recorded; the worker says {told}\n{}", net.logs());
        }
        sleep(Duration::from_millis(200)).await;
    };
    // The day of the registration was not measured; from then on each day once, none left out. On a slow machine a start may take
    // longer than a day.
    let begin = u16::try_from(clock.begin / DAY_SECS)?;
    assert_eq!(gaps.first(), Some(&(begin - 1)));
    let mut all = [days.clone(), gaps.clone()].concat();
    all.sort_unstable();
    let expected: Vec<u16> = (begin - 1..).take(all.len()).collect();
    assert_eq!(all, expected);
    let account = contract.meterOf(worker).call().await?;
    let covered = account.state.day - (begin - 2);
    assert!(account.state.sequence == u32::from(covered) && account.state.counterEpoch == 0, "{account:?}");
    // The owner sees it, from the first look on that the worker has done.
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        let shown = net.devnet.workers[0].once(&["energy", "--output", "json"]).await;
        let shown: serde_json::Value = shown.map_or(Ok(serde_json::Value::Null), |text| serde_json::from_str(&text))?;
        let told = &shown["attestation"];
        if told["meter"]["attestedDays"].as_u64() >= Some(3) && told["hold"].is_null() {
            break;
        }
        ensure!(Instant::now() < until, "{told}\n{}", net.logs());
        sleep(Duration::from_millis(300)).await;
    }
    println!("killed at {points:?}; {} days and {} gap days on chain, each once", days.len(), gaps.len());
    net.devnet.stop().await
}

/// Ten dim days, on which the board cannot stay awake, then sun; and sun in the weeks before, which the forecast knows.
fn sky(begin: u64) -> String {
    let mut text = String::new();
    for quarter in 0..(61 * 96) {
        let time = begin - 21 * DAY_SECS + quarter * 900;
        let dim = (begin..begin + 10 * DAY_SECS).contains(&time);
        let hour = (time % DAY_SECS) as f64 / 3600.0;
        let height = ((hour - 6.0) / 12.0 * std::f64::consts::PI).sin().max(0.0);
        let light = if (6.0..18.0).contains(&hour) { height } else { 0.0 };
        text.push_str(&format!("{time},{:.2}\n", light * if dim { 4.0 } else { 35.0 }));
    }
    text
}

/// What became of the jobs.
struct Month {
    bought: usize,
    paid: usize,
    refused: usize,
    open: Vec<Address>,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn thirty_days_of_simulated_sun_are_worked_slept_and_attested_net_positive() -> eyre::Result<()> {
    // A day in nine seconds: an hour has room for a transaction, a day for an image and a leaf.
    const SPEED: u64 = 9_600;
    const DAYS: u16 = 30;
    let started = Instant::now();
    // The window of a real deployment: positive needs counts on twenty days of thirty.
    let options = Options::for_tests()?.workers(3).param("/energy/minDays", 20);
    let mut net = Net::start(options).await?;
    // Verifiers that a rejection would call; nobody rejects, and the work is for the one on the sun.
    net.devnet.workers[1..].iter_mut().for_each(xtask::devnet::WorkerNode::stop);
    let image = net.image("raytrace").await?;
    let worker = net.devnet.workers[0].owner;
    register(&net).await?;
    let clock = FastClock::start(&net.devnet, SPEED).await?;
    std::fs::write(net.devnet.dir().join("sky.csv"), sky(clock.begin))?;
    let site = serde_json::json!({
        "panel_wp": 50, "battery_wh": 384, "charge_permille": 120, "board": "pi4b", "latitude": 0.0, "trace": "sky.csv"
    });
    simulate(&mut net, &clock, site)?;
    net.devnet.workers[0].start(&[])?;

    let mut month = Month { bought: 0, paid: 0, refused: 0, open: Vec::new() };
    let (mut hour_bought, mut told) = (0, 0);
    let mut attested = 0;
    while attested < usize::from(DAYS) && clock.days() < f64::from(DAYS) + 1.5 {
        if clock.days() > f64::from(DAYS) {
            attested = recorded(&net, worker).await?.0.len();
        }
        let hour = (clock.now() - clock.begin) / 3600;
        // Every six hours somebody buys.
        if hour / 6 > hour_bought && clock.days() < f64::from(DAYS) - 1.0 {
            hour_bought = hour / 6;
            let hours = |hours: u32| hours * 3600;
            let windows = Windows {
                accept_secs: hours(24),
                work_secs: Some(hours(48)),
                verify_secs: Some(hours(4)),
                dispute_secs: Some(hours(2)),
            };
            // The energy of a leaf is reckoned from its limit, in simulated time: thirteen hours and a half.
            let resources =
                Resources { memory_mib: 64, disk_mib: 16, leaf_secs: 5, output_mib: 8, ..Resources::default() };
            let job = small_bag(&image)
                .resources(resources)
                .leaves(1)
                .samples(1)
                .trust_level(0)
                .public(true)
                .windows(windows);
            month.open.push(net.buy(job).await?.address);
            month.bought += 1;
        }
        let mut open = Vec::new();
        for agreement in std::mem::take(&mut month.open) {
            let view = net.view(agreement).await?;
            let status = Status::from_u8(view.status as u8).ok_or_else(|| eyre!("unknown status"))?;
            match (status.is_final(), Ending::from_u8(view.ending as u8)) {
                (false, _) => open.push(agreement),
                (true, Some(Ending::Verified)) => month.paid += 1,
                (true, _) => month.refused += 1,
            }
        }
        month.open = open;
        if clock.days() as u64 >= told + 5 {
            told = clock.days() as u64;
            let (days, gaps) = recorded(&net, worker).await?;
            println!(
                "day {told}: {} attested, {} in gaps, {} paid of {} bought",
                days.len(),
                gaps.len(),
                month.paid,
                month.bought
            );
        }
        sleep(Duration::from_millis(200)).await;
    }

    let (days, gaps) = recorded(&net, worker).await?;
    let contract = ledger(&net);
    let account = contract.meterOf(worker).call().await?;
    let (net_wh, positive) = (contract.netOf(worker).call().await?, contract.isPositive(worker).call().await?);
    let store = Store::of(net.devnet.workers[0].dir(), true);
    let rows: Vec<Row> = store.rows(Some(sunwork_energy::units::UnixSeconds(clock.begin as i64)), None);
    let slept = |row: &&Row| matches!(row.mode, Mode::Sleep { .. });
    // A night belongs to the day on whose noon it follows.
    let nights: BTreeSet<i64> =
        rows.iter().filter(slept).map(|row| (row.start.0 - 43_200).div_euclid(86_400)).collect();
    let made: i64 = rows.iter().map(|row| row.made.0).sum::<i64>() / 1000;
    let used: i64 = rows.iter().map(|row| row.used.0).sum::<i64>() / 1000;
    let planned = said(&net, "the wake alarm is set and read back");
    let woke = said(&net, "awake again after a planned sleep");
    println!(
        "{} agreements bought, {} paid, {} taken by nobody; {} planned sleeps in {} nights; made {made} Wh, used {used} Wh; \
         {} days attested, {} in gaps; net of the window {net_wh} Wh, positive: {positive}; {:.0} s",
        month.bought,
        month.paid,
        month.refused,
        planned,
        nights.len(),
        days.len(),
        gaps.len(),
        started.elapsed().as_secs_f64()
    );
    let begin = u16::try_from(clock.begin / DAY_SECS)?;
    let expected: Vec<u16> = (begin..begin + DAYS).collect();
    ensure!(days == expected, "{days:?}\n{}", net.logs());
    ensure!(account.state.attestedDays >= 29, "{account:?}");
    ensure!(positive && !net_wh.is_negative(), "net {net_wh} Wh: {account:?}");
    ensure!(month.paid >= 10, "only {} of {} agreements were paid\n{}", month.paid, month.bought, net.logs());
    // A board that was off more often than it was put to sleep has lost its power.
    ensure!(woke <= planned, "{woke} times awake after {planned} planned sleeps\n{}", net.logs());
    ensure!(nights.len() >= 5, "slept in {} nights only", nights.len());
    drop(clock);
    net.devnet.stop().await
}
