//! Honest and dishonest devices, on generated weather.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]
use sunwork_energy::{
    plausibility::{
        Curve, Finding, Hour,
        bound::check_day,
        copies, moved,
        night::{check_clock, check_night},
        plane::{Light, Plane, Slot},
        ratio::{DayPair, Fit},
    },
    sun::Place,
    trace::synthetic::{Weather, days},
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

/// 2026-05-01T06:00:00Z, midnight of the sun at 90° W.
const START: UnixSeconds = UnixSeconds(1_777_615_200);
const PEAK: MilliWatts = MilliWatts(100_000);

fn place() -> Place {
    Place::new(45.0, -90.0, 300.0).unwrap()
}

fn hours(seed: u64, count: u32, percent: i64) -> Vec<Hour> {
    let samples = days(&Weather { place: place(), panel_watts: 100.0, seed }, START, count);
    let sum = |hour: &[sunwork_energy::trace::Sample]| hour.iter().map(|s| s.power.over(900).0).sum::<i64>();
    samples.chunks(4).map(|h| Hour { start: h[0].start, energy: MilliWattHours(sum(h) * percent / 100) }).collect()
}

/// Counts of samples of so many seconds, by a panel of 100 watts.
fn curve<'a>(place: &'a Place, seconds: i64, samples: &'a [Hour]) -> Curve<'a> {
    Curve { place, peak_wh: PEAK.over(3600), rest: MilliWattHours(0), seconds, samples }
}

fn moved(all: &[Hour], seconds: i64) -> Vec<Hour> {
    all.iter().map(|hour| Hour { start: UnixSeconds(hour.start.0 + seconds), ..*hour }).collect()
}

#[test]
fn honest_days_have_no_finding() {
    for day in hours(1, 30, 100).chunks(24) {
        assert_eq!(check_day(&place(), PEAK, day), vec![]);
        assert_eq!(check_night(&curve(&place(), 3600, day)), None);
        assert_eq!(check_clock(&curve(&place(), 3600, day)), None);
    }
}

#[test]
fn the_idle_current_of_a_night_that_stands_alone_is_no_day_above_the_sky() {
    let night: Vec<Hour> =
        (0..4).map(|hour| Hour { start: UnixSeconds(START.0 + hour * 3600), energy: MilliWattHours(3) }).collect();
    assert_eq!(check_day(&place(), PEAK, &night), vec![]);
    assert_eq!(check_night(&curve(&place(), 3600, &night)), None);
}

#[test]
fn threefold_production_is_above_the_sky() {
    let days = hours(1, 30, 300);
    let found = days.chunks(24).filter(|day| !check_day(&place(), PEAK, day).is_empty()).count();
    assert!(found >= 10, "{found} of 30 days");
}

#[test]
fn a_clock_that_is_hours_off_puts_light_into_the_night() {
    for shift in [-3, 3, 6] {
        let days = hours(1, 10, 100);
        let found = days.chunks(24).filter(|day| {
            let day = moved(day, shift * 3600);
            matches!(check_clock(&curve(&place(), 3600, &day)), Some(Finding::ClockShift { shift_seconds, .. })
                if shift_seconds.signum() == shift.signum())
        });
        assert!(found.count() >= 9, "{shift} h");
    }
    let noon_at_midnight = moved(&hours(1, 1, 100), 12 * 3600);
    assert!(matches!(check_night(&curve(&place(), 3600, &noon_at_midnight)), Some(Finding::AtNight { .. })));
}

/// Quarter hours of clear days with light while the sun is up, but for so many seconds after its rise and before its set.
fn light(day: i64, dull: impl Fn(i64) -> (i64, i64)) -> Vec<Hour> {
    let up = |at: i64| place().sine_of_elevation(UnixSeconds(at)) > 0.0;
    let lit = |at: i64| {
        let (morning, evening) = dull((at - START.0) / 86_400);
        up(at) && up(at - morning) && up(at + evening)
    };
    let slot = |index: i64| START.0 + index * 900;
    (0..96 * day)
        .map(|index| Hour {
            start: UnixSeconds(slot(index)),
            energy: MilliWattHours(5000 * i64::from(lit(slot(index)))),
        })
        .collect()
}

/// What is found on the last day when the clock is ahead by so many hours from its midnight on.
fn found_when_ahead(mut all: Vec<Hour>, hours: i64) -> Option<Finding> {
    let last = all.len() - 96;
    let mut day: Vec<MilliWattHours> = all[last..].iter().map(|slot| slot.energy).collect();
    let slots = usize::try_from(hours.abs() * 4).unwrap();
    if hours > 0 {
        day.rotate_right(slots)
    } else {
        day.rotate_left(slots)
    }
    all[last..].iter_mut().zip(day).for_each(|(slot, energy)| slot.energy = energy);
    let shift = check_clock(&curve(&place(), 900, &all[last..]));
    assert_eq!(shift, None, "the night alone shows it");
    moved::check_moved(&curve(&place(), 900, &all))
}

#[test]
fn a_clock_that_is_two_hours_off_shows_on_dull_evenings_by_the_days_before() {
    let dull_on_the_last = |last: i64, dull: (i64, i64)| move |day: i64| if day == last { dull } else { (900, 1800) };
    let (evening, morning) = ((900, 5700), (5700, 900));
    for (dull, hours) in [(evening, 2), (morning, -2)] {
        let shift = found_when_ahead(light(12, dull_on_the_last(11, dull)), hours);
        let Some(Finding::ClockMoved { shift_seconds, start, days, .. }) = shift else {
            panic!("{hours} h: {shift:?}")
        };
        assert_eq!((shift_seconds.signum(), start.0, days), (hours.signum(), START.0 + 11 * 86_400, 11));
        assert!(shift_seconds.abs() <= hours.abs() * 3600, "the least that explains it: {shift_seconds} s");
        // Dull days, days of snow and short ones are honest.
        assert_eq!(found_when_ahead(light(12, dull_on_the_last(11, dull)), 0), None);
        assert_eq!(found_when_ahead(light(12, dull_on_the_last(11, (4 * 3600, 0))), 0), None);
        assert_eq!(found_when_ahead(light(12, dull_on_the_last(11, (0, 4 * 3600))), 0), None);
        // Six days are no past, and days are left out on which samples are missing.
        assert_eq!(found_when_ahead(light(7, dull_on_the_last(6, dull)), hours), None);
        let mut holes = light(12, dull_on_the_last(11, dull));
        holes.retain(|slot| (slot.start.0 - START.0) / 86_400 >= 6 || slot.start.0 % 86_400 >= 7200);
        assert_eq!(found_when_ahead(holes, hours), None);
    }
}

#[test]
fn honest_clocks_are_found_right_under_every_sky() {
    // The generator's night begins with sunset. Twilight gives a sensitive panel four thousandths of its peak down to 1.5° below.
    let quarter = |place: &Place, samples: Vec<sunwork_energy::trace::Sample>| -> Vec<Hour> {
        let twilight = MilliWattHours(PEAK.over(900).0 * 4 / 1000);
        let dusk = |start: UnixSeconds| place.elevation_degrees(UnixSeconds(start.0 + 450)) > -1.5;
        let energy = |s: &sunwork_energy::trace::Sample| s.power.over(i64::from(s.seconds));
        samples
            .iter()
            .map(|s| Hour { start: s.start, energy: if dusk(s.start) { energy(s).max(twilight) } else { energy(s) } })
            .collect()
    };
    for latitude in [-66.0, -35.0, 0.0, 52.0, 70.0] {
        for seed in 0..2 {
            let place = Place::new(latitude, 170.0 - 180.0 * seed as f64, 0.0).unwrap();
            let start = UnixSeconds(START.0 + 7_776_000 * i64::try_from(seed).unwrap());
            let all = quarter(&place, days(&Weather { place, panel_watts: 100.0, seed }, start, 40));
            for until in (96..=all.len()).step_by(96) {
                let newest = &all[until - 96..until];
                assert_eq!(check_clock(&curve(&place, 900, newest)), None, "{latitude}, day {until}");
                let past = &all[until.saturating_sub(96 * 33)..until];
                assert_eq!(moved::check_moved(&curve(&place, 900, past)), None, "{latitude}, day {until}");
            }
        }
    }
}

#[test]
fn inflation_shows_against_a_reference_and_honesty_does_not() {
    let pair = |day: i64, factor: f64| {
        let clear = 6000.0 + 2000.0 * (day as f64 / 58.0).sin();
        let reference = clear * [0.95, 0.5, 0.8, 0.2][usize::try_from(day % 4).unwrap()];
        DayPair { day, reported: reference * 0.08 * factor, reference, clear }
    };
    let honest: Vec<DayPair> = (0..365).map(|day| pair(day, 1.0)).collect();
    let fit = Fit::learn(&honest).unwrap();
    let window = |factor| (400..430).map(|day| pair(day, factor)).collect::<Vec<_>>();
    assert_eq!(fit.check(400, 30, &window(1.1)), None);
    let found = fit.check(400, 30, &window(1.3)).unwrap();
    assert!(matches!(found, Finding::AboveReference { ratio_permille: 1290..=1310, days: 30, .. }), "{found:?}");
    assert_eq!(fit.check(400, 30, &window(1.3)[..6]), None, "too few days to say anything");
    assert_eq!(Fit::learn(&honest[..59]), None);
}

#[test]
fn the_plane_of_a_panel_is_found_through_snow_and_outages() {
    let sky = days(&Weather { place: place(), panel_watts: 1000.0, seed: 3 }, START, 60);
    let east = Plane { tilt_degrees: 40.0, azimuth_degrees: 120.0 };
    let slot = |(index, sample): (usize, &sunwork_energy::trace::Sample)| {
        let (middle, global) = (UnixSeconds(sample.start.0 + 450), sample.power.0 as f64 / 1000.0);
        let covered = (index / 96) % 6 == 0;
        let watts = if covered { 0.0 } else { 0.09 * Light::new(&place(), middle, global).on(&east) };
        Slot { middle, watts, global }
    };
    let slots: Vec<Slot> = sky.iter().enumerate().map(slot).collect();
    assert_eq!(Plane::fit(&place(), &slots), Some(east));
    assert_eq!(Plane::fit(&place(), &slots[..96]), None, "a day is too short");
}

#[test]
fn a_satellite_that_is_wrong_for_two_days_flags_nobody() {
    let pair = |day: i64, reported: f64| DayPair { day, reported, reference: 5000.0, clear: 6000.0 };
    let honest: Vec<DayPair> = (0..365).map(|day| pair(day, 400.0)).collect();
    let fit = Fit::learn(&honest).unwrap();
    let mut window: Vec<DayPair> = (400..414).map(|day| pair(day, 400.0)).collect();
    window[3].reported = 1500.0;
    window[4].reported = 1500.0;
    assert_eq!(fit.check_days(&window), None);
    let after_an_outage: Vec<DayPair> = (400..414).map(|day| pair(2 * day, 480.0)).collect();
    assert!(matches!(fit.check_days(&after_an_outage), Some(Finding::AboveReference { days: 14, .. })));
    assert_eq!(fit.check_days(&[]), None);
}

#[test]
fn a_copy_is_found_even_scaled_and_neighbours_are_not_copies() {
    let own = hours(1, 14, 100);
    assert!(matches!(copies::check(&own, &hours(1, 14, 130)), Some(Finding::Copied { .. })));
    assert_eq!(copies::check(&own, &hours(2, 14, 100)), None);
    assert_eq!(copies::check(&own[..24], &own[..24]), None, "a day is too short to tell");
}

#[test]
fn findings_are_read_back_as_written() {
    let finding =
        Finding::AtNight { start: START, night: MilliWattHours(5), total: MilliWattHours(9), limit_permille: 5 };
    let text = serde_json::to_string(&finding).unwrap();
    assert!(text.contains("\"finding\":\"at_night\""), "{text}");
    assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding);
}
