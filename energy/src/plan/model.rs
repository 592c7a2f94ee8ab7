//! Battery and board as the plan sees them (the model of the published yardstick, ENERGY.md 3.3).
use serde::{Deserialize, Serialize};

use super::value::Choice;

/// A battery.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Battery {
    /// What it holds, watt hours.
    pub capacity_wh: f64,
    /// Share of what is put in that is stored.
    pub charge_efficiency: f64,
    /// Share of what is taken out that arrives.
    pub discharge_efficiency: f64,
    /// Share of the capacity at which hardware cuts the power: an unplanned loss.
    pub cut_off: f64,
    /// Watt hours kept above the cut-off so that a planned sleep can last through an outage of the panel.
    pub sleep_reserve_wh: f64,
}

/// A board.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Board {
    /// Awake, without work: board, camera, radio.
    pub base_w: f64,
    /// Most that work adds.
    pub compute_w: f64,
    /// In planned sleep.
    pub sleep_w: f64,
}

impl Battery {
    /// Efficiencies of 0.95, cut-off at 5 %, and [`SLEEP_RESERVE_HOURS`] of sleep kept above it (at most 15 % of the capacity).
    #[must_use]
    pub fn new(capacity_wh: f64, board: &Board) -> Self {
        Self {
            capacity_wh,
            charge_efficiency: 0.95,
            discharge_efficiency: 0.95,
            cut_off: 0.05,
            sleep_reserve_wh: (SLEEP_RESERVE_HOURS * board.sleep_w / 0.95).min(0.15 * capacity_wh),
        }
    }

    /// Charge at and below which the worker sleeps.
    #[must_use]
    pub fn sleep_wh(&self) -> f64 {
        self.cut_off * self.capacity_wh + self.sleep_reserve_wh
    }

    /// Charge after an hour.
    #[must_use]
    pub fn flow(&self, charge: f64, harvest_wh: f64, load_wh: f64) -> f64 {
        let net = harvest_wh - load_wh;
        let change = if net > 0.0 { net * self.charge_efficiency } else { net / self.discharge_efficiency };
        (charge + change).min(self.capacity_wh)
    }

    /// Charge after an hour of a choice; `None` when being awake would end below the sleep threshold.
    #[must_use]
    pub fn after(&self, charge: f64, harvest_wh: f64, load_wh: f64, choice: Choice) -> Option<f64> {
        let next = self.flow(charge, harvest_wh, load_wh);
        let low = self.sleep_wh();
        match choice {
            Choice::Sleep => Some(next.max(low)),
            Choice::Awake(_) => (next >= low).then_some(next),
        }
    }

    /// Reserve rule: two days of darkness at base load above the sleep threshold, watt hours. A battery that cannot
    /// hold it promises nothing ([`super::Admission::SmallBattery`]).
    #[must_use]
    pub fn reserve_wh(&self, board: &Board) -> f64 {
        self.sleep_wh() + RESERVE_HOURS * board.base_w / self.discharge_efficiency
    }
}

/// Darkness that planned sleep lasts for before hardware cuts the power. More costs an hour awake per 24 hours of it in each spell.
pub const SLEEP_RESERVE_HOURS: f64 = 96.0;
/// Darkness that the reserve lasts for.
pub const RESERVE_HOURS: f64 = 48.0;

impl Board {
    /// The board of the published yardstick: Raspberry Pi 4 with camera and radio, asleep behind a Witty Pi 4.
    #[must_use]
    pub fn raspberry_pi_4() -> Self {
        Self { base_w: 3.6, compute_w: 4.5, sleep_w: 0.15 }
    }

    /// What is drawn.
    #[must_use]
    pub fn load(&self, choice: Choice) -> f64 {
        match choice {
            Choice::Sleep => self.sleep_w,
            Choice::Awake(compute) => self.base_w + compute,
        }
    }
}
