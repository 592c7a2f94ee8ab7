//! A Victron device as a sensor: whoever owns the serial port passes the bytes in.
use super::familiar::Familiar;
use super::fields::{BatteryMonitor, SolarCharger, phase};
use super::parser::{Event, Parser};
use super::{ErrorCode, Frame};
use crate::sensors::counter::{EpochCounter, Step};
use crate::sensors::{Fault, Flow, Measured, Report, Sensor, SensorState, Stamp};
use crate::units::{MicroAmps, MicroVolts, MicroWatts, MilliAmps, MilliVolts, MilliWattHours, MonoMillis};

/// A device sends once a second; so long without a good block is silence.
const SILENCE: MonoMillis = MonoMillis(5_000);

/// Which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VeDirectKind {
    /// A solar charger: makes energy.
    SolarCharger,
    /// A battery monitor.
    BatteryMonitor,
}

/// One serial line. `receive` takes bytes whenever they come; `poll` reports the newest block.
///
/// ```text
///   Listening ──good block──► Fresh ──poll──► reported ──good block──► Fresh …
///       └──── 5 s without a good block: Silent (no byte at all) or Corrupt (bytes, but none that hold) ────┘
/// ```
#[derive(Debug)]
pub struct VeDirect {
    kind: VeDirectKind,
    parser: Parser,
    familiar: Familiar,
    newest: Option<(MonoMillis, Frame)>,
    reported: Option<MonoMillis>,
    listening_since: Option<MonoMillis>,
    last_byte: Option<MonoMillis>,
    rejected: u64,
    implausible: u64,
    counter: EpochCounter,
    /// Steps of 10 Wh that the panel can make in a second, at least 1.
    most_per_second: u64,
}

impl VeDirect {
    /// A device on a plant of at most `max_watts`; `counter` as saved.
    #[must_use]
    pub fn new(kind: VeDirectKind, max_watts: u32, counter: EpochCounter) -> Self {
        Self {
            kind,
            parser: Parser::new(),
            familiar: Familiar::default(),
            newest: None,
            reported: None,
            listening_since: None,
            last_byte: None,
            rejected: 0,
            implausible: 0,
            counter,
            most_per_second: u64::from(max_watts).div_ceil(36_000).max(1),
        }
    }

    /// Takes what came over the line.
    pub fn receive(&mut self, bytes: &[u8], at: MonoMillis) {
        self.listening_since.get_or_insert(at);
        if !bytes.is_empty() {
            self.last_byte = Some(at);
        }
        for event in self.parser.extend(bytes) {
            match event {
                Event::Block(frame) if wanted(self.kind, &frame) => match self.familiar.check(&frame) {
                    Ok(()) => self.newest = Some((at, frame)),
                    Err(_) => self.implausible += 1,
                },
                Event::Block(_) | Event::Hex(_) => {}
                Event::Rejected(_) => self.rejected += 1,
            }
        }
    }

    /// The newest good block.
    #[must_use]
    pub fn newest(&self) -> Option<&Frame> {
        self.newest.as_ref().map(|(_, frame)| frame)
    }

    /// How often bytes were thrown away.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// How often a block with a right sum was not believed.
    #[must_use]
    pub const fn implausible(&self) -> u64 {
        self.implausible
    }

    /// To be saved and given to [`VeDirect::new`] after a restart.
    #[must_use]
    pub const fn counter(&self) -> &EpochCounter {
        &self.counter
    }

    fn sample(&mut self, at: Stamp) -> Result<(SensorState, Vec<Measured>), Fault> {
        let since = *self.listening_since.get_or_insert(at.mono);
        let heard = self.newest.as_ref().map_or(since, |(when, _)| *when);
        if at.mono - heard > SILENCE {
            let seconds = (at.mono - heard).0 / 1000;
            return Err(if self.last_byte.is_some_and(|byte| at.mono - byte <= SILENCE) {
                Fault::corrupt(format!("bytes come, but no whole block for {seconds} s"))
            } else {
                Fault::Silent { seconds }
            });
        }
        let Some((when, frame)) = self.newest.clone() else { return Err(Fault::Stale) };
        if self.reported.replace(when) == Some(when) {
            return Err(Fault::Stale);
        }
        match self.kind {
            VeDirectKind::SolarCharger => self.charger(&SolarCharger::from(&frame), when),
            VeDirectKind::BatteryMonitor => Ok((SensorState::Ok, monitor(&BatteryMonitor::from(&frame)))),
        }
    }

    fn charger(&mut self, told: &SolarCharger, when: MonoMillis) -> Result<(SensorState, Vec<Measured>), Fault> {
        if let Some(error @ ErrorCode(116 | 117)) = told.error {
            return Err(Fault::corrupt(error.reason().unwrap_or_default()));
        }
        let mut measured = Vec::new();
        let mut state = SensorState::Ok;
        if let Some(watts) = told.panel_watts {
            let bus = told.panel_volts.map(micro_volts);
            let power = MicroWatts(watts.0.saturating_mul(1000));
            measured.push(Measured::Power { flow: Flow::Production, bus, current: None, power });
        }
        if let (Some(volts), Some(amps)) = (told.battery_volts, told.battery_amps) {
            measured.push(power(Flow::Battery, volts, amps));
        }
        // The load output is fed from the battery's terminals.
        if let (Some(volts), Some(amps)) = (told.battery_volts, told.load_amps) {
            measured.push(power(Flow::Consumption, volts, amps));
        }
        if let Some(code) = told.state {
            measured.push(Measured::Charger(phase(code)));
        }
        if let Some(raw) = told.total.and_then(|t| u64::try_from(t.0 / 10_000).ok()) {
            match self.counter.observe(raw, when, self.most_per_second) {
                Step::NewEpoch => state = SensorState::Reset { epoch: self.counter.epoch() },
                Step::First | Step::Grew(_) | Step::Held | Step::Implausible(_) => {}
            }
            let total = i64::try_from(self.counter.total()).unwrap_or(i64::MAX).saturating_mul(10_000);
            let (flow, epoch) = (Flow::Production, self.counter.epoch());
            measured.push(Measured::Energy { flow, epoch, total: MilliWattHours(total) });
        }
        Ok((state, measured))
    }
}

/// Battery monitors send two kinds of blocks; only the one with the voltage is a reading.
fn wanted(kind: VeDirectKind, frame: &Frame) -> bool {
    match kind {
        VeDirectKind::SolarCharger => frame.text("PPV").is_some() || frame.text("CS").is_some(),
        VeDirectKind::BatteryMonitor => frame.text("V").is_some(),
    }
}

fn monitor(told: &BatteryMonitor) -> Vec<Measured> {
    let mut measured = Vec::new();
    if let (Some(volts), Some(amps)) = (told.volts, told.amps) {
        measured.push(power(Flow::Battery, volts, amps));
    }
    measured.extend(told.permille.map(Measured::ChargePermille));
    measured
}

const fn micro_volts(volts: MilliVolts) -> MicroVolts {
    MicroVolts(volts.0.saturating_mul(1000))
}

const fn power(flow: Flow, volts: MilliVolts, amps: MilliAmps) -> Measured {
    let current = MicroAmps(amps.0.saturating_mul(1000));
    Measured::Power {
        flow,
        bus: Some(micro_volts(volts)),
        current: Some(current),
        power: MicroWatts(volts.0.saturating_mul(amps.0)),
    }
}

impl Sensor for VeDirect {
    fn name(&self) -> String {
        match self.kind {
            VeDirectKind::SolarCharger => "ve.direct solar charger".into(),
            VeDirectKind::BatteryMonitor => "ve.direct battery monitor".into(),
        }
    }

    fn poll(&mut self, at: Stamp) -> Report {
        let result = self.sample(at);
        Report::from_result(at, result)
    }

    fn counter(&self) -> Option<&EpochCounter> {
        Some(&self.counter)
    }
}
