//! Least absolute deviations, one sample at a time: iteratively reweighted least squares (Schlossmacher, 1973) in which each sample
//! gets its weight, `1 / |residual|`, once, from the coefficients of its day. What is kept is the normal equations, so memory does
//! not grow with history.
use serde::{Deserialize, Serialize};

/// Linear model of `N` features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lad {
    features: usize,
    /// Weighted `A'A`, row by row.
    normal: Vec<f64>,
    /// Weighted `A'y`.
    right: Vec<f64>,
    prior: Vec<f64>,
    coefficients: Vec<f64>,
    weight: f64,
    /// Below this residual the weight no longer grows.
    floor: f64,
}

/// Weight of the prior, as a share of the mean diagonal, plus a constant for the first days.
const RIDGE: f64 = 1e-4;
const FIRST_RIDGE: f64 = 500.0;

impl Lad {
    /// Starts at `prior` and gives way to the data.
    #[must_use]
    pub fn new(prior: Vec<f64>, floor: f64) -> Self {
        let n = prior.len();
        Self {
            features: n,
            normal: vec![0.0; n * n],
            right: vec![0.0; n],
            coefficients: prior.clone(),
            prior,
            weight: 0.0,
            floor,
        }
    }

    /// The model's value.
    #[must_use]
    pub fn predict(&self, features: &[f64]) -> f64 {
        self.coefficients.iter().zip(features).map(|(a, b)| a * b).sum()
    }

    /// Takes a sample in. `importance` scales the absolute error (here: the clear-sky power, as errors count in energy).
    pub fn learn(&mut self, features: &[f64], value: f64, importance: f64) {
        if features.len() != self.features || !value.is_finite() || !features.iter().all(|x| x.is_finite()) {
            return;
        }
        let residual = (value - self.predict(features)).abs();
        let weight = importance / residual.max(self.floor);
        for (i, a) in features.iter().enumerate() {
            for (j, b) in features.iter().enumerate() {
                self.normal[i * self.features + j] += weight * a * b;
            }
            self.right[i] += weight * a * value;
        }
        self.weight += weight;
    }

    /// Old samples count less: by `factor` each time.
    pub fn forget(&mut self, factor: f64) {
        self.normal.iter_mut().chain(&mut self.right).for_each(|x| *x *= factor);
        self.weight *= factor;
    }

    /// New coefficients from what was learned; the old ones stay if the equations cannot be solved.
    pub fn refit(&mut self) {
        let n = self.features;
        let mut a = self.normal.clone();
        let mut y = self.right.clone();
        for i in 0..n {
            let ridge = RIDGE * self.weight + FIRST_RIDGE;
            a[i * n + i] += ridge;
            y[i] += ridge * self.prior[i];
        }
        if let Some(solved) = solve(a, y) {
            self.coefficients = solved;
        }
    }
}

/// Cholesky factorisation of a symmetric positive definite matrix, then both substitutions.
fn solve(mut a: Vec<f64>, mut y: Vec<f64>) -> Option<Vec<f64>> {
    let n = y.len();
    for j in 0..n {
        let pivot = a[j * n + j] - (0..j).map(|k| a[j * n + k] * a[j * n + k]).sum::<f64>();
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        a[j * n + j] = pivot.sqrt();
        for i in j + 1..n {
            let sum: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            a[i * n + j] = (a[i * n + j] - sum) / a[j * n + j];
        }
    }
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| a[i * n + k] * y[k]).sum();
        y[i] = (y[i] - sum) / a[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| a[k * n + i] * y[k]).sum();
        y[i] = (y[i] - sum) / a[i * n + i];
    }
    y.iter().all(|x| x.is_finite()).then_some(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_system_is_solved() {
        let x = solve(vec![4.0, 2.0, 2.0, 3.0], vec![10.0, 8.0]).expect("positive definite");
        assert!((x[0] - 1.75).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
        assert_eq!(solve(vec![0.0], vec![1.0]), None);
    }

    #[test]
    fn the_median_wins_over_the_mean() {
        let mut model = Lad::new(vec![0.0], 0.01);
        for round in 0..400 {
            // Four of five are 1, the fifth is 11: the mean would be 3.
            model.learn(&[1.0], if round % 5 == 4 { 11.0 } else { 1.0 }, 100.0);
            if round % 10 == 9 {
                model.refit();
            }
        }
        assert!((model.predict(&[1.0]) - 1.0).abs() < 0.3, "{}", model.predict(&[1.0]));
    }

    #[test]
    fn what_is_not_a_number_is_not_learned() {
        let mut model = Lad::new(vec![0.5], 0.01);
        model.learn(&[1.0], f64::NAN, 1.0);
        model.learn(&[f64::INFINITY], 1.0, 1.0);
        model.learn(&[1.0, 2.0], 1.0, 1.0);
        model.refit();
        assert!((model.predict(&[1.0]) - 0.5).abs() < 1e-12);
    }
}
