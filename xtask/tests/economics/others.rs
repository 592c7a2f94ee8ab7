//! Bribes, laziness, self-dealing.

use sunwork_protocol::{
    settlement::{self, SettleInput, Vote},
    status::Ending,
};
use xtask::economics::{bribe, case::Case, lazy, odds::Odds, selfdeal};

use super::random::{Random, mean_agrees};

/// All of `voters` are honest, and the worker is refuted.
fn refuted(case: &Case, voters: usize) -> SettleInput {
    SettleInput {
        ending: Ending::Refuted,
        doubted: false,
        escrow: case.reward + u128::from(case.verifiers) * case.fee,
        reward: case.reward,
        verifier_fee: case.fee,
        worker_lock: settlement::worker_lock(case.reward, case.fee, case.samples, case.verifiers),
        verifier_lock: settlement::verifier_lock(case.reward, case.fee, case.verifiers),
        votes: vec![Vote::Honest; voters],
        reserved: case.verifiers.into(),
        bond: 0,
        disputes_won: 0,
        disputes_lost: 0,
    }
}

fn cases() -> Vec<Case> {
    [(100, 5, 2, 8), (1000, 5, 2, 8), (100, 1, 1, 4), (100, 5, 4, 16)].map(|(n, k, v, t)| Case::new(n, k, v, t)).into()
}

#[test]
fn the_promise_makes_a_false_vote_as_good_as_a_true_one_whatever_the_others_do() {
    for case in cases() {
        let money = case.money();
        let promise = bribe::promise(&case);
        // The others stay honest: the false vote loses lock and fee, the true one earns fee and share.
        let (lie, truth) = (promise - money.verifier_lock, money.fee + bribe::finders_share(&case));
        assert!((lie - truth).abs() < 1e-12, "{case:?}");
        // All others are bought: the false vote is paid as any; the true one is outvoted and loses its lock.
        assert!(money.fee > -money.verifier_lock);
        assert!(bribe::reserve(&case, false, false) >= promise * f64::from(case.verifiers) - 1e-12);
    }
}

#[test]
fn the_finders_share_is_what_the_settlement_pays() {
    // Two rounds, in a bag: V first verifiers of which one found it, V + 1 that confirmed it; none slashed.
    for case in cases() {
        let input = refuted(&case, 2 * usize::from(case.verifiers) + 1);
        let out = settlement::settle(&input).unwrap();
        let share = (out.verifier_pay[0] - case.fee) as f64 / case.reward as f64;
        assert!((share - bribe::finders_share(&case)).abs() < 1e-8, "{share} in {case:?}");
    }
}

#[test]
fn laziness_breaks_even_where_the_formulas_say() {
    let mut random = Random::new("lazy", 45);
    let trials = 200_000;
    for case in cases() {
        let money = case.money();
        let share = bribe::finders_share(&case);
        // A blind guess of every leaf of the sample.
        let right = lazy::guess_break_even(&case);
        let guesses: Vec<f64> = (0..trials)
            .map(|_| if (0..case.computed()).all(|_| random.hits(right)) { money.fee } else { -money.verifier_lock })
            .collect();
        mean_agrees(&guesses, money.fee - lazy::work(&case));
        // Copying, with others that find what it passes one time in two.
        let found = 0.5;
        let cheats = lazy::copy_break_even(&case, found);
        let difference: Vec<f64> = (0..trials)
            .map(|_| {
                let false_work = random.hits(cheats);
                let copied = if false_work && random.hits(found) { -money.verifier_lock } else { money.fee };
                let computed = money.fee - lazy::work(&case) + if false_work { share } else { 0.0 };
                copied - computed
            })
            .collect();
        assert!(cheats <= 1.0, "{case:?}");
        mean_agrees(&difference, 0.0);
        // A leaf round.
        let wrong = lazy::round_break_even(&case);
        let guesses: Vec<f64> =
            (0..trials).map(|_| if random.hits(wrong) { -money.verifier_lock } else { money.fee + share }).collect();
        mean_agrees(&guesses, money.fee + share - 1.0 / f64::from(case.leaves));
    }
}

#[test]
fn who_refutes_itself_loses_what_the_settlement_takes() {
    for case in cases() {
        let input = refuted(&case, case.verifiers.into());
        let (escrow, lock) = (input.escrow, input.worker_lock);
        let out = settlement::settle(&input).unwrap();
        for own in 0..=case.verifiers {
            let earned: u128 = out.verifier_pay.iter().take(own.into()).sum();
            let loss = (escrow + lock - out.refund - earned) as f64;
            let expected = selfdeal::self_slash_loss(&case, own.into());
            assert!((loss / lock as f64 - expected).abs() < 1e-7, "{own} own in {case:?}: {}", loss / lock as f64);
        }
    }
}

#[test]
fn a_rigged_app_wins_nothing_where_outvoted_slashes_are_burned() {
    for (v, trust) in [(1, 2), (2, 4), (2, 8), (4, 16)] {
        for share in [0.0, 0.2, 0.4] {
            let case = Case { outvoted_burned: true, ..Case::new(100, 5, v, trust) }.with_odds(Odds::VETERAN_COLLUDERS);
            assert!(selfdeal::rigged_app(&case, share).gain <= 1e-12, "V {v} T {trust} s {share}");
        }
    }
}
