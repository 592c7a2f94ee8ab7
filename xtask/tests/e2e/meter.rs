//! The owner's commands for a meter, on a real chain: refused at the wrong time in words, done once whatever kills them, the bond back to
//! the last unit; and a lost key, replaced without losing what was attested.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes},
    providers::{DynProvider, Provider, ext::AnvilApi},
    sol_types::SolError,
};
use eyre::{OptionExt, WrapErr, ensure, eyre};
use serde_json::Value;
use sunwork_edge::keystore;
use sunwork_protocol::{
    abi::IEnergyLedger::{self, MeterView},
    energy::{Body, Counts, Link, Record, SignedRecord, day_of},
};
use sunwork_worker::{
    config::Layer,
    energy::attest::{
        device::{DeviceSigner, SoftwareKey},
        keys::Keyring,
    },
    folder::Folder,
};
use tokio::time::sleep;
use xtask::{
    chain::CHAIN_ID,
    devnet::{Options, Runtime, SUN, WorkerNode},
};

use crate::{
    attest::{FastClock, recorded, simulate},
    support::Net,
    swtpm::Swtpm,
};

const DAY_SECS: u64 = 86_400;
const BOND: u128 = 100 * SUN;
const UNBOND_SECS: u64 = 7 * DAY_SECS;
const REGISTER: [&str; 7] =
    ["register", "--energy-place", "52.4,4.9,10", "--nameplate-watts", "100", "--country", "NL"];

/// Worker 0 of a network, its meter, and the chain's view of it.
struct Site {
    net: Net,
    ledger: IEnergyLedger::IEnergyLedgerInstance<DynProvider>,
    owner: Address,
}

impl Site {
    /// One worker, that needs no container engine, stopped.
    async fn start() -> eyre::Result<Self> {
        let mut options = Options::for_tests()?.workers(1).param("/energy/unbondSecs", UNBOND_SECS);
        options.runtime = Runtime::Wasm;
        let mut net = Net::start(options).await?;
        net.devnet.workers[0].stop();
        let provider = net.devnet.chain.provider().clone();
        net.devnet.chain.mine_every(0).await?;
        provider.anvil_set_auto_mine(true).await?;
        let ledger = IEnergyLedger::new(net.devnet.deployment.energy_ledger, provider);
        let owner = net.devnet.workers[0].owner;
        Ok(Self { net, ledger, owner })
    }

    fn worker(&self) -> &WorkerNode {
        &self.net.devnet.workers[0]
    }

    /// `energy meter` with these words, as JSON.
    async fn does(&self, words: &[&str]) -> eyre::Result<Value> {
        let args = [&["energy", "meter"], words, &["--output=json"]].concat();
        let text = self.worker().once(&args).await.wrap_err_with(|| format!("{words:?}"))?;
        serde_json::from_str(&text).wrap_err(text)
    }

    /// Its last words, and that it ends with a code for scripts and prints nothing for programs to mistake for a result.
    async fn refuses(&self, words: &[&str], why: &str) -> eyre::Result<()> {
        let Err(error) = self.does(words).await else { return Err(eyre!("{words:?} was done, expected: {why}")) };
        let text = format!("{error:#}");
        ensure!(text.contains(why) && text.contains("exit status: 1\nerror: "), "{words:?}: expected {why:?}: {text}");
        Ok(())
    }

    /// Kills the command at a point, as a power cut would.
    async fn killed(&mut self, words: &[&str], point: &str) -> eyre::Result<()> {
        self.net.devnet.workers[0].set_env("SUNWORK_CRASH_AT", point);
        let result = self.does(words).await;
        self.net.devnet.workers[0].unset_env("SUNWORK_CRASH_AT");
        let Err(error) = result else { return Err(eyre!("{words:?} did not meet {point}")) };
        ensure!(format!("{error:#}").contains("signal: 9"), "{words:?} at {point}: {error:#}");
        Ok(())
    }

    async fn balance(&self) -> eyre::Result<u128> {
        let balance = self.net.devnet.chain.token_balance(self.net.devnet.deployment.token, self.owner).await?;
        Ok(u128::try_from(balance)?)
    }

    async fn account(&self) -> eyre::Result<MeterView> {
        Ok(self.ledger.meterOf(self.owner).call().await?)
    }

    async fn now(&self) -> eyre::Result<u64> {
        let provider = self.ledger.provider();
        let block = provider.get_block(alloy::eips::BlockId::latest()).await?.ok_or_eyre("the chain has no block")?;
        Ok(block.header.timestamp)
    }

    /// Mines a block more than `seconds` after the newest one, whose time runs ahead of anvil's clock when blocks come quickly.
    async fn pass(&self, seconds: u64) -> eyre::Result<()> {
        let after = self.now().await? + seconds + 1;
        self.ledger.provider().anvil_set_next_block_timestamp(after).await?;
        self.ledger.provider().anvil_mine(Some(1), None).await?;
        Ok(())
    }

    /// Files of a kind of key.
    fn files(&self, kind: &str) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(self.worker().dir().join("keys").join(kind));
        entries.map(|all| all.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
    }

    fn only_file(&self, kind: &str) -> eyre::Result<PathBuf> {
        let files = self.files(kind);
        ensure!(files.len() == 1, "{kind}: {files:?}");
        files.into_iter().next().ok_or_eyre("no file")
    }

    /// The next day's record, signed by this key.
    async fn record(&self, key: &dyn DeviceSigner) -> eyre::Result<Bytes> {
        let account = self.account().await?;
        let mut counts = Counts::default();
        counts.0[40..60].fill(20);
        let record = Record {
            worker: self.owner,
            sequence: account.state.sequence + 1,
            day: account.state.day + 1,
            counter_epoch: account.state.counterEpoch,
            counter_wh: account.state.counterWh.to::<u64>() + u64::from(counts.sum_wh()),
            body: Body::Production(Box::new(counts)),
        };
        let digest = record.digest(CHAIN_ID, *self.ledger.address(), Link::from(account.link.0))?;
        let signature = key.sign(digest).map_err(|reason| eyre!(reason))?;
        Ok(SignedRecord { record, signature }.pack()?.into())
    }

    async fn submit(&self, bytes: Bytes) -> eyre::Result<()> {
        let from = xtask::accounts::CLIENT.address;
        // Asked first, for the contract's own words.
        self.ledger.submit(bytes.clone()).from(from).call().await?;
        let call = IEnergyLedger::submitCall { signedRecord: bytes };
        self.net.devnet.chain.send(from, *self.ledger.address(), call).await
    }
}

/// "2026-06-01".
fn date(day: u16) -> String {
    let midnight = jiff::Timestamp::from_second(i64::from(day) * DAY_SECS as i64);
    midnight.unwrap().strftime("%Y-%m-%d").to_string()
}

/// The hash of the registered key, by its coordinates.
fn key_of(account: &MeterView) -> B256 {
    alloy::primitives::keccak256([account.meter.keyX, account.meter.keyY].concat())
}

/// What a change of the key must leave alone: all but the counter, which is the device's own.
fn history(account: &MeterView) -> String {
    let mut state = account.state.clone();
    (state.counterEpoch, state.counterWh) = Default::default();
    format!("{state:?} {:?} {:?}", account.link, account.bond)
}

/// The counter on the chain: its epoch and watt hours.
fn counter(account: &MeterView) -> (u16, u64) {
    (account.state.counterEpoch, account.state.counterWh.to())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meter_is_registered_replaced_removed_and_paid_out_once_whatever_kills_the_commands() -> eyre::Result<()> {
    let mut site = Site::start().await?;
    let before = site.balance().await?;

    // Before there is one.
    site.refuses(&["replace-key"], "no meter of this worker takes records; `energy meter register` registers one")
        .await?;
    site.refuses(&["remove"], "there is nothing to remove").await?;
    site.refuses(&["give-up", "--until", "2026-06-01"], "there is nothing to give up").await?;
    ensure!(site.does(&["withdraw"]).await?["bond"] == "0");
    ensure!(site.does(&[]).await?["status"] == "not registered");
    site.refuses(&["register"], "name the panels' peak power with --nameplate-watts").await?;
    let nowhere = ["register", "--energy-place=52.4,4.9", "--nameplate-watts=100", "--country=Holland"];
    site.refuses(&nowhere, "expected two capital letters such as NL").await?;

    // Registered once: one key, one bond.
    site.killed(&REGISTER, "meter.register.made").await?;
    let made = site.only_file("meter")?;
    ensure!(site.balance().await? == before, "the bond was taken for nothing");
    site.killed(&REGISTER, "meter.register.mined").await?;
    let shown = site.does(&REGISTER).await?;
    ensure!(shown["status"] == "active" && shown["keyFound"] == true && shown["bond"] == BOND.to_string(), "{shown}");
    ensure!(site.only_file("meter")? == made && site.balance().await? == before - BOND, "{shown}");
    let today = day_of(site.now().await?).ok_or_eyre("no day")?;
    site.refuses(&["give-up", "--until", &date(today)], "is not over yet").await?;
    site.refuses(&["give-up", "--until", "2062-01-01"], "is not over yet").await?;
    site.refuses(&["give-up", "--until", &date(today - 1)], "are recorded already").await?;
    site.refuses(&["give-up", "--until", "yesterday"], "is no day such as 2026-06-01").await?;
    let kept = site.does(&["withdraw"]).await?;
    ensure!(kept["bond"] == "0" && kept["stillBonded"].is_null(), "{kept}");

    // Two days of the first key.
    site.pass(3 * DAY_SECS).await?;
    let settings = Layer { data_dir: Some(site.worker().dir().to_owned()), ..Layer::default() };
    let ring = Keyring::of(&settings, &Folder::create(site.worker().dir())?)?;
    let first = ring.find(key_of(&site.account().await?)).map_err(|reason| eyre!(reason))?;
    for _ in 0..2 {
        site.submit(site.record(&*first.signer).await?).await?;
    }
    let attested = site.account().await?;
    ensure!(
        attested.state.attestedDays == 2 && attested.state.netWh > alloy::primitives::aliases::I48::ZERO,
        "{attested:?}"
    );

    // The key is lost; whoever finds it later has nothing of it.
    let password = keystore::read_password(site.worker().dir().join("password"))?;
    let found = SoftwareKey::derive(&keystore::load(&made, &password)?.to_bytes().0).ok_or_eyre("no key")?;
    fs::remove_file(&made)?;
    let shown = site.does(&[]).await?;
    let problem = shown["keyProblem"].as_str().unwrap_or_default();
    ensure!(shown["keyFound"] == false && problem.contains("there is none"), "{shown}");
    let lines = site.worker().once(&["energy", "meter"]).await?;
    ensure!(lines.contains("device_key_lost") && lines.contains("energy meter replace-key"), "{lines}");
    site.refuses(&REGISTER, "`energy meter replace-key` puts a new one in its place").await?;

    site.killed(&["replace-key"], "meter.replace.made").await?;
    ensure!(history(&site.account().await?) == history(&attested), "nothing was sent");
    let next = site.only_file("meter-next")?;
    site.killed(&["replace-key"], "meter.replace.mined").await?;
    // The chain has it, and it is found where it lies.
    ensure!(site.does(&[]).await?["keyFound"] == true && site.only_file("meter-next")? == next);
    site.killed(&["replace-key"], "meter.replace.shifted").await?;
    ensure!(site.does(&[]).await?["keyFound"] == true);
    let shown = site.does(&["replace-key"]).await?;
    ensure!(shown["keyFound"] == true && shown["account"]["attestedDays"] == 2, "{shown}");
    let replaced = site.account().await?;
    println!("history kept: {}", history(&replaced));
    ensure!(key_of(&replaced) != key_of(&attested), "{replaced:?}");
    ensure!(history(&replaced) == history(&attested) && site.balance().await? == before - BOND, "{replaced:?}");
    ensure!(counter(&attested).1 > 0 && counter(&replaced) == (0, 0), "{attested:?} {replaced:?}");

    // From now on the new key signs, and what the old one signs is refused; the chain of digests goes on.
    let error = site.submit(site.record(&found).await?).await.err().ok_or_eyre("a lost key still signs")?;
    let selector = hex::encode(IEnergyLedger::WrongDeviceSignature::SELECTOR);
    ensure!(format!("{error:?}").contains(&selector), "{error:?}");
    let second = ring.find(key_of(&replaced)).map_err(|reason| eyre!(reason))?;
    site.submit(site.record(&*second.signer).await?).await?;
    let third = site.account().await?;
    ensure!(third.state.attestedDays == 3 && third.state.sequence == attested.state.sequence + 1, "{third:?}");

    // Taken out, and paid out when it is time.
    site.killed(&["remove"], "meter.remove.mined").await?;
    let shown = site.does(&["remove"]).await?;
    ensure!(shown["status"] == "leaving" && shown["bond"] == BOND.to_string(), "{shown}");
    site.refuses(&["replace-key"], "no meter of this worker takes records").await?;
    site.refuses(&REGISTER, "a meter of this worker is leaving").await?;
    site.refuses(&["give-up", "--until", &date(today + 1)], "there is nothing to give up").await?;
    ensure!(site.submit(site.record(&*second.signer).await?).await.is_err(), "a meter that leaves takes records");
    let early = site.does(&["withdraw"]).await?;
    ensure!(early["bond"] == "0" && early["stillBonded"] == BOND.to_string(), "{early}");
    let free_at = site.account().await?.exitAt.to::<u64>();
    ensure!(early["bondFreeAt"] == free_at && free_at > site.now().await?, "{early}");
    let lines = site.worker().once(&["energy", "meter", "withdraw"]).await?;
    ensure!(lines.contains("Still bonded") && lines.contains("00 SUN until 2") && lines.contains('Z'), "{lines}");
    ensure!(site.balance().await? == before - BOND);
    site.pass(UNBOND_SECS).await?;
    site.killed(&["withdraw"], "meter.withdraw.mined").await?;
    ensure!(site.balance().await? == before, "the bond is back to the last unit");
    ensure!(site.does(&["withdraw"]).await?["bond"] == "0" && site.balance().await? == before);
    site.refuses(&["remove"], "there is nothing to remove").await?;

    // And anew: with another key, a bond, and no history.
    let shown = site.does(&REGISTER).await?;
    ensure!(shown["status"] == "active" && shown["account"]["attestedDays"] == 0, "{shown}");
    ensure!(key_of(&site.account().await?) != second.hash() && site.balance().await? == before - BOND, "{shown}");
    ensure!(site.files("meter").len() == 1 && site.files("meter-next").is_empty(), "{:?}", site.files("meter"));
    site.net.devnet.stop().await
}

/// What the running worker says of its attestation, once it says so.
async fn told(site: &Site, wanted: impl Fn(&Value) -> bool) -> eyre::Result<Value> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let shown = site.worker().once(&["energy", "--output=json"]).await;
        let shown: Value = shown.map_or(Ok(Value::Null), |text| serde_json::from_str(&text))?;
        let told = &shown["attestation"];
        if wanted(told) {
            return Ok(told.clone());
        }
        ensure!(Instant::now() < until, "{told}\n{}", site.net.logs());
        sleep(Duration::from_millis(200)).await;
    }
}

async fn until_recorded(site: &Site, days: usize) -> eyre::Result<(Vec<u16>, Vec<u16>)> {
    let until = Instant::now() + Duration::from_secs(90);
    loop {
        let (counted, gaps) = recorded(&site.net, site.owner).await?;
        if counted.len() >= days {
            return Ok((counted, gaps));
        }
        ensure!(Instant::now() < until, "only {counted:?} and {gaps:?} are recorded\n{}", site.net.logs());
        sleep(Duration::from_millis(200)).await;
    }
}

/// What the records of the days after one, up to another, say was made.
async fn made_after(site: &Site, after: u16, last: u16) -> eyre::Result<u64> {
    let query = site.ledger.DayRecorded_filter().topic1(site.owner.into_word()).from_block(0);
    let days = query.query().await?.into_iter().map(|(event, _)| event).filter(|event| event.day > after);
    Ok(days.filter(|event| event.day <= last).map(|event| u64::from(event.productionWh)).sum())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn a_lost_key_is_a_named_state_and_a_new_one_goes_on_where_it_stopped() -> eyre::Result<()> {
    let mut site = Site::start().await?;
    site.does(&REGISTER).await?;
    // A day in five seconds.
    let clock = FastClock::start(&site.net.devnet, DAY_SECS / 5).await?;
    let plant = serde_json::json!({"days": 60, "panel_wp": 100, "battery_wh": 5000, "charge_permille": 900, "board": "pi4b",
        "latitude": 0.0, "seed": 4});
    simulate(&mut site.net, &clock, plant)?;
    // A board that sleeps signs nothing.
    site.net.devnet.workers[0].set_env("SUNWORK_WORKER_ENERGY_SLEEP", "false");
    site.net.devnet.workers[0].start(&[])?;
    until_recorded(&site, 2).await?;

    // The key is lost: nothing is signed, and the owner is told why and what to do.
    site.net.devnet.workers[0].stop();
    fs::remove_file(site.only_file("meter")?)?;
    let (known, _) = recorded(&site.net, site.owner).await?;
    let before = site.account().await?;
    site.net.devnet.workers[0].start(&[])?;
    let lost = told(&site, |told| told["hold"]["name"] == "device_key_lost").await?;
    let (reason, behaviour) = (lost["hold"]["reason"].as_str(), lost["hold"]["behaviour"].as_str());
    ensure!(reason.is_some_and(|text| text.contains("there is none") && text.contains("keys/meter")), "{lost}");
    ensure!(
        behaviour.is_some_and(|text| text.contains("energy meter replace-key")) && lost["quiet"] == false,
        "{lost}"
    );
    println!("lost: {}", lost["hold"]["reason"]);
    ensure!(history(&site.account().await?) == history(&before), "something was signed without a key");

    // The command is killed when the chain has the new key, and the worker goes on with it from where it lies.
    site.killed(&["replace-key"], "meter.replace.mined").await?;
    let (days, gaps) = until_recorded(&site, known.len() + 2).await?;
    site.does(&["replace-key"]).await?;
    ensure!(days.starts_with(&known), "{known:?} {days:?}");
    let account = site.account().await?;
    // The new key's counter is what was made since the last day of the old one's, from zero.
    let (epoch, counted_wh) = counter(&account);
    let made_wh = made_after(&site, before.state.day, account.state.day).await?;
    ensure!(counter(&before).1 > 0 && made_wh > 0, "{before:?}");
    ensure!(
        epoch == 0 && (made_wh..=made_wh + before.state.capWh as u64 * 96).contains(&counted_wh),
        "{made_wh}: {account:?}"
    );
    let (days, gaps) = match site.account().await?.state.day == account.state.day {
        true => (days, gaps),
        false => recorded(&site.net, site.owner).await?,
    };
    let mut all = [days.clone(), gaps.clone()].concat();
    all.sort_unstable();
    let expected: Vec<u16> = (all[0]..).take(all.len()).collect();
    ensure!(all == expected, "each day once, none left out: {days:?} {gaps:?}");
    let told_now = told(&site, |told| told["hold"].is_null() && !told["meter"].is_null()).await?;
    println!("found: {} days with counts, {} in gaps; {}", days.len(), gaps.len(), told_now["meter"]);

    // A day that waits is given up; what comes after it is not.
    site.net.devnet.workers[0].stop();
    let waits = site.account().await?.state.day + 1;
    let until = Instant::now() + Duration::from_secs(30);
    while day_of(site.now().await?) <= Some(waits) {
        ensure!(Instant::now() < until, "the day does not end");
        sleep(Duration::from_millis(200)).await;
    }
    let given = site.does(&["give-up", "--until", &date(waits)]).await?;
    ensure!(given["givenUpUntil"] == date(waits), "{given}");
    let counted = recorded(&site.net, site.owner).await?.0.len();
    site.net.devnet.workers[0].start(&[])?;
    let (days, gaps) = until_recorded(&site, counted + 1).await?;
    ensure!(gaps.contains(&waits) && !days.contains(&waits), "{waits}: {days:?} {gaps:?}");
    ensure!(days.last() > Some(&waits), "{waits}: {days:?}");

    // Taken out while it runs.
    site.does(&["remove"]).await?;
    let leaving = told(&site, |told| told["hold"]["name"] == "meter_leaving").await?;
    ensure!(leaving["quiet"] == true, "{leaving}");
    drop(clock);
    site.net.devnet.stop().await
}

/// The signed lines of the book of a key, oldest first.
fn signed(site: &Site, key: B256) -> eyre::Result<Vec<(Link, Bytes, Record)>> {
    let path = site.worker().dir().join("meter").join(format!("{}.jsonl", hex::encode(key)));
    let text = fs::read_to_string(&path).wrap_err_with(|| path.display().to_string())?;
    let mut all = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line)?;
        let Some(signed) = line.get("signed") else { continue };
        let previous: Link = serde_json::from_value(signed["previous"].clone())?;
        let bytes: Bytes = serde_json::from_value(signed["bytes"].clone())?;
        let record = SignedRecord::unpack(&bytes)?.record;
        all.push((previous, bytes, record));
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep"]
async fn days_signed_on_a_chain_that_was_reorganised_are_claimed_again_word_for_word_and_cost_no_bond()
-> eyre::Result<()> {
    let mut site = Site::start().await?;
    let provider = site.ledger.provider().clone();
    let before = provider.anvil_snapshot().await?;
    site.does(&REGISTER).await?;
    let mut clock = FastClock::start(&site.net.devnet, DAY_SECS / 5).await?;
    let plant = serde_json::json!({"days": 60, "panel_wp": 100, "battery_wh": 5000, "charge_permille": 900, "board": "pi4b",
        "latitude": 0.0, "seed": 4});
    simulate(&mut site.net, &clock, plant)?;
    site.net.devnet.workers[0].set_env("SUNWORK_WORKER_ENERGY_SLEEP", "false");
    site.net.devnet.workers[0].start(&[])?;
    until_recorded(&site, 3).await?;
    site.net.devnet.workers[0].stop();
    let old = site.account().await?;
    let key = key_of(&old);
    let first = signed(&site, key)?;
    let claimed = |all: &[(Link, Bytes, Record)]| -> Vec<u16> {
        all.iter().filter(|(.., record)| record.body != Body::Gap).map(|(.., record)| record.day).collect()
    };
    let days = claimed(&first);

    // Another chain from before the registration on, on which it lands on the second day that was signed: other sequences, other links.
    clock.pause();
    ensure!(provider.anvil_revert(before).await?, "the chain was not reverted");
    provider.anvil_set_auto_mine(true).await?;
    let second = days[1];
    let at = u64::from(second) * DAY_SECS + 600;
    provider.evm_mine(Some(alloy::rpc::types::anvil::MineOptions::Timestamp(Some(at)))).await?;
    ensure!(recorded(&site.net, site.owner).await?.0.is_empty(), "records stayed on the chain");
    let shown = site.does(&REGISTER).await?;
    ensure!(key_of(&site.account().await?) == key && shown["account"]["attestedDays"] == 0, "{shown}");
    clock.resume(&site.net.devnet).await?;
    site.net.devnet.workers[0].start(&[])?;
    let (on_chain, gaps) = until_recorded(&site, days.len() + 1).await?;
    ensure!(on_chain.starts_with(&days[1..]), "{days:?} were signed, now {on_chain:?}, in gaps {gaps:?}");

    // What the key signed for one day is one claim, on two links; as evidence the ledger refuses it, and the bond is there.
    let all = signed(&site, key)?;
    let mut pairs = 0;
    for (previous, bytes, record) in &first {
        let again = all.iter().skip(first.len()).find(|(.., other)| other.day == record.day && other.body != Body::Gap);
        let Some((link, again, other)) = again.filter(|_| record.body != Body::Gap) else { continue };
        ensure!(link != previous && other.sequence < record.sequence, "{record:?} {other:?}");
        ensure!(
            record.contradicts(other) == Err(sunwork_protocol::energy::NoEvidence::SameClaim),
            "{record:?} {other:?}"
        );
        let part =
            |previous: &Link, data: &Bytes| IEnergyLedger::SignedRecord { previous: *previous, data: data.clone() };
        let view = site.account().await?;
        let report =
            site.ledger.reportEquivocation(part(previous, bytes), part(link, again), view.meter.keyX, view.meter.keyY);
        let error = report.from(xtask::accounts::CLIENT.address).call().await.err().ok_or_eyre("the bond is gone")?;
        ensure!(format!("{error:?}").contains(&hex::encode(IEnergyLedger::SameClaim::SELECTOR)), "{error:?}");
        pairs += 1;
    }
    ensure!(pairs == days.len() - 1, "{pairs} of {days:?}");
    let account = site.account().await?;
    ensure!(account.bond.to::<u128>() == BOND && counter(&account).0 == 0, "{account:?}");
    println!(
        "{pairs} of {} days signed before were claimed again; on chain {on_chain:?}, in gaps {gaps:?}",
        days.len()
    );
    drop(clock);
    site.net.devnet.stop().await
}

/// `cargo xtask tpm` runs it: with a worker that is built with TPM support, and a swtpm.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "deep; needs another build of the worker"]
async fn a_meter_moves_from_software_into_a_tpm_and_its_days_go_on() -> eyre::Result<()> {
    if std::env::var_os("SUNWORK_TEST_SWTPM").is_none() {
        println!("not asked for: `cargo xtask tpm` runs it");
        return Ok(());
    }
    let mut site = Site::start().await?;
    let mut swtpm = Swtpm::start();
    site.does(&REGISTER).await?;
    let clock = FastClock::start(&site.net.devnet, DAY_SECS / 5).await?;
    let plant = serde_json::json!({"days": 60, "panel_wp": 100, "battery_wh": 5000, "charge_permille": 900, "board": "pi4b",
        "latitude": 0.0, "seed": 4});
    simulate(&mut site.net, &clock, plant)?;
    let worker = &mut site.net.devnet.workers[0];
    worker.set_env("SUNWORK_WORKER_ENERGY_SLEEP", "false");
    worker.set_env("SUNWORK_WORKER_ENERGY_METER_KEY", "tpm");
    worker.set_env("SUNWORK_WORKER_ENERGY_TPM", swtpm.tpm().tcti());
    worker.start(&[])?;
    // The key that is there goes on, whatever the settings want for the next.
    until_recorded(&site, 1).await?;
    let software = site.account().await?;
    let shown = site.does(&["replace-key"]).await?;
    ensure!(shown["keyFound"] == true, "{shown}");
    let file = site.only_file("meter")?;
    ensure!(file.extension().is_some_and(|end| end == "tpm"), "{file:?}");
    let (days, _) = recorded(&site.net, site.owner).await?;
    let (after, _) = until_recorded(&site, days.len() + 2).await?;
    ensure!(after.starts_with(&days) && key_of(&site.account().await?) != key_of(&software), "{days:?} {after:?}");
    println!(
        "{} days by the key in software, {} with the TPM's; its file has {} bytes",
        days.len(),
        after.len() - days.len(),
        fs::metadata(&file)?.len()
    );

    // The TPM is gone for a while: days wait, the owner is told, and nothing is lost.
    swtpm.kill();
    let gone = told(&site, |told| told["hold"]["name"] == "device_key_lost").await?;
    ensure!(gone["hold"]["reason"].as_str().is_some_and(|text| text.contains("does not answer")), "{gone}");
    let shown = site.does(&[]).await?;
    ensure!(
        shown["keyFound"] == false && shown["keyProblem"].as_str().is_some_and(|text| text.contains("does not answer")),
        "{shown}"
    );
    swtpm.start_again();
    let (days, _) = recorded(&site.net, site.owner).await?;
    let (days, gaps) = until_recorded(&site, days.len() + 2).await?;
    let mut all = [days, gaps].concat();
    all.sort_unstable();
    let expected: Vec<u16> = (all[0]..).take(all.len()).collect();
    ensure!(all == expected, "each day once, none left out: {all:?}");
    drop(clock);
    site.net.devnet.stop().await
}
