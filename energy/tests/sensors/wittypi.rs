//! Witty Pi 4: wear, alarms, and a way to wake after every loss of power.
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sunwork_energy::sensors::wittypi4::{ADDRESS, ActionReason, GuaranteedWake, WakeError, WittyPi4, register as reg};
use sunwork_energy::sensors::{Fault, Measured, Sensor, SensorState, Stamp};
use sunwork_energy::sim::bus::{Faults, Shared, SimBus, lock, shared};
use sunwork_energy::sim::wittypi4::SimWittyPi4;
use sunwork_energy::units::{MilliVolts, MonoMillis, UnixSeconds};

/// 2026-01-30T12:00:00Z: two days before a month of 28.
const START: UnixSeconds = UnixSeconds(1_769_774_400);
const NET: GuaranteedWake = GuaranteedWake::Hours(24);
const VIN: MilliVolts = MilliVolts(13_100);
const DAY: i64 = 86_400;

type Board = (Shared<SimWittyPi4>, SimBus, WittyPi4<SimBus>);

fn board() -> Board {
    let bus = SimBus::new(1);
    let sim = shared(SimWittyPi4::new(START, VIN));
    bus.attach(ADDRESS, sim.clone());
    lock(&sim).press_button();
    lock(&sim).pi_is_up();
    let driver = WittyPi4::new(bus.clone(), ADDRESS, MonoMillis(0));
    (sim, bus, driver)
}

#[test]
fn wearing_registers_are_read_at_most_once_in_five_minutes_however_often_the_worker_asks() {
    let (_sim, bus, mut driver) = board();
    let wearing = || [reg::VIN, reg::VOUT, reg::IOUT].map(|r| bus.reads(ADDRESS, r)).iter().sum::<u64>();
    let (mut reads, mut resting) = (Vec::new(), 0);
    for second in 0..7_200 {
        let before = wearing();
        match second % 3 {
            0 => drop(driver.poll(Stamp::dated(UnixSeconds(second)))),
            1 => resting += usize::from(driver.output(reg::IOUT, MonoMillis(second * 1000)).is_err()),
            _ => resting += usize::from(driver.output(reg::VOUT, MonoMillis(second * 1000)).is_err()),
        }
        assert!(wearing() - before <= 1);
        if wearing() > before {
            reads.push(second);
        }
    }
    assert!(reads.len() >= 20, "it does read: {}", reads.len());
    assert!(reads[0] >= 300, "what a former process read is not known");
    assert!(reads.windows(2).all(|pair| pair[1] - pair[0] >= 300));
    assert!(resting > 4_000);
}

#[test]
fn polling_this_board_each_second_wears_its_cells_300_times_less_than_without_the_guard() {
    let (sim, _bus, mut driver) = board();
    let before = lock(&sim).wear[2];
    for second in 0..DAY {
        let _ = driver.input_voltage(MonoMillis(second * 1000));
    }
    let writes = lock(&sim).wear[2] - before;
    assert!(writes <= 288, "{writes} writes of one cell in a day");
}

#[test]
fn the_voltage_is_right_and_a_torn_reading_is_mended() {
    let (sim, _bus, mut driver) = board();
    let report = driver.poll(Stamp::dated(UnixSeconds(300)));
    let Some(Measured::Voltage { volts, .. }) = report.measured.first() else { panic!("{:?}", report.state) };
    assert!((volts.0 - VIN.0).abs() <= 61 + 10, "{}", volts.0);
    assert!(matches!(
        driver.poll(Stamp::dated(UnixSeconds(400))).state,
        SensorState::Faulty(Fault::Resting { seconds: 200 })
    ));
    lock(&sim).set_vin(MilliVolts(12_970), false);
    let volts = driver.input_voltage(MonoMillis(900_000)).unwrap();
    assert!((volts.0 - 12_970).abs() <= 80, "{}", volts.0);
}

#[test]
fn the_alarm_wakes_the_pi_at_its_time_across_the_end_of_a_month() {
    for days in [1, 2, 3, 26] {
        let (sim, _bus, mut driver) = board();
        let wake_at = START + UnixSeconds(days * DAY + 1234);
        let set = driver.set_wake(wake_at, START, GuaranteedWake::Days(30)).unwrap();
        assert_eq!(set.alarm(), wake_at);
        lock(&sim).pi_halts();
        lock(&sim).advance(days * DAY + 1234 - 5);
        assert!(!lock(&sim).pi_on(), "{days} days: not before");
        lock(&sim).advance(7);
        assert!(lock(&sim).pi_on(), "{days} days: awake");
        assert_eq!(driver.action_reason().unwrap(), ActionReason::StartupAlarm);
    }
}

#[test]
fn a_wake_beyond_a_month_or_in_the_past_is_refused_and_says_what_is_possible() {
    let (_sim, _bus, mut driver) = board();
    for seconds in [-10, 5, 28 * DAY, 40 * DAY] {
        let error = driver.set_wake(START + UnixSeconds(seconds), START, NET).unwrap_err();
        assert_eq!(error, WakeError::Horizon { seconds });
        assert!(error.to_string().contains("27 days"));
    }
    assert!(matches!(
        driver.set_wake(START + UnixSeconds(DAY), START, GuaranteedWake::Hours(127)),
        Err(WakeError::Net(_))
    ));
}

#[test]
fn a_missed_alarm_is_caught_by_the_guaranteed_wake() {
    let (sim, _bus, mut driver) = board();
    driver.set_wake(START + UnixSeconds(3600), START, NET).unwrap();
    lock(&sim).pi_halts();
    // The battery is empty when the alarm is due, and nobody set a recovery voltage.
    driver.set_thresholds(None).unwrap();
    lock(&sim).set_vin(MilliVolts(0), false);
    lock(&sim).advance(2 * 3600);
    assert!(!lock(&sim).alive());
    lock(&sim).set_vin(VIN, false);
    assert!(lock(&sim).pi_on(), "switched on as soon as power is back");
}

#[test]
fn the_clock_is_set_when_it_is_wrong() {
    let (sim, _bus, mut driver) = board();
    lock(&sim).set_vin(MilliVolts(0), true);
    lock(&sim).advance(600);
    lock(&sim).set_vin(VIN, false);
    lock(&sim).press_button();
    let now = START + UnixSeconds(600);
    assert_eq!(driver.clock().unwrap(), None, "the oscillator stopped: no time is told");
    driver.set_wake(now + UnixSeconds(7200), now, GuaranteedWake::Days(30)).unwrap();
    assert_eq!(driver.clock().unwrap(), Some(now));
    lock(&sim).pi_halts();
    lock(&sim).advance(7202);
    assert!(lock(&sim).pi_on());
}

#[test]
fn low_voltage_shuts_down_only_after_180_seconds_and_recovery_switches_on_again() {
    let (sim, _bus, mut driver) = board();
    assert!(driver.set_thresholds(Some((118, 118))).is_err(), "recovery must be above low");
    driver.set_thresholds(Some((118, 126))).unwrap();
    lock(&sim).set_vin(MilliVolts(11_500), false);
    lock(&sim).advance(170);
    assert!(lock(&sim).pi_on(), "suppressed at first");
    lock(&sim).advance(20);
    assert!(!lock(&sim).pi_on());
    lock(&sim).set_vin(MilliVolts(12_700), false);
    lock(&sim).advance(10);
    assert!(lock(&sim).pi_on());
    assert_eq!(driver.action_reason().unwrap(), ActionReason::VoltageRestored);
}

/// The firmware's trap behind uugear/Witty-Pi-4 issue 16: after a low-voltage shutdown with thresholds then off, no alarm starts.
#[test]
fn where_the_firmware_ignores_the_alarm_the_guaranteed_wake_still_comes() {
    let (sim, _bus, mut driver) = board();
    driver.set_thresholds(Some((118, 126))).unwrap();
    lock(&sim).set_vin(MilliVolts(11_500), false);
    lock(&sim).advance(200);
    assert!(!lock(&sim).pi_on());
    driver.set_thresholds(None).unwrap();
    lock(&sim).set_vin(VIN, false);
    driver.set_wake(START + UnixSeconds(7200), START + UnixSeconds(200), NET).unwrap();
    lock(&sim).advance(7300);
    assert!(!lock(&sim).pi_on(), "this board's rule");
    lock(&sim).advance(DAY);
    assert!(lock(&sim).pi_on());
    assert_eq!(driver.action_reason().unwrap(), ActionReason::GuaranteedWake);
}

#[test]
fn a_board_that_does_not_keep_what_is_written_never_gives_a_wake_set() {
    let (_sim, bus, mut driver) = board();
    bus.set_faults(Faults { flip_write_ppm: 1_000_000, ..Faults::default() });
    assert!(matches!(driver.set_wake(START + UnixSeconds(DAY), START, NET), Err(WakeError::Board { .. })));
    bus.set_faults(Faults { stuck: true, ..Faults::default() });
    let error = driver.set_wake(START + UnixSeconds(DAY), START, NET).unwrap_err();
    assert!(error.to_string().contains("stuck"), "{error}");
    bus.set_faults(Faults::default());
    assert!(driver.set_wake(START + UnixSeconds(DAY), START, NET).is_ok());
}

/// 1,000 seeded losses of power at random moments: in the middle of writing the alarm, asleep, awake; of the board or by low
/// voltage; with and without the clock's backup; over a bus that loses and flips.
#[test]
fn a_wake_path_exists_after_each_of_1000_random_power_losses() {
    let (mut losses, mut in_the_middle, mut armed, mut slowest) = (0, 0, 0, 0);
    for seed in 0..1_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let bus = SimBus::new(seed);
        let start = START + UnixSeconds(rng.random_range(0..400 * DAY));
        let sim = shared(SimWittyPi4::new(start, VIN));
        bus.attach(ADDRESS, sim.clone());
        lock(&sim).press_button();
        lock(&sim).pi_is_up();
        let mut driver = WittyPi4::new(bus.clone(), ADDRESS, MonoMillis(0));
        // Once, at installation, by hand.
        driver.ensure_nets(NET).unwrap();
        driver.set_thresholds(rng.random_bool(0.5).then_some((118, 126))).unwrap();

        let fails = rng.random_bool(0.4).then(|| rng.random_range(0..80));
        bus.set_faults(Faults {
            nack_ppm: 20_000,
            flip_read_ppm: 10_000,
            flip_write_ppm: 10_000,
            power_fails_after: fails,
            ..Faults::default()
        });
        let wake_in = rng.random_range(60..27 * DAY);
        let set = driver.set_wake(start + UnixSeconds(wake_in), start, NET);
        bus.set_faults(Faults::default());
        if set.is_ok() && fails.is_none() {
            armed += 1;
            lock(&sim).pi_halts();
            lock(&sim).advance(rng.random_range(0..wake_in + 10));
        } else {
            in_the_middle += 1;
        }
        // The loss.
        losses += 1;
        match rng.random_range(0..3) {
            0 => {
                lock(&sim).set_vin(MilliVolts(0), rng.random_bool(0.5));
                lock(&sim).advance(rng.random_range(1..20 * DAY));
            }
            1 => {
                lock(&sim).set_vin(MilliVolts(11_000), false);
                lock(&sim).advance(rng.random_range(1..5 * DAY));
            }
            _ => lock(&sim).pi_halts(),
        }
        lock(&sim).set_vin(VIN, false);
        let back = lock(&sim).now();
        while !lock(&sim).pi_on() && (lock(&sim).now() - back).0 < 3 * DAY {
            lock(&sim).advance(60);
        }
        let waited = (lock(&sim).now() - back).0;
        assert!(lock(&sim).pi_on(), "seed {seed}: asleep for ever");
        assert!(waited <= DAY + 60, "seed {seed}: woke after {waited} s");
        slowest = slowest.max(waited);
    }
    println!(
        "{losses} losses ({in_the_middle} while writing, {armed} asleep with the alarm set), slowest wake {slowest} s"
    );
    assert!(in_the_middle > 200 && armed > 400);
}
