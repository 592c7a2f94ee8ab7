//! Meaning of the fields. Codes that are not known here are kept as they came: a device newer than this list stays readable.
use serde::{Deserialize, Serialize};

use super::Frame;
use crate::sensors::ChargerPhase;
use crate::units::{MilliAmpHours, MilliAmps, MilliVolts, MilliWattHours, MilliWatts};

/// Field `CS`, state of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChargeState {
    /// 0.
    Off,
    /// 2.
    Fault,
    /// 3.
    Bulk,
    /// 4.
    Absorption,
    /// 5.
    Float,
    /// 7.
    EqualizeManual,
    /// 245.
    StartingUp,
    /// 247.
    AutoEqualize,
    /// 252.
    ExternalControl,
    /// Any other.
    Unknown(i64),
}

impl From<i64> for ChargeState {
    fn from(code: i64) -> Self {
        match code {
            0 => Self::Off,
            2 => Self::Fault,
            3 => Self::Bulk,
            4 => Self::Absorption,
            5 => Self::Float,
            7 => Self::EqualizeManual,
            245 => Self::StartingUp,
            247 => Self::AutoEqualize,
            252 => Self::ExternalControl,
            other => Self::Unknown(other),
        }
    }
}

/// The charger's phase for the state of charge.
#[must_use]
pub fn phase(state: ChargeState) -> ChargerPhase {
    match state {
        ChargeState::Off => ChargerPhase::Off,
        ChargeState::Bulk => ChargerPhase::Bulk,
        ChargeState::Absorption => ChargerPhase::Absorption,
        ChargeState::Float => ChargerPhase::Float,
        ChargeState::Fault => ChargerPhase::Other(2),
        ChargeState::EqualizeManual => ChargerPhase::Other(7),
        ChargeState::StartingUp => ChargerPhase::Other(245),
        ChargeState::AutoEqualize => ChargerPhase::Other(247),
        ChargeState::ExternalControl => ChargerPhase::Other(252),
        ChargeState::Unknown(code) => ChargerPhase::Other(u16::try_from(code).unwrap_or(u16::MAX)),
    }
}

/// Field `MPPT`, the tracker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mppt {
    /// 0.
    Off,
    /// 1: more sun than is taken; the harvest is clipped.
    Limited,
    /// 2.
    Tracking,
    /// Any other.
    Unknown(i64),
}

impl From<i64> for Mppt {
    fn from(code: i64) -> Self {
        match code {
            0 => Self::Off,
            1 => Self::Limited,
            2 => Self::Tracking,
            other => Self::Unknown(other),
        }
    }
}

/// Field `ERR`. Zero is no error; anything else is one, known or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorCode(pub i64);

impl ErrorCode {
    /// What the owner is told; `None` for no error.
    #[must_use]
    pub fn reason(self) -> Option<String> {
        let known = match self.0 {
            0 => return None,
            2 => "battery voltage too high",
            17 => "charger temperature too high",
            18 => "charger over-current",
            19 => "charger current reversed",
            20 => "bulk time limit exceeded",
            21 => "current sensor broken",
            26 => "terminals overheated",
            28 => "converter issue",
            33 => "panel voltage too high",
            34 => "panel current too high",
            38 => "input shut down: battery voltage too high",
            39 => "input shut down: current flows while off",
            65 => "lost communication with one of the devices",
            66 => "synchronised charging configured wrongly",
            67 => "BMS connection lost",
            68 => "network misconfigured",
            116 => "factory calibration lost",
            117 => "firmware invalid",
            119 => "user settings invalid",
            other => {
                return Some(format!("charger reports error {other}, which is not known here: see Victron's list"));
            }
        };
        Some(known.into())
    }
}

/// What an MPPT charger tells. A field that it does not send is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SolarCharger {
    /// Product.
    pub product: Option<u32>,
    /// Serial number.
    pub serial: Option<String>,
    /// Battery voltage.
    pub battery_volts: Option<MilliVolts>,
    /// Battery current; positive = charging.
    pub battery_amps: Option<MilliAmps>,
    /// Panel voltage.
    pub panel_volts: Option<MilliVolts>,
    /// Panel power.
    pub panel_watts: Option<MilliWatts>,
    /// Current of the load output.
    pub load_amps: Option<MilliAmps>,
    /// State of operation.
    pub state: Option<ChargeState>,
    /// Tracker.
    pub tracker: Option<Mppt>,
    /// Error.
    pub error: Option<ErrorCode>,
    /// Yield since the owner last reset it (H19, 10 Wh steps).
    pub total: Option<MilliWattHours>,
    /// Yield today (H20).
    pub today: Option<MilliWattHours>,
}

impl From<&Frame> for SolarCharger {
    fn from(frame: &Frame) -> Self {
        let ten_watt_hours = |label| frame.number(label).map(|v| MilliWattHours(v.saturating_mul(10_000)));
        Self {
            product: frame.hex("PID"),
            serial: frame.text("SER#").map(Into::into),
            battery_volts: frame.number("V").map(MilliVolts),
            battery_amps: frame.number("I").map(MilliAmps),
            panel_volts: frame.number("VPV").map(MilliVolts),
            panel_watts: frame.number("PPV").map(|w| MilliWatts(w.saturating_mul(1000))),
            load_amps: frame.number("IL").map(MilliAmps),
            state: frame.number("CS").map(Into::into),
            tracker: frame.number("MPPT").map(Into::into),
            error: frame.number("ERR").map(ErrorCode),
            total: ten_watt_hours("H19"),
            today: ten_watt_hours("H20"),
        }
    }
}

/// What a battery monitor tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatteryMonitor {
    /// Voltage.
    pub volts: Option<MilliVolts>,
    /// Current; positive = charging.
    pub amps: Option<MilliAmps>,
    /// Power.
    pub watts: Option<MilliWatts>,
    /// Consumed since full; negative.
    pub consumed: Option<MilliAmpHours>,
    /// State of charge, per mille.
    pub permille: Option<u16>,
    /// Minutes to go; `None` also for "infinite" (−1).
    pub minutes_to_go: Option<i64>,
}

impl From<&Frame> for BatteryMonitor {
    fn from(frame: &Frame) -> Self {
        Self {
            volts: frame.number("V").map(MilliVolts),
            amps: frame.number("I").map(MilliAmps),
            watts: frame.number("P").map(|w| MilliWatts(w.saturating_mul(1000))),
            consumed: frame.number("CE").map(MilliAmpHours),
            permille: frame.number("SOC").and_then(|v| u16::try_from(v).ok()).filter(|v| *v <= 1000),
            minutes_to_go: frame.number("TTG").filter(|m| *m >= 0),
        }
    }
}
