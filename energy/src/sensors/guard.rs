//! Watches the readings of a sensor for what the device itself cannot know: frozen, spiking, impossible.
use std::collections::VecDeque;

use super::{Fault, Flow, Measured, Report, Sensor, SensorState, Stamp, counter::EpochCounter};
use crate::{
    sun::Place,
    units::{MicroWatts, MonoMillis},
};

const WINDOW: usize = 7;
/// From here on up the sun lights every panel that is not covered.
const DAY_DEGREES: f64 = 5.0;

/// What is normal for the plant.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most power that can flow; also the bound for negative values.
    pub max_power: MicroWatts,
    /// The same power, voltage and current for so long means that the sensor hangs (zero: see [`Guard`]). [`NEVER`] for devices
    /// whose digits are so coarse that an honest one may repeat them for hours.
    pub frozen_after: MonoMillis,
    /// A value this far from the median of the last ones needs a second that agrees. Clouds change the sun fast, so this guards
    /// against digits gone wrong, not against weather: about half of the maximum is right.
    pub spike: MicroWatts,
    /// Where the panel stands, so that zero by night is told from zero by day.
    pub place: Option<Place>,
}

/// See [`Limits::frozen_after`].
pub const NEVER: MonoMillis = MonoMillis(i64::MAX);

/// A sensor with its readings watched.
///
/// ```text
///                 far from the median                next one agrees with the spike
///   Good ─────────────────────────────► Held (Spiking) ──────────────────────► Good
///    │ ▲                                  │ next one agrees with the median ──► Good
///    │ └───────── any digit changes ───┐
///    └── all digits equal too long ──► Frozen
/// ```
/// Exactly zero is frozen only where it cannot be so: at a panel while the sun is up, and only if the voltage beside it stands still
/// too (a covered panel gives zero as well, but its voltage moves with the light). Flows are watched apart. Time in which nobody looked is
/// no time of standing still.
#[derive(Debug)]
pub struct Guard<S> {
    sensor: S,
    limits: Limits,
    watched: [Watched; 3],
}

/// What was seen of one flow.
#[derive(Debug, Default)]
struct Watched {
    recent: VecDeque<i64>,
    held: Option<i64>,
    same: Option<(Measured, MonoMillis)>,
    looked: Option<MonoMillis>,
}

impl<S> Guard<S> {
    /// Watches a sensor.
    pub fn new(sensor: S, limits: Limits) -> Self {
        Self { sensor, limits, watched: Default::default() }
    }

    /// The sensor inside.
    pub const fn inner(&self) -> &S {
        &self.sensor
    }

    /// The sensor inside, for whoever feeds it.
    pub const fn inner_mut(&mut self) -> &mut S {
        &mut self.sensor
    }

    /// Checks what a sensor said that was asked elsewhere.
    pub fn pass(&mut self, report: Report) -> Report {
        if !report.state.usable() {
            return report;
        }
        match self.check(&report) {
            Ok(()) => report,
            Err(fault) => Report { at: report.at, state: SensorState::Faulty(fault), measured: Vec::new() },
        }
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
            let Limits { frozen_after, spike, .. } = self.limits;
            let may_stand_still = self.may_stand_still(measured, report.at);
            let watched = &mut self.watched[flow as usize];
            watched.frozen(*measured, report.at.mono, frozen_after, may_stand_still)?;
            watched.spiking(power.0, spike.0)?;
        }
        Ok(())
    }

    /// Whether these digits may rightly stay as they are.
    fn may_stand_still(&self, measured: &Measured, at: Stamp) -> bool {
        let Measured::Power { flow, bus, current, power } = measured else { return true };
        let by_day = || {
            let (Some(place), Some(now)) = (self.limits.place, at.unix) else { return false };
            place.elevation_degrees(now) > DAY_DEGREES
        };
        let says_more = bus.is_some() || current.is_some();
        power.0 == 0 && !(*flow == Flow::Production && says_more && by_day())
    }
}

impl Watched {
    fn frozen(&mut self, found: Measured, at: MonoMillis, after: MonoMillis, may: bool) -> Result<(), Fault> {
        // Nobody looked for so long, in a planned sleep say: that the digits stood still meanwhile is not known.
        let unwatched = self.looked.replace(at).is_some_and(|looked| at - looked >= after);
        match self.same {
            Some((before, since)) if before == found && !may && !unwatched => {
                if at - since >= after {
                    return Err(Fault::Frozen { what: "power".into(), seconds: (at - since).0 / 1000 });
                }
            }
            _ => self.same = Some((found, at)),
        }
        Ok(())
    }

    fn spiking(&mut self, found: i64, spike: i64) -> Result<(), Fault> {
        let usual = median(&self.recent);
        let far = |other: i64| (found - other).abs() > spike;
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
        self.pass(report)
    }

    fn counter(&self) -> Option<&EpochCounter> {
        self.sensor.counter()
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
    use crate::units::{MicroAmps, MicroVolts, UnixSeconds};

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
            place: None,
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

    /// 2026-06-01T00:00:00Z at 52° N: the sun is down until a quarter to four, and above 5° from about half past four.
    fn over_a_night(power: i64, bus: Option<i64>, place: Option<Place>) -> Vec<(i64, &'static str)> {
        let (power, bus) = (MicroWatts(power), bus.map(MicroVolts));
        let limits = Limits {
            max_power: MicroWatts(100_000_000),
            frozen_after: MonoMillis(1_800_000),
            spike: MicroWatts(50_000_000),
            place,
        };
        let mut guard = Guard::new(Script(VecDeque::new()), limits);
        let minute = |minute: i64| {
            let measured =
                vec![Measured::Power { flow: Flow::Production, bus, current: bus.map(|_| MicroAmps(0)), power }];
            let at = Stamp::dated(UnixSeconds(1_780_272_000 + minute * 60));
            (minute, guard.pass(Report { at, state: SensorState::Ok, measured }).state.name())
        };
        (0..12 * 60).map(minute).collect()
    }

    #[test]
    fn exactly_zero_is_frozen_by_day_only_and_anything_else_by_night_too() {
        let place = Place::new(52.0, 0.0, 10.0).ok();
        let first = |all: &[(i64, &str)]| all.iter().find(|(_, state)| *state == "frozen").map(|(minute, _)| *minute);
        let dark = over_a_night(0, Some(0), place);
        let frozen = first(&dark).expect("by day a sensor that stands still hangs");
        assert!((290..330).contains(&frozen), "minute {frozen}: half an hour after the sun was above 5°");
        assert_eq!(first(&over_a_night(3_000, Some(120_000), place)), Some(30), "three milliwatts are not zero");
        assert_eq!(first(&over_a_night(0, None, place)), None, "a covered panel says nothing else");
        assert_eq!(first(&over_a_night(0, Some(0), None)), None, "who does not know the place does not know the night");
    }

    #[test]
    fn digits_that_nobody_watched_in_a_planned_sleep_are_not_frozen() {
        let limits = Limits {
            max_power: MicroWatts(100_000_000),
            frozen_after: MonoMillis(1_800_000),
            spike: MicroWatts(50_000_000),
            place: None,
        };
        let mut guard = Guard::new(Script([5_000_000; 4].into()), limits);
        let mut state = |seconds: i64| guard.poll(Stamp::dated(UnixSeconds(seconds))).state.name();
        // An hour of sleep, then a sensor that does hang.
        assert_eq!([state(0), state(3_600), state(4_500), state(5_400)], ["ok", "ok", "ok", "frozen"]);
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
