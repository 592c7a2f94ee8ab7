//! Quantiles from own past errors (split conformal prediction; Vovk, Gammerman and Shafer, "Algorithmic learning in a random
//! world", 2005), kept apart by how clear the sky was forecast: errors around a clear day are small, around a mixed one large.
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Errors kept per regime.
const KEPT: usize = 400;
/// Errors needed before a regime speaks for itself.
const NEEDED: usize = 20;
/// Upper edges of the regimes, in forecast clearness.
const EDGES: [f64; 5] = [0.15, 0.35, 0.6, 0.8, 0.9];

/// Past errors, actual minus forecast, in clearness.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Residuals {
    regimes: [VecDeque<f32>; EDGES.len() + 1],
}

impl Residuals {
    /// Remembers an error; the oldest of the regime is dropped.
    pub fn push(&mut self, forecast: f64, actual: f64) {
        let error = actual - forecast;
        if !error.is_finite() {
            return;
        }
        let regime = &mut self.regimes[regime(forecast)];
        if regime.len() == KEPT {
            regime.pop_front();
        }
        #[allow(clippy::cast_possible_truncation, reason = "an error of a ratio; seven digits will do")]
        regime.push_back(error as f32);
    }

    /// The value that the actual clearness stays above with probability `1 - level`. Zero while too few errors are known.
    #[must_use]
    pub fn lower(&self, forecast: f64, level: f64) -> f64 {
        let own = &self.regimes[regime(forecast)];
        let mut errors: Vec<f32> = if own.len() >= NEEDED {
            own.iter().copied().collect()
        } else {
            self.regimes.iter().flatten().copied().collect()
        };
        if errors.len() < NEEDED {
            return 0.0;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index"
        )]
        let rank = ((errors.len() as f64 * level) as usize).min(errors.len() - 1);
        let (_, error, _) = errors.select_nth_unstable_by(rank, f32::total_cmp);
        (forecast + f64::from(*error)).clamp(0.0, forecast.max(0.0))
    }
}

fn regime(forecast: f64) -> usize {
    EDGES.iter().take_while(|edge| forecast > **edge).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_bound_leaves_a_tenth_below() {
        let mut all = Residuals::default();
        assert_eq!(all.lower(0.7, 0.1), 0.0, "nothing is known yet");
        for i in 0..100 {
            all.push(0.7, 0.7 + (f64::from(i) - 50.0) / 100.0);
        }
        let bound = all.lower(0.7, 0.1);
        assert!((bound - 0.3).abs() < 0.011, "{bound}");
    }

    #[test]
    fn regimes_are_apart_and_bounded() {
        let mut all = Residuals::default();
        for i in 0..2000 {
            all.push(0.95, 0.95);
            all.push(0.5, if i % 2 == 0 { 0.0 } else { 1.0 });
        }
        assert!(all.lower(0.95, 0.1) > 0.94 && all.lower(0.5, 0.1) < 0.01);
        assert!(all.regimes.iter().all(|regime| regime.len() <= KEPT));
    }
}
