//! Forecasts to beat, on complete days of the wall clock put one after the other, as the published table has them.
use sunwork_energy::forecast::SLOTS;

use crate::{score::Score, series::Day};

/// Days that warm up.
pub const WARM_UP: usize = 16;
const EDGE_DAYS: usize = 15;

fn flat(days: &[Day]) -> Vec<f64> {
    days.iter().flatten().copied().collect()
}

fn score(days: &[Day], forecast: impl Fn(usize) -> f64) -> f64 {
    let mut score = Score::default();
    for (slot, actual) in flat(days).iter().enumerate().skip(WARM_UP * SLOTS) {
        score.add(forecast(slot), *actual);
    }
    score.percent()
}

/// The last slot's power lasts.
pub fn persistence(days: &[Day], ahead: usize) -> f64 {
    let power = flat(days);
    score(days, |slot| power[slot - ahead])
}

/// Exponentially weighted mean of the slot over days (Kansal et al., 2007), factor one half.
pub fn ewma(days: &[Day]) -> f64 {
    let mut mean = days.first().copied().unwrap_or([0.0; SLOTS]);
    let mut forecasts = Vec::new();
    for day in days {
        forecasts.extend(mean);
        mean.iter_mut().zip(day).for_each(|(mean, power)| *mean = 0.5 * (*mean + power));
    }
    score(days, |slot| forecasts[slot])
}

/// The ratio to the highest power of the last fifteen days at that time of day lasts; 0.7 at night.
pub fn envelope_persistence(days: &[Day], ahead: usize) -> f64 {
    let power = flat(days);
    let peak = power.iter().copied().fold(0.0, f64::max);
    let edge = |slot: usize| {
        let (day, of_day) = (slot / SLOTS, slot % SLOTS);
        days[day.saturating_sub(EDGE_DAYS)..day].iter().map(|day| day[of_day]).fold(0.0, f64::max)
    };
    let edges: Vec<f64> = (0..power.len()).map(edge).collect();
    score(days, |slot| {
        let origin = slot - ahead;
        let ratio = if edges[origin] > 0.05 * peak { (power[origin] / edges[origin]).min(1.5) } else { 0.7 };
        ratio * edges[slot]
    })
}

/// Totals of days: as yesterday, and as the mean of the last fifteen.
pub fn daily(days: &[Day]) -> (f64, f64) {
    let totals: Vec<f64> = days.iter().map(|day| day.iter().sum()).collect();
    let (mut yesterday, mut mean) = (Score::default(), Score::default());
    for day in WARM_UP..totals.len() {
        yesterday.add(totals[day - 1], totals[day]);
        mean.add(totals[day - EDGE_DAYS..day].iter().sum::<f64>() / EDGE_DAYS as f64, totals[day]);
    }
    (yesterday.percent(), mean.percent())
}
