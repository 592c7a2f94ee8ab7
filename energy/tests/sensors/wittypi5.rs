//! Witty Pi 5: low voltage and recovery, the watchdog, and a way to wake after every loss of power.
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sunwork_energy::sensors::wittypi5::{ADDRESS, WittyPi5, reason, register as reg};
use sunwork_energy::sim::bus::{Faults, Shared, SimBus, lock, shared};
use sunwork_energy::sim::wittypi5::{PiState, SimWittyPi5};
use sunwork_energy::units::{MilliVolts, UnixSeconds};

/// 2026-01-30T12:00:00Z: two days before a month of 28.
const START: UnixSeconds = UnixSeconds(1_769_774_400);
const VIN: MilliVolts = MilliVolts(13_100);
const LOW: MilliVolts = MilliVolts(11_000);
const DAY: i64 = 86_400;

type Board = (Shared<SimWittyPi5>, SimBus, WittyPi5<SimBus>);

fn board_at(start: UnixSeconds, seed: u64) -> Board {
    let bus = SimBus::new(seed);
    let sim = shared(SimWittyPi5::new(start));
    lock(&sim).set_vin(VIN, false);
    bus.attach(ADDRESS, sim.clone());
    let driver = WittyPi5::new(bus.clone(), ADDRESS);
    (sim, bus, driver)
}

fn board() -> Board {
    board_at(START, 1)
}

#[test]
fn low_voltage_cuts_the_power_after_its_delay_and_recovery_switches_on_again() {
    let (sim, _bus, mut driver) = board();
    assert!(driver.set_thresholds(Some((118, 118))).is_err(), "recovery must be above low");
    driver.set_thresholds(Some((118, 126))).unwrap();
    lock(&sim).set_vin(MilliVolts(11_700), false);
    lock(&sim).advance(1);
    assert_eq!(lock(&sim).state(), PiState::Stopping);
    assert!(driver.heartbeat().unwrap(), "the board asks the Pi to go down");
    lock(&sim).advance(16);
    assert!(!lock(&sim).pi_on());
    lock(&sim).set_vin(MilliVolts(12_500), false);
    lock(&sim).advance(DAY);
    assert!(!lock(&sim).pi_on(), "not before the recovery voltage");
    lock(&sim).set_vin(MilliVolts(12_600), false);
    lock(&sim).advance(1);
    assert!(lock(&sim).pi_on());
    assert_eq!(driver.reasons().unwrap(), (reason::VIN_RECOVER, reason::VIN_DROP));
}

#[test]
fn a_pi_that_is_starting_is_not_cut_by_low_voltage_before_half_a_minute() {
    let (sim, _bus, mut driver) = board();
    driver.keep_nets(START).unwrap();
    driver.set_thresholds(Some((118, 126))).unwrap();
    lock(&sim).advance(1);
    lock(&sim).set_vin(MilliVolts(0), false);
    lock(&sim).set_vin(LOW, false);
    lock(&sim).advance(5 + 29);
    assert_eq!(lock(&sim).state(), PiState::Starting);
    lock(&sim).advance(2);
    assert_eq!(lock(&sim).state(), PiState::Stopping);
}

/// The firmware's trap: an alarm that is set keeps recovery back. The alarm that is kept ahead wakes the board instead.
#[test]
fn with_an_alarm_set_recovery_starts_nothing_and_the_alarm_does() {
    let (sim, _bus, mut driver) = board();
    driver.set_thresholds(Some((118, 126))).unwrap();
    driver.keep_nets(START).unwrap();
    lock(&sim).set_vin(LOW, false);
    lock(&sim).advance(300);
    assert!(!lock(&sim).pi_on());
    lock(&sim).set_vin(VIN, false);
    lock(&sim).advance(DAY - 300 - 5);
    assert!(!lock(&sim).pi_on(), "this board's rule");
    lock(&sim).advance(10);
    assert!(lock(&sim).pi_on());
    assert_eq!(driver.reasons().unwrap(), (reason::ALARM1, reason::VIN_DROP));
}

/// A startup below 5 V fails for good: the next one is a month away, or comes when the power goes and comes back.
#[test]
fn an_alarm_that_finds_no_voltage_is_lost_until_power_is_connected_anew() {
    let (sim, _bus, mut driver) = board();
    driver.set_wake(START + UnixSeconds(3_600), START).unwrap();
    lock(&sim).halt();
    lock(&sim).set_vin(MilliVolts(4_500), false);
    lock(&sim).advance(7_200);
    lock(&sim).set_vin(VIN, false);
    lock(&sim).advance(10 * DAY);
    assert!(!lock(&sim).pi_on(), "this board's rule");
    lock(&sim).set_vin(MilliVolts(0), false);
    lock(&sim).set_vin(VIN, false);
    lock(&sim).advance(10);
    assert!(lock(&sim).pi_on());
    assert_eq!(driver.reasons().unwrap().0, reason::POWER_CONNECTED);
}

#[test]
fn missed_heartbeats_power_cycle_the_pi_and_heartbeats_keep_it_on() {
    let (sim, _bus, mut driver) = board();
    driver.keep_nets(START).unwrap();
    for _ in 0..120 {
        assert!(!driver.heartbeat().unwrap());
        lock(&sim).advance(59);
    }
    assert_eq!(driver.reasons().unwrap(), (reason::BUTTON, 0), "nobody switched it");
    // 30 may be missed; the 31st switches off, three minutes later, and a second later on again.
    lock(&sim).advance(31 * 60 - 59 - 2);
    assert_eq!(lock(&sim).state(), PiState::On);
    lock(&sim).advance(5);
    assert_eq!(lock(&sim).state(), PiState::Stopping);
    lock(&sim).advance(180);
    assert_eq!(lock(&sim).state(), PiState::Starting);
    assert_eq!(driver.reasons().unwrap(), (reason::REBOOT, reason::MISSED_HEARTBEAT));
}

#[test]
fn the_same_heartbeat_twice_is_no_sign_of_life_for_this_board() {
    use embedded_hal::i2c::I2c;
    let (sim, mut bus, mut driver) = board();
    driver.keep_nets(START).unwrap();
    for _ in 0..40 {
        bus.write(ADDRESS, &[reg::HEARTBEAT, 1]).unwrap();
        lock(&sim).advance(60);
    }
    assert_eq!(driver.reasons().unwrap().1, reason::MISSED_HEARTBEAT);
}

#[test]
fn the_alarm_wakes_the_pi_across_the_end_of_a_month_once_the_halt_is_announced() {
    for days in [1, 2, 3, 26] {
        let (sim, _bus, mut driver) = board();
        let wake_at = START + UnixSeconds(days * DAY + 1234);
        assert_eq!(driver.set_wake(wake_at, START).unwrap().alarm(), wake_at);
        driver.announce_halt().unwrap();
        lock(&sim).advance(days * DAY + 1234 - 5);
        assert!(!lock(&sim).pi_on(), "{days} days: not before");
        lock(&sim).advance(7);
        assert!(lock(&sim).pi_on(), "{days} days: awake");
        assert_eq!(driver.reasons().unwrap(), (reason::ALARM1, reason::EXTERNAL_SHUTDOWN));
    }
}

#[test]
fn a_schedule_script_on_the_board_or_a_write_that_does_not_stick_never_gives_a_wake_set() {
    let (sim, bus, mut driver) = board();
    lock(&sim).poke(reg::MISC, 1);
    let error = driver.set_wake(START + UnixSeconds(DAY), START).unwrap_err();
    assert!(error.to_string().contains("schedule script"), "{error}");
    lock(&sim).poke(reg::MISC, 0);
    bus.set_faults(Faults { flip_write_ppm: 1_000_000, ..Faults::default() });
    assert!(driver.set_wake(START + UnixSeconds(DAY), START).is_err());
    assert!(driver.announce_halt().is_err(), "and the board is not told anything else either");
    bus.set_faults(Faults::default());
    assert!(driver.set_wake(START + UnixSeconds(DAY), START).is_ok());
}

#[test]
fn the_alarm_of_a_sleep_is_left_alone_while_the_pi_goes_down_and_moved_on_when_it_did_not() {
    let (sim, _bus, mut driver) = board();
    driver.keep_nets(START).unwrap();
    let writes = lock(&sim).writes();
    for minute in 0..11 * 60 {
        driver.keep_nets(START + UnixSeconds(minute * 60)).unwrap();
    }
    assert_eq!(lock(&sim).writes(), writes, "its settings are a file in flash: nothing is written without need");
    lock(&sim).advance(13 * 3_600);
    let now = lock(&sim).now();
    driver.keep_nets(now).unwrap();
    assert!(lock(&sim).writes() > writes);
    driver.set_wake(now + UnixSeconds(3_600), now).unwrap();
    let writes = lock(&sim).writes();
    driver.keep_nets(now + UnixSeconds(599)).unwrap();
    assert_eq!(lock(&sim).writes(), writes);
    driver.keep_nets(now + UnixSeconds(601)).unwrap();
    assert!(lock(&sim).writes() > writes, "it is still awake: the sleep was called off");
}

/// A Pi with a worker on it: awake so many seconds after its power, then it keeps the nets and gives signs of life.
fn live(sim: &Shared<SimWittyPi5>, driver: &mut WittyPi5<SimBus>, seconds: i64, boots_in: i64) {
    let end = lock(sim).now().0 + seconds;
    let mut up = 0;
    while lock(sim).now().0 < end {
        let left = end - lock(sim).now().0;
        let on = lock(sim).pi_on();
        // While it sleeps, the time goes in bigger steps; none is longer than what a worker needs to start.
        lock(sim).advance(if on { 10 } else { 20 }.min(left));
        up = if on && lock(sim).pi_on() { up + 10 } else { 0 };
        if up >= boots_in {
            let now = lock(sim).now();
            let _ = driver.keep_nets(now);
            let _ = driver.heartbeat();
        }
    }
}

/// 1,000 seeded losses of power at random moments: in the middle of writing the alarm, asleep, awake; of the board, by low voltage
/// over days, by a Pi that hangs or halts unheard; with and without the clock's backup; over a bus that loses and flips.
#[test]
fn a_wake_path_exists_after_each_of_1000_random_power_losses() {
    let (mut in_the_middle, mut armed, mut slowest, mut by) = (0, 0, 0, [0; 16]);
    for seed in 0..1_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let start = START + UnixSeconds(rng.random_range(0..400 * DAY));
        let (sim, bus, mut driver) = board_at(start, seed);
        driver.keep_nets(start).unwrap();
        driver.set_thresholds(rng.random_bool(0.5).then_some((118, 126))).unwrap();
        lock(&sim).advance(2);
        let fails = rng.random_bool(0.4).then(|| rng.random_range(0..60));
        bus.set_faults(Faults {
            nack_ppm: 20_000,
            flip_read_ppm: 10_000,
            flip_write_ppm: 10_000,
            power_fails_after: fails,
            ..Faults::default()
        });
        let now = start + UnixSeconds(2);
        let wake_in = rng.random_range(60..27 * DAY);
        let set = driver.set_wake(now + UnixSeconds(wake_in), now).is_ok();
        let told = set && driver.announce_halt().is_ok();
        bus.set_faults(Faults::default());
        let boots_in = rng.random_range(20..120);
        let mut longest = if set { wake_in.max(DAY) } else { DAY };
        if told && fails.is_none() {
            armed += 1;
            lock(&sim).advance(rng.random_range(0..wake_in + 10));
        } else {
            in_the_middle += 1;
        }
        match rng.random_range(0..3) {
            0 => {
                lock(&sim).set_vin(MilliVolts(0), rng.random_bool(0.5));
                lock(&sim).advance(rng.random_range(1..20 * DAY));
                // Power that comes back switches it on, whatever the alarm says.
                longest = 60;
            }
            1 => {
                lock(&sim).set_vin(LOW, false);
                live(&sim, &mut driver, rng.random_range(1..5 * DAY), boots_in);
            }
            // It hangs, or halted and nobody said so: for the board it is on.
            _ => {}
        }
        lock(&sim).set_vin(VIN, false);
        let back = lock(&sim).now();
        // Awake: the Pi was started after the loss, or is still up and its worker answers; else the watchdog starts it anew.
        let reasons = driver.reasons().unwrap();
        let awake = |driver: &mut WittyPi5<SimBus>| {
            let why = driver.reasons().unwrap_or(reasons);
            lock(&sim).pi_on() && lock(&sim).state() != PiState::Stopping && (why != reasons || why.0 != reason::BUTTON)
        };
        while !awake(&mut driver) && (lock(&sim).now() - back).0 < 30 * DAY {
            lock(&sim).advance(60);
        }
        let waited = (lock(&sim).now() - back).0;
        assert!(awake(&mut driver), "seed {seed}: asleep for ever, {:?}", lock(&sim));
        assert!(waited <= longest + 3_600, "seed {seed}: woke after {waited} s, {longest} expected");
        slowest = slowest.max(waited - longest);
        by[usize::from(driver.reasons().unwrap().0)] += 1;
    }
    println!(
        "1000 losses ({in_the_middle} while writing, {armed} asleep with the alarm set), woken by {by:?}, {slowest} s late"
    );
    assert!(in_the_middle > 200 && armed > 400);
    let ways = [reason::ALARM1, reason::POWER_CONNECTED, reason::REBOOT];
    assert!(ways.iter().all(|way| by[usize::from(*way)] > 20), "every way was needed: {by:?}");
}
