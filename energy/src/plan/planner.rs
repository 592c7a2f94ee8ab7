//! The hour's decision.
use serde::{Deserialize, Serialize};

use super::{
    admission::{Commitment, owed_wh},
    model::{Battery, Board},
    season,
    value::{Choice, ValueTable},
    weather::{self, HOURS, STATES, Weather},
};
use crate::{
    forecast::{ForecastState, Forecaster, SLOT_SECONDS, SLOTS},
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

const HOUR_SECONDS: i64 = 3600;
/// Shares of the compute power that are weighed against each other.
const LEVELS: u32 = 9;
/// Share of the battery above which preemptible work runs while the sun is not known (the published threshold policy's).
const FULL_ENOUGH: f64 = 0.6;
/// Charge may fall this far into what is kept for sleep when an hour gives less than its pessimistic forecast.
const SLEEP_RESERVE_AT_RISK: f64 = 0.5;

/// Days of sleep that are kept while the panel has never given anything: a month, as of a panel that was mounted under snow or is
/// not connected. Only a charge below it is slept on; a full battery is awake.
const UNSEEN_DAYS: u32 = 30;

/// What to do until the next decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do.
    pub act: Act,
    /// Why.
    pub reason: Reason,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Stay awake; work may draw this much above base load, promised work first.
    Run {
        /// Zero: no preemptible work.
        compute: MilliWatts,
    },
    /// Planned sleep; the alarm is set before, and read back.
    Sleep {
        /// When to wake and decide anew.
        wake: UnixSeconds,
    },
}

/// Why, with what was found and what it was held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// Stored energy is worth less than work: nothing is held back.
    EnergyIsPlenty {
        /// Thousandths of a watt hour of work per watt hour stored.
        price_permille: i64,
    },
    /// Preemptible work is slowed down or paused: what it would take is worth more later.
    SavingForDarkness {
        /// Thousandths of a watt hour of work per watt hour stored.
        price_permille: i64,
        /// At most this would let it run.
        limit_permille: i64,
    },
    /// Too few days are known to value energy by them: preemptible work runs while the battery is fuller than the limit.
    SunUnknown {
        /// Charge (less its error bound).
        charge: MilliWattHours,
        /// Work runs from here on.
        limit: MilliWattHours,
    },
    /// Promised work comes first, and is run whatever the price.
    Promised {
        /// What is owed until the deadlines.
        owed: MilliWattHours,
    },
    /// Nothing but sleep lasts through the hour.
    ChargeTooLow {
        /// Charge (less its error bound).
        charge: MilliWattHours,
        /// Needed to stay awake for the hour.
        needed: MilliWattHours,
    },
    /// The clock is not set: no alarm could be set for a time, so the worker stays awake at base load while it can.
    ClockUnset {
        /// What it shows.
        at: UnixSeconds,
    },
}

impl std::fmt::Display for Reason {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wh = |x: &MilliWattHours| x.0 as f64 / 1000.0;
        match self {
            Self::EnergyIsPlenty { price_permille } => {
                let worth = *price_permille as f64 / 1000.0;
                write!(
                    f,
                    "energy is plenty: a Wh kept for later is worth {worth:.2} Wh of work, so nothing is held back"
                )
            }
            Self::SavingForDarkness { price_permille, limit_permille } => write!(
                f,
                "saving for darkness: a Wh kept for later is worth {:.2} Wh of work, above {:.2}",
                *price_permille as f64 / 1000.0,
                *limit_permille as f64 / 1000.0
            ),
            Self::SunUnknown { charge, limit } => write!(
                f,
                "too few days are known to value energy: work without a promise runs from {:.1} Wh on, there are {:.1} Wh",
                wh(limit),
                wh(charge)
            ),
            Self::Promised { owed } => write!(f, "promised work comes first: {:.1} Wh are owed", wh(owed)),
            Self::ChargeTooLow { charge, needed } => {
                write!(f, "charge too low: {:.1} Wh, {:.1} Wh needed for an hour awake", wh(charge), wh(needed))
            }
            Self::ClockUnset { at } => write!(f, "the clock shows {} (unix time): set it, no alarm can be set", at.0),
        }
    }
}

/// The worker's plan. Serialisable, with what it has learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planner {
    battery: Battery,
    board: Board,
    weather: Weather,
    table: Option<ValueTable>,
    state: usize,
    /// Kept for the dark season, watt hours; a state of before it was known begins without.
    #[serde(default)]
    season_wh: f64,
}

impl Planner {
    /// Knows no weather yet; believes in a mixed one that stays.
    #[must_use]
    pub fn new(battery: Battery, board: Board) -> Self {
        Self { battery, board, weather: Weather::default(), table: None, state: 3, season_wh: 0.0 }
    }

    /// An hour of the sun's day has passed: learns from it, and values energy anew at the end of each day. Call it in order of
    /// time, once for each hour, after the forecaster has seen the hour's samples.
    #[allow(clippy::cast_precision_loss, reason = "milliwatts of a panel")]
    pub fn hour_passed(&mut self, forecaster: &Forecaster, hour_start: UnixSeconds, harvest: MilliWattHours) {
        let hour = forecaster.sun_hour(hour_start);
        let clear = self.clear_hour(forecaster, hour_start);
        let peak = (0..HOURS as i64)
            .map(|h| self.clear_hour(forecaster, UnixSeconds(hour_start.0 + h * HOUR_SECONDS)))
            .fold(0.0, f64::max);
        let state = match forecaster.days() {
            0 => self.state,
            // Covered or cut off: the hours before it say nothing of the next.
            _ if forecaster.gives_nothing() => 0,
            _ => weather::state(forecaster.clearness()),
        };
        let clearness = (clear > 0.02 * peak && clear > 0.0).then(|| harvest.0 as f64 / 1000.0 / clear);
        self.weather.learn(hour, self.state, state, clearness);
        self.state = state;
        if hour == HOURS - 1 || self.table.is_none() {
            let midnight = UnixSeconds(hour_start.0 + HOUR_SECONDS * (HOURS - hour) as i64);
            let day: [f64; HOURS] =
                std::array::from_fn(|h| self.clear_hour(forecaster, UnixSeconds(midnight.0 + h as i64 * HOUR_SECONDS)));
            self.table = Some(ValueTable::solve(&self.battery, &self.board, &self.weather, &day));
            self.season_wh = self.season(forecaster, midnight);
        }
    }

    /// Kept for the dark season; nothing before the panel is known.
    #[allow(clippy::cast_precision_loss, reason = "milliwatts of a panel")]
    fn season(&self, forecaster: &Forecaster, midnight: UnixSeconds) -> f64 {
        if matches!(forecaster.state(midnight), ForecastState::Learning { .. }) {
            return 0.0;
        }
        let days = forecaster.clear_days(midnight, season::SEASON_DAYS).map(|energy| energy.0 as f64 / 1000.0);
        season::kept_wh(&self.battery, &self.board, days)
    }

    #[allow(clippy::cast_precision_loss, reason = "milliwatts of a panel")]
    fn clear_hour(&self, forecaster: &Forecaster, start: UnixSeconds) -> f64 {
        let half = |offset| forecaster.clear_sky_power(UnixSeconds(start.0 + offset)).0 as f64 / 2000.0;
        half(0) + half(SLOT_SECONDS)
    }

    /// Decides for the hour that begins now. `charge` is the state of charge less its error bound.
    #[must_use]
    pub fn decide(
        &self,
        now: UnixSeconds,
        charge: MilliWattHours,
        forecaster: &Forecaster,
        promises: &[Commitment],
    ) -> Decision {
        #[allow(clippy::cast_precision_loss, reason = "milliwatt hours of a battery")]
        let charge_wh = charge.0 as f64 / 1000.0;
        let (expected, low) = self.hour_ahead(forecaster, now);
        let kept = self.kept_for_darkness(forecaster, now);
        let needed = self.needed(low) + kept;
        let awake = |compute: f64| self.lasts(charge_wh - kept, low, compute);
        if forecaster.at(now, now).is_err() {
            let act = if awake(0.0) { Act::Run { compute: MilliWatts(0) } } else { self.sleep(now, forecaster) };
            return Decision { act, reason: Reason::ClockUnset { at: now } };
        }
        if !awake(0.0) {
            let reason = Reason::ChargeTooLow { charge, needed: milli_wh(needed) };
            return Decision { act: self.sleep(now, forecaster), reason };
        }
        let hour = forecaster.sun_hour(now);
        let owed = owed_wh(promises, now);
        if owed > 0.0 && awake(owed.min(self.board.compute_w)) {
            let compute = milliwatts(owed.min(self.board.compute_w));
            return Decision { act: Act::Run { compute }, reason: Reason::Promised { owed: milli_wh(owed) } };
        }
        let learning = matches!(forecaster.state(now), ForecastState::Learning { .. });
        let Some(table) = self.table.as_ref().filter(|_| !learning) else {
            return self.by_charge_alone(charge, awake(self.board.compute_w));
        };
        let mut best = (f64::NEG_INFINITY, 0.0);
        for level in (0..=LEVELS).rev() {
            let compute = self.board.compute_w * f64::from(level) / f64::from(LEVELS);
            if !awake(compute) {
                continue;
            }
            let value = Choice::Awake(compute).worth() + self.value_after(table, hour, charge_wh, expected, compute);
            if value > best.0 + 1e-9 {
                best = (value, compute);
            }
        }
        let price_permille = permille(table.price(hour, self.state, charge_wh));
        let full = best.1 >= self.board.compute_w - 1e-9;
        let reason = if full {
            Reason::EnergyIsPlenty { price_permille }
        } else {
            Reason::SavingForDarkness { price_permille, limit_permille: permille(self.battery.discharge_efficiency) }
        };
        Decision { act: Act::Run { compute: milliwatts(best.1) }, reason }
    }

    /// Too little is known of the sun here to value energy by it: work runs while the battery is fuller than [`FULL_ENOUGH`].
    fn by_charge_alone(&self, charge: MilliWattHours, lasts: bool) -> Decision {
        let limit = milli_wh(FULL_ENOUGH * self.battery.capacity_wh);
        let compute = if lasts && charge >= limit { milliwatts(self.board.compute_w) } else { MilliWatts(0) };
        Decision { act: Act::Run { compute }, reason: Reason::SunUnknown { charge, limit } }
    }

    fn value_after(&self, table: &ValueTable, hour: usize, charge: f64, expected: f64, compute: f64) -> f64 {
        let load = self.board.load(Choice::Awake(compute));
        let chances = self.weather.next(hour, self.state);
        let clear: f64 = (0..STATES).map(|state| chances[state] * self.weather.mean(hour, state)).sum();
        (0..STATES)
            .map(|state| {
                // The chain's spread around the forecaster's mean.
                let harvest = expected * self.weather.mean(hour, state) / clear.max(1e-3);
                let next = self.battery.flow(charge, harvest, load).max(self.battery.sleep_wh());
                chances[state] * table.at(hour + 1, state, next)
            })
            .sum()
    }

    /// Expected and pessimistic harvest of the hour, watt hours.
    #[allow(clippy::cast_precision_loss, reason = "milliwatts of a panel")]
    fn hour_ahead(&self, forecaster: &Forecaster, now: UnixSeconds) -> (f64, f64) {
        let slots = [0, SLOT_SECONDS].map(|offset| forecaster.at(now, UnixSeconds(now.0 + offset)).unwrap_or_default());
        let sum = |of: &dyn Fn(usize) -> i64| (of(0) + of(1)) as f64 / 2000.0;
        (sum(&|index| slots[index].expected.0), sum(&|index| slots[index].low.0))
    }

    /// Ends the hour above the sleep threshold with the pessimistic harvest, and above half of the sleep reserve with none.
    fn lasts(&self, charge: f64, low: f64, compute: f64) -> bool {
        let choice = Choice::Awake(compute);
        let load = self.board.load(choice);
        let floor = self.battery.sleep_wh() - SLEEP_RESERVE_AT_RISK * self.battery.sleep_reserve_wh;
        self.battery.after(charge, low, load, choice).is_some() && self.battery.flow(charge, 0.0, load) >= floor
    }

    /// A panel that has been dark for days stays so for as long again: that much more is kept for sleep, at most half the battery.
    /// One that never gave may be dark for [`UNSEEN_DAYS`].
    /// Before and in a polar night what sleep takes until its end ([`season`]), if that is more.
    fn kept_for_darkness(&self, forecaster: &Forecaster, now: UnixSeconds) -> f64 {
        let unseen = if forecaster.never_gave() { UNSEEN_DAYS } else { 0 };
        let days = match forecaster.state(now) {
            ForecastState::PanelDark { days } => days.max(unseen),
            _ => unseen,
        };
        let kept = f64::from(days) * 24.0 * self.board.sleep_w / self.battery.discharge_efficiency;
        kept.min(self.battery.capacity_wh / 2.0).max(self.season_wh)
    }

    /// Kept for sleep above the sleep threshold and the reserve: not to be promised.
    #[must_use]
    pub fn kept(&self, forecaster: &Forecaster, now: UnixSeconds) -> MilliWattHours {
        milli_wh(self.kept_for_darkness(forecaster, now))
    }

    fn needed(&self, low: f64) -> f64 {
        let short = (self.board.base_w - low).max(0.0) / self.battery.discharge_efficiency;
        self.battery.sleep_wh() + short
    }

    /// Wakes at the next full hour, by day; at night when the sun is next expected to carry the board, at most a day ahead.
    fn sleep(&self, now: UnixSeconds, forecaster: &Forecaster) -> Act {
        let next = UnixSeconds((now.0.div_euclid(HOUR_SECONDS) + 1) * HOUR_SECONDS);
        let slot = |index: i64| UnixSeconds(next.0 + index * SLOT_SECONDS);
        let light = (0..SLOTS as i64).find(|index| forecaster.clear_sky_power(slot(*index)).0 > 0);
        let wake = light.map_or(UnixSeconds(next.0 + 23 * HOUR_SECONDS), |index| {
            UnixSeconds(slot(index).0.div_euclid(HOUR_SECONDS) * HOUR_SECONDS).max(next)
        });
        Act::Sleep { wake }
    }

    /// Battery and board that are planned for.
    #[must_use]
    pub fn hardware(&self) -> (&Battery, &Board) {
        (&self.battery, &self.board)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "watt hours of a battery")]
fn milli_wh(wh: f64) -> MilliWattHours {
    MilliWattHours((wh * 1000.0).ceil() as i64)
}

#[allow(clippy::cast_possible_truncation, reason = "watts of a board")]
fn milliwatts(watts: f64) -> MilliWatts {
    MilliWatts((watts * 1000.0).round() as i64)
}

#[allow(clippy::cast_possible_truncation, reason = "a small ratio")]
fn permille(x: f64) -> i64 {
    (x * 1000.0).round() as i64
}
