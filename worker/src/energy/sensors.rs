//! Sensors as the owner names them, and the rim that opens their buses and ports.
use std::{path::PathBuf, str::FromStr, time::Instant};

use sunwork_energy::{
    keeper::Reading,
    sensors::{
        Fault, Flow, Report, Sensor, Stamp,
        counter::EpochCounter,
        guard::{Guard, Limits},
        ina2xx::{Chip, Ina2xx},
        ina228::Ina228,
        power_supply::{Directory, PowerSupply},
        vedirect::{VeDirect, VeDirectKind},
        wittypi4::{ADDRESS, WittyPi4},
    },
    sim::rig::FROZEN_AFTER,
    units::{MicroWatts, MonoMillis},
};

use super::{serial::Port, wake::Witty};

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
}

/// One sensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensorSpec {
    /// What it is.
    pub device: Device,
    /// Where it sits; of those that are told.
    pub flow: Option<Flow>,
    /// Bus, port or directory.
    pub path: PathBuf,
    /// Address on the bus.
    pub address: u8,
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
        let device = match kind {
            "ina219" => Device::Ina219,
            "ina226" => Device::Ina226,
            "ina228" => Device::Ina228,
            "ve-direct-charger" => Device::Charger,
            "ve-direct-monitor" => Device::Monitor,
            "power-supply" => Device::PowerSupply,
            "witty-pi-4" => Device::WittyPi4,
            other => {
                return Err(fail(format!(
                    "{other:?} is no sensor; expected ina219, ina226, ina228, ve-direct-charger, ve-direct-monitor, power-supply \
                     or witty-pi-4"
                )));
            }
        };
        let chip = matches!(device, Device::Ina219 | Device::Ina226 | Device::Ina228);
        let mut flow = None;
        if chip || device == Device::PowerSupply {
            flow = Some(match words.next().unwrap_or_default() {
                "production" => Flow::Production,
                "consumption" => Flow::Consumption,
                "battery" => Flow::Battery,
                other => {
                    return Err(fail(format!(
                        "expected production, consumption or battery after {kind}, not {other:?}"
                    )));
                }
            });
        }
        let path = words.next().filter(|path| path.starts_with('/'));
        let path =
            path.ok_or_else(|| fail("expected the path of a bus, port or directory, such as /dev/i2c-1".into()))?;
        let address = if device == Device::WittyPi4 { ADDRESS } else { 0x40 };
        let mut spec = Self { device, flow, path: path.into(), address, shunt_uohm: 10_000, max_ma: 16_384 };
        for word in words {
            let number = |text: &str| text.parse::<u32>().map_err(|error| fail(format!("{word}: {error}")));
            match word.split_once('=') {
                Some(("shunt_uohm", text)) if chip => spec.shunt_uohm = number(text)?,
                Some(("max_ma", text)) if chip => spec.max_ma = number(text)?,
                None if chip || device == Device::WittyPi4 => {
                    let address = word.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok());
                    let address = address.filter(|address| (0x03..=0x77).contains(address));
                    spec.address = address.ok_or_else(|| fail(format!("{word:?} is no address from 0x03 to 0x77")))?;
                }
                _ => return Err(fail(format!("{word:?} means nothing here; expected shunt_uohm=N or max_ma=N"))),
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
            _ => self.flow.into_iter().collect(),
        }
    }

    /// For the owner.
    fn name(&self) -> String {
        let device = match self.device {
            Device::Ina219 => "ina219",
            Device::Ina226 => "ina226",
            Device::Ina228 => "ina228",
            Device::Charger => "ve-direct-charger",
            Device::Monitor => "ve-direct-monitor",
            Device::PowerSupply => "power-supply",
            Device::WittyPi4 => "witty-pi-4",
        };
        match self.flow {
            Some(flow) => format!("{device} {} at {}", flow_name(flow), self.path.display()),
            None => format!("{device} at {}", self.path.display()),
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

/// A sensor that is open.
enum Open {
    Any(Box<dyn Sensor + Send + Sync>),
    Serial(Box<VeDirect>, Port),
    Witty(Witty),
}

/// A named sensor; a bus that cannot be opened is tried again at every look.
struct Slot {
    spec: SensorSpec,
    open: Option<Open>,
    /// When it was last tried.
    tried: Option<Instant>,
}

/// All sensors of a worker.
pub struct Sensors {
    slots: Vec<Slot>,
    max_watts: u32,
}

impl Sensors {
    /// Nothing is opened yet.
    #[must_use]
    pub fn new(specs: Vec<SensorSpec>, panel_wp: u32) -> Self {
        let slots = specs.into_iter().map(|spec| Slot { spec, open: None, tried: None }).collect();
        // Cloud edges give more than the label says, and the board may draw more than a small panel gives.
        Self { slots, max_watts: (panel_wp * 2).max(200) }
    }

    /// Asks all of them.
    pub fn look(&mut self, at: Stamp) -> Vec<Reading> {
        let max_watts = self.max_watts;
        self.slots.iter_mut().map(|slot| slot.look(at, max_watts)).collect()
    }

    /// The Witty Pi, where there is one that is open.
    pub fn witty(&mut self) -> Option<&mut Witty> {
        self.slots.iter_mut().find_map(|slot| match &mut slot.open {
            Some(Open::Witty(witty)) => Some(witty),
            _ => None,
        })
    }

    /// Whether a Witty Pi is named.
    #[must_use]
    pub fn names_witty(&self) -> bool {
        self.slots.iter().any(|slot| slot.spec.device == Device::WittyPi4)
    }
}

/// How often a bus that cannot be opened is tried again.
const OPEN_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

impl Slot {
    fn look(&mut self, at: Stamp, max_watts: u32) -> Reading {
        let (sensor, feeds) = (self.spec.name(), self.spec.feeds());
        let wait = self.tried.is_some_and(|tried| tried.elapsed() < OPEN_AGAIN);
        if self.open.is_none() && !wait {
            self.tried = Some(Instant::now());
            match open(&self.spec, at.mono, max_watts) {
                Ok(open) => self.open = Some(open),
                Err(problem) => tracing::warn!(sensor, problem, "cannot open a sensor; trying again"),
            }
        }
        let report = match &mut self.open {
            Some(Open::Any(device)) => device.poll(at),
            Some(Open::Serial(device, port)) => match port.read() {
                Ok(bytes) => {
                    device.receive(&bytes, at.mono);
                    device.poll(at)
                }
                Err(error) => {
                    tracing::warn!(sensor, %error, "the serial port is gone");
                    self.open = None;
                    Report::from_result(at, Err(missing(&self.spec)))
                }
            },
            Some(Open::Witty(witty)) => witty.poll(at),
            None => Report::from_result(at, Err(missing(&self.spec))),
        };
        Reading { sensor, feeds, report }
    }
}

fn missing(spec: &SensorSpec) -> Fault {
    Fault::NoFile { file: spec.path.display().to_string() }
}

/// The one place where buses and ports are opened.
fn open(spec: &SensorSpec, now: MonoMillis, max_watts: u32) -> Result<Open, String> {
    let flow = spec.flow.unwrap_or(Flow::Production);
    let power = MicroWatts(i64::from(max_watts) * 1_000_000);
    let limits = Limits { max_power: power, frozen_after: FROZEN_AFTER, spike: MicroWatts(power.0 / 2) };
    let said = |fault: Fault| fault.to_string();
    let (shunt, amps) = (spec.shunt_uohm, spec.max_ma);
    Ok(match spec.device {
        Device::Ina219 | Device::Ina226 => {
            let chip = if spec.device == Device::Ina219 { Chip::Ina219 } else { Chip::Ina226 };
            let driver = Ina2xx::new(bus(spec)?, spec.address, chip, flow, shunt, amps).map_err(said)?;
            Open::Any(Box::new(Guard::new(driver, limits)))
        }
        Device::Ina228 => {
            let counter = EpochCounter::default();
            let driver = Ina228::new(bus(spec)?, spec.address, flow, shunt, amps, max_watts, counter).map_err(said)?;
            Open::Any(Box::new(Guard::new(driver, limits)))
        }
        Device::PowerSupply => {
            if !spec.path.is_dir() {
                return Err(format!("{} is no directory", spec.path.display()));
            }
            Open::Any(Box::new(Guard::new(PowerSupply::new(Directory(spec.path.clone()), flow), limits)))
        }
        Device::Charger | Device::Monitor => {
            let kind =
                if spec.device == Device::Charger { VeDirectKind::SolarCharger } else { VeDirectKind::BatteryMonitor };
            let port = Port::open(&spec.path).map_err(|error| error.to_string())?;
            Open::Serial(Box::new(VeDirect::new(kind, max_watts, EpochCounter::default())), port)
        }
        Device::WittyPi4 => Open::Witty(Witty::new(WittyPi4::new(bus(spec)?, spec.address, now))),
    })
}

/// An I2C bus of the kernel's.
#[cfg(target_os = "linux")]
pub type Bus = linux_embedded_hal::I2cdev;
/// There is none elsewhere; drivers are built against the simulated one.
#[cfg(not(target_os = "linux"))]
pub type Bus = sunwork_energy::sim::bus::SimBus;

#[cfg(target_os = "linux")]
fn bus(spec: &SensorSpec) -> Result<Bus, String> {
    let help = "is I2C switched on (raspi-config), and is this user in the group i2c?";
    linux_embedded_hal::I2cdev::new(&spec.path).map_err(|error| format!("{}: {error}; {help}", spec.path.display()))
}

#[cfg(not(target_os = "linux"))]
fn bus(spec: &SensorSpec) -> Result<Bus, String> {
    Err(format!("{}: I2C is read on Linux only", spec.path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunwork_energy::{sensors::Stamp, units::UnixSeconds};

    #[test]
    fn sensors_are_read_from_words() {
        let spec: SensorSpec = "ina228 battery /dev/i2c-1 0x45 shunt_uohm=2000 max_ma=20000".parse().unwrap();
        assert_eq!((spec.device, spec.flow, spec.address), (Device::Ina228, Some(Flow::Battery), 0x45));
        assert_eq!((spec.shunt_uohm, spec.max_ma), (2_000, 20_000));
        assert_eq!("witty-pi-4 /dev/i2c-1".parse::<SensorSpec>().unwrap().address, 8);
        assert_eq!("ve-direct-charger /dev/ttyUSB0".parse::<SensorSpec>().unwrap().feeds(), [Flow::Production]);
        for (text, said) in [
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

    #[test]
    fn what_cannot_be_opened_is_a_missing_sensor_and_nothing_ends() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let texts = [
            format!("ina228 battery {}", gone.display()),
            format!("ve-direct-charger {}", gone.display()),
            format!("power-supply battery {}", gone.display()),
        ];
        let specs = texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut sensors = Sensors::new(specs, 100);
        let readings = sensors.look(Stamp::dated(UnixSeconds(1_780_272_000)));
        assert_eq!(readings.len(), 3);
        for reading in readings {
            assert_eq!(reading.report.state.name(), "missing", "{reading:?}");
            assert!(reading.report.state.reason().contains("gone"), "{reading:?}");
        }
    }

    #[test]
    fn a_supply_of_the_kernels_is_read_through_the_same_door() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("voltage_now"), "13000000\n").unwrap();
        std::fs::write(dir.path().join("current_now"), "-500000\n").unwrap();
        let spec = format!("power-supply battery {}", dir.path().display()).parse().unwrap();
        let readings = Sensors::new(vec![spec], 100).look(Stamp::dated(UnixSeconds(1_780_272_000)));
        assert_eq!(readings[0].report.power(Flow::Battery), Some(MicroWatts(-6_500_000)));
    }
}
