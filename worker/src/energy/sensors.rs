//! The sensors of a worker, at the rim: asked at each look, opened when they can be, their counters kept.
//!
//! - `spec`: sensors as the owner names them; `open`: opens buses, ports and connections, the only place that does
//! - `counters`: what outlives a restart
pub mod counters;
mod open;
mod spec;

use std::time::Instant;

use sunwork_energy::{
    keeper::Reading,
    sensors::{Fault, Report, Stamp, counter::EpochCounter},
    sun::Place,
};

pub use counters::Counters;
pub use open::Bus;
use open::{Around, Gone, Open, open};
pub use spec::{Device, SensorError, SensorSpec, flow_name};

use super::wake::Waker;

/// A named sensor; a bus that cannot be opened is tried again at every look.
struct Slot {
    spec: SensorSpec,
    open: Option<Open>,
    /// When it was last tried.
    tried: Option<Instant>,
    /// As it stood last; none before the device was opened for the first time.
    counter: Option<EpochCounter>,
}

/// All sensors of a worker.
pub struct Sensors {
    slots: Vec<Slot>,
    around: Around,
    /// As an earlier run left them.
    left: Counters,
}

impl Sensors {
    /// Nothing is opened yet. `left`: counters of an earlier run.
    #[must_use]
    pub fn new(specs: Vec<SensorSpec>, panel_wp: u32, place: Option<Place>, left: Counters) -> Self {
        let slot = |spec| Slot { spec, open: None, tried: None, counter: None };
        let slots = specs.into_iter().map(slot).collect();
        // Cloud edges give more than the label says, and the board may draw more than a small panel gives.
        Self { slots, around: Around { max_watts: panel_wp.saturating_mul(2).max(200), place }, left }
    }

    /// Asks all of them.
    pub fn look(&mut self, at: Stamp) -> Vec<Reading> {
        let (around, left) = (self.around, &self.left);
        self.slots.iter_mut().map(|slot| slot.look(at, around, left)).collect()
    }

    /// The counters as they stand, those of devices that were not opened yet as they were left.
    #[must_use]
    pub fn counters(&self, now: Stamp) -> Counters {
        let mut counters = self.left.clone();
        counters.take(now, self.slots.iter().filter_map(|slot| Some((slot.spec.counts_as(), slot.counter.clone()?))));
        counters
    }

    /// What wakes the board, where there is one that is open.
    pub fn waker(&mut self) -> Option<&mut dyn Waker> {
        self.slots.iter_mut().find_map(|slot| slot.open.as_mut()?.waker())
    }

    /// Whether something that wakes the board is named.
    #[must_use]
    pub fn names_waker(&self) -> bool {
        self.slots.iter().any(|slot| slot.spec.wakes())
    }
}

/// How often a bus that cannot be opened is tried again.
const OPEN_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

impl Slot {
    fn look(&mut self, at: Stamp, around: Around, left: &Counters) -> Reading {
        let (sensor, feeds) = (self.spec.name(), self.spec.feeds());
        let wait = self.tried.is_some_and(|tried| tried.elapsed() < OPEN_AGAIN);
        if self.open.is_none() && !wait {
            self.tried = Some(Instant::now());
            let counter = self.counter.clone().unwrap_or_else(|| left.resumed(&self.spec.counts_as(), at));
            match open(&self.spec, at, around, counter) {
                Ok(open) => self.open = Some(open),
                Err(problem) => tracing::warn!(sensor, problem, "cannot open a sensor; trying again"),
            }
        }
        let report = match self.open.as_mut().map(|open| open.look(at)) {
            Some(Ok(report)) => report,
            Some(Err(Gone(problem))) => {
                tracing::warn!(sensor, problem, "a sensor is gone; it is opened anew");
                self.open = None;
                Report::from_result(at, Err(missing(&self.spec)))
            }
            None => Report::from_result(at, Err(missing(&self.spec))),
        };
        if let Some(counter) = self.open.as_mut().and_then(Open::counter) {
            self.counter = Some(counter.clone());
        }
        Reading { sensor, feeds, report }
    }
}

fn missing(spec: &SensorSpec) -> Fault {
    match spec.device {
        Device::SunSpec => Fault::NoAnswer,
        _ => Fault::NoFile { file: spec.path.display().to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sunwork_energy::{
        sensors::Flow,
        units::{MicroWatts, MonoMillis, UnixSeconds},
    };

    fn sensors(specs: Vec<SensorSpec>) -> Sensors {
        Sensors::new(specs, 100, None, Counters::default())
    }

    #[test]
    fn what_cannot_be_opened_is_a_missing_sensor_and_nothing_ends() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        let texts = [
            format!("ina228 battery {}", gone.display()),
            format!("ve-direct-charger {}", gone.display()),
            format!("power-supply battery {}", gone.display()),
            format!("bme280 {}", gone.display()),
            format!("witty-pi-5 {}", gone.display()),
        ];
        let specs = texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut sensors = self::tests::sensors(specs);
        let readings = sensors.look(Stamp::dated(UnixSeconds(1_780_272_000)));
        assert_eq!(readings.len(), 5);
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
        let readings = sensors(vec![spec]).look(Stamp::dated(UnixSeconds(1_780_272_000)));
        assert_eq!(readings[0].report.power(Flow::Battery), Some(MicroWatts(-6_500_000)));
    }

    /// A SunSpec device with one panel input that has made so many watt hours in its life.
    #[derive(Clone)]
    struct Inverter(std::sync::Arc<std::sync::atomic::AtomicU32>);

    impl tokio_modbus::server::Service for Inverter {
        type Request = tokio_modbus::Request<'static>;
        type Response = tokio_modbus::Response;
        type Exception = tokio_modbus::ExceptionCode;
        type Future = std::future::Ready<Result<Self::Response, Self::Exception>>;

        fn call(&self, request: Self::Request) -> Self::Future {
            let mut sim = sunwork_energy::sim::sunspec::SimSunSpec::new(40_000);
            sim.add_inputs(&[(100, self.0.load(std::sync::atomic::Ordering::Relaxed))]);
            std::future::ready(match request {
                tokio_modbus::Request::ReadHoldingRegisters(address, count) => {
                    let words = sim.get(address, count).map(tokio_modbus::Response::ReadHoldingRegisters);
                    words.ok_or(tokio_modbus::ExceptionCode::IllegalDataAddress)
                }
                _ => Err(tokio_modbus::ExceptionCode::IllegalFunction),
            })
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sunspec_device_is_read_over_the_network_and_its_counter_goes_on_after_a_restart() {
        use sunwork_energy::{sensors::Measured, units::MilliWattHours};
        use tokio_modbus::server::tcp::{Server, accept_tcp_connection};
        let made = Inverter(std::sync::Arc::new(70_000.into()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let device = made.clone();
        let server = tokio::spawn(async move {
            let connected = |stream, peer| {
                let device = device.clone();
                async move { accept_tcp_connection(stream, peer, |_| Ok(Some(device.clone()))) }
            };
            let _ = Server::new(listener).serve(&connected, |_| ()).await;
        });
        let spec: SensorSpec = format!("sunspec production {address}").parse().unwrap();
        // A run of the worker: looks at these seconds, from what an earlier one left.
        let run = async |left: Counters, second: i64, mono: i64| {
            let spec = spec.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let mut sensors = Sensors::new(vec![spec], 5_000, None, left);
                let at = Stamp { mono: MonoMillis(mono * 1000), unix: Some(UnixSeconds(1_780_272_000 + second)) };
                let report = sensors.look(at).remove(0).report;
                (report, sensors.counters(at))
            });
            looked.await.unwrap()
        };
        let counted = |report: &Report| {
            report.measured.iter().find_map(|measured| match measured {
                Measured::Energy { epoch, total, .. } => Some((*epoch, *total)),
                _ => None,
            })
        };
        let (report, left) = run(Counters::default(), 0, 500).await;
        assert_eq!(report.power(Flow::Production), Some(MicroWatts(10_000_000)), "{report:?}");
        assert_eq!(counted(&report), Some((0, MilliWattHours(0))));
        made.0.store(71_500, std::sync::atomic::Ordering::Relaxed);
        let (report, left) = run(left, 3_600, 3).await;
        assert_eq!(counted(&report), Some((0, MilliWattHours(1_500_000))), "what it made while the worker was down");
        made.0.store(10, std::sync::atomic::Ordering::Relaxed);
        let (report, left) = run(left, 7_200, 3).await;
        assert_eq!((counted(&report), report.state.name()), (Some((1, MilliWattHours(1_500_000))), "reset"));
        server.abort();
        let (report, same) = run(left.clone(), 7_300, 3).await;
        assert!(!report.state.usable(), "{report:?}");
        assert_eq!(same.epochs(), left.epochs(), "who does not answer is not forgotten");
    }
}
