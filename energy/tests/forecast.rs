//! The forecaster as a whole, on generated weather.
#![allow(clippy::unwrap_used)]
use proptest::prelude::*;
use sunwork_energy::{
    forecast::{ForecastState, Forecaster, Refused, SLOT_SECONDS, harvest::Site},
    sun::Place,
    trace::{
        DAY_SECONDS, Sample,
        synthetic::{Weather, days},
    },
    units::{MilliWatts, UnixSeconds},
};

/// 2026-05-01T06:00:00Z, midnight of the sun at 90° W.
const START: UnixSeconds = UnixSeconds(1_777_615_200);

fn place() -> Place {
    Place::new(45.0, -90.0, 300.0).unwrap()
}

fn weather(seed: u64, count: u32) -> Vec<Sample> {
    days(&Weather { place: place(), panel_watts: 100.0, seed }, START, count)
}

fn fed(samples: &[Sample]) -> Forecaster {
    let mut forecaster = Forecaster::new(Site::At(place()));
    samples.iter().for_each(|sample| forecaster.observe(sample).unwrap());
    forecaster
}

/// Everything that it says at a time.
fn words(forecaster: &Forecaster, now: UnixSeconds) -> String {
    let path: Vec<_> =
        (0..200).map(|slot| forecaster.at(now, UnixSeconds(now.0 + slot * SLOT_SECONDS)).unwrap()).collect();
    format!("{path:?} {:?} {:?}", forecaster.next_day(), forecaster.state(now))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Two futures that agree up to now: all that was said until now is the same, whatever comes after.
    #[test]
    fn changing_the_future_changes_no_forecast(seed in 0u64..1000, other in 1000u64..2000, cut in 600usize..1700) {
        let (one, two) = (weather(seed, 20), weather(other, 20));
        let mut split = one[..cut].to_vec();
        split.extend(&two[cut..]);
        let (mut a, mut b) = (Forecaster::new(Site::At(place())), Forecaster::new(Site::At(place())));
        for (index, (x, y)) in one.iter().zip(&split).enumerate() {
            if index == cut || index + 300 == cut {
                let now = x.start;
                prop_assert_eq!(words(&a, now), words(&b, now));
            }
            a.observe(x).unwrap();
            b.observe(y).unwrap();
        }
    }

    /// Whatever is thrown at it: no panic, nothing negative, the pessimistic value never above the expected one.
    #[test]
    fn any_samples_leave_it_sane(raw in prop::collection::vec((0i64..200_000, 0u32..9000, -5i64..200_000_000), 1..300)) {
        let mut forecaster = Forecaster::new(Site::At(place()));
        let mut at = START.0;
        for (gap, seconds, power) in raw {
            let sample = Sample { start: UnixSeconds(at), seconds, power: MilliWatts(power) };
            if forecaster.observe(&sample).is_ok() {
                at = sample.end().0 + gap;
            }
        }
        for slot in 0..100 {
            let band = forecaster.at(UnixSeconds(at), UnixSeconds(at + slot * SLOT_SECONDS)).unwrap();
            prop_assert!(band.low.0 >= 0 && band.low <= band.expected, "{:?}", band);
        }
    }
}

#[test]
fn it_does_better_than_persistence_and_its_band_holds() {
    let samples = weather(5, 60);
    let mut forecaster = Forecaster::new(Site::At(place()));
    let (mut ours, mut theirs, mut above, mut all) = (0, 0, 0, 0);
    for (index, pair) in samples.chunks(2).enumerate() {
        let actual = (pair[0].power.0 + pair[1].power.0) / 2;
        if index > 15 * 48 {
            let band = forecaster.at(pair[0].start, pair[0].start).unwrap();
            let before = (samples[2 * index - 1].power.0 + samples[2 * index - 2].power.0) / 2;
            ours += (band.expected.0 - actual).abs();
            theirs += (before - actual).abs();
            if band.expected.0 > 2000 {
                above += i32::from(actual >= band.low.0);
                all += 1;
            }
        }
        pair.iter().for_each(|sample| forecaster.observe(sample).unwrap());
    }
    assert!(ours * 100 < theirs * 95, "{ours} against {theirs}");
    let share = f64::from(above) / f64::from(all);
    assert!((0.85..0.95).contains(&share), "{share}");
}

#[test]
fn a_restart_from_what_was_saved_goes_on_the_same() {
    let samples = weather(3, 12);
    let mut kept = fed(&samples[..1000]);
    let mut restored: Forecaster = serde_json::from_str(&serde_json::to_string(&kept).unwrap()).unwrap();
    for sample in &samples[1000..] {
        kept.observe(sample).unwrap();
        restored.observe(sample).unwrap();
    }
    let now = samples.last().unwrap().end();
    assert_eq!(words(&kept, now), words(&restored, now));
}

#[test]
fn an_unset_clock_is_refused_and_changes_nothing() {
    let mut forecaster = fed(&weather(1, 7));
    let before = forecaster.clone();
    let at = UnixSeconds(1_000);
    let error = forecaster.observe(&Sample { start: at, seconds: 900, power: MilliWatts(1) }).unwrap_err();
    assert_eq!(error, Refused::ClockUnset { at });
    assert!(error.to_string().contains("set it"), "{error}");
    assert_eq!(forecaster, before);
    assert_eq!(forecaster.at(at, at), Err(Refused::ClockUnset { at }));
}

#[test]
fn a_clock_that_goes_back_is_refused() {
    let samples = weather(1, 2);
    let mut forecaster = fed(&samples);
    assert!(matches!(forecaster.observe(&samples[100]), Err(Refused::NotNewer { .. })));
}

#[test]
fn lost_history_counts_on_no_sun_until_five_days_are_known() {
    let samples = weather(2, 8);
    let young = fed(&samples[..3 * 96 + 40]);
    let now = samples[3 * 96 + 40].start;
    assert_eq!(young.state(now), ForecastState::Learning { days: 3 });
    let band = young.at(now, now).unwrap();
    assert!(band.expected.0 > 0 && band.low.0 == 0, "{band:?}");
    let old = fed(&samples[..7 * 96 + 40]);
    assert_eq!(old.state(samples[7 * 96 + 40].start), ForecastState::Ready);
}

#[test]
fn a_silent_sensor_counts_on_no_sun() {
    let samples = weather(2, 12);
    let forecaster = fed(&samples);
    let now = UnixSeconds(samples.last().unwrap().end().0 + 18 * 3600);
    assert!(matches!(forecaster.state(now), ForecastState::Stale { .. }));
    assert_eq!(forecaster.at(now, now).unwrap().low, MilliWatts(0));
}

#[test]
fn a_panel_covered_for_a_month_is_named_forecast_dark_and_believed_again_when_it_gives() {
    let mut samples = weather(9, 75);
    for sample in &mut samples[30 * 96..60 * 96] {
        sample.power = MilliWatts(0);
    }
    let noon = 59 * 96 + 48;
    let covered = fed(&samples[..noon]);
    let now = samples[noon].start;
    assert!(matches!(covered.state(now), ForecastState::PanelDark { days: 29 }), "{:?}", covered.state(now));
    assert!(covered.at(now, now).unwrap().expected.0 < 8000, "{:?}", covered.at(now, now));
    assert_eq!(covered.at(now, now).unwrap().low, MilliWatts(0));
    let later = 70 * 96 + 48;
    let free = fed(&samples[..later]);
    assert_eq!(free.state(samples[later].start), ForecastState::Ready);
    assert!(free.next_day().expected.0 > 80_000, "{:?}", free.next_day());
}

#[test]
fn the_polar_night_is_named_and_nothing_is_counted_on() {
    let north = Place::new(78.2, 15.6, 10.0).unwrap();
    // 2026-10-01T00:00:00Z; the sun sets for months in the last days of October.
    let start = UnixSeconds(1_790_812_800);
    let samples = days(&Weather { place: north, panel_watts: 100.0, seed: 4 }, start, 60);
    let mut forecaster = Forecaster::new(Site::At(north));
    samples.iter().for_each(|sample| forecaster.observe(sample).unwrap());
    let now = samples.last().unwrap().end();
    assert_eq!(forecaster.state(now), ForecastState::PolarNight);
    assert_eq!(forecaster.at(now, UnixSeconds(now.0 + DAY_SECONDS / 2)).unwrap().expected, MilliWatts(0));
    assert_eq!(forecaster.next_day().expected.0, 0);
}

#[test]
fn a_gap_of_weeks_leaves_it_working() {
    let samples = weather(6, 40);
    let mut holed = samples[..10 * 96 + 7].to_vec();
    holed.extend(&samples[31 * 96 + 50..]);
    let now = holed.last().unwrap().end();
    assert_eq!(fed(&holed).state(now), ForecastState::Ready);
}
