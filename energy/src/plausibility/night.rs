//! Energy at night, and the clock. Both compare the curve with the sun's own; no reference is needed.
use super::{Curve, Finding, Hour};
use crate::units::{MilliWattHours, UnixSeconds};

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

/// A whole day of the sun, in hours, against the night.
#[must_use]
pub fn check_night(day: &Curve) -> Option<Finding> {
    let dark = |hour: &&Hour| {
        let at = |seconds: i64| day.place.elevation_degrees(UnixSeconds(hour.start.0 + seconds));
        day.looks().into_iter().all(|seconds| at(seconds) < NIGHT_DEGREES)
    };
    let night: MilliWattHours = day.samples.iter().filter(dark).map(|hour| hour.energy).sum();
    let total: MilliWattHours = day.samples.iter().map(|hour| hour.energy).sum();
    let start = day.samples.first()?.start;
    let least = day.peak_wh.0 * LEAST_NIGHT_HOURS_AT_PERCENT / 100 + day.rest.0;
    let found = night.0 > least && night.0 * 1000 > total.0 * NIGHT_LIMIT_PERMILLE;
    found.then_some(Finding::AtNight { start, night, total, limit_permille: NIGHT_LIMIT_PERMILLE })
}

/// Light while the sun is below [`DARK_DEGREES`] from beginning to end of a sample: the clock is wrong. Needs samples finer than the
/// shift. The stated shift is the least that explains the light; a day that starts late or ends early (clouds, hills) hides the rest,
/// see [`super::moved`].
#[must_use]
pub fn check_clock(curve: &Curve) -> Option<Finding> {
    let degrees = |at: i64| curve.place.elevation_degrees(UnixSeconds(at));
    let dark = |sample: &&Hour| {
        let at = sample.start.0;
        curve.looks().into_iter().all(|seconds| degrees(at + seconds) < DARK_DEGREES)
    };
    let wrong: Vec<&Hour> = curve.samples.iter().filter(|sample| curve.is_lit(sample)).filter(dark).collect();
    let first = wrong.first()?;
    let length = i64::try_from(wrong.len()).ok()? * curve.seconds + SHIFT_LIMIT_SECONDS;
    let rising = degrees(first.start.0 + 60) > degrees(first.start.0);
    Some(Finding::ClockShift {
        start: curve.samples.first()?.start,
        shift_seconds: if rising { -length } else { length },
        limit_seconds: SHIFT_LIMIT_SECONDS,
    })
}
