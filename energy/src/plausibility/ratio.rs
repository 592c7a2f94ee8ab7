//! Against a reference (satellite irradiance, or the median of neighbours), over windows of days. The reference is turned onto the
//! plane of the panel ([`super::plane`]); what the device gives per unit of it is learned on its first year, by the height of the
//! season's sun.
use serde::{Deserialize, Serialize};

use super::Finding;

/// A day of both series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DayPair {
    /// Days since 1970.
    pub day: i64,
    /// Reported, watt hours.
    pub reported: f64,
    /// The reference on the plane of the panel, Wh/m².
    pub reference: f64,
    /// What a clear sky gives on a level plane, Wh/m².
    pub clear: f64,
}

/// Reported over expected at which a window is remarked on, in thousandths.
pub const LIMIT_PERMILLE: i64 = 1160;
/// Days with less than this share of what is expected (snow, outage) say nothing of inflation, and are left out.
const TELLING: f64 = 0.3;
/// A day counts for at most this ratio: a satellite takes snow on the ground for cloud, and then is far off for a few days.
const MOST: f64 = 1.3;
/// Share of a window's days that both series need.
const NEEDED_PERCENT: usize = 25;
const BINS: usize = 12;

/// What a device gives per unit of reference, by the height of the season's sun (twelve steps of the clear day).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    low: f64,
    step: f64,
    yields: Vec<f64>,
}

impl Fit {
    /// Learns from days that are trusted (a device's first year; a cap on the yield is the caller's matter). `None` when there are
    /// fewer than 60 of them.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "twelve steps")]
    pub fn learn(days: &[DayPair]) -> Option<Self> {
        if days.len() < 60 {
            return None;
        }
        let low = days.iter().map(|day| day.clear).fold(f64::INFINITY, f64::min);
        let high = days.iter().map(|day| day.clear).fold(0.0, f64::max);
        let step = ((high - low) / BINS as f64).max(1.0);
        let mut fit = Self { low, step, yields: vec![0.0; BINS] };
        let all = median(days);
        for bin in 0..BINS {
            let near: Vec<DayPair> = days.iter().copied().filter(|day| fit.bin(day.clear).abs_diff(bin) <= 1).collect();
            fit.yields[bin] = if near.len() >= 15 { median(&near) } else { all };
        }
        Some(fit)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index, bounded")]
    fn bin(&self, clear: f64) -> usize {
        (((clear - self.low) / self.step).max(0.0) as usize).min(BINS - 1)
    }

    /// What the device should have given.
    #[must_use]
    pub fn expected(&self, day: &DayPair) -> f64 {
        self.yields[self.bin(day.clear)] * day.reference
    }

    /// One window of the calendar.
    #[must_use]
    pub fn check(&self, first_day: i64, length: usize, days: &[DayPair]) -> Option<Finding> {
        let last = first_day.checked_add(i64::try_from(length).ok()?)?;
        self.judge(first_day, length, days.iter().filter(|day| (first_day..last).contains(&day.day)))
    }

    /// A window of days that both series have, one after the other: an outage does not shorten it.
    #[must_use]
    pub fn check_days(&self, days: &[DayPair]) -> Option<Finding> {
        self.judge(days.first()?.day, days.len(), days.iter())
    }

    #[allow(clippy::cast_possible_truncation, reason = "a ratio")]
    fn judge<'a>(
        &self,
        first_day: i64,
        length: usize,
        days: impl Iterator<Item = &'a DayPair> + Clone,
    ) -> Option<Finding> {
        let window = || days.clone().filter(|day| day.reported >= TELLING * self.expected(day));
        let count = window().count();
        let expected: f64 = window().map(|day| self.expected(day)).sum();
        if count * 100 < length * NEEDED_PERCENT || expected <= 0.0 {
            return None;
        }
        let reported: f64 = window().map(|day| day.reported.min(MOST * self.expected(day))).sum();
        let ratio_permille = (reported / expected * 1000.0) as i64;
        let found = ratio_permille > LIMIT_PERMILLE;
        found.then_some(Finding::AboveReference {
            first_day,
            days: count,
            ratio_permille,
            limit_permille: LIMIT_PERMILLE,
        })
    }
}

/// Median of the yields, weighed by the reference: a day with little sun says little.
fn median(days: &[DayPair]) -> f64 {
    let mut all: Vec<(f64, f64)> = days
        .iter()
        .filter(|day| day.reference > 0.0)
        .map(|day| (day.reported / day.reference, day.reference))
        .collect();
    weighted_median(&mut all)
}

/// Of values with weights; sorts them.
pub(super) fn weighted_median(all: &mut [(f64, f64)]) -> f64 {
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let half = all.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut sum = 0.0;
    for (value, weight) in all.iter() {
        sum += weight;
        if sum >= half {
            return *value;
        }
    }
    0.0
}
