//! Our forecast, run through the series as a worker sees it: gaps and all, nothing known before its time.
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use sunwork_energy::{
    forecast::{Forecaster, SLOT_SECONDS, SLOTS},
    units::UnixSeconds,
};

use crate::{
    baselines::{self, WARM_UP},
    score::{Score, Share},
    series::{Day, DayRule, Series},
};

/// Slots ahead that are scored.
const AHEAD: [usize; 4] = [1, 2, 6, 12];

/// The next day is forecast at midnight, by the nearly complete rule also when the last sample is up to this old, seconds: with lines
/// missing at random one of them is the last of the day now and then.
const LATE_SECONDS: i64 = 3 * 3600;

/// Figures are null where no day of the series is scored.
#[derive(Serialize, Default)]
pub struct Report {
    pub scored_days: usize,
    pub scored_days_rule: DayRule,
    pub nmae_30: Option<f64>,
    pub nmae_60: Option<f64>,
    pub nmae_180: Option<f64>,
    pub nmae_360: Option<f64>,
    pub nmae_day: Option<f64>,
    pub q10_coverage_pct: Option<f64>,
    pub q10_coverage_by_horizon_pct: BTreeMap<String, Option<f64>>,
    pub baselines: BTreeMap<String, BTreeMap<String, f64>>,
}

pub fn run(series: &Series) -> Report {
    let (rule, complete) = series.scored_days();
    let late = if rule == DayRule::Complete { 0 } else { LATE_SECONDS };
    let scored: HashSet<i64> = complete.iter().skip(WARM_UP).map(|day| day.0).collect();
    let mut scores: Vec<Score> = AHEAD.iter().map(|_| Score::default()).collect();
    let mut cover = vec![Share::default(); AHEAD.len() + 1];
    let mut waiting: HashMap<(i64, usize), (f64, f64, f64)> = HashMap::new();
    let mut day_forecasts: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
    let mut forecaster = Forecaster::with_earliest(series.site, UnixSeconds(0));
    let mut peak: f64 = 0.0;
    let last_slot = series.first_slot() + series.slots();
    let mut samples = series.samples.iter().peekable();
    // End and length of the last sample.
    let mut latest = (i64::MIN / 2, 0);
    for slot in series.first_slot()..last_slot {
        let end = (slot + 1) * SLOT_SECONDS;
        let mut seen = false;
        while let Some(sample) = samples.next_if(|sample| series.known(sample).0 <= end) {
            seen |= forecaster.observe(sample).is_ok();
            latest = series.known(sample);
        }
        if let Some(actual) = series.power(slot) {
            peak = peak.max(actual);
            if scored.contains(&series.wall(slot).0) {
                for (index, ahead) in AHEAD.iter().enumerate() {
                    if let Some((expected, low, clear)) = waiting.remove(&(slot, *ahead)) {
                        scores[index].add(expected, actual);
                        if clear > 0.02 * peak {
                            cover[index].add(actual >= low);
                        }
                    }
                }
            }
        }
        // The last slot of the sun's day: the next one is forecast. Of an hourly series it may lie between two samples.
        let fresh = seen || end - latest.0 < latest.1.max(late);
        if fresh && forecaster.sun_hour(UnixSeconds(end)) == 0 && forecaster.sun_hour(UnixSeconds(end - 1)) == 23 {
            let band = forecaster.next_day();
            let noon = end.div_euclid(SLOT_SECONDS) + SLOTS as i64 / 2;
            day_forecasts.insert(series.wall(noon).0, (band.expected.0 as f64 / 1000.0, band.low.0 as f64 / 1000.0));
        }
        if !seen {
            continue;
        }
        let now = UnixSeconds(end);
        for ahead in AHEAD {
            let target = slot + ahead as i64;
            let at = UnixSeconds(target * SLOT_SECONDS);
            if let Ok(band) = forecaster.at(now, at) {
                let clear = forecaster.clear_sky_power(at).0 as f64 / 1000.0;
                waiting.insert((target, ahead), (band.expected.0 as f64 / 1000.0, band.low.0 as f64 / 1000.0, clear));
            }
        }
    }
    let mut daily = Score::default();
    let Some(day_cover) = cover.last_mut() else { return Report::default() };
    for (day, powers) in complete.iter().skip(WARM_UP) {
        let actual = powers.iter().sum::<f64>() / 2.0;
        // A night without samples leaves a day without a forecast: counted as a forecast of nothing.
        let (expected, low) = day_forecasts.get(day).copied().unwrap_or_default();
        daily.add(expected, actual);
        day_cover.add(actual >= low);
    }
    let names = ["30", "60", "180", "360", "day"];
    let mut all = Share::default();
    for share in &cover {
        all.held += share.held;
        all.of += share.of;
    }
    let days: Vec<Day> = complete.iter().map(|day| day.1).collect();
    Report {
        scored_days: scored.len(),
        scored_days_rule: rule,
        nmae_30: scores[0].found(),
        nmae_60: scores[1].found(),
        nmae_180: scores[2].found(),
        nmae_360: scores[3].found(),
        nmae_day: daily.found(),
        q10_coverage_pct: all.found(),
        q10_coverage_by_horizon_pct: names
            .iter()
            .map(ToString::to_string)
            .zip(cover.iter().map(Share::found))
            .collect(),
        baselines: baselines(&days),
    }
}

fn baselines(days: &[Day]) -> BTreeMap<String, BTreeMap<String, f64>> {
    if days.len() <= WARM_UP {
        return BTreeMap::new();
    }
    let row = |of: &dyn Fn(usize) -> f64| {
        ["30", "60", "180", "360"].iter().zip(AHEAD).map(|(n, a)| ((*n).to_owned(), of(a))).collect()
    };
    let mut out: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
    out.insert("persistence".into(), row(&|ahead| baselines::persistence(days, ahead)));
    out.insert("ewma".into(), row(&|_| baselines::ewma(days)));
    out.insert("envelope_persistence".into(), row(&|ahead| baselines::envelope_persistence(days, ahead)));
    let (yesterday, mean) = baselines::daily(days);
    out.entry("persistence".into()).or_default().insert("day".into(), yesterday);
    out.insert("mean_of_15_days".into(), BTreeMap::from([("day".to_owned(), mean)]));
    out
}

#[cfg(test)]
mod tests {
    use sunwork_energy::{
        sun::Place,
        trace::{
            Sample,
            synthetic::{Weather, days},
        },
        units::MilliWatts,
    };

    use super::*;

    fn two_months() -> Vec<Sample> {
        let place = Place::new(45.0, 10.0, 300.0).unwrap();
        days(&Weather { place, panel_watts: 100.0, seed: 5 }, UnixSeconds(1_777_615_200), 60)
    }

    #[test]
    fn lines_that_are_missing_at_random_leave_days_to_score() {
        let place = Place::new(45.0, 10.0, 300.0).ok();
        let whole = run(&Series::new(two_months(), place, None));
        assert_eq!(whole.scored_days_rule, DayRule::Complete, "nothing is laxer where nothing is missing");
        // One line of twenty, spread by a multiplicative hash.
        let kept = |index: &usize| (*index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32 & 0xFFFF >= 3277;
        let all = two_months();
        let holes: Vec<Sample> = (0..all.len()).filter(kept).map(|index| all[index]).collect();
        assert!((0.03..0.07).contains(&(1.0 - holes.len() as f64 / all.len() as f64)));
        let found = run(&Series::new(holes, place, None));
        assert_eq!(found.scored_days_rule, DayRule::NearlyComplete);
        assert!(found.scored_days > 35, "{} days", found.scored_days);
        for (whole, found) in
            [(whole.nmae_30, found.nmae_30), (whole.nmae_360, found.nmae_360), (whole.nmae_day, found.nmae_day)]
        {
            let (whole, found) = (whole.unwrap(), found.unwrap());
            assert!((found - whole).abs() < 0.15 * whole, "{found} with holes, {whole} without");
        }
    }

    /// Within a step the series says one mean: a forecast that saw the first half of it would know the second.
    #[test]
    fn parts_of_a_long_step_are_not_known_before_its_end() {
        let place = Place::new(45.0, 10.0, 300.0).ok();
        let mean = |part: &[Sample]| part.iter().map(|sample| sample.power.0).sum::<i64>() / part.len() as i64;
        let spread: Vec<Sample> = two_months()
            .chunks(12)
            .flat_map(|part| {
                let power = MilliWatts(mean(part));
                let half =
                    |index: i64| Sample { start: UnixSeconds(part[0].start.0 + index * 1800), seconds: 1800, power };
                (0..6).map(half).collect::<Vec<_>>()
            })
            .collect();
        let ahead = run(&Series::new(spread.clone(), place, None));
        let honest = run(&Series::of_long_steps(spread, 10_800, place));
        assert!(honest.nmae_30.unwrap() > 1.5 * ahead.nmae_30.unwrap(), "{:?}, {:?}", honest.nmae_30, ahead.nmae_30);
        assert_eq!(honest.scored_days, ahead.scored_days);
        assert!(honest.nmae_day.unwrap() < 1.3 * ahead.nmae_day.unwrap());
    }
}
