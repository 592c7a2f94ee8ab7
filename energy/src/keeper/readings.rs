//! What the sensors said last, and for how long one has said nothing of use.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Trouble;
use crate::{
    charge::Sample,
    sensors::{ChargerPhase, Fault, Flow, Measured, Report, SensorState},
    units::{MicroWatts, MilliVolts, MonoMillis},
};

/// A fault that lasts so long is named. Shorter ones (a bus that was disturbed once) only cost a reading.
const GRACE: MonoMillis = MonoMillis(60_000);
/// A counter that began anew is told for so long.
const TELL_RESET: MonoMillis = MonoMillis(86_400_000);

/// A sensor and what it said at this look.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Name for the owner.
    pub sensor: String,
    /// What it is to measure.
    pub feeds: Vec<Flow>,
    /// What it said.
    pub report: Report,
}

/// One sensor, for the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SensorRow {
    /// Its name.
    pub sensor: String,
    /// What it measures.
    pub feeds: Vec<Flow>,
    /// Name of its state.
    pub state: String,
    /// The state in words.
    pub reason: String,
    /// What it said last that could be used; a counter of its own with the epoch.
    #[serde(default)]
    pub measured: Vec<Measured>,
}

#[derive(Clone, Debug)]
struct Known {
    feeds: Vec<Flow>,
    first_at: MonoMillis,
    ok_at: Option<MonoMillis>,
    state: SensorState,
    fault: Option<Fault>,
    reset: Option<(MonoMillis, u32)>,
    measured: Vec<Measured>,
}

/// All sensors.
#[derive(Clone, Debug, Default)]
pub struct Readings {
    all: BTreeMap<String, Known>,
    phase: Option<ChargerPhase>,
}

/// What one look gave.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// At the battery.
    pub battery: Option<Sample>,
    /// What a device claims to know of the charge, per mille.
    pub claimed_permille: Option<i64>,
    /// Made.
    pub made: Option<MicroWatts>,
    /// Used.
    pub used: Option<MicroWatts>,
    /// Charger.
    pub phase: Option<ChargerPhase>,
}

impl Readings {
    /// Takes what all sensors said. Where two measure the same flow, the first of them that has a figure counts.
    pub fn take(&mut self, readings: &[Reading]) -> Taken {
        let mut taken = Taken::default();
        for reading in readings {
            self.note(reading);
            if !reading.report.state.usable() {
                continue;
            }
            for measured in &reading.report.measured {
                self.measured(measured, reading.report.at.mono, &mut taken);
            }
        }
        taken.phase = self.phase;
        if let Some(battery) = &mut taken.battery {
            battery.charger = self.phase;
        }
        taken
    }

    fn measured(&mut self, measured: &Measured, at: MonoMillis, taken: &mut Taken) {
        match *measured {
            Measured::Power { flow: Flow::Battery, bus: Some(bus), current: Some(current), .. } => {
                let volts = MilliVolts(bus.0 / 1000);
                taken.battery.get_or_insert(Sample { at, volts, current, charger: None });
            }
            Measured::Power { flow: Flow::Production, power, .. } => {
                taken.made.get_or_insert(power);
            }
            Measured::Power { flow: Flow::Consumption, power, .. } => {
                taken.used.get_or_insert(power);
            }
            Measured::ChargePermille(permille) => taken.claimed_permille = Some(i64::from(permille)),
            Measured::Charger(phase) => self.phase = Some(phase),
            _ => {}
        }
    }

    fn note(&mut self, reading: &Reading) {
        let at = reading.report.at.mono;
        let known = self.all.entry(reading.sensor.clone()).or_insert_with(|| Known {
            feeds: reading.feeds.clone(),
            first_at: at,
            ok_at: None,
            state: SensorState::Ok,
            fault: None,
            reset: None,
            measured: Vec::new(),
        });
        match &reading.report.state {
            // It has nothing new, which is no fault by itself.
            SensorState::Faulty(Fault::Stale | Fault::Resting { .. }) => return,
            SensorState::Faulty(fault) => known.fault = Some(fault.clone()),
            SensorState::Ok => (known.ok_at, known.fault) = (Some(at), None),
            SensorState::Reset { epoch } => {
                // The first setting up of a chip is no loss; nor is that of a chip which the switch cut off with the board.
                if known.ok_at.is_some() {
                    known.reset = Some((at, *epoch));
                }
                (known.ok_at, known.fault) = (Some(at), None);
            }
        }
        known.measured.clone_from(&reading.report.measured);
        known.state = reading.report.state.clone();
    }

    /// Troubles at a time.
    #[must_use]
    pub fn troubles(&self, now: MonoMillis) -> Vec<Trouble> {
        let mut all = Vec::new();
        for (sensor, known) in &self.all {
            let silent = now - known.ok_at.unwrap_or(known.first_at);
            match &known.fault {
                // A jump is told at once: it is held back until it is confirmed.
                Some(fault) if silent >= GRACE || fault.name() == "spiking" => {
                    all.push(Trouble::of_sensor(sensor, &known.feeds, fault));
                }
                None if silent > MonoMillis(GRACE.0 * 10) && !known.feeds.is_empty() => {
                    let fault = Fault::Silent { seconds: silent.0 / 1000 };
                    all.push(Trouble::of_sensor(sensor, &known.feeds, &fault));
                }
                _ => {}
            }
            if let Some((_, epoch)) = known.reset.filter(|(at, _)| now - *at < TELL_RESET) {
                all.push(Trouble::CounterReset { sensor: sensor.clone(), epoch });
            }
        }
        all
    }

    /// For the owner.
    #[must_use]
    pub fn rows(&self) -> Vec<SensorRow> {
        let row = |(sensor, known): (&String, &Known)| {
            let state = known.fault.clone().map_or(known.state.clone(), SensorState::Faulty);
            let (sensor, feeds) = (sensor.clone(), known.feeds.clone());
            let measured = if state.usable() { known.measured.clone() } else { Vec::new() };
            SensorRow { sensor, feeds, state: state.name().into(), reason: state.reason(), measured }
        };
        self.all.iter().map(row).collect()
    }
}
