//! Where looks come from: devices and the machine's clock, or a simulated site with a clock of its own.
use std::{path::Path, time::Instant};

use eyre::WrapErr;
use sunwork_energy::{
    forecast::{harvest::Site, state::EARLIEST},
    keeper::{Plant, Reading, Row, Waking},
    sensors::{Clock, Stamp},
    sim::{
        rig::{HISTORY_DAYS, Rig},
        scenario::Scenario,
    },
    units::{MonoMillis, UnixSeconds},
};

use super::{
    sensors::{Counters, SensorSpec, Sensors},
    settings::{EnergyLayer, EnergySettings, From},
    store::Store,
    wake::{Nothing, Waker},
};
use crate::clock;

/// Longest step of a simulated site between two looks, seconds.
const STEP_SECONDS: i64 = 60;
/// Most looks that are caught up at a time.
const MAX_LOOKS: i64 = 600;
/// Looks of a simulated site between which nothing is decided: whoever decides to sleep must not find himself hours later.
const LOOKS_AT_ONCE: i64 = 5;
const MAKING: &str = "making the folder of the energy";
/// Longest time for which a simulation that was down is caught up, seconds.
const MAX_DOWN_SECONDS: i64 = 40 * 86_400;
/// Largest description or trace that is read.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// One look at everything.
pub struct Look {
    /// When.
    pub at: Stamp,
    /// What the sensors said.
    pub readings: Vec<Reading>,
    /// A planned sleep ended just before, after so many seconds.
    pub slept: Option<i64>,
}

/// The source.
pub enum Source {
    /// Devices.
    Real(Box<Real>),
    /// A simulated site.
    Simulated(Box<Simulated>),
}

/// How often the counters of the devices are saved.
const COUNTERS_EVERY: MonoMillis = MonoMillis(900_000);

/// Devices.
pub struct Real {
    sensors: Sensors,
    clock: Clock,
    begun: Instant,
    store: Store,
    /// As they are on the disk, and since when.
    saved: (MonoMillis, Counters),
    last: Stamp,
}

impl Real {
    fn open(settings: &EnergySettings, specs: &[SensorSpec], store: Store) -> Self {
        let left = store.counters(clock::now().as_second());
        let place = match settings.plant.site {
            Site::At(place) => Some(place),
            Site::Longitude(_) => None,
        };
        let sensors = Sensors::new(specs.to_vec(), settings.panel_wp, place, left.clone());
        let (clock, begun, saved) = (Clock::new(EARLIEST), Instant::now(), (MonoMillis(0), left));
        Self { sensors, clock, begun, store, saved, last: Stamp::default() }
    }

    fn look(&mut self) -> Look {
        let mono = MonoMillis(i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX));
        self.look_at(mono, UnixSeconds(clock::now().as_second()))
    }

    /// A look when the machine's clocks say so.
    fn look_at(&mut self, mono: MonoMillis, unix: UnixSeconds) -> Look {
        let at = self.clock.stamp(mono, unix);
        let readings = self.sensors.look(at);
        self.last = at;
        let standing = self.sensors.counters(at);
        // A new epoch is on the disk before anything is counted in it.
        if standing.epochs() != self.saved.1.epochs() || at.mono - self.saved.0 >= COUNTERS_EVERY {
            self.save(standing);
        }
        Look { at, readings, slept: None }
    }

    fn save(&mut self, standing: Counters) {
        match self.store.save_counters(&standing) {
            Ok(()) => self.saved = (self.last.mono, standing),
            Err(error) => tracing::warn!(%error, "cannot write the counters of the sensors down"),
        }
    }
}

/// A simulated site.
pub struct Simulated {
    rig: Rig,
    speed: i64,
    last: Instant,
    /// Simulated seconds that have come together.
    due_ms: i64,
    /// Most that may come together; what is more is dropped, unless a chain keeps up.
    most_due_ms: i64,
    asleep_since: Option<i64>,
    cpu_permille: u32,
}

/// What a source brings with it.
pub struct Opened {
    /// The source.
    pub source: Source,
    /// Where its history is.
    pub store: Store,
    /// The plant, as the source knows it.
    pub plant: Plant,
    /// History of the days before, of a simulated site.
    pub history: Vec<Row>,
    /// Charge at the start, per mille, where it is known.
    pub charge_permille: Option<i64>,
    /// Time of a simulation now, and its speed.
    pub simulated: Option<(UnixSeconds, u32)>,
    /// It goes on over restarts, and the chain's clock with it.
    pub anchored: bool,
}

impl Source {
    /// Opens what the settings name. Sensors that are not there are no error: they are tried again, and named.
    ///
    /// # Errors
    /// A simulation that cannot be read, or a folder that cannot be made.
    pub fn open(settings: &EnergySettings, data: &Path) -> eyre::Result<Opened> {
        match &settings.from {
            From::Sensors(specs) => {
                let (plant, history) = (settings.plant, Vec::new());
                let store = Store::open(data, false).wrap_err(MAKING)?;
                let source = Self::Real(Box::new(Real::open(settings, specs, store.clone())));
                Ok(Opened { source, store, plant, history, charge_permille: None, simulated: None, anchored: false })
            }
            From::Simulation { file, speed } => Self::simulate(settings, data, file, *speed),
        }
    }

    fn simulate(settings: &EnergySettings, data: &Path, file: &Path, speed: u32) -> eyre::Result<Opened> {
        let text = read(file).wrap_err_with(|| format!("reading the simulation {}", file.display()))?;
        let doing = || format!("the simulation {}", file.display());
        let (scenario, recorded) = if text.trim_start().starts_with('{') {
            let scenario: Scenario = serde_json::from_str(&text).wrap_err_with(doing)?;
            let trace = match &scenario.trace {
                None => None,
                Some(trace) => {
                    let path = file.parent().unwrap_or_else(|| Path::new(".")).join(trace);
                    Some(read(&path).wrap_err_with(|| format!("reading the trace {}", path.display()))?)
                }
            };
            (scenario, trace)
        } else {
            (of_trace(settings, &text).wrap_err_with(doing)?, Some(text.clone()))
        };
        let plant = Rig::plant(&scenario, MonoMillis(STEP_SECONDS * 5000));
        let history = Rig::history(&scenario, recorded.as_deref()).wrap_err_with(doing)?;
        let anchored = scenario.began_unix_ms.is_some();
        let store = if anchored { Store::go_on(data, &text) } else { Store::open(data, true) }.wrap_err(MAKING)?;
        let now = scenario.anchored_now(unix_ms(), speed.into()).unwrap_or(scenario.start);
        // What the board knew when it was last up is as near as anybody comes to the charge of a battery that is none.
        let memory = store.load(unix_ms() / 1000).memory.filter(|_| anchored);
        let saved = memory.and_then(|memory| {
            let permille = memory.charge.estimate().permille.clamp(0, 1000);
            Some((memory.saved_at.filter(|at| *at <= now)?, u16::try_from(permille).ok()?))
        });
        let (since, charge) = saved.unwrap_or((now, scenario.charge_permille));
        let mut rig = Rig::at(&scenario, recorded.as_deref(), since, charge).wrap_err_with(doing)?;
        rig.advance((now.0 - since.0).min(MAX_DOWN_SECONDS));
        // A first look sets the chips up; the next has figures.
        rig.readings(rig.now());
        let simulated = Simulated {
            rig,
            speed: i64::from(speed),
            last: Instant::now(),
            due_ms: STEP_SECONDS * 1000,
            most_due_ms: if anchored { i64::MAX } else { MAX_LOOKS * STEP_SECONDS * 1000 },
            asleep_since: None,
            cpu_permille: 0,
        };
        Ok(Opened {
            source: Self::Simulated(Box::new(simulated)),
            store,
            plant,
            history,
            // One that goes on has its own memory.
            charge_permille: saved.is_none().then_some(i64::from(scenario.charge_permille)),
            simulated: Some((now, speed)),
            anchored,
        })
    }

    /// Looks; a simulated site may have several looks to catch up, or none while it sleeps.
    pub fn look(&mut self) -> Vec<Look> {
        match self {
            Self::Real(real) => vec![real.look()],
            Self::Simulated(simulated) => simulated.look(),
        }
    }

    /// Writes down what the devices counted, before the board sleeps or the worker ends.
    pub fn save(&mut self) {
        if let Self::Real(real) = self {
            let standing = real.sensors.counters(real.last);
            real.save(standing);
        }
    }

    /// How many looks are due, at least one; of a simulation several, which [`Source::look`] gives a few at a time.
    #[must_use]
    pub fn due(&self) -> u64 {
        match self {
            Self::Real(_) => 1,
            Self::Simulated(simulated) => simulated.due(simulated.due_now()).max(1),
        }
    }

    /// Whether looks are left of what was due.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        matches!(self, Self::Simulated(simulated) if simulated.due(simulated.due_ms) > 0)
    }

    /// The use of the CPU, for the simulated board.
    pub const fn set_cpu(&mut self, permille: u32) {
        if let Self::Simulated(simulated) = self {
            simulated.cpu_permille = permille;
        }
    }

    /// Whether the board, if it is simulated, is switched off.
    #[must_use]
    pub const fn is_asleep(&self) -> bool {
        matches!(self, Self::Simulated(simulated) if simulated.asleep_since.is_some())
    }

    /// Switches a simulated board off; a real one is halted by the owner's command.
    pub fn halt_simulated(&mut self) -> bool {
        let Self::Simulated(simulated) = self else { return false };
        simulated.rig.site().halt();
        simulated.asleep_since = simulated.rig.now().unix.map(|now| now.0);
        true
    }
}

impl Waker for Source {
    fn waking(&mut self) -> Waking {
        match self {
            Self::Real(real) if !real.sensors.names_waker() => Nothing.waking(),
            Self::Real(real) => {
                let missing = || Waking::Failed("the Witty Pi of the settings cannot be opened".into());
                real.sensors.waker().map_or_else(missing, |waker| waker.waking())
            }
            Self::Simulated(simulated) => match simulated.rig.find_switch() {
                Ok(()) => Waking::Ready,
                Err(fault) => Waking::Failed(fault.to_string()),
            },
        }
    }

    fn set_wake(&mut self, at: UnixSeconds, now: UnixSeconds) -> Result<UnixSeconds, String> {
        match self {
            Self::Real(real) => match real.sensors.waker() {
                Some(waker) => waker.set_wake(at, now),
                None => Nothing.set_wake(at, now),
            },
            Self::Simulated(simulated) => {
                simulated.rig.set_wake(at).map(|set| set.alarm()).map_err(|error| error.to_string())
            }
        }
    }

    fn halting(&mut self) -> Result<(), String> {
        match self {
            Self::Real(real) => real.sensors.waker().map_or(Ok(()), Waker::halting),
            Self::Simulated(_) => Ok(()),
        }
    }
}

impl Simulated {
    fn due_now(&self) -> i64 {
        let passed = i64::try_from(self.last.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.due_ms.saturating_add(passed.saturating_mul(self.speed)).min(self.most_due_ms)
    }

    /// Whole steps in this time.
    fn due(&self, due_ms: i64) -> u64 {
        (due_ms / (STEP_SECONDS * 1000)).clamp(0, MAX_LOOKS).unsigned_abs()
    }

    fn look(&mut self) -> Vec<Look> {
        self.due_ms = self.due_now();
        self.last = Instant::now();
        let mut looks = Vec::new();
        let mut steps = 0;
        while self.due_ms >= 1000 && steps < LOOKS_AT_ONCE {
            steps += 1;
            let step = (self.due_ms / 1000).min(STEP_SECONDS);
            self.due_ms -= step * 1000;
            self.rig.site().set_cpu(self.cpu_permille);
            self.rig.advance(step);
            let now = self.rig.now();
            let mut slept = None;
            if !self.rig.site().board_on() {
                self.asleep_since = self.asleep_since.or(now.unix.map(|now| now.0));
                continue;
            }
            if let (Some(since), Some(now)) = (self.asleep_since.take(), now.unix) {
                self.rig.site().started();
                slept = Some(now.0 - since);
            }
            let readings = self.rig.readings(now);
            looks.push(Look { at: now, readings, slept });
        }
        looks
    }
}

/// Peak power of the panel, W, as far as the settings tell it: that of the simulated site where there is one.
///
/// # Errors
/// A simulation that cannot be read.
pub fn panel_wp(layer: &EnergyLayer) -> eyre::Result<Option<u32>> {
    let Some(file) = &layer.simulate else { return Ok(layer.energy_panel_wp) };
    let text = read(file).wrap_err_with(|| format!("reading the simulation {}", file.display()))?;
    if !text.trim_start().starts_with('{') {
        return Ok(layer.settle()?.map(|settled| settled.panel_wp));
    }
    let scenario: Scenario =
        serde_json::from_str(&text).wrap_err_with(|| format!("the simulation {}", file.display()))?;
    Ok(Some(scenario.panel_wp))
}

/// A plain trace drives the plant that the settings describe, from its beginning; one that is long enough gives its first days as
/// history.
fn of_trace(settings: &EnergySettings, text: &str) -> eyre::Result<Scenario> {
    let samples = sunwork_energy::trace::csv::parse(text)?;
    let (first, last) = (samples[0].start.0, samples[samples.len() - 1].start.0);
    let days = (last - first) / 86_400;
    let start = if days > HISTORY_DAYS + 5 { first + HISTORY_DAYS * 86_400 } else { first };
    let Site::At(place) = settings.plant.site else {
        eyre::bail!("the settings name no place");
    };
    let mut described = serde_json::json!({
        "start": start, "panel_wp": settings.panel_wp, "battery_wh": (settings.plant.capacity_wh().round() as i64),
        "latitude": place.latitude_degrees, "longitude": place.longitude_degrees,
    });
    described["board"] = serde_json::to_value(settings.plant.board)?;
    described["extra"] = serde_json::to_value(settings.plant.extra)?;
    Ok(serde_json::from_value(described)?)
}

fn unix_ms() -> i64 {
    clock::now().as_millisecond()
}

fn read(path: &Path) -> eyre::Result<String> {
    let size = std::fs::metadata(path)?.len();
    eyre::ensure!(size <= MAX_FILE_BYTES, "it has {size} bytes, expected at most {MAX_FILE_BYTES}");
    Ok(std::fs::read_to_string(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunwork_energy::{
        keeper::{Keeper, Start, Tick},
        sim::trace::{Sky, Trace},
    };

    fn open(name: &str, text: &str) -> eyre::Result<Opened> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        let layer = EnergyLayer { simulate: Some(file), simulate_speed: Some(3600), ..EnergyLayer::default() };
        Source::open(&layer.settle().unwrap().unwrap(), dir.path())
    }

    #[test]
    fn a_description_and_a_plain_trace_are_simulated_and_time_flies() {
        let json = r#"{"start":1780315200,"panel_wp":100,"battery_wh":384,"board":"pi4b"}"#;
        let lines: String = (0..600)
            .map(|i| format!("{},{}\n", jiff::Timestamp::from_second(1_780_272_000 + i * 900).unwrap(), i % 60))
            .collect();
        for (name, text) in [("site.json", json), ("sky.csv", lines.as_str())] {
            let Opened { mut source, charge_permille, simulated, .. } = open(name, text).unwrap();
            assert_eq!((charge_permille, simulated.map(|(_, speed)| speed)), (Some(800), Some(3600)));
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(source.due() >= 3, "{}", source.due());
            let mut looks = source.look();
            while source.is_behind() {
                looks.extend(source.look());
            }
            assert!(looks.len() >= 3, "{}", looks.len());
            assert!(looks.windows(2).all(|pair| pair[0].at.mono < pair[1].at.mono));
            assert_eq!(looks[0].readings.len(), 4);
            assert_eq!(source.waking(), Waking::Ready);
            let now = looks.last().unwrap().at.unix.unwrap();
            let wake = UnixSeconds(now.0 + 7200);
            assert_eq!(source.set_wake(wake, now), Ok(wake));
            assert!(source.halt_simulated() && source.is_asleep());
        }
    }

    #[test]
    fn a_simulated_panel_is_as_large_as_its_site_says_and_another_as_the_settings_say() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str, text: &str, watts: Option<u32>| {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            EnergyLayer { simulate: Some(file), energy_panel_wp: watts, ..EnergyLayer::default() }
        };
        let json = r#"{"start":1780315200,"panel_wp":150,"battery_wh":384,"board":"pi4b"}"#;
        assert_eq!(panel_wp(&layer("site.json", json, Some(70))).unwrap(), Some(150));
        let lines = "2026-06-01T00:00:00Z,5\n2026-06-01T00:15:00Z,5\n";
        assert_eq!(panel_wp(&layer("sky.csv", lines, Some(70))).unwrap(), Some(70));
        assert_eq!(panel_wp(&layer("sky.csv", lines, None)).unwrap(), Some(100), "as it is simulated");
        let real = EnergyLayer { energy_panel_wp: Some(70), ..EnergyLayer::default() };
        assert_eq!((panel_wp(&real).unwrap(), panel_wp(&EnergyLayer::default()).unwrap()), (Some(70), None));
        let missing = EnergyLayer { simulate: Some(dir.path().join("none.csv")), ..EnergyLayer::default() };
        assert!(format!("{:#}", panel_wp(&missing).unwrap_err()).contains("none.csv"));
    }

    /// The text of `examples/sky.csv`: made by the project's generator for the site that a plain trace drives where nothing is set.
    fn example_sky() -> String {
        let sky = Sky { latitude: 45.0, clearness: 0.6, panel_wp: 100, seed: 6 };
        let start = UnixSeconds(1_780_272_000);
        let trace = Trace::generate(&sky, start, 10);
        let line = |quarter: i64| {
            let at = UnixSeconds(start.0 + quarter * 900);
            let tenths = (trace.at(at).0 + 50) / 100;
            let time = jiff::Timestamp::from_second(at.0).unwrap();
            format!("{time},{}.{}\n", tenths / 10, tenths % 10)
        };
        // The last point of a trace is its end.
        "time,watts\n".to_owned() + &(0..10 * 96 - 1).map(line).collect::<String>()
    }

    #[test]
    fn the_example_sky_is_as_the_generator_made_it_and_fills_a_history() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/sky.csv");
        if std::env::var_os("SUNWORK_WRITE_EXAMPLES").is_some() {
            std::fs::write(&path, example_sky()).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text == example_sky(),
            "make it again: SUNWORK_WRITE_EXAMPLES=1 cargo test -p sunwork-worker example_sky"
        );
        assert!(text.len() < 30_000, "{}", text.len());

        // A day of it, minute by minute, as a worker looks at it.
        let Opened { source, plant, history, .. } = open("sky.csv", &text).unwrap();
        let Source::Simulated(mut simulated) = source else { panic!("a file is named") };
        let mut keeper = Keeper::new(plant, Start { rows: history, ..Start::default() });
        keeper.told(900, 10);
        let mut made = Vec::new();
        for _ in 0..24 * 60 {
            simulated.rig.advance(60);
            let at = simulated.rig.now();
            let readings = simulated.rig.readings(at);
            let outcome = keeper.look(Tick {
                at,
                readings: &readings,
                cpu_permille: 0,
                cpu_microseconds: 0,
                shares: Vec::new(),
                promises: &[],
                promises_known: true,
                waking: &Waking::Ready,
            });
            made.extend(outcome.row.map(|row| row.made.0));
        }
        assert!(made.len() >= 95, "{} quarter hours were written down", made.len());
        let (most, day) = (made.iter().max().unwrap() * 4, made.iter().sum::<i64>());
        assert!((20_000..=110_000).contains(&most), "the panel gave {most} mW at most");
        assert!((50_000..=1_000_000).contains(&day), "the panel made {day} mWh on the day");
    }

    #[test]
    fn a_file_that_is_none_is_named_with_its_line() {
        let error = format!("{:#}", open("sky.csv", "2026-06-01T00:00:00Z,5\nsoon,5\n").err().unwrap());
        assert!(error.contains("sky.csv") && error.contains("line 2"), "{error}");
        let error = format!("{:#}", open("site.json", "{\"start\": 5}").err().unwrap());
        assert!(error.contains("panel_wp"), "{error}");
    }

    /// A worker with a battery's sensor of the kernel's, and the keeper that its looks go to.
    fn real(data: &Path) -> (Box<Real>, Keeper) {
        let supply = data.join("supply");
        std::fs::create_dir_all(&supply).unwrap();
        std::fs::write(supply.join("voltage_now"), "13300000\n").unwrap();
        std::fs::write(supply.join("current_now"), "-500000\n").unwrap();
        let layer = EnergyLayer {
            energy_sensors: Some(vec![format!("power-supply battery {}", supply.display())]),
            energy_battery_wh: Some(384),
            energy_panel_wp: Some(100),
            energy_place: Some("52.4,4.9,10".into()),
            ..EnergyLayer::default()
        };
        let Opened { source, plant, .. } = Source::open(&layer.settle().unwrap().unwrap(), data).unwrap();
        let Source::Real(real) = source else { panic!("sensors are named") };
        let mut keeper = Keeper::new(plant, Start::default());
        keeper.told(900, 10);
        (real, keeper)
    }

    /// What is wrong after a look, whether it has a date, and whether anything may be promised.
    fn after(keeper: &mut Keeper, look: &Look) -> (bool, bool, bool) {
        let outcome = keeper.look(Tick {
            at: look.at,
            readings: &look.readings,
            cpu_permille: 0,
            cpu_microseconds: 0,
            shares: Vec::new(),
            promises: &[],
            promises_known: true,
            waking: &Waking::None,
        });
        let unset = outcome.troubles.iter().any(|trouble| trouble.name() == "clock_unset");
        (unset, look.at.unix.is_some(), keeper.gate().is_some())
    }

    const UNSET: (bool, bool, bool) = (true, false, false);
    const SET: (bool, bool, bool) = (false, true, true);

    #[test]
    fn a_clock_that_is_unset_or_jumps_is_named_and_believed_again_when_it_goes_steadily() {
        let dir = tempfile::tempdir().unwrap();
        let (mut real, mut keeper) = real(dir.path());
        let (now, hours) = (1_780_300_800, 3600);
        let mut look = |second: i64, unix: i64| {
            let look = real.look_at(MonoMillis(second * 1000), UnixSeconds(unix));
            after(&mut keeper, &look)
        };
        assert_eq!([look(0, 20), look(10, 30)], [UNSET; 2], "a board without a clock boots in 1970");
        assert_eq!(look(20, now + 20), SET, "network time came");
        assert_eq!([look(30, now + 5 * hours + 30), look(35, now + 5 * hours + 35)], [UNSET; 2], "five hours ahead");
        assert_eq!(look(45, now + 5 * hours + 45), SET);
        assert_eq!(look(55, now + 55), UNSET, "and back");
        assert_eq!(look(70, now + 70), SET);
    }

    /// As a process of its own, in which the worker's clock can be set.
    #[test]
    #[ignore = "started by the test below"]
    fn on_a_clock_of_its_own() {
        let Some(offset) = std::env::var_os("SUNWORK_TEST_CLOCK_OFFSET_FILE") else { return };
        let set = |seconds: i64| std::fs::write(&offset, seconds.to_string()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (mut real, mut keeper) = real(dir.path());
        let mut look = || after(&mut keeper, &real.look());
        set(-1_700_000_000);
        assert_eq!(look(), UNSET, "the worker's clock is what is read");
        set(0);
        assert_eq!(look(), SET);
        set(5 * 3600);
        assert_eq!(look(), UNSET);
        println!("the energy went by the worker's clock");
    }

    #[test]
    fn the_energy_goes_by_the_workers_clock() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", "--nocapture", "energy::source::tests::on_a_clock_of_its_own"]);
        let output = command.env("SUNWORK_TEST_CLOCK_OFFSET_FILE", dir.path().join("offset")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("went by the worker's clock"), "{output:?}");
    }
}
