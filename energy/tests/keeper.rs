//! The keeper on a simulated site with the real drivers: a month, and bad input.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_possible_truncation)]
use sunwork_energy::{
    keeper::{Keeper, Memory, Mode, Outcome, Promise, Start, State, Tick, Trouble, Waking},
    plan::Commitment,
    sensors::Stamp,
    sim::{
        bus::Faults,
        rig::Rig,
        scenario::{Scenario, address},
    },
    units::{MicroWattHours, MilliWattHours, MonoMillis, UnixSeconds},
    work::Share,
};

const START: i64 = 1_780_272_000; // 2026-06-01
const GAP: MonoMillis = MonoMillis(400_000);

fn scenario(text: &str) -> Scenario {
    let mut all = serde_json::json!({
        "start": START, "days": 31, "panel_wp": 100, "battery_wh": 384, "board": "pi4b", "extra": 1300, "seed": 4
    });
    let more: serde_json::Value = serde_json::from_str(text).unwrap();
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap()
}

/// A keeper, its site, and the promises of the test.
struct Run {
    rig: Rig,
    keeper: Keeper,
    promises: Vec<Promise>,
    cpu_permille: u32,
    cpu_microseconds: u64,
    shares: Vec<Share>,
    clock_set: bool,
    waking: Waking,
    outcome: Option<Outcome>,
    rows: u32,
    slept: i64,
    sleeps: u32,
}

impl Run {
    fn new(scenario: &Scenario) -> Self {
        Self::with(scenario, None, true)
    }

    fn with(scenario: &Scenario, recorded: Option<&str>, history: bool) -> Self {
        let rows = if history { Rig::history(scenario, None).unwrap() } else { Vec::new() };
        let start = Start { rows, ..Start::default() };
        let mut keeper = Keeper::new(Rig::plant(scenario, GAP), start);
        keeper.told(i64::from(scenario.charge_permille), 10);
        Self {
            rig: Rig::new(scenario, recorded).unwrap(),
            keeper,
            promises: Vec::new(),
            cpu_permille: 0,
            cpu_microseconds: 0,
            shares: Vec::new(),
            clock_set: true,
            waking: Waking::Ready,
            outcome: None,
            rows: 0,
            slept: 0,
            sleeps: 0,
        }
    }

    fn now(&self) -> i64 {
        self.rig.now().unix.unwrap().0
    }

    fn look(&mut self) -> Outcome {
        let mut at = self.rig.now();
        if !self.clock_set {
            at = Stamp { unix: None, ..at };
        }
        let readings = self.rig.readings(at);
        let outcome = self.keeper.look(Tick {
            at,
            readings: &readings,
            cpu_permille: self.cpu_permille,
            cpu_microseconds: self.cpu_microseconds,
            shares: self.shares.clone(),
            promises: &self.promises,
            promises_known: true,
            waking: &self.waking,
        });
        self.rows += u32::from(outcome.row.is_some());
        self.outcome = Some(outcome.clone());
        outcome
    }

    /// A minute: time, work, a look, and sleep where it is decided.
    fn minute(&mut self) -> Outcome {
        let owed: i64 = self.promises.iter().map(|promise| promise.energy.0).sum();
        self.cpu_permille = if owed > 0 { self.outcome.as_ref().map_or(0, |o| o.mode.cores_permille()) } else { 0 };
        self.rig.site().set_cpu(self.cpu_permille);
        self.rig.advance(60);
        // 4.53 W above idle at full use, as the model of the board has it.
        let mut done = (4_530 * i64::from(self.cpu_permille)).div_euclid(60_000) + 1;
        for promise in &mut self.promises {
            let part = done.min(promise.energy.0);
            promise.energy = promise.energy - MilliWattHours(part);
            done -= part;
        }
        let outcome = self.look();
        if let Mode::Sleep { wake } = outcome.mode {
            let before = self.now();
            let set = self.rig.set_wake(wake).unwrap();
            assert_eq!(set.alarm(), wake);
            let cut_short = self.keeper.falls_asleep();
            assert!(cut_short.is_none_or(|row| matches!(row.mode, Mode::Sleep { .. })));
            self.rig.site().halt();
            while !self.rig.site().board_on() {
                self.rig.advance(30);
                assert!(
                    self.now() <= wake.0 + 60,
                    "nothing woke the board at {} of {wake:?}: {:?} {:?}",
                    self.now(),
                    self.rig.site().plant().battery.part(),
                    self.state().battery
                );
            }
            self.rig.site().started();
            self.keeper.woke_up(self.now() - before);
            self.slept += self.now() - before;
            self.sleeps += 1;
        }
        outcome
    }

    fn minutes(&mut self, count: i64) -> Outcome {
        (1..count).for_each(|_| drop(self.minute()));
        self.minute()
    }

    fn state(&self) -> State {
        self.keeper.state(self.outcome.as_ref().unwrap(), &self.promises, true)
    }

    fn names(&self) -> Vec<&'static str> {
        self.outcome.as_ref().unwrap().troubles.iter().map(Trouble::name).collect()
    }

    fn ask(&self, mwh: i64, hours: i64) -> bool {
        let deadline = UnixSeconds(self.now() + hours * 3600);
        self.keeper.gate().is_some_and(|gate| gate.ask(&Commitment { energy: MilliWattHours(mwh), deadline }).is_ok())
    }
}

/// Thirty days; every two hours somebody asks for work.
fn month(scenario: &Scenario) -> (Run, u32) {
    let mut run = Run::new(scenario);
    let (mut asked, mut accepted, mut late) = (0, 0, 0);
    let (begin, mut next) = (run.now(), 0);
    while run.now() < begin + 30 * 86_400 {
        run.minute();
        let now = run.now();
        let minute = (now - begin) / 60;
        late += run.promises.iter().filter(|promise| promise.energy.0 > 0 && promise.deadline.0 < now).count();
        run.promises.retain(|promise| promise.energy.0 > 0 && promise.deadline.0 >= now);
        if minute >= next {
            next = minute + 120;
            asked += 1;
            let energy = 2_000 + minute * 7919 % 10_000;
            let hours = 4 + minute * 31 % 20;
            if run.ask(energy, hours) {
                accepted += 1;
                let deadline = UnixSeconds(now + hours * 3600);
                run.promises.push(Promise { energy: MilliWattHours(energy), deadline, awake_by: deadline });
            }
        }
    }
    let (made, used) = run.rig.site().plant().totals_joule();
    println!(
        "asked {asked}, accepted {accepted}, late {late}; made {:.0} Wh, used {:.0} Wh; slept {} h in {} sleeps; losses {}; charge {:.0} % {:?}",
        made / 3600.0,
        used / 3600.0,
        run.slept / 3600,
        run.sleeps,
        run.rig.site().plant().unplanned_losses(),
        run.rig.site().plant().battery.part() * 100.0,
        run.state().battery.estimate,
    );
    assert_eq!((late, run.rig.site().plant().unplanned_losses()), (0, 0));
    (run, accepted)
}

#[test]
fn a_month_of_sun_is_worked_without_a_loss_and_ends_net_positive() {
    let (mut run, accepted) = month(&scenario("{}"));
    assert!(accepted > 100);
    let state = run.state();
    let true_permille = (run.rig.site().plant().battery.part() * 1000.0) as i64;
    let estimate = state.battery.estimate;
    assert!(
        (estimate.permille - true_permille).abs() <= estimate.bound_permille.max(50),
        "{estimate:?} {true_permille}"
    );
    assert_eq!(state.forecast.reason, "forecast from own history");
    let (made, used) = run.rig.site().plant().totals_joule();
    assert!(made >= used, "made {made} J, used {used} J");
    assert!(run.rows >= 30 * 96 - run.sleeps * 100);
}

#[test]
fn a_dim_month_is_slept_through_in_part_and_no_promise_is_broken() {
    let (run, _) =
        month(&scenario(r#"{"start": 1796083200, "clearness": 0.3, "charge_permille": 800, "panel_wp": 60}"#));
    assert!(run.sleeps > 0, "this month cannot be stayed awake through");
}

#[test]
fn a_promise_keeps_the_board_awake_and_a_near_one_shortens_the_sleep() {
    let mut run = Run::new(&scenario(r#"{"charge_permille": 120}"#));
    let due = |seconds: i64, run: &Run| {
        let at = UnixSeconds(run.now() + seconds);
        vec![Promise { energy: MilliWattHours(0), deadline: at, awake_by: at }]
    };
    run.rig.advance(60);
    run.promises = due(1800, &run);
    assert_eq!(run.look().mode, Mode::Pause);
    assert!(run.state().reason.contains("an agreement needs this worker awake"), "{}", run.state().reason);
    run.promises = due(4 * 3600, &run);
    let now = run.now();
    let Mode::Sleep { wake } = run.look().mode else { panic!("{}", run.state().reason) };
    assert!(wake.0 <= now + 4 * 3600 - 900 && wake.0 > now + 1200);
}

#[test]
fn a_promise_holds_nothing_back_where_energy_is_plenty() {
    let mut run = Run::new(&scenario(r#"{"charge_permille": 990, "clearness": 0.95, "battery_wh": 512}"#));
    while run.rig.now().unix.unwrap().0 % 86_400 != 12 * 3600 {
        run.rig.advance(60);
    }
    assert_eq!(run.minute().mode, Mode::Run, "{}", run.state().reason);
    // Half a watt hour within an hour needs a ninth of the board.
    let at = UnixSeconds(run.now() + 3600);
    run.promises = vec![Promise { energy: MilliWattHours(500), deadline: at, awake_by: at }];
    assert_eq!(run.look().mode, Mode::Run, "{}", run.state().reason);
    assert!(run.state().reason.contains("plenty"), "{}", run.state().reason);
}

#[test]
fn nothing_can_wake_the_board_so_it_does_not_sleep() {
    let mut run = Run::new(&scenario(r#"{"charge_permille": 100}"#));
    run.waking = Waking::Failed("the alarm does not read back".into());
    let outcome = run.minutes(3);
    assert_eq!(outcome.mode, Mode::Pause);
    assert!(run.names().contains(&"cannot_wake") && run.state().reason.contains("does not read back"));
    assert!(!run.ask(100, 4));
}

#[test]
fn an_unknown_charge_promises_nothing_and_sleeps_never_until_the_battery_was_full() {
    let scenario = scenario(r#"{"clearness": 1.0, "charge_permille": 900}"#);
    let mut run = Run::new(&scenario);
    run.keeper = Keeper::new(
        Rig::plant(&scenario, GAP),
        Start { rows: Rig::history(&scenario, None).unwrap(), ..Start::default() },
    );
    assert_eq!(run.minutes(3).mode, Mode::Pause);
    assert!(run.names().contains(&"charge_unknown") && !run.ask(100, 4));
    run.minutes(2 * 1440);
    assert!(!run.names().contains(&"charge_unknown"), "{:?}", run.state().battery);
    assert!(run.ask(100, 4), "{:?}", run.state());
}

#[test]
fn a_battery_sensor_that_is_missing_closes_the_door_and_is_named() {
    let mut run = Run::new(&scenario("{}"));
    run.minutes(10 * 60);
    assert!(run.ask(500, 6), "{:?}", run.state().reason);
    run.rig.site().bus().detach(address::BATTERY);
    run.minutes(3);
    assert!(run.names().contains(&"sensor_missing") && !run.ask(500, 6));
    let state = run.state();
    let row = state.troubles.iter().find(|row| row.name == "sensor_missing").unwrap();
    assert!(row.reason.contains("battery") && row.reason.contains("check the wiring"), "{}", row.reason);
    assert!(row.behaviour.contains("nothing new is promised"));
    let before = state.battery.estimate.bound_permille;
    run.minutes(60);
    // What flows meanwhile is not seen; the next reading finds a gap.
    assert!(run.state().battery.estimate.bound_permille >= before);
}

#[test]
fn a_panel_that_is_not_measured_is_not_counted_on() {
    let mut run = Run::new(&scenario("{}"));
    run.minutes(8 * 60);
    run.rig.site().bus().detach(address::PRODUCTION);
    run.minutes(5);
    assert!(run.state().harvest.power.is_some(), "the charger's own figure stands in");
    run.rig.site().cut_line();
    run.minutes(7 * 60);
    assert!(run.names().contains(&"no_samples") && run.names().contains(&"sensor_missing"), "{:?}", run.names());
    assert!(run.state().forecast.slots.iter().all(|slot| slot.low.0 == 0));
}

#[test]
fn a_bus_that_flips_bits_is_named_and_its_figures_are_not_used() {
    let mut run = Run::new(&scenario("{}"));
    let before = run.minutes(9 * 60);
    let made = run.state().harvest.today;
    run.rig.site().bus().set_faults(Faults { flip_read_ppm: 1_000_000, ..Faults::default() });
    run.minutes(5);
    let lying = run.names().iter().any(|name| ["sensor_lying", "sensor_missing"].contains(name));
    assert!(lying && !run.ask(100, 6), "{:?}", run.names());
    let grown = run.state().harvest.today - made;
    assert!(grown.0 >= 0 && grown.0 < 200 * 1000 * 6 / 60, "{grown:?} {before:?}");
    run.rig.site().bus().set_faults(Faults::default());
    run.minutes(5);
    assert!(!run.names().contains(&"sensor_lying"));
}

/// A chip of the test's own in place of the site's: reset by that, and saying what it is told.
fn replace(run: &mut Run, at: u8) -> sunwork_energy::sim::bus::Shared<sunwork_energy::sim::ina228::SimIna228> {
    use sunwork_energy::sim::{bus::shared, ina228::SimIna228, scenario::SHUNT_MICROOHM};
    let device = shared(SimIna228::new(SHUNT_MICROOHM));
    run.rig.site().bus().attach(at, device.clone());
    device
}

fn say(device: &sunwork_energy::sim::bus::Shared<sunwork_energy::sim::ina228::SimIna228>, milliwatts: i64) {
    use sunwork_energy::{
        sim::bus::lock,
        units::{MicroAmps, MicroVolts},
    };
    lock(device).run(MonoMillis(60_000), MicroVolts(18_000_000), MicroAmps(milliwatts * 1_000 / 18));
}

#[test]
fn a_sensor_that_hangs_is_named_frozen_and_one_that_jumps_spiking() {
    let mut run = Run::new(&scenario("{}"));
    run.minutes(5);
    let device = replace(&mut run, address::PRODUCTION);
    for _ in 0..40 {
        say(&device, 5_000);
        run.minute();
    }
    assert!(run.names().contains(&"sensor_frozen"), "{:?}", run.names());
    say(&device, 5_100);
    run.minute();
    assert!(!run.names().contains(&"sensor_frozen"));
    say(&device, 150_000);
    run.minute();
    assert!(run.names().contains(&"sensor_spiking"), "{:?}", run.names());
    say(&device, 5_200);
    run.minute();
    assert!(!run.names().contains(&"sensor_spiking"));
}

#[test]
fn a_chip_that_lost_its_memory_begins_a_new_epoch_and_nothing_is_counted_twice() {
    let mut run = Run::new(&scenario("{}"));
    run.minutes(12 * 60);
    let before = run.state().harvest.today;
    let device = replace(&mut run, address::PRODUCTION);
    say(&device, 10_000);
    run.minutes(2);
    assert!(run.names().contains(&"counter_reset"), "{:?}", run.names());
    assert!((run.state().harvest.today - before).0 < 5_000);
}

#[test]
fn a_panel_that_claims_twice_what_arrives_is_named_and_promises_end() {
    let mut run = Run::new(&scenario(r#"{"clearness": 1.0, "charge_permille": 500}"#));
    run.minutes(6 * 60);
    assert!(!run.names().contains(&"unbalanced"));
    let device = replace(&mut run, address::PRODUCTION);
    for minute in 0..300 {
        let truth = run.rig.site().plant().flows().production.0 / 1000;
        say(&device, 2 * truth + minute % 7);
        run.minute();
    }
    assert!(run.names().contains(&"unbalanced") && !run.ask(100, 6), "{:?}", run.names());
}

#[test]
fn an_unset_clock_learns_promises_and_sleeps_nothing() {
    let mut run = Run::new(&scenario(r#"{"charge_permille": 100}"#));
    run.clock_set = false;
    let outcome = run.minutes(30);
    assert!(run.names().contains(&"clock_unset") && outcome.mode == Mode::Pause, "{outcome:?}");
    assert!(!run.ask(100, 6) && run.rows == 0 && run.keeper.gate().is_none());
    assert!(run.state().plan.is_empty());
    run.clock_set = true;
    run.minutes(3);
    assert!(!run.names().contains(&"clock_unset"));
}

#[test]
fn a_lost_history_is_told_counts_on_no_sun_and_is_learned_anew() {
    let scenario = scenario("{}");
    let mut run = Run::new(&scenario);
    let lost = Some("learned.json is damaged; kept as learned.json.corrupt-1".to_owned());
    run.keeper = Keeper::new(Rig::plant(&scenario, GAP), Start { history_lost: lost, ..Start::default() });
    run.keeper.told(800, 10);
    run.minutes(10);
    assert!(run.names().contains(&"history_lost") && run.names().contains(&"learning"));
    assert!(run.state().forecast.slots.iter().all(|slot| slot.low.0 == 0));
    assert!(run.state().troubles.iter().any(|row| row.reason.contains("kept as learned.json.corrupt-1")));
    run.minutes(7 * 1440);
    assert!(!run.names().contains(&"history_lost"), "{:?}", run.names());
}

#[test]
fn the_polar_night_is_named_and_slept_through_as_long_as_the_reserve_lasts() {
    let mut run = Run::new(&scenario(r#"{"start": 1796083200, "latitude": 82.0, "charge_permille": 900}"#));
    while run.now() < 1_796_083_200 + 9 * 86_400 {
        run.minute();
    }
    assert!(run.names().contains(&"polar_night"), "{:?}", run.names());
    assert!(run.sleeps > 0 && run.state().forecast.slots.iter().all(|slot| slot.low.0 == 0));
    assert_eq!(run.rig.site().plant().unplanned_losses(), 0);
}

#[test]
fn a_panel_that_is_covered_for_a_month_is_named_slept_through_and_believed_again() {
    let scenario = scenario(r#"{"days": 34}"#);
    let sky: String = (0..34 * 96)
        .map(|quarter| {
            let hour = f64::from(quarter % 96) / 4.0;
            let sun = ((hour - 6.0) / 12.0 * std::f64::consts::PI).sin().max(0.0) * 70.0;
            let covered = (1..31).contains(&(quarter / 96));
            format!("{},{}\n", START + i64::from(quarter) * 900, if covered { 0.012 * sun } else { sun })
        })
        .collect();
    let mut run = Run::with(&scenario, Some(&sky), true);
    while run.now() < START + 31 * 86_400 {
        run.minute();
    }
    assert!(run.names().contains(&"panel_dark"), "{:?}", run.names());
    assert!(run.sleeps > 0);
    println!(
        "{} sleeps, {:?}, really {}",
        run.sleeps,
        run.state().battery.estimate,
        run.rig.site().plant().battery.part()
    );
    assert_eq!(run.rig.site().plant().unplanned_losses(), 0);
    while run.now() < START + 33 * 86_400 {
        run.minute();
    }
    assert!(!run.names().contains(&"panel_dark"), "{:?}", run.names());
    assert!(run.slept > 0 && !matches!(run.outcome.as_ref().unwrap().mode, Mode::Sleep { .. }));
}

#[test]
fn a_battery_below_two_days_promises_nothing() {
    let mut run = Run::new(&scenario(r#"{"battery_wh": 100}"#));
    run.minutes(3);
    assert!(run.names().contains(&"small_battery") && !run.ask(1, 6));
    assert!(run.state().troubles.iter().any(|row| row.reason.contains("two days at base load need")));
}

#[test]
fn a_restart_goes_on_where_it_was_killed() {
    let scenario = scenario("{}");
    let mut run = Run::new(&scenario);
    let mut rows = Rig::history(&scenario, None).unwrap();
    let mut learned = None;
    for minute in 0..3 * 1440 {
        rows.extend(run.minute().row);
        if minute == 2 * 1440 {
            learned = Some(serde_json::to_string(&run.keeper.learned()).unwrap());
        }
    }
    let memory: Memory = serde_json::from_str(&serde_json::to_string(&run.keeper.memory()).unwrap()).unwrap();
    let before = run.state();
    // What was learned is a day old: the rows since then bring it up.
    let learned = Some(serde_json::from_str(&learned.unwrap()).unwrap());
    let start = Start { memory: Some(memory), learned, rows, history_lost: None };
    run.keeper = Keeper::new(Rig::plant(&scenario, GAP), start);
    run.minutes(2);
    let after = run.state();
    assert_eq!(after.forecast.state, before.forecast.state);
    let (old, new) = (before.forecast.slots[20].expected.0, after.forecast.slots[20].expected.0);
    assert!((old - new).abs() <= old / 20 + 50, "{old} {new}");
    let (old, new) = (before.battery.estimate, after.battery.estimate);
    assert!(
        (old.permille - new.permille).abs() <= 2 && new.bound_permille - old.bound_permille <= 10,
        "{old:?} {new:?}"
    );
    assert!(after.harvest.yesterday.0 > 0);
    // Without what was learned the rows alone lead to a forecast.
    let fresh = Keeper::new(
        Rig::plant(&scenario, GAP),
        Start { rows: Rig::history(&scenario, None).unwrap(), ..Start::default() },
    );
    assert!(fresh.models().0.days() >= 19);
}

/// Two days of two agreements, with gaps in which nobody looked: what the accounts and the machine's own hold is, to the microwatt
/// hour, what the quarter hours say that the board used.
#[test]
fn agreements_and_the_machines_own_sum_to_what_the_board_used() {
    let mut run = Run::new(&scenario(r#"{"clearness": 1.0}"#));
    run.look();
    let begun = run.keeper.ledger().total();
    let (mut used, mut compared) = (0, 0);
    for minute in 0..2 * 1440_u64 {
        let share = |agreement: &str, cpu_microseconds, reserved_permille| Share {
            agreement: agreement.into(),
            cpu_microseconds,
            reserved_permille,
        };
        run.cpu_permille = (minute * 37 % 1000) as u32;
        run.cpu_microseconds = minute * 7_919 % 60_000_000;
        // More than the machine says that it was busy, at times: two clocks, two ticks.
        run.shares = vec![share("a", minute * 104_729 % 40_000_000, 500), share("b", minute % 3, 250)];
        run.rig.site().set_cpu(run.cpu_permille);
        run.rig.advance(if minute % 211 == 0 { 3_000 } else { 60 });
        let outcome = run.look();
        if let Some(row) = outcome.row {
            used += row.used.0;
            compared += 1;
            assert_eq!(run.keeper.ledger().total(), begun + MicroWattHours(used * 1000), "minute {minute}");
        }
    }
    let accounts = run.keeper.ledger().accounts().clone();
    assert!(compared > 150 && used > 100_000, "{compared} {used}");
    assert!(accounts["a"].used().0 > 1_000_000 && accounts["b"].used().0 > 1_000_000, "{accounts:?}");
    assert!(accounts["b"].active.0 < accounts["a"].active.0 / 1000, "b did next to nothing, and pays its part of idle");
}

#[test]
fn at_the_same_charge_a_wider_bound_promises_less() {
    let of = |sigma: i64| {
        let mut run = Run::new(&scenario("{}"));
        run.keeper.told(800, sigma);
        run.minutes(3);
        let state = run.state();
        (state.battery.estimate, state.spare)
    };
    let ((sure, much), (unsure, little)) = (of(5), of(60));
    assert_eq!(sure.permille, unsure.permille);
    let wider = unsure.bound_permille - sure.bound_permille;
    assert!(wider > 50, "{sure:?} {unsure:?}");
    // What the bound grew by is not counted on: 384 Wh by the label.
    let less = (sure.usable - unsure.usable).0;
    assert!((less - wider * 384).abs() < 1_000, "{less} mWh less for {wider} thousandths");
    assert!(little < much, "{little:?} {much:?}");
}
