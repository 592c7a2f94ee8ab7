//! What a clear sky would give, and what the models are told of the sky.
use super::{
    EDGE_SHARE, FEATURES, FIRST_CLEARNESS, FIRST_WEIGHT, Forecaster, LEARNED, LONG_SHARE, MAX_CLEARNESS, SLOTS,
};

impl Forecaster {
    pub(super) fn features(&self, target: i64, clear: f64) -> Vec<f64> {
        let sky = &self.sky;
        let slot = self.slot_of_day(target);
        let edge = self.envelope.edge(slot) * self.global(target) / clear.max(LEARNED * self.peak) - 1.0;
        let turn = sky.last_quarter - sky.now;
        let all: [f64; FEATURES] = [
            1.0,
            sky.now,
            sky.before,
            sky.fast,
            sky.slow,
            sky.day,
            self.climate(slot),
            sky.now * sky.now,
            edge.clamp(-1.0, 1.0),
            sky.last_quarter,
            turn,
            turn.abs(),
            sky.last_quarter.min(0.5),
        ];
        all.to_vec()
    }

    pub(super) fn day_features(&self) -> Vec<f64> {
        let [yesterday, ten, month, afternoon] = self.day_means;
        vec![1.0, yesterday, ten, month, afternoon]
    }

    /// Clearness of a time of day over the last weeks, smoothed over its neighbours.
    pub(super) fn climate(&self, slot: usize) -> f64 {
        let (mut power, mut clear) = (FIRST_CLEARNESS * FIRST_WEIGHT * self.peak, FIRST_WEIGHT * self.peak);
        for (offset, weight) in [(46, 1.0), (47, 2.0), (0, 3.0), (1, 2.0), (2, 1.0)] {
            let neighbour = (slot + offset) % SLOTS;
            power += weight * self.climate_power[neighbour];
            clear += weight * self.climate_clear[neighbour];
        }
        if clear > 0.0 { (power / clear).min(MAX_CLEARNESS) } else { FIRST_CLEARNESS }
    }

    /// Power of this panel under a clear sky, watts.
    pub(super) fn clear_power(&self, slot: i64) -> f64 {
        let of_day = self.slot_of_day(slot);
        let held = (EDGE_SHARE * self.envelope.edge(of_day)).max(LONG_SHARE * self.long[of_day]);
        self.envelope.typical(of_day).max(held) * self.global(slot)
    }

    pub(super) fn clear_total(&self, day: i64) -> f64 {
        (self.first_slot(day)..).take(SLOTS).map(|slot| self.clear_power(slot)).sum()
    }
}

/// Before anything is learned: what is seen now lasts, less and less, and gives way to the last weeks.
#[allow(clippy::cast_precision_loss, reason = "at most 96")]
pub(super) fn prior(horizon: usize) -> Vec<f64> {
    let kept = 0.9_f64.powf(horizon as f64);
    let mut all = vec![0.0; FEATURES];
    all[1] = 0.5 * kept;
    all[6] = 1.0 - kept;
    all[9] = 0.5 * kept;
    all
}
