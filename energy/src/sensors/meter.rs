//! Energy from power readings: an exact integral in integers, gaps named, production and consumption apart.
use serde::{Deserialize, Serialize};

use super::{Flow, Report};
use crate::units::{MicroWatts, MilliWattHours, MonoMillis};

/// Half-microwatt-milliseconds in a milliwatt hour: mWh = 1000 µW · 3600 s · 1000 ms, twice for the trapezoid.
const HALF_UNITS_PER_MWH: i128 = 1000 * 3600 * 1000 * 2;

/// Integrates the power of one flow by trapezoids.
///
/// Two readings further apart than `max_gap` are not joined. What then is counted in between is what cannot flatter the worker:
/// nothing for production, `assumed_in_gaps` (the most the board can draw) for consumption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnergyMeter {
    flow: Flow,
    max_gap: MonoMillis,
    assumed_in_gaps: MicroWatts,
    last: Option<(MonoMillis, MicroWatts)>,
    half_units: i128,
    measured: MonoMillis,
    unmeasured: MonoMillis,
}

impl EnergyMeter {
    /// A meter for production: gaps count nothing.
    #[must_use]
    pub const fn production(max_gap: MonoMillis) -> Self {
        Self::new(Flow::Production, max_gap, MicroWatts(0))
    }

    /// A meter for consumption: gaps count at `assumed`, the most that the board can draw.
    #[must_use]
    pub const fn consumption(max_gap: MonoMillis, assumed: MicroWatts) -> Self {
        Self::new(Flow::Consumption, max_gap, assumed)
    }

    const fn new(flow: Flow, max_gap: MonoMillis, assumed_in_gaps: MicroWatts) -> Self {
        let (measured, unmeasured) = (MonoMillis(0), MonoMillis(0));
        Self { flow, max_gap, assumed_in_gaps, last: None, half_units: 0, measured, unmeasured }
    }

    /// Takes a report; one without usable power of this flow changes nothing (time then runs on as a gap).
    pub fn take(&mut self, report: &Report) {
        if report.state.usable()
            && let Some(power) = report.power(self.flow)
        {
            self.sample(report.at.mono, power);
        }
    }

    /// Takes one power value. Negative values (wind-up of an offset at night) count as zero: a flow has one direction.
    pub fn sample(&mut self, at: MonoMillis, power: MicroWatts) {
        let power = MicroWatts(power.0.max(0));
        if let Some((since, before)) = self.last {
            let elapsed = at - since;
            if elapsed.0 <= 0 {
                // The same reading twice, or a clock that does not go: no time, no energy.
                self.last = Some((at, power));
                return;
            }
            if elapsed <= self.max_gap {
                self.half_units += (i128::from(before.0) + i128::from(power.0)) * i128::from(elapsed.0);
                self.measured = self.measured + elapsed;
            } else {
                self.half_units += i128::from(self.assumed_in_gaps.0) * 2 * i128::from(elapsed.0);
                self.unmeasured = self.unmeasured + elapsed;
            }
        }
        self.last = Some((at, power));
    }

    /// After a restart the monotonic clock begins anew: the next reading is joined to nothing.
    pub const fn restarted(&mut self) {
        self.last = None;
    }

    /// Energy so far, rounded down; the remainder stays in the meter.
    #[must_use]
    pub fn total(&self) -> MilliWattHours {
        MilliWattHours(i64::try_from(self.half_units / HALF_UNITS_PER_MWH).unwrap_or(i64::MAX))
    }

    /// Time covered by measurements, and time of gaps.
    #[must_use]
    pub const fn coverage(&self) -> (MonoMillis, MonoMillis) {
        (self.measured, self.unmeasured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_constant_power_is_integrated_exactly() {
        let mut meter = EnergyMeter::production(MonoMillis(10_000));
        for second in 0..=3600 {
            meter.sample(MonoMillis(second * 1000), MicroWatts(12_345_678));
        }
        assert_eq!(meter.total(), MilliWattHours(12_345));
    }

    #[test]
    fn the_integral_of_a_sunny_day_with_jitter_is_within_half_a_percent_of_exact() {
        // p(t) = P sin²(πt/T): exact integral P·T/2. Sampled every 4 to 6 s.
        let (peak, day) = (80.0e6, 12.0 * 3600.0);
        let mut meter = EnergyMeter::production(MonoMillis(10_000));
        let (mut t, mut i) = (0_i64, 0_i64);
        while t < 12 * 3_600_000 {
            let x = (t as f64 / 1000.0) / day * std::f64::consts::PI;
            meter.sample(MonoMillis(t), MicroWatts((peak * x.sin().powi(2)) as i64));
            i += 1;
            t += 4000 + (i * 7919) % 2000;
        }
        let exact_mwh = peak / 1000.0 * day / 3600.0 / 2.0;
        let error = (meter.total().0 as f64 - exact_mwh).abs() / exact_mwh;
        assert!(error < 0.005, "{error}");
    }

    #[test]
    fn a_gap_counts_nothing_made_and_the_most_used() {
        let mut made = EnergyMeter::production(MonoMillis(10_000));
        let mut used = EnergyMeter::consumption(MonoMillis(10_000), MicroWatts(9_000_000));
        for meter in [&mut made, &mut used] {
            meter.sample(MonoMillis(0), MicroWatts(5_000_000));
            meter.sample(MonoMillis(3_600_000), MicroWatts(5_000_000));
            assert_eq!(meter.coverage(), (MonoMillis(0), MonoMillis(3_600_000)));
        }
        assert_eq!((made.total(), used.total()), (MilliWattHours(0), MilliWattHours(9_000)));
    }

    proptest! {
        /// Splitting an interval changes nothing: no energy is lost or won by rounding.
        #[test]
        fn no_rounding_accumulates(power in 0i64..1_000_000_000, steps in prop::collection::vec(1i64..5_000, 1..200)) {
            let mut many = EnergyMeter::production(MonoMillis(5_000_000));
            let mut once = many.clone();
            let mut t = 0;
            many.sample(MonoMillis(0), MicroWatts(power));
            once.sample(MonoMillis(0), MicroWatts(power));
            for step in steps {
                t += step;
                many.sample(MonoMillis(t), MicroWatts(power));
            }
            once.sample(MonoMillis(t), MicroWatts(power));
            prop_assert_eq!(many.half_units, once.half_units);
        }
    }
}
