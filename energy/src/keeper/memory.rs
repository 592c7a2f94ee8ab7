//! What outlives a restart.
use serde::{Deserialize, Serialize};

use super::{Plant, Row};
use crate::{
    charge::Charge,
    forecast::{Forecaster, harvest::Site},
    plan::Planner,
    units::{MicroWatts, MilliWattHours, UnixSeconds},
    work::Ledger,
};

/// No day that a clock can show.
const NO_DAY: i64 = -1_000_000;

/// What is small and saved every quarter hour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    /// When it was saved, by a clock that was set.
    pub saved_at: Option<UnixSeconds>,
    /// The board was about to sleep.
    pub asleep: bool,
    /// What the panel gave when it fell asleep.
    pub(super) made_before: Option<MicroWatts>,
    /// State of charge.
    pub charge: Charge,
    /// Energy by agreement.
    pub ledger: Ledger,
    /// The sun's day: its number, made, used.
    pub today: (i64, MilliWattHours, MilliWattHours),
    /// The same of the day before.
    pub yesterday: (i64, MilliWattHours, MilliWattHours),
    /// Hour that the plan learns from: begin, quarters, milliwatt hours.
    pub(super) hour: (i64, u32, i64),
    pub(super) learned_until: i64,
    #[serde(skip)]
    pub(super) counted_used: MilliWattHours,
}

impl Memory {
    pub(super) fn new(plant: &Plant) -> Self {
        Self {
            saved_at: None,
            asleep: false,
            made_before: None,
            charge: Charge::new(plant.battery),
            ledger: Ledger::default(),
            today: (NO_DAY, MilliWattHours(0), MilliWattHours(0)),
            yesterday: (NO_DAY, MilliWattHours(0), MilliWattHours(0)),
            hour: (0, 0, 0),
            learned_until: i64::MIN,
            counted_used: MilliWattHours(0),
        }
    }

    /// Counts a quarter hour into its day.
    pub(super) fn day(&mut self, plant: &Plant, row: &Row) {
        let day = sun_day(plant.site, row.start);
        if day != self.today.0 {
            let zero = (day - 1, MilliWattHours(0), MilliWattHours(0));
            self.yesterday = if self.today.0 == day - 1 { self.today } else { zero };
            self.today = (day, MilliWattHours(0), MilliWattHours(0));
        }
        self.today.1 = self.today.1 + row.made;
        self.today.2 = self.today.2 + row.used;
    }
}

/// Number of the sun's day at a place: it begins when the sun is deepest.
pub(super) fn sun_day(site: Site, at: UnixSeconds) -> i64 {
    (at.0 + offset_seconds(site)).div_euclid(86_400)
}

/// Seconds by which the sun's time is ahead of UTC.
pub(super) fn offset_seconds(site: Site) -> i64 {
    let east = match site {
        Site::At(place) => place.longitude_degrees,
        Site::Longitude(east) => east,
    };
    (east * 240.0).round() as i64
}

/// What takes days to learn and is saved by the hour.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Learned {
    /// Whose it is.
    pub plant: Plant,
    /// End of the newest quarter hour in it.
    pub until: UnixSeconds,
    /// The forecast.
    pub forecaster: Forecaster,
    /// The plan.
    pub planner: Planner,
}

impl Learned {
    /// Whether it is of this plant: another place, battery or board is learned anew (from the rows).
    #[must_use]
    pub fn fits(&self, plant: &Plant) -> bool {
        self.plant.site == plant.site && self.plant.plan() == plant.plan()
    }
}

/// What a keeper starts with.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Of the last quarter hour.
    pub memory: Option<Memory>,
    /// Of the last hour.
    pub learned: Option<Learned>,
    /// The history, oldest first.
    pub rows: Vec<Row>,
    /// Why what should be there is not.
    pub history_lost: Option<String>,
}
