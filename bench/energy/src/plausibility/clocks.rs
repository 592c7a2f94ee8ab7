//! A clock that is set wrong at a midnight, as the records show it from then on.
use std::collections::{BTreeMap, HashMap};

use sunwork_energy::{
    plausibility::{
        Curve, Hour,
        moved::{self, Light, NEEDED_DAYS, PAST_DAYS},
        night::{check_clock, check_night},
    },
    sun::Place,
    trace::{DAY_SECONDS, Sample},
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

use super::{HOUR, Report, name};
use crate::score::Share;

const SHIFTS: [i64; 8] = [-6, -4, -3, -2, 2, 3, 4, 6];
const SECONDS: i64 = 900;
const SLOTS: i64 = DAY_SECONDS / SECONDS;

/// What is reported, as records have it: every quarter hour of a day has a count, nothing where the series has a gap.
struct Device<'a> {
    by_time: HashMap<i64, MilliWattHours>,
    place: &'a Place,
    peak_wh: MilliWattHours,
    /// Midnight of the sun on day 0.
    midnight: i64,
}

impl Device<'_> {
    /// The record of a day whose clock has been ahead by so much since the true midnight of day `since`.
    fn record(&self, day: i64, ahead: i64, since: i64) -> Vec<Hour> {
        let start = self.midnight + day * DAY_SECONDS;
        let from = self.midnight + since * DAY_SECONDS;
        let slot = |index: i64| {
            let start = start + index * SECONDS;
            let known = self.by_time.get(&(start - ahead)).filter(|_| start - ahead >= from);
            Hour { start: UnixSeconds(start), energy: known.copied().unwrap_or(MilliWattHours(0)) }
        };
        (0..SLOTS).map(slot).collect()
    }

    fn curve<'a>(&'a self, seconds: i64, samples: &'a [Hour]) -> Curve<'a> {
        Curve { place: self.place, peak_wh: self.peak_wh, rest: MilliWattHours(0), seconds, samples }
    }

    fn light(&self, record: &[Hour]) -> Option<Light> {
        moved::light(&self.curve(SECONDS, record))
    }

    /// Names of what is found in a record, with the light of the days before.
    fn found(&self, record: &[Hour], past: &[Light]) -> Vec<&'static str> {
        let hours: Vec<Hour> = record
            .chunks((HOUR / SECONDS) as usize)
            .map(|hour| Hour { start: hour[0].start, energy: hour.iter().map(|slot| slot.energy).sum() })
            .collect();
        let moved = self.light(record).and_then(|light| moved::check_light(record[0].start, light, past));
        [check_night(&self.curve(HOUR, &hours)), check_clock(&self.curve(SECONDS, record)), moved]
            .iter()
            .flatten()
            .map(name)
            .collect()
    }
}

/// Shares of days with a finding, by hours of the shift, and what is found on honest days.
pub fn run(report: &mut Report, samples: &[Sample], place: &Place, peak: MilliWatts) {
    let midnight = -(place.longitude_degrees * 240.0) as i64 / SECONDS * SECONDS;
    let energy = |sample: &Sample| (sample.start.0, sample.power.over(i64::from(sample.seconds)));
    let device = Device { by_time: samples.iter().map(energy).collect(), place, peak_wh: peak.over(HOUR), midnight };
    let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
    for sample in samples {
        *counts.entry((sample.start.0 - midnight).div_euclid(DAY_SECONDS)).or_default() += 1;
    }
    let honest: BTreeMap<i64, Vec<Hour>> = counts.keys().map(|day| (*day, device.record(*day, 0, 0))).collect();
    let lights: BTreeMap<i64, Light> =
        honest.iter().filter_map(|(day, record)| Some((*day, device.light(record)?))).collect();
    let mut on_the_day: BTreeMap<String, Share> = BTreeMap::new();
    let (mut of_complete, mut within_a_day) = (on_the_day.clone(), on_the_day.clone());
    for (day, record) in &honest {
        let mut past: Vec<Light> = lights.range(day - PAST_DAYS..*day).map(|(_, light)| *light).collect();
        let found = device.found(record, &past);
        report.clock_false_flags += usize::from(!found.is_empty());
        for found in found {
            *report.false_flags_by_check.entry(found.to_owned()).or_default() += 1;
        }
        report.clock_days_with_a_past += usize::from(past.len() >= NEEDED_DAYS);
        let total: MilliWattHours = record.iter().map(|slot| slot.energy).sum();
        if total.0 < device.peak_wh.0 {
            continue;
        }
        for hours in SHIFTS {
            let wrong = device.record(*day, hours * HOUR, *day);
            let found = !device.found(&wrong, &past).is_empty();
            on_the_day.entry(format!("{hours:+}")).or_default().add(found);
            if counts[day] >= SLOTS - 4 {
                of_complete.entry(format!("{hours:+}")).or_default().add(found);
            }
            let length = past.len();
            past.extend(device.light(&wrong));
            let next = device.record(day + 1, hours * HOUR, *day);
            let found = found || !device.found(&next, &past).is_empty();
            within_a_day.entry(format!("{hours:+}")).or_default().add(found);
            past.truncate(length);
        }
    }
    let percent = |shares: BTreeMap<String, Share>| shares.into_iter().map(|(k, share)| (k, share.percent())).collect();
    report.clock_shift_days_pct = percent(on_the_day);
    report.clock_shift_complete_days_pct = percent(of_complete);
    report.clock_shift_within_a_day_pct = percent(within_a_day);
}
