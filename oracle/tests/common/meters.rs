//! A chain on which meters are registered and record their days: what the energy ledger would say, without a ledger.
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};

use alloy::{
    primitives::{Address, B256, Bytes, FixedBytes, Log, LogData, U256, aliases::I48, keccak256},
    sol_types::{SolCall as _, SolEvent as _},
};
use sunwork_energy::{
    sun::Place,
    trace::{
        Sample,
        synthetic::{Weather, days},
    },
    units::UnixSeconds,
};
use sunwork_oracle::{
    chain::{ChainLog, ChainSource, ChainTx, Header, SourceError},
    energy::EnergyContracts,
};
use sunwork_protocol::{
    abi::IEnergyLedger,
    energy::{Body, Counts, DAY_SECS, DeviceKey, Link, Record, SignedRecord},
};

pub const CONTRACTS: EnergyContracts =
    EnergyContracts { chain_id: 31337, ledger: Address::repeat_byte(0x1e), certificates: Address::repeat_byte(0xce) };
/// 2026-06-01.
pub const FIRST_DAY: u16 = 20_605;
/// Of all meters that are not told otherwise: Golden, Colorado.
pub const SITE: (i16, i16) = (397, -1052);
pub const WATTS: u32 = 1000;

pub fn worker(n: u8) -> Address {
    Address::repeat_byte(n)
}

pub fn key(n: u8) -> DeviceKey {
    DeviceKey::from_bytes(&[n; 32]).unwrap()
}

/// A hundred days of sun on a level panel.
fn sky() -> &'static [Sample] {
    static SKY: OnceLock<Vec<Sample>> = OnceLock::new();
    SKY.get_or_init(|| {
        let place = Place::new(f64::from(SITE.0) / 10.0, f64::from(SITE.1) / 10.0, 1829.0).unwrap();
        let weather = Weather { place, panel_watts: f64::from(WATTS) * 0.8, seed: 11 };
        days(&weather, UnixSeconds(i64::from(FIRST_DAY) * DAY_SECS as i64), 100)
    })
}

/// Whole watt hours with the rest carried on, as a meter counts: a level panel's sun times `percent`, and five percent of its own,
/// so that no two panels are the same.
pub fn harvest(panel: u8, count: u16, percent: impl Fn(u16) -> u32) -> Vec<Counts> {
    let samples = &sky()[..usize::from(count) * 96];
    let mut rest = 0_u64;
    let own = |slot: usize| 950 + u64::from(keccak256([&[panel][..], &slot.to_be_bytes()].concat())[0]) * 100 / 255;
    let day = |(index, day): (usize, &[Sample])| {
        let mut counts = Counts::default();
        for (slot, sample) in day.iter().enumerate() {
            let milli_wh = sample.power.over(900).0 as u64 * own(index * 96 + slot) / 1000;
            rest += milli_wh * u64::from(percent(index as u16)) / 100;
            counts.0[slot] = u16::try_from(rest / 1000).unwrap();
            rest %= 1000;
        }
        counts
    };
    samples.chunks(96).enumerate().map(day).collect()
}

#[derive(Clone, Default)]
struct Sim {
    key: u8,
    day: u16,
    sequence: u32,
    counter_wh: u64,
    link: Link,
    links: BTreeMap<u16, Link>,
}

/// How a record comes to the ledger.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Direct,
    /// Through another contract, on a node that traces.
    Traced,
    /// On one that does not.
    Untraced,
    /// On one whose traces never come.
    Broken,
}

#[derive(Clone)]
struct Block {
    header: Header,
    logs: Vec<ChainLog>,
    txs: HashMap<B256, (ChainTx, Way)>,
    /// The ledger after it.
    meters: BTreeMap<Address, Sim>,
}

/// Clones are the same chain.
#[derive(Clone, Default)]
pub struct MeterChain(Arc<Mutex<Vec<Block>>>);

impl MeterChain {
    pub fn new() -> Self {
        let chain = Self::default();
        chain.block(FIRST_DAY, |_| ());
        chain
    }

    fn blocks(&self) -> MutexGuard<'_, Vec<Block>> {
        self.0.lock().unwrap()
    }

    /// Adds a block of noon of a day.
    pub fn block<T>(&self, day: u16, fill: impl FnOnce(&mut Filling) -> T) -> T {
        let mut blocks = self.blocks();
        let (number, parent, meters) = match blocks.last() {
            Some(last) => (last.header.number + 1, last.header.hash, last.meters.clone()),
            None => (0, B256::ZERO, BTreeMap::new()),
        };
        let mut filling = Filling { number, salt: Vec::new(), meters, said: Vec::new() };
        let result = fill(&mut filling);
        let hash = keccak256([parent.as_slice(), &number.to_be_bytes(), &filling.salt].concat());
        let header = Header { number, hash, parent, time: u64::from(day) * DAY_SECS + DAY_SECS / 2 + number };
        let (mut logs, mut txs) = (Vec::new(), HashMap::new());
        for (index, (address, data, sent)) in filling.said.into_iter().enumerate() {
            let log_index = index as u64;
            let tx = keccak256([hash.as_slice(), &sent.0.to_be_bytes()].concat());
            let to = if sent.2 == Way::Direct { CONTRACTS.ledger } else { Address::repeat_byte(0xaa) };
            txs.insert(tx, (ChainTx { block_hash: Some(hash), to: Some(to), input: sent.1 }, sent.2));
            logs.push(ChainLog { block: number, block_hash: hash, tx, log_index, log: Log { address, data } });
        }
        blocks.push(Block { header, logs, txs, meters: filling.meters });
        result
    }

    /// Drops the newest blocks.
    pub fn cut(&self, depth: usize) {
        let mut blocks = self.blocks();
        let keep = blocks.len() - depth;
        blocks.truncate(keep);
    }

    pub fn len(&self) -> usize {
        self.blocks().len()
    }

    pub fn link(&self, worker: Address) -> Link {
        self.blocks().last().unwrap().meters[&worker].link
    }

    fn tx(&self, hash: B256) -> Option<(ChainTx, Way)> {
        self.blocks().iter().find_map(|block| block.txs.get(&hash).cloned())
    }
}

/// A block that is being filled.
pub struct Filling {
    number: u64,
    salt: Vec<u8>,
    meters: BTreeMap<Address, Sim>,
    /// Emitter, log, and transaction: its number, input and way.
    said: Vec<(Address, LogData, (u64, Bytes, Way))>,
}

impl Filling {
    fn say(&mut self, address: Address, data: LogData, input: Bytes, way: Way) {
        self.salt.extend_from_slice(&data.data);
        let position = self.said.len() as u64;
        self.said.push((address, data, (position, input, way)));
    }

    pub fn event(&mut self, address: Address, data: LogData) {
        self.say(address, data, Bytes::new(), Way::Direct);
    }

    /// Makes this fork another one.
    pub fn salt(&mut self, salt: u8) {
        self.salt.push(salt);
    }

    pub fn register(&mut self, worker: Address, key_seed: u8, today: u16) {
        self.register_at(worker, key_seed, today, SITE);
    }

    pub fn register_at(&mut self, worker: Address, key_seed: u8, today: u16, site: (i16, i16)) {
        let public = key(key_seed).public();
        let data = IEnergyLedger::MeterRegistered {
            worker,
            keyHash: public.hash(),
            keyX: public.x,
            keyY: public.y,
            nameplateWatts: WATTS,
            country: FixedBytes(*b"US"),
            latitudeDecidegrees: site.0,
            longitudeDecidegrees: site.1,
            fromDay: today,
        };
        self.event(CONTRACTS.ledger, data.encode_log_data());
        self.meters.insert(worker, Sim { key: key_seed, day: today - 1, ..Sim::default() });
    }

    pub fn replace_key(&mut self, worker: Address, key_seed: u8, from_day: u16) {
        let sim = self.meters[&worker].clone();
        let data = IEnergyLedger::KeyReplaced {
            worker,
            oldKeyHash: key(sim.key).public().hash(),
            newKeyHash: key(key_seed).public().hash(),
            liableUntil: alloy::primitives::aliases::U40::from(u64::from(from_day + 30) * DAY_SECS),
        };
        self.event(CONTRACTS.ledger, data.encode_log_data());
        self.register(worker, key_seed, from_day);
        self.meters.insert(worker, Sim { key: key_seed, ..sim });
    }

    pub fn submit(&mut self, worker: Address, counts: &Counts) -> SignedRecord {
        self.submit_by(worker, counts, Way::Direct)
    }

    pub fn submit_by(&mut self, worker: Address, counts: &Counts, way: Way) -> SignedRecord {
        let sim = self.meters.get_mut(&worker).unwrap();
        (sim.day, sim.sequence) = (sim.day + 1, sim.sequence + 1);
        sim.counter_wh += u64::from(counts.sum_wh());
        let record = Record {
            worker,
            sequence: sim.sequence,
            day: sim.day,
            counter_epoch: 0,
            counter_wh: sim.counter_wh,
            body: Body::Production(Box::new(*counts)),
        };
        let data = IEnergyLedger::DayRecorded {
            worker,
            day: record.day,
            productionWh: counts.sum_wh(),
            consumptionWh: 192,
            windowNetWh: I48::try_from(i64::from(counts.sum_wh()) - 192).unwrap(),
        };
        self.record(record, data.encode_log_data(), way)
    }

    pub fn gap(&mut self, worker: Address, days: u16) {
        let sim = self.meters.get_mut(&worker).unwrap();
        let first = sim.day + 1;
        (sim.day, sim.sequence) = (sim.day + days, sim.sequence + u32::from(days));
        let (sequence, day, counter_wh) = (sim.sequence, sim.day, sim.counter_wh);
        let record = Record { worker, sequence, day, counter_epoch: 0, counter_wh, body: Body::Gap };
        let data = IEnergyLedger::GapRecorded { worker, lastDay: day, firstDay: first, windowNetWh: I48::ZERO };
        self.record(record, data.encode_log_data(), Way::Direct);
    }

    fn record(&mut self, record: Record, data: LogData, way: Way) -> SignedRecord {
        let sim = self.meters.get_mut(&record.worker).unwrap();
        let previous = sim.link;
        let signed = record.sign(&key(sim.key), CONTRACTS.chain_id, CONTRACTS.ledger, previous).unwrap();
        sim.link = Record::link_of(record.digest(CONTRACTS.chain_id, CONTRACTS.ledger, previous).unwrap());
        sim.links.insert(record.day, sim.link);
        let input = IEnergyLedger::submitCall { signedRecord: signed.pack().unwrap().into() }.abi_encode();
        self.say(CONTRACTS.ledger, data, input.into(), way);
        signed
    }

    pub fn struck(&mut self, worker: Address, day: u16, digests: [B256; 2]) {
        let half = U256::from(50);
        let [digest_a, digest_b] = digests;
        let data = IEnergyLedger::Equivocated {
            worker,
            day,
            reporter: Address::ZERO,
            reward: half,
            burned: half,
            digestA: digest_a,
            digestB: digest_b,
        };
        self.event(CONTRACTS.ledger, data.encode_log_data());
    }

    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl ChainSource for MeterChain {
    async fn head(&self) -> Result<Header, SourceError> {
        Ok(self.blocks().last().unwrap().header)
    }

    async fn header(&self, number: u64) -> Result<Option<Header>, SourceError> {
        Ok(self.blocks().get(number as usize).map(|block| block.header))
    }

    async fn logs_of_block(&self, hash: B256) -> Result<Vec<ChainLog>, SourceError> {
        let blocks = self.blocks();
        Ok(blocks.iter().find(|block| block.header.hash == hash).unwrap().logs.clone())
    }

    async fn logs_of_range(&self, from: u64, to: u64) -> Result<Vec<ChainLog>, SourceError> {
        Ok(self.blocks()[from as usize..=to as usize].iter().flat_map(|block| block.logs.clone()).collect())
    }

    async fn transaction(&self, hash: B256) -> Result<Option<ChainTx>, SourceError> {
        Ok(self.tx(hash).map(|(tx, _)| tx))
    }

    async fn submitted_within(&self, hash: B256, ledger: Address) -> Result<Result<Vec<Bytes>, String>, SourceError> {
        assert_eq!(ledger, CONTRACTS.ledger);
        let (tx, way) = self.tx(hash).unwrap();
        match way {
            Way::Traced => Ok(Ok(vec![Bytes::from_static(b"rubbish"), tx.input])),
            Way::Untraced => Ok(Err("the node does not trace: no such method".to_owned())),
            Way::Direct => panic!("{hash} needs no trace"),
            Way::Broken => Err(SourceError::Unavailable { doing: "tracing".into(), reason: "too large".into() }),
        }
    }

    async fn link_of(&self, _: Address, worker: Address, day: u16, block: B256) -> Result<Option<Link>, SourceError> {
        let blocks = self.blocks();
        let block = blocks.iter().find(|at| at.header.hash == block).unwrap();
        Ok(block.meters[&worker].links.get(&day).copied())
    }
}
