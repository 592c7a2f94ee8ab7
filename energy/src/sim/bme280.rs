//! BME280: registers as the data sheet has them, raw values set by hand.
use embedded_hal::i2c::ErrorKind;

use super::bus::SimDevice;

/// The chip.
#[derive(Clone, Debug)]
pub struct SimBme280 {
    memory: [u8; 256],
    pointer: u8,
}

impl SimBme280 {
    /// A chip with its trimming: registers 0x88–0xA1 and 0xE1–0xE7.
    #[must_use]
    pub fn new(low: &[u8; 26], high: &[u8; 7]) -> Self {
        let mut memory = [0; 256];
        memory[0x88..0xA2].copy_from_slice(low);
        memory[0xE1..0xE8].copy_from_slice(high);
        memory[0xD0] = 0x60;
        let mut sim = Self { memory, pointer: 0 };
        sim.power_cycle();
        sim
    }

    /// Power was lost and came back: sleeping, nothing measured.
    pub fn power_cycle(&mut self) {
        self.memory[0xF2..=0xF5].fill(0);
        self.memory[0xF7..=0xFE].copy_from_slice(&[0x80, 0, 0, 0x80, 0, 0, 0x80, 0]);
    }

    /// A conversion; a sleeping chip makes none.
    pub fn convert(&mut self, temperature: u32, pressure: u32, humidity: u16) {
        if self.memory[0xF4] & 3 != 3 {
            return;
        }
        let [_, p2, p1, p0] = (pressure << 4).to_be_bytes();
        let [_, t2, t1, t0] = (temperature << 4).to_be_bytes();
        let [h1, h0] = humidity.to_be_bytes();
        self.memory[0xF7..=0xFE].copy_from_slice(&[p2, p1, p0, t2, t1, t0, h1, h0]);
    }
}

impl SimDevice for SimBme280 {
    fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let [register, data @ ..] = bytes else { return Ok(()) };
        self.pointer = *register;
        if let (Some(value), 0xF2 | 0xF4 | 0xF5) = (data.first(), *register) {
            self.memory[usize::from(*register)] = *value;
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<(), ErrorKind> {
        for byte in out {
            *byte = self.memory[usize::from(self.pointer)];
            self.pointer = self.pointer.wrapping_add(1);
        }
        Ok(())
    }
}
