//! The tables about bribes, laziness, self-dealing, split stakes, and the stake that a class needs.

use super::{
    alone, bribe,
    case::Case,
    collude::Cheat,
    lazy,
    odds::Odds,
    report::{shape_cells, shapes},
    selfdeal,
    setting::Setting,
    sybil,
    table::{Cell, Table},
};

pub(super) fn bribes(setting: &Setting) -> Table {
    let mut table = Table::new(
        "bribes",
        "Bribes in multiples of R. Plain: paid for the vote, per verifier, if it thinks that nobody else dissents / that somebody does. Reserve: \
         promises \"if you vote so and lose\" that must be backed for every seat that may be drawn; nothing of it is spent when it works.",
        &[
            "n",
            "k",
            "V",
            "finder's share W",
            "plain, alone",
            "plain, not alone",
            "all V, plain",
            "reserve",
            "with audit",
            "with dispute",
            "with both",
        ],
    );
    for case in shapes(setting) {
        let (low, high) = bribe::plain_bribe(&case);
        let mut row = shape_cells(&case);
        row.extend([
            Cell::Num(bribe::finders_share(&case), 3),
            Cell::Num(low, 3),
            Cell::Num(high, 3),
            Cell::Num(low * f64::from(case.verifiers), 3),
            Cell::Num(bribe::reserve(&case, false, false), 2),
            Cell::Num(bribe::reserve(&case, true, false), 2),
            Cell::Num(bribe::reserve(&case, false, true), 2),
            Cell::Num(bribe::reserve(&case, true, true), 2),
        ]);
        table.row(row);
    }
    table
}

pub(super) fn unbought(setting: &Setting) -> Table {
    let case = setting.case();
    let mut table = Table::new(
        "unbought",
        format!(
            "The same bag when a share of the stake cannot be bought (equal odds): chance that a false result passes, and what the briber \
             pays on average (in R, at most), for all leaves false and for one. Beacon: audit 1 in {}, decided after the last seal.",
            setting.audit_one_in
        ),
        &[
            "not for sale",
            "all false passes",
            "cost / R",
            "with audit, beacon",
            "one false passes",
            "cost / R",
            "with audit, beacon",
        ],
    );
    let audited = Case { audit_one_in: setting.audit_one_in, audit_by_salts: false, ..case.clone() };
    for unbought in [0.0, 0.05, 0.1, 0.2, 0.5, 0.8] {
        let mut row = vec![Cell::Percent(unbought, 0)];
        for what in [Cheat::Everything, Cheat::OneLeaf] {
            let (passes, cost) = bribe::with_unbought(&case, what, unbought);
            row.extend([
                Cell::Percent(passes, 1),
                Cell::Num(cost, 2),
                Cell::Percent(bribe::with_unbought(&audited, what, unbought).0, 1),
            ]);
        }
        table.row(row);
    }
    table
}

pub(super) fn lazy(setting: &Setting) -> Table {
    let mut table = Table::new(
        "lazy",
        "When laziness pays. Guess: the first round blind, if one guess of a digest is right at least so often. Copy: the worker hands \
         its digests over; computing pays only if at least so many such workers are false on the sample, others diligent / all copying \
         (above 100 %: copying pays anyhow). Leaf round: guessing the likelier of two digests pays if it is wrong less often than this.",
        &["n", "k", "V", "work k/n", "L_v / R", "guess", "copy, others diligent", "copy, all copy", "leaf round"],
    );
    for case in shapes(setting) {
        let mut row = shape_cells(&case);
        row.extend([
            Cell::Num(lazy::work(&case), 3),
            Cell::Num(case.money().verifier_lock, 2),
            Cell::Percent(lazy::guess_break_even(&case), 2),
            Cell::Percent(lazy::copy_break_even(&case, lazy::others_find(&case, 1.0)), 1),
            Cell::Percent(lazy::copy_break_even(&case, lazy::others_find(&case, 0.0)), 1),
            Cell::Percent(lazy::round_break_even(&case), 2),
        ]);
        table.row(row);
    }
    table
}

pub(super) fn scores(setting: &Setting) -> Table {
    let case = setting.case();
    let mut table = Table::new(
        "scores",
        "Self-dealing. What a score costs when the client buys from itself (fees to strangers, in R; besides gas, one epoch a point and the \
         stake); last column: share of its own worker's lock that is gone when it refutes itself with all seats its own.",
        &["odds", "score", "epochs", "s = 0", "s = 20 %", "s = 50 %", "fee 0", "own slash lost"],
    );
    for (odds, points) in [(3_u8, 5_u32), (4, 20), (5, 60), (6, 200)] {
        let cost = |share| Cell::Num(selfdeal::score_cost(&case, points, share), 2);
        let free = Case { fee: 0, ..case.clone() };
        table.row(vec![
            Cell::int(odds),
            Cell::int(points),
            Cell::int(points),
            cost(0.0),
            cost(0.2),
            cost(0.5),
            Cell::Num(selfdeal::score_cost(&free, points, 0.0), 2),
            Cell::Percent(selfdeal::self_slash_loss(&case, case.verifiers.into()), 0),
        ]);
    }
    table
}

pub(super) fn rigged(setting: &Setting) -> Table {
    let mut table = Table::new(
        "rigged",
        "An app made so that honest machines disagree, bought by the coalition of its worker: what it wins on average from honest verifiers' \
         slashes (in R, which is its own money), by share and odds; last: if half of the outvoted slashes went to the winners.",
        &["n", "V", "T", "2 : 2, s = 0", "10 %", "30 %", "2 : 6, s = 0", "10 %", "30 %", "2 : 6, 30 %, shared"],
    );
    for (n, k) in [(setting.leaves, setting.samples), (1, 1)] {
        for (v, t) in setting.grid() {
            let case = setting.with(n, k, v, t);
            let mut row = vec![Cell::int(n), Cell::int(v), Cell::int(t)];
            for odds in [Odds::NEWCOMERS, Odds::VETERAN_COLLUDERS] {
                for s in [0.0, 0.1, 0.3] {
                    row.push(Cell::Num(selfdeal::rigged_app(&case.with_odds(odds), s).gain, 2));
                }
            }
            let odds = Odds::VETERAN_COLLUDERS;
            let changed = Case { outvoted_burned: false, odds, ..case };
            row.push(Cell::Num(selfdeal::rigged_app(&changed, 0.3).gain, 2));
            table.row(row);
        }
    }
    table
}

pub(super) fn sybils(_: &Setting) -> Table {
    let mut table = Table::new(
        "sybils",
        "Seats on average of a share of the stake that is one identity, split into 2, 10, or without end. Tickets are the same; only the cap \
         of one seat per identity is lifted.",
        &["s", "V", "one identity", "2", "10", "without end (s V)"],
    );
    for share in [0.01, 0.1, 0.3, 0.5] {
        for v in [1_u8, 2, 4] {
            table.row(vec![
                Cell::Percent(share, 0),
                Cell::int(v),
                Cell::Num(sybil::seats_whole(share, v), 3),
                Cell::Num(sybil::seats_in_parts(share, 2, v), 3),
                Cell::Num(sybil::seats_in_parts(share, 10, v), 3),
                Cell::Num(sybil::seats_split(share, v), 3),
            ]);
        }
    }
    table
}

pub(super) fn stake(setting: &Setting) -> Table {
    let mut table = Table::new(
        "stake",
        format!(
            "A class with a stake of {}, smallest units, and a reward of {}: what one agreement locks, how many fit at a time, what \
             they deter at most in one leaf, and the stake that a coalition must add to hold a third.",
            setting.stake, setting.reward
        ),
        &[
            "n",
            "k",
            "V",
            "locks of one agreement",
            "with two rounds",
            "agreements at a time",
            "deterred worth of a leaf",
            "stake to hold a third",
        ],
    );
    for case in shapes(setting) {
        let v = u128::from(case.verifiers);
        let worker = sunwork_protocol::settlement::worker_lock(case.reward, case.fee, case.samples, case.verifiers);
        let verifier = sunwork_protocol::settlement::verifier_lock(case.reward, case.fee, case.verifiers);
        let locked = worker + v * verifier;
        let mut row = shape_cells(&case);
        row.extend([
            Cell::Int(locked),
            Cell::Int(locked + 2 * (v + 1) * verifier),
            Cell::Int(setting.stake / locked.max(1)),
            Cell::Int((alone::deterred_worth_of_one_leaf(&case) * case.reward as f64).round() as u128),
            Cell::Int(setting.stake / 2),
        ]);
        table.row(row);
    }
    table
}
