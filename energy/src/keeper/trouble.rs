//! What is wrong, by name, with a reason that the owner can read and what is done until it is right again.
use serde::{Deserialize, Serialize};

use crate::{
    sensors::{Fault, Flow},
    units::{MilliWattHours, UnixSeconds},
};

/// A named state that is not the normal one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
#[allow(missing_docs, reason = "the fields are named for what they hold, and the sentences below say the rest")]
pub enum Trouble {
    /// A sensor does not answer, or nothing reaches it.
    SensorMissing { sensor: String, feeds: Vec<Flow>, fault: Fault },
    /// A sensor says what cannot be.
    SensorLying { sensor: String, feeds: Vec<Flow>, fault: Fault },
    /// A sensor hangs.
    SensorFrozen { sensor: String, feeds: Vec<Flow>, fault: Fault },
    /// A sensor's figure jumps.
    SensorSpiking { sensor: String, feeds: Vec<Flow>, fault: Fault },
    /// What the panel made, and what of it arrived, do not go together.
    Unbalanced { made: MilliWattHours, arrived: MilliWattHours },
    /// The clock is not set.
    ClockUnset,
    /// A device lost its memory and its counters began anew.
    CounterReset { sensor: String, epoch: u32 },
    /// What was learned is gone.
    HistoryLost { reason: String },
    /// Too few days are known.
    Learning { days: usize },
    /// The panel was not measured for hours.
    NoSamples { last: UnixSeconds },
    /// The sun was up and the panel gave next to nothing.
    PanelDark { days: u32 },
    /// The sun does not rise.
    PolarNight,
    /// The battery was never full or empty since its history began.
    ChargeUnknown,
    /// The bound of the charge has grown large.
    ChargeUncertain { bound_permille: i64 },
    /// The battery cannot hold two days.
    SmallBattery { capacity: MilliWattHours, reserve: MilliWattHours },
    /// Nothing can wake the board.
    CannotWake { reason: String },
}

impl Trouble {
    /// The trouble of a sensor whose last readings are of no use.
    #[must_use]
    pub fn of_sensor(sensor: &str, feeds: &[Flow], fault: &Fault) -> Self {
        let (sensor, feeds, fault) = (sensor.to_owned(), feeds.to_vec(), fault.clone());
        match fault.name() {
            "frozen" => Self::SensorFrozen { sensor, feeds, fault },
            "spiking" => Self::SensorSpiking { sensor, feeds, fault },
            "missing" | "bus" | "stale" | "resting" => Self::SensorMissing { sensor, feeds, fault },
            _ => Self::SensorLying { sensor, feeds, fault },
        }
    }

    /// Its name in logs, metrics and the API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SensorMissing { .. } => "sensor_missing",
            Self::SensorLying { .. } => "sensor_lying",
            Self::SensorFrozen { .. } => "sensor_frozen",
            Self::SensorSpiking { .. } => "sensor_spiking",
            Self::Unbalanced { .. } => "unbalanced",
            Self::ClockUnset => "clock_unset",
            Self::CounterReset { .. } => "counter_reset",
            Self::HistoryLost { .. } => "history_lost",
            Self::Learning { .. } => "learning",
            Self::NoSamples { .. } => "no_samples",
            Self::PanelDark { .. } => "panel_dark",
            Self::PolarNight => "polar_night",
            Self::ChargeUnknown => "charge_unknown",
            Self::ChargeUncertain { .. } => "charge_uncertain",
            Self::SmallBattery { .. } => "small_battery",
            Self::CannotWake { .. } => "cannot_wake",
        }
    }

    /// All names, for metrics.
    pub const NAMES: [&'static str; 16] = [
        "sensor_missing",
        "sensor_lying",
        "sensor_frozen",
        "sensor_spiking",
        "unbalanced",
        "clock_unset",
        "counter_reset",
        "history_lost",
        "learning",
        "no_samples",
        "panel_dark",
        "polar_night",
        "charge_unknown",
        "charge_uncertain",
        "small_battery",
        "cannot_wake",
    ];

    /// What is done until it is right again.
    #[must_use]
    pub fn behaviour(&self) -> &'static str {
        match self {
            Self::SensorMissing { feeds, .. }
            | Self::SensorLying { feeds, .. }
            | Self::SensorFrozen { feeds, .. }
            | Self::SensorSpiking { feeds, .. } => match feeds.first() {
                Some(Flow::Battery) => "its readings are not used; the charge's bound grows, nothing new is promised",
                Some(Flow::Production) => "its readings are not used; no harvest is counted on after six hours",
                Some(Flow::Consumption) => "its readings are not used; the board's model stands in",
                None => "its readings are not used",
            },
            Self::Unbalanced { .. } => "nothing new is promised until the figures agree again",
            Self::ClockUnset => "nothing is learned, promised or slept; the board stays at base load",
            Self::CounterReset { .. } => "counting goes on in a new epoch; nothing is counted twice",
            Self::HistoryLost { .. } => "the forecast is learned anew; no sun is counted on until then",
            Self::Learning { .. } | Self::NoSamples { .. } | Self::PolarNight => "no sun is counted on",
            Self::PanelDark { .. } => {
                "the forecast follows what is seen; it is believed again on the day the panel gives"
            }
            Self::ChargeUnknown => {
                "nothing new is promised and nothing slept until the battery was full or nearly empty"
            }
            Self::ChargeUncertain { .. } => "the plan counts on the charge less its bound",
            Self::SmallBattery { .. } => "nothing is promised; work that is underway is finished",
            Self::CannotWake { .. } => "the board does not sleep; it stays at base load",
        }
    }

    /// Whether nothing new may be promised.
    #[must_use]
    pub fn forbids_promises(&self) -> bool {
        match self {
            Self::SensorMissing { feeds, .. } | Self::SensorLying { feeds, .. } | Self::SensorFrozen { feeds, .. } => {
                feeds.contains(&Flow::Battery)
            }
            Self::Unbalanced { .. } | Self::ClockUnset | Self::ChargeUnknown | Self::SmallBattery { .. } => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wh = |energy: &MilliWattHours| energy.0 as f64 / 1000.0;
        match self {
            Self::SensorMissing { sensor, fault, .. }
            | Self::SensorLying { sensor, fault, .. }
            | Self::SensorFrozen { sensor, fault, .. }
            | Self::SensorSpiking { sensor, fault, .. } => write!(f, "{sensor}: {fault}"),
            Self::Unbalanced { made, arrived } => write!(
                f,
                "the panel made {:.1} Wh, {:.1} Wh arrived at battery and board: one of the sensors is not true (wiring, shunt, settings?)",
                wh(made),
                wh(arrived)
            ),
            Self::ClockUnset => {
                f.write_str("the clock is not set; let the board reach network time, or give it a clock with a battery")
            }
            Self::CounterReset { sensor, epoch } => {
                write!(f, "{sensor}: the device lost power and was set up again; its counters go on in epoch {epoch}")
            }
            Self::HistoryLost { reason } => write!(f, "the history of the harvest is lost: {reason}"),
            Self::Learning { days } => write!(f, "{days} days of harvest are known, 5 are needed for a forecast"),
            Self::NoSamples { last } => {
                let at = jiff::Timestamp::from_second(last.0).unwrap_or_default();
                write!(f, "the panel was last measured at {at}")
            }
            Self::PanelDark { days } => {
                write!(
                    f,
                    "the panel gave next to nothing for {days} days though the sun was up: covered, broken or cut off?"
                )
            }
            Self::PolarNight => f.write_str("the sun does not rise here today"),
            Self::ChargeUnknown => f.write_str("the charge is unknown until the battery was full or nearly empty once"),
            Self::ChargeUncertain { bound_permille } => write!(
                f,
                "the charge is known to {}.{} % only: the battery was not full for long",
                bound_permille / 10,
                bound_permille % 10
            ),
            Self::SmallBattery { capacity, reserve } => {
                write!(f, "the battery holds {:.1} Wh, two days at base load need {:.1} Wh", wh(capacity), wh(reserve))
            }
            Self::CannotWake { reason } => write!(f, "nothing can wake the board: {reason}"),
        }
    }
}
