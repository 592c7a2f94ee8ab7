//! One record of a meter where it stands in the chain.
use alloy::primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};
use sunwork_energy::{
    plausibility::Hour,
    units::{MilliWattHours, UnixSeconds},
};
use sunwork_protocol::energy::{Body, Counts, DAY_SECS, Link, SignedRecord};

use super::Site;
use crate::json::Account;

/// What a record claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DayKind {
    /// Production; or, where the counts are unknown, one of the kinds with counts.
    Day,
    /// Production and consumption.
    Metered,
    /// Nothing, for its days.
    Gap,
}

/// A day, or a gap of days, of a meter. What the event says, and the signed record behind it where that could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnergyDay {
    /// Whose meter.
    pub worker: Account,
    /// Days since 1970-01-01 UTC; of a gap its last one.
    pub day: u16,
    /// First day of a gap; else the day.
    pub first_day: u16,
    /// What is claimed.
    pub kind: DayKind,
    /// As the ledger added it up.
    pub production_wh: u32,
    /// As the ledger added it up, or what it assumes.
    pub consumption_wh: u32,
    /// The meter's window after it.
    pub window_net_wh: i64,
    /// Place and size as registered when it was recorded.
    pub site: Site,
    /// Key in use when it was recorded.
    pub key_hash: B256,
    /// Where it stands.
    pub block: u64,
    /// Hash of that block.
    pub block_hash: B256,
    /// Position of its event in the block.
    pub log_index: u64,
    /// Unix time of the block, seconds.
    pub time: u64,
    /// Its transaction.
    pub tx: B256,
    /// The signed record, as it was sent. Absent when it could not be read.
    pub record: Option<Bytes>,
    /// Why it could not.
    pub unknown: Option<String>,
    /// Link of the record before it, if that is known: what its signature covers beside the record.
    pub previous: Option<Link>,
    /// What was signed, if `previous` is known.
    pub digest: Option<B256>,
    /// What a clear sky gives on a level plane on this day, Wh/m².
    pub clear_wh: u32,
}

impl EnergyDay {
    /// The record, if it is known.
    pub fn signed(&self) -> Option<SignedRecord> {
        SignedRecord::unpack(self.record.as_ref()?).ok()
    }

    /// Counts of production, if they are known.
    pub fn counts(&self) -> Option<Box<Counts>> {
        match self.signed()?.record.body {
            Body::Production(production) | Body::Metered { production, .. } => Some(production),
            Body::Gap => None,
        }
    }

    /// Its first second.
    pub fn start(&self) -> UnixSeconds {
        UnixSeconds(i64::from(self.day) * DAY_SECS as i64)
    }
}

/// Quarter hours of a day.
pub fn quarters(start: UnixSeconds, counts: &Counts) -> Vec<Hour> {
    samples(start, counts, 1)
}

/// Hours of a day.
pub fn hours(start: UnixSeconds, counts: &Counts) -> Vec<Hour> {
    samples(start, counts, 4)
}

fn samples(start: UnixSeconds, counts: &Counts, slots: usize) -> Vec<Hour> {
    let energy = |slots: &[u16]| MilliWattHours(slots.iter().map(|count| i64::from(*count)).sum::<i64>() * 1000);
    let at = |index: usize| UnixSeconds(start.0 + (index * slots * 900) as i64);
    counts.0.chunks(slots).enumerate().map(|(index, slots)| Hour { start: at(index), energy: energy(slots) }).collect()
}
