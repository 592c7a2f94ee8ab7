//! The integer arithmetic of settlement and credibility against exact rational arithmetic that shares no code with it.
//!
//! Some thousands of cases; a million of each with `cargo xtask test --deep` (`SUNWORK_DEEP=1`), from `SUNWORK_SEED`.
#![allow(clippy::unwrap_used)]

use num_bigint::BigInt;
use num_rational::BigRational;
use sunwork_protocol::{
    credibility,
    settlement::{self, SettleInput, SettleOutput, Vote},
    status::Ending,
};

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Of any size up to `bits` bits, small ones as often as large ones: rounding shows in the small.
    fn amount(&mut self, bits: u64) -> u128 {
        let wide = u128::from(self.next()) << 64 | u128::from(self.next());
        match self.below(bits + 1) {
            0 => 0,
            size => wide >> (128 - size),
        }
    }

    fn verifiers(&mut self) -> u8 {
        1 + self.below(8) as u8
    }

    fn samples(&mut self) -> u8 {
        1 + self.below(32) as u8
    }
}

/// Runs `case` as often as the depth says, and names the seed of a failure.
fn cases(name: &str, mut case: impl FnMut(&mut Random)) {
    let deep = std::env::var("SUNWORK_DEEP").is_ok_and(|value| value == "1");
    let seed = std::env::var("SUNWORK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_121);
    let count = if deep { 1_000_000 } else { 4_000 };
    println!("{name}: {count} cases from seed {seed}");
    let mut random = Random(seed);
    (0..count).for_each(|_| case(&mut random));
}

fn rational(n: u128) -> BigRational {
    BigRational::from_integer(BigInt::from(n))
}

fn ratio(n: u128, d: u128) -> BigRational {
    BigRational::new(BigInt::from(n), BigInt::from(d))
}

/// `found` is `exact` rounded up: against the owner of a lock.
fn rounded_up(found: u128, exact: &BigRational) -> bool {
    rational(found) >= *exact && rational(found) < exact + rational(1)
}

/// `found` is `exact` rounded down: the rest is burned.
fn rounded_down(found: u128, exact: &BigRational) -> bool {
    rational(found) <= *exact && rational(found) > exact - rational(1)
}

fn max(a: BigRational, b: BigRational) -> BigRational {
    if a > b { a } else { b }
}

#[test]
fn locks_are_the_formulas_rounded_up() {
    cases("locks", |random| {
        let (reward, fee) = (random.amount(80), random.amount(80));
        let (samples, verifiers) = (random.samples(), random.verifiers());
        let (r, f, v) = (rational(reward), rational(fee), rational(verifiers.into()));
        let mut all_collude = rational(1);
        (0..verifiers).for_each(|_| all_collude *= ratio(1, 2));
        let third = &r / (rational(samples.into()) * &v * (rational(1) - all_collude));
        let exact = max(&r + (rational(2) * &v + rational(1)) * &f, third);
        let found = settlement::worker_lock(reward, fee, samples, verifiers);
        assert!(rounded_up(found, &exact), "worker lock {found} for {reward} {fee} {samples} {verifiers}");

        // One lost vote pays the two rounds of V + 1 that it causes; at least ten fees.
        let fees = max(rational(10), rational(2) * (&v + rational(1)));
        let exact = max(&r / &v, fees * &f);
        let found = settlement::verifier_lock(reward, fee, verifiers);
        assert!(rounded_up(found, &exact), "verifier lock {found} for {reward} {fee} {verifiers}");

        let bond = rational(found) + (&v + rational(1)) * &f;
        assert_eq!(rational(settlement::dispute_bond(reward, fee, verifiers)), bond, "{reward} {fee} {verifiers}");
    });
}

#[test]
fn penalties_round_up_and_never_exceed_the_lock() {
    cases("penalties", |random| {
        let (lock, bps) = (random.amount(88), random.below(10_001) as u16);
        let found = settlement::penalty(lock, bps);
        assert!(rounded_up(found, &(rational(lock) * ratio(bps.into(), 10_000))), "{found} of {lock} at {bps} bps");
        assert!(found <= lock, "{found} of {lock} at {bps} bps");
    });
}

#[test]
fn a_split_rounds_the_honest_half_down_and_the_burn_up() {
    cases("splits", |random| {
        let (slash, injury) = (random.amount(92), random.amount(92));
        let (injured, honest, burned) = settlement::split(slash, injury);
        let exact_injured = if slash < injury { rational(slash) } else { rational(injury) };
        let half = (rational(slash) - &exact_injured) * ratio(1, 2);
        assert_eq!(rational(injured), exact_injured, "{slash} {injury}");
        assert!(rounded_down(honest, &half), "{slash} {injury}");
        assert!(rounded_up(burned, &half), "{slash} {injury}");
        assert_eq!(injured + honest + burned, slash);
    });
}

/// Any settlement that the contracts can meet, and more: sometimes a late audit, and up to 27 verifiers beyond the reserved ones.
fn any_settlement(random: &mut Random) -> SettleInput {
    let verifiers = random.verifiers();
    let (reward, fee) = (random.amount(80), random.amount(80));
    let reserved = u64::from(verifiers) + random.below(2);
    let extras = if random.below(2) == 0 { 0 } else { random.below(28) };
    let votes = (0..reserved + extras)
        .map(|_| [Vote::Honest, Vote::Honest, Vote::Lost, Vote::Silent][random.below(4) as usize])
        .collect();
    let ending = [Ending::Verified, Ending::Refuted, Ending::Undecided][random.below(3) as usize];
    // Often nothing to spare, so that the fees of the extra verifiers are short.
    let spare = if random.below(2) == 0 { 0 } else { random.amount(80) };
    SettleInput {
        ending,
        doubted: ending == Ending::Undecided && random.below(2) == 0,
        escrow: reward + fee * u128::from(reserved) + spare,
        reward,
        verifier_fee: fee,
        worker_lock: settlement::worker_lock(reward, fee, random.samples(), verifiers),
        verifier_lock: settlement::verifier_lock(reward, fee, verifiers),
        votes,
        reserved: reserved as usize,
        bond: settlement::dispute_bond(reward, fee, verifiers),
        disputes_won: random.below(4) as u32,
        disputes_lost: random.below(4) as u32,
    }
}

#[test]
fn settlements_are_the_exact_ones_with_the_dust_burned() {
    cases("settlements", |random| {
        let input = any_settlement(random);
        let out = settlement::settle(&input).unwrap();
        compare_settlement(&input, &out);
    });
}

/// The same rules, in exact fractions and by another route: what each party is due, nothing rounded but the fee of the
/// verifiers that nobody reserved, which is a whole number where the money does not reach.
fn compare_settlement(input: &SettleInput, out: &SettleOutput) {
    let (ending, fee) = (input.ending, input.verifier_fee);
    let honest_in = |votes: &[Vote]| votes.iter().filter(|vote| **vote == Vote::Honest).count() as u128;
    let (ours, extras) = (honest_in(&input.votes[..input.reserved]), honest_in(&input.votes[input.reserved..]));
    let losers = input.votes.len() as u128 - ours - extras;
    let worker_slash = if ending == Ending::Refuted { input.worker_lock } else { 0 };
    let slashed = rational(worker_slash)
        + rational(losers) * rational(input.verifier_lock)
        + rational(input.disputes_lost.into()) * rational(input.bond);
    let base = match ending {
        Ending::Verified => input.reward,
        Ending::Undecided if !input.doubted => input.reward / 2,
        _ => 0,
    };
    let fees = rational(ours) * rational(fee);
    let mut extra_fee = rational(0);
    if extras != 0 {
        let there = (rational(input.escrow) - rational(base) - &fees + &slashed) / rational(extras);
        extra_fee = if there < rational(fee) { there.floor() } else { rational(fee) };
    }
    let extra_fees = &extra_fee * rational(extras);
    let injury = if ending == Ending::Refuted { &fees + &extra_fees } else { extra_fees.clone() };
    let to_injured = if injury < slashed { injury } else { slashed.clone() };
    let half = (&slashed - &to_injured) / rational(2);
    // Only who finds a false result shares.
    let winners = if ending == Ending::Refuted { ours + extras + u128::from(input.disputes_won) } else { 0 };
    let share = if winners == 0 { rational(0) } else { &half / rational(winners) };

    assert_eq!(out.worker_pay, base, "{input:?}");
    assert_eq!(out.worker_slash, worker_slash, "{input:?}");
    for (i, vote) in input.votes.iter().enumerate() {
        if *vote == Vote::Honest {
            let fee = if i < input.reserved { rational(fee) } else { extra_fee.clone() };
            let due = fee + &share;
            assert!(rounded_down(out.verifier_pay[i], &due), "verifier {i} of {due}: {input:?}");
            assert_eq!(out.verifier_slash[i], 0, "who was honest loses nothing: {input:?}");
        } else {
            assert_eq!(out.verifier_pay[i], 0, "{input:?}");
            assert_eq!(out.verifier_slash[i], input.verifier_lock, "{input:?}");
        }
    }
    if input.disputes_won != 0 {
        let due = rational(input.bond) + &share;
        assert!(rounded_down(out.disputer_pay, &due), "disputer {} of {due}: {input:?}", out.disputer_pay);
    }
    // Losers' dust is burned: at least the exact half, by less than one unit for each winner and one for the halving.
    let burned = rational(out.burned);
    let exact_burn = if winners == 0 { &slashed - &to_injured } else { half.clone() };
    assert!(burned >= exact_burn, "burned {} of {exact_burn}: {input:?}", out.burned);
    assert!(burned < &exact_burn + rational(winners + 1), "burned {} of {exact_burn}: {input:?}", out.burned);
    // An odd undecided reward leaves its last unit to the client.
    let refund = rational(input.escrow) + &to_injured - rational(base) - &fees - &extra_fees;
    assert_eq!(rational(out.refund), refund, "{input:?}");
    // Conservation.
    let won = rational(input.disputes_won.into());
    let paid = rational(out.worker_pay + out.verifier_pay.iter().sum::<u128>() + out.burned + out.refund)
        + &won * rational(out.disputer_pay);
    assert_eq!(paid, rational(input.escrow) + slashed + won * rational(input.bond), "{input:?}");
}

#[test]
fn settlements_that_the_escrow_cannot_cover_are_refused() {
    cases("short escrows", |random| {
        let (reward, fee) = (1 + random.amount(79), random.amount(80));
        let input = SettleInput {
            ending: Ending::Verified,
            doubted: false,
            escrow: reward + fee - 1,
            reward,
            verifier_fee: fee,
            votes: vec![Vote::Honest],
            reserved: 1,
            ..any_settlement(random)
        };
        assert_eq!(settlement::settle(&input), None);
    });
}

#[test]
fn a_digest_wins_exactly_above_its_share() {
    cases("shares", |random| {
        // As on a leaf: up to 37 voters, up to five digests, odds from scores.
        let mut digests: [Option<Vec<u8>>; 5] = Default::default();
        for _ in 0..=random.below(37) {
            let spread = 1 + random.below(5);
            let voters = digests[random.below(spread) as usize].get_or_insert_default();
            voters.push(credibility::odds(random.below(300) as u16));
        }
        // Small trusts as often as large ones: ties only happen there.
        let trust = ((random.amount(16) as u16) % u16::MAX).max(2);
        let voted: Vec<Vec<u8>> = digests.into_iter().flatten().collect();
        let products: Vec<u128> = voted.iter().map(|v| credibility::product(v.iter().copied()).unwrap()).collect();
        let sum = products.iter().try_fold(0_u128, |all, p| all.checked_add(*p)).unwrap();

        let exact: Vec<BigInt> =
            voted.iter().map(|voters| voters.iter().map(|odds| BigInt::from(*odds)).product()).collect();
        let all: BigInt = exact.iter().sum();
        let threshold = rational(1) - ratio(1, trust.into());
        let mut winners = 0;
        for (product, exact) in products.iter().zip(&exact) {
            assert_eq!(BigInt::from(*product), *exact);
            let expected = BigRational::new(exact.clone(), all.clone()) > threshold;
            assert_eq!(credibility::wins(*product, sum, trust), expected, "{voted:?} T {trust}");
            winners += u32::from(expected);
        }
        assert!(winners <= 1, "two digests cannot both have more than half: {voted:?} T {trust}");
    });
}

#[test]
fn scores_lose_a_third_or_eighths_rounded_down() {
    for score in 0..=u16::MAX {
        let exact = ratio(2 * u128::from(score), 3);
        assert!(rounded_down(credibility::score_after_lost(score).into(), &exact), "{score}");
    }
    cases("decay", |random| {
        let (score, idle) = (random.below(1001) as u16, random.below(900) as u32);
        let eighths = u128::from(8 - (idle / 90).min(8));
        let exact = rational(score.into()) * ratio(eighths, 8);
        assert!(rounded_down(credibility::decayed(score, idle).into(), &exact), "{score} after {idle}");
    });
}
