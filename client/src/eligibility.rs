//! Who could take a job now, and why the others cannot, counted. A job that waits must not leave its client guessing.
//!
//! What decides here is what the contracts check when a worker accepts or claims; a worker's own wishes (price, limits,
//! battery) are its own and not on chain. [`judge`] is pure; `chain.rs` reads what it needs.

mod chain;

use std::collections::BTreeMap;

use alloy::primitives::Address;
use serde::Serialize;
use sunwork_protocol::energy::NotPositive;

use crate::amount::Unit;

/// What the contracts know of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its identity.
    pub address: Address,
    /// Bit c: in class c.
    pub classes: u64,
    /// First epoch in which its classes count.
    pub classes_since: u32,
    /// Bit i: opted in to kind i.
    pub kinds: u64,
    /// Stake that is not unbonding, smallest token unit.
    pub bonded: u128,
    /// Part of it locked by agreements.
    pub locked: u128,
    /// Tickets in the job's class in this epoch: what it may be drawn with.
    pub tickets: u128,
    /// It has published a key that session keys can be sealed to.
    pub has_key: bool,
    /// What keeps it from being positive in the energy ledger; looked at for green work only.
    pub not_positive: Option<NotPositive>,
}

/// What a job asks of workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Who buys: never works for itself. `None`: nobody yet.
    pub client: Option<Address>,
    /// The class.
    pub class_id: u16,
    /// Its name.
    pub class: String,
    /// The kind of agreement.
    pub kind_id: u8,
    /// The epoch now.
    pub epoch: u32,
    /// Stake that accepting locks at the present price, smallest unit.
    pub worker_lock: u128,
    /// Stake that verifying locks at the present price, smallest unit.
    pub verifier_lock: u128,
    /// Verifiers drawn; 0 where nobody is asked unless the client rejects the result (trust level 0).
    pub verifiers: u8,
    /// The one worker that may accept, if the job names one.
    pub named: Option<Address>,
    /// Whether a session key must be sealed to them.
    pub confidential: bool,
    /// Only positive workers may accept and verify.
    pub green_only: bool,
}

/// What a worker would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Accept and compute.
    Work,
    /// Be drawn and compute a sample again.
    Verify,
}

/// Why a worker cannot take a role; in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is the client itself.
    IsTheClient,
    /// It is for another platform or runtime.
    OtherClass,
    /// It is in the class, but only from the next epoch on.
    ClassNotYetActive,
    /// The job is offered to another worker.
    NotNamed,
    /// It has not agreed to this kind of agreement.
    KindNotAccepted,
    /// Confidential work, and it has no key that the session key could be sealed to.
    NoEncryptionKey,
    /// Green work, and it has no meter that records are taken of: none is registered, it leaves, or it was struck.
    NoMeter,
    /// Green work, and its last energy record is too old.
    EnergyRecordsOld,
    /// Green work, and too few days of its energy are attested.
    TooFewEnergyDays,
    /// Green work, and it used more energy than it made.
    EnergyDeficit,
    /// Too little stake that is not locked elsewhere.
    TooLittleFreeStake,
    /// Its stake draws from the next epoch on only.
    StakeNotYetActive,
}

/// A reason with how many workers it holds for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Why they cannot.
    pub reason: Reason,
    /// How many of them; each is counted under its first reason.
    pub count: usize,
    /// Free stake needed, smallest unit; `None` where the reason is no amount.
    #[serde(serialize_with = "decimal")]
    pub need: Option<u128>,
    /// The most that one of them has.
    #[serde(serialize_with = "decimal")]
    pub have: Option<u128>,
    /// The best of their energy figures, where the reason is one.
    pub energy: Option<EnergyFigure>,
}

/// A figure of the energy ledger against what green work asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EnergyFigure {
    /// The best that one of these workers has.
    pub best: i64,
    /// What is asked: at least; of an age at most.
    pub limit: i64,
    /// Of both: "Wh", "days" (attested) or "days old".
    pub unit: &'static str,
}

impl EnergyFigure {
    fn of(why: NotPositive) -> Option<Self> {
        Some(match why {
            NotPositive::NoMeter | NotPositive::Leaving | NotPositive::Struck => return None,
            NotPositive::Old { age_days, fresh_days } => {
                Self { best: age_days.into(), limit: fresh_days.into(), unit: "days old" }
            }
            NotPositive::FewDays { days, min_days } => Self { best: days.into(), limit: min_days.into(), unit: "days" },
            NotPositive::Deficit { net_wh } => Self { best: net_wh, limit: 0, unit: "Wh" },
        })
    }

    /// The nearer to the limit.
    fn better(self, other: Self) -> Self {
        let missing = |figure: &Self| figure.best.abs_diff(figure.limit);
        if missing(&other) < missing(&self) { other } else { self }
    }
}

impl From<NotPositive> for Reason {
    fn from(why: NotPositive) -> Self {
        match why {
            NotPositive::NoMeter | NotPositive::Leaving | NotPositive::Struck => Self::NoMeter,
            NotPositive::Old { .. } => Self::EnergyRecordsOld,
            NotPositive::FewDays { .. } => Self::TooFewEnergyDays,
            NotPositive::Deficit { .. } => Self::EnergyDeficit,
        }
    }
}

/// Who could take a job now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Eligibility {
    /// Workers that were looked at.
    pub workers: usize,
    /// Workers that are registered; more than `workers` if there were too many to look at.
    pub registered: usize,
    /// Of them could accept and compute.
    pub eligible: usize,
    /// Of them could be drawn as verifiers.
    pub eligible_verifiers: usize,
    /// Verifiers that the job draws.
    pub verifiers: u8,
    /// Green work: of its class, and not the client, so many are positive now. Else `None`.
    pub positive: Option<usize>,
    /// There is a worker, and enough verifiers besides it.
    pub enough: bool,
    /// Why the others cannot accept.
    pub reasons: Vec<Counted>,
    /// Why the others cannot verify.
    pub verifier_reasons: Vec<Counted>,
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
fn decimal<S: serde::Serializer>(amount: &Option<u128>, s: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => s.collect_str(amount),
        None => s.serialize_none(),
    }
}

/// Why `candidate` cannot take `role`, or `Ok`.
///
/// # Errors
/// The first reason.
pub fn judge(candidate: &Candidate, needs: &Needs, role: Role) -> Result<(), Reason> {
    let lock = match role {
        Role::Work => needs.worker_lock,
        Role::Verify => needs.verifier_lock,
    };
    let free = candidate.bonded.saturating_sub(candidate.locked);
    if needs.client == Some(candidate.address) {
        return Err(Reason::IsTheClient);
    }
    if !is_of_class(candidate, needs) {
        return Err(Reason::OtherClass);
    }
    if candidate.classes_since > needs.epoch {
        return Err(Reason::ClassNotYetActive);
    }
    if role == Role::Work && needs.named.is_some_and(|named| named != candidate.address) {
        return Err(Reason::NotNamed);
    }
    if !has_bit(candidate.kinds, needs.kind_id.into()) {
        return Err(Reason::KindNotAccepted);
    }
    if needs.confidential && !candidate.has_key {
        return Err(Reason::NoEncryptionKey);
    }
    if needs.green_only
        && let Some(why) = candidate.not_positive
    {
        return Err(why.into());
    }
    if free < lock {
        return Err(Reason::TooLittleFreeStake);
    }
    // Accepting needs stake, being drawn needs tickets, which stake gives from the next epoch on.
    if role == Role::Verify && candidate.tickets == 0 {
        return Err(Reason::StakeNotYetActive);
    }
    Ok(())
}

fn has_bit(bits: u64, bit: u32) -> bool {
    bits.checked_shr(bit).unwrap_or(0) & 1 == 1
}

fn is_of_class(candidate: &Candidate, needs: &Needs) -> bool {
    has_bit(candidate.classes, needs.class_id.into())
}

/// Judges all of `candidates`, of `registered` workers.
pub fn count(candidates: &[Candidate], registered: usize, needs: &Needs) -> Eligibility {
    let able = |role| -> Vec<bool> { candidates.iter().map(|c| judge(c, needs, role).is_ok()).collect() };
    let (work, verify) = (able(Role::Work), able(Role::Verify));
    let verifiers = verify.iter().filter(|able| **able).count();
    let wanted = usize::from(needs.verifiers);
    // Nobody verifies its own work, so the worker does not count among the verifiers.
    let positive =
        |c: &&Candidate| is_of_class(c, needs) && needs.client != Some(c.address) && c.not_positive.is_none();
    let enough = work.iter().zip(&verify).any(|(work, verify)| *work && verifiers - usize::from(*verify) >= wanted);
    Eligibility {
        workers: candidates.len(),
        registered,
        eligible: work.iter().filter(|able| **able).count(),
        eligible_verifiers: verifiers,
        verifiers: needs.verifiers,
        positive: needs.green_only.then(|| candidates.iter().filter(positive).count()),
        enough,
        reasons: reasons(candidates, needs, Role::Work),
        verifier_reasons: reasons(candidates, needs, Role::Verify),
    }
}

fn reasons(candidates: &[Candidate], needs: &Needs, role: Role) -> Vec<Counted> {
    let lock = if role == Role::Work { needs.worker_lock } else { needs.verifier_lock };
    let mut counted: BTreeMap<Reason, Counted> = BTreeMap::new();
    for candidate in candidates {
        let Err(reason) = judge(candidate, needs, role) else { continue };
        let is_amount = reason == Reason::TooLittleFreeStake;
        let need = is_amount.then_some(lock);
        let entry = counted.entry(reason).or_insert(Counted { reason, count: 0, need, have: None, energy: None });
        entry.count += 1;
        if let Some(figure) =
            candidate.not_positive.filter(|why| Reason::from(*why) == reason).and_then(EnergyFigure::of)
        {
            entry.energy = Some(entry.energy.map_or(figure, |best| best.better(figure)));
        }
        if is_amount {
            entry.have = entry.have.max(Some(candidate.bonded.saturating_sub(candidate.locked)));
        }
    }
    // The most telling first.
    let mut list: Vec<Counted> = counted.into_values().collect();
    list.sort_by_key(|c| std::cmp::Reverse(c.count));
    list
}

impl Counted {
    /// What holds these workers off, as a clause.
    pub fn clause(&self, class: &str, unit: &Unit) -> String {
        match self.reason {
            Reason::IsTheClient => "the wallet itself, which cannot work for itself".into(),
            Reason::OtherClass => format!("not in class {class}"),
            Reason::ClassNotYetActive => format!("in class {class} only from the next epoch on"),
            Reason::NotNamed => "the job is offered to another worker".into(),
            Reason::KindNotAccepted => "not opted in to this kind of agreement".into(),
            Reason::NoEncryptionKey => "no encryption key, which confidential work needs".into(),
            Reason::NoMeter => "no energy meter that attests for them, which green work needs".into(),
            Reason::EnergyRecordsOld | Reason::TooFewEnergyDays | Reason::EnergyDeficit => self.energy_clause(),
            Reason::TooLittleFreeStake => {
                let (need, have) = (self.need.unwrap_or_default(), self.have.unwrap_or_default());
                let best = if self.count == 1 { "it has" } else { "the most that one has is" };
                format!("too little free stake: it locks {}, {best} {}", unit.show(need), unit.show(have))
            }
            Reason::StakeNotYetActive => "stake that draws only from the next epoch on".into(),
        }
    }

    fn energy_clause(&self) -> String {
        let EnergyFigure { best, limit, .. } = self.energy.unwrap_or(EnergyFigure { best: 0, limit: 0, unit: "" });
        let one = self.count == 1;
        match self.reason {
            Reason::EnergyRecordsOld => {
                let whose = if one { "it is" } else { "the newest is" };
                format!("the last energy record is too old: {whose} {best} days old, at most {limit} are allowed")
            }
            Reason::TooFewEnergyDays => {
                let whose = if one { "it has" } else { "the most that one has is" };
                format!("too few days of attested energy: {whose} {best}, needed {limit}")
            }
            _ => {
                let whose = if one { "its net is" } else { "the best net is" };
                format!("used more energy than was made: {whose} {best} Wh, needed {limit} Wh")
            }
        }
    }
}

impl Eligibility {
    /// The counts and reasons, one line each.
    pub fn lines(&self, class: &str, unit: &Unit) -> Vec<String> {
        let all = self.workers;
        let mut lines = vec![format!("{} of {all} workers could take it now", self.eligible)];
        let because = |list: &[Counted]| -> Vec<String> {
            list.iter().map(|c| format!("  {} of {all}: {}", c.count, c.clause(class, unit))).collect()
        };
        lines.extend(because(&self.reasons));
        if self.verifiers == 0 {
            return lines;
        }
        lines.push(format!("{} of {all} could verify it, {} are drawn", self.eligible_verifiers, self.verifiers));
        // The same reasons twice tell nothing new.
        let told = |c: &&Counted| !self.reasons.iter().any(|r| r.reason == c.reason && r.count == c.count);
        let new: Vec<Counted> = self.verifier_reasons.iter().filter(told).cloned().collect();
        lines.extend(because(&new));
        if self.registered > all {
            lines.push(format!("({} more are registered; the first {all} were looked at)", self.registered - all));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUN: u128 = 1_000_000_000;

    fn needs() -> Needs {
        Needs {
            client: Some(Address::repeat_byte(0xcc)),
            class_id: 1,
            class: "linux/arm64+docker".into(),
            kind_id: 0,
            epoch: 7,
            worker_lock: 5 * SUN,
            verifier_lock: 2 * SUN,
            verifiers: 2,
            named: None,
            confidential: true,
            green_only: false,
        }
    }

    fn able(byte: u8) -> Candidate {
        Candidate {
            address: Address::repeat_byte(byte),
            classes: 0b10,
            classes_since: 7,
            kinds: 1,
            bonded: 10 * SUN,
            locked: 0,
            tickets: 10,
            has_key: true,
            not_positive: None,
        }
    }

    #[test]
    fn green_work_is_for_positive_workers_in_both_roles_and_the_nearest_miss_is_told() {
        let green = Needs { green_only: true, ..needs() };
        let not = |byte, why| Candidate { not_positive: Some(why), ..able(byte) };
        let candidates = [
            able(1),
            not(2, NotPositive::Deficit { net_wh: -900 }),
            not(3, NotPositive::Deficit { net_wh: -20 }),
            not(4, NotPositive::FewDays { days: 3, min_days: 20 }),
            not(5, NotPositive::Old { age_days: 9, fresh_days: 3 }),
            not(6, NotPositive::NoMeter),
            not(7, NotPositive::Struck),
            // Of another class, and positive: does not count.
            Candidate { classes: 1, ..able(8) },
            Candidate { address: Address::repeat_byte(0xcc), ..able(9) },
        ];
        for candidate in &candidates[1..7] {
            assert_eq!(judge(candidate, &green, Role::Work), judge(candidate, &green, Role::Verify));
            assert_eq!(judge(candidate, &needs(), Role::Work), Ok(()), "plain work asks for no ledger");
        }
        let found = count(&candidates, candidates.len(), &green);
        assert_eq!((found.eligible, found.eligible_verifiers, found.positive, found.enough), (1, 1, Some(1), false));
        assert_eq!(count(&candidates, candidates.len(), &needs()).positive, None);
        let clauses: Vec<String> =
            found.reasons.iter().map(|c| format!("{} {}", c.count, c.clause("x", &Unit::sun()))).collect();
        for expected in [
            "2 used more energy than was made: the best net is -20 Wh, needed 0 Wh",
            "1 too few days of attested energy: it has 3, needed 20",
            "1 the last energy record is too old: it is 9 days old, at most 3 are allowed",
            "2 no energy meter that attests for them, which green work needs",
        ] {
            assert!(clauses.iter().any(|clause| clause == expected), "{expected}: {clauses:?}");
        }
        let json = serde_json::to_value(&found).unwrap();
        let deficit = json["reasons"].as_array().unwrap().iter().find(|r| r["reason"] == "energy_deficit").unwrap();
        assert_eq!(deficit["energy"], serde_json::json!({ "best": -20, "limit": 0, "unit": "Wh" }));
        assert_eq!(json["positive"], 1);
    }

    #[test]
    fn each_worker_is_judged_by_its_first_obstacle() {
        type Row = (fn(&mut Candidate), Result<(), Reason>, Result<(), Reason>);
        let table: [Row; 12] = [
            (|_| {}, Ok(()), Ok(())),
            (|c| c.address = Address::repeat_byte(0xcc), Err(Reason::IsTheClient), Err(Reason::IsTheClient)),
            (|c| c.classes = 0b01, Err(Reason::OtherClass), Err(Reason::OtherClass)),
            (|c| c.classes = 0, Err(Reason::OtherClass), Err(Reason::OtherClass)),
            (|c| c.classes_since = 8, Err(Reason::ClassNotYetActive), Err(Reason::ClassNotYetActive)),
            (|c| c.kinds = 0b10, Err(Reason::KindNotAccepted), Err(Reason::KindNotAccepted)),
            (|c| c.has_key = false, Err(Reason::NoEncryptionKey), Err(Reason::NoEncryptionKey)),
            (|c| c.locked = 5 * SUN, Ok(()), Ok(())),
            (|c| c.locked = 5 * SUN + 1, Err(Reason::TooLittleFreeStake), Ok(())),
            (|c| c.bonded = SUN, Err(Reason::TooLittleFreeStake), Err(Reason::TooLittleFreeStake)),
            (|c| c.tickets = 0, Ok(()), Err(Reason::StakeNotYetActive)),
            // The first of several reasons.
            (
                |c| (c.kinds, c.bonded, c.has_key) = (0, 0, false),
                Err(Reason::KindNotAccepted),
                Err(Reason::KindNotAccepted),
            ),
        ];
        for (row, (change, work, verify)) in table.into_iter().enumerate() {
            let mut candidate = able(1);
            change(&mut candidate);
            assert_eq!(judge(&candidate, &needs(), Role::Work), work, "row {row}");
            assert_eq!(judge(&candidate, &needs(), Role::Verify), verify, "row {row}");
        }
        let named = Needs { named: Some(Address::repeat_byte(9)), ..needs() };
        assert_eq!(judge(&able(1), &named, Role::Work), Err(Reason::NotNamed));
        assert_eq!((judge(&able(1), &named, Role::Verify), judge(&able(9), &named, Role::Work)), (Ok(()), Ok(())));
        let public = Needs { confidential: false, client: None, ..needs() };
        assert_eq!(judge(&Candidate { has_key: false, ..able(0xcc) }, &public, Role::Work), Ok(()));
    }

    #[test]
    fn a_worker_is_not_its_own_verifier() {
        let enough = |candidates: &[Candidate]| count(candidates, candidates.len(), &needs()).enough;
        let (three, two) = ([able(1), able(2), able(3)], [able(1), able(2)]);
        assert!(enough(&three));
        assert!(!enough(&two), "two verifiers and a worker are three");
        // A third that can work and not verify is enough; one that can verify and not work is, too.
        assert!(enough(&[able(1), able(2), Candidate { tickets: 0, ..able(3) }]));
        assert!(enough(&[able(1), able(2), Candidate { locked: 7 * SUN, ..able(3) }]));
        let poor = |byte| Candidate { locked: 7 * SUN, ..able(byte) };
        assert!(!enough(&[poor(1), poor(2), poor(3)]), "nobody can work");
        assert!(!enough(&[]));
    }

    #[test]
    fn the_reasons_are_counted_and_told_with_amounts() {
        let other = |byte| Candidate { classes: 1, ..able(byte) };
        let candidates = [
            able(1),
            other(2),
            other(3),
            other(4),
            Candidate { bonded: 3 * SUN, ..able(5) },
            Candidate { bonded: SUN, locked: SUN, ..able(6) },
            Candidate { has_key: false, ..able(7) },
            Candidate { tickets: 0, ..able(8) },
        ];
        let found = count(&candidates, 9, &needs());
        assert_eq!((found.workers, found.eligible, found.eligible_verifiers, found.enough), (8, 2, 2, true));
        let sum: usize = found.reasons.iter().map(|c| c.count).sum();
        assert_eq!(sum + found.eligible, 8);
        assert_eq!(
            found.lines("linux/arm64+docker", &Unit::sun()),
            [
                "2 of 8 workers could take it now",
                "  3 of 8: not in class linux/arm64+docker",
                "  2 of 8: too little free stake: it locks 5 SUN, the most that one has is 3 SUN",
                "  1 of 8: no encryption key, which confidential work needs",
                "2 of 8 could verify it, 2 are drawn",
                "  1 of 8: too little free stake: it locks 2 SUN, it has 0 SUN",
                "  1 of 8: stake that draws only from the next epoch on",
                "(1 more are registered; the first 8 were looked at)",
            ]
        );
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(
            json["reasons"][1],
            serde_json::json!({
                "reason": "too_little_free_stake", "count": 2, "need": "5000000000", "have": "3000000000", "energy": null
            })
        );
        assert_eq!(json["reasons"][0]["need"], serde_json::Value::Null);
    }
}
