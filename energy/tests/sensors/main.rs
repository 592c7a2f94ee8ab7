//! Drivers on simulated devices.
#![allow(clippy::unwrap_used)]
mod bme280;
mod faults;
mod ina;
mod recorded;
mod simulation;
mod sunspec;
mod vedirect;
mod wittypi;
mod wittypi5;
