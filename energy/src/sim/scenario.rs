//! A whole simulated worker site from a description: what `sunwork-worker --simulate FILE` runs on.
use serde::{Deserialize, Serialize};

use super::bme280::SimBme280;
use super::bus::{Faults, Shared, SimBus, lock, shared};
use super::ina228::SimIna228;
use super::plant::{Plant, SimBattery};
use super::trace::{Sky, Trace, TraceError};
use super::vedirect::{LineFaults, SimCharger, over_line};
use super::wittypi4::SimWittyPi4;
use crate::sensors::vedirect::ChargeState;
use crate::sensors::{ChargerPhase, wittypi4};
use crate::units::{MicroAmps, MicroVolts, MilliVolts, MilliWatts, MonoMillis, UnixSeconds};
use crate::work::Board;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Where the devices sit on the bus.
pub mod address {
    /// INA228 at the panel.
    pub const PRODUCTION: u8 = 0x44;
    /// INA228 at the board's supply.
    pub const CONSUMPTION: u8 = 0x45;
    /// INA228 at the battery.
    pub const BATTERY: u8 = 0x46;
    /// BME280.
    pub const AIR: u8 = 0x76;
}

/// All shunts of the simulated site, microohm.
pub const SHUNT_MICROOHM: u32 = 10_000;

/// Description of a site, as it stands in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Time at which the simulation begins, seconds since 1970.
    pub start: UnixSeconds,
    /// Days of generated sky.
    #[serde(default = "thirty")]
    pub days: u32,
    /// Peak power of the panel, W.
    pub panel_wp: u32,
    /// Battery, Wh at 12.8 V.
    pub battery_wh: u32,
    /// Charge at the start, per mille.
    #[serde(default = "eight_hundred")]
    pub charge_permille: u16,
    /// The board.
    pub board: Board,
    /// What camera and radio use besides, mW.
    #[serde(default)]
    pub extra: MilliWatts,
    /// Degrees north, for the generated sky.
    #[serde(default = "forty_five")]
    pub latitude: f64,
    /// Degrees east, of a recorded trace; the generated sky is at zero.
    #[serde(default)]
    pub longitude: f64,
    /// Mean part of the sun that the clouds leave, for the generated sky.
    #[serde(default = "six_tenths")]
    pub clearness: f64,
    /// The same seed gives the same site.
    #[serde(default)]
    pub seed: u64,
    /// Recorded trace of this panel instead of the generated sky: a file of `time,watts`, beside the description. Whoever reads the
    /// description reads it and gives its text to [`Site::new`].
    #[serde(default)]
    pub trace: Option<std::path::PathBuf>,
    /// Chance in a million that a transfer on the bus fails or is flipped, and that a byte on the serial line is.
    #[serde(default)]
    pub fault_ppm: u32,
    /// Real moment at which `start` is, milliseconds since 1970. With it the site's time runs on over restarts instead of beginning
    /// anew, and the chain's clock is taken to run with it: what a development chain that is driven as fast needs.
    #[serde(default)]
    pub began_unix_ms: Option<i64>,
}

impl Scenario {
    /// Time at the site at a real moment, where it is anchored; `speed` simulated seconds in a second.
    #[must_use]
    pub fn anchored_now(&self, unix_ms: i64, speed: i64) -> Option<UnixSeconds> {
        let passed = unix_ms.saturating_sub(self.began_unix_ms?).max(0);
        Some(UnixSeconds(self.start.0.saturating_add(passed.saturating_mul(speed) / 1000)))
    }
}

const fn thirty() -> u32 {
    30
}
const fn eight_hundred() -> u16 {
    800
}
const fn forty_five() -> f64 {
    45.0
}
const fn six_tenths() -> f64 {
    0.6
}

/// A running site: the bus and the serial line are given to the drivers, time is moved by the owner.
#[derive(Debug)]
pub struct Site {
    plant: Plant,
    bus: SimBus,
    production: Shared<SimIna228>,
    consumption: Shared<SimIna228>,
    battery: Shared<SimIna228>,
    air: Shared<SimBme280>,
    switch: Shared<SimWittyPi4>,
    serial: Vec<u8>,
    line: LineFaults,
    rng: StdRng,
    today_joule: (i64, f64),
    /// Real sensors never show the same digits for long.
    dither: u32,
    line_cut: bool,
}

impl Site {
    /// Builds a site; `recorded` replaces the generated sky by lines of `time,watts` of a panel of `panel_wp`.
    ///
    /// # Errors
    /// [`TraceError`] for a recorded trace that cannot be used.
    pub fn new(scenario: &Scenario, recorded: Option<&str>) -> Result<Self, TraceError> {
        Self::at(scenario, recorded, scenario.start, scenario.charge_permille)
    }

    /// The same site at a later time, with another charge.
    ///
    /// # Errors
    /// As [`Site::new`].
    pub fn at(
        scenario: &Scenario,
        recorded: Option<&str>,
        now: UnixSeconds,
        charge_permille: u16,
    ) -> Result<Self, TraceError> {
        let trace = match recorded {
            Some(text) => Trace::parse_csv(text, 1.0)?,
            None => {
                let (latitude, clearness, panel_wp, seed) =
                    (scenario.latitude, scenario.clearness, scenario.panel_wp, scenario.seed);
                Trace::generate(&Sky { latitude, clearness, panel_wp, seed }, scenario.start, scenario.days + 1)
            }
        };
        let part = f64::from(charge_permille.min(1000)) / 1000.0;
        let battery = SimBattery::new(f64::from(scenario.battery_wh) / 12.8, part);
        let plant = Plant::new(trace, battery, scenario.board, scenario.extra, now);
        let bus = SimBus::new(scenario.seed);
        let [production, consumption, battery] = [(); 3].map(|()| shared(SimIna228::new(SHUNT_MICROOHM)));
        let air = shared(SimBme280::new(&AIR_LOW, &AIR_HIGH));
        let vin = MilliVolts(plant.flows().battery.0 / 1000);
        let switch = shared(SimWittyPi4::new(now, vin));
        bus.attach(address::PRODUCTION, production.clone());
        bus.attach(address::CONSUMPTION, consumption.clone());
        bus.attach(address::BATTERY, battery.clone());
        bus.attach(address::AIR, air.clone());
        bus.attach(wittypi4::ADDRESS, switch.clone());
        lock(&switch).press_button();
        lock(&switch).pi_is_up();
        let ppm = scenario.fault_ppm;
        bus.set_faults(Faults { nack_ppm: ppm, flip_read_ppm: ppm, flip_write_ppm: ppm, ..Faults::default() });
        let line = LineFaults { flip_ppm: ppm, drop_ppm: ppm };
        let rng = StdRng::seed_from_u64(scenario.seed ^ 0x5EED);
        let serial = Vec::new();
        Ok(Self {
            plant,
            bus,
            production,
            consumption,
            battery,
            air,
            switch,
            serial,
            line,
            rng,
            today_joule: (0, 0.0),
            dither: 1,
            line_cut: false,
        })
    }

    /// The I2C bus; clones are the same bus.
    #[must_use]
    pub fn bus(&self) -> SimBus {
        self.bus.clone()
    }

    /// What came over the charger's serial line since the last call (a block every five seconds).
    pub fn serial(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.serial)
    }

    /// The charger's cable is pulled.
    pub const fn cut_line(&mut self) {
        self.line_cut = true;
    }

    /// The truth behind the sensors, for tests and for the demonstration's report.
    #[must_use]
    pub const fn plant(&self) -> &Plant {
        &self.plant
    }

    /// Whether the worker's board has power. While it has none the worker must not run; its bus is dead.
    #[must_use]
    pub fn board_on(&self) -> bool {
        lock(&self.switch).pi_on()
    }

    /// The worker's use of the CPU.
    pub const fn set_cpu(&mut self, permille: u32) {
        self.plant.set_cpu(permille);
    }

    /// The worker has halted the board: the switch cuts power and waits for its alarm.
    pub fn halt(&mut self) {
        lock(&self.switch).pi_halts();
    }

    /// The worker has started (after a wake): it signals so to the switch.
    pub fn started(&mut self) {
        lock(&self.switch).pi_is_up();
    }

    /// Lets time pass.
    pub fn advance(&mut self, seconds: i64) {
        let mut left = seconds;
        while left > 0 {
            self.plant.set_board(self.board_on());
            let passed = self.plant.step(left.min(5));
            left -= passed;
            let flows = self.plant.flows();
            let elapsed = MonoMillis(passed * 1000);
            let amps = |power: i64, volts: i64| MicroAmps(if volts > 0 { power * 1_000_000 / volts } else { 0 });
            self.dither = self.dither.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            let dither = i64::from(self.dither >> 16) % 2_001 - 1_000;
            let terminals = MicroVolts(flows.battery.0 + dither);
            let panel = MicroVolts((flows.panel.0 + dither).max(0));
            lock(&self.production).run(elapsed, panel, amps(flows.production.0, panel.0));
            lock(&self.consumption).run(elapsed, terminals, amps(flows.consumption.0, flows.battery.0));
            lock(&self.battery).run(elapsed, terminals, flows.current);
            lock(&self.air).convert(0x84510, 0x4f570, 0x5eb4);
            let vin = if self.plant.powered() { MilliVolts(flows.battery.0 / 1000) } else { MilliVolts(0) };
            lock(&self.switch).set_vin(vin, false);
            lock(&self.switch).advance(passed);
            let block = self.block();
            if self.serial.len() < 1 << 20 && !self.line_cut {
                self.serial.extend(over_line(&block, self.line, &mut self.rng));
            }
        }
    }

    fn block(&mut self) -> Vec<u8> {
        let flows = self.plant.flows();
        let (made, _) = self.plant.totals_joule();
        let day = self.plant.now().0 / 86_400;
        if self.today_joule.0 != day {
            self.today_joule = (day, made);
        }
        let state = match self.plant.phase() {
            ChargerPhase::Off | ChargerPhase::Other(_) => 0,
            ChargerPhase::Bulk => 3,
            ChargerPhase::Absorption => 4,
            ChargerPhase::Float => 5,
        };
        debug_assert!(!matches!(ChargeState::from(i64::from(state)), ChargeState::Unknown(_)));
        SimCharger {
            battery_mv: flows.battery.0 / 1000,
            battery_ma: flows.current.0 / 1000,
            panel_mv: flows.panel.0 / 1000,
            panel_w: (flows.production.0 + 500_000) / 1_000_000,
            load_ma: 0,
            state,
            total_10wh: (made / 36_000.0) as i64,
            today_10wh: ((made - self.today_joule.1) / 36_000.0) as i64,
        }
        .block()
    }
}

/// Trimming of a real BME280 (crates.io bme280-rs 0.4.1, tests).
const AIR_LOW: [u8; 26] = [
    0xb1, 0x6f, 0x2e, 0x6a, 0x32, 0x00, 0xe2, 0x8f, 0x0a, 0xd7, 0xd0, 0x0b, 0x75, 0x1f, 0xc5, 0xff, 0xf9, 0xff, 0xac,
    0x26, 0x0a, 0xd8, 0xbd, 0x10, 0x00, 0x4b,
];
const AIR_HIGH: [u8; 7] = [0x77, 0x01, 0x00, 0x12, 0x20, 0x03, 0x1e];
