//! Every state of a bad sensor, on the devices' own buses.
use sunwork_energy::sensors::guard::{Guard, Limits};
use sunwork_energy::sensors::ina2xx::{Chip, Ina2xx};
use sunwork_energy::sensors::{Fault, Flow, Sensor, SensorState, Stamp};
use sunwork_energy::sim::bus::{Faults, Shared, SimBus, lock, shared};
use sunwork_energy::sim::ina2xx::SimIna2xx;
use sunwork_energy::units::{MicroAmps, MicroVolts, MicroWatts, MonoMillis, UnixSeconds};

fn plant() -> (Shared<SimIna2xx>, SimBus, Guard<Ina2xx<SimBus>>) {
    let bus = SimBus::new(5);
    let sim = shared(SimIna2xx::new(Chip::Ina226, 10_000));
    bus.attach(0x40, sim.clone());
    let driver = Ina2xx::new(bus.clone(), 0x40, Chip::Ina226, Flow::Production, 10_000, 8_000).unwrap();
    let limits = Limits {
        max_power: MicroWatts(80_000_000),
        frozen_after: MonoMillis(60_000),
        spike: MicroWatts(40_000_000),
        place: None,
    };
    let mut guard = Guard::new(driver, limits);
    guard.poll(at(0));
    (sim, bus, guard)
}

const fn at(second: i64) -> Stamp {
    Stamp::dated(UnixSeconds(second))
}

#[test]
fn a_missing_sensor_is_missing_and_comes_back() {
    let (sim, bus, mut guard) = plant();
    bus.detach(0x40);
    let report = guard.poll(at(1));
    assert_eq!(report.state, SensorState::Faulty(Fault::NoAnswer));
    assert!(report.measured.is_empty() && report.state.reason().contains("wiring"));
    bus.attach(0x40, sim.clone());
    lock(&sim).convert(MicroVolts(13_000_000), MicroAmps(1_000_000));
    assert_eq!(guard.poll(at(2)).state, SensorState::Ok);
}

#[test]
fn a_stuck_bus_is_named_apart_from_a_missing_sensor() {
    let (_sim, bus, mut guard) = plant();
    bus.set_faults(Faults { stuck: true, ..Faults::default() });
    let report = guard.poll(at(1));
    assert_eq!((report.state.name(), report.state.usable()), ("bus", false));
    assert!(report.state.reason().contains("power-cycle"));
}

#[test]
fn a_frozen_converter_is_found_within_its_time() {
    let (sim, _bus, mut guard) = plant();
    lock(&sim).convert(MicroVolts(13_000_000), MicroAmps(1_000_000));
    lock(&sim).set_frozen(true);
    let states: Vec<_> = (1..=7)
        .map(|i| {
            lock(&sim).convert(MicroVolts(13_000_000 + i * 50_000), MicroAmps(1_000_000 + i * 10_000));
            guard.poll(at(i * 12)).state.name()
        })
        .collect();
    assert_eq!(states, ["ok", "ok", "ok", "ok", "ok", "frozen", "frozen"]);
}

#[test]
fn a_lying_sensor_beyond_the_nameplate_is_out_of_range() {
    let (sim, _bus, mut guard) = plant();
    lock(&sim).convert(MicroVolts(30_000_000), MicroAmps(7_000_000));
    let report = guard.poll(at(1));
    assert_eq!(report.state.name(), "out_of_range", "{:?}", report.state);
    assert!(report.state.reason().contains("production power"), "{}", report.state.reason());
}

#[test]
fn on_a_bad_bus_what_is_called_good_is_true() {
    let (sim, bus, mut guard) = plant();
    bus.set_faults(Faults { nack_ppm: 20_000, flip_read_ppm: 30_000, ..Faults::default() });
    let (mut good, mut bad, mut untrue) = (0, 0, 0);
    for i in 1..20_000 {
        let (bus_uv, current) = (12_500_000 + i % 1_000 * 1_250, 1_500_000 + i % 700 * 1_000);
        lock(&sim).convert(MicroVolts(bus_uv), MicroAmps(current));
        let report = guard.poll(at(i));
        if let (true, Some(power)) = (report.state.usable(), report.power(Flow::Production)) {
            good += 1;
            let exact = bus_uv * (current / 1000) / 1000;
            untrue += usize::from((power.0 - exact).abs() > exact / 4);
        } else {
            bad += 1;
        }
    }
    println!("good {good}, refused {bad}, untrue by more than a quarter {untrue}");
    assert!(good > 10_000 && bad > 1_000);
    assert_eq!(untrue, 0);
}

#[test]
fn every_fault_has_a_name_and_a_reason_that_an_owner_can_act_on() {
    let s = String::from("x");
    let faults = [
        Fault::NoAnswer,
        Fault::BusStuck,
        Fault::BusError,
        Fault::Silent { seconds: 9 },
        Fault::NoFile { file: s.clone() },
        Fault::WrongDevice { found: 1, expected: 2 },
        Fault::Corrupt { what: s.clone() },
        Fault::OutOfRange { what: s.clone(), found: 9, min: 0, max: 1 },
        Fault::Frozen { what: s.clone(), seconds: 60 },
        Fault::Spiking { what: s.clone(), found: 9, usual: 1 },
        Fault::Contradictory { what: s, one: 1, other: 2 },
        Fault::Stale,
        Fault::Resting { seconds: 3 },
    ];
    for fault in faults {
        let state = SensorState::Faulty(fault);
        assert!(!state.usable() && !state.name().is_empty() && state.reason().len() > 20, "{state:?}");
        let json = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<SensorState>(&json).unwrap(), state);
    }
}
