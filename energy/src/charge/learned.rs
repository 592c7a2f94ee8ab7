//! What is learned of a battery from anchor to anchor.
use serde::{Deserialize, Serialize};

use super::Battery;

/// Efficiency, leak and capacity with their uncertainty: a Kalman filter over two unknowns, and one over the capacity.
///
/// Between two full anchors the counted charge must return to zero: `D − η·C + L·T = 0` with D and C ampere hours out and in, T days.
/// The leak L takes up self-discharge and the zero error of the current sensor alike. See R. E. Kalman, 1960; scalar measurement.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// Coulombic efficiency η, as this sensor sees it.
    pub efficiency: f64,
    /// Leak L, ampere hours a day.
    pub leak: f64,
    /// Capacity, ampere hours as this sensor counts them.
    pub capacity: f64,
    p_ee: f64,
    p_el: f64,
    p_ll: f64,
    p_cc: f64,
}

/// Slow change of what is learned (temperature, age), standard deviation over a day's root.
const EFFICIENCY_WALK: f64 = 0.0005;
const LEAK_WALK_OF_CAPACITY: f64 = 0.000_1;
/// Gain of a current sensor, one standard deviation; in and out are counted by the same sensor, so only depth is scaled by it.
const GAIN_SIGMA: f64 = 0.005;

impl Learned {
    /// Before anything was learned.
    #[must_use]
    pub fn prior(battery: &Battery) -> Self {
        let capacity = battery.amp_hours();
        let (efficiency, sigma) = battery.efficiency();
        let (leak, leak_sigma) = battery.leak_per_day();
        let offset = battery.current_offset_sigma.0 as f64 / 1000.0 * 24.0;
        Self {
            efficiency,
            leak: leak * capacity,
            capacity,
            p_ee: sigma * sigma,
            p_el: 0.0,
            p_ll: (leak_sigma * capacity).powi(2) + offset * offset,
            p_cc: capacity * capacity * (battery.capacity_sigma.powi(2) + GAIN_SIGMA * GAIN_SIGMA),
        }
    }

    /// Variance of the deficit (Ah²) from unknown efficiency and leak after `charged` Ah and `days`.
    #[must_use]
    pub fn drift_variance(&self, charged: f64, days: f64) -> f64 {
        (charged * charged * self.p_ee - 2.0 * charged * days * self.p_el + days * days * self.p_ll).max(0.0)
    }

    /// Relative standard deviation of the capacity.
    #[must_use]
    pub fn capacity_sigma(&self) -> f64 {
        self.p_cc.sqrt() / self.capacity
    }

    /// Lets a time pass in which things may change.
    pub fn age(&mut self, days: f64) {
        self.p_ee += EFFICIENCY_WALK * EFFICIENCY_WALK * days;
        self.p_ll += (LEAK_WALK_OF_CAPACITY * self.capacity).powi(2) * days;
    }

    /// A full anchor after `charged` Ah and `days` since the last one, where counting was off by `residual` Ah (known deficit less
    /// counted deficit); `noise` is the variance of both anchors together. What is far off teaches nothing: readings were lost.
    pub fn full_to_full(&mut self, charged: f64, days: f64, residual: f64, noise: f64) -> bool {
        let s = self.drift_variance(charged, days) + noise;
        if residual * residual > 25.0 * s {
            return false;
        }
        // H = [−C, T]
        let (he, hl) = (-charged, days);
        let (ge, gl) = (self.p_ee * he + self.p_el * hl, self.p_el * he + self.p_ll * hl);
        let (ke, kl) = (ge / s, gl / s);
        self.efficiency = (self.efficiency + ke * residual).clamp(0.5, 1.05);
        self.leak += kl * residual;
        self.p_ee = (self.p_ee - ke * ge).max(1e-9);
        self.p_el -= ke * gl;
        self.p_ll = (self.p_ll - kl * gl).max(1e-12);
        true
    }

    /// A low anchor at a counted deficit: the capacity that fits, with the variance of that figure.
    pub fn low_anchor(&mut self, capacity: f64, variance: f64) -> bool {
        let s = self.p_cc + variance;
        let residual = capacity - self.capacity;
        if residual * residual > 25.0 * s {
            return false;
        }
        let gain = self.p_cc / s;
        self.capacity += gain * residual;
        self.p_cc *= 1.0 - gain;
        true
    }
}
