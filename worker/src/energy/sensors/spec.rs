//! Sensors as the owner names them in the settings.
use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use sunwork_energy::sensors::{Flow, wittypi4, wittypi5};

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Current and power over I2C, 12 bit.
    Ina219,
    /// 16 bit.
    Ina226,
    /// 20 bit with accumulators.
    Ina228,
    /// Victron solar charger.
    Charger,
    /// Victron battery monitor.
    Monitor,
    /// A directory of the kernel's.
    PowerSupply,
    /// Clock and power switch.
    WittyPi4,
    /// The same, which also measures what the board takes.
    WittyPi5,
    /// Inverter, charger or battery over Modbus TCP.
    SunSpec,
    /// Temperature, pressure and humidity of the air.
    Bme280,
}

impl Device {
    /// Every device by its name in the settings.
    const NAMES: [(&'static str, Self); 10] = [
        ("ina219", Self::Ina219),
        ("ina226", Self::Ina226),
        ("ina228", Self::Ina228),
        ("ve-direct-charger", Self::Charger),
        ("ve-direct-monitor", Self::Monitor),
        ("power-supply", Self::PowerSupply),
        ("witty-pi-4", Self::WittyPi4),
        ("witty-pi-5", Self::WittyPi5),
        ("sunspec", Self::SunSpec),
        ("bme280", Self::Bme280),
    ];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, device)| *device == self).map_or("", |(name, _)| name)
    }

    /// Address as delivered; of those on a bus.
    const fn address(self) -> Option<u8> {
        match self {
            Self::Ina219 | Self::Ina226 | Self::Ina228 => Some(0x40),
            Self::WittyPi4 => Some(wittypi4::ADDRESS),
            Self::WittyPi5 => Some(wittypi5::ADDRESS),
            Self::Bme280 => Some(0x76),
            Self::Charger | Self::Monitor | Self::PowerSupply | Self::SunSpec => None,
        }
    }

    /// Whether the owner says where it sits.
    const fn is_told_its_flow(self) -> bool {
        matches!(self, Self::Ina219 | Self::Ina226 | Self::Ina228 | Self::PowerSupply | Self::SunSpec)
    }
}

/// One sensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensorSpec {
    /// What it is.
    pub device: Device,
    /// Where it sits; of those that are told.
    pub flow: Option<Flow>,
    /// Bus, port or directory; host and port of a SunSpec device.
    pub path: PathBuf,
    /// Address on the bus.
    pub address: u8,
    /// Modbus unit.
    pub unit: u8,
    /// Its shunt, microohm.
    pub shunt_uohm: u32,
    /// Most current, mA.
    pub max_ma: u32,
}

/// A sensor that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {problem}")]
pub struct SensorError {
    text: String,
    problem: String,
}

impl FromStr for SensorSpec {
    type Err = SensorError;

    fn from_str(text: &str) -> Result<Self, SensorError> {
        let fail = |problem: String| SensorError { text: text.to_owned(), problem };
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let Some((_, device)) = Device::NAMES.into_iter().find(|(name, _)| *name == kind) else {
            let names: Vec<&str> = Device::NAMES.iter().map(|(name, _)| *name).collect();
            return Err(fail(format!("{kind:?} is no sensor; expected one of {}", names.join(", "))));
        };
        let chip = matches!(device, Device::Ina219 | Device::Ina226 | Device::Ina228);
        let mut flow = None;
        if device.is_told_its_flow() {
            flow = Some(match words.next().unwrap_or_default() {
                "production" => Flow::Production,
                "consumption" if device != Device::SunSpec => Flow::Consumption,
                "battery" => Flow::Battery,
                other => {
                    return Err(fail(format!(
                        "expected production, consumption or battery after {kind}, not {other:?}"
                    )));
                }
            });
        }
        let path = words.next().unwrap_or_default();
        if device == Device::SunSpec && path.parse::<SocketAddr>().is_err() {
            return Err(fail(format!("expected address and port such as 192.168.1.20:502, not {path:?}")));
        }
        if device != Device::SunSpec && !path.starts_with('/') {
            return Err(fail("expected the path of a bus, port or directory, such as /dev/i2c-1".into()));
        }
        let address = device.address().unwrap_or_default();
        let mut spec = Self { device, flow, path: path.into(), address, unit: 1, shunt_uohm: 10_000, max_ma: 16_384 };
        for word in words {
            let number = |text: &str| text.parse::<u32>().map_err(|error| fail(format!("{word}: {error}")));
            match word.split_once('=') {
                Some(("shunt_uohm", text)) if chip => spec.shunt_uohm = number(text)?,
                Some(("max_ma", text)) if chip => spec.max_ma = number(text)?,
                Some(("unit", text)) if device == Device::SunSpec => {
                    let unit = number(text)?;
                    spec.unit = u8::try_from(unit).map_err(|_| fail(format!("{word}: expected 0 to 255")))?;
                }
                None if device.address().is_some() => {
                    let address = word.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    let address = address.filter(|address| (0x03..=0x77).contains(address));
                    spec.address = address.ok_or_else(|| fail(format!("{word:?} is no address from 0x03 to 0x77")))?;
                }
                _ => {
                    return Err(fail(format!(
                        "{word:?} means nothing here; expected shunt_uohm=N, max_ma=N or unit=N"
                    )));
                }
            }
        }
        Ok(spec)
    }
}

impl SensorSpec {
    /// What it measures.
    pub fn feeds(&self) -> Vec<Flow> {
        match self.device {
            Device::Charger => vec![Flow::Production],
            Device::Monitor => vec![Flow::Battery],
            Device::WittyPi5 => vec![Flow::Consumption],
            _ => self.flow.into_iter().collect(),
        }
    }

    /// Whether it wakes the board.
    pub const fn wakes(&self) -> bool {
        matches!(self.device, Device::WittyPi4 | Device::WittyPi5)
    }

    /// For the owner; no two sensors of one worker have the same.
    pub fn name(&self) -> String {
        let mut name = self.device.name().to_owned();
        if let Some(flow) = self.flow {
            name = format!("{name} {}", flow_name(flow));
        }
        name = format!("{name} at {}", self.path.display());
        match self.device {
            Device::SunSpec => format!("{name} unit {}", self.unit),
            device if device.address().is_some() => format!("{name} 0x{:02x}", self.address),
            _ => name,
        }
    }

    /// Under which its counter is kept: another shunt counts in other steps.
    pub fn counts_as(&self) -> String {
        match self.device {
            Device::Ina228 => format!("{} shunt_uohm={} max_ma={}", self.name(), self.shunt_uohm, self.max_ma),
            _ => self.name(),
        }
    }
}

/// Its name in the settings.
#[must_use]
pub const fn flow_name(flow: Flow) -> &'static str {
    match flow {
        Flow::Production => "production",
        Flow::Consumption => "consumption",
        Flow::Battery => "battery",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensors_are_read_from_words() {
        let spec: SensorSpec = "ina228 battery /dev/i2c-1 0x45 shunt_uohm=2000 max_ma=20000".parse().unwrap();
        assert_eq!((spec.device, spec.flow, spec.address), (Device::Ina228, Some(Flow::Battery), 0x45));
        assert_eq!((spec.shunt_uohm, spec.max_ma), (2_000, 20_000));
        assert_eq!("witty-pi-4 /dev/i2c-1".parse::<SensorSpec>().unwrap().address, 8);
        assert_eq!("ve-direct-charger /dev/ttyUSB0".parse::<SensorSpec>().unwrap().feeds(), [Flow::Production]);
        let spec: SensorSpec = "sunspec production 192.168.1.20:502 unit=3".parse().unwrap();
        assert_eq!((spec.unit, spec.feeds(), spec.wakes()), (3, vec![Flow::Production], false));
        let spec: SensorSpec = "bme280 /dev/i2c-1 0x77".parse().unwrap();
        assert_eq!((spec.address, spec.feeds(), spec.name().as_str()), (0x77, vec![], "bme280 at /dev/i2c-1 0x77"));
        let spec: SensorSpec = "witty-pi-5 /dev/i2c-1".parse().unwrap();
        assert_eq!((spec.address, spec.wakes(), spec.feeds()), (0x51, true, vec![Flow::Consumption]));
        for (text, said) in [
            ("sunspec production /dev/i2c-1", "address and port"),
            ("sunspec consumption 10.0.0.1:502", "expected production"),
            ("sunspec production 10.0.0.1:502 unit=256", "0 to 255"),
            ("bme280 /dev/i2c-1 unit=1", "means nothing here"),
            ("ina228 /dev/i2c-1", "production, consumption or battery"),
            ("ina228 battery i2c", "expected the path"),
            ("ina228 battery /dev/i2c-1 0x99", "no address"),
            ("ina228 battery /dev/i2c-1 shunt_uohm=x", "invalid digit"),
            ("witty-pi-4 /dev/i2c-1 max_ma=5", "means nothing here"),
            ("", "is no sensor"),
        ] {
            let error = text.parse::<SensorSpec>().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
