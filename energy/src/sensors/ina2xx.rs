//! Texas Instruments INA219 and INA226: voltage, current and power over I2C, 16-bit registers.
//!
//! Source: TI data sheets SBOS448G (INA219) and SBOS547B (INA226), as the Linux driver `hwmon/ina2xx` has them. The power register
//! is a magnitude; its sign is taken from the current.
use embedded_hal::i2c::I2c;

use super::bus::Device;
use super::{Fault, Flow, Measured, Report, Scale, Sensor, SensorState, Stamp};
use crate::units::{MicroAmps, MicroVolts, MicroWatts};

const CONFIG: u8 = 0x00;
const SHUNT: u8 = 0x01;
const BUS: u8 = 0x02;
const POWER: u8 = 0x03;
const CURRENT: u8 = 0x04;
const CALIBRATION: u8 = 0x05;
const MASK_ENABLE: u8 = 0x06;
const MANUFACTURER: u8 = 0xFE;
const DIE: u8 = 0xFF;
/// As often as the kernel's driver does it.
const RESET_TRIES: u8 = 5;

/// Which chip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// 12 bit, 26 V; has no identity register.
    Ina219,
    /// 16 bit, 36 V, averaging.
    Ina226,
}

impl Chip {
    /// Written to CONFIG: INA219 32 V, ±320 mV, continuous; INA226 mean of 16, continuous.
    const fn config(self) -> u16 {
        match self {
            Self::Ina219 => 0x399F,
            Self::Ina226 => 0x4527,
        }
    }
    /// Current LSB × calibration × shunt, in nanoampere·microohm.
    const fn calibration_constant(self) -> u64 {
        match self {
            Self::Ina219 => 40_960_000_000_000,
            Self::Ina226 => 5_120_000_000_000,
        }
    }
    const fn power_factor(self) -> u64 {
        match self {
            Self::Ina219 => 20,
            Self::Ina226 => 25,
        }
    }
    const fn name(self) -> &'static str {
        match self {
            Self::Ina219 => "ina219",
            Self::Ina226 => "ina226",
        }
    }
    /// Highest bus voltage the chip may see.
    const fn max_bus(self) -> MicroVolts {
        match self {
            Self::Ina219 => MicroVolts(26_000_000),
            Self::Ina226 => MicroVolts(36_000_000),
        }
    }
}

/// The exact scales of a chip with a shunt and a calibration value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scales {
    /// Shunt register to nanovolts.
    pub shunt_nv: Scale,
    /// Bus field to microvolts.
    pub bus_uv: Scale,
    /// Current register to microamperes.
    pub current_ua: Scale,
    /// Power register to microwatts.
    pub power_uw: Scale,
}

impl Scales {
    /// Scales by the formulas of the data sheets; `shunt` in microohms.
    #[must_use]
    pub const fn new(chip: Chip, shunt_microohm: u32, calibration: u16) -> Self {
        let divisor = shunt_microohm as u64 * calibration as u64 * 1000;
        let current_ua = Scale::new(chip.calibration_constant(), divisor);
        let power_uw = Scale::new(chip.calibration_constant() * chip.power_factor(), divisor);
        match chip {
            Chip::Ina219 => {
                Self { shunt_nv: Scale::new(10_000, 1), bus_uv: Scale::new(4_000, 1), current_ua, power_uw }
            }
            Chip::Ina226 => Self { shunt_nv: Scale::new(2_500, 1), bus_uv: Scale::new(1_250, 1), current_ua, power_uw },
        }
    }
}

/// One chip.
///
/// ```text
///   Fresh ──set up──► Ready ──CAL reads another value──► set up again (≤ 5 tries) ──► Ready, state Reset
///                       └── fault of the bus ──► stays Ready; the next poll asks again
/// ```
#[derive(Debug)]
pub struct Ina2xx<I> {
    device: Device<I>,
    chip: Chip,
    flow: Flow,
    shunt_microohm: u32,
    calibration: u16,
    scales: Scales,
    ready: bool,
    resets: u32,
}

impl<I: I2c> Ina2xx<I> {
    /// A chip whose shunt has `shunt_microohm` and must measure up to `max_current` amperes (full scale of the register).
    ///
    /// # Errors
    /// [`Fault::OutOfRange`] where shunt and current cannot be calibrated together.
    pub fn new(
        i2c: I,
        address: u8,
        chip: Chip,
        flow: Flow,
        shunt_microohm: u32,
        max_milliamps: u32,
    ) -> Result<Self, Fault> {
        // Least LSB that still reaches the maximum in 15 bits: I_LSB = I_max / 2^15; CAL = constant / (I_LSB · R), truncated.
        let lsb_na = (u64::from(max_milliamps) * 1_000_000).div_ceil(1 << 15).max(1);
        let wanted = chip.calibration_constant() / (lsb_na * u64::from(shunt_microohm.max(1)));
        // Bit 0 of the INA219's register is void; bit 15 of the INA226's as well.
        let (max, mask) = if chip == Chip::Ina219 { (0xFFFE, 0xFFFE) } else { (0x7FFF, 0x7FFF) };
        if !(2..=max).contains(&wanted) {
            let found = i64::try_from(wanted).unwrap_or(i64::MAX);
            let what = format!("calibration for a shunt of {shunt_microohm} µΩ and {max_milliamps} mA");
            return Err(Fault::OutOfRange { what, found, min: 2, max: i64::try_from(max).unwrap_or(i64::MAX) });
        }
        let calibration = u16::try_from(wanted & mask).unwrap_or(u16::MAX);
        Ok(Self::with_calibration(i2c, address, chip, flow, shunt_microohm, calibration))
    }

    /// A chip with a given calibration value (for example the kernel's 4096 or 2048).
    pub const fn with_calibration(
        i2c: I,
        address: u8,
        chip: Chip,
        flow: Flow,
        shunt_microohm: u32,
        calibration: u16,
    ) -> Self {
        let scales = Scales::new(chip, shunt_microohm, calibration);
        let device = Device::new(i2c, address);
        Self { device, chip, flow, shunt_microohm, calibration, scales, ready: false, resets: 0 }
    }

    /// Scales in use.
    pub const fn scales(&self) -> Scales {
        self.scales
    }

    /// The bus, for whoever passed it in.
    pub fn release(self) -> I {
        self.device.release()
    }

    fn set_up(&mut self) -> Result<(), Fault> {
        if self.chip == Chip::Ina226 {
            let found = (u32::from(self.device.read_u16(MANUFACTURER)?) << 16) | u32::from(self.device.read_u16(DIE)?);
            if found != 0x5449_2260 {
                return Err(Fault::WrongDevice { found, expected: 0x5449_2260 });
            }
        }
        for _ in 0..RESET_TRIES {
            self.device.write_u16(CONFIG, self.chip.config())?;
            self.device.write_u16(CALIBRATION, self.calibration)?;
            if self.device.read_u16(CONFIG)? == self.chip.config()
                && self.device.read_u16(CALIBRATION)? == self.calibration
            {
                self.ready = true;
                return Ok(());
            }
        }
        Err(Fault::corrupt("the calibration that was written does not read back"))
    }

    fn sample(&mut self) -> Result<(SensorState, Vec<Measured>), Fault> {
        let mut state = SensorState::Ok;
        if !self.ready {
            self.set_up()?;
            return Err(Fault::Stale);
        }
        if self.device.read_u16(CALIBRATION)? != self.calibration {
            self.ready = false;
            self.set_up()?;
            self.resets += 1;
            state = SensorState::Reset { epoch: self.resets };
            return Ok((state, Vec::new()));
        }
        let (bus, overflow, fresh) = self.bus_field()?;
        let shunt = self.device.read_u16(SHUNT)?.cast_signed();
        let current = self.device.read_u16(CURRENT)?.cast_signed();
        let power = self.device.read_u16(POWER)?;
        if overflow {
            let what = "current beyond what the calibration allows, register".into();
            let (found, max) = (i64::from(current), i64::from(i16::MAX));
            return Err(Fault::OutOfRange { what, found, min: -max, max });
        }
        if !fresh {
            return Err(Fault::Stale);
        }
        let bus = MicroVolts(self.scales.bus_uv.nearest(i64::from(bus)));
        if bus > self.chip.max_bus() {
            let (found, max) = (bus.0, self.chip.max_bus().0);
            return Err(Fault::OutOfRange { what: "bus voltage (µV)".into(), found, min: 0, max });
        }
        let current = MicroAmps(self.scales.current_ua.nearest(i64::from(current)));
        let magnitude = self.scales.power_uw.nearest(i64::from(power));
        self.consistent(shunt, bus, current, magnitude)?;
        let power = MicroWatts(if current.0 < 0 { -magnitude } else { magnitude });
        Ok((state, vec![Measured::Power { flow: self.flow, bus: Some(bus), current: Some(current), power }]))
    }

    /// Bus field, overflow flag, and whether a conversion was finished since the last reading.
    fn bus_field(&mut self) -> Result<(u16, bool, bool), Fault> {
        let bus = self.device.read_u16(BUS)?;
        match self.chip {
            Chip::Ina219 => Ok((bus >> 3, bus & 1 != 0, bus & 2 != 0)),
            Chip::Ina226 => {
                let flags = self.device.read_u16(MASK_ENABLE)?;
                Ok((bus, flags & 4 != 0, flags & 8 != 0))
            }
        }
    }

    /// The chip derives current from the shunt and power from current and bus; a flipped bit in one of them shows here.
    /// A conversion may fall between two reads, so an eighth of difference is allowed, and some LSBs near zero.
    fn consistent(&self, shunt: i16, bus: MicroVolts, current: MicroAmps, power: i64) -> Result<(), Fault> {
        let nv = self.scales.shunt_nv.nearest(i64::from(shunt));
        let by_shunt = nv * 1000 / i64::from(self.shunt_microohm.max(1));
        close("current and shunt voltage (µA)", current.0, by_shunt, self.scales.current_ua.nearest(4))?;
        let by_current = i64::try_from(i128::from(bus.0) * i128::from(current.0.abs()) / 1_000_000).unwrap_or(i64::MAX);
        close("power and voltage times current (µW)", power, by_current, self.scales.power_uw.nearest(4))
    }
}

fn close(what: &str, one: i64, other: i64, slack: i64) -> Result<(), Fault> {
    if (one - other).abs() > one.abs().max(other.abs()) / 8 + slack {
        return Err(Fault::Contradictory { what: what.into(), one, other });
    }
    Ok(())
}

impl<I: I2c> Sensor for Ina2xx<I> {
    fn name(&self) -> String {
        format!("{} at 0x{:02x}", self.chip.name(), self.device.address())
    }

    fn poll(&mut self, at: Stamp) -> Report {
        Report::from_result(at, self.sample())
    }
}
