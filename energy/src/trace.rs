//! Recorded or generated series of panel power: what `--trace` reads, what tests run on.
use serde::{Deserialize, Serialize};

use crate::units::{MilliWatts, UnixSeconds};

pub mod csv;
pub mod synthetic;

/// A day.
pub const DAY_SECONDS: i64 = 86_400;

/// Mean power over an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Its beginning.
    pub start: UnixSeconds,
    /// Its length.
    pub seconds: u32,
    /// Mean power over it.
    pub power: MilliWatts,
}

impl Sample {
    /// Where it ends.
    #[must_use]
    pub fn end(&self) -> UnixSeconds {
        UnixSeconds(self.start.0 + i64::from(self.seconds))
    }
}

/// Mean power over `[start, start + seconds)` of samples in order of time, each weighed by its overlap. `None` when less than half
/// of the interval is covered.
#[must_use]
pub fn mean_power(samples: &[Sample], start: UnixSeconds, seconds: i64) -> Option<MilliWatts> {
    let end = start.0 + seconds;
    let first = samples.partition_point(|sample| sample.end().0 <= start.0);
    let (mut sum, mut covered) = (0i128, 0i64);
    for sample in samples[first..].iter().take_while(|sample| sample.start.0 < end) {
        let overlap = sample.end().0.min(end) - sample.start.0.max(start.0);
        sum += i128::from(sample.power.0) * i128::from(overlap);
        covered += overlap;
    }
    if covered * 2 < seconds || covered == 0 {
        return None;
    }
    i64::try_from(sum / i128::from(covered)).ok().map(MilliWatts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_weighs_by_overlap_and_wants_half_of_the_interval() {
        let sample =
            |start, watts: i64| Sample { start: UnixSeconds(start), seconds: 900, power: MilliWatts(watts * 1000) };
        let all = [sample(0, 4), sample(900, 8), sample(3600, 100)];
        assert_eq!(mean_power(&all, UnixSeconds(0), 1800), Some(MilliWatts(6000)));
        assert_eq!(mean_power(&all, UnixSeconds(450), 900), Some(MilliWatts(6000)));
        assert_eq!(mean_power(&all, UnixSeconds(900), 1800), Some(MilliWatts(8000)), "exactly half");
        assert_eq!(mean_power(&all, UnixSeconds(1000), 1800), None);
        assert_eq!(mean_power(&[], UnixSeconds(0), 1800), None);
    }
}
