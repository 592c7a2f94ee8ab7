//! The forecaster. Power of a slot = what a clear sky would give this panel (see [`super::envelope`]) times a clearness; the
//! clearness ahead is a linear model of the clearness now, over the last hours, of the day, and of the last weeks at that time of
//! day, learned by least absolute deviations for each distance ahead ([`super::lad`]). The band comes from past errors.
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
            lad: Lad::new(prior(horizon), 0.05),
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

    fn begin_day(&mut self, day: i64) {
        self.look_up(day);
        let clear = self.clear_total(day);
        let opening = (clear > 0.0 && self.days > 0).then(|| {
            let features = self.day_features();
            let predicted = clamp(self.day_model.predict(&features));
            (features, clear, predicted)
        });
        self.today = Some(Today { day, powers: Vec::with_capacity(SLOTS), energy: 0.0, clear: 0.0, opening });
    }

    fn look_up(&mut self, day: i64) {
        let first = self.first_slot(day - 1);
        let (start, known) = core::mem::take(&mut self.skies);
        #[allow(clippy::cast_possible_wrap, reason = "nine days of slots")]
        let end = start + known.len() as i64;
        let sky = |slot: i64| match usize::try_from(slot - start) {
            Ok(index) if slot < end => known[index],
            _ => self.compute_global(slot),
        };
        let skies = (first..first + SKY_DAYS * SLOTS as i64).map(sky).collect();
        self.skies = (first, skies);
    }

    fn end_day(&mut self) {
        let Some(mut today) = self.today.take() else { return };
        today.powers.resize(SLOTS, None);
        let first = self.first_slot(today.day);
        let global: Vec<f64> = (first..).take(SLOTS).map(|slot| self.global(slot)).collect();
        let clear: Vec<f64> = (first..).take(SLOTS).map(|slot| self.clear_power(slot)).collect();
        let missing = today.powers.iter().zip(&clear).filter(|(p, c)| p.is_none() && **c > TELLING * self.peak).count();
        let seen: f64 = today.powers.iter().zip(&clear).filter(|(p, _)| p.is_some()).map(|(_, c)| c).sum();
        if seen > 0.0 && missing <= SLOTS / 8 {
            let clearness = (today.energy / seen).min(MAX_CLEARNESS);
            let late = |from: usize| -> f64 {
                let rows = || today.powers.iter().zip(&clear).skip(from).filter_map(|(p, c)| Some(((*p)?, *c)));
                let sum: f64 = rows().map(|(_, c)| c).sum();
                if sum > 0.0 { rows().map(|(p, _)| p).sum::<f64>() / sum } else { clearness }
            };
            if let Some((features, clear_total, predicted)) = &today.opening
                && missing == 0
                && self.peak > 0.0
            {
                let actual = (today.energy / clear_total).min(MAX_CLEARNESS);
                #[allow(clippy::cast_precision_loss, reason = "48")]
                self.day_model.learn(features, actual, 20.0 * clear_total / (self.peak * SLOTS as f64));
                if self.days >= LEARNING_DAYS {
                    self.day_residuals.push(*predicted, actual);
                }
            }
            let [yesterday, ten, month, afternoon] = &mut self.day_means;
            *afternoon = late(30).min(MAX_CLEARNESS);
            *yesterday = clearness;
            *ten += 0.1 * (clearness - *ten);
            *month += 0.04 * (clearness - *month);
            self.dark_days = if clearness < DARK { self.dark_days + 1 } else { 0 };
        }
        let ratios = today.powers.iter().zip(&global).map(|(power, global)| {
            #[allow(clippy::cast_possible_truncation, reason = "a ratio; seven digits will do")]
            power.filter(|_| *global > DAWN).map(|power| (power / global) as f32)
        });
        let ratios: Vec<Option<f32>> = ratios.collect();
        for (slot, power) in today.powers.iter().enumerate() {
            self.long[slot] *= LONG_DECAY;
            if let Some(ratio) = ratios[slot] {
                self.long[slot] = self.long[slot].max(f64::from(ratio));
            }
            if let Some(power) = power {
                self.climate_power[slot] += (power - self.climate_power[slot]) / CLIMATE_DAYS;
                self.climate_clear[slot] += (clear[slot] - self.climate_clear[slot]) / CLIMATE_DAYS;
            }
        }
        if today.powers.iter().any(Option::is_some) {
            self.envelope.push(ratios);
            self.days += 1;
        }
        let day = today.day + 1;
        self.peak = (self.first_slot(day)..).take(SLOTS).map(|slot| self.clear_power(slot)).fold(0.0, f64::max);
        for model in &mut self.models {
            model.lad.refit();
            model.lad.forget(FORGET_PER_DAY);
        }
        self.day_model.refit();
    }

    fn features(&self, target: i64, clear: f64) -> Vec<f64> {
        let sky = &self.sky;
        let slot = self.slot_of_day(target);
        let edge = self.envelope.edge(slot) * self.global(target) / clear.max(LEARNED * self.peak) - 1.0;
        let turn = sky.last_quarter - sky.now;
        let all: [f64; FEATURES] = [
            1.0,
            sky.now,
            sky.before,
            sky.fast,
            sky.slow,
            sky.day,
            self.climate(slot),
            sky.now * sky.now,
            edge.clamp(-1.0, 1.0),
            sky.last_quarter,
            turn,
            turn.abs(),
            sky.last_quarter.min(0.5),
        ];
        all.to_vec()
    }

    fn day_features(&self) -> Vec<f64> {
        let [yesterday, ten, month, afternoon] = self.day_means;
        vec![1.0, yesterday, ten, month, afternoon]
    }

    /// Clearness of a time of day over the last weeks, smoothed over its neighbours.
    fn climate(&self, slot: usize) -> f64 {
        let (mut power, mut clear) = (FIRST_CLEARNESS * FIRST_WEIGHT * self.peak, FIRST_WEIGHT * self.peak);
        for (offset, weight) in [(46, 1.0), (47, 2.0), (0, 3.0), (1, 2.0), (2, 1.0)] {
            let neighbour = (slot + offset) % SLOTS;
            power += weight * self.climate_power[neighbour];
            clear += weight * self.climate_clear[neighbour];
        }
        if clear > 0.0 { (power / clear).min(MAX_CLEARNESS) } else { FIRST_CLEARNESS }
    }

    /// Power of this panel under a clear sky, watts.
    fn clear_power(&self, slot: i64) -> f64 {
        let of_day = self.slot_of_day(slot);
        let held = (EDGE_SHARE * self.envelope.edge(of_day)).max(LONG_SHARE * self.long[of_day]);
        self.envelope.typical(of_day).max(held) * self.global(slot)
    }

    fn clear_total(&self, day: i64) -> f64 {
        (self.first_slot(day)..).take(SLOTS).map(|slot| self.clear_power(slot)).sum()
    }

    /// Clear sky at the middle of a slot, W/m²; nothing below [`DAWN`].
    fn global(&self, slot: i64) -> f64 {
        let known = usize::try_from(slot - self.skies.0).ok().and_then(|index| self.skies.1.get(index));
        known.copied().unwrap_or_else(|| self.compute_global(slot))
    }

    fn compute_global(&self, slot: i64) -> f64 {
        let Site::At(place) = self.site else { return 1000.0 };
        let sky = place.clear_sky(UnixSeconds(slot * SLOT_SECONDS + SLOT_SECONDS / 2)).global;
        if sky > DAWN { sky } else { 0.0 }
    }

    /// Clear sky of a slot's second half as a share of its middle's.
    fn quarter_share(&self, slot: i64) -> f64 {
        let Site::At(place) = self.site else { return 1.0 };
        let at = |seconds: i64| place.clear_sky(UnixSeconds(slot * SLOT_SECONDS + seconds)).global;
        at(SLOT_SECONDS * 3 / 4) / at(SLOT_SECONDS / 2).max(DAWN)
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most 24 either way")]
    fn offset(&self) -> i64 {
        let east = match self.site {
            Site::At(place) => place.longitude_degrees,
            Site::Longitude(east) => east,
        };
        (east / 7.5).round() as i64
    }

    fn day_of(&self, slot: i64) -> i64 {
        (slot + self.offset()).div_euclid(SLOTS as i64)
    }

    fn slot_of_day(&self, slot: i64) -> usize {
        usize::try_from((slot + self.offset()).rem_euclid(SLOTS as i64)).unwrap_or(0)
    }

    fn first_slot(&self, day: i64) -> i64 {
        day * SLOTS as i64 - self.offset()
    }

    /// State at a time, with its reason.
    #[must_use]
    pub fn state(&self, now: UnixSeconds) -> ForecastState {
        if self.days < LEARNING_DAYS {
            return ForecastState::Learning { days: self.days };
        }
        if let Some(last) = self.last.filter(|last| now.0 - last.0 > STALE_SECONDS) {
            return ForecastState::Stale { last };
        }
        let today = self.day_of(now.0.div_euclid(SLOT_SECONDS));
        if (self.first_slot(today)..).take(SLOTS).all(|slot| self.global(slot) <= 0.0) {
            return ForecastState::PolarNight;
        }
        if self.dark_days >= DARK_DAYS {
            return ForecastState::PanelDark { days: self.dark_days };
        }
        ForecastState::Ready
    }

    /// Power of the slot that contains `at`, seen from the newest sample.
    ///
    /// # Errors
    /// When the clock is not set.
    pub fn at(&self, now: UnixSeconds, at: UnixSeconds) -> Result<Band, Refused> {
        if now.0 < self.earliest.0 {
            return Err(Refused::ClockUnset { at: now });
        }
        let slot = at.0.div_euclid(SLOT_SECONDS);
        let newest = self.today.as_ref().map_or(slot - 1, |today| self.newest_slot(today));
        let ahead = usize::try_from((slot - newest).max(1)).unwrap_or(usize::MAX);
        let index = HORIZONS.iter().position(|horizon| *horizon >= ahead).unwrap_or(HORIZONS.len() - 1);
        let clear = self.clear_power(slot);
        if clear <= 0.0 || self.peak <= 0.0 {
            return Ok(Band::default());
        }
        let model = &self.models[index];
        let expected = clamp(model.lad.predict(&self.features(slot, clear)));
        let counted_on = !matches!(self.state(now), ForecastState::Learning { .. } | ForecastState::Stale { .. });
        let low = if counted_on { model.residuals.lower(expected, LOW_LEVEL) } else { 0.0 };
        Ok(Band { expected: milliwatts(expected * clear), low: milliwatts(low * clear) })
    }

    /// Energy of the next whole day of the sun, seen from the newest sample.
    #[must_use]
    pub fn next_day(&self) -> DayBand {
        let Some(today) = &self.today else { return DayBand::default() };
        // A day that has just ended is closed by the first sample of the next; close a copy, so that midnight is known as such.
        let mut closed;
        let (this, day) = if today.powers.len() >= SLOTS {
            closed = self.clone();
            closed.end_day();
            (&closed, today.day + 1)
        } else {
            (self, today.day + 1)
        };
        let clear = this.clear_total(day);
        let expected = clamp(this.day_model.predict(&this.day_features()));
        let low = if this.days < LEARNING_DAYS { 0.0 } else { this.day_residuals.lower(expected, LOW_LEVEL) };
        DayBand { expected: watt_slots(expected * clear), low: watt_slots(low * clear) }
    }

    /// Clear-sky power of the slot that contains `at`, as learned.
    #[must_use]
    pub fn clear_sky_power(&self, at: UnixSeconds) -> MilliWatts {
        milliwatts(self.clear_power(at.0.div_euclid(SLOT_SECONDS)))
    }

    /// Clearness of the day so far, mixed with that of the last hour and a half; yesterday's at night.
    #[must_use]
    pub fn clearness(&self) -> f64 {
        0.6 * self.sky.day + 0.4 * self.sky.fast
    }

    /// Days of history.
    #[must_use]
    pub fn days(&self) -> usize {
        self.days
    }

    /// Hour of the sun's day (0 to 23) in which `at` lies.
    #[must_use]
    pub fn sun_hour(&self, at: UnixSeconds) -> usize {
        self.slot_of_day(at.0.div_euclid(SLOT_SECONDS)) / 2
    }
}

/// Before anything is learned: what is seen now lasts, less and less, and gives way to the last weeks.
#[allow(clippy::cast_precision_loss, reason = "at most 96")]
fn prior(horizon: usize) -> Vec<f64> {
    let kept = 0.9_f64.powf(horizon as f64);
    let mut all = vec![0.0; FEATURES];
    all[1] = 0.5 * kept;
    all[6] = 1.0 - kept;
    all[9] = 0.5 * kept;
    all
}

fn clamp(clearness: f64) -> f64 {
    if clearness.is_finite() { clearness.clamp(0.0, 1.3) } else { 0.0 }
}

#[allow(clippy::cast_possible_truncation, reason = "bounded by what panels give")]
fn milliwatts(watts: f64) -> MilliWatts {
    MilliWatts((watts * 1000.0).round() as i64)
}

#[allow(clippy::cast_possible_truncation, reason = "bounded by what panels give in a day")]
fn watt_slots(watts: f64) -> MilliWattHours {
    MilliWattHours((watts * 500.0).round() as i64)
}
