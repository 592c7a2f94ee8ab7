//! Drivers of the sensors that a solar worker has.
//!
//! A driver turns registers or bytes into a [`Report`]: typed quantities, the time they were taken, and a [`SensorState`] with a
//! reason that the owner can read. Drivers are generic over `embedded-hal` 1.0 or take bytes; nothing here opens a bus.
//! What makes energy ([`Flow::Production`]) and what uses it ([`Flow::Consumption`]) are measured apart and never netted.
#![cfg_attr(not(test), deny(clippy::float_arithmetic))]

pub mod bme280;
pub mod bus;
pub mod counter;
pub mod guard;
pub mod ina228;
pub mod ina2xx;
pub mod meter;
pub mod power_supply;
mod reading;
mod scale;
pub mod slots;
mod stamp;
pub mod sunspec;
pub mod vedirect;
pub mod wittypi4;
pub mod wittypi5;

pub use reading::{ChargerPhase, Fault, Flow, Measured, Report, Sensor, SensorState};
pub use scale::Scale;
pub use stamp::{Clock, Stamp};
