//! The plant as its owner describes it.
use serde::{Deserialize, Serialize};

use crate::{
    charge::Battery,
    forecast::harvest::Site,
    plan::model,
    units::{MilliWatts, MonoMillis},
    work::Board,
};

/// Panel, battery and board.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plant {
    /// Where the panel stands.
    pub site: Site,
    /// The battery.
    pub battery: Battery,
    /// The board: its model where no sensor measures what it uses.
    pub board: Board,
    /// What camera, radio and converters use besides.
    pub extra: MilliWatts,
    /// In planned sleep.
    pub sleep: MilliWatts,
    /// Readings further apart than this are not joined.
    pub max_gap: MonoMillis,
}

impl Plant {
    /// What the battery holds by its label, watt hours.
    #[must_use]
    pub fn capacity_wh(&self) -> f64 {
        self.battery.capacity.0 as f64 * self.battery.nominal.0 as f64 / 1e6
    }

    /// Awake and without work.
    #[must_use]
    pub fn idle(&self) -> MilliWatts {
        self.board.idle() + self.extra
    }

    /// At full work.
    #[must_use]
    pub fn full(&self) -> MilliWatts {
        self.board.full() + self.extra
    }

    /// By the model, at a use of the CPU in per mille.
    #[must_use]
    pub fn modelled(&self, cpu_permille: u32) -> MilliWatts {
        self.board.at(cpu_permille) + self.extra
    }

    /// Battery and board as the plan sees them.
    #[must_use]
    pub fn plan(&self) -> (model::Battery, model::Board) {
        let watts = |power: MilliWatts| power.0 as f64 / 1000.0;
        let board = model::Board {
            base_w: watts(self.idle()),
            compute_w: watts(self.full() - self.idle()),
            sleep_w: watts(self.sleep),
        };
        (model::Battery::new(self.capacity_wh(), &board), board)
    }
}
