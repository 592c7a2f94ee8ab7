//! The plan as a whole: a simulated worker on generated weather, and bad days.
#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::cast_possible_truncation)]
use sunwork_energy::{
    forecast::{Forecaster, harvest::Site},
    plan::{
        Admission, Commitment, Planner, Reason,
        admission::admit,
        model::{Battery, Board},
        planner::Act,
        value::Choice,
    },
    sun::Place,
    trace::{
        Sample,
        synthetic::{Weather, days},
    },
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

/// 2026-05-01T06:00:00Z, midnight of the sun at 90° W.
const START: UnixSeconds = UnixSeconds(1_777_615_200);

fn place() -> Place {
    Place::new(45.0, -90.0, 300.0).unwrap()
}

fn hardware(capacity_wh: f64) -> (Battery, Board) {
    let board = Board::raspberry_pi_4();
    (Battery::new(capacity_wh, &board), board)
}

struct Run {
    lowest: f64,
    awake: u32,
    slept: u32,
    compute: f64,
    planner: Planner,
    forecaster: Forecaster,
    wakes: Vec<(i64, i64)>,
}

fn run(samples: &[Sample], capacity_wh: f64, start_wh: f64) -> Run {
    run_at(place(), samples, capacity_wh, start_wh)
}

fn run_at(place: Place, samples: &[Sample], capacity_wh: f64, start_wh: f64) -> Run {
    let (battery, board) = hardware(capacity_wh);
    let mut run = Run {
        lowest: start_wh,
        awake: 0,
        slept: 0,
        compute: 0.0,
        planner: Planner::new(battery, board),
        forecaster: Forecaster::new(Site::At(place)),
        wakes: Vec::new(),
    };
    let mut charge = start_wh;
    for hour in samples.chunks_exact(4) {
        let now = hour[0].start;
        let harvest = hour.iter().map(|s| s.power.0 as f64 / 4000.0).sum::<f64>();
        let act = run.planner.decide(now, MilliWattHours((charge * 1000.0) as i64), &run.forecaster, &[]).act;
        let choice = match act {
            Act::Sleep { wake } => {
                run.slept += 1;
                run.wakes.push((now.0, wake.0));
                Choice::Sleep
            }
            Act::Run { compute } => {
                run.awake += 1;
                run.compute += compute.0 as f64 / 1000.0;
                Choice::Awake(compute.0 as f64 / 1000.0)
            }
        };
        charge = battery.flow(charge, harvest, board.load(choice));
        run.lowest = run.lowest.min(charge);
        hour.iter().for_each(|sample| run.forecaster.observe(sample).unwrap());
        run.planner.hour_passed(&run.forecaster, now, MilliWattHours((harvest * 1000.0) as i64));
    }
    run
}

fn weather(seed: u64, count: u32, panel_watts: f64) -> Vec<Sample> {
    days(&Weather { place: place(), panel_watts, seed }, START, count)
}

#[test]
fn no_unplanned_loss_on_good_and_bad_suns_and_every_sleep_has_a_wake_ahead() {
    for (seed, watts) in [(1, 100.0), (2, 30.0), (3, 12.0)] {
        let run = run(&weather(seed, 20, watts), 230.0, 115.0);
        assert!(run.lowest > 0.05 * 230.0, "{watts} W: {} Wh", run.lowest);
        assert!(run.wakes.iter().all(|(now, wake)| (1..=86_400).contains(&(wake - now))), "{:?}", run.wakes);
        assert!(
            run.awake > 0 && (watts > 20.0 || run.slept > 0),
            "{watts} W: {} awake, {} asleep",
            run.awake,
            run.slept
        );
    }
}

#[test]
fn work_runs_where_energy_is_plenty() {
    let run = run(&weather(1, 20, 200.0), 384.0, 300.0);
    assert!(run.compute > 0.85 * 4.5 * f64::from(run.awake), "{} Wh in {} h", run.compute, run.awake);
    assert_eq!(run.slept, 0);
}

#[test]
fn a_panel_that_is_covered_ends_in_planned_sleep_and_not_in_a_loss() {
    let mut samples = weather(4, 16, 100.0);
    samples[8 * 96..12 * 96].iter_mut().for_each(|sample| sample.power = MilliWatts(0));
    let run = run(&samples, 230.0, 115.0);
    assert!(run.slept > 0 && run.lowest > 0.05 * 230.0, "{} h asleep, {} Wh", run.slept, run.lowest);
}

/// Ten months at 68° N, where the sun does not rise for six weeks: what sleep takes until it is back is kept in time. The rule of before,
/// which knew of no night longer than four days, lost its power in December.
#[test]
fn the_polar_night_is_slept_through_to_its_end() {
    let north = Place::new(68.0, 20.0, 300.0).unwrap();
    // 2026-08-01T00:00:00Z.
    let start = UnixSeconds(1_785_542_400);
    for (seed, watts) in [(1, 100.0), (2, 200.0)] {
        let samples = days(&Weather { place: north, panel_watts: watts, seed }, start, 300);
        let run = run_at(north, &samples, 384.0, 192.0);
        assert!(run.lowest > 0.05 * 384.0, "{watts} W: {} Wh", run.lowest);
        assert!(run.awake > 2400, "{watts} W: {} h awake", run.awake);
    }
}

/// Mounted under snow, or not connected: nothing is learned but that there is no sun. The rule of before was awake down to the reserve
/// of four days.
#[test]
fn a_panel_that_never_gave_is_slept_on_for_a_month() {
    let mut samples = weather(4, 30, 100.0);
    samples.iter_mut().for_each(|sample| sample.power = MilliWatts(0));
    let run = run(&samples, 384.0, 192.0);
    assert!(run.lowest > 0.05 * 384.0, "{} Wh", run.lowest);
    assert!((6..24).contains(&run.awake), "{} h awake", run.awake);
    // The month that begins in the polar night is not spent awake either.
    let north = run_at(Place::new(78.0, 15.0, 0.0).unwrap(), &dark_from(1_797_724_800), 384.0, 192.0);
    assert!(north.lowest > 0.05 * 384.0, "{} Wh", north.lowest);
}

/// Thirty days of quarter hours without sun.
fn dark_from(start: i64) -> Vec<Sample> {
    (0..30 * 96)
        .map(|index| Sample { start: UnixSeconds(start + index * 900), seconds: 900, power: MilliWatts(0) })
        .collect()
}

#[test]
fn the_first_night_is_not_taken_for_a_panel_that_never_gives() {
    // From six in the evening on.
    let run = run(&weather(1, 3, 100.0)[72..], 384.0, 192.0);
    assert_eq!(run.slept, 0, "{} h awake", run.awake);
}

#[test]
fn from_the_reserve_two_days_of_darkness_at_base_load_are_survived() {
    for capacity in [230.0, 384.0, 1000.0] {
        let (battery, board) = hardware(capacity);
        let mut charge = battery.reserve_wh(&board);
        assert!(charge <= capacity, "{capacity} Wh hold the reserve of {charge} Wh");
        for _ in 0..48 {
            charge = battery.flow(charge, 0.0, board.base_w);
        }
        assert!(charge >= battery.sleep_wh() - 1e-9, "{charge} Wh are left");
    }
}

#[test]
fn an_unset_clock_keeps_the_worker_awake_at_base_load_while_it_can() {
    let (battery, board) = hardware(230.0);
    let planner = Planner::new(battery, board);
    let forecaster = Forecaster::new(Site::At(place()));
    let at = UnixSeconds(100);
    let decision = planner.decide(at, MilliWattHours(150_000), &forecaster, &[]);
    assert_eq!((decision.act, decision.reason), (Act::Run { compute: MilliWatts(0) }, Reason::ClockUnset { at }));
    assert!(decision.reason.to_string().contains("set it"));
    let low = planner.decide(at, MilliWattHours(12_000), &forecaster, &[]);
    assert!(matches!(low.act, Act::Sleep { .. }), "{low:?}");
}

#[test]
fn too_low_a_charge_says_what_is_needed() {
    let (battery, board) = hardware(230.0);
    let planner = Planner::new(battery, board);
    let forecaster = Forecaster::new(Site::At(place()));
    let decision = planner.decide(START, MilliWattHours(12_000), &forecaster, &[]);
    let Reason::ChargeTooLow { charge, needed } = decision.reason else { panic!("{decision:?}") };
    assert!(charge == MilliWattHours(12_000) && needed > charge, "{decision:?}");
}

#[test]
fn while_the_sun_is_not_known_work_runs_by_the_charge_alone() {
    let (battery, board) = hardware(384.0);
    let planner = Planner::new(battery, board);
    let forecaster = Forecaster::new(Site::At(place()));
    let limit = MilliWattHours(230_400);
    for (charge, compute) in [(230_399, 0), (230_400, 4500), (384_000, 4500)] {
        let charge = MilliWattHours(charge);
        let decision = planner.decide(START, charge, &forecaster, &[]);
        assert_eq!(decision.act, Act::Run { compute: MilliWatts(compute) }, "{charge:?}");
        assert_eq!(decision.reason, Reason::SunUnknown { charge, limit });
        assert!(decision.reason.to_string().contains("from 230.4 Wh on"), "{}", decision.reason);
    }
}

#[test]
fn promises_come_off_before_anything_new_is_promised() {
    let (battery, board) = hardware(384.0);
    let trained = run(&weather(1, 8, 50.0), 384.0, 380.0);
    let now = UnixSeconds(START.0 + 8 * 86_400);
    let ask = |wh: i64, hours: i64, promises: &[Commitment]| {
        let asked = Commitment { energy: MilliWattHours(wh * 1000), deadline: UnixSeconds(now.0 + hours * 3600) };
        admit(&battery, &board, &trained.forecaster, now, MilliWattHours(250_000), promises, &asked)
    };
    assert!(matches!(ask(10, 24, &[]), Admission::Accepted { .. }), "{:?}", ask(10, 24, &[]));
    assert!(matches!(ask(10, 2, &[]), Admission::TooLate { .. }), "{:?}", ask(10, 2, &[]));
    let held = [Commitment { energy: MilliWattHours(100_000), deadline: UnixSeconds(now.0 + 30 * 3600) }];
    assert!(matches!(ask(10, 30, &held), Admission::BelowReserve { .. }), "at night: {:?}", ask(10, 30, &held));
}

#[test]
fn a_battery_below_two_days_promises_nothing_and_says_why() {
    let (battery, board) = hardware(100.0);
    let forecaster = Forecaster::new(Site::At(place()));
    let asked = Commitment { energy: MilliWattHours(1000), deadline: UnixSeconds(START.0 + 86_400) };
    let found = admit(&battery, &board, &forecaster, START, MilliWattHours(100_000), &[], &asked);
    assert!(matches!(found, Admission::SmallBattery { .. }), "{found:?}");
}
