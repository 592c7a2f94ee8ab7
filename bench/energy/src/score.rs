//! The measure of ENERGY.md 3.2.

/// `100 Σ|error| / Σ actual`. Nights add nothing to either sum unless a forecast has sun in them.
#[derive(Default)]
pub struct Score {
    errors: f64,
    actual: f64,
}

impl Score {
    pub fn add(&mut self, forecast: f64, actual: f64) {
        self.errors += (forecast - actual).abs();
        self.actual += actual;
    }

    pub fn percent(&self) -> f64 {
        self.found().unwrap_or(0.0)
    }

    /// The same; `None`: there was nothing to score.
    pub fn found(&self) -> Option<f64> {
        (self.actual > 0.0).then(|| round(100.0 * self.errors / self.actual))
    }
}

/// How often something held.
#[derive(Default, Clone, Copy)]
pub struct Share {
    pub held: u64,
    pub of: u64,
}

impl Share {
    pub fn add(&mut self, held: bool) {
        self.held += u64::from(held);
        self.of += 1;
    }

    pub fn percent(&self) -> f64 {
        self.found().unwrap_or(0.0)
    }

    /// The same; `None`: it was never tried.
    pub fn found(&self) -> Option<f64> {
        (self.of > 0).then(|| round(100.0 * self.held as f64 / self.of as f64))
    }
}

/// Two decimals; zero has no sign.
pub fn round(x: f64) -> f64 {
    (x * 100.0).round() / 100.0 + 0.0
}
