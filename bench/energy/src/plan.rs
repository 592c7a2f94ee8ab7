//! Policies against the offline optimum, hour by hour (ENERGY.md 3.3).
use std::collections::BTreeMap;

use eyre::bail;
use serde::Serialize;
use sunwork_energy::{
    forecast::Forecaster,
    plan::{
        Planner,
        model::{Battery, Board, RESERVE_HOURS},
        planner::Act,
        value::Choice,
    },
    trace::Sample,
    units::{MilliWattHours, MilliWatts, UnixSeconds},
};

use crate::{optimum, score::round, series::Series, tasks};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// Charge at the beginning, share of the capacity.
const START: f64 = 0.5;
/// Hardware cut-off, share of the capacity.
const CUT_OFF: f64 = 0.10;
/// Software thresholds of the policies that have fixed ones: sleep at, wake at.
///
/// The published table states neither these, nor the cut-off, nor what a gap is, nor what the panel gives of its nameplate. With
/// 10 %, 15 %, 30 %, yesterday's sun and 0.9 all ten figures of its optimum, greedy and threshold come out within 0.04; with every
/// gap as darkness no cut-off gives its optimum.
const SLEEP: f64 = 0.15;
const WAKE: f64 = 0.30;

/// What the solver leaves of an optimum that does no work, watt hours.
const NO_WORK_WH: f64 = 0.01;

/// What is simulated.
#[derive(Clone, Copy)]
pub struct Setting {
    pub panel_wp: f64,
    pub battery_wh: f64,
    /// Nameplate of the panel that the series was recorded on; `None`: taken from the series.
    pub trace_wp: Option<f64>,
    pub gaps: Gaps,
}

/// What the sun does where the series has a gap. A logger that is out says nothing of the sun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gaps {
    /// The same as the day before (as the published yardstick has it).
    Yesterday,
    /// Nothing: every gap is an outage of the panel.
    Dark,
}

/// The series as a panel of this size gives it.
pub struct Sun {
    pub samples: Vec<Sample>,
    /// Watt hours of each hour.
    pub hours: Vec<f64>,
    pub start: i64,
    pub scale: f64,
}

#[derive(Serialize, Default)]
pub struct Figures {
    /// Null: the optimum itself does no work.
    pub compute_pct: Option<f64>,
    pub availability_loss_pp: f64,
    pub unplanned_losses: u32,
    /// Hours without power, beyond planned sleep; of the optimum, what it could not serve in hours of planned sleep.
    pub lost_hours: f64,
    pub availability_pct: f64,
    pub compute_wh: f64,
    pub lowest_charge_pct: f64,
    pub net_energy: NetEnergy,
}

/// Windows of 30 days, one for each day that begins one.
#[derive(Serialize, Default)]
pub struct NetEnergy {
    pub windows: usize,
    /// Windows in which the panel offered at least the base load.
    pub panel_allows: usize,
    /// Of those, windows in which more was consumed than the panel offered.
    pub negative: usize,
    /// Of those, windows in which more was consumed than was taken from the panel (what a full battery turns away not counted).
    pub negative_of_captured: usize,
}

#[derive(Serialize)]
pub struct Report {
    pub panel_wp: f64,
    pub battery_wh: f64,
    pub trace_scale: f64,
    pub gaps: Gaps,
    pub hours: usize,
    pub plan: BTreeMap<String, Figures>,
    pub dark_48h: Dark,
    pub tasks: tasks::Report,
}

#[derive(Serialize)]
pub struct Dark {
    pub reserve_wh: f64,
    pub battery_holds_reserve: bool,
    pub start_hours: usize,
    pub survived: usize,
}

pub fn sun(series: &Series, setting: &Setting) -> Sun {
    let peak = series.samples.iter().map(|sample| sample.power.0).max().unwrap_or(0) as f64 / 1000.0;
    let own = (0.5 * setting.panel_wp..=1.3 * setting.panel_wp).contains(&peak);
    let trace_wp = setting.trace_wp.unwrap_or(if own { setting.panel_wp } else { peak / 1.02 });
    let scale = if trace_wp > 0.0 { setting.panel_wp / trace_wp } else { 1.0 };
    let start = series.samples.first().map_or(0, |sample| (sample.start.0 + HOUR - 1).div_euclid(HOUR) * HOUR);
    let end = series.samples.last().map_or(0, |sample| sample.end().0);
    let mut samples = Vec::new();
    let mut given = series.samples.iter().filter(|sample| sample.start.0 >= start).peekable();
    let mut at = start;
    while at < end {
        match given.next_if(|sample| sample.start.0 <= at) {
            Some(sample) => {
                samples.push(Sample { power: MilliWatts((sample.power.0 as f64 * scale) as i64), ..*sample });
                at = sample.end().0;
            }
            None => {
                let next = given.peek().map_or(end, |sample| sample.start.0).min((at.div_euclid(900) + 1) * 900);
                let seconds = u32::try_from(next - at).unwrap_or(1);
                let power = match setting.gaps {
                    Gaps::Dark => MilliWatts(0),
                    Gaps::Yesterday => power_at(&samples, at - DAY),
                };
                samples.push(Sample { start: UnixSeconds(at), seconds, power });
                at = next;
            }
        }
    }
    let mut hours = vec![0.0; usize::try_from((end - start) / HOUR).unwrap_or(0)];
    for sample in &samples {
        let mut from = sample.start.0;
        while from < sample.end().0 {
            let hour = (from - start).div_euclid(HOUR);
            let to = sample.end().0.min(start + (hour + 1) * HOUR);
            if let Some(sum) = usize::try_from(hour).ok().and_then(|hour| hours.get_mut(hour)) {
                *sum += sample.power.0 as f64 / 1000.0 * (to - from) as f64 / HOUR as f64;
            }
            from = to;
        }
    }
    Sun { samples, hours, start, scale }
}

/// Power of the samples so far at a time; none before the first.
fn power_at(samples: &[Sample], at: i64) -> MilliWatts {
    let after = samples.partition_point(|sample| sample.start.0 <= at);
    samples[..after].last().filter(|sample| at < sample.end().0).map_or(MilliWatts(0), |sample| sample.power)
}

/// A simulated battery with its tally.
pub struct Tally {
    pub charge: f64,
    pub lowest: f64,
    awake: u32,
    pub compute: f64,
    losses: u32,
    lost_hours: u32,
    cut: bool,
    offered: Vec<f64>,
    captured: Vec<f64>,
    consumed: Vec<f64>,
}

impl Tally {
    pub fn new(battery: &Battery) -> Self {
        let charge = START * battery.capacity_wh;
        let (offered, captured, consumed) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            charge,
            lowest: charge,
            awake: 0,
            compute: 0.0,
            losses: 0,
            lost_hours: 0,
            cut: false,
            offered,
            captured,
            consumed,
        }
    }

    /// An hour of a choice. An unplanned loss is a fall below the cut-off; the board is then off until the charge is back.
    pub fn hour(&mut self, battery: &Battery, board: &Board, harvest: f64, choice: Choice) {
        let floor = battery.cut_off * battery.capacity_wh;
        let load = if self.cut { 0.0 } else { board.load(choice) };
        self.lost_hours += u32::from(self.cut);
        let open = self.charge
            + (harvest - load)
                * if harvest > load { battery.charge_efficiency } else { 1.0 / battery.discharge_efficiency };
        let next = battery.flow(self.charge, harvest, load);
        self.offered.push(harvest);
        self.captured.push(harvest - (open - next).max(0.0) / battery.charge_efficiency);
        self.consumed.push(load);
        if let Choice::Awake(compute) = choice
            && !self.cut
        {
            self.awake += 1;
            self.compute += compute;
        }
        if next < floor && !self.cut {
            self.losses += 1;
            self.cut = true;
        } else if self.cut && next > floor + optimum::BACK * battery.capacity_wh {
            self.cut = false;
        }
        self.charge = next.max(0.0);
        self.lowest = self.lowest.min(self.charge);
    }

    fn figures(&self, battery: &Battery, board: &Board, best: &optimum::Optimum) -> Figures {
        let hours = self.consumed.len() as f64;
        Figures {
            compute_pct: (best.compute_wh >= NO_WORK_WH).then(|| round(100.0 * self.compute / best.compute_wh)),
            availability_loss_pp: round(100.0 * (best.awake_hours - f64::from(self.awake)) / hours),
            unplanned_losses: self.losses,
            lost_hours: self.lost_hours.into(),
            availability_pct: round(100.0 * f64::from(self.awake) / hours),
            compute_wh: round(self.compute),
            lowest_charge_pct: round(100.0 * self.lowest / battery.capacity_wh),
            net_energy: self.net_energy(board),
        }
    }

    fn net_energy(&self, board: &Board) -> NetEnergy {
        let mut out = NetEnergy::default();
        let days = self.consumed.len() / 24;
        for first in 0..days.saturating_sub(29) {
            let window = first * 24..(first + 30) * 24;
            let sum = |of: &[f64]| of[window.clone()].iter().sum::<f64>();
            out.windows += 1;
            if sum(&self.offered) < board.base_w * 720.0 {
                continue;
            }
            out.panel_allows += 1;
            out.negative += usize::from(sum(&self.consumed) > sum(&self.offered));
            out.negative_of_captured += usize::from(sum(&self.consumed) > sum(&self.captured));
        }
        out
    }
}

pub fn run(series: &Series, setting: &Setting) -> eyre::Result<Report> {
    let board = Board::raspberry_pi_4();
    let battery = Battery { cut_off: CUT_OFF, ..Battery::new(setting.battery_wh, &board) };
    let sun = sun(series, setting);
    if sun.hours.is_empty() {
        bail!(
            "the series covers {} samples and no whole hour; expected at least one hour from a full hour on",
            sun.samples.len()
        );
    }
    let best = optimum::solve(&sun.hours, &battery, &board, START * battery.capacity_wh)?;
    let mut plan = BTreeMap::new();
    let hours = sun.hours.len() as f64;
    plan.insert(
        "optimum".to_owned(),
        Figures {
            compute_pct: Some(100.0),
            availability_pct: round(100.0 * best.awake_hours / hours),
            compute_wh: round(best.compute_wh),
            unplanned_losses: best.losses,
            lost_hours: round(best.lost_hours),
            ..Figures::default()
        },
    );
    for (name, on, off) in [("greedy", SLEEP, SLEEP), ("threshold", 0.6, 0.4)] {
        plan.insert(name.to_owned(), thresholds(&sun, &battery, &board, on, off).figures(&battery, &board, &best));
    }
    plan.insert("ours".to_owned(), ours(series, &sun, &battery, &board, None).0.figures(&battery, &board, &best));
    let (_, tasks) = ours(series, &sun, &battery, &board, Some(tasks::Stream::new(7)));
    Ok(Report {
        panel_wp: setting.panel_wp,
        battery_wh: setting.battery_wh,
        trace_scale: sun.scale,
        gaps: setting.gaps,
        hours: sun.hours.len(),
        plan,
        dark_48h: dark(series, &sun, &battery, &board),
        tasks,
    })
}

/// Compute on at and above `on`, off at and below `off`; sleep and wake at fixed charges.
fn thresholds(sun: &Sun, battery: &Battery, board: &Board, on: f64, off: f64) -> Tally {
    let mut tally = Tally::new(battery);
    let (mut computing, mut asleep) = (false, false);
    for harvest in &sun.hours {
        let share = tally.charge / battery.capacity_wh;
        asleep = if asleep { share < WAKE } else { share <= SLEEP };
        computing = if share >= on { true } else { computing && share > off };
        let choice = if asleep { Choice::Sleep } else { Choice::Awake(if computing { board.compute_w } else { 0.0 }) };
        tally.hour(battery, board, *harvest, choice);
    }
    tally
}

/// The worker's own plan, with the forecaster fed as the hours pass.
fn ours(
    series: &Series,
    sun: &Sun,
    battery: &Battery,
    board: &Board,
    stream: Option<tasks::Stream>,
) -> (Tally, tasks::Report) {
    let mut tally = Tally::new(battery);
    let mut forecaster = Forecaster::with_earliest(series.site, UnixSeconds(0));
    let mut planner = Planner::new(*battery, *board);
    let mut tasks = tasks::Tasks::new(stream);
    let mut samples = sun.samples.iter().peekable();
    for (index, harvest) in sun.hours.iter().enumerate() {
        let now = UnixSeconds(sun.start + index as i64 * HOUR);
        let charge = MilliWattHours((tally.charge * 1000.0) as i64);
        tasks.ask(battery, board, &forecaster, now, charge - planner.kept(&forecaster, now));
        let decision = planner.decide(now, charge, &forecaster, tasks.promises());
        let choice = match decision.act {
            Act::Sleep { .. } => Choice::Sleep,
            Act::Run { compute } => Choice::Awake(compute.0 as f64 / 1000.0),
        };
        tally.hour(battery, board, *harvest, choice);
        if let Choice::Awake(compute) = choice {
            tasks.work(compute, UnixSeconds(now.0 + HOUR));
        }
        tasks.expire(UnixSeconds(now.0 + HOUR));
        while let Some(sample) = samples.next_if(|sample| sample.end().0 <= now.0 + HOUR) {
            // Samples of a trace are checked when it is read.
            let _taken = forecaster.observe(sample);
        }
        planner.hour_passed(&forecaster, now, MilliWattHours((harvest * 1000.0) as i64));
    }
    (tally, tasks.report())
}

/// From the reserve level, 48 hours without sun at base load, from every hour of the series: fixed by the rule, but run through the
/// simulated battery all the same.
fn dark(_series: &Series, sun: &Sun, battery: &Battery, board: &Board) -> Dark {
    let reserve = battery.reserve_wh(board);
    let holds = reserve <= battery.capacity_wh;
    let survived = (0..sun.hours.len()).filter(|_| {
        let mut charge = reserve.min(battery.capacity_wh);
        (0..RESERVE_HOURS as u32).all(|_| {
            charge = battery.flow(charge, 0.0, board.base_w);
            charge >= battery.cut_off * battery.capacity_wh
        })
    });
    Dark {
        reserve_wh: round(reserve),
        battery_holds_reserve: holds,
        start_hours: sun.hours.len(),
        survived: survived.count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A month without any sun is more than half of 100 Wh can sleep through, for the optimum too: the figures say so.
    #[test]
    fn a_trace_that_not_even_sleep_survives_has_figures() {
        let hour = |index: i64| Sample {
            start: UnixSeconds(1_767_225_600 + index * HOUR),
            seconds: 3600,
            power: MilliWatts(0),
        };
        let series = Series::new((0..720).map(hour).collect(), None, None);
        let setting = Setting { panel_wp: 100.0, battery_wh: 100.0, trace_wp: None, gaps: Gaps::Yesterday };
        let plan = run(&series, &setting).unwrap().plan;
        // (50 - 10) · 0.95 / 0.15 = 253 hours of sleep.
        let optimum = &plan["optimum"];
        assert_eq!((optimum.unplanned_losses, optimum.availability_pct), (1, 0.0));
        assert!((optimum.lost_hours - 466.7).abs() < 0.5, "{}", optimum.lost_hours);
        for policy in ["greedy", "threshold", "ours"] {
            let found = &plan[policy];
            assert!(found.unplanned_losses == 1 && found.lost_hours > 466.0, "{policy}: {} h", found.lost_hours);
            assert!(found.compute_pct.is_none() && found.availability_loss_pp <= 0.0, "{policy}");
        }
    }
}
