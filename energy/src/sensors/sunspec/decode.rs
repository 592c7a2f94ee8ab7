//! From the registers of a model to quantities, in integers.
use crate::sensors::{ChargerPhase, Fault, Flow, Measured};
use crate::units::{MicroAmps, MicroVolts, MicroWatts};

/// MPPT inputs that are read of one device.
const MAX_INPUTS: usize = 16;
const NOT_U16: u16 = 0xFFFF;
const NOT_I16: u16 = 0x8000;

/// What a model tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Quantities.
    pub measured: Vec<Measured>,
    /// Lifetime energy of the panels, Wh, where the model counts it.
    pub produced_wh: Option<u64>,
}

struct Words<'a>(&'a [u16]);

impl Words<'_> {
    fn get(&self, at: usize) -> Result<u16, Fault> {
        self.0.get(at).copied().ok_or_else(|| Fault::corrupt(format!("the model ends before register {at}")))
    }

    fn unsigned(&self, at: usize) -> Result<Option<i64>, Fault> {
        Ok(Some(self.get(at)?).filter(|w| *w != NOT_U16).map(i64::from))
    }

    fn signed(&self, at: usize) -> Result<Option<i64>, Fault> {
        Ok(Some(self.get(at)?).filter(|w| *w != NOT_I16).map(|w| i64::from(w.cast_signed())))
    }

    /// A counter of 32 bits; zero is "not there".
    fn counter(&self, at: usize) -> Result<Option<u64>, Fault> {
        let raw = u64::from(self.get(at)?) << 16 | u64::from(self.get(at + 1)?);
        Ok(Some(raw).filter(|w| *w != 0 && *w != 0xFFFF_FFFF))
    }

    /// Power of ten of a scale factor; beyond ±10 it is damaged.
    fn factor(&self, at: usize) -> Result<i32, Fault> {
        let raw = self.get(at)?.cast_signed();
        match raw {
            -10..=10 => Ok(i32::from(raw)),
            i16::MIN => Ok(0),
            _ => Err(Fault::corrupt(format!("scale factor {raw}"))),
        }
    }
}

/// `value · 10^exponent`, toward zero; saturating.
fn scaled(value: i64, exponent: i32) -> i64 {
    let power = 10_i128.pow(exponent.unsigned_abs());
    let value = i128::from(value);
    let scaled = if exponent >= 0 { value * power } else { value / power };
    i64::try_from(scaled).unwrap_or(if scaled < 0 { i64::MIN } else { i64::MAX })
}

/// Decodes a model from its registers, the identity and length included.
///
/// # Errors
/// [`Fault::Corrupt`] for models that end early or have impossible scale factors.
pub fn decode(words: &[u16]) -> Result<Reading, Fault> {
    let w = Words(words);
    match w.get(0)? {
        101..=103 => inverter(&w),
        160 => inputs(&w),
        802 => battery(&w),
        _ => Ok(Reading::default()),
    }
}

fn inverter(w: &Words<'_>) -> Result<Reading, Fault> {
    let dc = w.signed(31)?.map(|p| Ok::<_, Fault>(scaled(p, w.factor(32)? + 6))).transpose()?;
    let ac = w.signed(14)?.map(|p| Ok::<_, Fault>(scaled(p, w.factor(15)? + 6))).transpose()?;
    let bus = w.unsigned(29)?.map(|v| Ok::<_, Fault>(MicroVolts(scaled(v, w.factor(30)? + 6)))).transpose()?;
    let current = w.unsigned(27)?.map(|a| Ok::<_, Fault>(MicroAmps(scaled(a, w.factor(28)? + 6)))).transpose()?;
    // What leaves the inverter is what can be used: AC first, it is the smaller figure.
    let power = ac.or(dc).map(MicroWatts);
    let measured =
        power.map(|power| Measured::Power { flow: Flow::Production, bus, current, power }).into_iter().collect();
    let factor = w.factor(26)?;
    let produced_wh = w.counter(24)?.map(|wh| scaled(i64::try_from(wh).unwrap_or(0), factor).cast_unsigned());
    Ok(Reading { measured, produced_wh })
}

fn inputs(w: &Words<'_>) -> Result<Reading, Fault> {
    let (power_factor, energy_factor) = (w.factor(4)?, w.factor(5)?);
    let count = w.unsigned(8)?.unwrap_or(0).clamp(0, MAX_INPUTS as i64) as usize;
    let (mut power, mut energy) = (None, None);
    for at in (0..count).map(|i| 10 + 20 * i) {
        if let Some(p) = w.unsigned(at + 11)? {
            power = Some(power.unwrap_or(0) + scaled(p, power_factor + 6));
        }
        if let Some(wh) = w.counter(at + 12)? {
            let wh = scaled(i64::try_from(wh).unwrap_or(0), energy_factor).cast_unsigned();
            energy = Some(energy.unwrap_or(0) + wh);
        }
    }
    let flow = Flow::Production;
    let power = power.map(|p| Measured::Power { flow, bus: None, current: None, power: MicroWatts(p) });
    Ok(Reading { measured: power.into_iter().collect(), produced_wh: energy })
}

fn battery(w: &Words<'_>) -> Result<Reading, Fault> {
    let mut measured = Vec::new();
    let status = w.get(16)?;
    let bus = w.unsigned(34)?.map(|v| Ok::<_, Fault>(MicroVolts(scaled(v, w.factor(59)? + 6)))).transpose()?;
    // The models leave the sign open; the status settles it.
    let direct = |value: i64| match status {
        3 => -value.abs(),
        4 => value.abs(),
        _ => value,
    };
    let current = w.signed(44)?.map(|a| Ok::<_, Fault>(MicroAmps(direct(scaled(a, w.factor(61)? + 6))))).transpose()?;
    if let Some(p) = w.signed(47)? {
        let power = MicroWatts(direct(scaled(p, w.factor(63)? + 6)));
        measured.push(Measured::Power { flow: Flow::Battery, bus, current, power });
    }
    if let Some(soc) = w.unsigned(11)? {
        let permille = scaled(soc, w.factor(56)? + 1);
        if !(0..=1000).contains(&permille) {
            let what = "state of charge (‰)".into();
            return Err(Fault::OutOfRange { what, found: permille, min: 0, max: 1000 });
        }
        measured.push(Measured::ChargePermille(permille as u16));
    }
    measured.push(Measured::Charger(match status {
        4 => ChargerPhase::Bulk,
        5 => ChargerPhase::Float,
        1..=3 => ChargerPhase::Off,
        other => ChargerPhase::Other(other),
    }));
    Ok(Reading { measured, produced_wh: None })
}
