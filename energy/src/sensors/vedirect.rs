//! Victron VE.Direct text protocol over a byte stream (19,200 baud, 8N1, one block a second, unasked).
//!
//! Source: Victron "VE.Direct Protocol" 3.33, and the recordings of github.com/karioja/vedirect (MIT).

mod driver;
mod familiar;
mod fields;
mod frame;
mod parser;

pub use driver::{VeDirect, VeDirectKind};
pub use familiar::{Familiar, Implausible};
pub use fields::{BatteryMonitor, ChargeState, ErrorCode, Mppt, SolarCharger, phase};
pub use frame::{Field, Frame, HexMessage};
pub use parser::{Event, Parser, Rejected};
