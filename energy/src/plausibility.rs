//! Whether reported production can be true. For the oracle: pure, findings carry their evidence, so anyone can do the sum again.
//!
//! - [`bound`]: more than a panel of the declared peak can give under a clear sky, by the hour and by the day
//! - [`ratio`]: against a satellite series or neighbours, over 14 and 30 days, on the [`plane`] of the panel
//! - [`night`]: energy while the sun is down, and a clock that is wrong
//! - [`moved`]: the same for days whose clouds hide it, against the device's own past
//! - [`copies`]: two devices with the same curve
//!
//! One minute of sun can be brighter than the sky outside of the atmosphere (edges of clouds), so nothing shorter than an hour is
//! held against a clear sky.
use serde::{Deserialize, Serialize};

use crate::units::{MilliWattHours, UnixSeconds};

pub mod bound;
pub mod copies;
mod curve;
pub mod moved;
pub mod night;
pub mod plane;
pub mod ratio;

pub use curve::Curve;

/// Reported production of an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hour {
    /// Its beginning.
    pub start: UnixSeconds,
    /// Reported.
    pub energy: MilliWattHours,
}

/// Something that cannot be, or that is unlikely, with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// An hour above what the panel can give.
    AboveClearHour {
        /// The hour.
        start: UnixSeconds,
        /// Reported.
        reported: MilliWattHours,
        /// Peak times clear sky times margin.
        limit: MilliWattHours,
    },
    /// A day above what the panel can give.
    AboveClearDay {
        /// Its first hour.
        start: UnixSeconds,
        /// Reported.
        reported: MilliWattHours,
        /// Peak times clear sky.
        limit: MilliWattHours,
    },
    /// More than the reference says, over days.
    AboveReference {
        /// First day of the window.
        first_day: i64,
        /// Days of the window that have both series.
        days: usize,
        /// Reported over expected, in thousandths.
        ratio_permille: i64,
        /// Held against this.
        limit_permille: i64,
    },
    /// Energy while the sun is well below the horizon.
    AtNight {
        /// Beginning of the day.
        start: UnixSeconds,
        /// Reported at night.
        night: MilliWattHours,
        /// Reported on that day.
        total: MilliWattHours,
        /// Share that is not remarked on, in thousandths.
        limit_permille: i64,
    },
    /// The curve is that of the sun at another time.
    ClockShift {
        /// Beginning of the day.
        start: UnixSeconds,
        /// Seconds by which the curve comes late (positive) or early.
        shift_seconds: i64,
        /// At most this is not remarked on.
        limit_seconds: i64,
    },
    /// First and last light came later than they did on the days before, or both came earlier.
    ClockMoved {
        /// Midnight of the sun before them.
        start: UnixSeconds,
        /// Least seconds by which the day comes late (positive) or early.
        shift_seconds: i64,
        /// First light after sunrise and last light after sunset, seconds.
        light: moved::Light,
        /// The same of the days before: the earliest, the median, the latest.
        past: [moved::Light; 3],
        /// How many they are.
        days: usize,
        /// At most this is not remarked on.
        limit_seconds: i64,
    },
    /// Two devices report the same.
    Copied {
        /// First hour of the window.
        start: UnixSeconds,
        /// Hours in it with sun.
        hours: usize,
        /// Of those, the same in both, up to a common factor.
        same: usize,
    },
}
