//! Register access over `embedded-hal` I2C, most significant byte first.
pub use embedded_hal::i2c::I2c;
use embedded_hal::i2c::{Error, ErrorKind};

use super::Fault;

/// Write and read back so often, as UUGear's own software does.
pub(crate) const TRIES: u8 = 4;

/// What an error of the bus means for the owner.
pub fn fault<E: Error>(error: &E) -> Fault {
    match error.kind() {
        ErrorKind::NoAcknowledge(_) => Fault::NoAnswer,
        ErrorKind::Bus | ErrorKind::ArbitrationLoss => Fault::BusStuck,
        _ => Fault::BusError,
    }
}

/// One device on a bus.
#[derive(Debug)]
pub struct Device<I> {
    i2c: I,
    address: u8,
}

impl<I: I2c> Device<I> {
    /// The device at a 7-bit address.
    pub const fn new(i2c: I, address: u8) -> Self {
        Self { i2c, address }
    }

    /// Its address.
    pub const fn address(&self) -> u8 {
        self.address
    }

    /// The bus, for whoever passed it in.
    pub fn release(self) -> I {
        self.i2c
    }

    /// Reads bytes from `register` on.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn read<const N: usize>(&mut self, register: u8) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        self.i2c.write_read(self.address, &[register], &mut bytes).map_err(|e| fault(&e))?;
        Ok(bytes)
    }

    /// Reads one byte.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn read_u8(&mut self, register: u8) -> Result<u8, Fault> {
        Ok(self.read::<1>(register)?[0])
    }

    /// Reads 16 bits.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn read_u16(&mut self, register: u8) -> Result<u16, Fault> {
        Ok(u16::from_be_bytes(self.read(register)?))
    }

    /// Reads 24 bits.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn read_u24(&mut self, register: u8) -> Result<u32, Fault> {
        let [a, b, c] = self.read(register)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// Reads 40 bits.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn read_u40(&mut self, register: u8) -> Result<u64, Fault> {
        let [a, b, c, d, e] = self.read(register)?;
        Ok(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    /// Writes one byte.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn write_u8(&mut self, register: u8, value: u8) -> Result<(), Fault> {
        self.i2c.write(self.address, &[register, value]).map_err(|e| fault(&e))
    }

    /// Writes 16 bits.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn write_u16(&mut self, register: u8, value: u16) -> Result<(), Fault> {
        let [high, low] = value.to_be_bytes();
        self.i2c.write(self.address, &[register, high, low]).map_err(|e| fault(&e))
    }

    /// Writes a setting and makes sure of it: two equal reads, up to four tries.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] when it did not stick, or the last fault of the bus.
    pub fn write_checked(&mut self, register: u8, value: u8) -> Result<(), Fault> {
        let mut last = Fault::corrupt(format!("register {register} does not keep {value}"));
        for _ in 0..TRIES {
            let tried =
                self.write_u8(register, value).and_then(|()| Ok((self.read_u8(register)?, self.read_u8(register)?)));
            match tried {
                Ok((a, b)) if a == value && b == value => return Ok(()),
                Ok(_) => {}
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    /// Writes a setting only where it differs: EEPROM cells are few. A read that says "equal" is asked twice.
    ///
    /// # Errors
    /// As [`Device::write_checked`].
    pub fn ensure(&mut self, register: u8, value: u8) -> Result<(), Fault> {
        for _ in 0..TRIES {
            if let (Ok(a), Ok(b)) = (self.read_u8(register), self.read_u8(register)) {
                if a == value && b == value {
                    return Ok(());
                }
                if a == b {
                    break;
                }
            }
        }
        self.write_checked(register, value)
    }
}
