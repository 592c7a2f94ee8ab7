//! How far a forecast can be trusted, by name, and what is refused.
use serde::{Deserialize, Serialize};

use crate::units::UnixSeconds;

/// Earliest time a clock can show: 2024-01-01. A board without a battery-backed clock boots in 1970 or at its image's date.
pub const EARLIEST: UnixSeconds = UnixSeconds(1_704_067_200);

/// The forecaster's state, with a reason its owner can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ForecastState {
    /// The model speaks.
    Ready,
    /// Fewer than [`super::harvest::LEARNING_DAYS`] days are known (new worker, or history lost): the pessimistic harvest is zero.
    Learning {
        /// Days known.
        days: usize,
    },
    /// The last sample is older than [`super::harvest::STALE_SECONDS`]: the pessimistic harvest is zero.
    Stale {
        /// When it ended.
        last: UnixSeconds,
    },
    /// The sun has been above the horizon but the panel gave next to nothing for days: covered, broken or cut off. The forecast
    /// follows what is seen, so it is near zero, until the panel gives again.
    PanelDark {
        /// Days in a row.
        days: u32,
    },
    /// The sun does not rise for a day or more.
    PolarNight,
}

/// A sample that was not taken, or a question that was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refused", rename_all = "snake_case")]
pub enum Refused {
    /// The clock is not set; nothing can be learned or forecast until it is.
    #[error(
        "the clock shows {at:?}, before the earliest time it can be; set it (network time or a battery-backed clock)"
    )]
    ClockUnset {
        /// What it shows.
        at: UnixSeconds,
    },
    /// Samples come in order of time.
    #[error(
        "a sample that ends at {end:?} comes after one that ended at {last:?}; the clock was set back, or it is a copy"
    )]
    NotNewer {
        /// Its end.
        end: UnixSeconds,
        /// End of the newest that was taken.
        last: UnixSeconds,
    },
    /// A sample is from a second to two hours long.
    #[error("a sample of {seconds} s; expected 1 to 7200")]
    Length {
        /// Its length.
        seconds: u32,
    },
    /// Panels do not consume.
    #[error("a panel that gives {milliwatts} mW; expected 0 to 10^12")]
    Power {
        /// What was said.
        milliwatts: i64,
    },
}

impl std::fmt::Display for ForecastState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => write!(f, "forecast from own history"),
            Self::Learning { days } => {
                write!(f, "only {days} days of history; counting on no sun until more are known")
            }
            Self::Stale { last } => write!(f, "no sample since {} (unix time); counting on no sun", last.0),
            Self::PanelDark { days } => {
                write!(
                    f,
                    "the panel gave next to nothing for {days} days though the sun was up: covered, broken or cut off?"
                )
            }
            Self::PolarNight => write!(f, "the sun does not rise"),
        }
    }
}
