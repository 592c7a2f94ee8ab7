//! State of charge by counting, with anchors, a learned efficiency and an error bound that is part of the answer.
//!
//! Charge is not paid for: floats are allowed here. Everything else is in [`counter`](crate::sensors::counter) and
//! [`meter`](crate::sensors::meter), in integers.
mod anchor;
mod estimator;
mod learned;

pub use anchor::{Anchor, AnchorDetector};
pub use estimator::{Charge, ChargeState, Estimate, Sample};
pub use learned::Learned;

use serde::{Deserialize, Serialize};

use crate::units::{MilliAmpHours, MilliAmps, MilliVolts};

/// Kind of cells; sets what is believed before anything was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chemistry {
    /// Lithium iron phosphate.
    LiFePo4,
    /// Lead acid, also AGM and gel.
    LeadAcid,
}

/// A battery as its owner describes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Battery {
    /// Kind of cells.
    pub chemistry: Chemistry,
    /// Capacity by its label.
    pub capacity: MilliAmpHours,
    /// How far the true capacity may be off, one standard deviation, of one.
    pub capacity_sigma: f64,
    /// Mean voltage, to tell charge as energy.
    pub nominal: MilliVolts,
    /// Voltage that the charger holds while the battery takes its last part.
    pub absorption: MilliVolts,
    /// Below this under the worker's small load the battery is nearly empty.
    pub low_knee: MilliVolts,
    /// Zero error of the current sensor, one standard deviation.
    pub current_offset_sigma: MilliAmps,
}

impl Battery {
    /// A 12.8 V lithium iron phosphate battery measured by a good shunt monitor.
    #[must_use]
    pub const fn lifepo4_12v(capacity: MilliAmpHours) -> Self {
        Self {
            chemistry: Chemistry::LiFePo4,
            capacity,
            capacity_sigma: 0.02,
            nominal: MilliVolts(12_800),
            absorption: MilliVolts(14_200),
            low_knee: MilliVolts(12_300),
            current_offset_sigma: MilliAmps(3),
        }
    }

    pub(crate) const fn amp_hours(&self) -> f64 {
        self.capacity.0 as f64 / 1000.0
    }

    /// Coulombic efficiency, mean and standard deviation before learning.
    pub(crate) const fn efficiency(&self) -> (f64, f64) {
        match self.chemistry {
            Chemistry::LiFePo4 => (0.993, 0.006),
            Chemistry::LeadAcid => (0.90, 0.04),
        }
    }

    /// Self-discharge of the capacity a day, mean and standard deviation before learning.
    pub(crate) const fn leak_per_day(&self) -> (f64, f64) {
        match self.chemistry {
            Chemistry::LiFePo4 => (0.001, 0.0007),
            Chemistry::LeadAcid => (0.0025, 0.0015),
        }
    }
}
