//! A disputed leaf as a game: the coalition sees each draw before it seals its votes and plays as well as it can.
//!
//! Solved backwards over the rounds. Honest verifiers find the truth and, unless the app is rigged, agree with each other. The
//! coalition's seats in a further round are binomial in its share of the stake. Where the rules leave a freedom, the coalition
//! gets the better end: what comes out is an upper bound of its gain.

use std::{cell::RefCell, collections::HashMap};

use sunwork_protocol::credibility::wins;

use super::{
    case::{Case, MAX_ROUNDS, Money},
    chance,
};

/// Who has voted, seen from the one leaf that decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Board {
    /// Honest voters on the leaf.
    pub honest: u32,
    /// Colluders that voted for the worker's digest on it (the worker not counted).
    pub loyal: u32,
    /// Colluders that voted for the truth.
    pub turned: u32,
    /// Honest verifiers without a say on this leaf.
    pub honest_off: u32,
    /// Colluders without a say on it: they are paid and share in slashes, whoever wins.
    pub colluders_off: u32,
    /// Honest verifiers off the leaf dissent on other leaves, and lose if the worker wins.
    pub off_dissents: bool,
    /// Honest voters all have different digests, from an app made so by the coalition, which is the client too.
    pub scattered: bool,
    /// Seats of colluders in the first round: their fees are counted in honest work too.
    pub seated: u32,
}

/// How a game ends for the coalition.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Play {
    /// Gain against honest work, in rewards, without what the cheat saved.
    pub gain: f64,
    /// Chance that the false digest is accepted.
    pub accepted: f64,
    /// Chance that the worker is refuted and slashed.
    pub refuted: f64,
    /// Chance that nobody wins.
    pub undecided: f64,
}

impl Play {
    /// Accepted without dissent.
    pub fn accepted(prize: f64) -> Play {
        Play { gain: prize, accepted: 1.0, ..Play::default() }
    }

    /// Adds `chance` times `other`.
    pub fn mix(&mut self, chance: f64, other: Play) {
        self.gain += chance * other.gain;
        self.accepted += chance * other.accepted;
        self.refuted += chance * other.refuted;
        self.undecided += chance * other.undecided;
    }
}

/// The rules and stakes of a game.
#[derive(Clone, Debug)]
pub struct Game {
    case: Case,
    money: Money,
    /// What a false result is worth to the coalition if it is accepted, in rewards.
    prize: f64,
    seats: Vec<f64>,
    /// Positions met before: many draws lead to the same one.
    known: RefCell<HashMap<(Board, u32), Play>>,
}

impl Game {
    /// Against a coalition with `share` of the stake.
    pub fn new(case: &Case, share: f64, prize: f64) -> Game {
        let seats = chance::binomial(u32::from(case.verifiers) + 1, share);
        Game { money: case.money(), case: case.clone(), prize, seats, known: RefCell::default() }
    }

    /// From the state after the first round: decided at once, or by further rounds.
    pub fn play(&self, board: Board) -> Play {
        self.after_round(board, 0)
    }

    /// Draws a further round; the coalition sees its seats and then votes.
    fn further(&self, board: Board, round: u32) -> Play {
        if let Some(play) = self.known.borrow().get(&(board, round)) {
            return *play;
        }
        let mut all = Play::default();
        for (hits, chance) in self.seats.iter().enumerate() {
            let seats = hits as u32;
            let best = self.vote(board, seats, round).1;
            all.mix(*chance, best);
        }
        self.known.borrow_mut().insert((board, round), all);
        all
    }

    /// What the coalition does with its `seats` of a round: how many vote for the worker's digest (the others for the truth), and
    /// what comes of it. All other seats of the round are honest.
    pub fn vote(&self, board: Board, seats: u32, round: u32) -> (u32, Play) {
        let honest = board.honest + u32::from(self.case.verifiers) + 1 - seats;
        let mut best: Option<(u32, Play)> = None;
        for loyal in 0..=seats {
            let turned = board.turned + seats - loyal;
            let play = self.after_round(Board { honest, loyal: board.loyal + loyal, turned, ..board }, round);
            if best.is_none_or(|(_, known)| play.gain > known.gain) {
                best = Some((loyal, play));
            }
        }
        best.unwrap_or_default()
    }

    fn after_round(&self, board: Board, round: u32) -> Play {
        let odds = self.case.odds;
        let power = |odds: u8, voters: u32| u128::from(odds).pow(voters);
        let cheat = power(odds.colluder, board.loyal + 1);
        let (truth, all) = if board.scattered {
            let single = u128::from(odds.honest);
            (single, cheat + single * u128::from(board.honest))
        } else {
            let truth = power(odds.honest, board.honest) * power(odds.colluder, board.turned);
            (truth, cheat + truth)
        };
        let may_decide = round > 0 || !self.case.round_on_dissent;
        // No single voter decides over another: the worker needs a verifier at its side, a dissenter a second one.
        let truth_heard = board.honest + board.turned >= 2 && !board.scattered;
        if may_decide && truth_heard && wins(truth, all, self.case.trust) {
            return Play { gain: self.refuted(board), refuted: 1.0, ..Play::default() };
        }
        if may_decide && board.loyal >= 1 && wins(cheat, all, self.case.trust) {
            return Play { gain: self.accepted(board), accepted: 1.0, ..Play::default() };
        }
        if round < MAX_ROUNDS {
            return self.further(board, round + 1);
        }
        if board.scattered {
            // Client and worker are one party. It pays strangers of the first round, and those of further rounds out of the half of the
            // reward that the worker does not get, as far as that goes; the rest returns to it.
            let drawn = f64::from(u32::from(self.case.verifiers) - board.seated);
            let strangers = f64::from(board.honest + board.honest_off);
            let fee = self.money.fee;
            let cost = fee * drawn + (fee * (strangers - drawn)).min(0.5);
            return Play { gain: -cost, undecided: 1.0, ..Play::default() };
        }
        // At the cap: half the reward, none if another digest has more than half of the odds.
        let kept = if 2 * truth > all { 0.0 } else { 0.5 };
        Play { gain: kept - 1.0 + self.fees(board, 0), undecided: 1.0, ..Play::default() }
    }

    /// Fees of the coalition's voters beyond those that honest work earns; `lost` of them are not paid.
    fn fees(&self, board: Board, lost: u32) -> f64 {
        if board.scattered {
            return 0.0;
        }
        let voters = f64::from(board.loyal + board.turned + board.colluders_off) - f64::from(lost);
        self.money.fee * (voters - f64::from(board.seated))
    }

    fn refuted(&self, board: Board) -> f64 {
        let Money { worker_lock, verifier_lock, fee } = self.money;
        let colluders_right = f64::from(board.turned + board.colluders_off);
        let right = f64::from(board.honest + board.honest_off) + colluders_right;
        let slashed = worker_lock + f64::from(board.loyal) * verifier_lock;
        let to_honest = (slashed - fee * right).max(0.0) / 2.0;
        to_honest * colluders_right / right - 1.0 - slashed + self.fees(board, board.loyal)
    }

    fn accepted(&self, board: Board) -> f64 {
        let off = if board.off_dissents { board.honest_off } else { 0 };
        let dissent = f64::from(board.honest + off + board.turned);
        let ours = f64::from(1 + board.loyal + board.colluders_off);
        let winners = ours + f64::from(board.honest_off - off);
        let lock = self.money.verifier_lock;
        // Fees of further rounds are paid out of the slashes first.
        let extra = f64::from((board.loyal + board.colluders_off).saturating_sub(board.seated));
        let rest = (dissent * lock - self.money.fee * extra).max(0.0);
        let to_winners = if self.case.outvoted_burned { 0.0 } else { rest / 2.0 };
        self.prize + to_winners * ours / winners - f64::from(board.turned) * lock + self.fees(board, board.turned)
    }
}
