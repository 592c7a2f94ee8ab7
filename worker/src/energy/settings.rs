//! Settings of the energy: panel, battery, board, sensors, or a simulation in their place.
use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use sunwork_energy::{
    charge::{Battery, Chemistry},
    forecast::harvest::Site,
    keeper::Plant,
    sun::Place,
    units::{MilliAmpHours, MilliVolts, MilliWatts, MonoMillis},
    work::Board,
};
use sunwork_tpm::{DEFAULT_TCTI, Tpm};

use super::sensors::SensorSpec;
use crate::{amount::Unit, config::ConfigError};

/// Settings as they are given; part of [`crate::config::Layer`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
pub struct EnergyLayer {
    /// Sensors of the energy, one text each: "ina228 production /dev/i2c-1 0x40 shunt_uohm=10000 max_ma=16384" (also ina226, ina219;
    /// production, consumption or battery), "ve-direct-charger /dev/ttyUSB0", "ve-direct-monitor /dev/ttyUSB1",
    /// "power-supply battery /sys/class/power_supply/BAT0", "sunspec production 192.168.1.20:502 unit=1", "witty-pi-4 /dev/i2c-1" (also
    /// witty-pi-5), "bme280 /dev/i2c-1". In flag and variable separate them by semicolons.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_SENSORS", value_delimiter = ';', global = true)]
    pub energy_sensors: Option<Vec<String>>,
    /// Run on a simulated site instead of sensors: a file of lines "RFC 3339 time,watts", or a JSON description (docs/ENERGY.md).
    #[arg(long, env = "SUNWORK_WORKER_SIMULATE", global = true)]
    pub simulate: Option<PathBuf>,
    /// Simulated seconds that pass in one second.
    #[arg(long, env = "SUNWORK_WORKER_SIMULATE_SPEED", global = true)]
    pub simulate_speed: Option<u32>,
    /// What the battery holds by its label, Wh. Needed with sensors.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_BATTERY_WH", global = true)]
    pub energy_battery_wh: Option<u32>,
    /// Nominal voltage of the battery, volts.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_BATTERY_VOLTS", global = true)]
    pub energy_battery_volts: Option<String>,
    /// Kind of cells: lifepo4 or lead-acid.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_BATTERY_CHEMISTRY", global = true)]
    pub energy_battery_chemistry: Option<String>,
    /// Peak power of the panel, W. Needed with sensors.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_PANEL_WP", global = true)]
    pub energy_panel_wp: Option<u32>,
    /// Where the panel stands: degrees north, degrees east, metres above the sea, such as "52.4,4.9,10"; a tenth of a degree will do.
    /// Needed with sensors.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_PLACE", allow_hyphen_values = true, global = true)]
    pub energy_place: Option<String>,
    /// The board, for what it uses where no sensor measures it: pi3b+, pi4b, pi5b or pi-zero-2w.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_BOARD", global = true)]
    pub energy_board: Option<String>,
    /// What camera, radio and converters use besides the board, W.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_EXTRA_WATTS", global = true)]
    pub energy_extra_watts: Option<String>,
    /// How often the sensors are read, seconds.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_INTERVAL_SECS", global = true)]
    pub energy_interval_secs: Option<u32>,
    /// Whether the board may be put to sleep; it never is without a device that wakes it.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_SLEEP", global = true)]
    pub energy_sleep: Option<bool>,
    /// What halts the board for a planned sleep, word by word.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_HALT", value_delimiter = ' ', global = true)]
    pub energy_halt: Option<Vec<String>>,
    /// Where the next key of the meter is made: software, or tpm (a TPM 2.0, in builds with the feature `tpm`). A key that is there stays
    /// where it is; `energy meter replace-key` puts a new one in its place.
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_METER_KEY", global = true)]
    pub energy_meter_key: Option<String>,
    /// The TPM of the meter's key, as tpm2-tss names it: "device:/dev/tpmrm0", or "swtpm:host=127.0.0.1,port=2321".
    #[arg(long, env = "SUNWORK_WORKER_ENERGY_TPM", global = true)]
    pub energy_tpm: Option<String>,
}

/// Where a meter's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// In a keystore.
    Software,
    /// In a TPM 2.0.
    Tpm,
}

/// Where the readings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// Devices.
    Sensors(Vec<SensorSpec>),
    /// A file.
    Simulation {
        /// The file.
        file: PathBuf,
        /// Simulated seconds in one second.
        speed: u32,
    },
}

/// Settings as they are used.
#[derive(Clone, Debug, PartialEq)]
pub struct EnergySettings {
    /// Where readings come from.
    pub from: From,
    /// Panel, battery and board.
    pub plant: Plant,
    /// Peak of the panel, W.
    pub panel_wp: u32,
    /// How often.
    pub interval: Duration,
    /// Whether planned sleep is allowed.
    pub sleep: bool,
    /// What halts the board.
    pub halt: Vec<String>,
}

impl EnergyLayer {
    /// This layer over another one.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        macro_rules! layered { ($($field:ident),+ $(,)?) => { Self { $($field: self.$field.or(below.$field)),+ } } }
        layered!(
            energy_sensors,
            simulate,
            simulate_speed,
            energy_battery_wh,
            energy_battery_volts,
            energy_battery_chemistry,
            energy_panel_wp,
            energy_place,
            energy_board,
            energy_extra_watts,
            energy_interval_secs,
            energy_sleep,
            energy_halt,
            energy_meter_key,
            energy_tpm,
        )
    }

    /// Where the next key of the meter is made.
    ///
    /// # Errors
    /// When it is none of the two.
    pub fn meter_key(&self) -> Result<KeyPlace, ConfigError> {
        match self.energy_meter_key.as_deref().unwrap_or("software") {
            "software" => Ok(KeyPlace::Software),
            "tpm" => Ok(KeyPlace::Tpm),
            other => Err(value("energy_meter_key", other, "expected software or tpm")),
        }
    }

    /// Where the TPM is, if there is one.
    #[must_use]
    pub fn tpm(&self) -> Tpm {
        Tpm::at(self.energy_tpm.as_deref().unwrap_or(DEFAULT_TCTI))
    }

    /// Checked; `None` where the owner says nothing of energy.
    ///
    /// # Errors
    /// The first value that is missing or cannot be used.
    pub fn settle(&self) -> Result<Option<EnergySettings>, ConfigError> {
        self.meter_key()?;
        let texts = self.energy_sensors.clone().unwrap_or_default();
        let texts: Vec<&str> = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).collect();
        let from = match (&self.simulate, texts.is_empty()) {
            (None, true) => return Ok(None),
            (Some(file), true) => {
                let speed = self.simulate_speed.unwrap_or(1);
                range("simulate_speed", speed, 1..=100_000, "1 to 100000")?;
                From::Simulation { file: file.clone(), speed }
            }
            (Some(file), false) => {
                let problem = "sensors are set too (energy_sensors); take one of them out";
                return Err(value("simulate", &file.display().to_string(), problem));
            }
            (None, false) => {
                let specs = texts.iter().map(|text| text.parse::<SensorSpec>());
                let read = specs.collect::<Result<Vec<_>, _>>();
                From::Sensors(read.map_err(|error| value("energy_sensors", &texts.join("; "), error))?)
            }
        };
        let real = matches!(from, From::Sensors(_));
        let needed = |what: &'static str, key: &'static str, given: Option<u32>, fallback: u32| match given {
            Some(number) => Ok(number),
            None if !real => Ok(fallback),
            None => Err(value(key, "", format!("expected {what}: with sensors it must be set"))),
        };
        let battery_wh = needed("the battery's watt hours", "energy_battery_wh", self.energy_battery_wh, 384)?;
        range("energy_battery_wh", battery_wh, 5..=100_000, "5 to 100000")?;
        let panel_wp = needed("the panel's peak watts", "energy_panel_wp", self.energy_panel_wp, 100)?;
        range("energy_panel_wp", panel_wp, 1..=100_000, "1 to 100000")?;
        let seconds = self.energy_interval_secs.unwrap_or(10);
        range("energy_interval_secs", seconds, 1..=300, "1 to 300")?;
        let volts = thousandths("energy_battery_volts", self.energy_battery_volts.as_deref().unwrap_or("12.8"))?;
        if !(3_000..=60_000).contains(&volts) {
            return Err(value("energy_battery_volts", &(volts / 1000).to_string(), "expected 3 to 60"));
        }
        let extra = thousandths("energy_extra_watts", self.energy_extra_watts.as_deref().unwrap_or("0"))?;
        if extra > 1_000_000 {
            return Err(value("energy_extra_watts", &(extra / 1000).to_string(), "expected 0 to 1000"));
        }
        let plant = Plant {
            site: Site::At(self.place(real)?),
            battery: self.battery(battery_wh, volts)?,
            board: self.board()?,
            extra: MilliWatts(extra),
            sleep: MilliWatts(150),
            max_gap: MonoMillis(i64::from(seconds) * 3000 + 60_000),
        };
        let halt = self.energy_halt.clone().unwrap_or_else(|| vec!["systemctl".into(), "poweroff".into()]);
        let interval = Duration::from_secs(seconds.into());
        let sleep = self.energy_sleep.unwrap_or(true);
        Ok(Some(EnergySettings { from, plant, panel_wp, interval, sleep, halt }))
    }

    /// Where the panel stands, by the settings.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn site(&self) -> Result<Site, ConfigError> {
        self.place(true).map(Site::At)
    }

    fn place(&self, real: bool) -> Result<Place, ConfigError> {
        let expected = "expected degrees north, degrees east, metres, such as \"52.4,4.9,10\"";
        let Some(text) = &self.energy_place else {
            if real {
                return Err(value("energy_place", "", format!("{expected}: with sensors it must be set")));
            }
            return Ok(Place { latitude_degrees: 45.0, longitude_degrees: 0.0, altitude_metres: 0.0 });
        };
        let numbers: Vec<f64> = text.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        match (numbers[..].split_first(), text.split(',').count() == numbers.len()) {
            (Some((north, [east, rest @ ..])), true) if rest.len() <= 1 => {
                let metres = rest.first().copied().unwrap_or(0.0);
                Place::new(*north, *east, metres).map_err(|error| value("energy_place", text, error))
            }
            _ => Err(value("energy_place", text, expected)),
        }
    }

    fn battery(&self, wh: u32, millivolts: i64) -> Result<Battery, ConfigError> {
        let capacity = MilliAmpHours(i64::from(wh) * 1_000_000 / millivolts);
        // Thresholds of a 12.8 V battery, for as many cells as the voltage says.
        let scaled = |volts: i64, of: i64| MilliVolts(volts * millivolts / of);
        let lithium = Battery::lifepo4_12v(capacity);
        let nominal = MilliVolts(millivolts);
        match self.energy_battery_chemistry.as_deref().unwrap_or("lifepo4") {
            "lifepo4" => {
                Ok(Battery { nominal, absorption: scaled(14_200, 12_800), low_knee: scaled(12_300, 12_800), ..lithium })
            }
            "lead-acid" => Ok(Battery {
                chemistry: Chemistry::LeadAcid,
                nominal,
                absorption: scaled(14_400, 12_000),
                low_knee: scaled(11_800, 12_000),
                capacity_sigma: 0.1,
                ..lithium
            }),
            other => Err(value("energy_battery_chemistry", other, "expected lifepo4 or lead-acid")),
        }
    }

    fn board(&self) -> Result<Board, ConfigError> {
        match self.energy_board.as_deref().unwrap_or("pi4b") {
            "pi3b+" => Ok(Board::Pi3BPlus),
            "pi4b" => Ok(Board::Pi4B),
            "pi5b" => Ok(Board::Pi5B),
            "pi-zero-2w" => Ok(Board::PiZero2W),
            other => Err(value("energy_board", other, "expected pi3b+, pi4b, pi5b or pi-zero-2w")),
        }
    }
}

fn value(key: &'static str, found: &str, problem: impl std::fmt::Display) -> ConfigError {
    let (key, found) = (key.to_owned(), found.to_owned());
    ConfigError::Value { key, origin: String::new(), found, problem: problem.to_string() }
}

fn range(
    key: &'static str,
    found: u32,
    range: std::ops::RangeInclusive<u32>,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if range.contains(&found) { Ok(()) } else { Err(ConfigError::Range { key, found: found.to_string(), expected }) }
}

/// "12.8" as 12800.
fn thousandths(key: &'static str, text: &str) -> Result<i64, ConfigError> {
    let unit = Unit { symbol: String::new(), decimals: 3 };
    let parsed = unit.parse(text).map_err(|error| value(key, text, error))?;
    i64::try_from(parsed).map_err(|error| value(key, text, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real() -> EnergyLayer {
        EnergyLayer {
            energy_sensors: Some(vec!["ina228 battery /dev/i2c-1 0x40".into(), "witty-pi-4 /dev/i2c-1".into()]),
            energy_battery_wh: Some(384),
            energy_panel_wp: Some(100),
            energy_place: Some("-33.9,18.4,20".into()),
            ..EnergyLayer::default()
        }
    }

    #[test]
    fn who_says_nothing_of_energy_has_none_and_who_has_sensors_describes_the_plant() {
        assert_eq!(EnergyLayer::default().settle().unwrap(), None);
        let settled = real().settle().unwrap().unwrap();
        assert_eq!(settled.plant.battery.capacity, MilliAmpHours(30_000));
        assert_eq!((settled.plant.board, settled.sleep), (Board::Pi4B, true));
        assert_eq!(settled.halt, ["systemctl", "poweroff"]);
        let simulated = EnergyLayer { simulate: Some("sky.csv".into()), ..EnergyLayer::default() };
        assert_eq!(simulated.settle().unwrap().unwrap().from, From::Simulation { file: "sky.csv".into(), speed: 1 });
    }

    #[test]
    fn every_mistake_is_named() {
        let wrong = |change: &dyn Fn(&mut EnergyLayer)| {
            let mut layer = real();
            change(&mut layer);
            layer.settle().unwrap_err().to_string()
        };
        assert!(wrong(&|l| l.energy_battery_wh = None).contains("energy_battery_wh"));
        assert!(wrong(&|l| l.energy_place = None).contains("52.4,4.9,10"));
        assert!(wrong(&|l| l.energy_place = Some("91,0".into())).contains("latitude 91"));
        assert!(wrong(&|l| l.energy_place = Some("north".into())).contains("degrees north"));
        assert!(wrong(&|l| l.energy_board = Some("pi9".into())).contains("pi-zero-2w"));
        assert!(wrong(&|l| l.energy_battery_chemistry = Some("nimh".into())).contains("lead-acid"));
        assert!(wrong(&|l| l.energy_interval_secs = Some(0)).contains("1 to 300"));
        assert!(wrong(&|l| l.energy_battery_volts = Some("100".into())).contains("3 to 60"));
        assert!(wrong(&|l| l.energy_sensors = Some(vec!["ina999 battery /dev/i2c-1".into()])).contains("ina999"));
        assert!(wrong(&|l| l.simulate = Some("x.csv".into())).contains("energy_sensors"));
        assert!(wrong(&|l| l.energy_meter_key = Some("atecc608".into())).contains("software or tpm"));
    }
}
