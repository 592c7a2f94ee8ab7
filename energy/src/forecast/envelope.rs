//! What this panel gives in each slot of the day under a clear sky: the upper end of the last weeks, as a ratio to the clear sky,
//! so that the season moves it and neither tilt nor shade of the place has to be known.
use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::SLOTS;

/// Days remembered.
pub const DAYS: usize = 20;
/// Days of the upper edge (maximum).
const EDGE_DAYS: usize = 15;
/// Share of the days that lie below the envelope.
const QUANTILE: f64 = 0.9;
/// Clear sky below this (W/m²) is night or the first minutes of a day.
pub const DAWN: f64 = 20.0;

/// Ratios of the last days, and what follows from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Envelope {
    days: VecDeque<Vec<Option<f32>>>,
    typical: Vec<f64>,
    edge: Vec<f64>,
}

impl Default for Envelope {
    fn default() -> Self {
        Self { days: VecDeque::new(), typical: vec![0.0; SLOTS], edge: vec![0.0; SLOTS] }
    }
}

impl Envelope {
    /// Takes a day's ratios in (`None`: no sun or no sample) and drops the oldest.
    pub fn push(&mut self, ratios: Vec<Option<f32>>) {
        if ratios.len() != SLOTS {
            return;
        }
        if self.days.len() == DAYS {
            self.days.pop_front();
        }
        self.days.push_back(ratios);
        let newest = self.days.len().saturating_sub(EDGE_DAYS);
        for slot in 0..SLOTS {
            let known = |skip: usize| self.days.iter().skip(skip).filter_map(|day| day[slot]).map(f64::from);
            self.edge[slot] = known(newest).fold(0.0, f64::max);
            self.typical[slot] = quantile(known(0).collect(), QUANTILE);
        }
    }

    /// Ratio to the clear sky that is exceeded on one day of ten.
    #[must_use]
    pub fn typical(&self, slot: usize) -> f64 {
        self.typical.get(slot).copied().unwrap_or(0.0)
    }

    /// Highest ratio of the last fifteen days.
    #[must_use]
    pub fn edge(&self, slot: usize) -> f64 {
        self.edge.get(slot).copied().unwrap_or(0.0)
    }

    /// Ratios known of a slot: how often it has been seen with sun.
    #[must_use]
    pub fn seen(&self, slot: usize) -> usize {
        self.days.iter().filter(|day| day.get(slot).is_some_and(Option::is_some)).count()
    }

    /// Days known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.days.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }
}

/// By linear interpolation between the order statistics.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "indices of a short list"
)]
fn quantile(mut all: Vec<f64>, level: f64) -> f64 {
    all.sort_by(f64::total_cmp);
    let Some(last) = all.len().checked_sub(1) else { return 0.0 };
    let place = last as f64 * level;
    let low = place as usize;
    let high = (low + 1).min(last);
    all[low] + (all[high] - all[low]) * (place - low as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(vec![], 0.9), 0.0);
        assert_eq!(quantile(vec![3.0], 0.9), 3.0);
        assert!((quantile(vec![0.0, 10.0], 0.9) - 9.0).abs() < 1e-12);
    }

    #[test]
    fn memory_is_bounded_and_a_lost_slot_does_not_lower_the_envelope() {
        let mut envelope = Envelope::default();
        for day in 0u8..100 {
            envelope.push((0..SLOTS).map(|slot| (slot != 7 || day % 2 == 0).then_some(1.0)).collect());
        }
        assert_eq!(envelope.len(), DAYS);
        assert_eq!((envelope.typical(7), envelope.edge(7)), (1.0, 1.0));
        envelope.push(vec![None; 3]);
        assert_eq!(envelope.len(), DAYS, "a day of another length is none");
    }
}
