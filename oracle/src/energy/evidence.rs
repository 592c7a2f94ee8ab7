//! Records that did not come through the chain: anybody may hand one in, and two claims of one key for one day are proof.
//!
//! What is a contradiction is the ledger's rule ([`sunwork_protocol::energy::Record::contradicts`]): day, kind, counter and counts
//! are compared. The same claim with another link or sequence, as a reorganisation or a lying node makes a device sign it, is one.
use alloy::{
    primitives::{Address, B256, Bytes},
    sol_types::SolCall,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sunwork_protocol::{
    abi::IEnergyLedger::{SignedRecord as AbiRecord, reportEquivocationCall},
    energy::{Body, Link, SignedRecord},
};

use super::{EnergyContracts, EnergyDay, Finding, RecordRef, Rule, Unit};
use crate::{
    fold::{MeterKey, MeterRow},
    json::Account,
};

/// A record as it is handed in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Posted {
    /// Link of the record before it.
    pub previous: Link,
    /// Head, counts and signature.
    pub record: Bytes,
}

/// Why a record is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not a record.
    #[error("{0}; expected head, counts and signature as the ledger's submit takes them (docs/PROTOCOL.md)")]
    Record(String),
    /// Nobody's key that could be held liable.
    #[error(
        "its signature fits none of the {keys} keys that worker {worker} is liable for, for this chain, ledger and previous link"
    )]
    Signature {
        /// Whose it says it is.
        worker: Account,
        /// How many were tried.
        keys: usize,
    },
    /// Claims nothing.
    #[error("it is a gap, which claims nothing and is no evidence")]
    Gap,
}

/// A record whose signature was checked, with what it covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Whose.
    pub worker: Account,
    /// Its day.
    pub day: u16,
    /// Its sequence.
    pub sequence: u32,
    /// Who signed.
    pub key: MeterKey,
    /// What was signed.
    pub digest: B256,
    /// Link of the record before it.
    pub previous: Link,
    /// Head, counts and signature.
    pub record: Bytes,
    /// Where it stands in the chain, if it does.
    pub place: Option<RecordRef>,
}

impl Seen {
    /// Checks a record that was handed in, at `time` by the chain.
    ///
    /// # Errors
    /// When it is no record of counts that this meter is liable for.
    pub fn check(
        posted: &Posted,
        signed: &SignedRecord,
        meter: &MeterRow,
        time: u64,
        contracts: &EnergyContracts,
    ) -> Result<Self, EvidenceError> {
        if signed.record.body == Body::Gap {
            return Err(EvidenceError::Gap);
        }
        let keys: Vec<MeterKey> = meter.liable_keys(time).collect();
        let fits = |key: &&MeterKey| {
            signed.verify(&key.public(), contracts.chain_id, contracts.ledger, posted.previous).is_ok()
        };
        let refuse = || EvidenceError::Signature { worker: meter.worker, keys: keys.len() };
        let key = keys.iter().find(fits).copied().ok_or_else(refuse)?;
        let digest = signed.record.digest(contracts.chain_id, contracts.ledger, posted.previous);
        Ok(Self {
            worker: meter.worker,
            day: signed.record.day,
            sequence: signed.record.sequence,
            key,
            digest: digest.map_err(|error| EvidenceError::Record(error.to_string()))?,
            previous: posted.previous,
            record: posted.record.clone(),
            place: None,
        })
    }

    /// A day of the chain as evidence, if all that its signature covers is known.
    pub fn of_day(day: &EnergyDay, key: MeterKey) -> Option<Self> {
        let signed = day.signed().filter(|signed| signed.record.body != Body::Gap)?;
        Some(Self {
            worker: day.worker,
            day: day.day,
            sequence: signed.record.sequence,
            key,
            digest: day.digest?,
            previous: day.previous?,
            record: day.record.clone()?,
            place: Some(day.into()),
        })
    }

    /// Whether the ledger takes both for the bond.
    pub fn contradicts(&self, other: &Self) -> bool {
        let read = |seen: &Self| SignedRecord::unpack(&seen.record).map(|signed| signed.record).ok();
        let both = read(self).zip(read(other));
        self.key == other.key && both.is_some_and(|(a, b)| a.contradicts(&b).is_ok())
    }

    /// The finding, with what the ledger needs to check it.
    pub fn finding(&self, other: &Self, meter: &MeterRow, ledger: Address, block: u64, time: u64) -> Finding {
        let (a, b) = if self.digest <= other.digest { (self, other) } else { (other, self) };
        let calldata = report(a, b);
        let shown = |one: &Self| {
            json!({ "day": one.day, "sequence": one.sequence, "digest": one.digest, "previous": one.previous,
                "record": one.record, "inChain": one.place.is_some() })
        };
        let evidence = json!({ "key": a.key, "a": shown(a), "b": shown(b),
            "report": { "to": Account(ledger), "calldata": calldata } });
        Finding {
            id: Rule::Equivocation.id_of(&[a.worker.0.as_slice(), a.digest.as_slice(), b.digest.as_slice()]),
            worker: a.worker,
            rule: Rule::Equivocation,
            severity: Rule::Equivocation.severity(),
            first_day: a.day.min(b.day),
            last_day: a.day.max(b.day),
            measured: 2,
            limit: 1,
            unit: Unit::Records,
            other: None,
            chain_checks: true,
            block,
            time,
            site: meter.site.clone(),
            records: [a, b].into_iter().filter_map(|one| one.place.clone()).collect(),
            evidence,
        }
    }
}

fn report(a: &Seen, b: &Seen) -> Bytes {
    let abi = |one: &Seen| AbiRecord { previous: one.previous, data: one.record.clone() };
    reportEquivocationCall { a: abi(a), b: abi(b), keyX: a.key.x, keyY: a.key.y }.abi_encode().into()
}

/// What the reporter sends for a finding of equivocation.
pub fn report_of(finding: &Finding) -> Option<Bytes> {
    let text = finding.evidence.pointer("/report/calldata").and_then(Value::as_str)?;
    text.parse().ok()
}

/// Parses the bytes that were handed in.
///
/// # Errors
/// When they are no record.
pub fn unpack(posted: &Posted) -> Result<SignedRecord, EvidenceError> {
    SignedRecord::unpack(&posted.record).map_err(|error| EvidenceError::Record(error.to_string()))
}
