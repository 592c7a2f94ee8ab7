//! What a purchase would cost and whether it can go through, all before anything is paid.

use alloy::primitives::{Address, Bytes};
use alloy::providers::Provider;
use serde::Serialize;
use sunwork_protocol::terms::SpecError;
use thiserror::Error;

use crate::amount::Unit;
use crate::chain::{Doing, ReadError, amount};
use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::eligibility::{Counted, Eligibility, Reason};
use crate::plan::Plan;

/// Kind id of compute agreements.
pub const KIND_COMPUTE: u8 = 0;

/// What stands against a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Problem {
    /// The contract refuses the terms.
    TermsRefused {
        /// Its reason, as a sentence.
        reason: String,
    },
    /// Not enough tokens.
    Balance {
        /// What the account holds, smallest unit.
        #[serde(serialize_with = "decimal")]
        have: u128,
        /// What is needed, smallest unit.
        #[serde(serialize_with = "decimal")]
        need: u128,
    },
    /// Not enough allowance for the dispatcher; only matters when paying by allowance.
    Allowance {
        /// What is allowed, smallest unit.
        #[serde(serialize_with = "decimal")]
        have: u128,
        /// What is needed, smallest unit.
        #[serde(serialize_with = "decimal")]
        need: u128,
    },
    /// No ether for gas.
    NoGas {
        /// The account.
        account: Address,
    },
    /// The class holds too few workers.
    TooFewWorkers {
        /// The class.
        class: String,
        /// Active workers besides the client.
        have: u64,
        /// Needed: the worker, its possible successors and the verifiers.
        need: u64,
    },
    /// The class holds too little stake.
    TooLittleStake {
        /// The class.
        class: String,
        /// Active stake, smallest unit.
        #[serde(serialize_with = "decimal")]
        have: u128,
        /// Needed, smallest unit.
        #[serde(serialize_with = "decimal")]
        need: u128,
    },
    /// Green work, and too few workers of the class are positive in the energy ledger now. The contract sells it all the same, and
    /// refunds what nobody takes.
    TooFewPositive {
        /// The class.
        class: String,
        /// Positive workers of it besides the client.
        have: u64,
        /// Needed: the worker and its verifiers.
        need: u64,
        /// What keeps the others from being positive, a clause each.
        reasons: Vec<String>,
    },
}

fn decimal<S: serde::Serializer>(amount: &u128, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(amount)
}

impl Problem {
    /// True where the contract sells it all the same, and things may change within the accept window.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::TooFewPositive { .. })
    }

    /// One sentence with what was found, what is needed and what to do.
    pub fn sentence(&self, unit: &crate::amount::Unit) -> String {
        let missing = |have: u128, need: u128| {
            let (have_text, need_text) = (unit.show(have), unit.show(need));
            format!("{have_text}, needed {need_text}: {} missing", unit.show(need.saturating_sub(have)))
        };
        match self {
            Self::TermsRefused { reason } => reason.clone(),
            Self::Balance { have, need } => format!("the wallet holds {}", missing(*have, *need)),
            Self::Allowance { have, need } => format!(
                "the dispatcher may take {}; allow it with `sunwork wallet approve {}` or pay with a permit",
                missing(*have, *need),
                unit.number(*need)
            ),
            Self::NoGas { account } => format!(
                "the account {account} has no ether for gas; send some to it (development network: `sunwork wallet faucet`)"
            ),
            Self::TooFewWorkers { class, have, need } => format!(
                "class {class} has {have} active workers besides you, this purchase needs {need}; use fewer verifiers \
                 or wait for more workers (`sunwork workers` lists them)"
            ),
            Self::TooLittleStake { class, have, need } => format!(
                "the active stake of class {class} is {}; use a smaller reward or fewer verifiers",
                missing(*have, *need)
            ),
            Self::TooFewPositive { class, have, need, reasons } => format!(
                "the job is green (--green-only), and {have} workers of class {class} besides you are positive in the energy ledger \
                 now, this purchase needs {need}{}; wait for their meters, use fewer verifiers, or leave --green-only out",
                if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) }
            ),
        }
    }
}

/// The outcome of a preflight: what it costs, and everything that stands against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// Who would pay; `None`: nobody was named, and the money was not looked at.
    pub account: Option<Address>,
    /// Most that the purchase can cost, smallest unit; what is not spent comes back.
    #[serde(serialize_with = "decimal")]
    pub budget: u128,
    /// What the account holds.
    #[serde(serialize_with = "decimal")]
    pub balance: u128,
    /// What the dispatcher may take of it.
    #[serde(serialize_with = "decimal")]
    pub allowance: u128,
    /// The class of workers.
    pub class: String,
    /// Its active workers besides the account.
    pub workers: u64,
    /// Workers needed.
    pub workers_needed: u64,
    /// Workers with which a dissent could be settled too: a further round draws as many verifiers and one more, none of them
    /// known so far.
    pub workers_for_a_round: u64,
    /// Part of the budget: paid to whoever brings the draw forward, smallest unit.
    #[serde(serialize_with = "decimal")]
    pub tip: u128,
    /// Part of the budget: the fee of a late audit, smallest unit. Comes back where there is none.
    #[serde(serialize_with = "decimal")]
    pub audit_reserve: u128,
    /// One in so many verified results is audited; 0 for none.
    pub audit_one_in: u16,
    /// Everything that is wrong; empty means that it can be bought.
    pub problems: Vec<Problem>,
}

impl Preflight {
    /// What does not stand against a purchase, and should be known before it. One sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let (class, have, need) = (&self.class, self.workers, self.workers_for_a_round);
        // With fewer than are needed at all it is a problem, and said as one.
        if have >= need || have < self.workers_needed {
            return Vec::new();
        }
        vec![format!(
            "class {class} has {have} active workers besides you: enough to verify this, but a dissent needs {need} (the worker, its \
             verifiers, and one more than these again), so one could end undecided: the worker gets half, nothing is proven"
        )]
    }

    /// What stands against a purchase that pays in the given way.
    pub fn problems_for(&self, by_allowance: ByAllowance) -> Vec<Problem> {
        let matters = |p: &&Problem| by_allowance == ByAllowance::Yes || !matches!(p, Problem::Allowance { .. });
        self.problems.iter().filter(matters).cloned().collect()
    }
}

/// Whether the payment is taken from an allowance given earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByAllowance {
    /// It is.
    Yes,
    /// It comes with its own permission.
    No,
}

/// A preflight that could not be made.
#[derive(Debug, Error)]
pub enum PreflightError {
    /// The chain.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The terms do not fit their format.
    #[error(transparent)]
    Terms(#[from] SpecError),
}

impl Classified for PreflightError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Read(error) => error.class(),
            Self::Terms(_) => ErrorClass::Stop,
        }
    }
}

impl Client {
    /// Asks the contracts what `plan` would cost `account` and what stands against it, and for green work whether enough workers are
    /// positive now. Sends nothing. Without an account the money is not looked at.
    ///
    /// # Errors
    /// Only when the chain cannot be asked; what it answers is in the [`Preflight`].
    pub async fn preflight(
        &self,
        plan: &Plan,
        account: impl Into<Option<Address>>,
    ) -> Result<Preflight, PreflightError> {
        let account = account.into();
        let mut preflight = self.contract_preflight(plan, account).await?;
        // Where the contract refuses the terms (a deployment without a ledger, say) that is the answer.
        let refused = preflight.problems.iter().any(|p| matches!(p, Problem::TermsRefused { .. }));
        if plan.terms.is_green_only() && !refused {
            let eligibility = self.eligibility(plan, account).await?;
            preflight.problems.extend(too_few_positive(&eligibility, &preflight.class, self.unit()));
        }
        Ok(preflight)
    }

    /// What the contracts themselves check at a purchase.
    pub(crate) async fn contract_preflight(
        &self,
        plan: &Plan,
        account: Option<Address>,
    ) -> Result<Preflight, PreflightError> {
        let terms = Bytes::from(plan.terms.pack()?);
        let dispatcher = self.dispatcher();
        let token = self.token();
        let class_id = plan.terms.class_id;
        let class = self.deployment().class_name(class_id);
        let mut problems = Vec::new();

        let (mut balance, mut allowance) = (0, 0);
        if let Some(account) = account {
            let held = token.balanceOf(account).call().await.doing(|| "reading the wallet's balance".into())?;
            let allowed = token.allowance(account, self.deployment().dispatcher).call().await;
            let allowed = allowed.doing(|| "reading the wallet's allowance".into())?;
            (balance, allowance) = (amount(held), amount(allowed));
        }
        let epoch = dispatcher.epoch().call().await.doing(|| "reading the epoch".into())?;
        let pool =
            dispatcher.classAt(class_id, epoch).call().await.doing(|| format!("reading the size of class {class}"))?;
        let own = match account {
            Some(account) => {
                let own = dispatcher.ticketsOf(account, class_id, epoch).call().await;
                !own.doing(|| "reading the wallet's own stake".into())?.is_zero()
            }
            None => false,
        };
        let unit = dispatcher.ticketUnit().call().await.doing(|| "reading the stake per ticket".into())?;
        // The client never works for itself, so it does not count; the contract counts alike.
        let workers: u64 = pool.workers.saturating_to::<u64>().saturating_sub(u64::from(own));
        let stake = amount(pool.units).saturating_mul(unit.to());

        let implementation = self.compute(self.deployment().compute_implementation);
        let params = implementation.params().call().await.doing(|| "reading the deployment's parameters".into())?;
        let verified = plan.terms.trust_level != 0;
        let audit_reserve = if verified && params.auditOneIn != 0 { plan.terms.verifier_fee } else { 0 };
        let quoted = implementation.quote(terms).call().await.doing(|| "asking the contract for a quote".into());
        let (budget, workers_needed) = match quoted {
            Ok(quote) => {
                let (budget, need) = (quote.budget.to::<u128>(), u64::from(quote.workers));
                if account.is_some() && balance < budget {
                    problems.push(Problem::Balance { have: balance, need: budget });
                }
                if account.is_some() && allowance < budget {
                    problems.push(Problem::Allowance { have: allowance, need: budget });
                }
                if workers < need {
                    problems.push(Problem::TooFewWorkers { class: class.clone(), have: workers, need });
                }
                let stake_needed = amount(quote.stake);
                if stake < stake_needed {
                    problems.push(Problem::TooLittleStake { class: class.clone(), have: stake, need: stake_needed });
                }
                (budget, need)
            }
            Err(ReadError::Reverted { reason, .. }) => {
                problems.push(Problem::TermsRefused { reason });
                (0, 0)
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(account) = account {
            let gas_money = self.rpc().provider().get_balance(account).await;
            if gas_money.doing(|| "reading the wallet's ether".into())?.is_zero() {
                problems.push(Problem::NoGas { account });
            }
        }
        Ok(Preflight {
            account,
            budget,
            balance,
            allowance,
            class,
            workers,
            workers_needed,
            workers_for_a_round: 2 * (u64::from(plan.terms.verifiers) + 1),
            tip: params.seedTip.to(),
            audit_reserve,
            audit_one_in: if verified { params.auditOneIn } else { 0 },
            problems,
        })
    }
}

/// The worker and its verifiers must be positive workers of the class; successors may become so.
fn too_few_positive(eligibility: &Eligibility, class: &str, unit: &Unit) -> Option<Problem> {
    let have = eligibility.positive? as u64;
    let need = u64::from(eligibility.verifiers) + 1;
    if have >= need {
        return None;
    }
    let energy = |c: &&Counted| {
        matches!(
            c.reason,
            Reason::NoMeter | Reason::EnergyRecordsOld | Reason::TooFewEnergyDays | Reason::EnergyDeficit
        )
    };
    let clause = |c: &Counted| format!("{}: {}", c.count, c.clause(class, unit));
    let reasons = eligibility.reasons.iter().filter(energy).map(clause).collect();
    Some(Problem::TooFewPositive { class: class.to_owned(), have, need, reasons })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eligibility::EnergyFigure;

    #[test]
    fn sentences_say_how_much_is_missing() {
        let sun = Unit::sun();
        let say = |p: Problem| p.sentence(&sun);
        assert_eq!(
            say(Problem::Balance { have: 500_000_000, need: 2_000_000_000 }),
            "the wallet holds 0.5 SUN, needed 2 SUN: 1.5 SUN missing"
        );
        let allowance = say(Problem::Allowance { have: 0, need: 1_200_000_000 });
        assert!(allowance.contains("1.2 SUN missing") && allowance.contains("wallet approve 1.2"), "{allowance}");
        let workers = say(Problem::TooFewWorkers { class: "linux/amd64+docker".into(), have: 2, need: 3 });
        assert!(workers.contains("has 2 active workers besides you, this purchase needs 3"), "{workers}");
    }

    #[test]
    fn too_few_positive_workers_are_told_with_their_reasons() {
        let deficit = Counted {
            reason: Reason::EnergyDeficit,
            count: 2,
            need: None,
            have: None,
            energy: Some(EnergyFigure { best: -20, limit: 0, unit: "Wh" }),
        };
        let other = Counted { reason: Reason::OtherClass, count: 3, energy: None, ..deficit.clone() };
        let eligibility = Eligibility {
            workers: 6,
            registered: 6,
            eligible: 1,
            eligible_verifiers: 1,
            verifiers: 2,
            positive: Some(1),
            enough: false,
            reasons: vec![other, deficit],
            verifier_reasons: vec![],
        };
        let problem = too_few_positive(&eligibility, "linux/arm64+docker", &Unit::sun()).unwrap();
        let sentence = problem.sentence(&Unit::sun());
        assert!(sentence.contains("1 workers of class linux/arm64+docker besides you are positive"), "{sentence}");
        assert!(sentence.contains("needs 3 (2: used more energy than was made: the best net is -20 Wh"), "{sentence}");
        assert!(!sentence.contains("not in class"), "{sentence}");
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!((&json["problem"], &json["have"]), (&"too_few_positive".into(), &1.into()));
        let enough = Eligibility { positive: Some(3), ..eligibility.clone() };
        assert_eq!(too_few_positive(&enough, "x", &Unit::sun()), None);
        let plain = Eligibility { positive: None, ..eligibility };
        assert_eq!(too_few_positive(&plain, "x", &Unit::sun()), None);
    }

    fn preflight(workers: u64) -> Preflight {
        Preflight {
            account: Some(Address::ZERO),
            budget: 2,
            balance: 5,
            allowance: 1,
            class: "x".into(),
            workers,
            workers_needed: 3,
            workers_for_a_round: 6,
            tip: 0,
            audit_reserve: 0,
            audit_one_in: 0,
            problems: vec![Problem::Allowance { have: 1, need: 2 }],
        }
    }

    #[test]
    fn too_few_workers_for_a_dissent_are_told_and_stand_against_nothing() {
        assert!(preflight(6).warnings().is_empty() && preflight(2).warnings().is_empty());
        for workers in 3..6 {
            let warnings = preflight(workers).warnings();
            assert!(warnings[0].contains("a dissent needs 6"), "{warnings:?}");
        }
    }

    #[test]
    fn an_allowance_only_matters_to_who_pays_by_it() {
        let preflight = preflight(3);
        assert!(preflight.problems_for(ByAllowance::No).is_empty());
        assert_eq!(preflight.problems_for(ByAllowance::Yes).len(), 1);
    }
}
