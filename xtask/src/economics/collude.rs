//! A worker with colluders among the verifiers: the coalition holds a share of the stake that takes part in draws, split over
//! as many identities as it likes, fixes its false leaves before the draw, and sees the draw before it votes.

use super::{
    case::Case,
    chance,
    dispute::{Board, Game, Play},
};

/// How many leaves are false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheat {
    /// Every leaf: nothing was computed. Any honest verifier finds out.
    Everything,
    /// One leaf.
    OneLeaf,
}

/// What the cheat brings a coalition with `share` of the stake against honest work, in rewards. `prize`: what a false result
/// is worth to it besides the work saved.
pub fn cheat(case: &Case, what: Cheat, share: f64, prize: f64) -> Play {
    let verifiers = u32::from(case.verifiers);
    let game = Game::new(case, share, prize);
    let mut all = Play::default();
    for (seats, chance) in (0..).zip(chance::binomial(verifiers, share)) {
        let play = match what {
            Cheat::Everything => everything(case, &game, share, prize, seats),
            Cheat::OneLeaf => one_leaf(case, &game, share, prize, seats),
        };
        all.mix(chance, play);
    }
    all.gain += match what {
        Cheat::Everything => 1.0,
        Cheat::OneLeaf => 1.0 / f64::from(case.leaves),
    };
    all
}

fn everything(case: &Case, game: &Game, share: f64, prize: f64, seats: u32) -> Play {
    let honest = u32::from(case.verifiers) - seats;
    // How many colluders have a say on the leaf that decides: all if everybody computes all, else by chance.
    let overlap = chance::binomial(seats, case.coverage());
    let mut all = Play::default();
    for (on_leaf, chance) in (0..).zip(overlap) {
        let off = seats - on_leaf;
        let play = if honest == 0 {
            unseen(
                case,
                game,
                share,
                prize,
                1.0,
                Board { loyal: on_leaf, colluders_off: off, seated: seats, off_dissents: true, ..Board::default() },
            )
        } else {
            // In a bag each false leaf has about one honest voter; to win one of them is counted as winning all.
            let here = if case.computes_all() { honest } else { 1 };
            vote(
                game,
                on_leaf,
                Board {
                    honest: here,
                    honest_off: honest - here,
                    colluders_off: off,
                    off_dissents: true,
                    seated: seats,
                    ..Board::default()
                },
            )
        };
        all.mix(chance, play);
    }
    all
}

fn one_leaf(case: &Case, game: &Game, share: f64, prize: f64, seats: u32) -> Play {
    let honest = u32::from(case.verifiers) - seats;
    let mut all = Play::default();
    for (on_leaf, chance_on) in (0..).zip(chance::binomial(seats, case.coverage())) {
        for (finders, chance_found) in (0..).zip(chance::binomial(honest, case.coverage())) {
            let board = Board {
                honest: finders,
                honest_off: honest - finders,
                colluders_off: seats - on_leaf,
                seated: seats,
                ..Board::default()
            };
            let play = if finders == 0 {
                // With an honest verifier among them the salts are known to nobody in advance.
                unseen(case, game, share, prize, case.coverage(), Board { loyal: on_leaf, ..board })
            } else {
                vote(game, on_leaf, board)
            };
            all.mix(chance_on * chance_found, play);
        }
    }
    all
}

/// Each colluder with a say votes as suits the coalition best, now that the draw is known.
fn vote(game: &Game, on_leaf: u32, board: Board) -> Play {
    let plays = (0..=on_leaf).map(|loyal| game.play(Board { loyal, turned: on_leaf - loyal, ..board }));
    plays.reduce(|best, next| if next.gain > best.gain { next } else { best }).unwrap_or_default()
}

/// Nobody dissented. A late audit may still: its verifier is honest with chance 1 - share and computes a false leaf with
/// chance `seen`. Where all seats are the coalition's and salts decide, it picks salts without an audit.
fn unseen(case: &Case, game: &Game, share: f64, prize: f64, seen: f64, board: Board) -> Play {
    let all_ours = board.honest_off == 0;
    let audited = match case.audit_one_in {
        0 => 0.0,
        _ if all_ours && case.audit_by_salts => 0.0,
        one_in => (1.0 - share) * seen / f64::from(one_in),
    };
    let mut play = Play::default();
    play.mix(1.0 - audited, Play::accepted(prize));
    if audited > 0.0 {
        play.mix(audited, game.play(Board { honest: 1, ..board }));
    }
    play
}

/// The smallest share of the stake from which a cheat on everything or on one leaf pays, within 0.0001; `None` if none
/// below `up_to` does. Shares are tried upwards in steps of a hundredth, so the first one is found.
pub fn paying_share(case: &Case, prize: f64, up_to: f64) -> Option<f64> {
    let pays = |share: f64| {
        [Cheat::Everything, Cheat::OneLeaf].into_iter().any(|what| cheat(case, what, share, prize).gain > 1e-9)
    };
    let steps = (up_to * 100.0).round() as u32;
    let first = (0..=steps).map(|step| f64::from(step) / 100.0).find(|share| pays(*share))?;
    let (mut low, mut high) = ((first - 0.01).max(0.0), first);
    while high - low > 1e-4 {
        let middle = f64::midpoint(low, high);
        if pays(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// The greatest worth of a false result, in rewards, that is still deterred at this share; below zero if even saved work pays.
pub fn deterred_worth(case: &Case, what: Cheat, share: f64) -> f64 {
    if cheat(case, what, share, 0.0).gain > 1e-9 {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    while cheat(case, what, share, high).gain <= 0.0 && high < 1e6 {
        (low, high) = (high, high * 2.0);
    }
    while high - low > 1e-4 * high.max(1.0) {
        let middle = f64::midpoint(low, high);
        if cheat(case, what, share, middle).gain <= 0.0 { low = middle } else { high = middle }
    }
    low
}

/// The lock, in rewards, that makes cheating on everything not pay when colluders that are drawn turn against their worker to
/// get part of its slash back, but nobody is outvoted: with p the share,
/// `(1 - (1 - p^V) - V f (p - p^V)/2) / (1 - p/2 - p^V/2)`. For an honest cost of R; from summing binomially
/// `R + L_w - (m/V) (L_w - V f)/2` over the m < V colluders drawn.
pub fn lock_without_outvoting(case: &Case, share: f64) -> f64 {
    let verifiers = f64::from(case.verifiers);
    let all = share.powf(verifiers);
    let fees = verifiers * case.money().fee;
    ((all - fees * (share - all) / 2.0) / (1.0 - share / 2.0 - all / 2.0)).max(0.0)
}

/// Chance that a lone honest verifier is missing: all seats are the coalition's.
pub fn all_seats(case: &Case, share: f64) -> f64 {
    share.powf(f64::from(case.verifiers))
}

/// Chance that one false leaf meets no honest verifier: (1 - (1-s) k/n)^V.
pub fn one_leaf_unseen(case: &Case, share: f64) -> f64 {
    (1.0 - (1.0 - share) * case.coverage()).powf(f64::from(case.verifiers))
}
