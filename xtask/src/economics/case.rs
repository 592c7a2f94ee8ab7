//! One purchase and what is assumed of those who might cheat on it.

use sunwork_protocol::settlement;

use super::odds::Odds;

/// Largest number of verifiers that the contracts take.
pub const MAX_VERIFIERS: u8 = 8;
/// Further rounds of voting on dissent, at most.
pub const MAX_ROUNDS: u32 = 2;

/// Terms of a purchase, deployment parameters, and assumptions.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// R, reward of the worker, smallest token unit.
    pub reward: u128,
    /// f, fee of each verifier, smallest token unit.
    pub fee: u128,
    /// n, leaves of the bag.
    pub leaves: u32,
    /// k, leaves that each verifier computes.
    pub samples: u8,
    /// V, verifiers.
    pub verifiers: u8,
    /// T: a digest wins with more than `1 - 1/T` of the odds.
    pub trust: u16,
    /// A: a late audit in one of so many agreements; 0 for never.
    pub audit_one_in: u32,
    /// Whether the lottery of the audit can be known by those who drew all seats (it is decided by their salts).
    pub audit_by_salts: bool,
    /// Whether a dissent always draws a further round before anything is decided (a recommendation, not the rule).
    pub round_on_dissent: bool,
    /// Whether the slash of verifiers that the worker's digest outvotes is burned whole: the rule; without, half goes to the winners.
    pub outvoted_burned: bool,
    /// Odds of honest voters and of colluders.
    pub odds: Odds,
}

/// Locks and payments as multiples of the reward, in `f64`: 53 bits of precision, far more than any table shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Money {
    /// L_w, the worker's lock.
    pub worker_lock: f64,
    /// L_v, a verifier's lock.
    pub verifier_lock: f64,
    /// f.
    pub fee: f64,
}

impl Case {
    /// A bag of 100 with two verifiers that compute five leaves each, at the worker's price: the example of the note.
    pub fn example() -> Self {
        Case::new(100, 5, 2, 8)
    }

    /// A reward of 1 SUN, verifiers paid at the worker's price per leaf, the greatest trust unless `trust` is smaller, all
    /// newcomers, no audit.
    pub fn new(leaves: u32, samples: u8, verifiers: u8, trust: u16) -> Self {
        let reward = 1_000_000_000;
        let computed = u128::from(leaves.min(samples.into()));
        Case {
            reward,
            fee: (reward * computed).div_ceil(leaves.into()),
            leaves,
            samples,
            verifiers,
            trust,
            audit_one_in: 0,
            audit_by_salts: false,
            round_on_dissent: false,
            outvoted_burned: true,
            odds: Odds::NEWCOMERS,
        }
    }

    /// The same with other odds.
    pub fn with_odds(&self, odds: Odds) -> Self {
        Case { odds, ..self.clone() }
    }

    /// Leaves that a verifier really computes: all if there are no more than k.
    pub fn computed(&self) -> u32 {
        self.leaves.min(self.samples.into())
    }

    /// Whether every verifier computes every leaf.
    pub fn computes_all(&self) -> bool {
        self.computed() == self.leaves
    }

    /// The chance that a given verifier computes a given leaf, k/n.
    pub fn coverage(&self) -> f64 {
        f64::from(self.computed()) / f64::from(self.leaves)
    }

    /// Locks and fee, from the integer rules of the protocol, as multiples of the reward.
    pub fn money(&self) -> Money {
        let reward = self.reward as f64;
        let worker = settlement::worker_lock(self.reward, self.fee, self.samples, self.verifiers);
        let verifier = settlement::verifier_lock(self.reward, self.fee, self.verifiers);
        Money {
            worker_lock: worker as f64 / reward,
            verifier_lock: verifier as f64 / reward,
            fee: self.fee as f64 / reward,
        }
    }
}
