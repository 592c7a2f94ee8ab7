//! Moments at which the true state of charge is known without counting.
use serde::{Deserialize, Serialize};

use super::{Battery, Sample};
use crate::sensors::ChargerPhase;

/// What is known at an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Anchor {
    /// The battery takes (nearly) no more; holds the current it still takes, in parts of its capacity an hour.
    Full {
        /// Tail current, 0 to 0.05.
        tail: f64,
    },
    /// The voltage has left its plateau.
    Low,
}

/// At constant voltage the current decays with about this time constant, so what is still missing is current times this.
const TAIL_HOURS: f64 = 0.2;

impl Anchor {
    /// State of charge and its standard deviation at this anchor, of one.
    #[must_use]
    pub fn charge(self) -> (f64, f64) {
        match self {
            Self::Full { tail } => (1.0 - TAIL_HOURS * tail.clamp(0.0, 0.05), 0.003),
            Self::Low => (0.08, 0.025),
        }
    }
}

/// Finds anchors in the samples.
///
/// ```text
///   None ── charger says float, or absorption voltage with 0 ≤ current < C/20, for ten minutes ──► Full (as long as it lasts)
///   None ── below the knee at a discharge under C/10, for ten minutes ──► Low (once, until charged)
/// ```
/// A weak sun also makes a small current; therefore the voltage must stand at absorption as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AnchorDetector {
    full_seconds: f64,
    low_seconds: f64,
}

const HELD_SECONDS: f64 = 600.0;

impl AnchorDetector {
    /// Takes a sample that stands for `seconds`.
    pub fn take(&mut self, battery: &Battery, sample: &Sample, seconds: f64) -> Option<Anchor> {
        let c = battery.amp_hours();
        let amps = sample.current.0 as f64 / 1e6;
        let absorbing = sample.volts.0 >= battery.absorption.0 - 50 && (0.0..c / 20.0).contains(&amps);
        let float = sample.charger == Some(ChargerPhase::Float) && amps > -c / 100.0;
        let bulk = sample.charger == Some(ChargerPhase::Bulk);
        self.full_seconds = if float || (absorbing && !bulk) { self.full_seconds + seconds } else { 0.0 };
        let low = sample.volts < battery.low_knee && amps <= 0.0 && amps > -c / 10.0;
        self.low_seconds = if low { self.low_seconds + seconds } else { 0.0 };
        if self.full_seconds >= HELD_SECONDS {
            Some(Anchor::Full { tail: (amps / c).max(0.0) })
        } else if (HELD_SECONDS..HELD_SECONDS + seconds).contains(&self.low_seconds) {
            Some(Anchor::Low)
        } else {
            None
        }
    }
}
