//! Linux `power_supply` class: one directory a supply, one file an attribute, integers in µV, µA, µWh, µAh.
//!
//! Source: `Documentation/ABI/testing/sysfs-class-power`. The path is configuration; [`Attributes`] is the seam.
use std::io::Read;
use std::path::PathBuf;

use super::{Fault, Flow, Measured, Report, Sensor, SensorState, Stamp};
use crate::units::{MicroAmps, MicroVolts, MicroWatts, MilliCelsius};

const MAX_ATTRIBUTE_BYTES: u64 = 64;

/// Where the attributes come from.
pub trait Attributes {
    /// Text of an attribute; `None` when there is no such file.
    ///
    /// # Errors
    /// Of the file system; the kernel also fails a read when the device behind is gone.
    fn get(&self, name: &str) -> std::io::Result<Option<String>>;
}

/// A directory, for example `/sys/class/power_supply/battery`.
#[derive(Clone, Debug)]
pub struct Directory(pub PathBuf);

impl Attributes for Directory {
    fn get(&self, name: &str) -> std::io::Result<Option<String>> {
        let file = match std::fs::File::open(self.0.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(MAX_ATTRIBUTE_BYTES).read_to_string(&mut text)?;
        Ok(Some(text.trim().to_owned()))
    }
}

/// A supply of the kernel's.
#[derive(Debug)]
pub struct PowerSupply<A> {
    attributes: A,
    flow: Flow,
}

impl<A: Attributes> PowerSupply<A> {
    /// A supply and where it sits.
    pub const fn new(attributes: A, flow: Flow) -> Self {
        Self { attributes, flow }
    }

    fn text(&self, name: &str) -> Result<Option<String>, Fault> {
        self.attributes.get(name).map_err(|_| Fault::NoFile { file: name.into() })
    }

    fn number(&self, name: &str) -> Result<Option<i64>, Fault> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Fault::corrupt(format!("{name} is not a number")))
    }

    fn sample(&self) -> Result<(SensorState, Vec<Measured>), Fault> {
        if self.text("present")?.is_some_and(|v| v == "0") {
            return Err(Fault::NoAnswer);
        }
        let status = self.text("status")?;
        let discharging = status.as_deref() == Some("Discharging");
        let volts = self.number("voltage_now")?;
        let amps = self.number("current_now")?.map(|a| signed(a, discharging && self.flow == Flow::Battery));
        let watts = self.number("power_now")?.map(|w| signed(w, discharging && self.flow == Flow::Battery));
        for (what, value, max) in [("voltage (µV)", volts, 1_000_000_000), ("current (µA)", amps, 1_000_000_000)] {
            if let Some(found) = value.filter(|v| v.abs() > max || (what.starts_with('v') && *v < 0)) {
                return Err(Fault::OutOfRange { what: what.into(), found, min: -max, max });
            }
        }
        let product =
            volts.zip(amps).map(|(v, a)| i64::try_from(i128::from(v) * i128::from(a) / 1_000_000).unwrap_or(0));
        let mut measured = Vec::new();
        if let Some(power) = watts.or(product) {
            let (bus, current) = (volts.map(MicroVolts), amps.map(MicroAmps));
            measured.push(Measured::Power { flow: self.flow, bus, current, power: MicroWatts(power) });
        }
        if let Some(percent) = self.number("capacity")? {
            let permille = u16::try_from(percent).ok().filter(|p| *p <= 100).ok_or_else(|| Fault::OutOfRange {
                what: "capacity (%)".into(),
                found: percent,
                min: 0,
                max: 100,
            })?;
            measured.push(Measured::ChargePermille(permille * 10));
        }
        if let Some(tenths) = self.number("temp")? {
            measured.push(Measured::Temperature(MilliCelsius(tenths.saturating_mul(100))));
        }
        if measured.is_empty() {
            return Err(Fault::NoFile { file: "voltage_now".into() });
        }
        Ok((SensorState::Ok, measured))
    }
}

/// Some drivers give the current of a discharging battery as a magnitude; the class says negative.
const fn signed(value: i64, discharging: bool) -> i64 {
    if discharging && value > 0 { -value } else { value }
}

impl<A: Attributes> Sensor for PowerSupply<A> {
    fn name(&self) -> String {
        "linux power_supply".into()
    }

    fn poll(&mut self, at: Stamp) -> Report {
        Report::from_result(at, self.sample())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::power_supply::SimPowerSupply;
    use crate::units::UnixSeconds;

    fn poll(files: &[(&str, &str)]) -> Report {
        PowerSupply::new(SimPowerSupply::new(files), Flow::Battery).poll(Stamp::dated(UnixSeconds(0)))
    }

    #[test]
    fn a_discharging_battery_is_negative_whichever_way_the_driver_tells_it() {
        for current in ["1500000", "-1500000"] {
            let files = [("status", "Discharging"), ("voltage_now", "12800000"), ("current_now", current)];
            assert_eq!(poll(&files).power(Flow::Battery), Some(MicroWatts(-19_200_000)));
        }
        let charging = [("status", "Charging"), ("voltage_now", "12800000"), ("power_now", "5000000")];
        assert_eq!(poll(&charging).power(Flow::Battery), Some(MicroWatts(5_000_000)));
    }

    #[test]
    fn absent_damaged_and_impossible_attributes_are_named() {
        assert_eq!(poll(&[]).state.name(), "missing");
        assert_eq!(poll(&[("present", "0"), ("voltage_now", "1")]).state.name(), "missing");
        assert_eq!(poll(&[("voltage_now", "twelve")]).state.name(), "corrupt");
        assert_eq!(poll(&[("voltage_now", "99999999999999")]).state.name(), "out_of_range");
        assert_eq!(poll(&[("capacity", "140")]).state.name(), "out_of_range");
        let gone = PowerSupply::new(SimPowerSupply::failing(), Flow::Battery).poll(Stamp::dated(UnixSeconds(0)));
        assert_eq!(gone.state.name(), "missing");
    }

    #[test]
    fn a_directory_is_read_with_a_bound() {
        let directory = tempfile::tempdir().expect("temporary directory");
        std::fs::write(directory.path().join("voltage_now"), "12800000\n").expect("written");
        std::fs::write(directory.path().join("capacity"), "9".repeat(1_000_000)).expect("written");
        let attributes = Directory(directory.path().into());
        assert_eq!(attributes.get("voltage_now").expect("read").as_deref(), Some("12800000"));
        assert_eq!(attributes.get("capacity").expect("read").map(|t| t.len()), Some(64));
        assert_eq!(attributes.get("absent").expect("read"), None);
    }
}
