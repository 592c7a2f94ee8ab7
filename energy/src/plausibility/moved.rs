//! First and last light of a day against those of the days before. Clouds, snow and hills move both towards noon; a clock that is
//! wrong moves both the same way. Finds what [`super::night`] cannot on a day whose evening (or morning) was dull.
use serde::{Deserialize, Serialize};

use super::{Curve, Finding, Hour};
use crate::{sun::Place, trace::DAY_SECONDS, units::UnixSeconds};

/// Days before that a day is held against.
pub const PAST_DAYS: i64 = 30;
/// A device with fewer such days is not held against them.
pub const NEEDED_DAYS: usize = 7;
/// The one end of the light lies beyond the sun's own and that of all days before by at least this ...
pub const BEYOND_SECONDS: i64 = 900;
/// ... and the other end is away from its median, the same way, by at least this.
pub const AWAY_SECONDS: i64 = 3600;
/// A day with fewer of its samples is left out, in thousandths (of 96 quarter hours, four may be missing).
const COMPLETE_PERMILLE: i64 = 958;
/// The sun's rise and set are looked for in steps of this, then between two of them.
const STEP_SECONDS: i64 = 900;

/// The light of one day of the sun, as its device reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Light {
    /// Beginning of the first sample with light, after sunrise.
    pub first_seconds: i64,
    /// End of the last sample with light, after sunset.
    pub last_seconds: i64,
}

/// The newest day of the sun that is complete, against the [`PAST_DAYS`] before it; days may be missing.
#[must_use]
pub fn check_moved(curve: &Curve) -> Option<Finding> {
    let (place, samples) = (curve.place, curve.samples);
    let days: Vec<(i64, Option<Light>)> =
        complete_days(curve).map(|(day, samples)| (day, light(&curve.of(samples)))).collect();
    let ((day, today), before) = days.split_last()?;
    // Told once: later records that complete no day say nothing new about this one.
    if samples.last()?.start.0 + curve.seconds - midnight(place, day + 1).0 >= DAY_SECONDS {
        return None;
    }
    let past: Vec<Light> =
        before.iter().filter(|(at, _)| at + PAST_DAYS >= *day).filter_map(|(_, light)| *light).collect();
    check_light(midnight(place, *day), (*today)?, &past)
}

/// Days of the sun with nearly all of their samples, oldest first, by their number.
fn complete_days<'a>(curve: &Curve<'a>) -> impl Iterator<Item = (i64, &'a [Hour])> {
    let Curve { place, seconds, samples, .. } = *curve;
    samples
        .chunk_by(move |a, b| day_of(place, a.start) == day_of(place, b.start))
        .filter(move |day| day.len() as i64 * seconds * 1000 >= DAY_SECONDS * COMPLETE_PERMILLE)
        .map(move |day| (day_of(place, day[0].start), day))
}

/// The light of a day that begins at `start`, against that of the days before.
#[must_use]
pub fn check_light(start: UnixSeconds, light: Light, past: &[Light]) -> Option<Finding> {
    if past.len() < NEEDED_DAYS {
        return None;
    }
    let [firsts, lasts] = [|light: &Light| light.first_seconds, |light: &Light| light.last_seconds].map(|of| {
        let mut all: Vec<i64> = past.iter().map(of).collect();
        all.sort_unstable();
        [all[0], all[all.len() / 2], all[all.len() - 1]]
    });
    // After weeks of dull evenings a clear one ends later than ever, but with the sun.
    let late = light.last_seconds - lasts[2].max(0);
    let early = firsts[0].min(0) - light.first_seconds;
    let shift_seconds = if late >= BEYOND_SECONDS && light.first_seconds - firsts[1] >= AWAY_SECONDS {
        late
    } else if early >= BEYOND_SECONDS && lasts[1] - light.last_seconds >= AWAY_SECONDS {
        -early
    } else {
        return None;
    };
    Some(Finding::ClockMoved {
        start,
        shift_seconds,
        light,
        past: [0, 1, 2].map(|i| Light { first_seconds: firsts[i], last_seconds: lasts[i] }),
        days: past.len(),
        limit_seconds: BEYOND_SECONDS,
    })
}

/// Of one day of the sun. None where nothing was lit, or the sun did not both rise and set.
#[must_use]
pub fn light(day: &Curve) -> Option<Light> {
    let place = day.place;
    let lit = |sample: &&Hour| day.is_lit(sample);
    let (first, last) = (day.samples.iter().find(lit)?, day.samples.iter().rfind(lit)?);
    let start = midnight(place, day_of(place, first.start)).0;
    let height = |at: i64| place.sine_of_elevation(UnixSeconds(at));
    let steps = || (0..DAY_SECONDS / STEP_SECONDS).map(|step| start + step * STEP_SECONDS);
    let rise = steps().find(|at| height(*at) <= 0.0 && height(at + STEP_SECONDS) > 0.0)?;
    let set = steps().rfind(|at| height(*at) > 0.0 && height(at + STEP_SECONDS) <= 0.0)?;
    Some(Light {
        first_seconds: first.start.0 - crossing(rise, height),
        last_seconds: last.start.0 + day.seconds - crossing(set, height),
    })
}

/// When the sun crosses the horizon in the step that begins `at`: on a straight line, a few seconds off at most.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a share of a step")]
fn crossing(at: i64, height: impl Fn(i64) -> f64) -> i64 {
    let (before, after) = (height(at), height(at + STEP_SECONDS));
    at + (before / (before - after) * STEP_SECONDS as f64) as i64
}

/// Number of the day by the mean sun of the place.
fn day_of(place: &Place, at: UnixSeconds) -> i64 {
    (at.0 + ahead(place)).div_euclid(DAY_SECONDS)
}

fn midnight(place: &Place, day: i64) -> UnixSeconds {
    UnixSeconds(day * DAY_SECONDS - ahead(place))
}

/// Seconds by which the mean sun of the place is ahead of Greenwich's: 15° an hour.
#[allow(clippy::cast_possible_truncation, reason = "within a day")]
fn ahead(place: &Place) -> i64 {
    (place.longitude_degrees * 240.0) as i64
}
