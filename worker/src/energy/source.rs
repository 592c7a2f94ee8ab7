//! Where looks come from: devices and the machine's clock, or a simulated site with a clock of its own.
use std::{
    path::Path,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use eyre::WrapErr;
use sunwork_energy::{
    forecast::state::EARLIEST,
    keeper::{Plant, Reading, Row, Waking},
    sensors::{Clock, Stamp},
    sim::{
        rig::{HISTORY_DAYS, Rig},
        scenario::Scenario,
    },
    units::{MonoMillis, UnixSeconds},
};

use super::{
    sensors::Sensors,
    settings::{EnergySettings, From},
    store::Store,
    wake::{Nothing, Waker},
};

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
    Real(Real),
    /// A simulated site.
    Simulated(Box<Simulated>),
}

/// Devices.
pub struct Real {
    sensors: Sensors,
    clock: Clock,
    begun: Instant,
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
                let sensors = Sensors::new(specs.clone(), settings.panel_wp);
                let source = Self::Real(Real { sensors, clock: Clock::new(EARLIEST), begun: Instant::now() });
                let (plant, history) = (settings.plant, Vec::new());
                let store = Store::open(data, false).wrap_err(MAKING)?;
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
            Self::Real(real) => {
                let mono = MonoMillis(i64::try_from(real.begun.elapsed().as_millis()).unwrap_or(i64::MAX));
                let at = real.clock.stamp(mono, UnixSeconds(jiff::Timestamp::now().as_second()));
                vec![Look { at, readings: real.sensors.look(at), slept: None }]
            }
            Self::Simulated(simulated) => simulated.look(),
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
            Self::Real(real) if !real.sensors.names_witty() => Nothing.waking(),
            Self::Real(real) => {
                let missing = || Waking::Failed("the Witty Pi 4 of the settings cannot be opened".into());
                real.sensors.witty().map_or_else(missing, Waker::waking)
            }
            Self::Simulated(simulated) => match simulated.rig.find_switch() {
                Ok(()) => Waking::Ready,
                Err(fault) => Waking::Failed(fault.to_string()),
            },
        }
    }

    fn set_wake(&mut self, at: UnixSeconds, now: UnixSeconds) -> Result<UnixSeconds, String> {
        match self {
            Self::Real(real) => match real.sensors.witty() {
                Some(witty) => witty.set_wake(at, now),
                None => Nothing.set_wake(at, now),
            },
            Self::Simulated(simulated) => {
                simulated.rig.set_wake(at).map(|set| set.alarm()).map_err(|error| error.to_string())
            }
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

/// A plain trace drives the plant that the settings describe, from its beginning; one that is long enough gives its first days as
/// history.
fn of_trace(settings: &EnergySettings, text: &str) -> eyre::Result<Scenario> {
    let samples = sunwork_energy::trace::csv::parse(text)?;
    let (first, last) = (samples[0].start.0, samples[samples.len() - 1].start.0);
    let days = (last - first) / 86_400;
    let start = if days > HISTORY_DAYS + 5 { first + HISTORY_DAYS * 86_400 } else { first };
    let sunwork_energy::forecast::harvest::Site::At(place) = settings.plant.site else {
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
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn read(path: &Path) -> eyre::Result<String> {
    let size = std::fs::metadata(path)?.len();
    eyre::ensure!(size <= MAX_FILE_BYTES, "it has {size} bytes, expected at most {MAX_FILE_BYTES}");
    Ok(std::fs::read_to_string(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::energy::EnergyLayer;

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
    fn a_file_that_is_none_is_named_with_its_line() {
        let error = format!("{:#}", open("sky.csv", "2026-06-01T00:00:00Z,5\nsoon,5\n").err().unwrap());
        assert!(error.contains("sky.csv") && error.contains("line 2"), "{error}");
        let error = format!("{:#}", open("site.json", "{\"start\": 5}").err().unwrap());
        assert!(error.contains("panel_wp"), "{error}");
    }
}
