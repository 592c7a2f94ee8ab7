//! What the oracle's checks find on an honest series, and on the same series with a lie in it.
use std::collections::BTreeMap;

use serde::Serialize;
use sunwork_energy::{
    plausibility::{
        Curve, Finding, Hour,
        bound::{DAY_MARGIN, check_day, clear_hour},
        copies,
        night::check_night,
        plane::{Light, Plane, Slot},
        ratio::{DayPair, Fit},
    },
    sun::Place,
    trace::{DAY_SECONDS, Sample, mean_power},
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

use crate::score::{Share, round};

mod clocks;

const HOUR: i64 = 3600;
const FACTORS: [f64; 5] = [1.1, 1.2, 1.3, 1.5, 2.0];
const WINDOWS: [usize; 2] = [14, 30];

#[derive(Serialize, Default)]
pub struct Report {
    pub days: usize,
    /// Honest days with any finding of the checks that need no reference.
    pub false_flags: usize,
    pub false_flags_by_check: BTreeMap<String, usize>,
    /// Share of the windows with a finding against the satellite, by factor of inflation; 1.0 is the honest device.
    pub satellite_windows_pct: BTreeMap<String, BTreeMap<String, f64>>,
    pub satellite_windows: BTreeMap<String, u64>,
    /// Plane that the first year was explained by.
    pub plane: Option<Plane>,
    /// The same with the last year as the one that is learned from, and all before it tested.
    pub satellite_windows_last_year_learned_pct: BTreeMap<String, BTreeMap<String, f64>>,
    /// Highest share of the bound of a day that an honest day reached, %.
    pub highest_honest_day_pct: f64,
    /// Share of days with a finding of the bounds, by factor.
    pub bound_days_pct: BTreeMap<String, f64>,
    /// Honest days with a finding about the clock, of all that have any sample; and how many had enough of a past.
    pub clock_false_flags: usize,
    pub clock_days_with_a_past: usize,
    /// Share of days with a finding, by hours of shift; days with at least an hour of peak power in all.
    pub clock_shift_days_pct: BTreeMap<String, f64>,
    /// Of those, the days with at most four of their 96 samples missing.
    pub clock_shift_complete_days_pct: BTreeMap<String, f64>,
    /// Share of days on which a shift begins that are found on that day or the next.
    pub clock_shift_within_a_day_pct: BTreeMap<String, f64>,
    pub copy_found: bool,
    pub copy_false: bool,
}

pub fn run(samples: &[Sample], satellite: &[Sample], place: &Place, peak: MilliWatts) -> Report {
    let mut report = Report::default();
    let east = (place.longitude_degrees / 15.0).round() as i64 * HOUR;
    let day_of = |at: i64| (at + east).div_euclid(DAY_SECONDS);
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return report };
    let mut days = Vec::new();
    let mut by_factor: BTreeMap<String, Share> = BTreeMap::new();
    for day in day_of(first.start.0)..=day_of(last.start.0) {
        let start = day * DAY_SECONDS - east;
        let own = of_day(samples, start);
        if own.is_empty() {
            continue;
        }
        let hours = hours(own, start, 0, 1.0);
        report.days += 1;
        let peak_wh = peak.over(HOUR);
        let limit: f64 = hours.iter().map(|hour| clear_hour(place, peak, hour) * DAY_MARGIN).sum();
        let sum: i64 = hours.iter().map(|hour| hour.energy.0).sum();
        if limit > 0.0 {
            report.highest_honest_day_pct = report.highest_honest_day_pct.max(round(100.0 * sum as f64 / limit));
        }
        let mut found = check_day(place, peak, &hours);
        let curve = Curve { place, peak_wh, rest: MilliWattHours(0), seconds: HOUR, samples: &hours };
        found.extend(check_night(&curve));
        report.false_flags += usize::from(!found.is_empty());
        for finding in &found {
            *report.false_flags_by_check.entry(name(finding).to_owned()).or_default() += 1;
        }
        for factor in FACTORS {
            let inflated = self::hours(own, start, 0, factor);
            by_factor.entry(factor.to_string()).or_default().add(!check_day(place, peak, &inflated).is_empty());
        }
        let above = of_day(satellite, start);
        if own.len() >= 92 && above.len() >= 46 {
            days.push((day, start));
        }
    }
    report.bound_days_pct = by_factor.into_iter().map(|(k, share)| (k, share.percent())).collect();
    clocks::run(&mut report, samples, place, peak);
    let last_year = days.len().saturating_sub(1);
    let last_year = days.get(last_year).map_or(0, |last| last.0 - 364);
    let first_year = days.first().map_or(0, |first| first.0 + 365);
    let reference = Reference { samples, satellite, place, days: &days };
    if let Some((plane, windows)) = reference.windows(|day| day < first_year) {
        report.plane = Some(plane);
        report.satellite_windows = windows.iter().map(|(length, (of, _))| (length.clone(), *of)).collect();
        report.satellite_windows_pct = windows.into_iter().map(|(length, (_, row))| (length, row)).collect();
    }
    if let Some((_, windows)) = reference.windows(|day| day >= last_year) {
        report.satellite_windows_last_year_learned_pct =
            windows.into_iter().map(|(length, (_, row))| (length, row)).collect();
    }
    let week = of_days(samples, first.start.0 + 30 * DAY_SECONDS, 7);
    let next = of_days(samples, first.start.0 + 37 * DAY_SECONDS, 7);
    let one = quarters(week, 0);
    let scaled: Vec<Hour> = one.iter().map(|h| Hour { energy: MilliWattHours(h.energy.0 * 13 / 10), ..*h }).collect();
    report.copy_found = copies::check(&one, &scaled).is_some();
    report.copy_false = copies::check(&one, &quarters(next, -7 * DAY_SECONDS)).is_some();
    report
}

/// Windows that were looked at, and the share of them with a finding by factor of inflation; by length.
type Windows = BTreeMap<String, (u64, BTreeMap<String, f64>)>;

/// Both series, and the days (with their beginning) that both have.
struct Reference<'a> {
    samples: &'a [Sample],
    satellite: &'a [Sample],
    place: &'a Place,
    days: &'a [(i64, i64)],
}

impl Reference<'_> {
    /// Plane and yield from the days that are learned from; every window of the others is tested.
    fn windows(&self, learned: impl Fn(i64) -> bool) -> Option<(Plane, Windows)> {
        let year: Vec<Slot> = self.days.iter().filter(|day| learned(day.0)).flat_map(|day| self.slots(day.1)).collect();
        let plane = Plane::fit(self.place, &year)?;
        let pairs: Vec<DayPair> = self.days.iter().map(|day| self.pair(*day, &plane)).collect();
        let (known, tested): (Vec<DayPair>, Vec<DayPair>) = pairs.into_iter().partition(|pair| learned(pair.day));
        let fit = Fit::learn(&known)?;
        let mut all = Windows::new();
        for length in WINDOWS {
            let mut row = BTreeMap::new();
            let mut of = 0;
            for factor in [1.0].into_iter().chain(FACTORS) {
                let inflated: Vec<DayPair> =
                    tested.iter().map(|pair| DayPair { reported: pair.reported * factor, ..*pair }).collect();
                let mut share = Share::default();
                inflated.windows(length).for_each(|window| share.add(fit.check_days(window).is_some()));
                of = share.of;
                row.insert(format!("{factor:?}"), share.percent());
            }
            all.insert(length.to_string(), (of, row));
        }
        Some((plane, all))
    }

    /// Half hours of a day. The satellite's values are of an instant, that is the middle of them.
    fn slots(&self, start: i64) -> impl Iterator<Item = Slot> {
        of_day(self.satellite, start).iter().filter_map(|seen| {
            let half = i64::from(seen.seconds) / 2;
            let from = UnixSeconds(seen.start.0 - half);
            let power = mean_power(self.samples, from, 2 * half)?;
            Some(Slot { middle: seen.start, watts: power.0 as f64 / 1000.0, global: seen.power.0 as f64 / 1000.0 })
        })
    }

    fn pair(&self, (day, start): (i64, i64), plane: &Plane) -> DayPair {
        let wh = |s: &Sample| s.power.over(i64::from(s.seconds)).0 as f64 / 1000.0;
        let turned = |seen: &Sample| {
            let light = Light::new(self.place, seen.start, seen.power.0 as f64 / 1000.0);
            light.on(plane) * f64::from(seen.seconds) / HOUR as f64
        };
        DayPair {
            day,
            reported: of_day(self.samples, start).iter().map(wh).sum(),
            reference: of_day(self.satellite, start).iter().map(turned).sum(),
            clear: self.place.mean_clear_sky(UnixSeconds(start), DAY_SECONDS, 96).global * 24.0,
        }
    }
}

fn of_day(samples: &[Sample], start: i64) -> &[Sample] {
    of_days(samples, start, 1)
}

fn of_days(samples: &[Sample], start: i64, days: i64) -> &[Sample] {
    let from = samples.partition_point(|sample| sample.start.0 < start);
    let to = samples.partition_point(|sample| sample.start.0 < start + days * DAY_SECONDS);
    &samples[from..to]
}

/// Hours of a day, as a clock that is `shift` seconds ahead reports them.
fn hours(samples: &[Sample], start: i64, shift: i64, factor: f64) -> Vec<Hour> {
    let hour = |index: i64| {
        let at = UnixSeconds(start + index * HOUR);
        let power = mean_power(samples, at, HOUR)?;
        let energy = MilliWattHours((power.0 as f64 * factor) as i64);
        Some(Hour { start: UnixSeconds(at.0 + shift), energy })
    };
    (0..24).filter_map(hour).collect()
}

fn quarters(samples: &[Sample], shift: i64) -> Vec<Hour> {
    let one = |s: &Sample| Hour { start: UnixSeconds(s.start.0 + shift), energy: s.power.over(i64::from(s.seconds)) };
    samples.iter().map(one).collect()
}

fn name(finding: &Finding) -> &'static str {
    match finding {
        Finding::AboveClearHour { .. } => "above_clear_hour",
        Finding::AboveClearDay { .. } => "above_clear_day",
        Finding::AboveReference { .. } => "above_reference",
        Finding::AtNight { .. } => "at_night",
        Finding::ClockShift { .. } => "clock_shift",
        Finding::ClockMoved { .. } => "clock_moved",
        Finding::Copied { .. } => "copied",
    }
}
