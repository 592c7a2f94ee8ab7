//! What is published of a meter, with what it rests on.
use std::{fmt, str::FromStr};

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{EnergyDay, Site};
use crate::json::Account;

/// Which check found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Two different records of one key for one day.
    Equivocation,
    /// The ledger has found such a pair and taken the bond.
    Struck,
    /// The registered coordinates are no place.
    NoSuchPlace,
    /// Hours above what the panel can give under a clear sky.
    AboveClearHour,
    /// A day above it.
    AboveClearDay,
    /// Energy at night.
    AtNight,
    /// The curve is that of the sun at another time.
    ClockShift,
    /// More than the neighbours' harvest explains, over 14 days.
    #[serde(rename = "above_neighbours_14")]
    AboveNeighbours14,
    /// Over 30 days.
    #[serde(rename = "above_neighbours_30")]
    AboveNeighbours30,
    /// Another meter's curve, recorded later.
    Copied,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Holds by arithmetic and signatures; the chain can check it, or has.
    Proof,
    /// No panel of the registered size and place does this.
    Impossible,
    /// Honest meters do this rarely or never; a model of the sky or of neighbours stands between.
    Unlikely,
}

/// What `measured` and `limit` of a finding are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Thousandths of a watt hour.
    MilliWattHours,
    /// Thousandths.
    Permille,
    /// Seconds.
    Seconds,
    /// Records.
    Records,
    /// Tenths of a degree.
    Decidegrees,
}

/// One record among the evidence: enough to find it in the chain and to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordRef {
    /// Whose.
    pub worker: Account,
    /// Its day.
    pub day: u16,
    /// What was signed, where the link before it is known.
    pub digest: Option<B256>,
    /// Its transaction.
    pub tx: B256,
    /// Its block.
    pub block: u64,
    /// Hash of that.
    pub block_hash: B256,
    /// Position of its event.
    pub log_index: u64,
}

impl From<&EnergyDay> for RecordRef {
    fn from(day: &EnergyDay) -> Self {
        Self {
            worker: day.worker,
            day: day.day,
            digest: day.digest,
            tx: day.tx,
            block: day.block,
            block_hash: day.block_hash,
            log_index: day.log_index,
        }
    }
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Of what it is about, not of when it was found: the same on every oracle and after a reorganisation.
    pub id: B256,
    /// Whose meter.
    pub worker: Account,
    /// Which check.
    pub rule: Rule,
    /// How sure.
    pub severity: Severity,
    /// First day that it is about.
    pub first_day: u16,
    /// Last one.
    pub last_day: u16,
    /// What was found; the worst where there are several.
    pub measured: i64,
    /// What it was held against.
    pub limit: i64,
    /// Of both.
    pub unit: Unit,
    /// The other meter, of a copy.
    pub other: Option<Account>,
    /// Whether the chain can check it. Everything else is advice: nobody can be slashed for it.
    pub chain_checks: bool,
    /// Block of the record that it was found with.
    pub block: u64,
    /// Time of that, Unix seconds.
    pub time: u64,
    /// The meter as it was registered then.
    pub site: Site,
    /// The records that it rests on.
    pub records: Vec<RecordRef>,
    /// The numbers, so that the sum can be done again (docs/PLAUSIBILITY.md).
    pub evidence: Value,
}

impl Rule {
    /// All, as they are listed.
    pub const ALL: [Self; 10] = [
        Self::Equivocation,
        Self::Struck,
        Self::NoSuchPlace,
        Self::AboveClearHour,
        Self::AboveClearDay,
        Self::AtNight,
        Self::ClockShift,
        Self::AboveNeighbours14,
        Self::AboveNeighbours30,
        Self::Copied,
    ];

    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equivocation => "equivocation",
            Self::Struck => "struck",
            Self::NoSuchPlace => "no_such_place",
            Self::AboveClearHour => "above_clear_hour",
            Self::AboveClearDay => "above_clear_day",
            Self::AtNight => "at_night",
            Self::ClockShift => "clock_shift",
            Self::AboveNeighbours14 => "above_neighbours_14",
            Self::AboveNeighbours30 => "above_neighbours_30",
            Self::Copied => "copied",
        }
    }

    /// How sure its findings are.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Equivocation | Self::Struck => Severity::Proof,
            Self::NoSuchPlace | Self::AboveClearHour | Self::AboveClearDay | Self::AtNight => Severity::Impossible,
            Self::ClockShift | Self::AboveNeighbours14 | Self::AboveNeighbours30 | Self::Copied => Severity::Unlikely,
        }
    }

    /// Name of a finding: what it is about, hashed.
    pub fn id_of(self, parts: &[&[u8]]) -> B256 {
        let mut hash = Sha256::new();
        hash.update(b"sunwork.finding.1");
        hash.update(self.name());
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        B256::from_slice(&hash.finalize())
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Rule {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|rule| rule.name() == text).ok_or(())
    }
}

impl Severity {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proof => "proof",
            Self::Impossible => "impossible",
            Self::Unlikely => "unlikely",
        }
    }
}

impl FromStr for Severity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Proof, Self::Impossible, Self::Unlikely].into_iter().find(|one| one.name() == text).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_json() {
        for rule in Rule::ALL {
            assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
            assert_eq!(serde_json::to_value(rule.severity()).unwrap(), rule.severity().name());
            assert_eq!(rule.name().parse(), Ok(rule));
        }
        assert!("moonlight".parse::<Rule>().is_err());
    }

    #[test]
    fn ids_tell_parts_apart() {
        let id = |parts: &[&[u8]]| Rule::AtNight.id_of(parts);
        assert_ne!(id(&[b"ab", b"c"]), id(&[b"a", b"bc"]));
        assert_ne!(id(&[b"a"]), Rule::Copied.id_of(&[b"a"]));
    }
}
