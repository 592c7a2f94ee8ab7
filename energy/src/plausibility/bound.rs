//! Bound that no orientation of a panel can pass: peak × (direct on a plane that faces the sun + diffuse) of a clear sky, integrated
//! over the hour. An hour gets a quarter more (edges of clouds: measured up to 1.62 on a level plane, but never on top of the best
//! orientation); a day gets next to none.
use super::{Finding, Hour};
use crate::{
    sun::Place,
    units::{MilliWattHours, MilliWatts},
};

/// Margin of an hour.
pub const HOUR_MARGIN: f64 = 1.25;
/// Margin of a day: what a model of the clear sky that knows no weather may be off.
pub const DAY_MARGIN: f64 = 1.03;
/// Elevation of the sun, in the middle of the hour, below which an hour is not held against the bound.
pub const LOWEST_SUN_DEGREES: f64 = 5.0;
/// Points that an hour is integrated over.
const POINTS: u32 = 12;

/// Watt hours (in thousandths) that a panel can give in an hour at most, without margin.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "milliwatts of a panel")]
pub fn clear_hour(place: &Place, peak: MilliWatts, hour: &Hour) -> f64 {
    let sky = place.mean_clear_sky(hour.start, 3600, POINTS);
    peak.0 as f64 * (sky.direct + sky.diffuse) / 1000.0
}

/// The hours of one day against the bounds.
#[must_use]
pub fn check_day(place: &Place, peak: MilliWatts, day: &[Hour]) -> Vec<Finding> {
    check_day_of_counts(place, peak, MilliWattHours(0), day)
}

/// [`check_day`] of hours that were counted in whole steps: `rest` is what an hour may have carried over from before it.
#[must_use]
#[allow(clippy::cast_possible_truncation, reason = "milliwatt hours of a panel")]
pub fn check_day_of_counts(place: &Place, peak: MilliWatts, rest: MilliWattHours, day: &[Hour]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut limit_of_day = 0.0;
    for hour in day {
        let clear = clear_hour(place, peak, hour);
        limit_of_day += clear;
        let middle = crate::units::UnixSeconds(hour.start.0 + 1800);
        let limit = MilliWattHours((clear * HOUR_MARGIN) as i64);
        if hour.energy > limit + rest && place.elevation_degrees(middle) > LOWEST_SUN_DEGREES {
            findings.push(Finding::AboveClearHour { start: hour.start, reported: hour.energy, limit });
        }
    }
    let reported: MilliWattHours = day.iter().map(|hour| hour.energy).sum();
    let limit = MilliWattHours((limit_of_day * DAY_MARGIN) as i64);
    // Hours of the night alone (a day that is cut short) have no clear sky to be held against: that is for `check_night`.
    if let Some(first) = day.first().filter(|_| limit_of_day > 0.0 && reported > limit + rest) {
        findings.push(Finding::AboveClearDay { start: first.start, reported, limit });
    }
    findings
}
