//! The worker's weather as a Markov chain, learned from its own history: how clear it is now, by hour of the sun's day, and how clear
//! it is an hour later. States come from the forecaster's clearness, which remembers the day so far and, at night, the day before;
//! so a covered panel stays in the darkest state from one day to the next.
use serde::{Deserialize, Serialize};

/// States.
pub const STATES: usize = 6;
/// Upper edges of the states, in clearness; the last has none.
const EDGES: [f64; STATES - 1] = [0.04, 0.15, 0.4, 0.65, 0.85];
/// Share of clear-sky power that a state stands for until it is learned.
const MIDDLES: [f64; STATES] = [0.01, 0.1, 0.3, 0.55, 0.75, 0.95];
/// Hours of a day.
pub const HOURS: usize = 24;
/// Five weeks ago counts half.
const FORGET_PER_DAY: f64 = 0.98;
/// What was seen in the hour before and the hour after tells of this one too, with this weight: a month has few days of each kind.
const NEIGHBOUR_WEIGHT: f64 = 0.3;
/// Observations that the first belief weighs as, and how much of it is "as it was".
const PRIOR_WEIGHT: f64 = 1.0;
const PRIOR_STAYS: f64 = 0.75;
const MIDDLE_WEIGHT: f64 = 4.0;

/// What is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weather {
    /// Transitions seen: hour, from, to.
    seen: Vec<f64>,
    /// Sum and number of the clearness of the hour, by hour and state after it.
    clearness: Vec<(f64, f64)>,
}

impl Default for Weather {
    fn default() -> Self {
        Self { seen: vec![0.0; HOURS * STATES * STATES], clearness: vec![(0.0, 0.0); HOURS * STATES] }
    }
}

/// State of a clearness.
#[must_use]
pub fn state(clearness: f64) -> usize {
    EDGES.iter().take_while(|edge| clearness > **edge).count()
}

impl Weather {
    /// An hour has passed. `clearness` is what the panel gave as a share of a clear sky, or `None` where there was no sun.
    pub fn learn(&mut self, hour: usize, from: usize, to: usize, clearness: Option<f64>) {
        if hour >= HOURS || from >= STATES || to >= STATES {
            return;
        }
        self.seen[(hour * STATES + from) * STATES + to] += 1.0;
        if let Some(value) = clearness.filter(|value| value.is_finite()) {
            let (sum, count) = &mut self.clearness[hour * STATES + to];
            *sum += value.clamp(0.0, 1.5);
            *count += 1.0;
        }
        if hour == HOURS - 1 {
            self.seen.iter_mut().for_each(|x| *x *= FORGET_PER_DAY);
            self.clearness.iter_mut().for_each(|(sum, count)| {
                *sum *= FORGET_PER_DAY;
                *count *= FORGET_PER_DAY;
            });
        }
    }

    /// Probability of each state after the hour.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "six states")]
    pub fn next(&self, hour: usize, from: usize) -> [f64; STATES] {
        let seen = |hour: usize, to: usize| self.seen[((hour % HOURS) * STATES + from) * STATES + to];
        let row: [f64; STATES] = std::array::from_fn(|to| {
            seen(hour, to) + NEIGHBOUR_WEIGHT * (seen(hour + HOURS - 1, to) + seen(hour + 1, to))
        });
        let total: f64 = row.iter().sum::<f64>() + PRIOR_WEIGHT;
        std::array::from_fn(|to| {
            let stays = if to == from { PRIOR_STAYS } else { 0.0 };
            (row[to] + PRIOR_WEIGHT * (stays + (1.0 - PRIOR_STAYS) / STATES as f64)) / total
        })
    }

    /// Mean clearness of an hour that ends in a state.
    #[must_use]
    pub fn mean(&self, hour: usize, state: usize) -> f64 {
        let (sum, count) = self.clearness[hour * STATES + state];
        (sum + MIDDLES[state] * MIDDLE_WEIGHT) / (count + MIDDLE_WEIGHT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_and_follow_what_was_seen() {
        let mut weather = Weather::default();
        for _ in 0..50 {
            weather.learn(10, 0, 5, Some(0.97));
        }
        let next = weather.next(10, 0);
        assert!((next.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{next:?}");
        assert!(next[5] > 0.9 && weather.next(12, 0)[0] > 0.7, "two hours later has not been seen");
        assert!((weather.mean(10, 5) - 0.97).abs() < 0.01);
    }

    #[test]
    fn edges_separate_the_states() {
        assert_eq!([0.0, 0.1, 0.3, 0.5, 0.8, 1.2].map(state), [0, 1, 2, 3, 4, 5]);
    }
}
