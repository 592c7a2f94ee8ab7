//! Where a series was recorded, read out of the series itself. The owner of a worker says where it stands (the settings ask for it);
//! whoever hands in a trace need not, and the length of its days tells. No weather is read from it, so nothing of the future is.
use std::{collections::BTreeMap, f64::consts::TAU};

use sunwork_energy::{
    sun::Place,
    trace::{DAY_SECONDS, Sample},
    units::UnixSeconds,
};

/// Days whose earliest and latest light make one observation: some of ten mornings are clear.
const WINDOW_DAYS: i64 = 10;
/// Fewer days in a window, or fewer windows, tell too little.
const FEWEST_DAYS: usize = 5;
const FEWEST_WINDOWS: usize = 6;
/// Light: this share of the highest power.
const LIGHT: f64 = 0.01;
/// Mean error above which the lengths are not those of days (night lights, a shifted clock), hours.
const WORST_HOURS: f64 = 0.6;

/// Where the sun's declination and its hour angle can be read off.
const POLE: Place = Place { latitude_degrees: 90.0, longitude_degrees: 0.0, altitude_metres: 0.0 };
const EQUATOR: Place = Place { latitude_degrees: 0.0, ..POLE };

/// Light of a window of days.
struct Light {
    /// Declination of the sun in its middle, radians.
    declination: f64,
    /// Hours by which the sun is ahead of the mean sun then.
    ahead: f64,
    /// From the first light to the last, hours.
    length: f64,
    /// Its middle by the clock of the rough longitude, hours.
    middle: f64,
}

/// The place whose days are as long as those of the series; `None` where they do not tell.
pub fn find(samples: &[Sample], rough_longitude: f64) -> Option<Place> {
    let lights = lights(samples, rough_longitude);
    if lights.len() < FEWEST_WINDOWS {
        return None;
    }
    // How high the sun stands when the panel first gives power depends on the panel, so it is fitted too.
    let candidates =
        (-160..=160).flat_map(|half| (0..6).map(move |step| (f64::from(half) / 2.0, 2.0 * f64::from(step))));
    let error = |(latitude, height): (f64, f64)| {
        let sum: f64 = lights.iter().map(|at| (at.length - length(latitude, height, at.declination)).abs()).sum();
        sum / lights.len() as f64
    };
    let best = candidates.min_by(|a, b| error(*a).total_cmp(&error(*b)))?;
    if error(best) > WORST_HOURS {
        return None;
    }
    let mut ahead: Vec<f64> = lights.iter().map(|at| 12.0 - at.ahead - at.middle).collect();
    ahead.sort_by(f64::total_cmp);
    let longitude = (rough_longitude + 15.0 * ahead[ahead.len() / 2] + 540.0).rem_euclid(360.0) - 180.0;
    Place::new(best.0, longitude, 0.0).ok()
}

/// First and last light of each day; of each window the second earliest and second latest, so that one odd sample does not count.
fn lights(samples: &[Sample], rough_longitude: f64) -> Vec<Light> {
    let peak = samples.iter().map(|sample| sample.power.0).max().unwrap_or(0) as f64;
    let mut days: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.power.0 as f64 > LIGHT * peak) {
        let middle = sample.start.0 + i64::from(sample.seconds) / 2 + (rough_longitude * 240.0) as i64;
        let hour = middle.rem_euclid(DAY_SECONDS) as f64 / 3600.0;
        let day = days.entry(middle.div_euclid(DAY_SECONDS)).or_insert((hour, hour));
        *day = (day.0.min(hour), day.1.max(hour));
    }
    let mut windows: BTreeMap<i64, Vec<(f64, f64)>> = BTreeMap::new();
    for (day, light) in days {
        windows.entry(day.div_euclid(WINDOW_DAYS)).or_default().push(light);
    }
    let second = |mut hours: Vec<f64>| {
        hours.sort_by(f64::total_cmp);
        hours[1]
    };
    windows
        .into_iter()
        .filter(|(_, lights)| lights.len() >= FEWEST_DAYS)
        .map(|(window, lights)| {
            let first = second(lights.iter().map(|light| light.0).collect());
            let last = -second(lights.iter().map(|light| -light.1).collect());
            let noon = UnixSeconds((window * WINDOW_DAYS + WINDOW_DAYS / 2) * DAY_SECONDS + DAY_SECONDS / 2);
            let [east, _, up] = EQUATOR.to_the_sun(noon);
            Light {
                // At the pole the sun stands as high as its declination.
                declination: POLE.sine_of_elevation(noon).asin(),
                // By this much of a turn it has passed the meridian of Greenwich at noon.
                ahead: (-east).atan2(up) / TAU * 24.0,
                length: last - first,
                middle: f64::midpoint(first, last),
            }
        })
        .collect()
}

/// Hours for which the sun stands above a height, degrees: the sunrise equation.
fn length(latitude: f64, height: f64, declination: f64) -> f64 {
    let latitude = latitude.to_radians();
    let cosine =
        (height.to_radians().sin() - latitude.sin() * declination.sin()) / (latitude.cos() * declination.cos());
    cosine.clamp(-1.0, 1.0).acos() / TAU * 48.0
}

#[cfg(test)]
mod tests {
    use sunwork_energy::units::MilliWatts;

    use super::*;

    /// Clear and dull days of a level panel, by quarter hours.
    fn year(place: Place) -> Vec<Sample> {
        let start = 1_767_225_600;
        (0..365 * 96)
            .map(|quarter| {
                let at = start + quarter * 900;
                let dull = if (quarter / 96) % 3 == 0 { 1.0 } else { 0.2 };
                let power = place.clear_sky(UnixSeconds(at + 450)).global * dull * 100.0;
                Sample { start: UnixSeconds(at), seconds: 900, power: MilliWatts(power as i64) }
            })
            .collect()
    }

    #[test]
    fn the_length_of_its_days_tells_where_a_series_was_recorded() {
        for (north, east) in [(39.7, -105.2), (-25.0, 28.0), (52.0, 13.4), (60.0, 170.0), (69.6, 18.9), (-72.0, 2.5)] {
            let place = find(&year(Place::new(north, east, 0.0).unwrap()), east + 8.0).unwrap();
            assert!((place.latitude_degrees - north).abs() < 2.5, "{place:?}, not {north}");
            assert!((place.longitude_degrees - east).abs() < 2.0, "{place:?}, not {east}");
        }
    }

    #[test]
    fn too_few_days_or_a_light_that_burns_all_night_tell_nothing() {
        let all = year(Place::new(45.0, 0.0, 0.0).unwrap());
        assert!(find(&all[..40 * 96], 0.0).is_none());
        let lit: Vec<Sample> =
            all.iter().map(|sample| Sample { power: MilliWatts(sample.power.0.max(5_000)), ..*sample }).collect();
        assert!(find(&lit, 0.0).is_none());
    }
}
