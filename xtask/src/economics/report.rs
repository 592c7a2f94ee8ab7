//! The tables about the worker and its colluders. [`all`] makes every table of the note.

use super::{
    alone,
    case::Case,
    chance,
    collude::{self, Cheat},
    odds::Odds,
    report_others as others,
    setting::Setting,
    table::{Cell, Table},
};

/// Shares are searched up to here.
const UP_TO: f64 = 0.6;

/// Every table, in the order of the note.
pub fn all(setting: &Setting) -> Vec<Table> {
    vec![
        locks(setting),
        alone_table(setting),
        shares(setting),
        seats(setting),
        coalition(setting),
        audit(setting),
        variants(setting),
        others::bribes(setting),
        others::unbought(setting),
        others::lazy(setting),
        others::scores(setting),
        others::rigged(setting),
        others::sybils(setting),
        others::stake(setting),
    ]
}

/// n, k, V, T of the cases that locks and lone cheats are shown for: the case asked for first.
pub(super) fn shapes(setting: &Setting) -> Vec<Case> {
    let mut shapes = vec![(setting.leaves, setting.samples, setting.verifiers, setting.trust)];
    let more = [
        (1, 1, 1, 4),
        (1, 1, 2, 8),
        (1, 1, 4, 32),
        (10, 2, 2, 8),
        (100, 1, 1, 4),
        (100, 5, 4, 32),
        (1000, 5, 2, 8),
        (1000, 32, 4, 32),
    ];
    shapes.extend(more.into_iter().filter(|shape| *shape != shapes[0]).collect::<Vec<_>>());
    shapes.into_iter().map(|(n, k, v, t)| setting.with(n, k, v, t)).collect()
}

pub(super) fn shape_cells(case: &Case) -> Vec<Cell> {
    vec![Cell::int(case.leaves), Cell::int(case.samples), Cell::int(case.verifiers)]
}

fn locks(setting: &Setting) -> Table {
    let mut table = Table::new(
        "locks",
        "Locks as multiples of the reward R. \"Third term\" is R/(k V (1 - 2^-V)); \"enough\" is the lock that makes cheating on all \
         leaves not pay if this share colludes and outvotes nobody.",
        &[
            "n",
            "k",
            "V",
            "f / R",
            "work checked V k/n",
            "third term",
            "L_w / R",
            "L_v / R",
            "enough, 1/3",
            "enough, 1/2",
        ],
    );
    for case in shapes(setting) {
        let money = case.money();
        let v = f64::from(case.verifiers);
        let third = 1.0 / (f64::from(case.samples) * v * (1.0 - 0.5_f64.powf(v)));
        let mut row = shape_cells(&case);
        row.extend([
            Cell::Num(money.fee, 3),
            Cell::Percent(v * case.coverage(), 1),
            Cell::Num(third, 2),
            Cell::Num(money.worker_lock, 2),
            Cell::Num(money.verifier_lock, 2),
            Cell::Num(collude::lock_without_outvoting(&case, 1.0 / 3.0), 2),
            Cell::Num(collude::lock_without_outvoting(&case, 0.5), 2),
        ]);
        table.row(row);
    }
    table
}

fn alone_table(setting: &Setting) -> Table {
    let mut table = Table::new(
        "alone",
        "A cheat alone. q: chance to be caught with one leaf, a tenth, all leaves false. Best gain: of all numbers of false leaves, in \
         R, below zero: no cheat pays. Deterred worth: what one false leaf may be worth to the cheat. Lock: what would deter it if one \
         false leaf were worth R, alone and against a coalition with a third.",
        &[
            "n",
            "k",
            "V",
            "q(1)",
            "q(n/10)",
            "q(n)",
            "best gain",
            "deterred worth / R",
            "in leaf prices",
            "lock alone / R",
            "lock, third / R",
        ],
    );
    for case in shapes(setting) {
        let all: u32 = case.verifiers.into();
        let worth = alone::deterred_worth_of_one_leaf(&case);
        let mut row = shape_cells(&case);
        row.extend([
            Cell::Percent(alone::caught(&case, all, 1), 2),
            Cell::Percent(alone::caught(&case, all, case.leaves.div_ceil(10)), 1),
            Cell::Percent(alone::caught(&case, all, case.leaves), 1),
            Cell::Num(alone::best(&case).1, 3),
            Cell::Num(worth, 3),
            Cell::Num(worth * f64::from(case.leaves), 1),
            Cell::Num(alone::lock_alone(&case, 1.0), 2),
            Cell::Num(alone::lock_for_worth(&case, 1.0 / 3.0, 1.0), 2),
        ]);
        table.row(row);
    }
    table
}

fn percent_or_more(share: Option<f64>) -> Cell {
    share.map_or_else(|| Cell::text(format!("> {:.0} %", UP_TO * 100.0)), |share| Cell::Percent(share, 1))
}

fn shares(setting: &Setting) -> Table {
    let mut table = Table::new(
        "shares",
        format!(
            "Colluding share of the stake from which cheating (on all leaves or on one) begins to pay. Bag: n = {}, k = {}; single: n = 1. \
             Odds honest : colluders.",
            setting.leaves, setting.samples
        ),
        &["V", "T", "bag, 2 : 2", "bag, 6 : 6", "bag, 2 : 6", "single, 2 : 2", "single, 6 : 6", "single, 2 : 6"],
    );
    for (v, t) in setting.grid() {
        let mut row = vec![Cell::int(v), Cell::int(t)];
        for (n, k) in [(setting.leaves, setting.samples), (1, 1)] {
            for odds in [Odds::NEWCOMERS, Odds::VETERANS, Odds::VETERAN_COLLUDERS] {
                let case = setting.with(n, k, v, t).with_odds(odds);
                row.push(percent_or_more(collude::paying_share(&case, 0.0, UP_TO)));
            }
        }
        table.row(row);
    }
    table
}

fn seats(setting: &Setting) -> Table {
    let mut table = Table::new(
        "seats",
        "Chance that the coalition gets every seat of the first round. Thin: stake split without end (binomial, s^V); else so many workers \
         of equal stake (hypergeometric).",
        &["s", "V", "thin", "60 workers", "20 workers", "10 workers"],
    );
    for share in [10_u32, 20, 30, 50] {
        for v in [1_u8, 2, 4] {
            let s = f64::from(share) / 100.0;
            let mut row = vec![Cell::Percent(s, 0), Cell::int(v)];
            row.push(Cell::Percent(collude::all_seats(&setting.with(1, 1, v, 2), s), 2));
            for workers in [60, 20, 10] {
                row.push(Cell::Percent(chance::all_drawn(workers, workers * share / 100, v.into()), 2));
            }
            table.row(row);
        }
    }
    table
}

fn coalition(setting: &Setting) -> Table {
    let case = setting.case();
    let mut table = Table::new(
        "coalition",
        format!(
            "The bag n = {}, k = {}, V = {}, T = {} against a coalition with share s, nothing computed at all: how it ends, what it brings (in \
             R), and what one false leaf may be worth (in R) and still be deterred.",
            case.leaves, case.samples, case.verifiers, case.trust
        ),
        &[
            "odds",
            "s",
            "accepted",
            "refuted",
            "undecided",
            "gain / R",
            "one leaf unseen",
            "deterred worth of a leaf / R",
        ],
    );
    for odds in [Odds::NEWCOMERS, Odds::VETERAN_COLLUDERS] {
        for s in [0.05, 0.1, 0.2, 0.3, 1.0 / 3.0, 0.4] {
            let case = case.with_odds(odds);
            let play = collude::cheat(&case, Cheat::Everything, s, 0.0);
            table.row(vec![
                Cell::text(odds.label()),
                Cell::Percent(s, 0),
                Cell::Percent(play.accepted, 2),
                Cell::Percent(play.refuted, 2),
                Cell::Percent(play.undecided, 2),
                Cell::Num(play.gain, 3),
                Cell::Percent(collude::one_leaf_unseen(&case, s), 1),
                Cell::Num(collude::deterred_worth(&case, Cheat::OneLeaf, s), 3),
            ]);
        }
    }
    table
}

fn audit(setting: &Setting) -> Table {
    let mut table = Table::new(
        "audit",
        format!(
            "What the late audit changes (s = {} %, newcomers). \"Salts\": its lottery is decided by the salts of all who sealed, which is not the rule; \
             \"beacon\": by randomness from after the last seal. Accepted: nothing computed.",
            setting.share
        ),
        &["audit", "lottery", "accepted", "gain / R", "deterred worth of all leaves / R", "of one leaf / R"],
    );
    let rarely = if setting.audit_one_in == 0 { 10 } else { setting.audit_one_in };
    for (one_in, by_salts) in [(0, true), (rarely, true), (rarely, false), (2, true), (2, false), (1, false)] {
        let case = Case { audit_one_in: one_in, audit_by_salts: by_salts, ..setting.case() };
        let s = setting.fraction();
        let play = collude::cheat(&case, Cheat::Everything, s, 0.0);
        table.row(vec![
            Cell::text(if one_in == 0 { "never".to_owned() } else { format!("1 in {one_in}") }),
            Cell::text(match (one_in, by_salts) {
                (0, _) => "-",
                (_, true) => "salts",
                (_, false) => "beacon",
            }),
            Cell::Percent(play.accepted, 2),
            Cell::Num(play.gain, 3),
            Cell::Num(collude::deterred_worth(&case, Cheat::Everything, s), 2),
            Cell::Num(collude::deterred_worth(&case, Cheat::OneLeaf, s), 3),
        ]);
    }
    table
}

fn variants(setting: &Setting) -> Table {
    let mut table = Table::new(
        "variants",
        "Share from which cheating pays, honest newcomers against colluders with the odds named, by rule. \"Round\": any dissent draws a \
         further round before anything is decided. \"Burn\": what outvoted verifiers lose is burned whole.",
        &[
            "n",
            "V",
            "T",
            "2 : 6, shared",
            "shared, round",
            "2 : 6 (rule)",
            "rule, round",
            "the same, 2 : 4",
            "the same, 2 : 3",
        ],
    );
    let four = Odds { colluder: 4, ..Odds::VETERAN_COLLUDERS };
    let three = Odds { colluder: 3, ..Odds::VETERAN_COLLUDERS };
    let six = Odds::VETERAN_COLLUDERS;
    for (n, k) in [(setting.leaves, setting.samples), (1, 1)] {
        for (v, t) in setting.grid() {
            let mut row = vec![Cell::int(n), Cell::int(v), Cell::int(t)];
            for (round, burn, odds) in [
                (false, false, six),
                (true, false, six),
                (false, true, six),
                (true, true, six),
                (true, true, four),
                (true, true, three),
            ] {
                let case = Case { round_on_dissent: round, outvoted_burned: burn, odds, ..setting.with(n, k, v, t) };
                row.push(percent_or_more(collude::paying_share(&case, 0.0, UP_TO)));
            }
            table.row(row);
        }
    }
    table
}
