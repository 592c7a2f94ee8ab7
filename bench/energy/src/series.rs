//! A recorded series in slots of half an hour, and the days of its wall clock that are complete, or nearly.
use std::collections::BTreeMap;

use jiff::{Timestamp, tz::TimeZone};
use sunwork_energy::{
    forecast::{SLOT_SECONDS, SLOTS, harvest::Site},
    sun::Place,
    trace::{DAY_SECONDS, Sample, mean_power},
    units::UnixSeconds,
};

use serde::Serialize;

use crate::{baselines::WARM_UP, place};

/// With fewer scored days than this the strict rule gives way to the laxer one.
const FEW_DAYS: usize = 10;
/// Half hours of a day that have to be known by the laxer rule: all but two hours.
const KNOWN_SLOTS: usize = SLOTS - 4;

/// Which days forecasts are scored on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DayRule {
    /// Without a gap, as in the published baselines.
    #[default]
    Complete,
    /// At least 44 of 48 half hours are known, each at least half covered. Where fewer than ten days would be scored otherwise.
    NearlyComplete,
}

/// What is measured on.
pub struct Series {
    pub samples: Vec<Sample>,
    pub site: Site,
    /// Its days, for scoring: those of a wall clock (system_50, as in the published baselines) or of the sun.
    pub zone: Option<TimeZone>,
    /// Spread samples are parts of a longer step: its length, seconds. They are all known at its end, and not before.
    pub step_seconds: Option<i64>,
}

/// A day of 48 half hours, watts.
pub type Day = [f64; SLOTS];

impl Series {
    pub fn new(samples: Vec<Sample>, place: Option<Place>, zone: Option<TimeZone>) -> Self {
        let rough = longitude(&samples);
        let site = place.or_else(|| place::find(&samples, rough)).map_or(Site::Longitude(rough), Site::At);
        Self { samples, site, zone, step_seconds: None }
    }

    /// Of steps longer than an hour, spread: the length of their days tells no latitude.
    pub fn of_long_steps(samples: Vec<Sample>, step_seconds: i64, place: Option<Place>) -> Self {
        let site = place.map_or_else(|| Site::Longitude(longitude(&samples)), Site::At);
        Self { samples, site, zone: None, step_seconds: Some(step_seconds) }
    }

    /// From when on a sample is known, and how long the next one may take, seconds.
    pub fn known(&self, sample: &Sample) -> (i64, i64) {
        let Some(step) = self.step_seconds else { return (sample.end().0, sample.seconds.into()) };
        let first = self.samples.first().map_or(0, |sample| sample.start.0);
        (first + ((sample.start.0 - first).div_euclid(step) + 1) * step, step)
    }

    pub fn first_slot(&self) -> i64 {
        self.samples.first().map_or(0, |sample| sample.start.0.div_euclid(SLOT_SECONDS))
    }

    pub fn slots(&self) -> i64 {
        self.samples.last().map_or(0, |sample| (sample.end().0 + SLOT_SECONDS - 1).div_euclid(SLOT_SECONDS))
            - self.first_slot()
    }

    /// Watts of a slot.
    pub fn power(&self, slot: i64) -> Option<f64> {
        mean_power(&self.samples, UnixSeconds(slot * SLOT_SECONDS), SLOT_SECONDS).map(|p| p.0 as f64 / 1000.0)
    }

    /// Seconds by which the wall clock (or the sun) is ahead of UTC.
    fn ahead(&self, at: i64) -> i64 {
        match (&self.zone, self.site) {
            (Some(zone), _) => Timestamp::from_second(at).map_or(0, |at| zone.to_offset(at).seconds().into()),
            (None, Site::At(place)) => (place.longitude_degrees / 15.0).round() as i64 * 3600,
            (None, Site::Longitude(east)) => (east / 15.0).round() as i64 * 3600,
        }
    }

    /// Day and slot of the day on the wall clock.
    pub fn wall(&self, slot: i64) -> (i64, usize) {
        let at = slot * SLOT_SECONDS;
        let wall = at + self.ahead(at);
        (wall.div_euclid(DAY_SECONDS), usize::try_from(wall.rem_euclid(DAY_SECONDS) / SLOT_SECONDS).unwrap_or(0))
    }

    /// Days to score, in order, after those that warm up: complete ones, or nearly complete ones where there are too few.
    pub fn scored_days(&self) -> (DayRule, Vec<(i64, Day)>) {
        let complete = self.complete_days();
        if complete.len() < WARM_UP + FEW_DAYS {
            let nearly = self.nearly_complete_days();
            if nearly.len() > complete.len() {
                return (DayRule::NearlyComplete, nearly);
            }
        }
        (DayRule::Complete, complete)
    }

    /// A half hour that is not known is taken for the mean of its known neighbours.
    fn nearly_complete_days(&self) -> Vec<(i64, Day)> {
        let mut days: BTreeMap<i64, [Option<f64>; SLOTS]> = BTreeMap::new();
        for slot in self.first_slot()..self.first_slot() + self.slots() {
            let (day, of_day) = self.wall(slot);
            if let Some(power) = self.power(slot) {
                let entry = &mut days.entry(day).or_insert([None; SLOTS])[of_day];
                *entry = Some(entry.map_or(power, |found| found.max(power)));
            }
        }
        let filled = |known: &[Option<f64>; SLOTS]| -> Day {
            std::array::from_fn(|slot| {
                let before = known[..=slot].iter().rev().find_map(|power| *power);
                let after = known[slot..].iter().find_map(|power| *power);
                f64::midpoint(before.or(after).unwrap_or(0.0), after.or(before).unwrap_or(0.0))
            })
        };
        days.iter()
            .filter(|(_, known)| known.iter().flatten().count() >= KNOWN_SLOTS)
            .map(|(day, known)| (*day, filled(known)))
            .collect()
    }

    /// Days without a gap, in order. Days of 23 hours count as incomplete, as in the published baselines.
    fn complete_days(&self) -> Vec<(i64, Day)> {
        let mut seconds: BTreeMap<i64, i64> = BTreeMap::new();
        for sample in &self.samples {
            let day = (sample.start.0 + self.ahead(sample.start.0)).div_euclid(DAY_SECONDS);
            *seconds.entry(day).or_default() += i64::from(sample.seconds);
        }
        let mut days: BTreeMap<i64, Day> = BTreeMap::new();
        for slot in self.first_slot()..self.first_slot() + self.slots() {
            let (day, of_day) = self.wall(slot);
            if seconds.get(&day).is_some_and(|found| *found >= DAY_SECONDS) {
                let power = self.power(slot).unwrap_or(0.0);
                let entry = &mut days.entry(day).or_insert([0.0; SLOTS])[of_day];
                *entry = entry.max(power);
            }
        }
        days.into_iter().collect()
    }
}

/// Degrees east, from the centre of the power of the first fourteen days. For series without a place.
fn longitude(samples: &[Sample]) -> f64 {
    let Some(start) = samples.first() else { return 0.0 };
    let (mut east, mut north) = (0.0, 0.0);
    for sample in samples.iter().take_while(|sample| sample.start.0 < start.start.0 + 14 * DAY_SECONDS) {
        let at = (sample.start.0 + i64::from(sample.seconds) / 2).rem_euclid(DAY_SECONDS) as f64;
        let angle = at / DAY_SECONDS as f64 * std::f64::consts::TAU;
        east += angle.sin() * sample.power.0 as f64;
        north += angle.cos() * sample.power.0 as f64;
    }
    // Noon in Greenwich is at half a turn.
    let noon = east.atan2(north).to_degrees().rem_euclid(360.0);
    180.0 - noon
}
