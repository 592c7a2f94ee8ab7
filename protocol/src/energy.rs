//! Attested energy: what a metering device signs once a day and what the chain makes of it (`contracts/energy`).
//!
//! Nothing here does I/O or reads a clock. All energy is whole watt hours; `protocol/vectors/energy.json` holds both languages
//! together.
#![cfg_attr(not(test), deny(clippy::float_arithmetic))]

mod account;
mod counts;
mod meter;
mod positive;
mod record;
mod signature;
mod window;

pub use account::{Account, AccountError, Day};
pub use counts::{COUNTS_BYTES, Counts, SLOTS};
pub use meter::{
    MAX_LATITUDE_DECIDEGREES, MAX_LONGITUDE_DECIDEGREES, MAX_NAMEPLATE_WATTS, METER_TAG, Meter, MeterError, cap_wh,
};
pub use positive::{Asked, Attested, MeterStatus, NotPositive};
pub use record::{Body, HEAD_BYTES, Link, NoEvidence, RECORD_TAG, Record, RecordError, SIGNATURE_BYTES, SignedRecord};
pub use signature::{DeviceKey, PublicKey, SignatureError};
pub use window::{MAX_WINDOW_DAYS, Window};

/// Seconds of a day.
pub const DAY_SECS: u64 = 86_400;

/// The day that a Unix time lies in, as records number days. `None` above the 16 bits of a record (the year 2149).
pub fn day_of(unix_secs: u64) -> Option<u16> {
    u16::try_from(unix_secs / DAY_SECS).ok()
}
