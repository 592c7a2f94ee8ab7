//! The plan on weather that it was not made on: generated climates, seeded, at four places; a year each.
use serde::Serialize;
use sunwork_energy::{
    sun::Place,
    trace::synthetic::{Climate, Weather, days_in},
    units::UnixSeconds,
};

use crate::{plan, series::Series};

/// 2026-01-01T00:00:00Z.
const START: UnixSeconds = UnixSeconds(1_767_225_600);
const DAYS: u32 = 365;
/// Name, climate, seed, degrees north and east, panel, battery.
const YEARS: [(&str, Climate, u64, f64, f64, f64, f64); 4] = [
    ("mixed", Climate::MIXED, 11, 45.0, -90.0, 60.0, 230.0),
    ("dry", Climate::DRY, 12, -25.0, 135.0, 60.0, 230.0),
    ("dull", Climate::DULL, 13, 48.0, 10.0, 150.0, 384.0),
    ("snowy", Climate::SNOWY, 14, 40.0, -105.0, 100.0, 384.0),
];

#[derive(Serialize)]
pub struct Year {
    climate: &'static str,
    seed: u64,
    latitude: f64,
    #[serde(flatten)]
    report: plan::Report,
}

pub fn run() -> eyre::Result<Vec<Year>> {
    let year = |(climate, spells, seed, latitude, east, panel_wp, battery_wh)| {
        let place = Place::new(latitude, east, 300.0)?;
        let samples = days_in(&spells, &Weather { place, panel_watts: panel_wp, seed }, START, DAYS);
        let setting = plan::Setting { panel_wp, battery_wh, trace_wp: Some(panel_wp), gaps: plan::Gaps::Yesterday };
        let report = plan::run(&Series::new(samples, Some(place), None), &setting)?;
        Ok(Year { climate, seed, latitude, report })
    };
    YEARS.into_iter().map(year).collect()
}
