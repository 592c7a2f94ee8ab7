//! A virtual panel, charge controller, battery and board: the truth that the simulated sensors measure.
use super::trace::Trace;
use crate::sensors::ChargerPhase;
use crate::units::{MicroAmps, MicroVolts, MicroWatts, MilliWatts, UnixSeconds};
use crate::work::Board;

/// A lithium iron phosphate battery with its imperfections.
#[derive(Clone, Copy, Debug)]
pub struct SimBattery {
    /// True capacity, Ah.
    pub capacity_ah: f64,
    /// True charge, Ah.
    pub charge_ah: f64,
    /// Part of what goes in that stays.
    pub efficiency: f64,
    /// Part of the capacity lost a day at 25 °C; doubles every 10 °C.
    pub leak_per_day: f64,
    /// Inner resistance, ohm.
    pub resistance: f64,
}

impl SimBattery {
    /// A good one, at a charge of one's part.
    #[must_use]
    pub const fn new(capacity_ah: f64, part: f64) -> Self {
        Self { capacity_ah, charge_ah: capacity_ah * part, efficiency: 0.995, leak_per_day: 0.001, resistance: 0.03 }
    }

    /// State of charge, of one.
    #[must_use]
    pub const fn part(&self) -> f64 {
        self.charge_ah / self.capacity_ah
    }

    /// Voltage at rest: flat between a tenth and nine tenths.
    #[must_use]
    pub fn open_volts(&self) -> f64 {
        const CURVE: [(f64, f64); 8] =
            [(0.0, 10.5), (0.05, 12.0), (0.1, 12.6), (0.2, 12.9), (0.7, 13.2), (0.9, 13.3), (0.98, 13.5), (1.0, 13.8)];
        let part = self.part().clamp(0.0, 1.0);
        let after = CURVE.partition_point(|(p, _)| *p < part).clamp(1, CURVE.len() - 1);
        let ((p0, v0), (p1, v1)) = (CURVE[after - 1], CURVE[after]);
        v0 + (v1 - v0) * (part - p0) / (p1 - p0)
    }

    /// Most current it takes: all up to nine tenths, then ever less, a twentieth of the capacity at 99 %.
    #[must_use]
    pub const fn acceptance(&self) -> f64 {
        5.0 * self.capacity_ah * (1.0 - self.part()).max(0.0)
    }

    /// Lets a current (A, positive = charging) flow for some hours at a temperature.
    pub fn flow(&mut self, amps: f64, hours: f64, celsius: f64) {
        let leak = self.leak_per_day * self.capacity_ah / 24.0 * ((celsius - 25.0) / 10.0).exp2();
        let stays = if amps > 0.0 { amps * self.efficiency } else { amps };
        self.charge_ah = (self.charge_ah + (stays - leak) * hours).clamp(0.0, self.capacity_ah);
    }
}

/// What flows now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flows {
    /// Taken from the panel (less than the sun gives when the battery is full).
    pub production: MicroWatts,
    /// Panel's voltage.
    pub panel: MicroVolts,
    /// Used by the board.
    pub consumption: MicroWatts,
    /// Battery's voltage.
    pub battery: MicroVolts,
    /// Into the battery.
    pub current: MicroAmps,
}

/// Panel, charger, battery and board.
#[derive(Clone, Debug)]
pub struct Plant {
    trace: Trace,
    /// The battery, open to tests.
    pub battery: SimBattery,
    board: Board,
    /// What camera and radio use besides the board.
    extra: MilliWatts,
    charger_efficiency: f64,
    now: UnixSeconds,
    cpu_permille: u32,
    board_on: bool,
    flows: Flows,
    phase: ChargerPhase,
    held_seconds: f64,
    made_joule: f64,
    used_joule: f64,
    unplanned_losses: u32,
}

/// Longest step of the model.
const STEP_SECONDS: i64 = 60;
const ABSORPTION_VOLTS: f64 = 14.2;
/// The battery's own protection opens here, and closes again at the next.
const CUT_OFF_PART: f64 = 0.02;
const SLEEPING: MilliWatts = MilliWatts(150);
const CELSIUS: f64 = 20.0;

impl Plant {
    /// A plant at a time.
    #[must_use]
    pub fn new(trace: Trace, battery: SimBattery, board: Board, extra: MilliWatts, now: UnixSeconds) -> Self {
        let mut plant = Self {
            trace,
            battery,
            board,
            extra,
            charger_efficiency: 0.95,
            now,
            cpu_permille: 0,
            board_on: true,
            flows: Flows::default(),
            phase: ChargerPhase::Off,
            held_seconds: 0.0,
            made_joule: 0.0,
            used_joule: 0.0,
            unplanned_losses: 0,
        };
        plant.flows = plant.compute();
        plant
    }

    /// Time.
    #[must_use]
    pub const fn now(&self) -> UnixSeconds {
        self.now
    }

    /// What flows.
    #[must_use]
    pub const fn flows(&self) -> Flows {
        self.flows
    }

    /// What the charger does.
    #[must_use]
    pub const fn phase(&self) -> ChargerPhase {
        self.phase
    }

    /// Energy made and used so far, joule, exact to the model.
    #[must_use]
    pub const fn totals_joule(&self) -> (f64, f64) {
        (self.made_joule, self.used_joule)
    }

    /// How often the board lost power without having been switched off.
    #[must_use]
    pub const fn unplanned_losses(&self) -> u32 {
        self.unplanned_losses
    }

    /// Whether the battery gives power at all (its protection is closed).
    #[must_use]
    pub fn powered(&self) -> bool {
        self.battery.part() > CUT_OFF_PART || self.flows.production.0 > 2_000_000
    }

    /// Sets the use of the CPU.
    pub const fn set_cpu(&mut self, permille: u32) {
        self.cpu_permille = permille;
    }

    /// Switches the board.
    pub const fn set_board(&mut self, on: bool) {
        self.board_on = on;
    }

    /// Lets at most a minute pass; returns how long it was.
    pub fn step(&mut self, seconds: i64) -> i64 {
        let seconds = seconds.clamp(0, STEP_SECONDS);
        let hours = seconds as f64 / 3600.0;
        self.flows = self.compute();
        self.battery.flow(self.flows.current.0 as f64 / 1e6, hours, CELSIUS);
        self.made_joule += self.flows.production.0 as f64 / 1e6 * seconds as f64;
        self.used_joule += self.flows.consumption.0 as f64 / 1e6 * seconds as f64;
        self.charger_phase(seconds as f64);
        if self.board_on && !self.powered() {
            self.unplanned_losses += 1;
            self.board_on = false;
        }
        self.now = self.now + UnixSeconds(seconds);
        seconds
    }

    fn compute(&self) -> Flows {
        let sun = self.trace.at(self.now).0 as f64 / 1000.0;
        let load = if !self.powered() {
            MilliWatts(0)
        } else if self.board_on {
            self.board.at(self.cpu_permille) + self.extra
        } else {
            SLEEPING
        };
        let load = load.0 as f64 / 1000.0;
        let rest = self.battery.open_volts();
        let wanted = (sun * self.charger_efficiency - load) / rest;
        let limit = self.battery.acceptance();
        let (amps, volts) =
            if wanted > limit { (limit, ABSORPTION_VOLTS) } else { (wanted, rest + wanted * self.battery.resistance) };
        let taken = ((amps * volts + load) / self.charger_efficiency).clamp(0.0, sun);
        Flows {
            production: MicroWatts((taken * 1e6) as i64),
            panel: MicroVolts(if sun > 0.0 { 18_000_000 } else { 0 }),
            consumption: MicroWatts((load * 1e6) as i64),
            battery: MicroVolts((volts.clamp(0.0, 14.6) * 1e6) as i64),
            current: MicroAmps((amps * 1e6) as i64),
        }
    }

    fn charger_phase(&mut self, seconds: f64) {
        let limited = self.flows.battery.0 as f64 / 1e6 >= ABSORPTION_VOLTS - 0.01;
        let tail = (self.flows.current.0 as f64) / 1e6 < self.battery.capacity_ah / 20.0;
        self.held_seconds = if limited && tail { self.held_seconds + seconds } else { 0.0 };
        self.phase = if self.flows.production.0 == 0 {
            ChargerPhase::Off
        } else if self.held_seconds >= 1800.0 {
            ChargerPhase::Float
        } else if limited {
            ChargerPhase::Absorption
        } else {
            ChargerPhase::Bulk
        };
    }
}
