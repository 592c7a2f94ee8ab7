//! Setting the wake alarm so that a wake path exists whenever power is lost.
//!
//! Three nets, the widest first, each read back before the next is touched:
//! 1. the Pi is switched on whenever power comes (register 17);
//! 2. guaranteed wake after so many hours (register 49), whatever the clock or the alarm say;
//! 3. the alarm itself.
//!
//! ```text
//!   set_wake: identity ─► nets 1, 2 ─► clock right? (else set) ─► alarm written ─► read back ─► WakeSet
//!                └──── any step fails four times: WakeError; the caller stays awake
//! ```
use embedded_hal::i2c::I2c;
use jiff::civil;
use jiff::tz::TimeZone;

use super::{WittyPi4, register as reg};
use crate::sensors::Fault;
use crate::sensors::bus::TRIES;
use crate::units::UnixSeconds;

/// The alarm has no month: beyond this it would be due twice, or never.
pub(crate) const HORIZON_SECONDS: i64 = 27 * 86_400;
/// An alarm nearer than this might pass while it is being written.
pub(crate) const LEAST_SECONDS: i64 = 60;
/// The board compares within two seconds.
pub(crate) const CLOCK_TOLERANCE_SECONDS: i64 = 2;

/// Period of the guaranteed wake (register 49).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuaranteedWake {
    /// Hours, 1 to 126.
    Hours(u8),
    /// Days, 1 to 126.
    Days(u8),
}

impl GuaranteedWake {
    /// Register value. 127 is avoided: 255 would be taken for "not set" after a power-up.
    const fn code(self) -> Option<u8> {
        match self {
            Self::Hours(n @ 1..=126) => Some(n),
            Self::Days(n @ 1..=126) => Some(n | 0x80),
            _ => None,
        }
    }
}

/// Proof that a wake path is set and was read back. Whoever stops the Pi asks for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WakeSet {
    alarm: UnixSeconds,
    net: GuaranteedWake,
}

impl WakeSet {
    /// When the alarm comes.
    #[must_use]
    pub const fn alarm(&self) -> UnixSeconds {
        self.alarm
    }

    /// The net behind it.
    #[must_use]
    pub const fn net(&self) -> GuaranteedWake {
        self.net
    }
}

/// Why no wake is set; the Pi must not be stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WakeError {
    /// Too near or too far.
    #[error("a wake in {seconds} s cannot be set: this board takes 60 s to 27 days; wake earlier and sleep again")]
    Horizon {
        /// Seconds from now.
        seconds: i64,
    },
    /// A net period that the register cannot hold.
    #[error("{0:?} is no period for the guaranteed wake: 1 to 126 hours or days")]
    Net(GuaranteedWake),
    /// The board's clock cannot be set.
    #[error("the board's clock differs by {seconds} s and cannot be set")]
    Clock {
        /// Seconds, positive = the board is ahead.
        seconds: i64,
    },
    /// A register could not be written or read.
    #[error("while setting {what}: {fault}")]
    Board {
        /// What was being set.
        what: &'static str,
        /// Why not.
        fault: Fault,
    },
}

pub(crate) const fn bcd(value: i8) -> u8 {
    let value = value.cast_unsigned();
    ((value / 10) << 4) | (value % 10)
}

pub(crate) const fn from_bcd(value: u8) -> Option<i8> {
    if value >> 4 > 9 || value & 15 > 9 { None } else { Some(((value >> 4) * 10 + (value & 15)).cast_signed()) }
}

pub(crate) fn utc(at: UnixSeconds) -> Option<civil::DateTime> {
    Some(TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(at.0).ok()?))
}

impl<I: I2c> WittyPi4<I> {
    /// Sets the two nets that need no clock. Done at every start of the worker; writes only what differs.
    ///
    /// # Errors
    /// [`WakeError`].
    pub fn ensure_nets(&mut self, net: GuaranteedWake) -> Result<(), WakeError> {
        let code = net.code().ok_or(WakeError::Net(net))?;
        self.identify_tried().map_err(|fault| WakeError::Board { what: "identity", fault })?;
        self.device.ensure(reg::DEFAULT_ON, 1).map_err(|fault| WakeError::Board { what: "default on", fault })?;
        self.device
            .ensure(reg::GUARANTEED_WAKE, code)
            .map_err(|fault| WakeError::Board { what: "guaranteed wake", fault })
    }

    /// Sets everything that wakes the Pi at `wake_at`, and reads it back.
    ///
    /// # Errors
    /// [`WakeError`]; then the Pi must stay on.
    pub fn set_wake(
        &mut self,
        wake_at: UnixSeconds,
        now: UnixSeconds,
        net: GuaranteedWake,
    ) -> Result<WakeSet, WakeError> {
        let seconds = (wake_at - now).0;
        let civil = utc(wake_at).filter(|_| (LEAST_SECONDS..=HORIZON_SECONDS).contains(&seconds));
        let at = civil.ok_or(WakeError::Horizon { seconds })?;
        self.ensure_nets(net)?;
        self.ensure_clock(now)?;
        let fields = [at.second(), at.minute(), at.hour(), at.day()];
        for _ in 0..TRIES {
            for (register, field) in (reg::ALARM1_SECOND..).zip(fields) {
                self.device
                    .write_checked(register, bcd(field))
                    .map_err(|fault| WakeError::Board { what: "startup alarm", fault })?;
            }
            // Writing an alarm arms it anew; a board that still says "has gone off" would stay asleep.
            if let (Ok(0), Ok(0)) =
                (self.device.read_u8(reg::ALARM1_TRIGGERED), self.device.read_u8(reg::ALARM1_TRIGGERED))
            {
                return Ok(WakeSet { alarm: wake_at, net });
            }
        }
        let fault = Fault::corrupt("the board says that the new alarm has already gone off");
        Err(WakeError::Board { what: "startup alarm", fault })
    }

    fn identify_tried(&mut self) -> Result<(), Fault> {
        let mut last = self.identify();
        for _ in 1..TRIES {
            if last.is_ok() {
                break;
            }
            last = self.identify();
        }
        last
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
        // Seconds come first; when they read the same at the end, no minute passed in between.
        let torn = self.device.read_u8(reg::RTC_SECONDS)? < raw[0];
        // Bit 7 of the seconds: the oscillator stopped, the time is void.
        if torn || raw[0] & 0x80 != 0 {
            return Ok(None);
        }
        let [second, minute, hour, day, _, month, year] = raw.map(from_bcd);
        let parsed = (|| {
            let date = civil::Date::new(2000 + i16::from(year?), month?, day?).ok()?;
            let time = civil::Time::new(hour?, minute?, second?, 0).ok()?;
            TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()
        })();
        Ok(parsed.map(|t| UnixSeconds(t.as_second())))
    }

    fn ensure_clock(&mut self, now: UnixSeconds) -> Result<(), WakeError> {
        let right = |clock: Option<UnixSeconds>| clock.is_some_and(|c| (c - now).0.abs() <= CLOCK_TOLERANCE_SECONDS);
        let mut seen = None;
        for attempt in 0..2 * TRIES {
            match self.clock() {
                Ok(clock) if right(clock) => return Ok(()),
                // One odd reading may be a flipped bit: the clock is written only when two in a row say so.
                Ok(clock) if attempt > 0 => {
                    seen = clock;
                    let _ = self.write_clock(now);
                }
                Ok(_) | Err(_) => {}
            }
        }
        match self.clock() {
            Ok(clock) if right(clock) => Ok(()),
            Ok(clock) => Err(WakeError::Clock { seconds: (clock.or(seen).unwrap_or_default() - now).0 }),
            Err(fault) => Err(WakeError::Board { what: "clock", fault }),
        }
    }

    fn write_clock(&mut self, now: UnixSeconds) -> Result<(), Fault> {
        let Some(at) = utc(now) else { return Ok(()) };
        let year = i8::try_from(at.year() - 2000).unwrap_or(0);
        let weekday = at.weekday().to_sunday_zero_offset();
        let fields = [at.second(), at.minute(), at.hour(), at.day(), weekday, at.month(), year];
        // Seconds last: nothing carries over while the rest is written.
        for (offset, field) in (0_u8..).zip(fields).skip(1).chain((0_u8..).zip(fields).take(1)) {
            self.device.write_u8(reg::RTC_SECONDS + offset, bcd(field))?;
        }
        Ok(())
    }
}
