//! A simulated site with the real drivers on its bus: what a worker reads when it is told to simulate.
use super::{
    bus::SimBus,
    scenario::{SHUNT_MICROOHM, Scenario, Site, address},
    trace::{Sky, Trace, TraceError},
};
use crate::{
    charge::Battery,
    forecast::harvest,
    keeper::{Mode, Plant, Reading, Row, row::ROW_SECONDS},
    sensors::{
        Fault, Flow, Sensor, Stamp,
        counter::EpochCounter,
        guard::{Guard, Limits},
        ina228::Ina228,
        vedirect::{VeDirect, VeDirectKind},
        wittypi4::{self, GuaranteedWake, WakeError, WakeSet, WittyPi4},
    },
    sun::Place,
    units::{MicroWatts, MilliAmpHours, MilliWattHours, MilliWatts, MonoMillis, UnixSeconds},
};

/// Days of history that a simulated worker is born with, so that it has a forecast at once.
pub const HISTORY_DAYS: i64 = 20;
/// The same digits for so long are a sensor that hangs.
pub const FROZEN_AFTER: MonoMillis = MonoMillis(1_800_000);
const MAX_MILLIAMPS: u32 = 16_384;

type Ina = Guard<Ina228<SimBus>>;

/// The site and what hangs on it.
#[derive(Debug)]
pub struct Rig {
    site: Site,
    made: Ina,
    used: Ina,
    battery: Ina,
    charger: VeDirect,
    switch: WittyPi4<SimBus>,
}

impl Rig {
    /// Builds site and drivers; `recorded` as in [`Site::new`].
    ///
    /// # Errors
    /// [`TraceError`] for a recorded trace that cannot be used.
    pub fn new(scenario: &Scenario, recorded: Option<&str>) -> Result<Self, TraceError> {
        Self::at(scenario, recorded, scenario.start, scenario.charge_permille)
    }

    /// The same at a later time, with another charge: a simulation that goes on.
    ///
    /// # Errors
    /// As [`Rig::new`].
    pub fn at(
        scenario: &Scenario,
        recorded: Option<&str>,
        now: UnixSeconds,
        charge_permille: u16,
    ) -> Result<Self, TraceError> {
        let mut site = Site::at(scenario, recorded, now, charge_permille)?;
        let bus = site.bus();
        let watts = scenario.panel_wp.max(10) * 2;
        let ina = |at: u8, flow: Flow| -> Result<Ina, TraceError> {
            let chip = Ina228::new(
                bus.clone(),
                at,
                flow,
                SHUNT_MICROOHM,
                MAX_MILLIAMPS,
                watts.max(200),
                EpochCounter::default(),
            );
            // Shunt and current are constants that go together.
            let chip = chip.map_err(|_| TraceError::Size { points: 0 })?;
            let power = MicroWatts(i64::from(watts.max(200)) * 1_000_000);
            let spike = MicroWatts(power.0 / 2);
            let place = Place::new(scenario.latitude, scenario.longitude, 0.0).ok();
            let limits = Limits { max_power: power, frozen_after: FROZEN_AFTER, spike, place };
            Ok(Guard::new(chip, limits))
        };
        let (made, used) = (ina(address::PRODUCTION, Flow::Production)?, ina(address::CONSUMPTION, Flow::Consumption)?);
        let battery = ina(address::BATTERY, Flow::Battery)?;
        let charger = VeDirect::new(VeDirectKind::SolarCharger, watts, EpochCounter::default());
        let switch = WittyPi4::new(site.bus(), wittypi4::ADDRESS, MonoMillis(now.0 * 1000));
        site.started();
        Ok(Self { site, made, used, battery, charger, switch })
    }

    /// The plant that a scenario describes.
    #[must_use]
    pub fn plant(scenario: &Scenario, max_gap: MonoMillis) -> Plant {
        // A scenario's numbers are read from a file; a place that is none becomes the equator.
        let place = Place::new(scenario.latitude, scenario.longitude, 0.0);
        let place = place.unwrap_or(Place { latitude_degrees: 0.0, longitude_degrees: 0.0, altitude_metres: 0.0 });
        Plant {
            site: harvest::Site::At(place),
            battery: Battery::lifepo4_12v(MilliAmpHours(i64::from(scenario.battery_wh) * 10_000 / 128)),
            board: scenario.board,
            extra: scenario.extra,
            sleep: MilliWatts(150),
            max_gap,
        }
    }

    /// History of the days before the start, as the worker would have written it down: of the recorded trace, else generated.
    ///
    /// # Errors
    /// [`TraceError`] for a recorded trace that cannot be used.
    pub fn history(scenario: &Scenario, recorded: Option<&str>) -> Result<Vec<Row>, TraceError> {
        let first = scenario.start.0.div_euclid(ROW_SECONDS) * ROW_SECONDS - HISTORY_DAYS * 86_400;
        let trace = match recorded {
            Some(text) => Trace::parse_csv(text, 1.0)?,
            None => {
                let (latitude, clearness, panel_wp) = (scenario.latitude, scenario.clearness, scenario.panel_wp);
                let sky = Sky { latitude, clearness, panel_wp, seed: !scenario.seed };
                Trace::generate(&sky, UnixSeconds(first), HISTORY_DAYS as u32 + 1)
            }
        };
        let row = |index: i64| {
            let start = UnixSeconds(first + index * ROW_SECONDS);
            let made = trace.at(UnixSeconds(start.0 + ROW_SECONDS / 2)).over(ROW_SECONDS);
            Row {
                start,
                made,
                used: MilliWattHours(0),
                expected: MilliWattHours(0),
                low: MilliWattHours(0),
                charge_permille: None,
                bound_permille: 1000,
                measured_seconds: if trace.covers(start) { ROW_SECONDS } else { 0 },
                curtailed: false,
                mode: Mode::Pause,
            }
        };
        Ok((0..HISTORY_DAYS * 96).map(row).collect())
    }

    /// The simulated site, for tests that break it.
    pub const fn site(&mut self) -> &mut Site {
        &mut self.site
    }

    /// Lets time pass.
    pub fn advance(&mut self, seconds: i64) {
        self.site.advance(seconds);
    }

    /// Time at the site, by a clock that is right.
    #[must_use]
    pub fn now(&self) -> Stamp {
        Stamp::dated(self.site.plant().now())
    }

    /// Asks all sensors.
    pub fn readings(&mut self, at: Stamp) -> Vec<Reading> {
        self.charger.receive(&self.site.serial(), at.mono);
        let one = |name: &str, feeds: &[Flow], sensor: &mut dyn Sensor| Reading {
            sensor: format!("{name}: {}", sensor.name()),
            feeds: feeds.to_vec(),
            report: sensor.poll(at),
        };
        vec![
            one("panel", &[Flow::Production], &mut self.made),
            one("board", &[Flow::Consumption], &mut self.used),
            one("battery", &[Flow::Battery], &mut self.battery),
            one("charger", &[], &mut self.charger),
        ]
    }

    /// Sets the wake alarm and reads it back.
    ///
    /// # Errors
    /// See [`WakeError`]; then the board stays on.
    pub fn set_wake(&mut self, at: UnixSeconds) -> Result<WakeSet, WakeError> {
        let now = self.site.plant().now();
        self.switch.set_wake(at, now, GuaranteedWake::Hours(24))
    }

    /// Why the switch would not answer, if it does not.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn find_switch(&mut self) -> Result<(), Fault> {
        self.switch.identify()
    }
}
