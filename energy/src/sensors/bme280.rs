//! Bosch BME280: temperature, pressure, humidity.
//!
//! The compensation is the integer one of the data sheet (BST-BME280-DS002, section 4.2.3: 32-bit temperature and humidity, 64-bit
//! pressure), carried out in 128 bits so that no calibration, however damaged, overflows.
use embedded_hal::i2c::I2c;

use super::bus::Device;
use super::{Fault, Measured, Report, Sensor, SensorState, Stamp};
use crate::units::{MilliCelsius, MilliPascal, MilliPercent};

const CALIBRATION_LOW: u8 = 0x88;
const ID: u8 = 0xD0;
const CALIBRATION_HIGH: u8 = 0xE1;
const CTRL_HUM: u8 = 0xF2;
const CTRL_MEAS: u8 = 0xF4;
const CONFIG: u8 = 0xF5;
const DATA: u8 = 0xF7;
/// Each quantity once per conversion, one conversion a second.
const CTRL_MEAS_VALUE: u8 = 0x27;
const CONFIG_VALUE: u8 = 0xA0;
/// What the data registers hold when a quantity was not measured.
const SKIPPED_20: u32 = 0x8_0000;
const SKIPPED_16: u16 = 0x8000;

/// Trimming values burnt into the chip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calibration {
    /// T1 to T3.
    pub t: [i64; 3],
    /// P1 to P9.
    pub p: [i64; 9],
    /// H1 to H6.
    pub h: [i64; 6],
}

impl Calibration {
    /// From registers 0x88–0xA1 and 0xE1–0xE7. H4 and H5 are signed 12-bit numbers that share a byte.
    #[must_use]
    pub fn parse(low: &[u8; 26], high: &[u8; 7]) -> Self {
        let unsigned = |i: usize| i64::from(u16::from_le_bytes([low[i], low[i + 1]]));
        let signed = |i: usize| i64::from(i16::from_le_bytes([low[i], low[i + 1]]));
        let mut p = [0; 9];
        for (i, value) in p.iter_mut().enumerate() {
            *value = if i == 0 { unsigned(6) } else { signed(6 + 2 * i) };
        }
        let top = |byte: u8| i64::from(byte.cast_signed()) << 4;
        Self {
            t: [unsigned(0), signed(2), signed(4)],
            p,
            h: [
                i64::from(low[25]),
                i64::from(i16::from_le_bytes([high[0], high[1]])),
                i64::from(high[2]),
                top(high[3]) | i64::from(high[4] & 15),
                top(high[5]) | i64::from(high[4] >> 4),
                i64::from(high[6].cast_signed()),
            ],
        }
    }

    /// Fine temperature (the common base) and temperature in hundredths of a degree.
    #[must_use]
    pub fn temperature(&self, raw: u32) -> (i64, i64) {
        let raw = i64::from(raw);
        let [t1, t2, t3] = self.t;
        let var1 = (((raw >> 3) - (t1 << 1)) * t2) >> 11;
        let half = (raw >> 4) - t1;
        let var2 = (((half * half) >> 12) * t3) >> 14;
        let fine = var1 + var2;
        (fine, (fine * 5 + 128) >> 8)
    }

    /// Pressure in 1/256 Pa; `None` where the calibration would divide by zero.
    #[must_use]
    pub fn pressure(&self, fine: i64, raw: u32) -> Option<i64> {
        let [p1, p2, p3, p4, p5, p6, p7, p8, p9] = self.p.map(i128::from);
        let v = i128::from(fine) - 128_000;
        let var2 = v * v * p6 + ((v * p5) << 17) + (p4 << 35);
        let var1 = ((v * v * p3) >> 8) + ((v * p2) << 12);
        let var1 = (((1 << 47) + var1) * p1) >> 33;
        if var1 == 0 {
            return None;
        }
        let p = ((((1_048_576 - i128::from(raw)) << 31) - var2) * 3125) / var1;
        let above = (p9 * (p >> 13) * (p >> 13)) >> 25;
        i64::try_from(((p + above + ((p8 * p) >> 19)) >> 8) + (p7 << 4)).ok()
    }

    /// Relative humidity in 1/1024 %.
    #[must_use]
    pub fn humidity(&self, fine: i64, raw: u16) -> i64 {
        let [h1, h2, h3, h4, h5, h6] = self.h.map(i128::from);
        let v = i128::from(fine) - 76_800;
        let left = ((i128::from(raw) << 14) - (h4 << 20) - h5 * v + 16_384) >> 15;
        let right = ((((((v * h6) >> 10) * (((v * h3) >> 11) + 32_768)) >> 10) + 2_097_152) * h2 + 8_192) >> 14;
        let v = left * right;
        let v = v - (((((v >> 15) * (v >> 15)) >> 7) * h1) >> 4);
        (v.clamp(0, 419_430_400) >> 12) as i64
    }
}

/// One chip.
#[derive(Debug)]
pub struct Bme280<I> {
    device: Device<I>,
    calibration: Option<Calibration>,
    resets: u32,
}

impl<I: I2c> Bme280<I> {
    /// A chip at 0x76 or 0x77.
    pub const fn new(i2c: I, address: u8) -> Self {
        Self { device: Device::new(i2c, address), calibration: None, resets: 0 }
    }

    fn set_up(&mut self) -> Result<Calibration, Fault> {
        let found = u32::from(self.device.read_u8(ID)?);
        if found != 0x60 {
            return Err(Fault::WrongDevice { found, expected: 0x60 });
        }
        let calibration = Calibration::parse(&self.device.read(CALIBRATION_LOW)?, &self.device.read(CALIBRATION_HIGH)?);
        if calibration.t[0] == 0 || calibration.p[0] == 0 {
            return Err(Fault::corrupt("the chip's trimming values read as zero"));
        }
        self.device.write_u8(CONFIG, CONFIG_VALUE)?;
        // Humidity takes effect with the write of CTRL_MEAS after it.
        self.device.write_u8(CTRL_HUM, 1)?;
        self.device.write_u8(CTRL_MEAS, CTRL_MEAS_VALUE)?;
        Ok(calibration)
    }

    fn sample(&mut self) -> Result<(SensorState, Vec<Measured>), Fault> {
        let Some(calibration) = self.calibration else {
            self.calibration = Some(self.set_up()?);
            return Err(Fault::Stale);
        };
        if self.device.read_u8(CTRL_MEAS)? != CTRL_MEAS_VALUE {
            self.calibration = Some(self.set_up()?);
            self.resets += 1;
            return Ok((SensorState::Reset { epoch: self.resets }, Vec::new()));
        }
        let [p2, p1, p0, t2, t1, t0, h1, h0] = self.device.read(DATA)?;
        let raw_t = u32::from_be_bytes([0, t2, t1, t0]) >> 4;
        let raw_p = u32::from_be_bytes([0, p2, p1, p0]) >> 4;
        let raw_h = u16::from_be_bytes([h1, h0]);
        if raw_t == SKIPPED_20 || raw_p == SKIPPED_20 || raw_h == SKIPPED_16 {
            return Err(Fault::Stale);
        }
        let (fine, hundredths) = calibration.temperature(raw_t);
        let q8 = calibration.pressure(fine, raw_p).ok_or_else(|| Fault::corrupt("trimming of the pressure"))?;
        let celsius = within("temperature (m°C)", hundredths * 10, -40_000, 85_000)?;
        let pascal = within("pressure (mPa)", q8.saturating_mul(1000) / 256, 30_000_000, 110_000_000)?;
        let percent = (calibration.humidity(fine, raw_h) * 1000 + 512) / 1024;
        Ok((
            SensorState::Ok,
            vec![
                Measured::Temperature(MilliCelsius(celsius)),
                Measured::Pressure(MilliPascal(pascal)),
                Measured::Humidity(MilliPercent(percent)),
            ],
        ))
    }
}

fn within(what: &str, found: i64, min: i64, max: i64) -> Result<i64, Fault> {
    if (min..=max).contains(&found) {
        return Ok(found);
    }
    Err(Fault::OutOfRange { what: what.into(), found, min, max })
}

impl<I: I2c> Sensor for Bme280<I> {
    fn name(&self) -> String {
        format!("bme280 at 0x{:02x}", self.device.address())
    }

    fn poll(&mut self, at: Stamp) -> Report {
        let result = self.sample();
        Report::from_result(at, result)
    }
}
