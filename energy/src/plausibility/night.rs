//! Energy at night, and the clock. Both compare the curve with the sun's own; no reference is needed.
use super::{Finding, Hour};
use crate::{
    sun::Place,
    units::{MilliWattHours, UnixSeconds},
};

/// Below this the sun gives a panel nothing (civil twilight).
pub const NIGHT_DEGREES: f64 = -6.0;
/// Share of a day's energy at night that is not remarked on (measured on an honest system: 0.0016 %).
pub const NIGHT_LIMIT_PERMILLE: i64 = 5;
/// Least energy at night that is remarked on, as hours at a hundredth of the peak.
const LEAST_NIGHT_HOURS_AT_PERCENT: i64 = 1;
/// Below this a panel gives less than a thousandth of its peak: some 20 lux, by the illuminance of 453 lux with the sun at -0.8° and 3.4 lux
/// at -6° (Explanatory Supplement to the Astronomical Almanac, 1992, table 9.1).
pub const DARK_DEGREES: f64 = -4.0;
/// The least time that the sun takes from the horizon down to [`DARK_DEGREES`], at 15° an hour: a shorter shift is not remarked on.
pub const SHIFT_LIMIT_SECONDS: i64 = 960;
/// A sample with more than this share of the peak has light, in thousandths.
const LIGHT_PERMILLE: i64 = 3;

/// Whether a sample of `seconds` has light, of which `rest` may be left from before it.
pub(super) fn has_light(sample: &Hour, peak_wh: MilliWattHours, rest: MilliWattHours, seconds: i64) -> bool {
    (sample.energy.0 - rest.0) * 3600 * 1000 > peak_wh.0 * seconds * LIGHT_PERMILLE
}

/// A whole day of the sun, in hours, against the night.
#[must_use]
pub fn check_night(place: &Place, peak_wh: MilliWattHours, day: &[Hour]) -> Option<Finding> {
    check_night_of_counts(place, peak_wh, MilliWattHours(0), day)
}

/// [`check_night`] of hours that were counted in whole steps: `rest` is what the night may have carried over from the day.
#[must_use]
pub fn check_night_of_counts(
    place: &Place,
    peak_wh: MilliWattHours,
    rest: MilliWattHours,
    day: &[Hour],
) -> Option<Finding> {
    let dark = |hour: &&Hour| {
        let at = |seconds: i64| place.elevation_degrees(UnixSeconds(hour.start.0 + seconds));
        at(0) < NIGHT_DEGREES && at(1800) < NIGHT_DEGREES && at(3600) < NIGHT_DEGREES
    };
    let night: MilliWattHours = day.iter().filter(dark).map(|hour| hour.energy).sum();
    let total: MilliWattHours = day.iter().map(|hour| hour.energy).sum();
    let start = day.first()?.start;
    let least = peak_wh.0 * LEAST_NIGHT_HOURS_AT_PERCENT / 100 + rest.0;
    let found = night.0 > least && night.0 * 1000 > total.0 * NIGHT_LIMIT_PERMILLE;
    found.then_some(Finding::AtNight { start, night, total, limit_permille: NIGHT_LIMIT_PERMILLE })
}

/// Light while the sun is below [`DARK_DEGREES`] from beginning to end of a sample: the clock is wrong. Needs samples finer than the
/// shift: `samples` are (start, energy) of `seconds` each. The stated shift is the least that explains the light; a day that starts
/// late or ends early (clouds, hills) hides the rest, see [`super::moved`].
#[must_use]
pub fn check_clock(place: &Place, peak_wh: MilliWattHours, seconds: i64, samples: &[Hour]) -> Option<Finding> {
    check_clock_of_counts(place, peak_wh, MilliWattHours(0), seconds, samples)
}

/// [`check_clock`] of samples that were counted in whole steps: `rest` is what a sample may have carried over from before it.
#[must_use]
pub fn check_clock_of_counts(
    place: &Place,
    peak_wh: MilliWattHours,
    rest: MilliWattHours,
    seconds: i64,
    samples: &[Hour],
) -> Option<Finding> {
    let degrees = |at: i64| place.elevation_degrees(UnixSeconds(at));
    let light = |sample: &&Hour| has_light(sample, peak_wh, rest, seconds);
    let dark = |sample: &&Hour| {
        let at = sample.start.0;
        [0, seconds / 2, seconds].iter().all(|offset| degrees(at + offset) < DARK_DEGREES)
    };
    let wrong: Vec<&Hour> = samples.iter().filter(light).filter(dark).collect();
    let first = wrong.first()?;
    let length = i64::try_from(wrong.len()).ok()? * seconds + SHIFT_LIMIT_SECONDS;
    let rising = degrees(first.start.0 + 60) > degrees(first.start.0);
    Some(Finding::ClockShift {
        start: samples.first()?.start,
        shift_seconds: if rising { -length } else { length },
        limit_seconds: SHIFT_LIMIT_SECONDS,
    })
}
