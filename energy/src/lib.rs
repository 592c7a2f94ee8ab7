//! Energy of a solar worker. Everything here is a pure function of what it is given: time, readings and randomness come in as
//! arguments. Drivers are generic over `embedded-hal` traits or byte streams; whoever owns a bus opens it and passes it in.

pub mod charge;
pub mod forecast;
pub mod keeper;
pub mod plan;
pub mod plausibility;
pub mod sensors;
pub mod sim;
pub mod sun;
pub mod trace;
pub mod units;
pub mod work;
