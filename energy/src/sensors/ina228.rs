//! Texas Instruments INA228: 20-bit measurement with 40-bit energy and charge accumulators in hardware.
//!
//! Source: TI data sheet SLYS021. The accumulators stay integers (`u64`, `i64`); a float of 32 bits would lose whole joules.
use embedded_hal::i2c::I2c;

use super::bus::Device;
use super::counter::{EpochCounter, Step};
use super::{Fault, Flow, Measured, Report, Scale, Sensor, SensorState, Stamp};
use crate::units::{MicroAmps, MicroVolts, MicroWatts, MilliCelsius, MilliWattHours};

const CONFIG: u8 = 0x00;
const ADC_CONFIG: u8 = 0x01;
const SHUNT_CAL: u8 = 0x02;
const VSHUNT: u8 = 0x04;
const VBUS: u8 = 0x05;
const DIETEMP: u8 = 0x06;
const CURRENT: u8 = 0x07;
const POWER: u8 = 0x08;
const ENERGY: u8 = 0x09;
const CHARGE: u8 = 0x0A;
const DIAG_ALRT: u8 = 0x0B;
const BOVL: u8 = 0x0E;
const MANUFACTURER: u8 = 0x3E;
const DEVICE: u8 = 0x3F;

const RSTACC: u16 = 1 << 14;
/// Continuous, all three, 1052 µs each, mean of 16.
const ADC_CONFIG_VALUE: u16 = 0xFB6A;
/// Over-voltage limit one below its reset value: no alert can come of it, but its loss tells that the chip was reset even where
/// the calibration equals the reset value.
const CANARY: u16 = 0x7FFE;
const MATHOF: u16 = 1 << 9;
const CHARGEOF: u16 = 1 << 10;
const ENERGYOF: u16 = 1 << 11;
const CNVRF: u16 = 1 << 1;
const MEMSTAT: u16 = 1;

/// Sign-extends the 20-bit field in bits 23..4 of a 24-bit register (bit 19 of the field is the sign).
#[must_use]
pub const fn signed20(register: u32) -> i32 {
    ((register << 8).cast_signed()) >> 12
}

/// Sign-extends a 40-bit register.
#[must_use]
pub const fn signed40(register: u64) -> i64 {
    ((register << 24).cast_signed()) >> 24
}

/// Exact scales; ±163.84 mV range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scales {
    /// Shunt field to nanovolts.
    pub shunt_nv: Scale,
    /// Bus field to microvolts.
    pub bus_uv: Scale,
    /// Current field to microamperes.
    pub current_ua: Scale,
    /// Power register to microwatts.
    pub power_uw: Scale,
    /// Energy counts to milliwatt hours.
    pub energy_mwh: Scale,
    /// Charge counts to microampere hours.
    pub charge_uah: Scale,
    /// Die temperature to m°C.
    pub temperature_mc: Scale,
}

impl Scales {
    /// By the data sheet: `SHUNT_CAL = 13107.2e6 · I_LSB · R`, power LSB 3.2 `I_LSB`, energy LSB 16 · 3.2 `I_LSB`, charge LSB `I_LSB`.
    #[must_use]
    pub const fn new(shunt_microohm: u32, shunt_cal: u16) -> Self {
        let (cal, r) = (shunt_cal as u64, shunt_microohm as u64);
        // I_LSB[µA] = CAL · 1e7 / (131072 · R[µΩ])
        Self {
            shunt_nv: Scale::new(3125, 10),
            bus_uv: Scale::new(1_953_125, 10_000),
            current_ua: Scale::new(cal * 10_000_000, 131_072 * r),
            power_uw: Scale::new(cal * 32_000_000, 131_072 * r),
            // I_LSB[A] · 51.2 J · (1000/3600) mWh/J
            energy_mwh: Scale::new(cal * 5, 4_608 * r),
            charge_uah: Scale::new(cal * 10_000_000, 131_072 * r * 3600),
            temperature_mc: Scale::new(78_125, 10_000),
        }
    }
}

/// One chip. Its state over process restarts is the [`EpochCounter`], which the owner saves.
///
/// ```text
///   Fresh ──identity, set up, accumulators cleared──► Ready ──canary lost──► set up again, new epoch ──► Ready
/// ```
#[derive(Debug)]
pub struct Ina228<I> {
    device: Device<I>,
    flow: Flow,
    shunt_microohm: u32,
    shunt_cal: u16,
    scales: Scales,
    counter: EpochCounter,
    most_counts_per_second: u64,
    known: bool,
}

impl<I: I2c> Ina228<I> {
    /// A chip with a shunt of `shunt_microohm`, for up to `max_milliamps`, on a plant of at most `max_watts`; `counter` as saved.
    ///
    /// # Errors
    /// [`Fault::OutOfRange`] where shunt and current cannot be calibrated together.
    pub fn new(
        i2c: I,
        address: u8,
        flow: Flow,
        shunt_microohm: u32,
        max_milliamps: u32,
        max_watts: u32,
        counter: EpochCounter,
    ) -> Result<Self, Fault> {
        // I_LSB = I_max / 2^19; CAL = 13107.2e6 · I_max/2^19 · R = I_max[mA] · R[µΩ] / 40000, rounded up so that I_max fits.
        let wanted = (u64::from(max_milliamps) * u64::from(shunt_microohm)).div_ceil(40_000);
        let shunt_cal = u16::try_from(wanted).ok().filter(|cal| (16..=4096).contains(cal)).ok_or_else(|| {
            let what = format!("calibration for a shunt of {shunt_microohm} µΩ and {max_milliamps} mA");
            Fault::OutOfRange { what, found: i64::try_from(wanted).unwrap_or(i64::MAX), min: 16, max: 4096 }
        })?;
        let scales = Scales::new(shunt_microohm, shunt_cal);
        let (num, den) = scales.energy_mwh.parts();
        // Counts a second = W / 3.6 mWh/s / scale, one more for the fraction.
        let most_counts_per_second =
            (u128::from(max_watts) * 1000 * u128::from(den) / (3600 * u128::from(num.max(1)))) as u64 + 1;
        let device = Device::new(i2c, address);
        Ok(Self { device, flow, shunt_microohm, shunt_cal, scales, counter, most_counts_per_second, known: false })
    }

    /// Scales in use.
    pub const fn scales(&self) -> Scales {
        self.scales
    }

    /// To be saved and given to [`Ina228::new`] after a restart.
    pub const fn counter(&self) -> &EpochCounter {
        &self.counter
    }

    /// Energy accumulator as it stands, unsigned 40 bits.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn energy_counts(&mut self) -> Result<u64, Fault> {
        self.device.read_u40(ENERGY)
    }

    /// Charge accumulator as it stands, two's complement of 40 bits.
    ///
    /// # Errors
    /// What the bus reports.
    pub fn charge_counts(&mut self) -> Result<i64, Fault> {
        Ok(signed40(self.device.read_u40(CHARGE)?))
    }

    fn identify(&mut self) -> Result<(), Fault> {
        let maker = u32::from(self.device.read_u16(MANUFACTURER)?);
        let device = u32::from(self.device.read_u16(DEVICE)?);
        let found = (maker << 16) | (device & 0xFFF0);
        // The low four bits are the die's revision.
        if found == 0x5449_2280 { Ok(()) } else { Err(Fault::WrongDevice { found, expected: 0x5449_2280 }) }
    }

    fn is_set_up(&mut self) -> Result<bool, Fault> {
        Ok(self.device.read_u16(BOVL)? == CANARY && self.device.read_u16(SHUNT_CAL)? == self.shunt_cal)
    }

    fn set_up(&mut self) -> Result<(), Fault> {
        self.device.write_u16(CONFIG, RSTACC)?;
        self.device.write_u16(ADC_CONFIG, ADC_CONFIG_VALUE)?;
        self.device.write_u16(SHUNT_CAL, self.shunt_cal)?;
        self.device.write_u16(BOVL, CANARY)?;
        if self.is_set_up()? { Ok(()) } else { Err(Fault::corrupt("the settings that were written do not read back")) }
    }

    fn sample(&mut self, at: Stamp) -> Result<(SensorState, Vec<Measured>), Fault> {
        if !self.known {
            self.identify()?;
        }
        if !self.is_set_up()? {
            self.identify()?;
            self.set_up()?;
            self.known = true;
            self.begin_at_zero(at);
            return Ok((SensorState::Reset { epoch: self.counter.epoch() }, Vec::new()));
        }
        self.known = true;
        let flags = self.device.read_u16(DIAG_ALRT)?;
        if flags & MEMSTAT == 0 {
            return Err(Fault::corrupt("the chip reports that its trim memory is damaged"));
        }
        if flags & CNVRF == 0 {
            return Err(Fault::Stale);
        }
        if flags & MATHOF != 0 {
            let what = "current or power beyond what the calibration allows, flag".into();
            return Err(Fault::OutOfRange { what, found: 1, min: 0, max: 0 });
        }
        let bus = MicroVolts(self.scales.bus_uv.nearest(i64::from(signed20(self.device.read_u24(VBUS)?))));
        let shunt = i64::from(signed20(self.device.read_u24(VSHUNT)?));
        let current = MicroAmps(self.scales.current_ua.nearest(i64::from(signed20(self.device.read_u24(CURRENT)?))));
        let magnitude = self.scales.power_uw.nearest(i64::from(self.device.read_u24(POWER)?));
        let die = self.device.read_u16(DIETEMP)?.cast_signed();
        let energy = self.energy_counts()?;
        if !(0..=85_000_000).contains(&bus.0) {
            return Err(Fault::OutOfRange { what: "bus voltage (µV)".into(), found: bus.0, min: 0, max: 85_000_000 });
        }
        self.consistent(shunt, bus, current, magnitude)?;
        let state = self.count(energy, flags, at)?;
        let power = MicroWatts(if current.0 < 0 { -magnitude } else { magnitude });
        let total = MilliWattHours(self.scales.energy_mwh.floor(self.counter.total()));
        let (flow, epoch) = (self.flow, self.counter.epoch());
        Ok((
            state,
            vec![
                Measured::Power { flow, bus: Some(bus), current: Some(current), power },
                Measured::Energy { flow, epoch, total },
                Measured::Temperature(MilliCelsius(self.scales.temperature_mc.nearest(i64::from(die)))),
            ],
        ))
    }

    fn count(&mut self, energy: u64, flags: u16, at: Stamp) -> Result<SensorState, Fault> {
        if flags & (ENERGYOF | CHARGEOF) != 0 {
            // Rolled over: how often is not known, so a new epoch from a cleared accumulator.
            self.device.write_u16(CONFIG, RSTACC)?;
            self.begin_at_zero(at);
            return Ok(SensorState::Reset { epoch: self.counter.epoch() });
        }
        match self.counter.observe(energy, at.mono, self.most_counts_per_second) {
            Step::First | Step::Grew(_) | Step::Held => Ok(SensorState::Ok),
            Step::NewEpoch => Ok(SensorState::Reset { epoch: self.counter.epoch() }),
            Step::Implausible(counts) => {
                let found = self.scales.energy_mwh.floor(u128::from(counts));
                Err(Fault::Spiking { what: "energy since the last reading (mWh)".into(), found, usual: 0 })
            }
        }
    }

    /// The accumulators were cleared just now: what they show next has all been counted since.
    fn begin_at_zero(&mut self, at: Stamp) {
        self.counter.device_was_reset();
        self.counter.observe(0, at.mono, self.most_counts_per_second);
    }

    /// See [`super::ina2xx`]: the same figure by two registers.
    fn consistent(&self, shunt: i64, bus: MicroVolts, current: MicroAmps, power: i64) -> Result<(), Fault> {
        let by_shunt = self.scales.shunt_nv.nearest(shunt) * 1000 / i64::from(self.shunt_microohm.max(1));
        let by_current = i64::try_from(i128::from(bus.0) * i128::from(current.0.abs()) / 1_000_000).unwrap_or(i64::MAX);
        for (what, one, other, slack) in [
            ("current and shunt voltage (µA)", current.0, by_shunt, self.scales.current_ua.nearest(32)),
            ("power and voltage times current (µW)", power, by_current, self.scales.power_uw.nearest(32)),
        ] {
            if (one - other).abs() > one.abs().max(other.abs()) / 8 + slack {
                return Err(Fault::Contradictory { what: what.into(), one, other });
            }
        }
        Ok(())
    }
}

impl<I: I2c> Sensor for Ina228<I> {
    fn name(&self) -> String {
        format!("ina228 at 0x{:02x}", self.device.address())
    }

    fn poll(&mut self, at: Stamp) -> Report {
        let result = self.sample(at);
        Report::from_result(at, result)
    }

    fn counter(&self) -> Option<&EpochCounter> {
        Some(&self.counter)
    }
}
