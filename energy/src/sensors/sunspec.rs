//! SunSpec devices over Modbus: inverters (models 101–103), MPPT inputs (160), batteries (802).
//!
//! Register layout from github.com/sunspec/models (`json/model_*.json`). Decoding needs no feature; [`ModbusTcp`] needs `sunspec`.
mod decode;
mod driver;
#[cfg(feature = "sunspec")]
mod tcp;

pub use decode::{Reading, decode};
pub use driver::{HoldingRegisters, Model, SunSpec, scan};
#[cfg(feature = "sunspec")]
pub use tcp::ModbusTcp;
