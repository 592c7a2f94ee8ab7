//! What the owner is told: everything that the keeper knows, in one object with a version.
use serde::{Deserialize, Serialize};

use super::{Mode, SensorRow, Why};
use crate::{
    charge::Estimate,
    forecast::ForecastState,
    units::{MilliWattHours, MilliWatts, UnixSeconds},
    work::Source,
};

/// Version of [`State`].
pub const SCHEMA: &str = "sunwork.worker.energy.v1";

/// The state of a worker's energy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// [`SCHEMA`].
    pub schema: String,
    /// Time of the look; `None` while the clock is not set.
    pub now: Option<UnixSeconds>,
    /// A simulated plant.
    pub simulated: bool,
    /// What the worker does.
    pub mode: Mode,
    /// Why.
    pub why: Why,
    /// Why, in words.
    pub reason: String,
    /// The battery.
    pub battery: BatteryState,
    /// The panel.
    pub harvest: Harvest,
    /// The board.
    pub consumption: Consumption,
    /// What is ahead.
    pub forecast: ForecastView,
    /// What is planned, hour by hour, until the next sunrise.
    pub plan: Vec<Hour>,
    /// Energy of promised work that is not done.
    pub promised: MilliWattHours,
    /// Charge below which nothing is promised.
    pub reserve: MilliWattHours,
    /// What could be promised until a day from now.
    pub spare: MilliWattHours,
    /// What is wrong.
    pub troubles: Vec<TroubleRow>,
    /// The sensors.
    pub sensors: Vec<SensorRow>,
}

/// The battery.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatteryState {
    /// Charge with its bound.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// By the label.
    pub capacity: MilliWattHours,
    /// Into it now; negative: out of it.
    pub power: Option<MilliWatts>,
    /// Days since it was known to be full or nearly empty.
    pub days_since_anchor: Option<i64>,
}

/// The panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Harvest {
    /// Now.
    pub power: Option<MilliWatts>,
    /// Since the sun's midnight.
    pub today: MilliWattHours,
    /// The sun's day before.
    pub yesterday: MilliWattHours,
}

/// The board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consumption {
    /// Now.
    pub power: MilliWatts,
    /// Measured or modelled.
    #[serde(flatten)]
    pub source: Source,
    /// Since the sun's midnight.
    pub today: MilliWattHours,
    /// The sun's day before.
    pub yesterday: MilliWattHours,
}

/// What is ahead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastView {
    /// How far it can be trusted.
    #[serde(flatten)]
    pub state: ForecastState,
    /// That in words.
    pub reason: String,
    /// Rest of the sun's day: as likely more as less.
    pub rest_of_day: MilliWattHours,
    /// Rest of the sun's day: nine times of ten more.
    pub rest_of_day_low: MilliWattHours,
    /// The next day.
    pub next_day: MilliWattHours,
    /// The next day, nine times of ten more.
    pub next_day_low: MilliWattHours,
    /// The next half hours.
    pub slots: Vec<Slot>,
}

/// A half hour ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Its beginning.
    pub at: UnixSeconds,
    /// As likely more as less.
    pub expected: MilliWatts,
    /// Nine times of ten more.
    pub low: MilliWatts,
}

/// An hour of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hour {
    /// Its beginning.
    pub at: UnixSeconds,
    /// What is planned.
    #[serde(flatten)]
    pub mode: Mode,
    /// Power that work may draw above base load.
    pub compute: MilliWatts,
    /// Charge (less its bound) at its end, with the expected harvest.
    pub charge: MilliWattHours,
}

/// A trouble in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TroubleRow {
    /// Its name.
    pub name: String,
    /// What is wrong.
    pub reason: String,
    /// What is done until it is right again.
    pub behaviour: String,
}
