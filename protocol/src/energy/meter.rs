//! A metering device and its promise to serve one worker.

use alloy::primitives::{Address, B256, FixedBytes};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::signature::PublicKey;

/// What the digest of a registration begins with.
pub const METER_TAG: &[u8; 16] = b"sunwork.meter..1";
/// The largest nameplate whose cap the contract's comparison holds.
pub const MAX_NAMEPLATE_WATTS: u32 = 97_000;
/// The poles, tenths of a degree.
pub const MAX_LATITUDE_DECIDEGREES: i16 = 900;
/// The date line, tenths of a degree.
pub const MAX_LONGITUDE_DECIDEGREES: i16 = 1800;

/// Why the ledger refuses a meter; the contract's errors of these names.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MeterError {
    /// `NameplateOutOfRange`.
    #[error("the nameplate is {found} W, expected 1 to {MAX_NAMEPLATE_WATTS} W")]
    Nameplate {
        /// Watts.
        found: u32,
    },
    /// `CoordinatesOutOfRange`.
    #[error(
        "there is no place at latitude {latitude}, longitude {longitude} (tenths of a degree), expected at most \
         {MAX_LATITUDE_DECIDEGREES} and {MAX_LONGITUDE_DECIDEGREES} either way"
    )]
    Coordinates {
        /// Tenths of a degree.
        latitude: i16,
        /// Tenths of a degree.
        longitude: i16,
    },
}

/// A metering device, as it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Its key.
    pub key: PublicKey,
    /// Peak power of the panels.
    pub nameplate_watts: u32,
    /// ISO 3166-1 alpha-2.
    pub country: FixedBytes<2>,
    /// Tenths of a degree, north positive: coarse on purpose.
    pub latitude_decidegrees: i16,
    /// Tenths of a degree, east positive.
    pub longitude_decidegrees: i16,
}

impl Meter {
    /// What the ledger asks of a meter, but for its key.
    ///
    /// # Errors
    /// With what it would refuse.
    pub fn check(&self) -> Result<(), MeterError> {
        let (found, latitude, longitude) =
            (self.nameplate_watts, self.latitude_decidegrees, self.longitude_decidegrees);
        if found == 0 || found > MAX_NAMEPLATE_WATTS {
            return Err(MeterError::Nameplate { found });
        }
        // unsigned_abs: the smallest number has no positive twin.
        if latitude.unsigned_abs() > MAX_LATITUDE_DECIDEGREES.unsigned_abs()
            || longitude.unsigned_abs() > MAX_LONGITUDE_DECIDEGREES.unsigned_abs()
        {
            return Err(MeterError::Coordinates { latitude, longitude });
        }
        Ok(())
    }

    /// What the device signs to serve `worker` and no other: SHA-256(tag 16 | chain id 8 | ledger 20 | worker 20 | x 32 | y 32 |
    /// nameplate 4 | country 2 | latitude 2 | longitude 2).
    pub fn digest(&self, chain_id: u64, ledger: Address, worker: Address) -> B256 {
        let mut hash = Sha256::new();
        hash.update(METER_TAG);
        hash.update(chain_id.to_be_bytes());
        hash.update(ledger);
        hash.update(worker);
        hash.update(self.key.x);
        hash.update(self.key.y);
        hash.update(self.nameplate_watts.to_be_bytes());
        hash.update(self.country);
        hash.update(self.latitude_decidegrees.to_be_bytes());
        hash.update(self.longitude_decidegrees.to_be_bytes());
        B256::from_slice(&hash.finalize())
    }
}

/// Most that a quarter hour may hold, watt hours: 1.35 times the nameplate, rounded down, and one for the carried rest. `None` for a
/// nameplate that the ledger refuses.
pub fn cap_wh(nameplate_watts: u32) -> Option<u16> {
    if nameplate_watts == 0 || nameplate_watts > MAX_NAMEPLATE_WATTS {
        return None;
    }
    u16::try_from(nameplate_watts * 135 / 400 + 1).ok()
}
