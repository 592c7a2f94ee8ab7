//! Samples and seats.

use alloy::primitives::{Address, keccak256};
use num_bigint::BigInt;
use num_rational::BigRational;
use sunwork_protocol::draw;
use xtask::economics::{alone, case::Case, chance, collude, sybil};

use super::random::{Random, agrees};

fn to_f64(exact: &BigRational) -> f64 {
    // Enough digits for a comparison at 1e-12.
    let scaled = exact * BigRational::from_integer(BigInt::from(10).pow(18));
    scaled.to_integer().to_string().parse::<f64>().unwrap() / 1e18
}

#[test]
fn chances_in_floating_point_are_the_exact_ones() {
    for (n, k) in [(1, 1), (10, 2), (10, 32), (100, 5), (1000, 32), (1 << 20, 32)] {
        for c in [0, 1, 2, n / 10, n / 2, n] {
            let exact = to_f64(&chance::miss_exact(n, k, c));
            assert!((chance::miss(n, k, c) - exact).abs() < 1e-12, "n {n} k {k} c {c}");
        }
    }
    for (workers, colluders, draws) in [(10, 3, 4), (60, 12, 8), (20, 20, 3), (5, 0, 2)] {
        let exact = chance::hypergeometric_exact(workers, colluders, draws);
        let sum = exact.iter().fold(BigRational::from_integer(BigInt::from(0)), |all, p| all + p);
        assert_eq!(sum, BigRational::from_integer(BigInt::from(1)));
        let all = to_f64(exact.last().unwrap());
        assert!((chance::all_drawn(workers, colluders, draws) - all).abs() < 1e-12);
    }
    // Very many workers: the binomial.
    let many = chance::hypergeometric_exact(1_000_000, 300_000, 4);
    for (exact, limit) in many.iter().zip(chance::binomial(4, 0.3)) {
        assert!((to_f64(exact) - limit).abs() < 1e-5);
    }
}

#[test]
fn the_protocols_own_samples_catch_as_often_as_the_formula_says() {
    // Real seeds and addresses through the sampling that contracts and workers use.
    let trials = 4_000_u32;
    println!("seeds: keccak256 of 0..{trials}");
    for (n, k, v, c) in [(100_u32, 5_u8, 2_u8, 1_u32), (100, 5, 2, 10), (12, 2, 3, 2)] {
        let case = Case::new(n, k, v, 2);
        let caught = (0..trials).filter(|trial| {
            let seed = keccak256(trial.to_be_bytes());
            (0..v).any(|i| {
                let leaves = draw::sampled_leaves(seed, Address::with_last_byte(i), n, k);
                leaves.iter().any(|leaf| *leaf < c)
            })
        });
        agrees(f64::from(caught.count() as u32) / f64::from(trials), alone::caught(&case, v.into(), c), trials);
    }
}

#[test]
fn seats_follow_the_hypergeometric_and_unseen_leaves_the_product() {
    let mut random = Random::new("seats", 41);
    let trials = 40_000;
    let (workers, colluders, v) = (20, 6, 3);
    let expected = chance::hypergeometric_exact(workers, colluders, v);
    let mut found = [0_u32; 4];
    for _ in 0..trials {
        let seats = random.distinct(v, workers);
        found[seats.iter().filter(|seat| **seat < colluders).count()] += 1;
    }
    for (found, expected) in found.iter().zip(&expected) {
        agrees(f64::from(*found) / f64::from(trials), to_f64(expected), trials);
    }

    let (case, share) = (Case::new(100, 5, 2, 8), 0.3);
    let unseen = (0..trials)
        .filter(|_| (0..case.verifiers).all(|_| random.hits(share) || !random.distinct(5, 100).contains(&0)));
    let unseen = unseen.count() as u32;
    agrees(f64::from(unseen) / f64::from(trials), collude::one_leaf_unseen(&case, share), trials);
}

#[test]
fn the_best_lone_cheat_is_at_an_end_and_below_zero() {
    for (n, k, v) in [(2, 1, 1), (10, 1, 1), (10, 2, 2), (100, 5, 2), (1000, 1, 1), (50, 32, 4)] {
        let case = Case::new(n, k, v, 2);
        let (leaves, gain) = alone::best(&case);
        assert!(leaves == 1 || leaves == n, "n {n} k {k} V {v}: best is {leaves}");
        assert!(gain < 0.0, "n {n} k {k} V {v}: {gain}");
    }
}

#[test]
fn splitting_stake_lifts_the_cap_of_one_seat_and_nothing_else() {
    // Tickets: one per unit; each identity shows its best, the V lowest identities sit.
    let mut random = Random::new("tickets", 42);
    let trials = 4_000;
    // 100 units: ours 30; strangers with one unit each.
    for (parts, v) in [(1_u32, 2_u8), (2, 2), (10, 4)] {
        let mut seats = 0_u32;
        for _ in 0..trials {
            let mut best: Vec<(f64, bool)> = Vec::new();
            for _ in 0..parts {
                let lowest = (0..30 / parts).map(|_| random.unit()).fold(1.0, f64::min);
                best.push((lowest, true));
            }
            best.extend((0..70).map(|_| (random.unit(), false)));
            best.sort_by(|a, b| a.0.total_cmp(&b.0));
            seats += best.iter().take(v.into()).filter(|(_, ours)| *ours).count() as u32;
        }
        let found = f64::from(seats) / f64::from(trials);
        let expected = sybil::seats_in_parts(0.3, parts, v);
        // The 70 strangers are not infinitely thin: 1.5 % of the expectation, and five deviations of at most 0.5 sqrt(V) each.
        let allowed = 0.03 * expected + 5.0 * 0.5 * f64::from(v).sqrt() / f64::from(trials).sqrt();
        assert!((found - expected).abs() < allowed, "{parts} parts, V {v}: {found} against {expected}");
    }
    assert!((sybil::seats_in_parts(0.3, 1, 4) - sybil::seats_whole(0.3, 4)).abs() < 1e-12);
    assert!((sybil::seats_in_parts(0.3, 100_000, 4) - sybil::seats_split(0.3, 4)).abs() < 1e-4);
}
