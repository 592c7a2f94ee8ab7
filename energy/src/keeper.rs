//! Keeps a worker's energy: from readings, time and promises to a state with its reasons. Pure; whoever owns buses, clock and disk
//! brings them in.
//!
//! ```text
//!   readings ─► charge, harvest, use ─► quarter hours ([`row`]) ─► forecast ─► plan ─► [`mode`]: run, lower, pause, sleep
//!        └────► [`trouble`]: what is wrong, by name                    promises ─┘        └─► [`gate`]: what may be promised
//! ```
//!
//! - [`Memory`] is small and saved often, [`Learned`] is large and saved by the hour; rows replay what lies between
//! - [`state`]: what the owner is told
pub mod ahead;
pub mod gate;
mod memory;
pub mod mode;
mod plant;
mod readings;
pub mod row;
pub mod state;
pub mod trouble;
mod view;

pub use gate::{Denied, Gate};
pub use memory::{Learned, Memory, Start};
pub use mode::{Mode, Promise, Waking, Why};
pub use plant::Plant;
pub use readings::{Reading, SensorRow};
pub use row::Row;
pub use state::State;
pub use trouble::Trouble;

use readings::{Readings, Taken};
use row::ROW_SECONDS;

use crate::{
    charge::{Charge, ChargeState},
    forecast::{ForecastState, Forecaster},
    plan::Planner,
    sensors::{Stamp, guard::balanced, meter::EnergyMeter},
    trace::Sample,
    units::{MicroWattHours, MicroWatts, MilliWattHours, MilliWatts, MonoMillis, UnixSeconds},
    work::{Interval, Ledger, Share, Source},
};

/// How often the plan is asked anew, unless promises change.
const DECIDE_EVERY: MonoMillis = MonoMillis(60_000);
/// A charge from here on up makes the charger hold back.
const FULL_PERMILLE: i64 = 970;
/// A quarter hour with so much of it is curtailed.
const CURTAILED_SECONDS: i64 = 300;
/// Standard deviation of a charge that a device claims, per mille.
const CLAIMED_SIGMA_PERMILLE: i64 = 20;
/// Energy over which made and arrived are compared.
const BALANCE_OVER: MilliWattHours = MilliWattHours(20_000);
/// Longest sleep whose harvest is told by what the panel gave before and after it.
const GUESSED_SECONDS: i64 = 7200;
/// What of it reaches the battery.
const CHARGED_PERCENT: i64 = 90;
/// What charger and wires may lose, percent.
const LOSS_PERCENT: i64 = 25;

/// One look.
pub struct Tick<'a> {
    /// When.
    pub at: Stamp,
    /// What the sensors said.
    pub readings: &'a [Reading],
    /// Use of all cores since the last look, per mille.
    pub cpu_permille: u32,
    /// The same as CPU time.
    pub cpu_microseconds: u64,
    /// Leaves that ran since the last look.
    pub shares: Vec<Share>,
    /// Open agreements.
    pub promises: &'a [Promise],
    /// False until every open agreement was looked at.
    pub promises_known: bool,
    /// What can wake the board.
    pub waking: &'a Waking,
}

/// What a look led to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// A quarter hour that ended.
    pub row: Option<Row>,
    /// What to do now.
    pub mode: Mode,
    /// Why.
    pub why: Why,
    /// What is wrong.
    pub troubles: Vec<Trouble>,
}

/// The quarter hour that is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    start: i64,
    made: MilliWattHours,
    used: MilliWattHours,
    measured: MonoMillis,
    expected: MilliWattHours,
    low: MilliWattHours,
    curtailed: MonoMillis,
}

/// What went into the charger and what came out, since the last comparison, microwatt milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Balance {
    made: i128,
    arrived: i128,
    unbalanced: Option<(MilliWattHours, MilliWattHours)>,
}

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    plant: Plant,
    memory: Memory,
    /// Charge of before the restart, until the clock says how long ago that was.
    resting: Option<Charge>,
    forecaster: Forecaster,
    planner: Planner,
    made: EnergyMeter,
    used: EnergyMeter,
    readings: Readings,
    open: Option<Open>,
    last: Option<Stamp>,
    last_taken: Taken,
    balance: Balance,
    history_lost: Option<String>,
    decided: Option<(MonoMillis, Vec<Promise>, Mode, Why)>,
    gate: Option<Gate>,
    power: MilliWatts,
    source: Source,
    /// Seconds of a sleep whose harvest is not told yet.
    slept: Option<i64>,
}

impl Keeper {
    /// A keeper with what an earlier one left.
    #[must_use]
    pub fn new(plant: Plant, start: Start) -> Self {
        let (battery, board) = plant.plan();
        let Start { memory, learned, rows, history_lost } = start;
        let fitting = learned.filter(|learned| learned.fits(&plant));
        let since = fitting.as_ref().map_or(i64::MIN, |learned| learned.until.0);
        let (forecaster, planner) = match fitting {
            Some(learned) => (learned.forecaster, learned.planner),
            None => (Forecaster::new(plant.site), Planner::new(battery, board)),
        };
        let mut memory = memory.unwrap_or_else(|| Memory::new(&plant));
        let resting = if memory.charge.battery() == &plant.battery {
            let fresh = Charge::new(plant.battery);
            memory.saved_at.map(|_| std::mem::replace(&mut memory.charge, fresh))
        } else {
            memory.charge = Charge::new(plant.battery);
            None
        };
        let mut keeper = Self {
            made: EnergyMeter::production(plant.max_gap),
            used: EnergyMeter::consumption(plant.max_gap, MicroWatts(plant.full().0 * 1000)),
            plant,
            memory,
            resting,
            forecaster,
            planner,
            readings: Readings::default(),
            open: None,
            last: None,
            last_taken: Taken::default(),
            balance: Balance::default(),
            history_lost,
            decided: None,
            gate: None,
            power: plant.idle(),
            source: Source::Modelled { board: plant.board },
            slept: None,
        };
        rows.iter().filter(|row| row.start.0 >= since).for_each(|row| keeper.learn(row));
        keeper
    }

    /// Takes one look.
    pub fn look(&mut self, tick: Tick<'_>) -> Outcome {
        let at = tick.at;
        self.wake_up(at);
        let elapsed = self.last.map_or(MonoMillis(0), |last| at.mono - last.mono);
        let taken = self.readings.take(tick.readings);
        self.count(at, &taken, tick.cpu_permille, elapsed);
        self.account(&tick, elapsed, taken.made);
        self.last_taken = taken;
        let row = self.quarter(at, elapsed);
        let troubles = self.troubles(at, tick.waking);
        let (mode, why) = self.decide(&tick, &troubles);
        self.last = Some(at);
        Outcome { row, mode, why, troubles }
    }

    /// The board is about to sleep as planned. The quarter hour that is cut short is closed with the mode `sleep`: who reads the
    /// history knows that what is missing after it was slept.
    pub fn falls_asleep(&mut self) -> Option<Row> {
        self.memory.asleep = true;
        self.memory.made_before = self.last_taken.made;
        let closed =
            self.open.take().map(|open| Row { mode: Mode::Sleep { wake: UnixSeconds(0) }, ..self.close(&open) })?;
        self.learn(&closed);
        self.memory.day(&self.plant, &closed);
        Some(closed)
    }

    /// A planned sleep is over, in the same process (a simulated board): `seconds` were not measured.
    pub fn woke_up(&mut self, seconds: i64) {
        self.memory.asleep = false;
        self.memory.charge.slept(seconds, self.plant.sleep);
        self.slept = Some(seconds);
        self.made.restarted();
        self.used.restarted();
        self.balance = Balance { unbalanced: self.balance.unbalanced, ..Balance::default() };
        (self.last, self.open, self.decided) = (None, None, None);
    }

    /// What a restart needs at once.
    pub fn memory(&mut self) -> Memory {
        self.memory.saved_at = self.last.and_then(|last| last.unix).or(self.memory.saved_at);
        // Before the clock is set, what was before the restart is what counts.
        let charge = self.resting.clone().unwrap_or_else(|| self.memory.charge.clone());
        Memory { charge, ..self.memory.clone() }
    }

    /// What takes long to learn.
    #[must_use]
    pub fn learned(&self) -> Learned {
        Learned {
            plant: self.plant,
            until: UnixSeconds(self.memory.learned_until),
            forecaster: self.forecaster.clone(),
            planner: self.planner.clone(),
        }
    }

    /// Answers what may be promised; `None` while the clock is not set.
    #[must_use]
    pub const fn gate(&self) -> Option<&Gate> {
        self.gate.as_ref()
    }

    /// The plant that it keeps.
    #[must_use]
    pub const fn plant(&self) -> &Plant {
        &self.plant
    }

    /// Energy by agreement.
    pub const fn ledger(&mut self) -> &mut Ledger {
        &mut self.memory.ledger
    }

    /// Bounds the accounts: beyond so many those that used least are dropped, into the machine's own.
    pub fn forget_accounts(&mut self, most: usize) {
        let ledger = &mut self.memory.ledger;
        let mut all: Vec<(MilliWattHours, String)> =
            ledger.accounts().iter().map(|(agreement, account)| (account.total(), agreement.clone())).collect();
        all.sort_unstable();
        for (_, agreement) in all.iter().take(all.len().saturating_sub(most)) {
            if let Some(account) = ledger.close(agreement) {
                ledger.own = ledger.own + account.active + account.idle;
            }
        }
    }

    /// What somebody else knows of the charge.
    pub fn told(&mut self, permille: i64, sigma_permille: i64) {
        self.memory.charge.told(permille, sigma_permille);
        self.resting = None;
    }

    /// The forecaster and the planner, for tests and plots.
    #[must_use]
    pub const fn models(&self) -> (&Forecaster, &Planner) {
        (&self.forecaster, &self.planner)
    }

    /// After a restart the charge of before is taken up once the clock says how long ago that was.
    fn wake_up(&mut self, at: Stamp) {
        let (Some(now), Some(mut charge), Some(saved)) = (at.unix, self.resting.clone(), self.memory.saved_at) else {
            return;
        };
        let down = (now - saved).0;
        if down < 0 {
            // The clock of then was ahead: nobody knows for how long.
            charge.restarted(None);
        } else if self.memory.asleep {
            charge.slept(down, self.plant.sleep);
            self.slept = Some(down);
        } else {
            charge.restarted(Some(MonoMillis(down * 1000)));
        }
        (self.memory.charge, self.memory.asleep, self.resting) = (charge, false, None);
    }

    fn count(&mut self, at: Stamp, taken: &Taken, cpu_permille: u32, elapsed: MonoMillis) {
        match (&taken.battery, taken.claimed_permille) {
            (Some(sample), _) => self.memory.charge.take(sample),
            (None, Some(claimed)) => self.memory.charge.told(claimed, CLAIMED_SIGMA_PERMILLE),
            (None, None) => {}
        }
        if let Some(power) = taken.made {
            self.made.sample(at.mono, power);
            self.harvest_asleep(at, power);
        }
        let model = self.plant.modelled(cpu_permille);
        let (power, source) = match taken.used {
            Some(power) => (MilliWatts(power.0 / 1000), Source::Measured),
            None => (model, Source::Modelled { board: self.plant.board }),
        };
        (self.power, self.source) = (power, source);
        self.used.sample(at.mono, MicroWatts(power.0 * 1000));
        if let (Some(made), Some(battery)) = (taken.made, &taken.battery)
            && elapsed.0 > 0
            && elapsed <= self.plant.max_gap
        {
            let into = i128::from(battery.volts.0) * i128::from(battery.current.0) / 1000;
            self.balance.made += i128::from(made.0) * i128::from(elapsed.0);
            self.balance.arrived += (into + i128::from(power.0) * 1000) * i128::from(elapsed.0);
            self.compare();
        }
    }

    /// What the panel gave in a short sleep: between what it gave before and what it gives now. Without this a board that wakes by the
    /// hour to look would never see its battery fill.
    fn harvest_asleep(&mut self, at: Stamp, now: MicroWatts) {
        let (Some(seconds), Some(before)) = (self.slept.take(), self.memory.made_before.take()) else { return };
        let Some(unix) = at.unix.filter(|_| (1..=GUESSED_SECONDS).contains(&seconds)) else { return };
        let power = MilliWatts((before.0.max(0) + now.0.max(0)) / 2000);
        self.memory.charge.credit(MilliWattHours(power.over(seconds).0 * CHARGED_PERCENT / 100));
        let sample = Sample { start: UnixSeconds(unix.0 - seconds), seconds: seconds as u32, power };
        let _ = self.forecaster.observe(&sample);
    }

    fn compare(&mut self) {
        let mwh = |sum: i128| i64::try_from(sum / 3_600_000_000).unwrap_or(i64::MAX);
        let (made, arrived) = (mwh(self.balance.made), mwh(self.balance.arrived));
        if made.max(arrived) < BALANCE_OVER.0 {
            return;
        }
        let unbalanced = balanced(made, arrived, LOSS_PERCENT).err();
        let unbalanced = unbalanced.map(|_| (MilliWattHours(made), MilliWattHours(arrived)));
        self.balance = Balance { unbalanced, ..Balance::default() };
    }

    fn account(&mut self, tick: &Tick<'_>, elapsed: MonoMillis, made: Option<MicroWatts>) {
        let total = self.used.total();
        let used = total - std::mem::replace(&mut self.memory.counted_used, total);
        if elapsed.0 <= 0 || elapsed > self.plant.max_gap {
            // Nobody knows who ran in a gap: the machine bears it, so that the accounts go on summing to what was used.
            let own = &mut self.memory.ledger.own;
            *own = *own + MicroWattHours(used.0.max(0) * 1000);
            return;
        }
        self.memory.ledger.add(&Interval {
            used: MicroWattHours(used.0.max(0) * 1000),
            direct: self.straight_from_the_sun(used, made),
            milliseconds: elapsed.0,
            idle: self.plant.idle(),
            cpu_microseconds: tick.cpu_microseconds,
            source: self.source,
            shares: tick.shares.clone(),
        });
    }

    /// What of the energy just used the panel gave meanwhile: as much of it as the panel's power is of the board's, now. What is not
    /// measured counts as nothing; losses of charger and wires are left out.
    fn straight_from_the_sun(&self, used: MilliWattHours, made: Option<MicroWatts>) -> MicroWattHours {
        let made = made.map_or(0, |made| i128::from(made.0.max(0)));
        let power = i128::from(self.power.0.max(1)) * 1000;
        let used = i128::from(used.0.max(0)) * 1000;
        MicroWattHours(i64::try_from(used * made.min(power) / power).unwrap_or(0))
    }

    /// Closes the quarter hour that has ended and opens the next.
    fn quarter(&mut self, at: Stamp, elapsed: MonoMillis) -> Option<Row> {
        let Some(now) = at.unix else {
            self.open = None;
            return None;
        };
        let start = now.0.div_euclid(ROW_SECONDS) * ROW_SECONDS;
        let full = self.memory.charge.estimate();
        let held_back = full.state != ChargeState::Unknown && full.permille >= FULL_PERMILLE;
        if let Some(open) = &mut self.open {
            if held_back {
                open.curtailed = open.curtailed + elapsed;
            }
            if open.start == start {
                return None;
            }
        }
        let closed = self.open.take().map(|open| self.close(&open));
        if let Some(row) = &closed {
            self.learn(row);
            self.memory.day(&self.plant, row);
        }
        let band = self.forecaster.at(now, UnixSeconds(start)).unwrap_or_default();
        self.open = Some(Open {
            start,
            made: self.made.total(),
            used: self.used.total(),
            measured: self.made.coverage().0,
            expected: band.expected.over(ROW_SECONDS),
            low: band.low.over(ROW_SECONDS),
            curtailed: MonoMillis(0),
        });
        closed
    }

    fn close(&self, open: &Open) -> Row {
        let estimate = self.memory.charge.estimate();
        let measured = (self.made.coverage().0 - open.measured).0 / 1000;
        Row {
            start: UnixSeconds(open.start),
            made: self.made.total() - open.made,
            used: self.used.total() - open.used,
            expected: open.expected,
            low: open.low,
            charge_permille: (estimate.state != ChargeState::Unknown).then_some(estimate.permille),
            bound_permille: estimate.bound_permille,
            measured_seconds: measured.clamp(0, ROW_SECONDS),
            curtailed: open.curtailed.0 / 1000 >= CURTAILED_SECONDS,
            mode: self.decided.as_ref().map_or(Mode::Pause, |decided| decided.2),
        }
    }

    /// Learns from a quarter hour, of now or of the history.
    fn learn(&mut self, row: &Row) {
        let Some(sample) = row.sample() else { return };
        if self.forecaster.observe(&sample).is_err() {
            return;
        }
        self.memory.learned_until = sample.end().0;
        let hour = row.start.0.div_euclid(3600) * 3600;
        let energy = sample.power.over(ROW_SECONDS).0;
        self.memory.hour = match self.memory.hour {
            (at, rows, sum) if at == hour => (at, rows + 1, sum + energy),
            _ => (hour, 1, energy),
        };
        let (_, rows, sum) = self.memory.hour;
        // The hour's last quarter closes it; one with a gap is not learned from.
        if row.start.0 - hour == 3600 - ROW_SECONDS && rows >= 3 {
            let harvest = MilliWattHours(sum * 4 / i64::from(rows));
            self.planner.hour_passed(&self.forecaster, UnixSeconds(hour), harvest);
        }
    }

    fn troubles(&mut self, at: Stamp, waking: &Waking) -> Vec<Trouble> {
        let mut all = self.readings.troubles(at.mono);
        if at.unix.is_none() {
            all.push(Trouble::ClockUnset);
        }
        let estimate = self.memory.charge.estimate();
        match estimate.state {
            ChargeState::Unknown => all.push(Trouble::ChargeUnknown),
            ChargeState::NeedsFull => all.push(Trouble::ChargeUncertain { bound_permille: estimate.bound_permille }),
            ChargeState::Counted => {}
        }
        if let Some((made, arrived)) = self.balance.unbalanced {
            all.push(Trouble::Unbalanced { made, arrived });
        }
        if let Some(now) = at.unix {
            match self.forecaster.state(now) {
                ForecastState::Ready => self.history_lost = None,
                ForecastState::Learning { days } => {
                    if let Some(reason) = &self.history_lost {
                        all.push(Trouble::HistoryLost { reason: reason.clone() });
                    }
                    all.push(Trouble::Learning { days });
                }
                ForecastState::Stale { last } => all.push(Trouble::NoSamples { last }),
                ForecastState::PanelDark { days } => all.push(Trouble::PanelDark { days }),
                ForecastState::PolarNight => all.push(Trouble::PolarNight),
            }
        }
        let (battery, board) = self.planner.hardware();
        let milli = |wh: f64| MilliWattHours((wh * 1000.0).round() as i64);
        if battery.reserve_wh(board) >= battery.capacity_wh {
            let (capacity, reserve) = (milli(battery.capacity_wh), milli(battery.reserve_wh(board)));
            all.push(Trouble::SmallBattery { capacity, reserve });
        }
        if let Waking::Failed(reason) = waking {
            all.push(Trouble::CannotWake { reason: reason.clone() });
        }
        all
    }

    fn decide(&mut self, tick: &Tick<'_>, troubles: &[Trouble]) -> (Mode, Why) {
        let mono = tick.at.mono;
        let charge = self.memory.charge.estimate();
        let still = self.decided.as_ref().filter(|(since, promises, mode, _)| {
            mono - *since < DECIDE_EVERY && promises == tick.promises && !matches!(mode, Mode::Sleep { .. })
        });
        let (mode, why) = match still {
            Some((_, _, mode, why)) => (*mode, why.clone()),
            None => {
                let (mode, why) = mode::decide(&mode::Situation {
                    now: tick.at.unix,
                    charge: &charge,
                    planner: &self.planner,
                    forecaster: &self.forecaster,
                    promises: tick.promises,
                    promises_known: tick.promises_known,
                    waking: tick.waking,
                });
                self.decided = Some((mono, tick.promises.to_vec(), mode, why.clone()));
                (mode, why)
            }
        };
        self.look_ahead(tick, troubles, mode, &why);
        (mode, why)
    }

    fn look_ahead(&mut self, tick: &Tick<'_>, troubles: &[Trouble], mode: Mode, why: &Why) {
        let Some(now) = tick.at.unix else {
            self.gate = None;
            return;
        };
        let parts = gate::Parts {
            hardware: self.planner.hardware(),
            forecaster: &self.forecaster,
            now,
            charge: self.memory.charge.estimate().usable,
            kept: self.planner.kept(&self.forecaster, now),
            promises: mode::commitments(tick.promises),
            closed: troubles.iter().find(|trouble| trouble.forbids_promises()).cloned(),
            mode,
            why,
        };
        // The forecast says something new once in a half hour.
        match &mut self.gate {
            Some(gate) if now.0.div_euclid(1800) == gate.now().0.div_euclid(1800) => gate.refresh(parts),
            gate => *gate = Some(Gate::new(parts)),
        }
    }
}
