//! Simulated devices with the rules of the real ones, and a virtual panel, battery and board behind them.
//!
//! The same drivers run on these as on hardware: I2C devices sit on a [`bus::SimBus`] which is an `embedded_hal::i2c::I2c`, serial
//! devices give bytes. Deterministic: time is passed in, chance comes from a seed.

pub mod bme280;
pub mod bus;
pub mod ina228;
pub mod ina2xx;
pub mod plant;
pub mod power_supply;
pub mod rig;
pub mod scenario;
pub mod sunspec;
pub mod trace;
pub mod vedirect;
pub mod wittypi4;
pub mod wittypi5;
