//! Whether a piece of work may be promised: what has been promised comes off first, the sun gives its pessimistic tenth, and the
//! charge has to stay above the reserve (two days at base load) until the work is done.
use serde::{Deserialize, Serialize};

use super::model::{Battery, Board};
use crate::{
    forecast::{Forecaster, SLOT_SECONDS, state::Refused},
    units::{MilliWattHours, UnixSeconds},
};

/// Longest way ahead that is looked: a week.
pub const MAX_SLOTS: i64 = 7 * 48;
const SLOT_HOURS: f64 = 0.5;

/// Work that is promised, or asks to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commitment {
    /// Most that it takes above base load, with waking up for it.
    pub energy: MilliWattHours,
    /// When it must be done.
    pub deadline: UnixSeconds,
}

/// Answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "admission", rename_all = "snake_case")]
pub enum Admission {
    /// It may be promised.
    Accepted {
        /// Lowest charge on the pessimistic path until it is done.
        lowest: MilliWattHours,
        /// Held against this.
        reserve: MilliWattHours,
    },
    /// The pessimistic path falls below the reserve.
    BelowReserve {
        /// Lowest charge on it.
        lowest: MilliWattHours,
        /// Held against this.
        reserve: MilliWattHours,
    },
    /// Not even at full power, after what is promised already.
    TooLate {
        /// Hours of work, with what is due before it, in thousandths.
        needed_millihours: i64,
        /// Hours until the deadline, in thousandths.
        left_millihours: i64,
    },
    /// The battery cannot hold two days at base load.
    SmallBattery {
        /// What it holds.
        capacity: MilliWattHours,
        /// Held against this.
        reserve: MilliWattHours,
    },
    /// The clock is not set, so no deadline can be kept.
    ClockUnset,
}

/// Energy that is owed by promises whose deadlines have not passed, watt hours.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "milliwatt hours of a battery")]
pub fn owed_wh(promises: &[Commitment], now: UnixSeconds) -> f64 {
    promises
        .iter()
        .filter(|promise| promise.deadline.0 > now.0)
        .map(|promise| promise.energy.0.max(0) as f64 / 1000.0)
        .sum()
}

/// Decides. `charge` is the state of charge less its error bound.
#[must_use]
pub fn admit(
    battery: &Battery,
    board: &Board,
    forecaster: &Forecaster,
    now: UnixSeconds,
    charge: MilliWattHours,
    promises: &[Commitment],
    asked: &Commitment,
) -> Admission {
    match forecaster.at(now, now) {
        Err(Refused::ClockUnset { .. }) => Admission::ClockUnset,
        _ => {
            let slots = (asked.deadline.0 - now.0).div_euclid(SLOT_SECONDS).clamp(0, MAX_SLOTS - 1) + 1;
            let low: Vec<_> = (0..slots).map(|slot| low_harvest(forecaster, now, slot)).collect();
            Path { battery, board, now, charge, harvest: &low, promises }.admit(asked)
        }
    }
}

/// Pessimistic harvest of a half hour from `now` on.
#[must_use]
pub fn low_harvest(forecaster: &Forecaster, now: UnixSeconds, slot: i64) -> MilliWattHours {
    let band = forecaster.at(now, UnixSeconds(now.0 + slot * SLOT_SECONDS)).unwrap_or_default();
    band.low.over(SLOT_SECONDS)
}

/// What a request is held against: charge, promises, and the pessimistic harvest of every half hour from `now` on.
#[derive(Clone, Copy)]
pub struct Path<'a> {
    /// The battery.
    pub battery: &'a Battery,
    /// The board.
    pub board: &'a Board,
    /// Now.
    pub now: UnixSeconds,
    /// State of charge less its error bound.
    pub charge: MilliWattHours,
    /// Pessimistic harvest by half hour, see [`low_harvest`]; beyond its end no sun is counted on.
    pub harvest: &'a [MilliWattHours],
    /// What is promised already.
    pub promises: &'a [Commitment],
}

impl Path<'_> {
    /// Whether it may be promised.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "watt hours and hours of a worker")]
    pub fn admit(&self, asked: &Commitment) -> Admission {
        let Self { battery, board, now, charge, harvest, promises } = *self;
        let reserve_wh = battery.reserve_wh(board);
        let reserve = milli(reserve_wh);
        if reserve_wh >= battery.capacity_wh {
            return Admission::SmallBattery { capacity: milli(battery.capacity_wh), reserve };
        }
        let mut owed = owed_wh(promises, now) + asked.energy.0.max(0) as f64 / 1000.0;
        // Everything that is promised is run first, so all of it has to fit before the deadline: stricter than by deadline order.
        let left = (asked.deadline.0 - now.0) as f64 / 3600.0;
        let needed = owed / board.compute_w.max(1e-6);
        let slots = (needed / SLOT_HOURS).ceil() as i64;
        if needed > left || slots > MAX_SLOTS {
            return Admission::TooLate {
                needed_millihours: (needed * 1000.0) as i64,
                left_millihours: (left * 1000.0) as i64,
            };
        }
        let mut at = charge.0 as f64 / 1000.0;
        let mut lowest = at;
        for slot in 0..slots {
            let work = (board.compute_w * SLOT_HOURS).min(owed);
            owed -= work;
            let sun =
                usize::try_from(slot).ok().and_then(|slot| harvest.get(slot)).map_or(0.0, |sun| sun.0 as f64 / 1000.0);
            at = battery.flow(at, sun, board.base_w * SLOT_HOURS + work);
            lowest = lowest.min(at);
        }
        if lowest >= reserve_wh {
            Admission::Accepted { lowest: milli(lowest), reserve }
        } else {
            Admission::BelowReserve { lowest: milli(lowest), reserve }
        }
    }

    /// Most energy that may be promised until a deadline, to the nearest tenth of a watt hour below.
    #[must_use]
    pub fn spare(&self, deadline: UnixSeconds) -> MilliWattHours {
        let fits = |tenths: i64| {
            let asked = Commitment { energy: MilliWattHours(tenths * 100), deadline };
            matches!(self.admit(&asked), Admission::Accepted { .. })
        };
        // More than the battery holds and a week of full work is never asked for.
        let (mut low, mut high) = (0, 1 << 20);
        if !fits(0) {
            return MilliWattHours(0);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        MilliWattHours(low * 100)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "watt hours of a battery")]
fn milli(wh: f64) -> MilliWattHours {
    MilliWattHours((wh * 1000.0).round() as i64)
}
