//! Agreements that ask to be accepted: seeded, 2 to 40 Wh, due within 6 to 72 hours; on average one in three hours.
use serde::Serialize;
use sunwork_energy::{
    forecast::Forecaster,
    plan::{
        Admission, Commitment,
        admission::admit,
        model::{Battery, Board},
    },
    units::{MilliWattHours, UnixSeconds},
};

use crate::score::round;

/// At most so many promises at a time.
const MOST: usize = 8;

pub struct Stream(u64);

impl Stream {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Knuth's linear congruential generator (MMIX); the high bits.
    fn below(&mut self, n: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % n
    }
}

#[derive(Serialize, Default, Clone)]
pub struct Report {
    pub asked: u32,
    pub accepted: u32,
    pub finished_in_time: u32,
    pub finished_in_time_pct: f64,
    pub refused: std::collections::BTreeMap<String, u32>,
}

pub struct Tasks {
    stream: Option<Stream>,
    promises: Vec<Commitment>,
    report: Report,
}

impl Tasks {
    pub fn new(stream: Option<Stream>) -> Self {
        Self { stream, promises: Vec::new(), report: Report::default() }
    }

    pub fn promises(&self) -> &[Commitment] {
        &self.promises
    }

    pub fn ask(
        &mut self,
        battery: &Battery,
        board: &Board,
        forecaster: &Forecaster,
        now: UnixSeconds,
        charge: MilliWattHours,
    ) {
        let Some(stream) = &mut self.stream else { return };
        if stream.below(3) != 0 || self.promises.len() >= MOST {
            return;
        }
        let energy = MilliWattHours(2000 + stream.below(38_000));
        let deadline = UnixSeconds(now.0 + 3600 * (6 + stream.below(67)));
        let asked = Commitment { energy, deadline };
        self.report.asked += 1;
        let why = match admit(battery, board, forecaster, now, charge, &self.promises, &asked) {
            Admission::Accepted { .. } => {
                self.report.accepted += 1;
                self.promises.push(asked);
                self.promises.sort_by_key(|promise| promise.deadline);
                return;
            }
            Admission::BelowReserve { .. } => "below_reserve",
            Admission::TooLate { .. } => "too_late",
            Admission::SmallBattery { .. } => "small_battery",
            Admission::ClockUnset => "clock_unset",
        };
        *self.report.refused.entry(why.to_owned()).or_default() += 1;
    }

    /// Promised work first, nearest deadline first.
    pub fn work(&mut self, compute_wh: f64, end: UnixSeconds) {
        let mut left = (compute_wh * 1000.0).round() as i64;
        for promise in &mut self.promises {
            let done = left.min(promise.energy.0);
            promise.energy.0 -= done;
            left -= done;
        }
        let finished = self.promises.iter().filter(|promise| promise.energy.0 <= 0 && promise.deadline >= end).count();
        self.report.finished_in_time += finished as u32;
        self.promises.retain(|promise| promise.energy.0 > 0);
    }

    pub fn expire(&mut self, now: UnixSeconds) {
        self.promises.retain(|promise| promise.deadline > now);
    }

    pub fn report(mut self) -> Report {
        // What is still under way at the end of the series is neither.
        let decided = self.report.accepted - self.promises.len() as u32;
        self.report.finished_in_time_pct = if decided > 0 {
            round(100.0 * f64::from(self.report.finished_in_time) / f64::from(decided))
        } else {
            100.0
        };
        self.report
    }
}
