//! Witty Pi 4 with the rules of its firmware: EEPROM with wear, alarm window, low-voltage rules, guaranteed wake, power loss.
//!
//! From github.com/uugear/Witty-Pi-4 (`WittyPi4.ino`, revisions 5 to 7), the behaviour, not the code. Time goes in whole seconds
//! (the watchdog's tick); seconds in which nothing can happen are skipped.
use embedded_hal::i2c::ErrorKind;
use jiff::civil;
use jiff::tz::TimeZone;

use super::bus::SimDevice;
use crate::sensors::wittypi4::register as reg;
use crate::units::{MilliVolts, UnixSeconds};

const REGISTERS: usize = 50;
const LV_GRACE_TICKS: u32 = 180;
/// Supply below this stops the microcontroller.
const BROWN_OUT: MilliVolts = MilliVolts(2_500);

/// The board.
#[derive(Clone, Debug)]
pub struct SimWittyPi4 {
    registers: [u8; REGISTERS],
    eeprom: [u8; REGISTERS],
    /// EEPROM writes per cell.
    pub wear: [u64; REGISTERS],
    vin: MilliVolts,
    alive: bool,
    pi_on: bool,
    system_up: bool,
    ticks_on: u32,
    ticks_asleep: u64,
    pulse_ticks: u32,
    now: UnixSeconds,
    /// What the board's clock is ahead; `None` = the oscillator stopped, the clock stands at 2000-01-01 running.
    clock_offset: i64,
    oscillator_stopped: bool,
    rtc_written: [u8; 7],
    pointer: u8,
    reads_since_address: u8,
    noise: u8,
}

impl SimWittyPi4 {
    /// A board as delivered, just powered, its clock right.
    #[must_use]
    pub fn new(now: UnixSeconds, vin: MilliVolts) -> Self {
        let mut board = Self {
            registers: [0; REGISTERS],
            eeprom: [255; REGISTERS],
            wear: [0; REGISTERS],
            vin,
            alive: false,
            pi_on: false,
            system_up: false,
            ticks_on: 0,
            ticks_asleep: 0,
            pulse_ticks: 0,
            now,
            clock_offset: 0,
            oscillator_stopped: false,
            rtc_written: [0; 7],
            pointer: 0,
            reads_since_address: 0,
            noise: 0,
        };
        board.power_up();
        board
    }

    /// Whether the Pi has power.
    #[must_use]
    pub const fn pi_on(&self) -> bool {
        self.pi_on
    }

    /// Whether the board itself has power.
    #[must_use]
    pub const fn alive(&self) -> bool {
        self.alive
    }

    /// Time of the world (not of the board's clock).
    #[must_use]
    pub const fn now(&self) -> UnixSeconds {
        self.now
    }

    /// A register as the board has it.
    #[must_use]
    pub fn register(&self, index: u8) -> u8 {
        self.registers.get(usize::from(index)).copied().unwrap_or(0xFF)
    }

    /// Someone presses the button.
    pub fn press_button(&mut self) {
        if self.alive && !self.pi_on {
            self.switch_on(3);
        }
    }

    /// The Pi's software signals on SYS_UP that it runs.
    pub fn pi_is_up(&mut self) {
        if self.pi_on {
            self.system_up = true;
            self.update(reg::LV_SHUTDOWN, 0);
        }
    }

    /// The Pi halts (TXD falls): its power is cut and the board sleeps.
    pub const fn pi_halts(&mut self) {
        self.sleep();
    }

    /// The input voltage changes; below 2.5 V the board loses all that is not in EEPROM. `clock_dies`: the clock's backup is empty.
    pub fn set_vin(&mut self, vin: MilliVolts, clock_dies: bool) {
        self.vin = vin;
        if vin < BROWN_OUT && self.alive {
            self.alive = false;
            self.sleep();
        }
        if vin < BROWN_OUT && clock_dies {
            self.oscillator_stopped = true;
            self.clock_offset = 946_684_800 - self.now.0;
        }
        if vin >= BROWN_OUT && !self.alive {
            self.power_up();
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, seconds: i64) {
        let end = self.now + UnixSeconds(seconds);
        while self.now < end {
            let quiet = self.quiet_seconds().min((end - self.now).0 - 1).max(0);
            self.skip(quiet);
            self.now = self.now + UnixSeconds(1);
            if self.alive {
                self.tick();
            }
        }
    }

    fn power_up(&mut self) {
        self.alive = true;
        self.registers = [0; REGISTERS];
        for (index, value) in
            [(reg::ID, 0x26), (reg::REVISION, 7), (16, 8), (reg::PULSE_INTERVAL, 4), (20, 100), (21, 70), (38, 1)]
        {
            self.registers[usize::from(index)] = value;
        }
        (self.registers[19], self.registers[22]) = (255, 255);
        for index in 0..REGISTERS {
            if self.eeprom[index] == 255 {
                self.update(index as u8, self.registers[index]);
            } else {
                self.registers[index] = self.eeprom[index];
            }
        }
        self.sleep();
        if self.registers[usize::from(reg::DEFAULT_ON)] == 1 {
            self.switch_on(10);
        }
    }

    fn update(&mut self, index: u8, value: u8) {
        let index = usize::from(index);
        self.registers[index] = value;
        if self.eeprom[index] != value {
            self.eeprom[index] = value;
            self.wear[index] += 1;
        }
    }

    fn switch_on(&mut self, reason: u8) {
        self.update(reg::ACTION_REASON, reason);
        self.pi_on = true;
        self.system_up = false;
        self.ticks_on = 0;
        let by_dc = u8::from(self.vin.0 > 5250);
        self.update(reg::POWER_MODE, by_dc);
    }

    const fn sleep(&mut self) {
        self.pi_on = false;
        self.system_up = false;
        self.ticks_asleep = 0;
        self.pulse_ticks = 0;
    }

    /// Converts Vin into registers 1 and 2, with a step of noise so that wear shows.
    fn convert_vin(&mut self) {
        self.noise ^= 1;
        let millivolts = self.vin.0 / 61 * 61 + i64::from(self.noise) * 61;
        self.update(reg::VIN, (millivolts / 1000).clamp(0, 255) as u8);
        self.update(reg::VIN + 1, (millivolts % 1000 / 10) as u8);
    }

    const fn threshold(&self, index: u8) -> MilliVolts {
        MilliVolts(self.registers[index as usize] as i64 * 100)
    }

    fn flag(&self, index: u8) -> bool {
        self.registers[usize::from(index)] == 1
    }

    fn by_dc(&self) -> bool {
        self.flag(reg::POWER_MODE) || self.flag(reg::IGNORE_POWER_MODE)
    }

    fn low_is_watched(&self) -> bool {
        self.pi_on
            && self.system_up
            && self.by_dc()
            && (!self.flag(reg::LV_SHUTDOWN) || self.flag(reg::IGNORE_LV_SHUTDOWN))
            && self.registers[usize::from(reg::LOW_VOLTAGE)] != 255
    }

    fn recovers(&self) -> bool {
        let low_off = self.registers[usize::from(reg::LOW_VOLTAGE)] == 255;
        self.by_dc()
            && (self.flag(reg::LV_SHUTDOWN) || low_off || self.flag(reg::IGNORE_LV_SHUTDOWN))
            && self.registers[usize::from(reg::RECOVERY_VOLTAGE)] != 255
            && self.vin >= self.threshold(reg::RECOVERY_VOLTAGE)
    }

    fn net_ticks(&self) -> Option<u64> {
        let code = self.registers[usize::from(reg::GUARANTEED_WAKE)];
        let unit = if code & 0x80 == 0 { 3600 } else { 86_400 };
        (code & 0x7F != 0).then(|| u64::from(code & 0x7F) * unit)
    }

    fn tick(&mut self) {
        if self.pi_on {
            self.ticks_on += 1;
            if self.low_is_watched() && self.ticks_on >= LV_GRACE_TICKS {
                self.convert_vin();
                if self.vin < self.threshold(reg::LOW_VOLTAGE) {
                    self.update(reg::LV_SHUTDOWN, 1);
                    self.update(reg::ACTION_REASON, 4);
                    self.sleep();
                    return;
                }
            }
        } else {
            self.ticks_asleep += 1;
            if self.net_ticks().is_some_and(|net| self.ticks_asleep >= net) {
                self.switch_on(12);
                return;
            }
            self.pulse_ticks += 1;
            if self.pulse_ticks >= u32::from(self.registers[usize::from(reg::PULSE_INTERVAL)]) {
                self.pulse_ticks = 0;
                self.convert_vin();
                if self.recovers() {
                    self.switch_on(5);
                    return;
                }
            }
        }
        self.startup_alarm();
    }

    fn startup_alarm(&mut self) {
        let alarm = self.alarm_seconds();
        if alarm == 0 || self.flag(reg::ALARM1_TRIGGERED) {
            return;
        }
        let late = month_seconds(self.clock()) - alarm;
        if (0..2).contains(&late) && self.may_start() {
            self.update(reg::ALARM1_TRIGGERED, 1);
            self.update(39, 1);
            if !self.pi_on {
                self.switch_on(1);
            }
        }
    }

    /// The firmware's own rule, with its trap: after a low-voltage shutdown and the threshold then set to 255, no alarm starts.
    fn may_start(&mut self) -> bool {
        if self.pi_on || !self.flag(reg::POWER_MODE) {
            return true;
        }
        let above_low = self.vin > self.threshold(reg::LOW_VOLTAGE);
        if self.flag(reg::LV_SHUTDOWN) {
            let off = self.registers[usize::from(reg::RECOVERY_VOLTAGE)] == 255;
            above_low && (off || self.vin > self.threshold(reg::RECOVERY_VOLTAGE))
        } else if above_low || self.registers[usize::from(reg::LOW_VOLTAGE)] == 255 {
            true
        } else {
            self.update(reg::LV_SHUTDOWN, 1);
            false
        }
    }

    fn alarm_seconds(&self) -> i64 {
        let field = |i: u8| {
            let v = self.registers[usize::from(reg::ALARM1_SECOND + i)];
            i64::from(v >> 4) * 10 + i64::from(v & 15)
        };
        field(3) * 86_400 + field(2) * 3600 + field(1) * 60 + field(0)
    }

    /// Seconds in which only wear can happen.
    fn quiet_seconds(&self) -> i64 {
        if !self.alive {
            return i64::MAX;
        }
        if self.pi_on && self.low_is_watched() && self.vin < self.threshold(reg::LOW_VOLTAGE) {
            return i64::from(LV_GRACE_TICKS.saturating_sub(self.ticks_on + 1));
        }
        if !self.pi_on && self.recovers() {
            return 0;
        }
        // A month's alarm may roll over: look again each day at the latest.
        let to_alarm = self.alarm_seconds() - month_seconds(self.clock());
        let alarm = if to_alarm > 2 {
            to_alarm - 2
        } else if to_alarm >= -2 {
            0
        } else {
            let midnight = 86_400 - month_seconds(self.clock()).rem_euclid(86_400);
            (midnight - 2).max(0)
        };
        let net = match self.net_ticks() {
            Some(net) if !self.pi_on => i64::try_from(net.saturating_sub(self.ticks_asleep + 1)).unwrap_or(0),
            _ => i64::MAX,
        };
        alarm.min(net).min(86_400)
    }

    fn skip(&mut self, seconds: i64) {
        self.now = self.now + UnixSeconds(seconds);
        if !self.alive || seconds == 0 {
            return;
        }
        let ticks = seconds as u64;
        let conversions = if self.pi_on {
            let watched = self.low_is_watched();
            self.ticks_on = self.ticks_on.saturating_add(ticks as u32);
            if watched { ticks } else { 0 }
        } else {
            self.ticks_asleep += ticks;
            let interval = u64::from(self.registers[usize::from(reg::PULSE_INTERVAL)]).max(1);
            let all = u64::from(self.pulse_ticks) + ticks;
            self.pulse_ticks = (all % interval) as u32;
            all / interval
        };
        if conversions > 0 {
            self.convert_vin();
            // Every further conversion rewrites the hundredths: the noise differs each time.
            self.wear[usize::from(reg::VIN + 1)] += conversions - 1;
        }
    }

    fn clock(&self) -> UnixSeconds {
        self.now + UnixSeconds(self.clock_offset)
    }

    fn clock_registers(&self) -> [u8; 7] {
        let Ok(t) = jiff::Timestamp::from_second(self.clock().0) else { return [0; 7] };
        let t = TimeZone::UTC.to_datetime(t);
        let year = i8::try_from(t.year() - 2000).unwrap_or(0);
        let fields = [t.second(), t.minute(), t.hour(), t.day(), t.weekday().to_sunday_zero_offset(), t.month(), year];
        let mut raw = fields.map(|v| (((v / 10) << 4) | (v % 10)).cast_unsigned());
        raw[0] |= u8::from(self.oscillator_stopped) << 7;
        raw
    }

    fn write_clock(&mut self, field: usize, value: u8) {
        if self.rtc_written == [0; 7] {
            self.rtc_written = self.clock_registers();
        }
        self.rtc_written[field] = value;
        if field == 0 {
            // The PCF85063 takes the date as written once the seconds are.
            let dec = |v: u8| ((v >> 4) * 10 + (v & 15)).cast_signed();
            let [s, m, h, d, _, month, y] = std::mem::take(&mut self.rtc_written).map(dec);
            let written = civil::Date::new(2000 + i16::from(y), month, d)
                .and_then(|date| Ok(date.to_datetime(civil::Time::new(h, m, s, 0)?)))
                .and_then(|at| TimeZone::UTC.to_timestamp(at));
            if let Ok(t) = written {
                self.clock_offset = t.as_second() - self.now.0;
                self.oscillator_stopped = value & 0x80 != 0;
            }
        }
    }
}

fn month_seconds(clock: UnixSeconds) -> i64 {
    let Ok(t) = jiff::Timestamp::from_second(clock.0) else { return 0 };
    let t = TimeZone::UTC.to_datetime(t);
    i64::from(t.day()) * 86_400 + i64::from(t.hour()) * 3600 + i64::from(t.minute()) * 60 + i64::from(t.second())
}

impl SimDevice for SimWittyPi4 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        if !self.alive {
            return Err(ErrorKind::NoAcknowledge(embedded_hal::i2c::NoAcknowledgeSource::Address));
        }
        let [register, data @ ..] = bytes else { return Ok(()) };
        self.pointer = *register;
        self.reads_since_address = 0;
        let Some(value) = data.first() else { return Ok(()) };
        match *register {
            16..=49 => {
                if (27..=31).contains(register) {
                    self.update(reg::ALARM1_TRIGGERED, 0);
                }
                if (32..=36).contains(register) {
                    self.update(reg::ALARM2_TRIGGERED, 0);
                }
                self.update(*register, *value);
            }
            58..=64 => self.write_clock(usize::from(register - 58), *value),
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<(), ErrorKind> {
        if !self.alive {
            return Err(ErrorKind::NoAcknowledge(embedded_hal::i2c::NoAcknowledgeSource::Address));
        }
        out.fill(0xFF);
        let Some(first) = out.first_mut() else { return Ok(()) };
        match self.pointer {
            reg::VIN => self.convert_vin(),
            reg::VOUT => {
                self.noise ^= 1;
                self.update(reg::VOUT, 5);
                self.update(reg::VOUT + 1, 10 + self.noise);
            }
            reg::IOUT => {
                self.noise ^= 1;
                self.update(reg::IOUT, 0);
                self.update(reg::IOUT + 1, 70 + self.noise * 2);
            }
            _ => {}
        }
        *first = match self.pointer {
            reg::TEMPERATURE => 23,
            58..=64 => self.clock_registers()[usize::from(self.pointer - 58)],
            index => self.register(index),
        };
        Ok(())
    }
}
