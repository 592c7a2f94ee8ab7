//! The one place where buses, ports and connections are opened.
use std::{
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use sunwork_energy::{
    sensors::{
        Fault, Flow, Report, Sensor, Stamp,
        bme280::Bme280,
        counter::EpochCounter,
        guard::{Guard, Limits, NEVER},
        ina2xx::{Chip, Ina2xx},
        ina228::Ina228,
        power_supply::{Directory, PowerSupply},
        sunspec::{ModbusTcp, SunSpec},
        vedirect::{VeDirect, VeDirectKind},
        wittypi4::WittyPi4,
        wittypi5::WittyPi5,
    },
    sim::rig::FROZEN_AFTER,
    sun::Place,
    units::MicroWatts,
};

use super::{Device, SensorSpec};
use crate::energy::{
    serial::Port,
    wake::{Waker, Witty, Witty5},
};

/// Longest time that a device on the network may take for all of its models.
const SUNSPEC_PATIENCE: Duration = Duration::from_secs(15);

/// A sensor that is open.
pub enum Open {
    /// One that is asked over a bus or in files.
    Any(Box<dyn Sensor + Send + Sync>),
    /// One that talks by itself.
    Serial(Box<Guard<VeDirect>>, Port),
    /// On the network.
    Network(Box<Mutex<Guard<SunSpec<ModbusTcp>>>>),
    /// Switch and clock.
    Witty4(Witty),
    /// Switch, clock, and what the board takes.
    Witty5(Witty5),
}

/// Why nothing was said, where that is not in the report.
pub struct Gone(pub String);

impl Open {
    /// Asks it once. A device that is gone has to be opened anew.
    pub fn look(&mut self, at: Stamp) -> Result<Report, Gone> {
        match self {
            Self::Any(device) => Ok(device.poll(at)),
            Self::Serial(device, port) => {
                let bytes = port.read().map_err(|error| Gone(format!("the serial port is gone: {error}")))?;
                device.inner_mut().receive(&bytes, at.mono);
                Ok(device.poll(at))
            }
            Self::Network(device) => {
                let device = device.get_mut().unwrap_or_else(PoisonError::into_inner);
                let runtime = tokio::runtime::Handle::try_current().map_err(|error| Gone(error.to_string()))?;
                // Looks are taken on a thread that may wait.
                let asking = tokio::time::timeout(SUNSPEC_PATIENCE, device.inner_mut().poll(at));
                let report = runtime.block_on(asking);
                let report =
                    report.map_err(|_| Gone(format!("no whole answer in {} s", SUNSPEC_PATIENCE.as_secs())))?;
                Ok(device.pass(report))
            }
            Self::Witty4(witty) => Ok(witty.poll(at)),
            Self::Witty5(witty) => Ok(witty.poll(at)),
        }
    }

    /// The counter that the device has, as it stands.
    pub fn counter(&mut self) -> Option<&EpochCounter> {
        match self {
            Self::Any(device) => device.counter(),
            Self::Serial(device, _) => device.counter(),
            Self::Network(device) => Some(device.get_mut().unwrap_or_else(PoisonError::into_inner).inner().counter()),
            Self::Witty4(_) | Self::Witty5(_) => None,
        }
    }

    /// What wakes the board, if this does.
    pub fn waker(&mut self) -> Option<&mut dyn Waker> {
        match self {
            Self::Witty4(witty) => Some(witty),
            Self::Witty5(witty) => Some(witty),
            Self::Any(_) | Self::Serial(..) | Self::Network(_) => None,
        }
    }
}

/// The plant around the sensors.
#[derive(Clone, Copy, Debug)]
pub struct Around {
    /// Most that can flow anywhere, W.
    pub max_watts: u32,
    /// Where the panel stands.
    pub place: Option<Place>,
}

/// Opens a device; `counter` as it stood.
///
/// # Errors
/// Why it cannot be opened, for the owner.
pub fn open(spec: &SensorSpec, now: Stamp, around: Around, counter: EpochCounter) -> Result<Open, String> {
    let Around { max_watts, place } = around;
    let flow = spec.flow.unwrap_or(Flow::Production);
    let power = MicroWatts(i64::from(max_watts) * 1_000_000);
    let limits = Limits { max_power: power, frozen_after: FROZEN_AFTER, spike: MicroWatts(power.0 / 2), place };
    // Whole watts and hundredths of a volt stand still for an hour beside an idle board.
    let coarse = Limits { frozen_after: NEVER, ..limits };
    let said = |fault: Fault| fault.to_string();
    let (shunt, amps) = (spec.shunt_uohm, spec.max_ma);
    Ok(match spec.device {
        Device::Ina219 | Device::Ina226 => {
            let chip = if spec.device == Device::Ina219 { Chip::Ina219 } else { Chip::Ina226 };
            let driver = Ina2xx::new(bus(&spec.path)?, spec.address, chip, flow, shunt, amps).map_err(said)?;
            Open::Any(Box::new(Guard::new(driver, limits)))
        }
        Device::Ina228 => {
            let driver = Ina228::new(bus(&spec.path)?, spec.address, flow, shunt, amps, max_watts, counter);
            Open::Any(Box::new(Guard::new(driver.map_err(said)?, limits)))
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
            Open::Serial(Box::new(Guard::new(VeDirect::new(kind, max_watts, counter), coarse)), port)
        }
        Device::SunSpec => {
            let address = spec.path.to_string_lossy().parse().map_err(|error| format!("{error}"))?;
            let device = SunSpec::new(ModbusTcp::new(address, spec.unit), max_watts, counter);
            Open::Network(Box::new(Mutex::new(Guard::new(device, coarse))))
        }
        Device::Bme280 => Open::Any(Box::new(Bme280::new(bus(&spec.path)?, spec.address))),
        Device::WittyPi4 => Open::Witty4(Witty::new(WittyPi4::new(bus(&spec.path)?, spec.address, now.mono))),
        Device::WittyPi5 => Open::Witty5(Witty5::new(WittyPi5::new(bus(&spec.path)?, spec.address))),
    })
}

/// An I2C bus of the kernel's.
#[cfg(target_os = "linux")]
pub type Bus = linux_embedded_hal::I2cdev;
/// There is none elsewhere; drivers are built against the simulated one.
#[cfg(not(target_os = "linux"))]
pub type Bus = sunwork_energy::sim::bus::SimBus;

#[cfg(target_os = "linux")]
fn bus(path: &Path) -> Result<Bus, String> {
    let help = "is I2C switched on (raspi-config), and is this user in the group i2c?";
    linux_embedded_hal::I2cdev::new(path).map_err(|error| format!("{}: {error}; {help}", path.display()))
}

#[cfg(not(target_os = "linux"))]
fn bus(path: &Path) -> Result<Bus, String> {
    Err(format!("{}: I2C is read on Linux only", path.display()))
}
