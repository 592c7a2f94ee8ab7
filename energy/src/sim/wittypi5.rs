//! Witty Pi 5: registers, clock and startup alarm.
use embedded_hal::i2c::ErrorKind;
use jiff::tz::TimeZone;

use super::bus::SimDevice;
use crate::sensors::wittypi5::register as reg;
use crate::units::UnixSeconds;

/// The board.
#[derive(Clone, Debug)]
pub struct SimWittyPi5 {
    registers: [u8; 128],
    pointer: u8,
    now: UnixSeconds,
    pi_on: bool,
    writes: u64,
}

impl SimWittyPi5 {
    /// A board as delivered, its Pi running, its clock right.
    #[must_use]
    pub fn new(now: UnixSeconds) -> Self {
        let mut registers = [0; 128];
        registers[usize::from(reg::ID)] = 0x51;
        registers[usize::from(reg::DEFAULT_ON_DELAY)] = 255;
        Self { registers, pointer: 0, now, pi_on: true, writes: 0 }
    }

    /// Sets a register.
    pub fn poke(&mut self, register: u8, value: u8) {
        self.registers[usize::from(register & 127)] = value;
    }

    /// What it measures, mV, mV, mA.
    pub fn set_supply(&mut self, vin: u16, vout: u16, iout: u16) {
        for (register, value) in [(reg::VIN, vin), (reg::VOUT, vout), (reg::IOUT, iout)] {
            let [high, low] = value.to_be_bytes();
            self.poke(register, high);
            self.poke(register + 1, low);
        }
    }

    /// Whether the Pi has power.
    #[must_use]
    pub const fn pi_on(&self) -> bool {
        self.pi_on
    }

    /// How often a register was written.
    #[must_use]
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The Pi halts.
    pub const fn halt(&mut self) {
        self.pi_on = false;
    }

    /// Lets time pass.
    pub fn advance(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.now = self.now + UnixSeconds(1);
            let clock = self.clock();
            let at = usize::from(reg::ALARM1_SECOND);
            if self.registers[at..at + 4] == [clock[0], clock[1], clock[2], clock[4]] {
                self.pi_on = true;
            }
        }
    }

    fn clock(&self) -> [u8; 7] {
        let Ok(t) = jiff::Timestamp::from_second(self.now.0) else { return [0; 7] };
        let t = TimeZone::UTC.to_datetime(t);
        let year = i8::try_from(t.year() - 2000).unwrap_or(0);
        let weekday = t.weekday().to_sunday_zero_offset();
        [t.second(), t.minute(), t.hour(), weekday, t.day(), t.month(), year]
            .map(|v| (((v / 10) << 4) | (v % 10)).cast_unsigned())
    }
}

impl SimDevice for SimWittyPi5 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let [register, data @ ..] = bytes else { return Ok(()) };
        self.pointer = *register;
        if let Some(value) = data.first() {
            self.writes += 1;
            if (16..80).contains(register) {
                self.poke(*register, *value);
            }
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<(), ErrorKind> {
        let clock = self.clock();
        for byte in out {
            *byte = match self.pointer {
                80..=86 => clock[usize::from(self.pointer - 80)],
                register => self.registers[usize::from(register & 127)],
            };
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}
