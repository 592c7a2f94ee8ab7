//! Witty Pi 5 HAT+ (UUGear): real-time clock and power switch behind an RP2350 at I2C 0x51.
//!
//! Facts from github.com/uugear/Witty-Pi-5-Firmware (BSD-3), version 1.4, and UUGear's `wp5d` (github.com/uugear/Witty-Pi-5-Software).
//! What is easily got wrong:
//! * its address is also that of PCF85063 class clocks: the identity is checked before anything is written;
//! * the startup alarm reaches the clock chip only when the board knows that the Pi goes down: a Pi that halts without a word stays
//!   powered and halted for ever. `wp5d` says it, and [`WittyPi5::announce_halt`] does;
//! * a schedule script on the board overwrites the alarm at every shutdown: then no wake is set;
//! * while a startup alarm is set, recovery of the voltage starts nothing, since an alarm that is over counts as next month's;
//! * a startup alarm that finds less than 5 V at the input is lost, there is no second try;
//! * the heartbeat register counts only when its value changes; asking for a shutdown request (register 71) is a heartbeat too.
//!
//! Decision: it has no guaranteed wake, so [`WittyPi5::keep_nets`] keeps the startup alarm 12 to 24 hours ahead whenever the worker
//! runs. After a cut by low voltage it is this alarm that wakes the board, with or without recovery.
use embedded_hal::i2c::I2c;

use super::bus::{Device, TRIES};
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
    pub const MISSED_HEARTBEATS: u8 = 12;
    pub const PI_STATE: u8 = 13;
    pub const ACTION_REASON: u8 = 14;
    pub const MISC: u8 = 15;
    pub const DEFAULT_ON_DELAY: u8 = 17;
    pub const POWER_CUT_DELAY: u8 = 18;
    pub const LOW_VOLTAGE: u8 = 22;
    pub const RECOVERY_VOLTAGE: u8 = 23;
    pub const WATCHDOG: u8 = 29;
    pub const ALARM1_SECOND: u8 = 32;
    pub const HEARTBEAT: u8 = 70;
    pub const SHUTDOWN: u8 = 71;
    pub const RTC_SECONDS: u8 = 80;
}
use register as reg;

/// Why the board switched the Pi on or off (each half of register 14).
pub mod reason {
    #![allow(missing_docs)]
    pub const ALARM1: u8 = 1;
    pub const ALARM2: u8 = 2;
    pub const BUTTON: u8 = 3;
    pub const VIN_DROP: u8 = 4;
    pub const VIN_RECOVER: u8 = 5;
    pub const OVER_TEMPERATURE: u8 = 6;
    pub const BELOW_TEMPERATURE: u8 = 7;
    pub const POWER_CONNECTED: u8 = 8;
    pub const REBOOT: u8 = 9;
    pub const MISSED_HEARTBEAT: u8 = 10;
    pub const EXTERNAL_SHUTDOWN: u8 = 11;
    pub const EXTERNAL_REBOOT: u8 = 12;
}

/// I2C address as delivered.
pub const ADDRESS: u8 = 0x51;
const IDENTITY: u8 = 0x51;
/// Seconds between power and the Pi; 255 would mean "stay off".
const ON_DELAY_SECONDS: u8 = 5;
/// From a shutdown's announcement to the cut: longer than a Pi takes to halt (systemd gives a service 90 s), and for one that was
/// woken on a low battery to set its next alarm.
const CUT_DELAY_SECONDS: u8 = 180;
/// After so many minutes without a heartbeat the board switches off and on again: the way out of a Pi that hangs or halted unheard.
const MISSED_HEARTBEATS_ALLOWED: u8 = 30;
/// The alarm that is kept ahead while the Pi runs, and when it is moved on.
const NET_SECONDS: i64 = 86_400;
const NET_RENEWED_BELOW_SECONDS: i64 = NET_SECONDS / 2;
/// A wake that was set is left alone for so long: the Pi is going down.
const GOING_DOWN_SECONDS: i64 = 600;
/// Register 13 while the Pi is going down.
const STOPPING: u8 = 3;

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
    nets_set: bool,
    /// The alarm that this process set last.
    alarm: Option<UnixSeconds>,
    /// Until then it is a planned sleep's.
    held_until: Option<UnixSeconds>,
}

impl<I: I2c> WittyPi5<I> {
    /// A board at [`ADDRESS`] or where it was moved to.
    pub const fn new(i2c: I, address: u8) -> Self {
        Self { device: Device::new(i2c, address), nets_set: false, alarm: None, held_until: None }
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

    /// Tells the board's watchdog that the worker lives (it expects it each minute), and asks whether the Pi shall go down: true once
    /// the board has begun a shutdown of its own.
    ///
    /// # Errors
    /// Of the bus.
    pub fn heartbeat(&mut self) -> Result<bool, Fault> {
        Ok(self.device.read_u8(reg::SHUTDOWN)? == 1)
    }

    /// Why the Pi was last switched on, and why off: codes of [`reason`], 0 = not known.
    ///
    /// # Errors
    /// Of the bus.
    pub fn reasons(&mut self) -> Result<(u8, u8), Fault> {
        let both = self.device.read_u8(reg::ACTION_REASON)?;
        Ok((both >> 4, both & 15))
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

    /// Sets what wakes the Pi whatever happens: on when power comes, a power cycle when heartbeats are missed, and a startup alarm 12
    /// to 24 hours ahead. To be called again and again; it writes only what must change (the board keeps its settings in flash).
    ///
    /// # Errors
    /// [`WakeError`]; the board may stay asleep when it now loses power.
    pub fn keep_nets(&mut self, now: UnixSeconds) -> Result<(), WakeError> {
        if !self.nets_set {
            self.set_nets()?;
        }
        let ahead = |alarm: UnixSeconds| (alarm - now).0 >= NET_RENEWED_BELOW_SECONDS;
        if self.held_until.is_some_and(|until| now < until)
            || (self.held_until.is_none() && self.alarm.is_some_and(ahead))
        {
            return Ok(());
        }
        self.write_alarm(now + UnixSeconds(NET_SECONDS))?;
        self.held_until = None;
        Ok(())
    }

    fn set_nets(&mut self) -> Result<(), WakeError> {
        let board = |what| move |fault| WakeError::Board { what, fault };
        let mut known = self.identify();
        for _ in 1..TRIES {
            if known.is_ok() {
                break;
            }
            known = self.identify();
        }
        known.map_err(board("identity"))?;
        for (register, value, what) in [
            (reg::DEFAULT_ON_DELAY, ON_DELAY_SECONDS, "default on"),
            (reg::WATCHDOG, MISSED_HEARTBEATS_ALLOWED, "watchdog"),
            (reg::POWER_CUT_DELAY, CUT_DELAY_SECONDS, "power cut delay"),
        ] {
            self.device.ensure(register, value).map_err(board(what))?;
        }
        self.nets_set = true;
        Ok(())
    }

    /// Sets the board to wake the Pi at `wake_at`, and reads it back. The clock is only compared, not set: UUGear's own service
    /// keeps it. The alarm holds once the board knows that the Pi goes down: [`WittyPi5::announce_halt`].
    ///
    /// # Errors
    /// [`WakeError`]; then the Pi must stay on.
    pub fn set_wake(&mut self, wake_at: UnixSeconds, now: UnixSeconds) -> Result<WakeSet5, WakeError> {
        let seconds = (wake_at - now).0;
        if !(LEAST_SECONDS..=HORIZON_SECONDS).contains(&seconds) {
            return Err(WakeError::Horizon { seconds });
        }
        let board = |what| move |fault| WakeError::Board { what, fault };
        self.nets_set = false;
        self.set_nets()?;
        if self.device.read_u8(reg::MISC).map_err(board("schedule script"))? & 1 != 0 {
            let fault = Fault::corrupt("a schedule script on the board would overwrite the alarm: purge it (wp5)");
            return Err(WakeError::Board { what: "startup alarm", fault });
        }
        let off = self.clock().map_err(board("clock"))?.map(|clock| (clock - now).0);
        if off.is_none_or(|seconds| seconds.abs() > CLOCK_TOLERANCE_SECONDS) {
            return Err(WakeError::Clock { seconds: off.unwrap_or(i64::MIN) });
        }
        self.write_alarm(wake_at)?;
        self.held_until = Some(now + UnixSeconds(GOING_DOWN_SECONDS));
        Ok(WakeSet5 { alarm: wake_at })
    }

    /// Once the Pi is on its way down: the board takes the alarm over and cuts the power three minutes later.
    ///
    /// # Errors
    /// Of the bus, or [`Fault::Corrupt`] when the board does not go along; then UUGear's service has to tell it.
    pub fn announce_halt(&mut self) -> Result<(), Fault> {
        let mut last = Fault::corrupt("the board does not take the Pi's shutdown for one");
        for _ in 0..TRIES {
            let told = self.device.write_u8(reg::SHUTDOWN, 2).and_then(|()| self.device.read_u8(reg::PI_STATE));
            match told {
                Ok(STOPPING) => return Ok(()),
                Ok(_) => {}
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    fn write_alarm(&mut self, alarm: UnixSeconds) -> Result<(), WakeError> {
        self.alarm = None;
        let at = utc(alarm).ok_or(WakeError::Horizon { seconds: alarm.0 })?;
        // Day 0 is no alarm. Half an old one and half a new one could mean next month; while there is none, recovery works.
        let day = reg::ALARM1_SECOND + 3;
        let fields = (reg::ALARM1_SECOND..).zip([at.second(), at.minute(), at.hour(), at.day()]);
        for (register, field) in [(day, 0)].into_iter().chain(fields) {
            self.device
                .write_checked(register, bcd(field))
                .map_err(|fault| WakeError::Board { what: "startup alarm", fault })?;
        }
        self.alarm = Some(alarm);
        Ok(())
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
