//! Watches the readings of a sensor for what the device itself cannot know: frozen, spiking, impossible.
use std::collections::VecDeque;

use super::{Fault, Flow, Measured, Report, Sensor, SensorState, Stamp};
use crate::units::{MicroWatts, MonoMillis};

const WINDOW: usize = 7;

/// What is normal for the plant.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most power that can flow; also the bound for negative values.
    pub max_power: MicroWatts,
    /// The same non-zero power, voltage and current for so long means that the sensor hangs.
    pub frozen_after: MonoMillis,
    /// A value this far from the median of the last ones needs a second that agrees. Clouds change the sun fast, so this guards
    /// against digits gone wrong, not against weather: about half of the maximum is right.
    pub spike: MicroWatts,
}

/// A sensor with its readings watched.
///
/// ```text
///                 far from the median                next one agrees with the spike
///   Good ─────────────────────────────► Held (Spiking) ──────────────────────► Good
///    │ ▲                                  │ next one agrees with the median ──► Good
///    │ └───────── any digit changes ───┐
///    └── all digits equal too long ──► Frozen
/// ```
#[derive(Debug)]
pub struct Guard<S> {
    sensor: S,
    limits: Limits,
    recent: VecDeque<i64>,
    held: Option<i64>,
    same: Option<(Measured, MonoMillis)>,
}

impl<S: Sensor> Guard<S> {
    /// Watches a sensor.
    pub fn new(sensor: S, limits: Limits) -> Self {
        Self { sensor, limits, recent: VecDeque::with_capacity(WINDOW), held: None, same: None }
    }

    /// The sensor inside.
    pub const fn inner(&self) -> &S {
        &self.sensor
    }

    fn check(&mut self, report: &Report) -> Result<(), Fault> {
        for measured in &report.measured {
            let Measured::Power { flow, power, .. } = *measured else { continue };
            let max = self.limits.max_power.0;
            let min = if flow == Flow::Battery { -max } else { -max / 100 };
            if !(min..=max).contains(&power.0) {
                let what = format!("{flow:?} power (µW)").to_lowercase();
                return Err(Fault::OutOfRange { what, found: power.0, min, max });
            }
            self.frozen(*measured, power, report.at.mono)?;
            self.spiking(power.0)?;
        }
        Ok(())
    }

    /// Zero is not frozen: at night a panel gives zero for hours.
    fn frozen(&mut self, measured: Measured, power: MicroWatts, at: MonoMillis) -> Result<(), Fault> {
        match self.same {
            Some((before, since)) if before == measured && power.0 != 0 => {
                if at - since >= self.limits.frozen_after {
                    return Err(Fault::Frozen { what: "power".into(), seconds: (at - since).0 / 1000 });
                }
            }
            _ => self.same = Some((measured, at)),
        }
        Ok(())
    }

    fn spiking(&mut self, found: i64) -> Result<(), Fault> {
        let usual = median(&self.recent);
        let far = |other: i64| (found - other).abs() > self.limits.spike.0;
        let confirmed = self.held.take().is_some_and(|held| !far(held));
        if self.recent.len() >= 3 && far(usual) && !confirmed {
            self.held = Some(found);
            return Err(Fault::Spiking { what: "power (µW)".into(), found, usual });
        }
        if confirmed && far(usual) {
            self.recent.clear();
        }
        if self.recent.len() == WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(found);
        Ok(())
    }
}

fn median(values: &VecDeque<i64>) -> i64 {
    let mut sorted: Vec<_> = values.iter().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

impl<S: Sensor> Sensor for Guard<S> {
    fn name(&self) -> String {
        self.sensor.name()
    }

    fn poll(&mut self, at: Stamp) -> Report {
        let report = self.sensor.poll(at);
        if !report.state.usable() {
            return report;
        }
        match self.check(&report) {
            Ok(()) => report,
            Err(fault) => Report { at, state: SensorState::Faulty(fault), measured: Vec::new() },
        }
    }
}

/// Compares the same energy by two ways, for example the panel's and the battery's side of a charger: `made` must not be below
/// what came out of it, nor above it by more than `loss_percent`. Below one watt hour nothing is said.
///
/// # Errors
/// [`Fault::Contradictory`] when one of them lies.
pub fn balanced(made_mwh: i64, arrived_mwh: i64, loss_percent: i64) -> Result<(), Fault> {
    let made = made_mwh.max(0);
    let (low, high) = (arrived_mwh * 98 / 100 - 1000, arrived_mwh * 100 / (100 - loss_percent.clamp(0, 90)) + 1000);
    if (low..=high).contains(&made) {
        return Ok(());
    }
    Err(Fault::Contradictory {
        what: "energy before and behind the charger (mWh)".into(),
        one: made,
        other: arrived_mwh,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::UnixSeconds;

    struct Script(VecDeque<i64>);
    impl Sensor for Script {
        fn name(&self) -> String {
            "script".into()
        }
        fn poll(&mut self, at: Stamp) -> Report {
            let power = MicroWatts(self.0.pop_front().expect("script has a value for every poll"));
            let measured = vec![Measured::Power { flow: Flow::Production, bus: None, current: None, power }];
            Report { at, state: SensorState::Ok, measured }
        }
    }

    fn states(values: &[i64]) -> Vec<&'static str> {
        let limits = Limits {
            max_power: MicroWatts(100_000_000),
            frozen_after: MonoMillis(60_000),
            spike: MicroWatts(50_000_000),
        };
        let mut guard = Guard::new(Script(values.iter().copied().collect()), limits);
        let at = |i: usize| Stamp::dated(UnixSeconds(i as i64 * 30));
        (0..values.len()).map(|i| guard.poll(at(i)).state.name()).collect()
    }

    #[test]
    fn one_spike_is_held_back_and_forgotten() {
        let got = states(&[1_000_000, 1_100_000, 1_200_000, 90_000_000, 1_300_000]);
        assert_eq!(got, ["ok", "ok", "ok", "spiking", "ok"]);
    }

    #[test]
    fn a_step_that_stays_is_the_new_normal() {
        let got = states(&[1_000_000, 1_100_000, 1_200_000, 90_000_000, 90_100_000, 90_200_000]);
        assert_eq!(got, ["ok", "ok", "ok", "spiking", "ok", "ok"]);
    }

    #[test]
    fn the_same_digits_for_a_minute_are_frozen_but_zero_at_night_is_not() {
        assert_eq!(states(&[5_000_000, 5_000_000, 5_000_000, 5_000_001]), ["ok", "ok", "frozen", "ok"]);
        assert_eq!(states(&[0, 0, 0, 0]), ["ok"; 4]);
    }

    #[test]
    fn what_the_panel_cannot_make_is_out_of_range() {
        assert_eq!(states(&[100_000_001, -5_000_000]), ["out_of_range"; 2]);
    }

    #[test]
    fn two_ways_that_disagree_are_named() {
        assert!(balanced(100_000, 94_000, 15).is_ok());
        assert_eq!(balanced(200_000, 94_000, 15).expect_err("inflated").name(), "contradictory");
        assert_eq!(balanced(50_000, 94_000, 15).expect_err("more behind than before").name(), "contradictory");
    }
}
