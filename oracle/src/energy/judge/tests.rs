//! Days of meters by hand: each rule on its own.
use alloy::primitives::{B256, FixedBytes};
use sunwork_energy::{
    trace::synthetic::{Weather, days},
    units::UnixSeconds,
};
use sunwork_protocol::energy::{Body, Counts, DAY_SECS, Record, SignedRecord};

use super::*;
use crate::energy::{DayKind, Site};

const FIRST: u16 = 20_605;

fn site(watts: u32) -> Site {
    Site::new(watts, FixedBytes(*b"US"), 397, -1052)
}

fn day_of(worker: u8, day: u16, site: &Site, counts: &Counts, block: u64) -> EnergyDay {
    let worker = alloy::primitives::Address::repeat_byte(worker);
    let body = Body::Production(Box::new(*counts));
    let record = Record { worker, sequence: day.into(), day, counter_epoch: 0, counter_wh: 0, body };
    let signed = SignedRecord { record, signature: [0; 64] };
    EnergyDay {
        worker: worker.into(),
        day,
        first_day: day,
        kind: DayKind::Day,
        production_wh: counts.sum_wh(),
        consumption_wh: 192,
        window_net_wh: 0,
        site: site.clone(),
        key_hash: B256::ZERO,
        block,
        block_hash: B256::ZERO,
        log_index: worker.0[0].into(),
        time: u64::from(day + 1) * DAY_SECS,
        tx: B256::ZERO,
        record: Some(signed.pack().unwrap().into()),
        unknown: None,
        previous: None,
        digest: None,
        clear_wh: site.clear_wh(day),
    }
}

/// Counts of a level panel, the rest carried on.
fn sunny(watts: u32, seed: u64, count: u16) -> Vec<Counts> {
    let place = site(watts).place().unwrap();
    let start = UnixSeconds(i64::from(FIRST) * DAY_SECS as i64);
    let samples = days(&Weather { place, panel_watts: f64::from(watts) * 0.8, seed }, start, count.into());
    let mut rest = 0;
    let day = |day: &[sunwork_energy::trace::Sample]| {
        let mut counts = Counts::default();
        for (count, sample) in counts.0.iter_mut().zip(day) {
            rest += sample.power.over(900).0;
            *count = u16::try_from(rest / 1000).unwrap();
            rest %= 1000;
        }
        counts
    };
    samples.chunks(96).map(day).collect()
}

fn rules(found: &[Finding]) -> Vec<Rule> {
    found.iter().map(|finding| finding.rule).collect()
}

fn alone(watts: u32, counts: &Counts) -> Vec<Finding> {
    judge(&day_of(1, FIRST, &site(watts), counts, 5), &Past::default())
}

#[test]
fn honest_days_of_small_and_large_panels_have_no_finding() {
    for watts in [1, 5, 20, 100, 1000, 97_000] {
        for (index, counts) in sunny(watts, 3, 20).iter().enumerate() {
            let today = day_of(1, FIRST + index as u16, &site(watts), counts, 5);
            assert_eq!(judge(&today, &Past::default()), [], "{watts} W, day {index}");
        }
    }
}

#[test]
fn the_bounds_name_the_worst_hour_and_every_one_of_them() {
    let mut counts = sunny(1000, 3, 1)[0];
    // 14:00 UTC is a quarter past seven there: the sun is low.
    counts.0[56..60].fill(330);
    let found = alone(1000, &counts);
    assert_eq!(rules(&found), [Rule::AboveClearHour]);
    let hours = found[0].evidence["found"].as_array().unwrap();
    assert_eq!((hours.len(), found[0].measured), (1, 1_320_000));
    assert!(found[0].limit < 1_300_000 && found[0].severity == super::super::Severity::Impossible);
    let whole = alone(1000, &Counts([170; 96]));
    assert!(rules(&whole).contains(&Rule::AboveClearDay) && rules(&whole).contains(&Rule::AtNight), "{whole:?}");
}

#[test]
fn a_carried_rest_is_no_moonlight_but_a_lamp_is() {
    let mut counts = sunny(20, 3, 1)[0];
    // 06:00 UTC is midnight there.
    counts.0[26] = 1;
    assert_eq!(alone(20, &counts), []);
    counts.0[24..32].fill(2);
    assert!(rules(&alone(20, &counts)).contains(&Rule::AtNight));
}

#[test]
fn a_wrong_clock_is_told_with_its_sign() {
    for (slots, sign) in [(12_usize, 1), (84, -1)] {
        let mut counts = sunny(1000, 3, 1)[0];
        counts.0.rotate_right(slots);
        let found = alone(1000, &counts);
        let shift = found.iter().find(|finding| finding.rule == Rule::ClockShift).expect("a shift");
        assert_eq!((shift.measured.signum(), shift.limit), (sign, 960), "{found:?}");
    }
}

#[test]
fn a_wrong_clock_on_a_dull_evening_is_told_by_the_days_before_and_once() {
    // Records are of UTC days, and midnight is at 07:00 there: the last record here ends with the evening of day 38.
    let flat = |counts: &[Counts]| -> Vec<u16> { counts.iter().flat_map(|counts| counts.0).collect() };
    let records =
        |slots: &[u16]| -> Vec<Counts> { slots.chunks(96).map(|day| Counts(day.try_into().unwrap())).collect() };
    let mut slots = flat(&sunny(1000, 3, 40));
    let midnight = 39 * 96 + 28;
    let sunset = (0..midnight).rfind(|slot| slots[*slot] > 3).expect("an evening");
    // Dull for its last hour and a half.
    slots[sunset - 4..midnight].fill(0);
    let all = records(&slots);
    let judged = |all: &[Counts]| {
        let one = |(index, counts): (usize, &Counts)| day_of(1, FIRST + index as u16, &site(1000), counts, 5);
        let own: Vec<EnergyDay> = all.iter().enumerate().map(one).collect();
        judge(own.last().unwrap(), &Past { own: own.clone(), ..Past::default() })
    };
    for days in 1..=40 {
        assert_eq!(judged(&all[..days]), [], "honest, {days} days");
    }
    // The clock is two hours ahead from the midnight on with which day 38 begins.
    slots[midnight - 96..].rotate_right(8);
    slots[midnight - 96..midnight - 88].fill(0);
    let ahead = records(&slots);
    let found = judged(&ahead);
    assert_eq!(rules(&found), [Rule::ClockShift], "{found:?}");
    assert_eq!((found[0].measured.signum(), found[0].limit), (1, 900));
    assert_eq!(found[0].evidence["found"]["finding"], "clock_moved");
    // A panel that was moved elsewhere has no such past.
    let elsewhere = Site { latitude_decidegrees: 300, ..site(1000) };
    let mut own: Vec<EnergyDay> = ahead
        .iter()
        .enumerate()
        .map(|(index, counts)| day_of(1, FIRST + index as u16, &site(1000), counts, 5))
        .collect();
    own[..39].iter_mut().for_each(|day| day.site = elsewhere.clone());
    assert_eq!(judge(own.last().unwrap(), &Past { own: own.clone(), ..Past::default() }), []);
}

#[test]
fn coordinates_that_are_no_place_are_said_and_nothing_else_is_asked() {
    let nowhere = Site::new(1000, FixedBytes(*b"US"), 950, 0);
    let found = judge(&day_of(1, FIRST, &nowhere, &Counts([200; 96]), 5), &Past::default());
    assert_eq!((rules(&found), found[0].measured, found[0].limit), (vec![Rule::NoSuchPlace], 950, 900));
    let date = Site::new(1000, FixedBytes(*b"US"), 0, -1801);
    let found = judge(&day_of(1, FIRST, &date, &Counts::default(), 5), &Past::default());
    assert_eq!((found[0].measured, found[0].limit), (-1801, 1800));
}

#[test]
fn the_later_one_of_two_same_curves_has_copied() {
    let all = sunny(1000, 3, 7);
    let of = |worker: u8, block: u64| -> Vec<EnergyDay> {
        let one = |(index, counts): (usize, &Counts)| {
            day_of(worker, FIRST + index as u16, &site(1000), counts, block + 10 * index as u64)
        };
        all.iter().enumerate().map(one).collect()
    };
    let (first, second) = (of(1, 100), of(2, 101));
    let judged = |own: &[EnergyDay], other: &[EnergyDay]| {
        judge(own.last().unwrap(), &Past { own: own.to_vec(), others: vec![other.to_vec()], ..Past::default() })
    };
    assert_eq!(rules(&judged(&first, &second)), []);
    let found = judged(&second, &first);
    assert_eq!((rules(&found), found[0].other), (vec![Rule::Copied], Some(first[0].worker)));
    assert_eq!((found[0].measured, found[0].limit, found[0].records.len()), (1000, 950, 14));
    assert_eq!((found[0].first_day, found[0].last_day), (FIRST, FIRST + 6));
    let others = sunny(1000, 4, 7);
    let other: Vec<EnergyDay> =
        (0..7).map(|index| day_of(3, FIRST + index, &site(1000), &others[usize::from(index)], 5)).collect();
    assert_eq!(judged(&second, &other), []);
    assert_eq!(judged(&second[..1], &first[..1]), [], "a day is too short to tell");
}

/// A meter and three neighbours that see the same clouds; the meter reports `percent` of its harvest.
fn beside(days: u16, percent: impl Fn(u16) -> u32) -> (EnergyDay, Past) {
    let sun = |day: u16| 2000 + 3000 * u32::from(day * 7 % 11) / 10;
    let total = |day: u16, wh: u32| Total {
        day: FIRST + day,
        production_wh: wh,
        nameplate_watts: 1000,
        clear_wh: site(1000).clear_wh(FIRST + day),
    };
    let neighbour = |n: u8| Neighbour {
        worker: alloy::primitives::Address::repeat_byte(n).into(),
        totals: (0..days).map(|day| total(day, sun(day) * u32::from(90 + n) / 100)).collect(),
    };
    let totals = (0..days).map(|day| total(day, sun(day) * 12 / 10 * percent(day) / 100)).collect();
    let mut today = day_of(1, FIRST + days - 1, &site(1000), &Counts::default(), 5);
    // Sums are enough.
    (today.record, today.unknown) = (None, Some("sent through another contract".to_owned()));
    (today, Past { totals, neighbours: vec![neighbour(2), neighbour(3), neighbour(4)], ..Past::default() })
}

#[test]
fn inflation_shows_beside_the_neighbours_and_a_better_roof_does_not() {
    let (today, past) = beside(200, |_| 100);
    assert_eq!(judge(&today, &past), []);
    let (today, past) = beside(200, |day| if day < 170 { 100 } else { 130 });
    let found = judge(&today, &past);
    assert_eq!(rules(&found), [Rule::AboveNeighbours14, Rule::AboveNeighbours30]);
    assert!((1280..=1310).contains(&found[0].measured), "{}", found[0].measured);
    assert_eq!((found[1].first_day, found[1].last_day), (FIRST + 170, FIRST + 199));
    assert_eq!(found[0].evidence["learned"]["days"], 186);
    let (today, past) = beside(200, |day| if day < 170 { 100 } else { 110 });
    assert_eq!(judge(&today, &past), []);
}

#[test]
fn nothing_is_said_without_neighbours_or_before_enough_was_learned() {
    let lies = |from: u16| move |day: u16| if day < from { 100 } else { 150 };
    let (today, mut past) = beside(200, lies(170));
    past.neighbours.pop();
    assert_eq!(judge(&today, &past), []);
    let (today, past) = beside(73, lies(59));
    assert_eq!(judge(&today, &past), []);
    let (today, past) = beside(74, lies(60));
    assert_eq!(rules(&judge(&today, &past)), [Rule::AboveNeighbours14]);
    // A constant lie from the first day on is what is learned: docs/PLAUSIBILITY.md says so.
    let (today, past) = beside(200, |_| 150);
    assert_eq!(judge(&today, &past), []);
    // The neighbours fell silent a month ago: that window was looked at then.
    let (today, mut past) = beside(200, lies(150));
    past.neighbours.iter_mut().for_each(|one| one.totals.retain(|total| total.day < FIRST + 170));
    assert_eq!(judge(&today, &past), []);
}

#[test]
fn ids_are_of_the_claim_and_not_of_its_place() {
    let mut counts = sunny(1000, 3, 1)[0];
    counts.0[24..32].fill(200);
    let id = |block, counts: &Counts| {
        judge(&day_of(1, FIRST, &site(1000), counts, block), &Past::default()).first().map(|finding| finding.id)
    };
    assert!(id(5, &counts).is_some());
    assert_eq!(id(5, &counts), id(6, &counts));
    let other = Counts([200; 96]);
    assert_ne!(id(5, &counts), id(5, &other));
}
