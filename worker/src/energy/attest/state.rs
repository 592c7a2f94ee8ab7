//! What the owner is told of the attestation.
use serde::{Deserialize, Serialize};
use sunwork_energy::keeper::state::TroubleRow;

use super::{
    Hold,
    decide::{Ledger, Status},
    hold::date,
};

/// The attestation, for the control API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attestation {
    /// Where the meter stands in the ledger, as far as it was asked.
    pub meter: Option<MeterState>,
    /// What is done next, in words.
    pub next: String,
    /// The state in which nothing is signed.
    pub hold: Option<TroubleRow>,
    /// Whether that is how things are, and nothing went wrong.
    pub quiet: bool,
    /// Records that the chain took in this run.
    pub sent: u64,
}

/// The meter, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MeterState {
    /// Hash of its key.
    pub key: String,
    /// Last day that a record covers.
    pub last_day: String,
    /// Its net energy; `None` of a gap, or before the first record.
    pub last_day_net_wh: Option<i64>,
    /// Net energy of the window.
    pub window_net_wh: i64,
    /// Its length.
    pub window_days: u16,
    /// Days with counts in it.
    pub attested_days: u8,
    /// `isPositive`: whether agreements for positive workers may be accepted.
    pub positive: bool,
    /// Why not.
    pub not_positive: Option<String>,
}

impl MeterState {
    /// Of an account; `None` where there never was one.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Option<Self> {
        (ledger.status != Status::None).then(|| Self {
            key: ledger.key.to_string(),
            last_day: date(ledger.day),
            last_day_net_wh: ledger.last_day_net_wh,
            window_net_wh: ledger.net_wh,
            window_days: ledger.window_days,
            attested_days: ledger.attested_days,
            positive: ledger.positive,
            not_positive: (!ledger.positive).then(|| not_positive(ledger)),
        })
    }
}

impl Attestation {
    /// Of a state in which nothing is signed.
    #[must_use]
    pub fn held(meter: Option<MeterState>, hold: &Hold, sent: u64) -> Self {
        Self { meter, next: "nothing".into(), hold: Some(hold.row()), quiet: hold.is_quiet(), sent }
    }
}

/// The first rule of `isPositive` that does not hold.
fn not_positive(ledger: &Ledger) -> String {
    let today = ledger.time / 86_400;
    if ledger.status != Status::Active {
        return "the meter takes no records".into();
    }
    if ledger.net_wh < 0 {
        return format!("{} Wh more were used than made in the window", -ledger.net_wh);
    }
    if u16::from(ledger.attested_days) < ledger.min_days {
        return format!("{} days are attested, {} are needed", ledger.attested_days, ledger.min_days);
    }
    if today > u64::from(ledger.day) + u64::from(ledger.fresh_days) {
        return format!("the last record is of {}, {} days old at most it may be", date(ledger.day), ledger.fresh_days);
    }
    "the ledger says so".into()
}
