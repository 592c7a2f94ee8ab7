//! What could have been done by one who knew all the sun to come: a linear program, solved by Clarabel's interior-point method.
//!
//! Per hour: share awake `a`, compute `c`, into the battery `i`, out of it `o`, charge `s` at its end. Maximise `10 Σa + Σc` (an
//! hour awake costs at most 3.45 / 0.95² = 3.8 Wh of compute, so 10 puts availability first), under
//! `s' = s + 0.95 i - o / 0.95`, `cut-off <= s <= capacity`, `c <= 4.5 a`, `o <= load`, `i + load - o <= harvest`.
use clarabel::{
    algebra::CscMatrix,
    solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver, NonnegativeConeT, SolverStatus, ZeroConeT},
};
use eyre::{bail, eyre};
use sunwork_energy::plan::model::{Battery, Board};

const AWAKE: f64 = 10.0;
/// a, c, i, o, s.
const COLUMNS: usize = 5;

pub struct Optimum {
    pub awake_hours: f64,
    pub compute_wh: f64,
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
        let [_, _, i, o, s] = std::array::from_fn(|kind| column(kind, hour));
        let mut balance = vec![(i, -battery.charge_efficiency), (o, 1.0 / battery.discharge_efficiency), (s, 1.0)];
        if hour > 0 {
            balance.push((column(4, hour - 1), -1.0));
        }
        rows.add(&balance, if hour == 0 { start_wh } else { 0.0 });
    }
    let equalities = rows.right.len();
    let span = board.base_w - board.sleep_w;
    for (hour, harvest) in harvest_wh.iter().enumerate() {
        let [a, c, i, o, s] = std::array::from_fn(|kind| column(kind, hour));
        rows.add(&[(a, span), (c, 1.0), (i, 1.0), (o, -1.0)], harvest - board.sleep_w);
        rows.add(&[(a, -span), (c, -1.0), (o, 1.0)], board.sleep_w);
        rows.add(&[(a, -board.compute_w), (c, 1.0)], 0.0);
        rows.add(&[(a, 1.0)], 1.0);
        for at_least_zero in [a, c, i, o] {
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
    }
    let cones = [ZeroConeT(equalities), NonnegativeConeT(m - equalities)];
    let settings = DefaultSettingsBuilder::default().verbose(false).max_iter(200).build().map_err(|e| eyre!("{e}"))?;
    let mut solver = DefaultSolver::new(&CscMatrix::zeros((n, n)), &cost, &matrix, &rows.right, &cones, settings)
        .map_err(|error| eyre!("setting up the linear program: {error}"))?;
    solver.solve();
    if !matches!(solver.solution.status, SolverStatus::Solved | SolverStatus::AlmostSolved) {
        bail!(
            "the optimum was not found ({:?}): even sleep alone cannot be carried without an unplanned loss. Either there is too little \
             sun for this panel and battery, or one high figure of the series was taken for its peak: say what it was recorded on with \
             --trace-wp",
            solver.solution.status
        );
    }
    let sum = |kind: usize| (0..hours).map(|hour| solver.solution.x[column(kind, hour)]).sum();
    Ok(Optimum { awake_hours: sum(0), compute_wh: sum(1) })
}
