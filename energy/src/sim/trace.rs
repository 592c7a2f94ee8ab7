//! Power of a solar panel over time: recorded, or generated from a seed.
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::units::{MilliWatts, UnixSeconds};

/// Most points a recorded trace may have: ten years at five minutes.
const MAX_POINTS: usize = 1_100_000;

/// Why a recorded trace cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A line is not `time,watts`.
    #[error("line {line}: `{text}` is not `2026-06-01T12:00:00Z,57.3` (RFC 3339 or seconds since 1970, then watts)")]
    Line {
        /// From 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Time goes back.
    #[error("line {line}: time does not go forward; sort the file and remove doubles (clock changes?)")]
    Order {
        /// From 1.
        line: usize,
    },
    /// Fewer than two points, or too many.
    #[error("{points} points: at least 2 and at most 1,100,000 can be used")]
    Size {
        /// Points read.
        points: usize,
    },
}

/// A made-up sky.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sky {
    /// Degrees north.
    pub latitude: f64,
    /// Mean part of the sun that the clouds leave, 0 to 1.
    pub clearness: f64,
    /// Peak power of the panel, W.
    pub panel_wp: u32,
    /// The same seed gives the same sky.
    pub seed: u64,
}

/// Panel power over time; between points linear, before the first and after the last zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    points: Vec<(UnixSeconds, MilliWatts)>,
}

impl Trace {
    /// From points in order of time.
    ///
    /// # Errors
    /// [`TraceError`] where time goes back or the count is out of bounds.
    pub fn from_points(points: Vec<(UnixSeconds, MilliWatts)>) -> Result<Self, TraceError> {
        if points.len() < 2 || points.len() > MAX_POINTS {
            return Err(TraceError::Size { points: points.len() });
        }
        match points.windows(2).position(|pair| pair[1].0 <= pair[0].0) {
            Some(index) => Err(TraceError::Order { line: index + 2 }),
            None => Ok(Self { points }),
        }
    }

    /// From lines `time,watts`; a first line that begins with a letter is a heading; `scale` turns the recorded panel into ours.
    ///
    /// # Errors
    /// [`TraceError`] with the line.
    pub fn parse_csv(text: &str, scale: f64) -> Result<Self, TraceError> {
        let mut points = Vec::new();
        for (index, line) in text.lines().enumerate().take(MAX_POINTS + 2) {
            let heading = index == 0 && line.starts_with(|c: char| c.is_alphabetic());
            if line.trim().is_empty() || heading {
                continue;
            }
            let bad = || TraceError::Line { line: index + 1, text: line.chars().take(80).collect() };
            let (time, watts) = line.split_once(',').ok_or_else(bad)?;
            let time = time.trim();
            let seconds = time.parse::<i64>().ok().or_else(|| Some(time.parse::<jiff::Timestamp>().ok()?.as_second()));
            let watts: f64 = watts.trim().parse().ok().filter(|w: &f64| w.is_finite()).ok_or_else(bad)?;
            let power = MilliWatts((watts.max(0.0) * scale * 1000.0) as i64);
            let point = (UnixSeconds(seconds.ok_or_else(bad)?), power);
            if points.last().is_some_and(|(last, _)| *last >= point.0) {
                return Err(TraceError::Order { line: index + 1 });
            }
            points.push(point);
        }
        Self::from_points(points)
    }

    /// Generates `days` of sky from the midnight (solar time) before `start`, every 15 minutes. The sun's height is the textbook
    /// one (declination by the day of the year); clouds are a day's mean with an hour's ripple, both seeded.
    #[must_use]
    pub fn generate(sky: &Sky, start: UnixSeconds, days: u32) -> Self {
        let mut rng = StdRng::seed_from_u64(sky.seed);
        let midnight = start.0.div_euclid(86_400) * 86_400;
        let latitude = sky.latitude.to_radians();
        let mut points = Vec::new();
        let mut day_clear = sky.clearness;
        for day in 0..i64::from(days.min(3_660)) {
            let drawn: f64 = rng.random_range(0.0..2.0 * sky.clearness.clamp(0.05, 1.0));
            day_clear = (0.4 * day_clear + 0.6 * drawn).clamp(0.03, 1.0);
            let of_year = (midnight / 86_400 + day) as f64 % 365.25;
            let declination = (-23.44_f64).to_radians() * ((of_year + 10.0) / 365.25 * std::f64::consts::TAU).cos();
            for quarter in 0..96 {
                let hour_angle = (f64::from(quarter) / 96.0 - 0.5) * std::f64::consts::TAU;
                let sine = latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * hour_angle.cos();
                let ripple: f64 = rng.random_range(0.75..1.25);
                let part = (sine.max(0.0) * (day_clear * ripple).min(1.0)).min(1.0);
                let power = MilliWatts((part * f64::from(sky.panel_wp) * 1000.0) as i64);
                points.push((UnixSeconds(midnight + day * 86_400 + i64::from(quarter) * 900), power));
            }
        }
        Self { points }
    }

    /// Whether a time lies between the first and the last point.
    #[must_use]
    pub fn covers(&self, time: UnixSeconds) -> bool {
        self.points.first().is_some_and(|first| first.0 <= time) && self.points.last().is_some_and(|last| time < last.0)
    }

    /// Power at a time.
    #[must_use]
    pub fn at(&self, time: UnixSeconds) -> MilliWatts {
        let after = self.points.partition_point(|(t, _)| *t <= time);
        let (Some((t0, p0)), Some((t1, p1))) =
            (after.checked_sub(1).and_then(|i| self.points.get(i)), self.points.get(after))
        else {
            return MilliWatts(0);
        };
        MilliWatts(p0.0 + (p1.0 - p0.0) * (time - *t0).0 / (*t1 - *t0).0.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_trace_is_read_and_interpolated() {
        let text = "time,watts\n2026-06-01T12:00:00Z,50\n2026-06-01T12:15:00+00:00,70.5\n";
        let trace = Trace::parse_csv(text, 2.0).expect("reads");
        let noon = UnixSeconds(1_780_315_200);
        assert_eq!(trace.at(noon), MilliWatts(100_000));
        assert_eq!(trace.at(noon + UnixSeconds(450)), MilliWatts(120_500));
        assert_eq!(trace.at(noon + UnixSeconds(10_000)), MilliWatts(0));
    }

    #[test]
    fn a_bad_line_is_told_with_its_number() {
        let error = Trace::parse_csv("0,1\n900,x\n", 1.0).expect_err("not a number");
        assert!(error.to_string().contains("line 2"), "{error}");
        assert_eq!(Trace::parse_csv("900,1\n0,1\n", 1.0), Err(TraceError::Order { line: 2 }));
        assert_eq!(Trace::parse_csv("", 1.0), Err(TraceError::Size { points: 0 }));
    }

    #[test]
    fn a_generated_sky_is_dark_at_night_and_the_same_for_the_same_seed() {
        let sky = Sky { latitude: 45.0, clearness: 0.6, panel_wp: 100, seed: 9 };
        let start = UnixSeconds(1_780_272_000);
        let trace = Trace::generate(&sky, start, 5);
        assert_eq!(trace, Trace::generate(&sky, start, 5));
        assert_eq!(trace.at(start), MilliWatts(0));
        let noon: i64 = (0..5).map(|d| trace.at(start + UnixSeconds(d * 86_400 + 43_200)).0).sum();
        assert!(noon > 30_000 && noon < 500_000, "{noon}");
        let polar = Trace::generate(&Sky { latitude: 80.0, ..sky }, UnixSeconds(1_766_275_200), 5);
        assert!((0..480).all(|q| polar.at(UnixSeconds(1_766_275_200 + q * 900)) == MilliWatts(0)), "polar night");
    }
}
