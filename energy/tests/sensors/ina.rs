//! INA219, INA226 and INA228: scales against the kernel's figures, accumulators, resets, lies.
use sunwork_energy::sensors::counter::EpochCounter;
use sunwork_energy::sensors::ina2xx::{Chip, Ina2xx, Scales};
use sunwork_energy::sensors::ina228::{Ina228, signed20, signed40};
use sunwork_energy::sensors::meter::EnergyMeter;
use sunwork_energy::sensors::{Fault, Flow, Measured, Scale, Sensor, SensorState, Stamp, ina228};
use sunwork_energy::sim::bus::{Shared, SimBus, lock, shared};
use sunwork_energy::sim::ina2xx::SimIna2xx;
use sunwork_energy::sim::ina228::SimIna228;
use sunwork_energy::units::{MicroAmps, MicroVolts, MicroWatts, MilliWattHours, MonoMillis, UnixSeconds};

const fn at(second: i64) -> Stamp {
    Stamp::dated(UnixSeconds(second))
}

/// Values that the Linux drivers gave on the same registers (shunt 10 mΩ), see ENERGY.md 1.1.
#[test]
fn scales_are_exactly_those_of_the_kernel() {
    let ina219 = Scales::new(Chip::Ina219, 10_000, 4096);
    assert_eq!(ina219.bus_uv, Scale::new(4_000, 1));
    assert_eq!(ina219.shunt_nv, Scale::new(10_000, 1));
    assert_eq!(ina219.current_ua, Scale::new(1_000, 1));
    assert_eq!(ina219.power_uw, Scale::new(20_000, 1));
    assert_eq!(ina219.bus_uv.exact(3205), Some(12_820_000));
    let ina226 = Scales::new(Chip::Ina226, 10_000, 2048);
    assert_eq!(ina226.bus_uv, Scale::new(1_250, 1));
    assert_eq!(ina226.shunt_nv, Scale::new(2_500, 1));
    assert_eq!(ina226.current_ua, Scale::new(250, 1));
    assert_eq!(ina226.power_uw, Scale::new(6_250, 1));
    for raw in [-256_i64, -32_768, 32_767] {
        assert_eq!(ina226.current_ua.exact(raw), Some(raw * 250));
    }
}

#[test]
fn ina228_scales_are_those_of_the_data_sheet() {
    // 16.384 A on 10 mΩ: SHUNT_CAL 4096, I_LSB 31.25 µA.
    let scales = ina228::Scales::new(10_000, 4096);
    assert_eq!(scales.current_ua, Scale::new(3125, 100));
    assert_eq!(scales.power_uw, Scale::new(100, 1));
    assert_eq!(scales.bus_uv.exact(16), Some(3125));
    assert_eq!(scales.shunt_nv.exact(2), Some(625));
    // Energy LSB 1.6 mJ: 2,250,000 counts are a watt hour; a whole 40-bit accumulator converts without loss.
    assert_eq!(scales.energy_mwh.floor(2_250_000), 1_000);
    assert_eq!(scales.energy_mwh.floor((1 << 40) - 1), 488_671_834);
    assert_eq!(scales.temperature_mc.nearest(3200), 25_000);
}

#[test]
fn the_sign_of_20_and_40_bits_is_where_the_data_sheet_puts_it() {
    assert_eq!((signed20(0x7F_FFF0), signed20(0x80_0000), signed20(0xFF_FFF0)), (524_287, -524_288, -1));
    assert_eq!(
        (signed40(0x7F_FFFF_FFFF), signed40(0x80_0000_0000), signed40(0xFF_FFFF_FFFF)),
        ((1 << 39) - 1, -(1 << 39), -1)
    );
}

fn ina2xx(chip: Chip) -> (Shared<SimIna2xx>, Ina2xx<SimBus>) {
    let bus = SimBus::new(1);
    let sim = shared(SimIna2xx::new(chip, 10_000));
    bus.attach(0x40, sim.clone());
    (sim, Ina2xx::new(bus, 0x40, chip, Flow::Consumption, 10_000, 8_000).unwrap())
}

#[test]
fn both_small_chips_measure_within_their_resolution_and_with_the_sign() {
    for chip in [Chip::Ina219, Chip::Ina226] {
        let (sim, mut driver) = ina2xx(chip);
        assert_eq!(driver.poll(at(0)).state.name(), "stale", "set up, nothing converted yet");
        for current in [2_345_000, -1_500_000, 0, 7_900_000] {
            lock(&sim).convert(MicroVolts(12_800_000), MicroAmps(current));
            let report = driver.poll(at(1));
            let Some(Measured::Power { bus: Some(bus), current: Some(got), power, .. }) =
                report.measured.first().copied()
            else {
                panic!("{chip:?} {current}: {:?}", report.state)
            };
            assert_eq!(bus, MicroVolts(12_800_000));
            assert!((got.0 - current).abs() <= 2_000, "{chip:?}: {} for {current}", got.0);
            let exact = current * 128 / 10;
            assert!((power.0 - exact).abs() <= 40_000, "{chip:?}: {} for {exact}", power.0);
        }
        assert_eq!(driver.poll(at(2)).state, SensorState::Faulty(Fault::Stale), "no new conversion");
    }
}

#[test]
fn a_chip_that_lost_power_is_set_up_again_and_says_so() {
    for chip in [Chip::Ina219, Chip::Ina226] {
        let (sim, mut driver) = ina2xx(chip);
        driver.poll(at(0));
        lock(&sim).power_cycle();
        lock(&sim).convert(MicroVolts(12_800_000), MicroAmps(2_000_000));
        assert_eq!(driver.poll(at(1)).state, SensorState::Reset { epoch: 1 });
        lock(&sim).convert(MicroVolts(12_800_000), MicroAmps(2_000_000));
        assert_eq!(driver.poll(at(2)).state, SensorState::Ok);
    }
}

#[test]
fn a_register_that_contradicts_another_is_not_believed() {
    let (sim, mut driver) = ina2xx(Chip::Ina226);
    driver.poll(at(0));
    lock(&sim).convert(MicroVolts(12_800_000), MicroAmps(2_000_000));
    lock(&sim).poke(3, 0x7000);
    assert_eq!(driver.poll(at(1)).state.name(), "contradictory");
    lock(&sim).convert(MicroVolts(12_800_000), MicroAmps(8_100_000));
    assert_eq!(driver.poll(at(2)).state.name(), "out_of_range", "beyond the calibrated maximum");
}

#[test]
fn another_chip_at_the_address_is_not_written_to() {
    let bus = SimBus::new(1);
    let sim = shared(SimIna2xx::new(Chip::Ina219, 10_000));
    bus.attach(0x40, sim);
    let mut driver = Ina2xx::new(bus, 0x40, Chip::Ina226, Flow::Consumption, 10_000, 8_000).unwrap();
    assert_eq!(driver.poll(at(0)).state.name(), "wrong_device");
}

#[test]
fn settings_that_cannot_be_calibrated_are_refused_with_their_range() {
    let made = Ina2xx::new(SimBus::new(1), 0x40, Chip::Ina226, Flow::Consumption, 1, 1);
    assert!(matches!(made, Err(Fault::OutOfRange { .. })));
    let made = Ina228::new(SimBus::new(1), 0x40, Flow::Production, 100_000, 100_000, 100, EpochCounter::default());
    assert!(matches!(made, Err(Fault::OutOfRange { .. })));
}

fn ina228() -> (Shared<SimIna228>, Ina228<SimBus>) {
    let bus = SimBus::new(1);
    let sim = shared(SimIna228::new(10_000));
    bus.attach(0x45, sim.clone());
    let driver = Ina228::new(bus, 0x45, Flow::Production, 10_000, 10_000, 200, EpochCounter::default()).unwrap();
    (sim, driver)
}

fn energy(driver: &mut Ina228<SimBus>, second: i64) -> (u32, MilliWattHours) {
    let report = driver.poll(at(second));
    report
        .measured
        .iter()
        .find_map(|m| if let Measured::Energy { epoch, total, .. } = m { Some((*epoch, *total)) } else { None })
        .unwrap_or_else(|| panic!("no energy: {:?}", report.state))
}

/// A day of changing power: the chip's accumulator, our integral of its power register, and the exact sum.
#[test]
fn counted_and_integrated_energy_are_within_half_a_percent_of_exact() {
    let (sim, mut driver) = ina228();
    driver.poll(at(0));
    let mut meter = EnergyMeter::production(MonoMillis(10_000));
    let mut exact = 0.0_f64;
    let mut counted = MilliWattHours(0);
    for second in 1..=43_200_i64 {
        let x = (second as f64 / 43_200.0 * std::f64::consts::PI).sin();
        let (bus, current) = (MicroVolts(12_800_000 + second * 40), MicroAmps((5.0e6 * x * x) as i64));
        lock(&sim).run(MonoMillis(1_000), bus, current);
        let joule = bus.0 as f64 * 1e-6 * current.0 as f64 * 1e-6;
        if second % 5 == 0 {
            let report = driver.poll(at(second));
            meter.take(&report);
            if let Some(Measured::Energy { total, .. }) = report.measured.get(1) {
                counted = *total;
            }
        }
        if second > 5 {
            exact += joule / 3.6;
        }
    }
    let error = |mwh: MilliWattHours| (mwh.0 as f64 - exact).abs() / exact;
    println!(
        "exact {exact:.1} mWh, counted {} ({:.4} %), integrated {} ({:.4} %)",
        counted.0,
        error(counted) * 100.0,
        meter.total().0,
        error(meter.total()) * 100.0
    );
    assert!(error(counted) < 0.005 && error(meter.total()) < 0.005);
}

#[test]
fn a_reset_of_the_chip_opens_a_new_epoch_and_loses_only_what_was_not_seen() {
    let (sim, mut driver) = ina228();
    driver.poll(at(0));
    lock(&sim).run(MonoMillis(1), MicroVolts(12_800_000), MicroAmps(5_000_000));
    assert_eq!(energy(&mut driver, 1), (0, MilliWattHours(0)));
    lock(&sim).run(MonoMillis(3_600_000), MicroVolts(12_800_000), MicroAmps(5_000_000));
    let (_, before) = energy(&mut driver, 3_601);
    assert!((before.0 - 64_000).abs() < 20, "{}", before.0);
    lock(&sim).power_cycle();
    assert_eq!(driver.poll(at(3_700)).state, SensorState::Reset { epoch: 1 });
    lock(&sim).run(MonoMillis(1), MicroVolts(12_800_000), MicroAmps(5_000_000));
    driver.poll(at(3_701));
    lock(&sim).run(MonoMillis(3_600_000), MicroVolts(12_800_000), MicroAmps(5_000_000));
    let (epoch, after) = energy(&mut driver, 7_301);
    assert_eq!(epoch, 1);
    assert!((after.0 - 2 * before.0).abs() < 40, "{}", after.0);
}

#[test]
fn a_rollover_of_40_bits_is_a_new_epoch_not_a_jump() {
    let (sim, mut driver) = ina228();
    driver.poll(at(0));
    lock(&sim).set_energy_counts((1 << 40) - 1_000);
    lock(&sim).run(MonoMillis(1), MicroVolts(12_800_000), MicroAmps(5_000_000));
    driver.poll(at(1));
    lock(&sim).run(MonoMillis(60_000), MicroVolts(12_800_000), MicroAmps(5_000_000));
    assert_eq!(driver.poll(at(61)).state, SensorState::Reset { epoch: 1 });
    assert_eq!(driver.counter().total(), 0);
}

#[test]
fn charge_flows_both_ways_in_the_accumulator() {
    let (sim, mut driver) = ina228();
    driver.poll(at(0));
    lock(&sim).run(MonoMillis(3_600_000), MicroVolts(12_800_000), MicroAmps(-2_000_000));
    let scale = driver.scales().charge_uah;
    assert!((scale.nearest(driver.charge_counts().unwrap()) + 2_000_000).abs() < 200);
    let report = driver.poll(at(3_600));
    assert!(report.power(Flow::Production).unwrap() < MicroWatts(0), "the sign comes from the current");
}
