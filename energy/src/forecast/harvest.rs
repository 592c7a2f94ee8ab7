//! The forecaster. Power of a slot = what a clear sky would give this panel (see [`super::envelope`]) times a clearness; the
//! clearness ahead is a linear model of the clearness now, over the last hours, of the day, and of the last weeks at that time of
//! day, learned by least absolute deviations for each distance ahead ([`super::lad`]). The band comes from past errors.
mod ask;
mod days;
mod features;
mod slots;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{
    SLOT_SECONDS, SLOTS,
    envelope::{DAWN, Envelope},
    lad::Lad,
    residuals::Residuals,
    state::{EARLIEST, ForecastState, Refused},
};
use crate::{
    sun::Place,
    trace::Sample,
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

/// Days before the model's band is believed.
pub const LEARNING_DAYS: usize = 5;
/// Age of the newest sample after which nothing is counted on.
pub const STALE_SECONDS: i64 = 6 * 3600;
/// Level of the pessimistic quantile.
pub const LOW_LEVEL: f64 = 0.1;
/// Distances ahead, in slots, that have a model of their own; what lies between takes the next farther one.
pub const HORIZONS: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 18, 24, 36, 48, 96];
/// Longest gap that is stepped through slot by slot.
const MAX_GAP_SLOTS: i64 = 40 * 48;
/// Clearness before anything is known, and how much clear-sky power it weighs as (share of the peak).
const FIRST_CLEARNESS: f64 = 0.7;
const FIRST_WEIGHT: f64 = 0.015;
const MAX_CLEARNESS: f64 = 1.6;
/// Days that the climatology of a slot looks back over.
const CLIMATE_DAYS: f64 = 20.0;
/// Shares of the peak below which a slot tells nothing about the sky, and is not learned from.
const TELLING: f64 = 0.02;
const LEARNED: f64 = 0.01;
/// A year ago counts half.
const FORGET_PER_DAY: f64 = 0.998_1;
const FEATURES: usize = 13;
/// A day with less than this clearness is dark.
const DARK: f64 = 0.03;
/// A slot with less than this clearness has no sun on the panel.
const NOTHING: f64 = 0.02;
/// Slots with sun after which a panel that gave nothing at all is taken for one that may not give: two hours.
const UNSEEN_SLOTS: usize = 4;
/// Without a place: slots of the day that have sun nearly everywhere, from 8 h to 16 h.
const BRIGHT_SLOTS: std::ops::Range<usize> = 16..32;
/// Least watts per W/m² of clear sky that a panel gives; less is a sensor's noise.
const LEAST_RATIO: f64 = 1e-4;
/// Dark days in a row that are named.
const DARK_DAYS: u32 = 3;
/// Long memory of the envelope: loses a hundredth a day, and holds it up to this share.
const LONG_DECAY: f64 = 0.99;
const LONG_SHARE: f64 = 0.6;
const EDGE_SHARE: f64 = 0.7;

/// What is known of where the panel stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Site {
    /// The place: the sun's position is used.
    At(Place),
    /// Only degrees east (recorded series without a place): the day is the sun's, the season is followed by the envelope.
    Longitude(f64),
}

/// A forecast power.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Band {
    /// As likely to be exceeded as not.
    pub expected: MilliWatts,
    /// Exceeded nine times of ten.
    pub low: MilliWatts,
}

/// A forecast day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayBand {
    /// As likely to be exceeded as not.
    pub expected: MilliWattHours,
    /// Exceeded nine times of ten.
    pub low: MilliWattHours,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Sky {
    now: f64,
    before: f64,
    fast: f64,
    slow: f64,
    day: f64,
    last_quarter: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Model {
    lad: Lad,
    residuals: Residuals,
    pending: VecDeque<Pending>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Pending {
    slot: i64,
    features: Vec<f64>,
    clear: f64,
    predicted: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Open {
    slot: i64,
    covered: i64,
    energy: f64,
    quarter_covered: i64,
    quarter_energy: f64,
}

/// The day so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Today {
    day: i64,
    powers: Vec<Option<f64>>,
    energy: f64,
    clear: f64,
    /// Features of the day's total, its clear-sky total and forecast, as of its beginning.
    opening: Option<(Vec<f64>, f64, f64)>,
}

/// Forecaster of a worker's harvest. Serialisable: it is the history that a restart needs. Memory is bounded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    site: Site,
    earliest: UnixSeconds,
    last: Option<UnixSeconds>,
    open: Option<Open>,
    today: Option<Today>,
    envelope: Envelope,
    long: Vec<f64>,
    climate_power: Vec<f64>,
    climate_clear: Vec<f64>,
    sky: Sky,
    models: Vec<Model>,
    day_model: Lad,
    day_residuals: Residuals,
    day_means: [f64; 4],
    days: usize,
    dark_days: u32,
    peak: f64,
    /// Clear sky of the slots from yesterday on: the sun's position is asked for often and costs a hundred trigonometric terms.
    #[serde(skip)]
    skies: (i64, Vec<f64>),
}

/// Days of clear sky kept.
const SKY_DAYS: i64 = 9;

impl Forecaster {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(site: Site) -> Self {
        Self::with_earliest(site, EARLIEST)
    }

    /// For recorded series, that are older than any clock may show.
    #[must_use]
    pub fn with_earliest(site: Site, earliest: UnixSeconds) -> Self {
        let models = HORIZONS.iter().map(|&horizon| Model {
            lad: Lad::new(features::prior(horizon), 0.05),
            residuals: Residuals::default(),
            pending: VecDeque::new(),
        });
        Self {
            site,
            earliest,
            last: None,
            open: None,
            today: None,
            envelope: Envelope::default(),
            long: vec![0.0; SLOTS],
            climate_power: vec![0.0; SLOTS],
            climate_clear: vec![0.0; SLOTS],
            sky: Sky {
                now: FIRST_CLEARNESS,
                before: FIRST_CLEARNESS,
                fast: FIRST_CLEARNESS,
                slow: FIRST_CLEARNESS,
                day: FIRST_CLEARNESS,
                last_quarter: FIRST_CLEARNESS,
            },
            models: models.collect(),
            day_model: Lad::new(vec![0.1, 0.1, 0.1, 0.6, 0.1], 0.05),
            day_residuals: Residuals::default(),
            day_means: [FIRST_CLEARNESS; 4],
            days: 0,
            dark_days: 0,
            peak: 0.0,
            skies: (0, Vec::new()),
        }
    }

    /// Takes a sample in.
    ///
    /// # Errors
    /// When the clock is not set, the sample is not newer than the last, or its numbers are impossible. Nothing changes then.
    pub fn observe(&mut self, sample: &Sample) -> Result<(), Refused> {
        if sample.start.0 < self.earliest.0 {
            return Err(Refused::ClockUnset { at: sample.start });
        }
        if !(1..=7200).contains(&sample.seconds) {
            return Err(Refused::Length { seconds: sample.seconds });
        }
        if !(0..=1_000_000_000_000).contains(&sample.power.0) {
            return Err(Refused::Power { milliwatts: sample.power.0 });
        }
        if let Some(last) = self.last.filter(|last| sample.start.0 < last.0) {
            return Err(Refused::NotNewer { end: sample.end(), last });
        }
        #[allow(clippy::cast_precision_loss, reason = "below 2^53")]
        let watts = sample.power.0 as f64 / 1000.0;
        let mut at = sample.start.0;
        while at < sample.end().0 {
            let slot = at.div_euclid(SLOT_SECONDS);
            let end = ((slot + 1) * SLOT_SECONDS).min(sample.end().0);
            self.advance_to(slot);
            let open = self.open.get_or_insert_with(|| Open { slot, ..Open::default() });
            let seconds = end - at;
            let in_quarter = (end - at.max(slot * SLOT_SECONDS + SLOT_SECONDS / 2)).max(0);
            #[allow(clippy::cast_precision_loss, reason = "below 7200")]
            {
                open.energy += watts * seconds as f64;
                open.quarter_energy += watts * in_quarter as f64;
            }
            open.covered += seconds;
            open.quarter_covered += in_quarter;
            if end == (slot + 1) * SLOT_SECONDS {
                self.close();
            }
            at = end;
        }
        self.last = Some(sample.end());
        Ok(())
    }

    /// Closes what lies before `slot`.
    fn advance_to(&mut self, slot: i64) {
        if self.open.as_ref().is_some_and(|open| open.slot < slot) {
            self.close();
        }
        let Some(today) = &self.today else { return };
        let newest = self.newest_slot(today);
        if slot - newest > MAX_GAP_SLOTS {
            // Too long ago to be of use for the sky; the envelope and the models stay.
            self.today = None;
            self.models.iter_mut().for_each(|model| model.pending.clear());
            return;
        }
        for missing in newest + 1..slot {
            self.take(missing, None, None);
        }
    }

    fn newest_slot(&self, today: &Today) -> i64 {
        #[allow(clippy::cast_possible_wrap, reason = "at most 48")]
        let taken = today.powers.len() as i64;
        self.first_slot(today.day) + taken - 1
    }

    #[allow(clippy::cast_precision_loss, reason = "at most 1800")]
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let enough = open.covered * 2 >= SLOT_SECONDS;
        let power = enough.then(|| open.energy / open.covered as f64);
        let quarter = (open.quarter_covered > 0).then(|| open.quarter_energy / open.quarter_covered as f64);
        self.take(open.slot, power, quarter);
    }

    /// A slot has ended.
    fn take(&mut self, slot: i64, power: Option<f64>, quarter: Option<f64>) {
        let day = self.day_of(slot);
        if self.today.as_ref().is_none_or(|today| today.day != day) {
            self.end_day();
            self.begin_day(day);
            let missing = slot - self.first_slot(day);
            if let Some(today) = &mut self.today {
                today.powers.extend((0..missing).map(|_| None));
            }
        }
        let clear = self.clear_power(slot);
        if let Some(today) = &mut self.today {
            today.powers.push(power);
            if let Some(power) = power {
                today.energy += power;
                today.clear += clear;
            }
        }
        if let Some(power) = power {
            self.see(slot, clear, power, quarter);
            self.learn(slot, clear, power);
        }
        self.predict_ahead(slot);
    }

    /// The sky as the slot showed it.
    fn see(&mut self, slot: i64, clear: f64, power: f64, quarter: Option<f64>) {
        if clear <= TELLING * self.peak || self.peak <= 0.0 {
            self.sky.last_quarter = self.sky.now;
            return;
        }
        let clearness = (power / clear).min(MAX_CLEARNESS);
        let quarter_clear = (clear * self.quarter_share(slot)).max(LEARNED * self.peak);
        let sky = &mut self.sky;
        sky.before = sky.now;
        sky.now = clearness;
        sky.fast = 0.5 * sky.fast + 0.5 * clearness;
        sky.slow = 0.8 * sky.slow + 0.2 * clearness;
        if let Some(today) = &self.today {
            let weight = 0.1 * self.peak;
            sky.day = (today.energy + weight * self.day_means[0]) / (today.clear + weight);
        }
        sky.last_quarter = quarter.map_or(clearness, |w| (w / quarter_clear).min(MAX_CLEARNESS));
    }

    fn learn(&mut self, slot: i64, clear: f64, power: f64) {
        for model in &mut self.models {
            while model.pending.front().is_some_and(|pending| pending.slot < slot) {
                model.pending.pop_front();
            }
            if model.pending.front().is_none_or(|pending| pending.slot != slot) {
                continue;
            }
            let Some(pending) = model.pending.pop_front() else { continue };
            if clear <= LEARNED * self.peak || pending.clear <= 0.0 {
                continue;
            }
            let actual = (power / pending.clear).min(2.0 * MAX_CLEARNESS);
            model.lad.learn(&pending.features, actual, pending.clear / self.peak);
            if self.days >= LEARNING_DAYS {
                model.residuals.push(pending.predicted, actual);
            }
        }
    }

    fn predict_ahead(&mut self, slot: i64) {
        for (index, horizon) in HORIZONS.iter().enumerate() {
            #[allow(clippy::cast_possible_wrap, reason = "at most 96")]
            let target = slot + *horizon as i64;
            let clear = self.clear_power(target);
            if clear <= LEARNED * self.peak || self.peak <= 0.0 {
                continue;
            }
            let features = self.features(target, clear);
            let predicted = clamp(self.models[index].lad.predict(&features));
            self.models[index].pending.push_back(Pending { slot: target, features, clear, predicted });
        }
    }
}

fn clamp(clearness: f64) -> f64 {
    if clearness.is_finite() { clearness.clamp(0.0, 1.3) } else { 0.0 }
}
