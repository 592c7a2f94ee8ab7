//! Drivers of the sensors that a solar worker has, and simulators of them with the devices' own rules.
