//! A day of a meter against the sun, its own past and its neighbours. Pure: what is known is handed in, and is what stood in the
//! chain before the day's record.
use std::collections::BTreeMap;

use serde_json::{Value, json};
use sunwork_energy::{
    plausibility::{
        Curve, Finding as Found, Hour,
        bound::check_day_of_counts,
        copies, moved,
        night::{check_clock, check_night},
        ratio::{DayPair, Fit, LIMIT_PERMILLE},
    },
    sun::Place,
    units::MilliWattHours,
};

use super::{
    EnergyDay, Finding, RecordRef, Rule, Unit,
    day::{hours, quarters},
};
use crate::json::Account;

/// Neighbours, whose median harvest is a reference, stand within so many kilometres: beyond, they see other weather.
pub const NEIGHBOUR_KILOMETRES: u32 = 50;
/// At most so many, the nearest.
pub const MAX_NEIGHBOURS: usize = 32;
/// A reference needs so many on a day: the median of three holds when one of them is snowed under, or lies.
pub const NEEDED_NEIGHBOURS: usize = 3;
/// Curves are compared within so many kilometres; one from farther away is an hour off and shows as a wrong clock.
pub const COPY_KILOMETRES: u32 = 1500;
/// With at most so many others, the nearest.
pub const MAX_COMPARED: usize = 64;
/// Days that are compared.
pub const COPY_DAYS: u16 = 7;
/// Days of the own past that are handed in with their records.
pub const OWN_DAYS: u16 = 45;
/// What a meter gives is learned on its first year.
pub const LEARNED_DAYS: i64 = 365;
/// Days at the end of the past that windows are taken from.
pub const RECENT_DAYS: u16 = 90;
/// A window that ended longer ago was looked at before.
const STALE_DAYS: i64 = 7;
/// Counts are whole watt hours, the rest carried into the next.
const STEP: MilliWattHours = MilliWattHours(1000);
const QUARTER_SECONDS: i64 = 900;
const HOUR_SECONDS: i64 = 3600;
/// Share of the hours that have to agree, as `copies` has it.
const COPY_PERMILLE: i64 = 950;

/// The harvest of a day as the ledger added it up: counts are not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The day.
    pub day: u16,
    /// Production.
    pub production_wh: u32,
    /// Peak power of the panels.
    pub nameplate_watts: u32,
    /// What a clear sky gives on a level plane, Wh/m².
    pub clear_wh: u32,
}

/// Harvests of another meter.
#[derive(Clone, Debug)]
pub struct Neighbour {
    /// Whose.
    pub worker: Account,
    /// Its days.
    pub totals: Vec<Total>,
}

/// What is known when a day's record comes in; all of it stood in the chain before.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The meter's own days of late, with counts where they are known, oldest first; the new one is the last.
    pub own: Vec<EnergyDay>,
    /// The same days of others.
    pub others: Vec<Vec<EnergyDay>>,
    /// Own harvests at the same site, oldest first: the first year, and of late; the new one is the last.
    pub totals: Vec<Total>,
    /// Those of the neighbours.
    pub neighbours: Vec<Neighbour>,
}

/// Findings of the newest day.
pub fn judge(today: &EnergyDay, past: &Past) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(place) = today.site.place() else {
        return vec![no_such_place(today)];
    };
    if let Some(counts) = today.counts() {
        let (start, peak) = (today.start(), today.site.peak());
        let (by_hour, by_quarter) = (hours(start, &counts), quarters(start, &counts));
        let found = check_day_of_counts(&place, peak, STEP, &by_hour);
        findings.extend(above_clear(today, &place, &found));
        let peak_wh = peak.over(HOUR_SECONDS);
        let hourly = Curve { place: &place, peak_wh, rest: STEP, seconds: HOUR_SECONDS, samples: &by_hour };
        if let Some(night) = check_night(&hourly) {
            findings.push(at_night(today, &night));
        }
        let quarterly = Curve { seconds: QUARTER_SECONDS, samples: &by_quarter, ..hourly };
        let shift = check_clock(&quarterly).or_else(|| moved::check_moved(&quarterly.of(&of_late(today, past))));
        findings.extend(shift.map(|shift| clock_shift(today, &shift)));
        findings.extend(past.others.iter().filter_map(|other| copied(today, &past.own, other)));
    }
    findings.extend(above_neighbours(today, past));
    findings
}

/// Quarter hours of the newest days at this site.
fn of_late(today: &EnergyDay, past: &Past) -> Vec<Hour> {
    let newest = past.own.len().saturating_sub(moved::PAST_DAYS as usize + 2);
    let same_site = past.own[newest..].iter().filter(|day| day.site == today.site);
    same_site.filter_map(|day| Some(quarters(day.start(), &*day.counts()?))).flatten().collect()
}

/// A finding of one day, to be completed.
fn about(today: &EnergyDay, rule: Rule, evidence: Value) -> Finding {
    // The day and what was claimed of it; where the record is unknown, what the event says.
    let claim = today.record.as_ref().map_or_else(
        || [today.production_wh.to_be_bytes(), today.consumption_wh.to_be_bytes()].concat(),
        |record| record.to_vec(),
    );
    Finding {
        id: rule.id_of(&[today.worker.0.as_slice(), &today.day.to_be_bytes(), &claim]),
        worker: today.worker,
        rule,
        severity: rule.severity(),
        first_day: today.day,
        last_day: today.day,
        measured: 0,
        limit: 0,
        unit: Unit::MilliWattHours,
        other: None,
        chain_checks: false,
        block: today.block,
        time: today.time,
        site: today.site.clone(),
        records: vec![today.into()],
        evidence,
    }
}

fn no_such_place(today: &EnergyDay) -> Finding {
    let (latitude, longitude) = (today.site.latitude_decidegrees, today.site.longitude_decidegrees);
    let is_latitude = latitude.unsigned_abs() > 900;
    let (measured, limit) = if is_latitude { (latitude, 900) } else { (longitude, 1800) };
    let evidence = json!({ "latitudeDecidegrees": latitude, "longitudeDecidegrees": longitude });
    let finding = about(today, Rule::NoSuchPlace, evidence);
    Finding { measured: measured.into(), limit, unit: Unit::Decidegrees, ..finding }
}

fn above_clear(today: &EnergyDay, place: &Place, found: &[Found]) -> Vec<Finding> {
    let altitude = place.altitude_metres as i64;
    let one = |rule, found: Vec<&Found>| {
        let numbers = |found: &Found| match found {
            Found::AboveClearHour { reported, limit, .. } | Found::AboveClearDay { reported, limit, .. } => {
                (reported.0, limit.0)
            }
            _ => (0, 0),
        };
        let worst = found.iter().map(|found| numbers(found)).max_by_key(|(reported, limit)| reported - limit)?;
        let evidence = json!({ "found": found, "assumedAltitudeMetres": altitude, "countStepMilliWh": STEP.0 });
        Some(Finding { measured: worst.0, limit: worst.1, ..about(today, rule, evidence) })
    };
    let of_hours = found.iter().filter(|found| matches!(found, Found::AboveClearHour { .. })).collect();
    let of_day = found.iter().filter(|found| matches!(found, Found::AboveClearDay { .. })).collect();
    [one(Rule::AboveClearHour, of_hours), one(Rule::AboveClearDay, of_day)].into_iter().flatten().collect()
}

fn at_night(today: &EnergyDay, found: &Found) -> Finding {
    let (measured, limit) = match found {
        Found::AtNight { night, total, limit_permille, .. } => (night.0, total.0 * limit_permille / 1000),
        _ => (0, 0),
    };
    Finding { measured, limit, ..about(today, Rule::AtNight, json!({ "found": found })) }
}

fn clock_shift(today: &EnergyDay, found: &Found) -> Finding {
    let (measured, limit) = match found {
        Found::ClockShift { shift_seconds, limit_seconds, .. }
        | Found::ClockMoved { shift_seconds, limit_seconds, .. } => (*shift_seconds, *limit_seconds),
        _ => (0, 0),
    };
    Finding { measured, limit, unit: Unit::Seconds, ..about(today, Rule::ClockShift, json!({ "found": found })) }
}

/// Whoever recorded later on at least half of the days has copied: the other one's counts were public by then.
fn copied(today: &EnergyDay, own: &[EnergyDay], other: &[EnergyDay]) -> Option<Finding> {
    let from = today.day.saturating_sub(COPY_DAYS - 1);
    let recent = || own.iter().filter(|day| day.day >= from);
    let found = copies::check_counts(&curve(recent()), &curve(other.iter().filter(|day| day.day >= from)), STEP)?;
    let Found::Copied { hours, same, .. } = &found else { return None };
    let twin = |day: &EnergyDay| other.iter().find(|twin| twin.day == day.day);
    let pairs: Vec<(&EnergyDay, &EnergyDay)> = recent().filter_map(|day| Some((day, twin(day)?))).collect();
    let position = |day: &EnergyDay| (day.block, day.log_index);
    let later = pairs.iter().filter(|(own, twin)| position(twin) < position(own)).count();
    if later * 2 < pairs.len() {
        return None;
    }
    let worker = other.first()?.worker;
    let evidence = json!({ "found": found, "daysCompared": pairs.len(), "recordedLaterOnDays": later });
    let finding = about(today, Rule::Copied, evidence);
    let id = Rule::Copied.id_of(&[finding.id.as_slice(), worker.0.as_slice()]);
    let first_day = pairs.first().map_or(today.day, |(own, _)| own.day);
    Some(Finding {
        id,
        first_day,
        measured: (*same * 1000 / (*hours).max(1)) as i64,
        limit: COPY_PERMILLE,
        unit: Unit::Permille,
        other: Some(worker),
        records: pairs.iter().flat_map(|(own, twin)| [RecordRef::from(*own), RecordRef::from(*twin)]).collect(),
        ..finding
    })
}

fn curve<'a>(days: impl Iterator<Item = &'a EnergyDay>) -> Vec<Hour> {
    days.filter_map(|day| Some(hours(day.start(), &*day.counts()?))).flatten().collect()
}

/// Median harvest per watt of the neighbours, mWh, by day; days on which too few have one are left out.
fn reference(neighbours: &[Neighbour]) -> BTreeMap<u16, (i64, usize)> {
    let mut by_day: BTreeMap<u16, Vec<i64>> = BTreeMap::new();
    for total in neighbours.iter().flat_map(|neighbour| &neighbour.totals) {
        let per_watt = i64::from(total.production_wh) * 1000 / i64::from(total.nameplate_watts.max(1));
        by_day.entry(total.day).or_default().push(per_watt);
    }
    by_day.retain(|_, all| all.len() >= NEEDED_NEIGHBOURS);
    let median = |mut all: Vec<i64>| {
        all.sort_unstable();
        ((all[(all.len() - 1) / 2] + all[all.len() / 2]) / 2, all.len())
    };
    by_day.into_iter().map(|(day, all)| (day, median(all))).collect()
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a day's watt hours")]
fn above_neighbours(today: &EnergyDay, past: &Past) -> Vec<Finding> {
    let medians = reference(&past.neighbours);
    // A kilowatt hour per square metre is an hour at the peak: 1 mWh per watt is 1 Wh/m².
    let pair = |total: &Total| {
        let (per_watt, _) = medians.get(&total.day)?;
        let (reported, clear) = (f64::from(total.production_wh), f64::from(total.clear_wh));
        Some(DayPair { day: total.day.into(), reported, reference: *per_watt as f64, clear })
    };
    let pairs: Vec<DayPair> = past.totals.iter().filter_map(pair).collect();
    let Some(first) = pairs.first().map(|pair| pair.day) else { return Vec::new() };
    let one = |rule, length: usize| {
        let window = pairs.get(pairs.len().checked_sub(length)?..)?;
        let (from, to) = (window.first()?.day, window.last()?.day);
        if to + STALE_DAYS < i64::from(today.day) {
            return None;
        }
        // Never on what is tested.
        let known: Vec<DayPair> =
            pairs.iter().copied().filter(|pair| pair.day < from && pair.day < first + LEARNED_DAYS).collect();
        let fit = Fit::learn(&known)?;
        let found = fit.check_days(window)?;
        let Found::AboveReference { ratio_permille, .. } = &found else { return None };
        let days: Vec<Value> = window
            .iter()
            .map(|pair| {
                let (per_watt, neighbours) = medians.get(&(pair.day as u16)).copied().unwrap_or_default();
                json!({ "day": pair.day, "reportedWh": pair.reported as i64, "expectedWh": fit.expected(pair) as i64,
                    "neighboursMilliWhPerWatt": per_watt, "neighbours": neighbours })
            })
            .collect();
        let neighbours: Vec<Account> = past.neighbours.iter().map(|neighbour| neighbour.worker).collect();
        let learned = json!({ "days": known.len(), "firstDay": first, "lastDay": known.last().map(|pair| pair.day) });
        let evidence = json!({ "found": found, "learned": learned, "neighbours": neighbours, "days": days });
        let finding = about(today, rule, evidence);
        let in_window = |day: &&EnergyDay| (from..=to).contains(&i64::from(day.day));
        Some(Finding {
            id: rule.id_of(&[today.worker.0.as_slice(), &to.to_be_bytes()]),
            first_day: from as u16,
            last_day: to as u16,
            measured: *ratio_permille,
            limit: LIMIT_PERMILLE,
            unit: Unit::Permille,
            records: past.own.iter().filter(in_window).map(RecordRef::from).collect(),
            ..finding
        })
    };
    [one(Rule::AboveNeighbours14, 14), one(Rule::AboveNeighbours30, 30)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests;
