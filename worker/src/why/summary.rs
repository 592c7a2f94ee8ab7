//! The notes counted.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Demand, Fate};
use crate::refusal::{Bound, Reason};

/// The demand of a time, counted by what became of it. The parts add up to `seen`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// When the time began, Unix seconds.
    pub since: u64,
    /// When it ended, Unix seconds.
    pub until: u64,
    /// Purchases seen.
    pub seen: u64,
    /// Taken as worker.
    pub worked: u64,
    /// Drawn as verifier.
    pub verified: u64,
    /// Nothing was against them; they are open, or others were first.
    pub fitted: u64,
    /// The others by reason, the most frequent first.
    pub excluded: Vec<Exclusion>,
    /// Purchases of earlier times that were forgotten for want of room since the start.
    pub dropped: u64,
}

/// Purchases excluded for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exclusion {
    /// The reason.
    pub reason: Reason,
    /// How many.
    pub count: u64,
    /// The newest one in words.
    pub example: String,
    /// What the owner can do.
    pub remedy: String,
    /// The measured values, where the reason has any.
    pub measured: Option<Measured>,
}

/// Measured values of several purchases against one limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The lowest.
    pub lowest: i64,
    /// The highest.
    pub highest: i64,
    /// The limit that the newest missed.
    pub limit: i64,
    /// Unit of all three.
    pub unit: String,
    /// Which side of the limit is good.
    pub bound: Bound,
}

/// Counts the demands that were first seen in the last `window_secs`.
pub fn summarise<'a>(
    demands: impl IntoIterator<Item = &'a Demand>,
    now: u64,
    window_secs: u64,
    dropped: u64,
) -> Summary {
    let since = now.saturating_sub(window_secs);
    let mut summary = Summary { since, until: now, dropped, ..Summary::default() };
    let mut excluded: BTreeMap<Reason, (u64, Exclusion)> = BTreeMap::new();
    for demand in demands.into_iter().filter(|demand| demand.seen_at > since) {
        summary.seen += 1;
        let refusal = match &demand.fate {
            Fate::Worked => {
                summary.worked += 1;
                continue;
            }
            Fate::Verified => {
                summary.verified += 1;
                continue;
            }
            Fate::Fits => {
                summary.fitted += 1;
                continue;
            }
            Fate::Excluded { refusal } => refusal,
        };
        let reason = refusal.reason();
        let (newest, exclusion) = excluded.entry(reason).or_insert_with(|| {
            let remedy = reason.remedy().to_owned();
            (0, Exclusion { reason, count: 0, example: String::new(), remedy, measured: None })
        });
        exclusion.count += 1;
        let is_newest = demand.seen_at >= *newest;
        if is_newest {
            *newest = demand.seen_at;
            exclusion.example = refusal.to_string();
        }
        if let Some(found) = refusal.measure() {
            let measured = exclusion.measured.get_or_insert_with(|| Measured {
                lowest: found.found,
                highest: found.found,
                limit: found.limit,
                unit: found.unit.to_owned(),
                bound: found.bound,
            });
            measured.lowest = measured.lowest.min(found.found);
            measured.highest = measured.highest.max(found.found);
            if is_newest {
                measured.limit = found.limit;
            }
        }
    }
    summary.excluded = excluded.into_values().map(|(_, exclusion)| exclusion).collect();
    summary.excluded.sort_by_key(|exclusion| std::cmp::Reverse(exclusion.count));
    summary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refusal;
    use alloy::primitives::Address;

    #[test]
    fn reasons_are_counted_with_the_range_of_what_was_measured() {
        let memory = |asked_mib| Refusal::Memory { asked_mib, limit_mib: 1024 };
        let refusals =
            [memory(4096), Refusal::Pool, memory(2048), memory(8192), Refusal::Pool, Refusal::Kind { asked: 2 }];
        let demands: Vec<Demand> = (0_u8..)
            .zip(refusals)
            .map(|(index, refusal)| Demand {
                agreement: Address::repeat_byte(index),
                seen_at: 100 + u64::from(index),
                fate: Fate::Excluded { refusal },
            })
            .collect();
        let summary = summarise(&demands, 200, 101, 0);
        let counts: Vec<(Reason, u64)> = summary.excluded.iter().map(|part| (part.reason, part.count)).collect();
        assert_eq!(counts, [(Reason::Memory, 3), (Reason::Pool, 2), (Reason::Kind, 1)]);
        let measured = summary.excluded[0].measured.clone().unwrap();
        assert_eq!((measured.lowest, measured.highest, measured.limit), (2048, 8192, 1024));
        assert_eq!((measured.unit.as_str(), measured.bound), ("MiB", Bound::AtMost));
        assert_eq!(summary.excluded[0].example, "memory 8192 MiB > limit 1024 MiB");
        assert_eq!(summary.seen, 6);
        let parts: u64 = summary.excluded.iter().map(|part| part.count).sum();
        assert_eq!(parts + summary.fitted + summary.worked + summary.verified, summary.seen);
    }

    #[test]
    fn it_reads_again_what_it_writes() {
        let demand = Demand {
            agreement: Address::ZERO,
            seen_at: 150,
            fate: Fate::Excluded { refusal: Refusal::Stake { free: 1, needed: 5 } },
        };
        let summary = summarise([&demand], 200, 100, 3);
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
        assert!(text.contains("\"reason\":\"stake\""), "{text}");
    }
}
