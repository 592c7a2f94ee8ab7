//! Witty Pi 5 with the rules of its firmware: states of the Pi, low voltage and recovery, heartbeat, startup alarm, power loss.
//!
//! From github.com/uugear/Witty-Pi-5-Firmware, version 1.4 (`src/power.c`, `rtc.c`, `i2c.c`, `main.c`, `conf.c`), the behaviour, not
//! the code. The Pi has the DC input alone (no USB supply), and daylight saving and schedule scripts are off, as delivered.
//!
//! ```text
//!   OFF ──startup, ≥ 5 V──► STARTING ──30 s or a heartbeat──► ON ──shutdown──► STOPPING ──cut delay──► OFF (──1 s──► STARTING
//!    ▲ startup alarm, recovery, power connected                    asked for, low voltage,                    of a restart)
//!    │ (a startup below 5 V is lost: there is no second try)       heartbeats missed (restart)
//! ```
//! Not found in public, so chosen here: the supply below which the controller itself stops (3.3 V), and what "recovery" does while no
//! startup alarm is set (the firmware then compares with a date that it never filled in; here it recovers, as 1.0 did). Hibernation
//! between pulses (from 1.3) delays recovery by up to a pulse; here it comes within a second.
use embedded_hal::i2c::{ErrorKind, NoAcknowledgeSource};
use jiff::tz::TimeZone;

use super::bus::SimDevice;
use crate::sensors::wittypi4::alarm::from_bcd;
use crate::sensors::wittypi5::{reason, register as reg};
use crate::units::{MilliVolts, UnixSeconds};

/// Registers 16 to 63 are a file in the board's flash.
const SETTINGS: std::ops::Range<u8> = 16..64;
/// A startup needs this at the DC input.
const LEAST_VIN: MilliVolts = MilliVolts(5_000);
/// Supply below this stops the controller; a choice, see above.
const BROWN_OUT: MilliVolts = MilliVolts(3_300);
const STARTING_SECONDS: i64 = 30;
const HEARTBEAT_SECONDS: i64 = 60;
const RESTART_SECONDS: i64 = 1;

/// State of the Pi as the board sees it (register 13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PiState {
    /// 0.
    Off,
    /// 1.
    Starting,
    /// 2.
    On,
    /// 3.
    Stopping,
}

/// The board.
#[derive(Clone, Debug)]
pub struct SimWittyPi5 {
    registers: [u8; 128],
    /// The settings that a loss of power leaves.
    flash: [u8; 128],
    pointer: u8,
    now: UnixSeconds,
    clock_offset: i64,
    vin: MilliVolts,
    alive: bool,
    state: PiState,
    reasons: u8,
    recoverable: bool,
    missed: u8,
    restart: bool,
    /// Day, hour, minute in the clock chip; set for a startup.
    rtc_alarm: Option<[i8; 3]>,
    power_on_at: Option<i64>,
    started_at: Option<i64>,
    heartbeat_at: Option<i64>,
    last_heartbeat: i64,
    cut_at: Option<i64>,
    restart_at: Option<i64>,
    startup_at: Option<i64>,
    writes: u64,
}

impl SimWittyPi5 {
    /// A board as delivered, its Pi running on 12.8 V, its clock right.
    #[must_use]
    pub fn new(now: UnixSeconds) -> Self {
        let mut registers = [0; 128];
        for (index, value) in [
            (reg::ID, 0x51),
            (1, 1),
            (2, 4),
            (16, 0x51),
            (reg::DEFAULT_ON_DELAY, 255),
            (reg::POWER_CUT_DELAY, 15),
            (19, 10),
        ] {
            registers[usize::from(index)] = value;
        }
        let mut board = Self {
            registers,
            flash: registers,
            pointer: 0,
            now,
            clock_offset: 0,
            vin: MilliVolts(12_800),
            alive: true,
            state: PiState::Off,
            reasons: 0,
            recoverable: false,
            missed: 0,
            restart: false,
            rtc_alarm: None,
            power_on_at: None,
            started_at: None,
            heartbeat_at: None,
            last_heartbeat: i64::MIN,
            cut_at: None,
            restart_at: None,
            startup_at: None,
            writes: 0,
        };
        board.set_vin(board.vin, false);
        board.startup(reason::BUTTON);
        board.state = PiState::On;
        board
    }

    /// Sets a register.
    pub fn poke(&mut self, register: u8, value: u8) {
        self.registers[usize::from(register & 127)] = value;
    }

    /// What it measures, mV, mV, mA.
    pub fn set_supply(&mut self, vin: u16, vout: u16, iout: u16) {
        self.set_vin(MilliVolts(vin.into()), false);
        self.measures(reg::VOUT, vout);
        self.measures(reg::IOUT, iout);
    }

    /// The input voltage changes. Without supply the controller loses all that is not in flash; `clock_dies`: the clock's too.
    pub fn set_vin(&mut self, vin: MilliVolts, clock_dies: bool) {
        self.vin = vin;
        self.measures(reg::VIN, u16::try_from(vin.0).unwrap_or(u16::MAX));
        if vin < BROWN_OUT {
            self.alive = false;
            self.off();
            if clock_dies {
                self.clock_offset = 946_684_800 - self.now.0;
            }
        } else if !self.alive {
            self.power_up();
        }
    }

    /// Whether the Pi has power.
    #[must_use]
    pub fn pi_on(&self) -> bool {
        self.state != PiState::Off
    }

    /// State of the Pi.
    #[must_use]
    pub const fn state(&self) -> PiState {
        self.state
    }

    /// Time of the world (not of the board's clock).
    #[must_use]
    pub const fn now(&self) -> UnixSeconds {
        self.now
    }

    /// How often a register was written.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The Pi halts and UUGear's service tells the board so, at once and to the end.
    pub fn halt(&mut self) {
        self.state = PiState::On;
        self.shutdown(false, reason::EXTERNAL_SHUTDOWN);
        self.cut();
    }

    /// Lets time pass; seconds in which nothing can happen are skipped.
    pub fn advance(&mut self, seconds: i64) {
        let end = self.now.0 + seconds;
        while self.now.0 < end {
            let quiet = self.quiet_seconds().min(end - self.now.0 - 1).max(0);
            self.now = self.now + UnixSeconds(quiet + 1);
            if self.alive {
                self.tick();
            }
        }
    }

    fn measures(&mut self, register: u8, value: u16) {
        let [high, low] = value.to_be_bytes();
        self.poke(register, high);
        self.poke(register + 1, low);
    }

    const fn setting(&self, register: u8) -> u8 {
        self.registers[register as usize]
    }

    const fn threshold(&self, register: u8) -> MilliVolts {
        MilliVolts(self.setting(register) as i64 * 100)
    }

    fn off(&mut self) {
        self.state = PiState::Off;
        self.registers[usize::from(reg::SHUTDOWN)] = 0;
        (self.started_at, self.heartbeat_at, self.cut_at, self.restart_at) = (None, None, None, None);
        if !self.alive {
            (self.startup_at, self.power_on_at) = (None, None);
        }
    }

    fn power_up(&mut self) {
        self.alive = true;
        for register in SETTINGS {
            self.registers[usize::from(register)] = self.flash[usize::from(register)];
        }
        (self.recoverable, self.restart, self.missed, self.reasons) = (false, false, 0, 0);
        self.registers[usize::from(reg::HEARTBEAT)] = 0;
        let delay = self.setting(reg::DEFAULT_ON_DELAY);
        self.power_on_at = (delay != 255).then(|| self.now.0 + i64::from(delay));
        // What the chip was told before the loss means nothing to a controller that does not know which alarm it was.
        self.rtc_alarm = None;
        if self.power_on_at.is_none() {
            self.load_alarm();
        }
    }

    /// `request_startup`: below 5 V it fails, and nobody tries again.
    fn startup(&mut self, why: u8) {
        if self.state != PiState::Off {
            return;
        }
        self.reasons = why << 4 | self.reasons & 15;
        if self.vin < LEAST_VIN {
            return;
        }
        self.state = PiState::Starting;
        self.started_at = Some(self.now.0 + STARTING_SECONDS);
        self.expect_heartbeat();
        if why == reason::VIN_RECOVER {
            self.recoverable = false;
        }
    }

    /// `request_shutdown`: only of a Pi that is on.
    fn shutdown(&mut self, restart: bool, why: u8) {
        if self.state != PiState::On {
            return;
        }
        self.reasons = self.reasons & 0xF0 | why;
        self.poke(reg::SHUTDOWN, 1);
        self.state = PiState::Stopping;
        self.restart = restart;
        self.cut_at = Some(self.now.0 + i64::from(self.setting(reg::POWER_CUT_DELAY)));
        if !restart {
            self.load_alarm();
        }
    }

    fn cut(&mut self) {
        self.off();
        self.restart_at = std::mem::take(&mut self.restart).then(|| self.now.0 + RESTART_SECONDS);
    }

    fn expect_heartbeat(&mut self) {
        self.missed = 0;
        self.heartbeat_at = Some(self.now.0 + HEARTBEAT_SECONDS);
    }

    fn heartbeat(&mut self) {
        self.expect_heartbeat();
        if self.state == PiState::Starting {
            (self.state, self.started_at) = (PiState::On, None);
        }
    }

    /// Day, hour, minute, second of the startup alarm, if it is one.
    fn alarm(&self) -> Option<[i8; 4]> {
        let at = usize::from(reg::ALARM1_SECOND);
        let [second, minute, hour, day] = [0, 1, 2, 3].map(|i| from_bcd(self.registers[at + i]));
        let alarm = [day?, hour?, minute?, second?];
        ((1..=31).contains(&alarm[0]) && alarm[1] < 24 && alarm[2] < 60 && alarm[3] < 60).then_some(alarm)
    }

    /// The alarm goes to the clock chip when the Pi goes down, or when it is changed while the Pi is down; at no other time.
    fn load_alarm(&mut self) {
        if let Some([day, hour, minute, _]) = self.alarm() {
            self.rtc_alarm = Some([day, hour, minute]);
        }
    }

    fn tick(&mut self) {
        self.flash = self.registers;
        let due = |at: &mut Option<i64>, now: UnixSeconds| at.take_if(|at| *at <= now.0).is_some();
        if due(&mut self.power_on_at, self.now) {
            self.startup(reason::POWER_CONNECTED);
            if self.state == PiState::Off {
                self.load_alarm();
            }
        }
        if due(&mut self.started_at, self.now) {
            self.state = PiState::On;
        }
        if due(&mut self.cut_at, self.now) {
            self.cut();
        }
        if due(&mut self.restart_at, self.now) {
            self.startup(reason::REBOOT);
        }
        if due(&mut self.heartbeat_at, self.now) {
            self.heartbeat_missed();
        }
        let [second, minute, hour, _, day, ..] = self.clock();
        if second == 0 && self.rtc_alarm == Some([day, hour, minute]) {
            self.startup_at = Some(self.now.0 + self.alarm().map_or(0, |alarm| alarm[3].into()));
        }
        if due(&mut self.startup_at, self.now) {
            self.startup(reason::ALARM1);
        }
        if self.power_on_at.is_none() {
            self.poll_supply();
        }
    }

    fn heartbeat_missed(&mut self) {
        let allowed = self.setting(reg::WATCHDOG);
        if allowed == 0 || matches!(self.state, PiState::Off | PiState::Stopping) {
            return;
        }
        self.missed = self.missed.saturating_add(1);
        if self.missed > allowed {
            self.shutdown(true, reason::MISSED_HEARTBEAT);
            self.missed = 0;
        }
        if matches!(self.state, PiState::Starting | PiState::On) {
            self.heartbeat_at = Some(self.now.0 + HEARTBEAT_SECONDS);
        }
    }

    fn poll_supply(&mut self) {
        if self.is_low() {
            self.recoverable = true;
            self.shutdown(false, reason::VIN_DROP);
        } else if self.recovers() {
            self.startup(reason::VIN_RECOVER);
        }
    }

    fn is_low(&self) -> bool {
        self.pi_on() && self.vin < self.threshold(reg::LOW_VOLTAGE).max(LEAST_VIN)
    }

    /// A startup alarm that is set holds recovery back, since it is always ahead: once over, it means the next month.
    fn recovers(&self) -> bool {
        self.state == PiState::Off
            && self.recoverable
            && self.setting(reg::RECOVERY_VOLTAGE) != 0
            && self.vin >= self.threshold(reg::RECOVERY_VOLTAGE).max(LEAST_VIN)
            && self.alarm().is_none()
    }

    fn quiet_seconds(&self) -> i64 {
        if !self.alive {
            return i64::MAX;
        }
        if self.recovers() || (self.is_low() && (self.state == PiState::On || !self.recoverable)) {
            return 0;
        }
        let timers =
            [self.power_on_at, self.started_at, self.heartbeat_at, self.cut_at, self.restart_at, self.startup_at];
        let next = timers.into_iter().flatten().min().map_or(i64::MAX, |at| at - self.now.0 - 1);
        // The chip's alarm has no month: look again at each midnight.
        let [second, minute, hour, _, day, ..] = self.clock().map(i64::from);
        let today = hour * 3600 + minute * 60 + second;
        let alarm = self.rtc_alarm.map_or(i64::MAX, |[on, h, m]| {
            let at = i64::from(h) * 3600 + i64::from(m) * 60;
            if i64::from(on) == day && at > today { at - today - 1 } else { 86_400 - today - 1 }
        });
        next.min(alarm).max(0)
    }

    /// Second, minute, hour, weekday, day, month, year of this century.
    fn clock(&self) -> [i8; 7] {
        let Ok(t) = jiff::Timestamp::from_second(self.now.0 + self.clock_offset) else { return [0; 7] };
        let t = TimeZone::UTC.to_datetime(t);
        let year = i8::try_from(t.year() - 2000).unwrap_or(0);
        [t.second(), t.minute(), t.hour(), t.weekday().to_sunday_zero_offset(), t.day(), t.month(), year]
    }

    fn clock_register(&self, index: u8) -> u8 {
        let value = self.clock()[usize::from(index)].cast_unsigned();
        // The RX8025 keeps the weekday as one bit of seven.
        if index == 3 { 1 << value } else { ((value / 10) << 4) | (value % 10) }
    }

    fn written(&mut self, register: u8, value: u8) {
        let before = self.setting(register);
        match register {
            16..64 => {
                self.poke(register, value);
                let alarm = reg::ALARM1_SECOND + 1..=reg::ALARM1_SECOND + 3;
                if matches!(self.state, PiState::Off | PiState::Stopping) && alarm.contains(&register) {
                    self.rtc_alarm = self.alarm().map(|[day, hour, minute, _]| [day, hour, minute]);
                }
            }
            reg::HEARTBEAT => {
                self.poke(register, value);
                // The same value again is no sign of life.
                if before != value {
                    self.heartbeat();
                }
            }
            reg::SHUTDOWN => {
                self.poke(register, value);
                match value {
                    2 => self.shutdown(false, reason::EXTERNAL_SHUTDOWN),
                    3 => self.shutdown(true, reason::EXTERNAL_REBOOT),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

impl SimDevice for SimWittyPi5 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        if !self.alive {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        let [register, data @ ..] = bytes else { return Ok(()) };
        self.pointer = *register;
        if let Some(value) = data.first() {
            self.writes += 1;
            self.written(*register & 127, *value);
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<(), ErrorKind> {
        if !self.alive {
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        // The register number does not go on by itself.
        for byte in out {
            *byte = match self.pointer {
                reg::MISSED_HEARTBEATS => self.missed,
                reg::PI_STATE => self.state as u8,
                reg::ACTION_REASON => self.reasons,
                80..=86 => self.clock_register(self.pointer - 80),
                register => self.registers[usize::from(register & 127)],
            };
            // Whoever asks for a shutdown request lives. Twice within half a second counts once.
            if self.pointer == reg::SHUTDOWN && self.last_heartbeat < self.now.0 {
                self.last_heartbeat = self.now.0;
                let count = self.setting(reg::HEARTBEAT).wrapping_add(1);
                self.poke(reg::HEARTBEAT, count);
                self.heartbeat();
            }
        }
        Ok(())
    }
}
