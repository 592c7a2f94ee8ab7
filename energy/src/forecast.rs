//! Forecast of harvest from the worker's own history and the sun's position. No weather feed, no look-ahead, no randomness.
//!
//! - [`envelope`]: what this panel gives under a clear sky, learned slot by slot
//! - [`lad`]: regression that minimises absolute errors, learned a sample at a time
//! - [`residuals`]: quantiles from the forecast's own past errors
//! - [`harvest`]: the forecaster: observe samples, ask for a time ahead or a day
//!
//! The clock is UTC and the day is the sun's day at the place, so no change of the wall clock is seen here.
pub mod envelope;
pub mod harvest;
pub mod lad;
pub mod residuals;
pub mod state;

pub use harvest::{Band, Forecaster};
pub use state::{ForecastState, Refused};

/// Length of the slots that are forecast.
pub const SLOT_SECONDS: i64 = 1800;
/// Slots of a day.
pub const SLOTS: usize = 48;
