//! What every sensor yields, and the named states of a sensor.
use serde::{Deserialize, Serialize};

use super::{Stamp, counter::EpochCounter};
use crate::units::{
    MicroAmps, MicroVolts, MicroWatts, MilliCelsius, MilliPascal, MilliPercent, MilliVolts, MilliWattHours,
};

/// Where in the plant a power sensor sits. Production and consumption are never netted into one figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Panel side: energy made.
    Production,
    /// The worker's own supply: energy used.
    Consumption,
    /// The battery's terminals; positive = charging.
    Battery,
}

/// What a charger says that it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChargerPhase {
    /// Not charging.
    Off,
    /// Constant current.
    Bulk,
    /// Constant voltage: nearly full.
    Absorption,
    /// Full, held.
    Float,
    /// Anything else, the device's own code kept.
    Other(u16),
}

/// One measured quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Power now, with what it was made from.
    Power {
        /// Where.
        flow: Flow,
        /// Voltage, where the device tells it.
        bus: Option<MicroVolts>,
        /// Current, where the device tells it.
        current: Option<MicroAmps>,
        /// Power.
        power: MicroWatts,
    },
    /// Energy counted by the device itself since the first reading, over all epochs.
    Energy {
        /// Where.
        flow: Flow,
        /// Number of the counter's epoch; inside one epoch the count never falls.
        epoch: u32,
        /// Counted energy.
        total: MilliWattHours,
    },
    /// Voltage alone.
    Voltage {
        /// Where.
        flow: Flow,
        /// Volts.
        volts: MilliVolts,
    },
    /// State of charge as the device itself claims it, per mille.
    ChargePermille(u16),
    /// What the charger does.
    Charger(ChargerPhase),
    /// Temperature.
    Temperature(MilliCelsius),
    /// Air pressure.
    Pressure(MilliPascal),
    /// Relative humidity.
    Humidity(MilliPercent),
}

/// Why a sensor gives nothing that can be used. The text is written for the owner of the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Fault {
    /// No device acknowledged.
    #[error("no device answers at this address: check the wiring, the address and that it has power")]
    NoAnswer,
    /// The bus itself does not work.
    #[error("the bus is stuck or disturbed: a device may hold a line low; power-cycle it, shorten the wires")]
    BusStuck,
    /// The bus driver failed in another way.
    #[error("the bus driver reports an error that it does not name: see the kernel's log")]
    BusError,
    /// A device that talks by itself has fallen silent.
    #[error("nothing was heard for {seconds} s: check the cable")]
    Silent {
        /// Seconds of silence.
        seconds: i64,
    },
    /// A file of the kernel's is absent or unreadable.
    #[error("{file} cannot be read: is the path in the settings right and the driver loaded?")]
    NoFile {
        /// Name of the file.
        file: String,
    },
    /// Another device answers at the address.
    #[error("another device answers here: identity 0x{found:x}, expected 0x{expected:x}; nothing was written to it")]
    WrongDevice {
        /// Identity read.
        found: u32,
        /// Identity expected.
        expected: u32,
    },
    /// Bytes came that break the device's own rules (checksum, digits, write that did not stick).
    #[error("{what}: the data was damaged on the way and is not used")]
    Corrupt {
        /// What was wrong.
        what: String,
    },
    /// A value that the device or plant cannot have.
    #[error("{what} is {found}, outside of {min} to {max}: the sensor, its wiring or its settings are wrong")]
    OutOfRange {
        /// Quantity with its unit.
        what: String,
        /// Found.
        found: i64,
        /// Least possible.
        min: i64,
        /// Most possible.
        max: i64,
    },
    /// The same value for too long.
    #[error("{what} has not changed by one digit for {seconds} s: the sensor hangs")]
    Frozen {
        /// Quantity.
        what: String,
        /// For how long.
        seconds: i64,
    },
    /// One value far from its neighbours.
    #[error("{what} jumped to {found} where about {usual} is usual: held back until the next reading confirms it")]
    Spiking {
        /// Quantity with its unit.
        what: String,
        /// Found.
        found: i64,
        /// Median of the last readings.
        usual: i64,
    },
    /// Two figures of the same thing disagree.
    #[error("{what} disagree ({one} against {other}): one of them is not true, neither is used")]
    Contradictory {
        /// Which two, with their unit.
        what: String,
        /// First.
        one: i64,
        /// Second.
        other: i64,
    },
    /// The device has no new value since the last reading.
    #[error("no new conversion since the last reading")]
    Stale,
    /// Reading now would wear the device out.
    #[error("not read: reading wears this device out, the next reading is allowed in {seconds} s")]
    Resting {
        /// Seconds to wait.
        seconds: i64,
    },
}

impl Fault {
    /// Name for logs, metrics and the API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::NoAnswer | Self::Silent { .. } | Self::NoFile { .. } => "missing",
            Self::BusStuck | Self::BusError => "bus",
            Self::WrongDevice { .. } => "wrong_device",
            Self::Corrupt { .. } => "corrupt",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Frozen { .. } => "frozen",
            Self::Spiking { .. } => "spiking",
            Self::Contradictory { .. } => "contradictory",
            Self::Stale => "stale",
            Self::Resting { .. } => "resting",
        }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

/// State of a sensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorState {
    /// Readings may be used.
    Ok,
    /// Readings may be used; the device lost its memory and its counters began a new epoch.
    Reset {
        /// The new epoch.
        epoch: u32,
    },
    /// Nothing of this report may be used.
    Faulty(Fault),
}

impl SensorState {
    /// Name for logs, metrics and the API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Reset { .. } => "reset",
            Self::Faulty(fault) => fault.name(),
        }
    }

    /// What the owner is told.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Ok => "readings are good".into(),
            Self::Reset { epoch } => {
                format!("the device lost power and was set up again; its counters go on in epoch {epoch}")
            }
            Self::Faulty(fault) => fault.to_string(),
        }
    }

    /// Whether the readings beside this state may be used.
    #[must_use]
    pub const fn usable(&self) -> bool {
        !matches!(self, Self::Faulty(_))
    }
}

/// What one poll of a sensor gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When.
    pub at: Stamp,
    /// What the readings are worth.
    pub state: SensorState,
    /// Readings; empty when the state is a fault.
    pub measured: Vec<Measured>,
}

impl Report {
    /// A report from what a driver returned.
    #[must_use]
    pub fn from_result(at: Stamp, result: Result<(SensorState, Vec<Measured>), Fault>) -> Self {
        match result {
            Ok((state, measured)) => Self { at, state, measured },
            Err(fault) => Self { at, state: SensorState::Faulty(fault), measured: Vec::new() },
        }
    }

    /// The power of a flow, if this report has it.
    #[must_use]
    pub fn power(&self, of: Flow) -> Option<MicroWatts> {
        self.measured.iter().find_map(|m| match m {
            Measured::Power { flow, power, .. } if *flow == of => Some(*power),
            _ => None,
        })
    }
}

/// Something that can be asked for its readings.
pub trait Sensor {
    /// Name for the owner, for example `ina228 at 0x40`.
    fn name(&self) -> String;
    /// Asks the device once. Never blocks longer than its bus, never panics; a failure is a state.
    fn poll(&mut self, at: Stamp) -> Report;
    /// The counter that it follows, if it has one: saved, and given to the driver anew after a restart.
    fn counter(&self) -> Option<&EpochCounter> {
        None
    }
}
