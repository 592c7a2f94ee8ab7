//! INA219 and INA226 by their data sheets' internal formulas: the registers are computed from shunt and bus like in the chip.
use embedded_hal::i2c::ErrorKind;

use super::bus::SimDevice;
use crate::sensors::ina2xx::Chip;
use crate::units::{MicroAmps, MicroVolts};

const CONFIG: usize = 0;
const SHUNT: usize = 1;
const BUS: usize = 2;
const POWER: usize = 3;
const CURRENT: usize = 4;
const CALIBRATION: usize = 5;
const MASK: usize = 6;

/// The chip.
#[derive(Clone, Debug)]
pub struct SimIna2xx {
    chip: Chip,
    shunt_microohm: u32,
    registers: [u16; 8],
    pointer: u8,
    frozen: bool,
}

impl SimIna2xx {
    /// A chip that was just powered.
    #[must_use]
    pub fn new(chip: Chip, shunt_microohm: u32) -> Self {
        let mut sim = Self { chip, shunt_microohm, registers: [0; 8], pointer: 0, frozen: false };
        sim.power_cycle();
        sim
    }

    /// Power was lost and came back: reset values, calibration zero.
    pub const fn power_cycle(&mut self) {
        self.registers = [0; 8];
        self.registers[CONFIG] = match self.chip {
            Chip::Ina219 => 0x399F,
            Chip::Ina226 => 0x4127,
        };
        self.pointer = 0;
    }

    /// The converter hangs: registers keep their values, while the ready flag goes on being set.
    pub const fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// Writes a register as the converter would, for fault injection and for comparison with the kernel's driver.
    pub fn poke(&mut self, register: u8, value: u16) {
        if let Some(cell) = self.registers.get_mut(usize::from(register)) {
            *cell = value;
        }
    }

    /// A conversion of the given bus voltage and current.
    pub fn convert(&mut self, bus: MicroVolts, current: MicroAmps) {
        match self.chip {
            Chip::Ina219 => self.registers[BUS] |= 2,
            Chip::Ina226 => self.registers[MASK] |= 8,
        }
        if self.frozen {
            return;
        }
        let shunt_nv = current.0 * i64::from(self.shunt_microohm) / 1000;
        let (shunt_lsb, bus_lsb, current_div, power_div) = match self.chip {
            Chip::Ina219 => (10_000, 4_000, 4096, 5000),
            Chip::Ina226 => (2_500, 1_250, 2048, 20_000),
        };
        let shunt = clamp16(shunt_nv / shunt_lsb);
        let bus = (bus.0 / bus_lsb).clamp(0, if self.chip == Chip::Ina219 { 8000 } else { 0x7FFF });
        let raw_current = shunt * i64::from(self.registers[CALIBRATION]) / current_div;
        let power = clamp16(raw_current).abs() * bus / power_div;
        let overflow = raw_current != clamp16(raw_current) || power > 0xFFFF;
        self.registers[SHUNT] = (shunt as i16).cast_unsigned();
        self.registers[CURRENT] = (clamp16(raw_current) as i16).cast_unsigned();
        self.registers[POWER] = power.min(0xFFFF) as u16;
        match self.chip {
            Chip::Ina219 => self.registers[BUS] = ((bus as u16) << 3) | 2 | u16::from(overflow),
            Chip::Ina226 => {
                self.registers[BUS] = bus as u16;
                self.registers[MASK] = 8 | (u16::from(overflow) << 2);
            }
        }
    }
}

fn clamp16(value: i64) -> i64 {
    value.clamp(i64::from(i16::MIN), i64::from(i16::MAX))
}

impl SimDevice for SimIna2xx {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        match *bytes {
            [register] => self.pointer = register,
            [register, high, low] => {
                self.pointer = register;
                let value = u16::from_be_bytes([high, low]);
                match register {
                    0 if value & 0x8000 != 0 => self.power_cycle(),
                    0 => self.registers[CONFIG] = value,
                    // Bit 0 of the INA219's calibration cannot be set; bit 15 of the INA226's is not there.
                    5 if self.chip == Chip::Ina219 => self.registers[CALIBRATION] = value & 0xFFFE,
                    5 => self.registers[CALIBRATION] = value & 0x7FFF,
                    _ => {}
                }
            }
            _ => return Err(ErrorKind::Other),
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<(), ErrorKind> {
        let value = match (self.pointer, self.chip) {
            (0xFE, Chip::Ina226) => 0x5449,
            (0xFF, Chip::Ina226) => 0x2260,
            (register, _) => self.registers.get(usize::from(register)).copied().unwrap_or(0),
        };
        for (byte, from) in out.iter_mut().zip(value.to_be_bytes()) {
            *byte = from;
        }
        match (self.pointer, self.chip) {
            (3, Chip::Ina219) => self.registers[BUS] &= !2,
            (6, Chip::Ina226) => self.registers[MASK] &= !8,
            _ => {}
        }
        Ok(())
    }
}
