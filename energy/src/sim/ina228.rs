//! INA228: 20-bit fields, 40-bit accumulators, flags that clear on reading.
use embedded_hal::i2c::ErrorKind;

use super::bus::SimDevice;
use crate::units::{MicroAmps, MicroVolts, MonoMillis};

const MASK40: u128 = (1 << 40) - 1;

/// The chip.
#[derive(Clone, Debug)]
pub struct SimIna228 {
    shunt_microohm: u32,
    adc_config: u16,
    shunt_cal: u16,
    bovl: u16,
    flags: u16,
    shunt: i64,
    bus: i64,
    current: i64,
    power: i64,
    /// Power counts · milliseconds; an ENERGY count is 16 power counts for a second.
    energy: u128,
    /// Current counts · milliseconds.
    charge: i128,
    pointer: u8,
}

impl SimIna228 {
    /// A chip that was just powered.
    #[must_use]
    pub const fn new(shunt_microohm: u32) -> Self {
        Self {
            shunt_microohm,
            adc_config: 0xFB68,
            shunt_cal: 0x1000,
            bovl: 0x7FFF,
            flags: 1,
            shunt: 0,
            bus: 0,
            current: 0,
            power: 0,
            energy: 0,
            charge: 0,
            pointer: 0,
        }
    }

    /// Power was lost and came back.
    pub const fn power_cycle(&mut self) {
        *self = Self::new(self.shunt_microohm);
    }

    /// Lets voltage and current last for a time.
    pub fn run(&mut self, elapsed: MonoMillis, bus: MicroVolts, current: MicroAmps) {
        let limit = (1 << 19) - 1;
        self.shunt = (current.0 * i64::from(self.shunt_microohm) / 1000 * 10 / 3125).clamp(-limit - 1, limit);
        self.bus = (bus.0 * 10_000 / 1_953_125).clamp(0, limit);
        let raw = self.shunt * 4096 / i64::from(self.shunt_cal.max(1));
        self.current = raw.clamp(-limit - 1, limit);
        // POWER = |current| · bus · I_LSB · 195.3125 µV / (3.2 · I_LSB)
        self.power = (self.current.abs() * self.bus / 16_384).min((1 << 24) - 1);
        self.flags |= 2;
        if raw != self.current {
            self.flags |= 1 << 9;
        } else {
            self.flags &= !(1 << 9);
        }
        let before = self.energy / 16_000;
        self.energy += (self.power * elapsed.0.max(0)) as u128;
        if before >> 40 != (self.energy / 16_000) >> 40 {
            self.flags |= 1 << 11;
        }
        self.charge += i128::from(self.current) * i128::from(elapsed.0.max(0));
    }

    /// Sets the energy accumulator, to come near its end.
    pub const fn set_energy_counts(&mut self, counts: u64) {
        self.energy = counts as u128 * 16_000;
    }

    fn word(&self) -> (u64, usize) {
        let field20 = |v: i64| ((v.cast_unsigned() & 0xF_FFFF) << 4, 3);
        match self.pointer {
            0x01 => (u64::from(self.adc_config), 2),
            0x02 => (u64::from(self.shunt_cal), 2),
            0x04 => field20(self.shunt),
            0x05 => field20(self.bus),
            0x06 => (25 * 128, 2),
            0x07 => field20(self.current),
            0x08 => (self.power.cast_unsigned(), 3),
            0x09 => (((self.energy / 16_000) & MASK40) as u64, 5),
            0x0A => (((self.charge / 1000).cast_unsigned() & MASK40) as u64, 5),
            0x0B => (u64::from(self.flags), 2),
            0x0E => (u64::from(self.bovl), 2),
            0x3E => (0x5449, 2),
            0x3F => (0x2281, 2),
            _ => (0, 2),
        }
    }
}

impl SimDevice for SimIna228 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let [register, value @ ..] = bytes else { return Err(ErrorKind::Other) };
        self.pointer = *register;
        let [high, low] = *value else { return Ok(()) };
        let value = u16::from_be_bytes([high, low]);
        match register {
            0x00 if value & 0x8000 != 0 => self.power_cycle(),
            0x00 if value & 0x4000 != 0 => (self.energy, self.charge) = (0, 0),
            0x01 => self.adc_config = value,
            0x02 => self.shunt_cal = value & 0x7FFF,
            0x0E => self.bovl = value & 0x7FFF,
            _ => {}
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<(), ErrorKind> {
        let (word, width) = self.word();
        let bytes = word.to_be_bytes();
        for (byte, from) in out.iter_mut().zip(&bytes[8 - width..]) {
            *byte = *from;
        }
        match self.pointer {
            0x09 => self.flags &= !(1 << 11),
            0x0B => self.flags &= !2,
            _ => {}
        }
        Ok(())
    }
}
