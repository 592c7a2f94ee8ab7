//! The energy ledger live: meters on a real chain record eighty days, the oracle finds the liars and nobody else, one that signed a
//! day twice loses its bond, and an hour of surplus is certified, sold and used up for an agreement.
#![allow(clippy::unwrap_used)]
#![allow(missing_docs)]

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{Address, B256, Bytes, FixedBytes, U256, aliases::U48, hex, keccak256},
    providers::{Provider, ext::AnvilApi},
    sol,
    sol_types::SolCall,
};
use serde_json::{Value, json};
use sunwork_client::{Client, ClientConfig, JobBuilder, Payment, TxLogPlace};
use sunwork_edge::{Deployment, keystore};
use sunwork_energy::{
    sun::Place,
    trace::{
        Sample,
        synthetic::{Weather, days},
    },
    units::UnixSeconds,
};
use sunwork_oracle::{config::Settings, server::Server};
use sunwork_protocol::{
    abi::{IEnergyCertificates, IEnergyLedger, IWorkerDispatcher, SunToken},
    energy::{Body, Counts, DAY_SECS, DeviceKey, Link, Meter, Record, SignedRecord},
};
use tempfile::TempDir;
use xtask::{
    accounts, apps,
    chain::{Chain, free_port},
    devnet::{Options, Runtime, SUN},
    foundry, paths,
};

sol! {
    /// Of ERC-1155.
    function safeTransferFrom(address from, address to, uint256 id, uint256 value, bytes data) external;
}

/// On a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(120);
/// Sixty are learned from, fourteen tested, some more make windows.
const DAYS: usize = 80;
const LIES_FROM: usize = 62;
const WATTS: u32 = 1000;
/// Golden, Colorado, in tenths of a degree.
const SITE: (i16, i16) = (397, -1052);
const HONEST: [usize; 3] = [0, 1, 2];
const INFLATOR: usize = 3;
const COPIER: usize = 4;
const METERS: usize = 5;
/// Passes on what it is called with to the ledger.
const FORWARDER: Address = Address::repeat_byte(0xf0);

/// A worker and what its meter has signed.
struct Worker {
    account: Address,
    key: DeviceKey,
    link: Link,
    /// Link before each record, and the record.
    records: Vec<(Link, SignedRecord)>,
}

struct Live {
    chain: Chain,
    deployment: Deployment,
    dir: TempDir,
    _scratch: TempDir,
    workers: Vec<Worker>,
    first_day: u16,
}

impl Live {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let chain = Chain::start(free_port().unwrap(), dir.path()).await.unwrap();
        let below = paths::root().join("deployments/tmp");
        fs::create_dir_all(&below).unwrap();
        let scratch = tempfile::tempdir_in(below).unwrap();
        let params = Options::for_tests().unwrap().params;
        fs::write(scratch.path().join("params.json"), params.to_string()).unwrap();
        let file = foundry::deploy(chain.url().as_str(), accounts::DEPLOYER.address, scratch.path()).await.unwrap();
        let deployment = Deployment::load(&file).unwrap();
        fs::copy(&file, dir.path().join("deployment.json")).unwrap();
        let mut live = Self { chain, deployment, dir, _scratch: scratch, workers: Vec::new(), first_day: 0 };
        let mut code = hex!("36600060003760006000366000600073").to_vec();
        code.extend_from_slice(live.deployment.energy_ledger.as_slice());
        code.extend(hex!("5af100"));
        live.chain.provider().anvil_set_code(FORWARDER, code.into()).await.unwrap();
        for index in 0..METERS {
            live.enter(index).await;
        }
        live
    }

    async fn give(&self, to: Address, amount: u128) {
        let call = SunToken::transferCall { to, amount: U256::from(amount) };
        self.chain.send(accounts::DEPLOYER.address, self.deployment.token, call).await.unwrap();
    }

    /// A worker with stake and the money for its meter's bond.
    async fn enter(&mut self, index: usize) {
        let account = Address::repeat_byte(0x10 + index as u8);
        let (dispatcher, token, chain) = (self.deployment.dispatcher, self.deployment.token, &self.chain);
        chain.fund(account).await.unwrap();
        chain.provider().anvil_impersonate_account(account).await.unwrap();
        self.give(account, 3000 * SUN).await;
        let class = self.deployment.class_id(apps::class(Runtime::Docker)).unwrap();
        let code = chain.provider().get_code_at(self.deployment.compute_implementation).await.unwrap();
        let register = IWorkerDispatcher::registerWorkerCall {
            payout: account,
            classes: U48::from(1_u64 << class),
            kindHashes: vec![keccak256(&code)],
            encryptionKey: B256::repeat_byte(9),
            transportKey: B256::ZERO,
        };
        let chain = &self.chain;
        chain.send(account, dispatcher, register).await.unwrap();
        let stake = U256::from(2500 * SUN);
        chain.send(account, token, SunToken::approveCall { spender: dispatcher, amount: stake }).await.unwrap();
        chain.send(account, dispatcher, IWorkerDispatcher::stakeCall { amount: stake }).await.unwrap();
        let (spender, amount) = (self.deployment.energy_ledger, U256::from(500 * SUN));
        chain.send(account, token, SunToken::approveCall { spender, amount }).await.unwrap();
        let key = DeviceKey::from_bytes(&[index as u8 + 1; 32]).unwrap();
        self.workers.push(Worker { account, key, link: Link::ZERO, records: Vec::new() });
    }

    /// On the first of June: the sun is the same whenever this runs.
    async fn register_meters(&mut self) {
        let now = self.now().await / DAY_SECS;
        let after_june = (now as f64 - 151.0).rem_euclid(365.2425);
        self.first_day = (now as f64 + 366.0 - after_june) as u16;
        self.wait_until(u64::from(self.first_day) * DAY_SECS + 600).await;
        for worker in &self.workers {
            let meter = Meter {
                key: worker.key.public(),
                nameplate_watts: WATTS,
                country: FixedBytes(*b"US"),
                latitude_decidegrees: SITE.0,
                longitude_decidegrees: SITE.1,
            };
            let digest = meter.digest(self.deployment.chain_id, self.deployment.energy_ledger, worker.account);
            let call = IEnergyLedger::registerCall {
                meter: IEnergyLedger::Meter {
                    keyX: meter.key.x,
                    keyY: meter.key.y,
                    nameplateWatts: meter.nameplate_watts,
                    country: meter.country,
                    latitudeDecidegrees: meter.latitude_decidegrees,
                    longitudeDecidegrees: meter.longitude_decidegrees,
                },
                signature: worker.key.sign(digest).to_vec().into(),
            };
            self.chain.send(worker.account, self.deployment.energy_ledger, call).await.unwrap();
        }
    }

    async fn now(&self) -> u64 {
        self.chain.provider().get_block(alloy::eips::BlockId::latest()).await.unwrap().unwrap().header.inner.timestamp
    }

    async fn wait_until(&self, time: u64) {
        self.chain.provider().anvil_set_next_block_timestamp(time).await.unwrap();
        self.chain.provider().anvil_mine(Some(1), None).await.unwrap();
    }

    /// The next record of a worker, signed.
    fn sign(&mut self, index: usize, counts: &Counts) -> SignedRecord {
        let (chain_id, ledger, first_day) = (self.deployment.chain_id, self.deployment.energy_ledger, self.first_day);
        let worker = &mut self.workers[index];
        let done = worker.records.len();
        let before = worker.records.last().map_or(0, |(_, last)| last.record.counter_wh);
        let record = Record {
            worker: worker.account,
            sequence: done as u32 + 1,
            day: first_day + done as u16,
            counter_epoch: 0,
            counter_wh: before + u64::from(counts.sum_wh()),
            body: Body::Production(Box::new(*counts)),
        };
        let signed = record.sign(&worker.key, chain_id, ledger, worker.link).unwrap();
        let digest = record.digest(chain_id, ledger, worker.link).unwrap();
        worker.records.push((worker.link, signed.clone()));
        worker.link = Record::link_of(digest);
        signed
    }

    /// Sends without waiting: the block comes when all are in.
    async fn post(&self, from: Address, to: Address, call: &impl SolCall) {
        let input = hex::encode_prefixed(call.abi_encode());
        let request = json!({"from": from, "to": to, "data": input, "gas": "0x100000"});
        let _: B256 = self.chain.provider().raw_request("eth_sendTransaction".into(), (request,)).await.unwrap();
    }

    /// Whether the chain would revert a call.
    async fn is_refused(&self, from: Address, to: Address, call: &impl SolCall) -> bool {
        let request = json!({"from": from, "to": to, "data": hex::encode_prefixed(call.abi_encode())});
        let answer = self.chain.provider().raw_request::<_, Bytes>("eth_call".into(), (request, "latest")).await;
        answer.is_err_and(|error| error.to_string().contains("revert"))
    }

    /// One block a day with everybody's record of the day before.
    async fn record_days(&mut self, reports: &[Vec<Counts>]) {
        self.chain.provider().anvil_set_auto_mine(false).await.unwrap();
        for day in 0..DAYS {
            for (index, counts) in reports.iter().enumerate() {
                let signed = self.sign(index, &counts[day]);
                let call = IEnergyLedger::submitCall { signedRecord: signed.pack().unwrap().into() };
                // Anybody may send a record, also through a contract of its own.
                let to = if (day, index) == (70, 0) { FORWARDER } else { self.deployment.energy_ledger };
                self.post(accounts::DEPLOYER.address, to, &call).await;
            }
            let noon = u64::from(self.first_day + day as u16 + 1) * DAY_SECS + DAY_SECS / 2;
            self.wait_until(noon).await;
        }
        self.chain.provider().anvil_set_auto_mine(true).await.unwrap();
    }

    async fn oracle(&self, name: &str, key: Option<(std::path::PathBuf, std::path::PathBuf)>) -> Server {
        let (keystore, password_file) = key.unzip();
        let settings = Settings {
            listen: Some(([127, 0, 0, 1], 0).into()),
            data_dir: Some(self.dir.path().join(name)),
            rpc: Some(vec![self.chain.url().clone()]),
            deployment: Some(self.dir.path().join("deployment.json")),
            poll_ms: Some(50),
            keystore,
            password_file,
            ..Settings::default()
        };
        Server::bind(settings.check().unwrap()).await.unwrap()
    }

    /// An agreement to use energy up for.
    async fn buy(&self) -> Address {
        self.give(accounts::CLIENT.address, 1000 * SUN).await;
        // Stake counts from the next epoch on.
        self.chain.provider().anvil_increase_time(10).await.unwrap();
        self.chain.provider().anvil_mine(Some(1), None).await.unwrap();
        let config = ClientConfig {
            rpc_urls: vec![self.chain.url().clone()],
            oracle_urls: Vec::new(),
            tx_log: TxLogPlace::Folder(self.dir.path().join("tx")),
            ..ClientConfig::new(self.deployment.clone())
        };
        let client = Client::connect(config, Some(accounts::CLIENT.signer().unwrap())).await.unwrap();
        let platform = apps::class(Runtime::Docker).split('+').next().unwrap();
        let job = JobBuilder::new(format!("sha256:{}", "ab".repeat(32)))
            .platform(platform)
            .public(true)
            .reward(SUN / 2, SUN)
            .verifier_fee(SUN / 10)
            .build()
            .unwrap();
        let plan = client.plan(&job).await.unwrap();
        client.buy(&plan, Payment::Permit).await.unwrap().address
    }
}

/// What each meter reports: level panels under the same clouds, each with five percent of its own, counted in whole watt hours.
fn reports(first_day: u16) -> Vec<Vec<Counts>> {
    let place = Place::new(f64::from(SITE.0) / 10.0, f64::from(SITE.1) / 10.0, 1829.0).unwrap();
    let weather = Weather { place, panel_watts: f64::from(WATTS) * 0.8, seed: 11 };
    let start = UnixSeconds(i64::from(first_day) * DAY_SECS as i64);
    let sky = days(&weather, start, DAYS as u32);
    let of = |panel: usize| -> Vec<Counts> {
        let mut rest = 0_u64;
        let own =
            |slot: usize| 950 + u64::from(keccak256([panel.to_be_bytes(), slot.to_be_bytes()].concat())[0]) * 100 / 255;
        let day = |(index, samples): (usize, &[Sample])| {
            let percent = if panel == INFLATOR && index >= LIES_FROM { 150 } else { 100 };
            let mut counts = Counts::default();
            for (slot, sample) in samples.iter().enumerate() {
                rest += sample.power.over(900).0 as u64 * own(index * 96 + slot) / 1000 * percent / 100;
                counts.0[slot] = u16::try_from(rest / 1000).unwrap();
                rest %= 1000;
            }
            counts
        };
        sky.chunks(96).enumerate().map(day).collect()
    };
    let mut all: Vec<Vec<Counts>> = (0..METERS).map(of).collect();
    let copied = all[0][LIES_FROM..].to_vec();
    all[COPIER][LIES_FROM..].copy_from_slice(&copied);
    all
}

async fn get(oracle: &Server, path: &str) -> Value {
    reqwest::get(format!("{}{path}", oracle.url())).await.unwrap().json().await.unwrap()
}

async fn until(oracle: &Server, path: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        let shown = get(oracle, path).await;
        if wanted(&shown) {
            return shown;
        }
        assert!(Instant::now() < give_up_at, "{what} does not happen; {path} says {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn list<'a>(page: &'a Value, key: &str) -> &'a [Value] {
    page[key].as_array().unwrap()
}

async fn rules_of(oracle: &Server, worker: Address) -> BTreeMap<String, usize> {
    let page = get(oracle, &format!("/v1/findings?limit=200&worker={worker}")).await;
    let mut rules = BTreeMap::new();
    for finding in list(&page, "findings") {
        *rules.entry(finding["rule"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    rules
}

/// Every finding with its evidence, as text.
async fn all_findings(oracle: &Server) -> String {
    let (mut text, mut cursor) = (String::new(), String::new());
    loop {
        let page = get(oracle, &format!("/v1/findings?limit=50{cursor}")).await;
        for finding in list(&page, "findings") {
            let path = format!("{}/v1/findings/{}", oracle.url(), finding["id"].as_str().unwrap());
            text += &reqwest::get(path).await.unwrap().text().await.unwrap();
            text += "\n";
        }
        let Some(next) = page["nextCursor"].as_str() else { return text };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn liars_are_found_on_a_live_chain_and_an_hour_of_sun_is_sold_and_used_up() {
    let mut live = Live::start().await;
    let (key, reporter) = keystore::create(live.dir.path(), "secret").unwrap();
    let password = live.dir.path().join("password");
    fs::write(&password, "secret\n").unwrap();
    live.chain.fund(reporter).await.unwrap();
    let agreement = live.buy().await;
    live.register_meters().await;
    let oracle = live.oracle("one", Some((key, password))).await;
    let reports = reports(live.first_day);
    live.record_days(&reports).await;
    let account = |index: usize| live.workers[index].account;

    // Every record was taken, and every count is known.
    let last_day = live.first_day + DAYS as u16 - 1;
    for (index, counts) in reports.iter().enumerate() {
        let path = format!("/v1/meters/{}", account(index));
        let meter = until(&oracle, &path, "the last day", |meter| meter["lastDay"] == last_day).await;
        assert_eq!(
            (&meter["records"], &meter["positive"], &meter["attestedDays"]),
            (&json!(80), &json!(true), &json!(30))
        );
        let page = get(&oracle, &format!("{path}/days?limit=200")).await;
        let shown: Vec<Vec<u16>> = list(&page, "days")
            .iter()
            .rev()
            .map(|day| serde_json::from_value(day["production"].clone()).unwrap())
            .collect();
        let expected: Vec<Vec<u16>> = counts.iter().map(|day| day.0.to_vec()).collect();
        assert_eq!(shown, expected, "worker {index}");
    }

    // The liars, and nobody else.
    for index in HONEST {
        assert_eq!(rules_of(&oracle, account(index)).await, BTreeMap::new(), "worker {index}");
    }
    let inflator = rules_of(&oracle, account(INFLATOR)).await;
    assert!(inflator.get("above_neighbours_14").is_some_and(|count| *count >= 4), "{inflator:?}");
    let copier = rules_of(&oracle, account(COPIER)).await;
    assert!(copier.get("copied").is_some_and(|count| *count >= 10), "{copier:?}");

    // A second oracle that comes late finds the same, word for word.
    let second = live.oracle("two", None).await;
    let head = live.chain.provider().get_block_number().await.unwrap();
    until(&second, "/v1/health", "the whole chain", |health| health["indexedBlock"].as_u64() >= Some(head)).await;
    let found = all_findings(&oracle).await;
    assert!(found.lines().count() >= 14);
    assert_eq!(all_findings(&second).await, found);

    // The last day is reorganised away and comes back.
    let newest = format!("/v1/findings?worker={}&since={last_day}", account(COPIER));
    assert_eq!(list(&get(&oracle, &newest).await, "findings").len(), 1);
    live.chain.provider().anvil_rollback(Some(1)).await.unwrap();
    live.chain.provider().anvil_set_auto_mine(true).await.unwrap();
    live.wait_until(u64::from(last_day + 1) * DAY_SECS + DAY_SECS / 2 + 7).await;
    until(&oracle, &newest, "the withdrawal", |page| list(page, "findings").is_empty()).await;
    for index in 0..METERS {
        let signed = live.workers[index].records.last().unwrap().1.pack().unwrap();
        let call = IEnergyLedger::submitCall { signedRecord: signed.into() };
        live.post(accounts::DEPLOYER.address, live.deployment.energy_ledger, &call).await;
    }
    until(&oracle, &newest, "the finding", |page| list(page, "findings").len() == 1).await;

    certify(&live, &oracle, agreement, last_day).await;
    equivocate(&live, &oracle, reporter).await;
    second.shutdown().await.unwrap();
    oracle.shutdown().await.unwrap();
}

/// Surplus of an hour is issued, passed on and retired; more than there is, is not.
async fn certify(live: &Live, oracle: &Server, agreement: Address, last_day: u16) {
    let (seller, buyer) = (live.workers[0].account, accounts::CLIENT.address);
    let certificates = live.deployment.energy_certificates;
    let (previous, signed) = live.workers[0].records.last().unwrap();
    // Noon there.
    let hour = 19_u8;
    let produced = signed.record.body.production().unwrap().hour_wh(hour);
    assert!(produced > 50, "{produced}");
    let issue = |watt_hours: u32| IEnergyCertificates::issueCall {
        to: seller,
        previous: *previous,
        body: signed.record.pack().unwrap().into(),
        hours_: vec![hour],
        wattHours: vec![watt_hours],
    };
    let chain = &live.chain;
    assert!(live.is_refused(seller, certificates, &issue(produced + 1)).await);
    chain.send(seller, certificates, issue(produced)).await.unwrap();
    assert!(live.is_refused(seller, certificates, &issue(1)).await, "nothing is left of that hour");
    let id = U256::from_be_slice(&[seller.as_slice(), &last_day.to_be_bytes(), &[hour]].concat());
    let pass_on = safeTransferFromCall { from: seller, to: buyer, id, value: U256::from(produced), data: Bytes::new() };
    chain.send(seller, certificates, pass_on).await.unwrap();
    let retire = |watt_hours: u32| IEnergyCertificates::retireCall { agreement, id, wattHours: U256::from(watt_hours) };
    chain.send(buyer, certificates, retire(produced - 20)).await.unwrap();
    assert!(live.is_refused(buyer, certificates, &retire(21)).await, "never twice");
    assert!(!live.is_refused(buyer, certificates, &retire(20)).await);
    let contract = IEnergyCertificates::new(certificates, chain.provider().clone());
    assert_eq!(contract.retiredFor(agreement).call().await.unwrap(), U256::from(produced - 20));

    let meter = until(oracle, &format!("/v1/meters/{seller}"), "the retirement", |meter| {
        meter["certificatesRetiredWh"] == produced - 20
    })
    .await;
    assert_eq!(meter["certificatesIssuedWh"], produced);
    let ledger = IEnergyLedger::new(live.deployment.energy_ledger, chain.provider().clone());
    let net = i64::try_from(ledger.netOf(seller).call().await.unwrap()).unwrap();
    assert_eq!((&meter["windowNetWh"], &meter["positive"]), (&json!(net), &json!(true)));
    let page = get(oracle, &format!("/v1/certificates?worker={seller}")).await;
    let kinds: Vec<_> = list(&page, "moves").iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["retired", "moved", "issued"]);
    let of_agreement = get(oracle, &format!("/v1/certificates?agreement={agreement}")).await;
    assert_eq!(list(&of_agreement, "moves")[0]["wattHours"], produced - 20);
}

/// A second claim for a day that stands in the chain is handed to the oracle, which shows both to the ledger.
async fn equivocate(live: &Live, oracle: &Server, reporter: Address) {
    let liar = &live.workers[INFLATOR];
    let (previous, signed) = liar.records.last().unwrap();
    let record = Record { body: Body::Production(Box::new(Counts([3; 96]))), ..signed.record.clone() };
    let other = record.sign(&liar.key, live.deployment.chain_id, live.deployment.energy_ledger, *previous).unwrap();
    let body = json!({ "previous": previous, "record": hex::encode_prefixed(other.pack().unwrap()) });
    let url = format!("{}/v1/records", oracle.url());
    let taken: Value = reqwest::Client::new().post(url).json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(taken["outcome"], "contradicts", "{taken}");
    let path = format!("/v1/meters/{}", liar.account);
    let meter = until(oracle, &path, "the strike", |meter| meter["state"] == "struck").await;
    assert_eq!(meter["strike"]["reporter"], json!(reporter.to_string()));
    assert_eq!((&meter["positive"], &meter["findings"]["proof"]), (&json!(false), &json!(2)));
    let ledger = IEnergyLedger::new(live.deployment.energy_ledger, live.chain.provider().clone());
    assert_eq!(
        ledger.rewardOf(reporter).call().await.unwrap().to_string(),
        meter["strike"]["reward"].as_str().unwrap()
    );
    // The reporter counts when it has the receipt, which is later than the index has the event.
    let give_up_at = Instant::now() + PATIENCE;
    loop {
        let metrics = reqwest::get(format!("{}/metrics", oracle.url())).await.unwrap().text().await.unwrap();
        if metrics.contains("\nsunwork_oracle_reports_taken_total 1\n") {
            break;
        }
        assert!(Instant::now() < give_up_at, "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
