//! Counters over restarts, resets and kills.
#![allow(clippy::unwrap_used)]
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use sunwork_energy::{
    sensors::{Flow, Sensor, counter::Step, ina228::Ina228},
    sim::{
        bus::{Shared, SimBus, lock, shared},
        ina228::SimIna228,
    },
    units::{MicroAmps, MicroVolts},
};

use super::*;
use crate::energy::store::Store;

const DEVICE: &str = "ina228 production at /dev/i2c-1 0x45";
const CHILD: &str = "SUNWORK_TEST_COUNTERS_CHILD";
const MOST_WATTS: u32 = 200;

/// A worker's run: what is in memory, and lost when it is killed.
struct Run {
    driver: Ina228<SimBus>,
    begun: i64,
    saved_at: i64,
    clock_set: bool,
}

/// A chip that lives on beside runs of the worker.
struct Bench {
    bus: SimBus,
    chip: Shared<SimIna228>,
    store: Store,
    now: i64,
}

impl Bench {
    fn run(&self, clock_set: bool) -> Run {
        let (begun, saved_at) = (self.now, self.now);
        let now = Stamp { mono: MonoMillis(0), unix: clock_set.then_some(UnixSeconds(self.now)) };
        let counter = self.store.counters(0).resumed(DEVICE, now);
        let driver =
            Ina228::new(self.bus.clone(), 0x45, Flow::Production, 10_000, 16_384, MOST_WATTS, counter).unwrap();
        Run { driver, begun, saved_at, clock_set }
    }

    fn pass(&mut self, seconds: i64, watts: i64) {
        let (volts, current) = (MicroVolts(18_000_000), MicroAmps(watts * 1_000_000 / 18));
        lock(&self.chip).run(MonoMillis(seconds * 1000), volts, current);
        self.now += seconds;
    }

    fn stamp(&self, run: &Run) -> Stamp {
        let mono = MonoMillis((self.now - run.begun) * 1000);
        Stamp { mono, unix: run.clock_set.then_some(UnixSeconds(self.now)) }
    }

    /// As the rim does: a look, then the counter to the disk at a new epoch and each quarter hour.
    fn look(&self, run: &mut Run) {
        let at = self.stamp(run);
        run.driver.poll(at);
        let standing = run.driver.counter();
        let left = self.store.counters(0);
        let epoch = left.get(DEVICE).map(EpochCounter::epoch);
        if epoch != Some(standing.epoch()) || self.now - run.saved_at >= 900 {
            let mut counters = left;
            counters.take(at, std::iter::once((DEVICE.to_owned(), standing.clone())));
            self.store.save_counters(&counters).unwrap();
            run.saved_at = self.now;
        }
    }

    fn raw(&self, run: &mut Run) -> u128 {
        u128::from(run.driver.energy_counts().unwrap())
    }
}

/// Ten weeks of a chip whose worker is killed at any moment, and which is itself reset at any moment, while the worker runs or not;
/// the clock may be unset at start. What was counted is, to the count, what the chip showed last of each of its lives to a worker
/// that lived to write it down (or still lives).
#[test]
fn over_kills_and_resets_the_sum_is_what_the_chip_showed_and_each_reset_is_one_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let bus = SimBus::new(1);
    let chip = shared(SimIna228::new(10_000));
    bus.attach(0x45, chip.clone());
    let store = Store::open(dir.path(), false).unwrap();
    let mut bench = Bench { bus, chip, store, now: 1_780_272_000 };
    let mut rng = StdRng::seed_from_u64(11);
    let mut run = bench.run(true);
    bench.look(&mut run);
    let (mut ended, mut resets, mut kills, mut unset, mut was_reset) = (0_u128, 0_u32, 0, 0, false);
    for _ in 0..6_000 {
        let watts = rng.random_range(0..150);
        bench.pass(10, watts);
        if rng.random_bool(0.002) {
            // Of the life that ends here counts what was seen of it.
            ended = run.driver.counter().total();
            lock(&bench.chip).power_cycle();
            resets += 1;
            was_reset = true;
        }
        if rng.random_bool(0.01) {
            kills += 1;
            let away = rng.random_range(0..7_200);
            bench.pass(away, watts);
            let clock_set = rng.random_bool(0.7);
            unset += u32::from(!clock_set);
            run = bench.run(clock_set);
            if was_reset {
                // What was seen and not written down is lost with the worker.
                ended = run.driver.counter().total();
            }
            bench.look(&mut run);
            // Without a clock the second look believes the first.
            bench.pass(10, watts);
        }
        bench.look(&mut run);
        was_reset = false;
        run.clock_set = true;
        let shown = bench.raw(&mut run);
        assert_eq!(run.driver.counter().total(), ended + shown, "{kills} kills, {resets} resets");
        assert_eq!(run.driver.counter().epoch(), resets);
    }
    println!("{kills} kills ({unset} with the clock unset), {resets} resets, {} counts", ended);
    assert!(kills > 40 && resets > 5 && unset > 10);
}

#[test]
fn a_clock_that_went_back_holds_the_first_reading_and_a_lost_file_begins_anew() {
    let mut counter = EpochCounter::default();
    counter.observe(1_000, MonoMillis(0), 100);
    counter.observe(2_000, MonoMillis(60_000), 100);
    let saved = Stamp { mono: MonoMillis(61_000), unix: Some(UnixSeconds(1_780_272_000)) };
    let mut counters = Counters::default();
    counters.take(saved, std::iter::once((DEVICE.to_owned(), counter)));
    let hour_later = Stamp { mono: MonoMillis(5_000), unix: Some(UnixSeconds(1_780_272_000 + 3_600)) };
    let mut known = counters.resumed(DEVICE, hour_later);
    assert_eq!(known.observe(300_000, MonoMillis(6_000), 100), Step::Grew(298_000));
    let mut too_much = counters.resumed(DEVICE, hour_later);
    assert!(matches!(too_much.observe(500_000, MonoMillis(6_000), 100), Step::Implausible(_)));
    let an_hour_before = Stamp { unix: Some(UnixSeconds(1_780_272_000 - 3_600)), ..hour_later };
    let mut unknown = counters.resumed(DEVICE, an_hour_before);
    assert_eq!(unknown.observe(300_000, MonoMillis(6_000), 100), Step::Held);
    assert_eq!(unknown.observe(300_010, MonoMillis(7_000), 100), Step::Grew(298_010));
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), false).unwrap();
    std::fs::write(dir.path().join("energy/counters.json"), "{\"ina").unwrap();
    assert_eq!(store.counters(7), Counters::default());
    assert!(dir.path().join("energy/counters.json.corrupt-7").exists());
}

/// The process that is killed: counts and saves as fast as it can, and says what is on the disk.
#[test]
#[ignore = "started by the test below"]
fn child() {
    let Some(data) = std::env::var_os(CHILD) else { return };
    let store = Store::open(data.as_ref(), false).unwrap();
    let mut counters = store.counters(0);
    let mut counter = counters.resumed(DEVICE, Stamp::dated(UnixSeconds(1_780_272_000)));
    if counter == EpochCounter::default() {
        counter.observe(0, MonoMillis(0), u64::MAX);
    }
    // One count a save: sum and reading are the same number.
    for raw in u64::try_from(counter.total()).unwrap() + 1.. {
        let at = Stamp::dated(UnixSeconds(1_780_272_000));
        counter.observe(raw, at.mono, u64::MAX);
        counters.take(at, std::iter::once((DEVICE.to_owned(), counter.clone())));
        store.save_counters(&counters).unwrap();
        println!("saved {raw}");
    }
}

#[test]
fn a_process_that_is_killed_while_it_saves_leaves_a_whole_file_and_loses_nothing_that_it_saved() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(5);
    let (mut last, mut kills_in_use) = (0_u128, 0);
    for _ in 0..20 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", "--nocapture", "energy::sensors::counters::tests::child"]);
        command.env(CHILD, dir.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut said = 0;
        let saved = |line: &str| line.split("saved ").nth(1).and_then(|number| number.parse::<u128>().ok());
        while said == 0 {
            said = saved(&lines.next().unwrap().unwrap()).unwrap_or(0);
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..20_000)));
        process.kill().unwrap();
        process.wait().unwrap();
        said = lines.map_while(Result::ok).filter_map(|line| saved(&line)).last().unwrap_or(said);
        let store = Store::of(dir.path(), false);
        let total = store.counters(0).get(DEVICE).unwrap().total();
        assert!(total >= said && total <= said + 1, "{total} on the disk, {said} said");
        kills_in_use += u32::from(total > last + 1);
        last = total;
    }
    assert!(kills_in_use > 10, "it did save between the kills: {kills_in_use}");
    assert_eq!(
        std::fs::read_dir(dir.path().join("energy"))
            .unwrap()
            .filter(|f| { f.as_ref().unwrap().file_name().to_string_lossy().contains("corrupt") })
            .count(),
        0
    );
}
