//! What stored energy is worth: stochastic dynamic programming over charge, hour and weather, as reservoirs of hydropower are run
//! ("water values"; Stage and Larsson, "Incremental cost of water power", 1961). An hour awake is worth [`AWAKE_WORTH`], a watt
//! hour of preemptible compute is worth one. Solved once a day, for the days ahead as the season and the learned weather have them.
use serde::{Deserialize, Serialize};

use super::{
    model::{Battery, Board},
    weather::{HOURS, STATES, Weather},
};

/// Worth of an hour awake in watt hours of compute. Above 3.8 an optimum that knows the future never sleeps in order to compute;
/// how far above is how careful one is that does not.
pub const AWAKE_WORTH: f64 = 20.0;
/// Days that are looked ahead.
const DAYS: usize = 8;
/// Steps of the charge.
const STEPS: usize = 56;
/// Shares of the compute power that are weighed.
const LEVELS: [f64; 4] = [0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0];
/// Worth of a watt hour that is left at the end.
const LEFT_WORTH: f64 = 0.9;

/// Value of a charge at the beginning of each hour of the day, by weather.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValueTable {
    low: f64,
    step: f64,
    values: Vec<f64>,
}

/// What may be done in an hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// Planned sleep.
    Sleep,
    /// Awake, with this much compute, watts.
    Awake(f64),
}

impl ValueTable {
    /// Solves. `clear` is the clear-sky harvest of each hour of the sun's day, watt hours.
    #[must_use]
    pub fn solve(battery: &Battery, board: &Board, weather: &Weather, clear: &[f64; HOURS]) -> Self {
        let low = battery.sleep_wh();
        let step = (battery.capacity_wh - low).max(1e-6) / (STEPS - 1) as f64;
        let row = STATES * STEPS;
        let mut table = Self { low, step, values: vec![0.0; (HOURS + 1) * row] };
        let transitions: Vec<[f64; STATES]> =
            (0..HOURS * STATES).map(|index| weather.next(index / STATES, index % STATES)).collect();
        let harvest: Vec<f64> = (0..HOURS * STATES)
            .map(|index| weather.mean(index / STATES, index % STATES) * clear[index / STATES])
            .collect();
        for index in 0..row {
            table.values[HOURS * row + index] = LEFT_WORTH * (low + step * (index % STEPS) as f64);
        }
        for day in 0..DAYS {
            if day > 0 {
                table.values.copy_within(0..row, HOURS * row);
            }
            for hour in (0..HOURS).rev() {
                for charge in 0..STEPS {
                    let at = low + step * charge as f64;
                    // The value after each choice and each weather; then each weather's expectation.
                    let mut after = [[f64::NEG_INFINITY; STATES]; LEVELS.len() + 1];
                    for (choice, values) in after.iter_mut().enumerate() {
                        let act = Self::choice(choice, board);
                        for (state, value) in values.iter_mut().enumerate() {
                            if let Some(next) = battery.after(at, harvest[hour * STATES + state], board.load(act), act)
                            {
                                *value = act.worth() + table.at(hour + 1, state, next);
                            }
                        }
                    }
                    for from in 0..STATES {
                        let chances = &transitions[hour * STATES + from];
                        let expected =
                            |values: &[f64; STATES]| values.iter().zip(chances).map(|(v, p)| v * p).sum::<f64>();
                        let best = after.iter().map(expected).fold(f64::NEG_INFINITY, f64::max);
                        table.values[hour * row + from * STEPS + charge] = best;
                    }
                }
            }
        }
        table
    }

    fn choice(index: usize, board: &Board) -> Choice {
        index.checked_sub(1).map_or(Choice::Sleep, |level| Choice::Awake(LEVELS[level] * board.compute_w))
    }

    /// Value of a charge at the beginning of an hour (24: the end of the day).
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index, bounded on both sides")]
    pub fn at(&self, hour: usize, state: usize, charge: f64) -> f64 {
        let place = ((charge - self.low) / self.step).clamp(0.0, (STEPS - 1) as f64);
        let below = (place as usize).min(STEPS - 2);
        let share = place - below as f64;
        let row = &self.values[hour * STATES * STEPS + state * STEPS..];
        row[below] * (1.0 - share) + row[below + 1] * share
    }

    /// Worth of one more watt hour, in watt hours of compute.
    #[must_use]
    pub fn price(&self, hour: usize, state: usize, charge: f64) -> f64 {
        (self.at(hour, state, charge + self.step / 2.0) - self.at(hour, state, charge - self.step / 2.0)) / self.step
    }
}

impl Choice {
    /// Worth of an hour of it.
    #[must_use]
    pub fn worth(self) -> f64 {
        match self {
            Self::Sleep => 0.0,
            Self::Awake(compute) => AWAKE_WORTH + compute,
        }
    }
}
