//! What could have been done by one who knew all the sun to come: a linear program, solved by Clarabel's interior-point method.
//!
//! Per hour: share awake `a`, compute `c`, into the battery `i`, out of it `o`, charge `s` at its end, and what is drawn but cannot
//! be served, `u`. Maximise `10 Σa + Σc - 100 Σu` (an hour awake costs at most 3.45 / 0.95² = 3.8 Wh of compute, so 10 puts
//! availability first), under `s' = s + 0.95 i - o / 0.95`, `cut-off <= s <= capacity`, `c <= 4.5 a`, `o <= load`,
//! `i + load - o <= harvest + u`. With `u` there is always a solution: a trace that not even sleep survives has figures too.
//!
//! Why 100: a watt hour that is not served is at most a watt hour more elsewhere, at most 1 / 0.95² had it been stored for it. That
//! buys at most 10 / 3.45 / 0.95² = 3.2 in hours awake, and 1.1 in compute. Above 3.2 power is therefore never given up for either,
//! and where sleep can be carried through `u` is nothing and the optimum what it is without it; far above it, so that the solver's
//! tolerance does not show.
use clarabel::{
    algebra::CscMatrix,
    solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus, ZeroConeT},
};
use eyre::{bail, eyre};
use sunwork_energy::plan::model::{Battery, Board};

const AWAKE: f64 = 10.0;
/// Per watt hour.
const UNSERVED: f64 = 100.0;
/// a, c, i, o, s, u.
const COLUMNS: usize = 6;
/// What the solver's tolerance may leave of an hour's load, watt hours: a hundredth of sleep's.
const TOLERANCE_WH: f64 = 0.001_5;
/// A loss has ended when the charge is this far above the cut-off, share of the capacity.
pub const BACK: f64 = 0.02;

pub struct Optimum {
    pub awake_hours: f64,
    pub compute_wh: f64,
    /// Times that power was lost although all was known.
    pub losses: u32,
    /// What was not served, in hours of planned sleep.
    pub lost_hours: f64,
}

struct Rows {
    triplets: (Vec<usize>, Vec<usize>, Vec<f64>),
    right: Vec<f64>,
}

impl Rows {
    fn add(&mut self, entries: &[(usize, f64)], right: f64) {
        for (column, value) in entries {
            self.triplets.0.push(self.right.len());
            self.triplets.1.push(*column);
            self.triplets.2.push(*value);
        }
        self.right.push(right);
    }
}

pub fn solve(harvest_wh: &[f64], battery: &Battery, board: &Board, start_wh: f64) -> eyre::Result<Optimum> {
    let hours = harvest_wh.len();
    let column = |kind: usize, hour: usize| hour * COLUMNS + kind;
    let mut rows = Rows { triplets: (Vec::new(), Vec::new(), Vec::new()), right: Vec::new() };
    for hour in 0..hours {
        let [_, _, i, o, s, _] = std::array::from_fn(|kind| column(kind, hour));
        let mut balance = vec![(i, -battery.charge_efficiency), (o, 1.0 / battery.discharge_efficiency), (s, 1.0)];
        if hour > 0 {
            balance.push((column(4, hour - 1), -1.0));
        }
        rows.add(&balance, if hour == 0 { start_wh } else { 0.0 });
    }
    let equalities = rows.right.len();
    let span = board.base_w - board.sleep_w;
    for (hour, harvest) in harvest_wh.iter().enumerate() {
        let [a, c, i, o, s, u] = std::array::from_fn(|kind| column(kind, hour));
        rows.add(&[(a, span), (c, 1.0), (i, 1.0), (o, -1.0), (u, -1.0)], harvest - board.sleep_w);
        rows.add(&[(a, -span), (c, -1.0), (o, 1.0)], board.sleep_w);
        rows.add(&[(a, -board.compute_w), (c, 1.0)], 0.0);
        rows.add(&[(a, 1.0)], 1.0);
        for at_least_zero in [a, c, i, o, u] {
            rows.add(&[(at_least_zero, -1.0)], 0.0);
        }
        rows.add(&[(s, 1.0)], battery.capacity_wh);
        rows.add(&[(s, -1.0)], -battery.cut_off * battery.capacity_wh);
    }
    let (m, n) = (rows.right.len(), hours * COLUMNS);
    let (i, j, v) = rows.triplets;
    let matrix = CscMatrix::new_from_triplets(m, n, i, j, v);
    let mut cost = vec![0.0; n];
    for hour in 0..hours {
        cost[column(0, hour)] = -AWAKE;
        cost[column(1, hour)] = -1.0;
        cost[column(5, hour)] = UNSERVED;
    }
    let cones = [ZeroConeT(equalities), NonnegativeConeT(m - equalities)];
    let settings = DefaultSettingsBuilder::default().verbose(false).max_iter(200).build().map_err(|e| eyre!("{e}"))?;
    let mut solver = DefaultSolver::new(&CscMatrix::zeros((n, n)), &cost, &matrix, &rows.right, &cones, settings)
        .map_err(|error| eyre!("setting up the linear program: {error}"))?;
    solver.solve();
    if !matches!(solver.solution.status, SolverStatus::Solved | SolverStatus::AlmostSolved) {
        bail!(
            "the optimum of {hours} hours was not found: the solver ended with {:?}, expected Solved. There is always a solution, so \
             the numbers are beyond it: is the panel or the battery a million times the other?",
            solver.solution.status
        );
    }
    let x = &solver.solution.x;
    let sum = |kind: usize| (0..hours).map(|hour| x[column(kind, hour)]).sum();
    let loads = (0..hours).map(|hour| board.sleep_w + span * x[column(0, hour)] + x[column(1, hour)]);
    let (losses, lost_hours) = losses(loads.zip(harvest_wh), battery, board, start_wh);
    Ok(Optimum { awake_hours: sum(0), compute_wh: sum(1), losses, lost_hours })
}

/// Plays loads and harvests through the battery: losses of power, hours of sleep not served. The program does not say
/// when it leaves its sum unserved (any hour of a dark spell is as good); here all is served until the cut-off is reached.
fn losses<'a>(
    hours: impl Iterator<Item = (f64, &'a f64)>,
    battery: &Battery,
    board: &Board,
    start_wh: f64,
) -> (u32, f64) {
    let floor = battery.cut_off * battery.capacity_wh;
    let (mut charge, mut unserved, mut losses, mut lost) = (start_wh, 0.0, 0, false);
    for (load, harvest) in hours {
        let next = battery.flow(charge, *harvest, load);
        let short = (floor - next).max(0.0) * battery.discharge_efficiency;
        if short > TOLERANCE_WH {
            losses += u32::from(!lost);
            lost = true;
            unserved += short;
        } else if next > floor + BACK * battery.capacity_wh {
            lost = false;
        }
        charge = next.max(floor);
    }
    (losses, unserved / board.sleep_w)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solved(hours: &[f64]) -> Optimum {
        let board = Board::raspberry_pi_4();
        let battery = Battery { cut_off: 0.1, ..Battery::new(384.0, &board) };
        solve(hours, &battery, &board, 192.0).expect("always a solution")
    }

    #[test]
    fn a_night_that_sleep_survives_costs_no_power_and_one_that_it_does_not_has_figures() {
        // (192 - 38.4) · 0.95 / 0.15 = 972.8 hours of sleep.
        let survived = solved(&[0.0; 970]);
        assert_eq!((survived.losses, survived.lost_hours), (0, 0.0));
        assert!(survived.awake_hours < 0.2, "{}", survived.awake_hours);
        let lost = solved(&[0.0; 2400]);
        assert_eq!(lost.losses, 1);
        assert!((lost.lost_hours - 1427.2).abs() < 0.5 && lost.awake_hours < 0.01, "{}", lost.lost_hours);
    }

    #[test]
    fn power_is_not_given_up_for_hours_awake_after_it() {
        // A month of sun after a night that sleep does not survive by ten hours: none of it would help the night.
        let night = [[0.0; 983].as_slice(), &[8.1; 720]].concat();
        let out = solved(&night);
        assert!((out.lost_hours - 10.2).abs() < 0.1 && out.losses == 1, "{}", out.lost_hours);
        assert!((out.awake_hours - 720.0).abs() < 0.1 && (out.compute_wh - 3240.0).abs() < 1.0, "{}", out.awake_hours);
        // Sun before it, enough for awake hours or for the night but not both: the night comes first.
        let before = [[5.0; 24].as_slice(), &[0.0; 1800]].concat();
        let out = solved(&before);
        assert!(out.losses == 1 && out.awake_hours < 0.1, "{} awake", out.awake_hours);
    }
}
