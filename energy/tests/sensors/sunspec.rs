//! SunSpec: models at every base, scale factors, counters, damage; over TCP with the feature `sunspec`.
use sunwork_energy::sensors::counter::EpochCounter;
use sunwork_energy::sensors::sunspec::{SunSpec, decode, scan};
use sunwork_energy::sensors::{Fault, Flow, Measured, Report, Stamp};
use sunwork_energy::sim::sunspec::SimSunSpec;
use sunwork_energy::units::{MicroWatts, MilliWattHours, UnixSeconds};

const fn at(second: i64) -> Stamp {
    Stamp::dated(UnixSeconds(second))
}

async fn poll(sim: SimSunSpec) -> Report {
    SunSpec::new(sim, 5_000, EpochCounter::default()).poll(at(0)).await
}

fn device(base: u16) -> SimSunSpec {
    let mut sim = SimSunSpec::new(base);
    sim.add_inverter(1_450, 9_000_000);
    sim.add_inputs(&[(7_512, 4_000_000), (7_480, 5_000_000)]);
    sim.add_battery(873, 3, 412);
    sim
}

#[tokio::test]
async fn a_device_is_found_at_each_base_and_read_without_counting_its_production_twice() {
    for base in [40_000, 50_000, 0] {
        let report = poll(device(base)).await;
        assert_eq!(report.power(Flow::Production), Some(MicroWatts(1_499_200_000)), "{report:?}");
        assert_eq!(report.power(Flow::Battery), Some(MicroWatts(-412_000_000)), "discharging");
        assert!(report.measured.contains(&Measured::ChargePermille(873)));
        assert_eq!(report.measured.iter().filter(|m| matches!(m, Measured::Energy { .. })).count(), 1);
    }
    let mut inverter = SimSunSpec::new(40_000);
    inverter.add_inverter(1_450, 9_000_000);
    assert_eq!(poll(inverter).await.power(Flow::Production), Some(MicroWatts(1_450_000_000)));
}

#[tokio::test]
async fn lifetime_energy_counts_from_the_first_reading_and_survives_a_reset() {
    let made = |wh| {
        let mut sim = SimSunSpec::new(40_000);
        sim.add_inputs(&[(100, wh)]);
        sim
    };
    let mut counter = EpochCounter::default();
    for (second, wh, epoch, total) in
        [(0, 70_000, 0, 0), (3_600, 71_500, 0, 1_500_000), (7_200, 10, 1, 1_500_000), (7_300, 15, 1, 1_505_000)]
    {
        let mut driver = SunSpec::new(made(wh), 5_000, counter);
        let report = driver.poll(at(second)).await;
        let total = MilliWattHours(total);
        assert!(report.measured.contains(&Measured::Energy { flow: Flow::Production, epoch, total }), "{report:?}");
        counter = driver.counter().clone();
    }
}

#[tokio::test]
async fn what_is_no_sunspec_device_or_is_damaged_is_named() {
    assert_eq!(poll(SimSunSpec::default()).await.state.name(), "wrong_device");
    assert_eq!(poll(SimSunSpec::new(40_000)).await.state.name(), "corrupt", "no model that is known");
    let mut sim = SimSunSpec::new(40_000);
    sim.add_battery(1_200, 4, 0);
    assert_eq!(poll(sim).await.state.name(), "out_of_range");
    let mut sim = SimSunSpec::new(40_000);
    sim.add(160, &[0, 0, 99, 0, 0, 0, 1, 0]);
    assert_eq!(poll(sim).await.state.name(), "corrupt", "scale factor 99");
    let mut sim = SimSunSpec::new(40_000);
    sim.add(160, &[0, 0, 0, 0, 0, 0, 60_000, 0]);
    assert_eq!(poll(sim).await.state.name(), "corrupt", "more inputs than registers");
    let mut sim = SimSunSpec::new(0);
    for _ in 0..100 {
        sim.add(9_999, &[]);
    }
    assert!(matches!(scan(&mut sim).await, Err(Fault::Corrupt { .. })));
    assert!(decode(&[]).is_err() && decode(&[802, 62]).is_err());
}

#[cfg(feature = "sunspec")]
mod tcp {
    use super::*;
    use std::future::{Ready, ready};
    use std::net::SocketAddr;
    use sunwork_energy::sensors::sunspec::ModbusTcp;
    use tokio_modbus::server::Service;
    use tokio_modbus::server::tcp::{Server, accept_tcp_connection};
    use tokio_modbus::{ExceptionCode, Request, Response};

    struct Device(SimSunSpec);
    impl Service for Device {
        type Request = Request<'static>;
        type Response = Response;
        type Exception = ExceptionCode;
        type Future = Ready<Result<Response, ExceptionCode>>;
        fn call(&self, request: Self::Request) -> Self::Future {
            ready(match request {
                Request::ReadHoldingRegisters(address, count) => self
                    .0
                    .get(address, count)
                    .map(Response::ReadHoldingRegisters)
                    .ok_or(ExceptionCode::IllegalDataAddress),
                _ => Err(ExceptionCode::IllegalFunction),
            })
        }
    }

    #[tokio::test]
    async fn a_device_on_modbus_tcp_is_found_read_missed_and_found_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let serve = |listener| {
            tokio::spawn(async move {
                let server = Server::new(listener);
                let connected = |stream, peer| async move {
                    accept_tcp_connection(stream, peer, |_| Ok(Some(Device(device(50_000)))))
                };
                let _ = server.serve(&connected, |_| ()).await;
            })
        };
        let server = serve(listener);
        let mut driver = SunSpec::new(ModbusTcp::new(address, 1), 5_000, EpochCounter::default());
        let report = driver.poll(at(0)).await;
        assert_eq!(report.power(Flow::Production), Some(MicroWatts(1_499_200_000)), "{report:?}");
        server.abort();
        let nobody = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let report = SunSpec::new(ModbusTcp::new(nobody, 1), 5_000, EpochCounter::default()).poll(at(1)).await;
        assert_eq!(report.state.name(), "missing");
    }
}
