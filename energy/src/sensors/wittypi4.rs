//! Witty Pi 4 (UUGear): real-time clock and power switch of a Raspberry Pi, behind an ATtiny841 at I2C 0x08.
//!
//! Facts from the firmware (github.com/uugear/Witty-Pi-4, MIT), revision 7. What is easily got wrong:
//! * single-byte reads only; the integer register first, it starts the conversion;
//! * reading register 1, 3 or 5 writes EEPROM cells of 100,000 cycles: [`WearGuard`];
//! * alarms compare day of month, hour, minute, second within 2 s: a missed alarm comes a month later, or never (the 31st);
//! * 255 in the EEPROM means "default" at the next power-up.
//!
//! Decision: the low-voltage threshold of the microcontroller stays on, with a recovery voltage above it: it protects the battery
//! when the worker hangs. The firmware then writes its own voltage cells about once a second while the Pi runs; where that counts,
//! switch it off by [`WittyPi4::set_thresholds`] with `None` and trust the BMS.
pub(crate) mod alarm;
mod wear;

pub use alarm::{GuaranteedWake, WakeError, WakeSet};
pub use wear::WearGuard;

use embedded_hal::i2c::I2c;

use super::bus::Device;
use super::{Fault, Flow, Measured, Report, Sensor, SensorState, Stamp};
use crate::units::{MilliCelsius, MilliVolts, MonoMillis};

/// Register numbers.
pub mod register {
    #![allow(missing_docs)]
    pub const ID: u8 = 0;
    pub const VIN: u8 = 1;
    pub const VOUT: u8 = 3;
    pub const IOUT: u8 = 5;
    pub const POWER_MODE: u8 = 7;
    pub const LV_SHUTDOWN: u8 = 8;
    pub const ALARM1_TRIGGERED: u8 = 9;
    pub const ALARM2_TRIGGERED: u8 = 10;
    pub const ACTION_REASON: u8 = 11;
    pub const REVISION: u8 = 12;
    pub const DEFAULT_ON: u8 = 17;
    pub const PULSE_INTERVAL: u8 = 18;
    pub const LOW_VOLTAGE: u8 = 19;
    pub const RECOVERY_VOLTAGE: u8 = 22;
    pub const ALARM1_SECOND: u8 = 27;
    pub const IGNORE_POWER_MODE: u8 = 41;
    pub const IGNORE_LV_SHUTDOWN: u8 = 42;
    pub const MISC: u8 = 48;
    pub const GUARANTEED_WAKE: u8 = 49;
    pub const TEMPERATURE: u8 = 50;
    pub const RTC_SECONDS: u8 = 58;
}
use register as reg;

/// I2C address as delivered.
pub const ADDRESS: u8 = 0x08;
/// Why the board last switched the Pi on or off (register 11). Unknown codes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ActionReason {
    StartupAlarm,
    ShutdownAlarm,
    Button,
    LowVoltage,
    VoltageRestored,
    OverTemperature,
    BelowTemperature,
    StartupAlarmDelayed,
    Usb5V,
    PowerConnected,
    Reboot,
    GuaranteedWake,
    Unknown(u8),
}

impl From<u8> for ActionReason {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::StartupAlarm,
            2 => Self::ShutdownAlarm,
            3 => Self::Button,
            4 => Self::LowVoltage,
            5 => Self::VoltageRestored,
            6 => Self::OverTemperature,
            7 => Self::BelowTemperature,
            8 => Self::StartupAlarmDelayed,
            9 => Self::Usb5V,
            10 => Self::PowerConnected,
            11 => Self::Reboot,
            12 => Self::GuaranteedWake,
            other => Self::Unknown(other),
        }
    }
}

/// One board.
#[derive(Debug)]
pub struct WittyPi4<I> {
    pub(crate) device: Device<I>,
    wear: WearGuard,
    last_vin: Option<MilliVolts>,
}

impl<I: I2c> WittyPi4<I> {
    /// A board at [`ADDRESS`] or where it was moved to. Its wearing registers are not read within five minutes from `now`, since
    /// what a former process read is not known.
    pub const fn new(i2c: I, address: u8, now: MonoMillis) -> Self {
        Self { device: Device::new(i2c, address), wear: WearGuard::new(now), last_vin: None }
    }

    /// Checks that a Witty Pi 4 (0x26) or its L3V7 variant (0x37) answers.
    ///
    /// # Errors
    /// [`Fault::WrongDevice`], or of the bus.
    pub fn identify(&mut self) -> Result<(), Fault> {
        match self.device.read_u8(reg::ID)? {
            0x26 | 0x37 => Ok(()),
            found => Err(Fault::WrongDevice { found: u32::from(found), expected: 0x26 }),
        }
    }

    /// Why the Pi was last switched.
    ///
    /// # Errors
    /// Of the bus.
    pub fn action_reason(&mut self) -> Result<ActionReason, Fault> {
        Ok(self.device.read_u8(reg::ACTION_REASON)?.into())
    }

    /// Input voltage. Coarse (61 mV): for the owner and for low-battery rules, not for energy.
    ///
    /// # Errors
    /// [`Fault::Resting`] within five minutes of any wearing read; or of the bus.
    pub fn input_voltage(&mut self, now: MonoMillis) -> Result<MilliVolts, Fault> {
        let (whole, hundredths) = self.wearing_pair(reg::VIN, now)?;
        let mut volts = MilliVolts(i64::from(whole) * 1000 + i64::from(hundredths) * 10);
        // The board may convert between our two reads: 12.99 then 13.01 reads as 12.01. Near a whole volt, the neighbour that fits
        // the last reading is the true one.
        if let Some(last) = self.last_vin
            && !(13..=87).contains(&hundredths)
        {
            let candidates = [volts, volts + MilliVolts(1000), volts - MilliVolts(1000)];
            volts = candidates.into_iter().min_by_key(|v| (v.0 - last.0).abs()).unwrap_or(volts);
        }
        self.last_vin = Some(volts);
        Ok(volts)
    }

    /// Output voltage and then, at the next allowed time, current: for diagnosis. `register` is [`register::VOUT`] (mV) or
    /// [`register::IOUT`] (mA).
    ///
    /// # Errors
    /// As [`WittyPi4::input_voltage`].
    pub fn output(&mut self, register: u8, now: MonoMillis) -> Result<i64, Fault> {
        let (whole, hundredths) = self.wearing_pair(register, now)?;
        Ok(i64::from(whole) * 1000 + i64::from(hundredths) * 10)
    }

    fn wearing_pair(&mut self, register: u8, now: MonoMillis) -> Result<(u8, u8), Fault> {
        self.wear.allow(now)?;
        let whole = self.device.read_u8(register)?;
        let hundredths = self.device.read_u8(register + 1)?;
        if hundredths > 99 {
            return Err(Fault::corrupt(format!("register {} reads {hundredths} hundredths", register + 1)));
        }
        Ok((whole, hundredths))
    }

    /// Low-voltage shutdown and recovery in tenths of a volt, or `None` to switch both off.
    ///
    /// # Errors
    /// [`Fault::OutOfRange`] when recovery is not at least 0.2 V above low (the board would switch to and fro); or of the bus.
    pub fn set_thresholds(&mut self, low_recovery: Option<(u8, u8)>) -> Result<(), Fault> {
        if let Some((low, recovery)) = low_recovery
            && (low < 20 || recovery > 250 || recovery < low.saturating_add(2))
        {
            let (found, min) = (i64::from(recovery), i64::from(low) + 2);
            return Err(Fault::OutOfRange { what: "recovery voltage (0.1 V)".into(), found, min, max: 250 });
        }
        let (low, recovery) = low_recovery.unwrap_or((255, 255));
        // Recovery first: at no time may the board shut down without knowing when to come back.
        self.device.ensure(reg::RECOVERY_VOLTAGE, recovery)?;
        self.device.ensure(reg::LOW_VOLTAGE, low)
    }

    /// Seconds between the pulses of a sleeping board; each one may write its voltage cells. Long for long sleeps.
    ///
    /// # Errors
    /// Of the bus.
    pub fn set_pulse_interval(&mut self, seconds: u8) -> Result<(), Fault> {
        self.device.ensure(reg::PULSE_INTERVAL, seconds.clamp(1, 250))
    }

    fn sample(&mut self, at: Stamp) -> Result<(SensorState, Vec<Measured>), Fault> {
        self.identify()?;
        let volts = self.input_voltage(at.mono)?;
        // Only the first byte of the thermometer can be read: whole degrees.
        let celsius = i64::from(self.device.read_u8(reg::TEMPERATURE)?.cast_signed());
        Ok((
            SensorState::Ok,
            vec![Measured::Voltage { flow: Flow::Battery, volts }, Measured::Temperature(MilliCelsius(celsius * 1000))],
        ))
    }
}

impl<I: I2c> Sensor for WittyPi4<I> {
    fn name(&self) -> String {
        format!("witty pi 4 at 0x{:02x}", self.device.address())
    }

    fn poll(&mut self, at: Stamp) -> Report {
        let result = self.sample(at);
        Report::from_result(at, result)
    }
}
