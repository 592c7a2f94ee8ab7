//! The simulated site read through the real drivers, against the truth of the plant.
use sunwork_energy::charge::{Battery, Charge, ChargeState, Sample};
use sunwork_energy::sensors::counter::EpochCounter;
use sunwork_energy::sensors::ina228::Ina228;
use sunwork_energy::sensors::meter::EnergyMeter;
use sunwork_energy::sensors::vedirect::{VeDirect, VeDirectKind};
use sunwork_energy::sensors::wittypi4::{ADDRESS, GuaranteedWake, WittyPi4};
use sunwork_energy::sensors::{Flow, Measured, Report, Sensor, Stamp};
use sunwork_energy::sim::bus::SimBus;
use sunwork_energy::sim::rig::Rig;
use sunwork_energy::sim::scenario::{SHUNT_MICROOHM, Scenario, Site, address};
use sunwork_energy::units::{MicroWatts, MilliAmpHours, MilliVolts, MilliWatts, MonoMillis, UnixSeconds};
use sunwork_energy::work::Board;

const START: UnixSeconds = UnixSeconds(1_780_272_000); // 2026-06-01

fn scenario() -> Scenario {
    serde_json::from_str(
        r#"{"start":1780272000,"days":12,"panel_wp":100,"battery_wh":384,"board":"pi4b","extra":1300,"seed":4}"#,
    )
    .unwrap()
}

fn ina(bus: &SimBus, at: u8, flow: Flow) -> Ina228<SimBus> {
    Ina228::new(bus.clone(), at, flow, SHUNT_MICROOHM, 16_384, 200, EpochCounter::default()).unwrap()
}

fn counted(report: &Report) -> Option<i64> {
    report.measured.iter().find_map(|m| if let Measured::Energy { total, .. } = m { Some(total.0) } else { None })
}

/// Ten days: each figure that is paid for against the truth of the plant, and the state of charge beside it.
#[test]
fn ten_days_of_production_and_consumption_are_measured_within_half_a_percent_and_apart() {
    let mut site = Site::new(&scenario(), None).unwrap();
    let bus = site.bus();
    let mut made = ina(&bus, address::PRODUCTION, Flow::Production);
    let mut used = ina(&bus, address::CONSUMPTION, Flow::Consumption);
    let mut battery = ina(&bus, address::BATTERY, Flow::Battery);
    let mut charger = VeDirect::new(VeDirectKind::SolarCharger, 200, EpochCounter::default());
    let mut integral = EnergyMeter::production(MonoMillis(120_000));
    let mut charge = Charge::new(Battery::lifepo4_12v(MilliAmpHours(30_000)));
    assert_eq!(charge.estimate().state, ChargeState::Unknown);
    let (mut last_made, mut last_used, mut phase, mut worst, mut outside, mut seen) = (0, 0, None, 0, 0, 0);
    let mut begin = (0.0, 0.0);
    for step in 0..10 * 1440 {
        site.set_cpu(if step / 60 % 2 == 0 { 900 } else { 100 });
        site.advance(60);
        let at = Stamp::dated(site.plant().now());
        let report = made.poll(at);
        integral.take(&report);
        last_made = counted(&report).unwrap_or(last_made);
        last_used = counted(&used.poll(at)).unwrap_or(last_used);
        if step == 1 {
            begin = site.plant().totals_joule();
        }
        charger.receive(&site.serial(), at.mono);
        for m in charger.poll(at).measured {
            if let Measured::Charger(p) = m {
                phase = Some(p);
            }
        }
        if let Some(Measured::Power { bus: Some(volts), current: Some(current), .. }) =
            battery.poll(at).measured.first()
        {
            charge.take(&Sample { at: at.mono, volts: MilliVolts(volts.0 / 1000), current: *current, charger: phase });
        }
        let estimate = charge.estimate();
        if estimate.state != ChargeState::Unknown {
            let error = (estimate.permille - (site.plant().battery.part() * 1000.0) as i64).abs();
            worst = worst.max(error);
            outside += i64::from(error > estimate.bound_permille);
            seen += 1;
        }
    }
    let (made_j, used_j) = site.plant().totals_joule();
    let off = |mwh: i64, joule: f64| (mwh as f64 - joule / 3.6).abs() / (joule / 3.6) * 100.0;
    println!(
        "made {last_made} mWh (off {:.3} %), integrated {} (off {:.3} %), used {last_used} mWh (off {:.3} %); charge: worst {worst} ‰, outside of its bound {outside} of {seen}",
        off(last_made, made_j - begin.0),
        integral.total().0,
        off(integral.total().0, made_j - begin.0),
        off(last_used, used_j - begin.1),
    );
    assert!(off(last_made, made_j - begin.0) < 0.5 && off(last_used, used_j - begin.1) < 0.5);
    assert!(off(integral.total().0, made_j - begin.0) < 0.5);
    assert!(seen > 1_000 && worst < 50 && outside * 100 <= seen);
    assert_eq!(site.plant().unplanned_losses(), 0);
}

#[test]
fn a_site_sleeps_and_wakes_by_its_switch_and_its_meters_go_on() {
    let mut site = Site::new(&scenario(), None).unwrap();
    let mut switch = WittyPi4::new(site.bus(), ADDRESS, MonoMillis(0));
    site.advance(3_600);
    let now = site.plant().now();
    switch.set_wake(now + UnixSeconds(6 * 3_600), now, GuaranteedWake::Hours(24)).unwrap();
    site.halt();
    site.advance(6 * 3_600 - 60);
    assert!(!site.board_on());
    assert_eq!(site.plant().flows().consumption, MicroWatts(150_000));
    site.advance(120);
    assert!(site.board_on());
    site.started();
    assert_eq!(site.plant().unplanned_losses(), 0);
}

#[test]
fn in_the_dark_the_board_browns_out_once_and_comes_back_with_the_sun() {
    let dark: String = (0..400)
        .map(|h| {
            let day = h / 24;
            let noon = (8..16).contains(&(h % 24)) && day >= 6;
            format!("{},{}\n", START.0 + h * 3600, if noon { 80 } else { 0 })
        })
        .collect();
    let mut site = Site::new(&Scenario { extra: MilliWatts(1300), ..scenario() }, Some(&dark)).unwrap();
    let mut switch = WittyPi4::new(site.bus(), ADDRESS, MonoMillis(0));
    switch.ensure_nets(GuaranteedWake::Hours(24)).unwrap();
    for _ in 0..6 * 24 {
        site.advance(3_600);
    }
    assert_eq!(site.plant().unplanned_losses(), 1);
    assert!(!site.board_on());
    for _ in 0..20 {
        site.advance(3_600);
    }
    assert!(site.board_on(), "on again when power came back");
}

#[test]
fn the_same_description_gives_the_same_site_to_the_byte() {
    let run = || {
        let mut site = Site::new(&Scenario { fault_ppm: 1_000, ..scenario() }, None).unwrap();
        site.advance(40_000);
        (site.serial(), site.plant().flows())
    };
    assert_eq!(run(), run());
    assert!(
        serde_json::from_str::<Scenario>(r#"{"start":0,"panel_wp":1,"battery_wh":1,"board":"pi4b","panle":1}"#)
            .is_err()
    );
    assert_eq!(scenario().board, Board::Pi4B);
}

/// Nights, full batteries and an idle board included: no honest sensor is called frozen.
#[test]
fn no_sensor_of_the_simulated_site_is_called_frozen_in_three_days_and_nights() {
    let mut rig = Rig::new(&scenario(), None).unwrap();
    let mut zeros = 0;
    for _ in 0..3 * 2_880 {
        rig.advance(30);
        for reading in rig.readings(rig.now()) {
            assert_ne!(reading.report.state.name(), "frozen", "{reading:?}");
            zeros += u32::from(reading.report.power(Flow::Production) == Some(MicroWatts(0)));
        }
    }
    assert!(zeros > 2_000, "the nights give nothing: {zeros}");
}
