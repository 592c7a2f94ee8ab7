//! Witty Pi 5 HAT+ (UUGear): real-time clock and power switch behind an RP2350 at I2C 0x51.
//!
//! Facts from `src/i2c.h` of github.com/uugear/Witty-Pi-5-Firmware (BSD-3). Its address is also that of PCF85063 class clocks: the
//! identity is checked before anything is written. It has no guaranteed wake; the nets are "on when power comes" and recovery.
use embedded_hal::i2c::I2c;

use super::bus::Device;
use super::wittypi4::WakeError;
use super::wittypi4::alarm::{CLOCK_TOLERANCE_SECONDS, HORIZON_SECONDS, LEAST_SECONDS, bcd, from_bcd, utc};
use super::{Fault, Flow, Measured, Report, Sensor, SensorState, Stamp};
use crate::units::{MicroAmps, MicroVolts, MicroWatts, MilliVolts, UnixSeconds};

/// Register numbers.
pub mod register {
    #![allow(missing_docs)]
    pub const ID: u8 = 0;
    pub const VUSB: u8 = 3;
    pub const VIN: u8 = 5;
    pub const VOUT: u8 = 7;
    pub const IOUT: u8 = 9;
    pub const PI_STATE: u8 = 13;
    pub const ACTION_REASON: u8 = 14;
    pub const DEFAULT_ON_DELAY: u8 = 17;
    pub const LOW_VOLTAGE: u8 = 22;
    pub const RECOVERY_VOLTAGE: u8 = 23;
    pub const ALARM1_SECOND: u8 = 32;
    pub const HEARTBEAT: u8 = 70;
    pub const RTC_SECONDS: u8 = 80;
}
use register as reg;

/// I2C address as delivered.
pub const ADDRESS: u8 = 0x51;
const IDENTITY: u8 = 0x51;
/// Seconds between power and the Pi; 255 would mean "stay off".
const ON_DELAY_SECONDS: u8 = 5;

/// Proof that a wake is set and was read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeSet5 {
    alarm: UnixSeconds,
}

impl WakeSet5 {
    /// When the alarm comes.
    #[must_use]
    pub const fn alarm(&self) -> UnixSeconds {
        self.alarm
    }
}

/// One board.
#[derive(Debug)]
pub struct WittyPi5<I> {
    device: Device<I>,
}

impl<I: I2c> WittyPi5<I> {
    /// A board at [`ADDRESS`] or where it was moved to.
    pub const fn new(i2c: I, address: u8) -> Self {
        Self { device: Device::new(i2c, address) }
    }

    fn identify(&mut self) -> Result<(), Fault> {
        match self.device.read_u8(reg::ID)? {
            IDENTITY => Ok(()),
            found => Err(Fault::WrongDevice { found: u32::from(found), expected: u32::from(IDENTITY) }),
        }
    }

    /// Two bytes read one by one; the high byte again, since the board may measure in between.
    fn pair(&mut self, register: u8) -> Result<u16, Fault> {
        for _ in 0..4 {
            let high = self.device.read_u8(register)?;
            let low = self.device.read_u8(register + 1)?;
            if self.device.read_u8(register)? == high {
                return Ok(u16::from_be_bytes([high, low]));
            }
        }
        Err(Fault::corrupt(format!("register {register} changes while it is read")))
    }

    /// Tells the board's watchdog that the worker lives; the board expects it each minute.
    ///
    /// # Errors
    /// Of the bus.
    pub fn heartbeat(&mut self) -> Result<(), Fault> {
        self.device.write_u8(reg::HEARTBEAT, 1)
    }

    /// Low-voltage shutdown and recovery in tenths of a volt, or `None` to switch both off (0 on this board).
    ///
    /// # Errors
    /// [`Fault::OutOfRange`] when recovery is not at least 0.2 V above low; or of the bus.
    pub fn set_thresholds(&mut self, low_recovery: Option<(u8, u8)>) -> Result<(), Fault> {
        let (low, recovery) = low_recovery.unwrap_or((0, 0));
        if low_recovery.is_some() && (low < 60 || recovery < low.saturating_add(2)) {
            let (found, min) = (i64::from(recovery), i64::from(low.max(60)) + 2);
            return Err(Fault::OutOfRange { what: "recovery voltage (0.1 V)".into(), found, min, max: 255 });
        }
        self.identify()?;
        self.device.ensure(reg::RECOVERY_VOLTAGE, recovery)?;
        self.device.ensure(reg::LOW_VOLTAGE, low)
    }

    /// The board's clock in UTC; `None` when its registers are no date.
    ///
    /// # Errors
    /// Of the bus.
    pub fn clock(&mut self) -> Result<Option<UnixSeconds>, Fault> {
        let mut raw = [0; 7];
        for (byte, register) in raw.iter_mut().zip(reg::RTC_SECONDS..) {
            *byte = self.device.read_u8(register)?;
        }
        if self.device.read_u8(reg::RTC_SECONDS)? < raw[0] {
            return Ok(None);
        }
        let [second, minute, hour, _, day, month, year] = raw.map(from_bcd);
        let parsed = (|| {
            let date = jiff::civil::Date::new(2000 + i16::from(year?), month?, day?).ok()?;
            let time = jiff::civil::Time::new(hour?, minute?, second?, 0).ok()?;
            jiff::tz::TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()
        })();
        Ok(parsed.map(|t| UnixSeconds(t.as_second())))
    }

    /// Sets the board to wake the Pi at `wake_at`, and reads it back. The clock is only compared, not set: UUGear's own service
    /// keeps it.
    ///
    /// # Errors
    /// [`WakeError`]; then the Pi must stay on.
    pub fn set_wake(&mut self, wake_at: UnixSeconds, now: UnixSeconds) -> Result<WakeSet5, WakeError> {
        let seconds = (wake_at - now).0;
        let civil = utc(wake_at).filter(|_| (LEAST_SECONDS..=HORIZON_SECONDS).contains(&seconds));
        let at = civil.ok_or(WakeError::Horizon { seconds })?;
        let board = |what| move |fault| WakeError::Board { what, fault };
        self.identify().map_err(board("identity"))?;
        self.device.ensure(reg::DEFAULT_ON_DELAY, ON_DELAY_SECONDS).map_err(board("default on"))?;
        let off = self.clock().map_err(board("clock"))?.map(|clock| (clock - now).0);
        if off.is_none_or(|seconds| seconds.abs() > CLOCK_TOLERANCE_SECONDS) {
            return Err(WakeError::Clock { seconds: off.unwrap_or(i64::MIN) });
        }
        for (register, field) in (reg::ALARM1_SECOND..).zip([at.second(), at.minute(), at.hour(), at.day()]) {
            self.device.write_checked(register, bcd(field)).map_err(board("startup alarm"))?;
        }
        Ok(WakeSet5 { alarm: wake_at })
    }

    fn sample(&mut self) -> Result<(SensorState, Vec<Measured>), Fault> {
        self.identify()?;
        let [vin, vout, iout] = [self.pair(reg::VIN)?, self.pair(reg::VOUT)?, self.pair(reg::IOUT)?].map(i64::from);
        if vin > 33_000 || vout > 6_000 {
            let (found, max) = if vin > 33_000 { (vin, 33_000) } else { (vout, 6_000) };
            return Err(Fault::OutOfRange { what: "voltage (mV)".into(), found, min: 0, max });
        }
        // Only what leaves the board is measured; what it takes itself is not in this figure.
        Ok((
            SensorState::Ok,
            vec![
                Measured::Voltage { flow: Flow::Battery, volts: MilliVolts(vin) },
                Measured::Power {
                    flow: Flow::Consumption,
                    bus: Some(MicroVolts(vout * 1000)),
                    current: Some(MicroAmps(iout * 1000)),
                    power: MicroWatts(vout * iout),
                },
            ],
        ))
    }
}

impl<I: I2c> Sensor for WittyPi5<I> {
    fn name(&self) -> String {
        format!("witty pi 5 at 0x{:02x}", self.device.address())
    }

    fn poll(&mut self, at: Stamp) -> Report {
        let result = self.sample();
        Report::from_result(at, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::bus::{Faults, SimBus, lock, shared};
    use crate::sim::wittypi5::SimWittyPi5;

    const NOW: UnixSeconds = UnixSeconds(1_780_272_000);

    #[test]
    fn supply_is_measured_and_a_wake_is_set_and_kept() {
        let bus = SimBus::new(1);
        let sim = shared(SimWittyPi5::new(NOW));
        bus.attach(ADDRESS, sim.clone());
        lock(&sim).set_supply(12_800, 5_120, 903);
        let mut board = WittyPi5::new(bus.clone(), ADDRESS);
        assert_eq!(board.poll(Stamp::dated(NOW)).power(Flow::Consumption), Some(MicroWatts(5_120 * 903)));
        let wake = NOW + UnixSeconds(86_400);
        assert_eq!(board.set_wake(wake, NOW).map(|w| w.alarm()), Ok(wake));
        lock(&sim).halt();
        lock(&sim).advance(86_390);
        assert!(!lock(&sim).pi_on());
        lock(&sim).advance(15);
        assert!(lock(&sim).pi_on());
        assert!(matches!(board.set_wake(NOW, NOW), Err(WakeError::Horizon { .. })));
        assert!(matches!(board.set_wake(wake, NOW + UnixSeconds(5)), Err(WakeError::Clock { .. })));
        bus.set_faults(Faults { flip_write_ppm: 1_000_000, ..Faults::default() });
        let now = NOW + UnixSeconds(86_405);
        assert!(matches!(board.set_wake(now + UnixSeconds(600), now), Err(WakeError::Board { .. })));
    }

    #[test]
    fn a_clock_chip_at_the_same_address_is_never_written_to() {
        let bus = SimBus::new(1);
        let sim = shared(SimWittyPi5::new(NOW));
        lock(&sim).poke(reg::ID, 0x00);
        bus.attach(ADDRESS, sim.clone());
        let mut board = WittyPi5::new(bus, ADDRESS);
        assert_eq!(board.poll(Stamp::dated(NOW)).state.name(), "wrong_device");
        assert!(board.set_wake(NOW + UnixSeconds(600), NOW).is_err());
        assert!(board.set_thresholds(Some((110, 125))).is_err());
        assert_eq!(lock(&sim).writes(), 0);
    }
}
