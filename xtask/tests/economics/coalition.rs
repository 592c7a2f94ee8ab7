//! The dispute game, party by party: every voter has its own row in a ledger, and the coalition's rows are added up.

use sunwork_protocol::credibility;
use xtask::economics::{
    case::Case,
    collude::{self, Cheat},
    dispute::{Board, Game},
    odds::Odds,
};

use super::random::{Random, mean_agrees};

#[derive(Clone, Copy, PartialEq)]
enum Said {
    Truth,
    Lie,
    /// Elsewhere: no say on the leaf that decides, and nothing else against it.
    Other,
}

#[derive(Clone, Copy)]
struct Voter {
    ours: bool,
    said: Said,
}

/// What a whole play brings the coalition, by hand: reward, locks, fees, shares; honest work would have brought reward and fees.
fn ledger(case: &Case, voters: &[Voter], ending: Option<Said>, truth_leads: bool) -> f64 {
    let money = case.money();
    let first_round = voters.iter().take(case.verifiers.into());
    let honest_work = 1.0 + first_round.filter(|v| v.ours).count() as f64 * money.fee;
    let lost = |v: &Voter| match ending {
        Some(Said::Truth) => v.said == Said::Lie,
        Some(_) => v.said == Said::Truth,
        None => false,
    };
    let losers: Vec<&Voter> = voters.iter().filter(|v| lost(v)).collect();
    let winners: Vec<&Voter> = voters.iter().filter(|v| !lost(v)).collect();
    let mut slashed = losers.len() as f64 * money.verifier_lock;
    let mut ours = losers.iter().filter(|v| v.ours).count() as f64 * -money.verifier_lock;
    let fees = winners.len() as f64 * money.fee;
    ours += winners.iter().filter(|v| v.ours).count() as f64 * money.fee;
    let sharing = winners.len() as f64;
    let our_shares = winners.iter().filter(|v| v.ours).count() as f64;
    let injury = match ending {
        Some(Said::Truth) => {
            slashed += money.worker_lock;
            ours -= money.worker_lock;
            fees
        }
        Some(_) => {
            ours += 1.0;
            // Verifiers of the first round were reserved for.
            let extra = voters.iter().skip(case.verifiers.into()).filter(|v| !lost(v)).count();
            extra as f64 * money.fee
        }
        None => {
            ours += if truth_leads { 0.0 } else { 0.5 };
            0.0
        }
    };
    // Only finding a false result earns a share.
    if ending == Some(Said::Truth) {
        ours += (slashed - injury).max(0.0) / 2.0 * our_shares / sharing;
    }
    ours - honest_work
}

fn outcome(case: &Case, voters: &[Voter]) -> (Option<Said>, bool) {
    let odds = |v: &Voter| if v.ours { case.odds.colluder } else { case.odds.honest };
    let of = |said| voters.iter().filter(move |v: &&Voter| v.said == said);
    let truth = credibility::product(of(Said::Truth).map(odds)).unwrap();
    let lie = credibility::product(of(Said::Lie).map(odds).chain([case.odds.colluder])).unwrap();
    let sum = truth + lie;
    let ending = if of(Said::Truth).count() >= 2 && credibility::wins(truth, sum, case.trust) {
        Some(Said::Truth)
    } else if of(Said::Lie).count() >= 1 && credibility::wins(lie, sum, case.trust) {
        Some(Said::Lie)
    } else {
        None
    };
    (ending, 2 * truth > sum)
}

/// One play in which one leaf is false; with n <= k everybody computes it.
fn play(case: &Case, game: &Game, share: f64, random: &mut Random) -> f64 {
    let v = u32::from(case.verifiers);
    // Who is ours, and who computes the leaf.
    let drawn: Vec<(bool, bool)> = (0..v).map(|_| (random.hits(share), random.hits(case.coverage()))).collect();
    let count = |ours, on_leaf| drawn.iter().filter(|seat| **seat == (ours, on_leaf)).count() as u32;
    let (honest, on_leaf) = (count(false, true), count(true, true));
    if honest == 0 {
        return 0.0;
    }
    let board = Board {
        honest,
        honest_off: count(false, false),
        colluders_off: count(true, false),
        seated: count(true, true) + count(true, false),
        ..Board::default()
    };
    // Its best first votes, by asking the game for each.
    let loyal = (0..=on_leaf)
        .map(|loyal| (loyal, game.play(Board { loyal, turned: on_leaf - loyal, ..board }).gain))
        .fold((0, f64::NEG_INFINITY), |best, next| if next.1 > best.1 { next } else { best })
        .0;
    let mut lies = loyal;
    let mut voters: Vec<Voter> = Vec::new();
    for (ours, computes) in drawn {
        let said = match (ours, computes) {
            (_, false) => Said::Other,
            (true, true) if lies > 0 => {
                lies -= 1;
                Said::Lie
            }
            _ => Said::Truth,
        };
        voters.push(Voter { ours, said });
    }
    let mut board = Board { loyal, turned: on_leaf - loyal, ..board };
    for round in 0..=2 {
        let (ending, truth_leads) = outcome(case, &voters);
        if ending.is_some() || round == 2 {
            return ledger(case, &voters, ending, truth_leads);
        }
        let seats = (0..=v).filter(|_| random.hits(share)).count() as u32;
        let (loyal, _) = game.vote(board, seats, round + 1);
        voters
            .extend((0..=v).map(|i| Voter { ours: i < seats, said: if i < loyal { Said::Lie } else { Said::Truth } }));
        board.honest += v + 1 - seats;
        board.loyal += loyal;
        board.turned += seats - loyal;
    }
    unreachable!("the last round returns")
}

#[test]
fn the_solved_game_is_what_played_games_bring_on_average() {
    let mut random = Random::new("dispute", 43);
    for (n, k, v, trust, odds, share) in [
        (3, 5, 1, 4, Odds::NEWCOMERS, 0.3),
        (3, 5, 1, 4, Odds::VETERAN_COLLUDERS, 0.1),
        (3, 5, 2, 2, Odds::NEWCOMERS, 0.2),
        (3, 5, 2, 4, Odds::VETERAN_COLLUDERS, 0.2),
        (3, 5, 2, 8, Odds::NEWCOMERS, 0.4),
        (3, 5, 3, 16, Odds::VETERAN_COLLUDERS, 0.25),
        (3, 5, 4, 32, Odds::VETERANS, 0.35),
        // In bags some have no say, and share in what the others lose.
        (10, 5, 2, 8, Odds::VETERAN_COLLUDERS, 0.3),
        (10, 5, 4, 8, Odds::VETERAN_COLLUDERS, 0.3),
        (4, 2, 3, 4, Odds::NEWCOMERS, 0.4),
    ] {
        let case = Case::new(n, k, v, trust).with_odds(odds);
        let game = Game::new(&case, share, 0.0);
        let values: Vec<f64> = (0..20_000).map(|_| play(&case, &game, share, &mut random)).collect();
        // The work saved is added by the formula.
        let saved = 1.0 / f64::from(n);
        let expected = collude::cheat(&case, Cheat::OneLeaf, share, 0.0).gain - saved;
        mean_agrees(&values, expected);
        if case.computes_all() {
            // Then all leaves false are found by the same voters.
            let everything = collude::cheat(&case, Cheat::Everything, share, 0.0).gain - 1.0;
            assert!((everything - expected).abs() < 1e-9);
        }
    }
}

#[test]
fn decided_boards_pay_what_the_ledger_says() {
    let mut decided = [0_u32; 2];
    for (v, trust, odds) in [(2, 2, Odds::NEWCOMERS), (3, 4, Odds::VETERAN_COLLUDERS), (4, 8, Odds::VETERANS)] {
        let case = Case::new(10, 2, v, trust).with_odds(odds);
        let game = Game::new(&case, 0.3, 0.0);
        let first = usize::from(v);
        for code in 0..5 * 5 * 3 * 3 * 3_u32 {
            let (honest, loyal, turned) = (code % 5, code / 5 % 5, code / 25 % 3);
            let (honest_off, colluders_off) = (code / 75 % 3, code / 225);
            let mut voters: Vec<Voter> = Vec::new();
            let groups = [
                (honest_off, false, Said::Other),
                (colluders_off, true, Said::Other),
                (loyal, true, Said::Lie),
                (turned, true, Said::Truth),
                (honest, false, Said::Truth),
            ];
            for (count, ours, said) in groups {
                voters.extend((0..count).map(|_| Voter { ours, said }));
            }
            let (ending, truth_leads) = outcome(&case, &voters);
            // Only the first round has voters without a say; who turned and then won is not played.
            let real = voters.len() >= first && honest_off + colluders_off <= v.into();
            if !real || ending.is_none() || (ending == Some(Said::Lie) && turned > 0) {
                continue;
            }
            let seated = voters.iter().take(first).filter(|voter| voter.ours).count() as u32;
            let board = Board { honest, loyal, turned, honest_off, colluders_off, seated, ..Board::default() };
            let (found, expected) = (game.play(board).gain, ledger(&case, &voters, ending, truth_leads));
            assert!((found - expected).abs() < 1e-9, "{board:?} V {v} T {trust}: {found}, expected {expected}");
            decided[usize::from(ending == Some(Said::Lie))] += 1;
        }
    }
    assert!(decided.iter().all(|count| *count > 50), "{decided:?}");
}

#[test]
fn without_outvoting_the_lock_of_the_formula_breaks_even() {
    let mut random = Random::new("lock", 44);
    for (k, v, share) in [(5_u8, 2_u8, 0.5), (1, 1, 0.5), (5, 4, 0.5), (5, 2, 1.0 / 3.0)] {
        let case = Case::new(1000, k, v, 2);
        let lock = collude::lock_without_outvoting(&case, share);
        let fees = f64::from(v) * case.money().fee;
        if lock < fees {
            continue; // the formula is for locks that cover the fees
        }
        let values: Vec<f64> = (0..200_000)
            .map(|_| {
                let seats = (0..v).filter(|_| random.hits(share)).count();
                if seats == usize::from(v) {
                    return 1.0;
                }
                // Caught: reward and lock are gone, the colluders drawn turn and share in the half of the rest.
                1.0 - 1.0 - lock + (lock - fees) / 2.0 * seats as f64 / f64::from(v)
            })
            .collect();
        mean_agrees(&values, 0.0);
    }
}

#[test]
fn one_voter_never_decides_over_another() {
    for trust in [2, 4, 8] {
        let case = Case::new(1, 1, 2, trust).with_odds(Odds::VETERAN_COLLUDERS);
        let play = Game::new(&case, 0.0, 0.0).play(Board { honest: 1, honest_off: 1, ..Board::default() });
        assert!(play.accepted.abs() < 1e-12 && play.refuted > 0.99, "T {trust}: {play:?}");
    }
}

#[test]
fn an_audit_that_salts_decide_does_not_see_a_coalition_that_holds_all_seats() {
    let salts = Case { audit_one_in: 2, audit_by_salts: true, ..Case::example() };
    let beacon = Case { audit_by_salts: false, ..salts.clone() };
    let accepted = |case: &Case| collude::cheat(case, Cheat::Everything, 0.3, 0.0).accepted;
    assert!((accepted(&salts) - accepted(&Case::example())).abs() < 1e-12);
    assert!(accepted(&beacon) < accepted(&salts));
}
