//! What is asked and answered, as JSON.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sunwork_energy::keeper::State as EnergyState;

use crate::{
    account::Account,
    board::Standing,
    clock::Clock,
    earnings::Earning,
    energy::{attest::Attestation, handle::Spent},
    policy::{Mode, hardware::Caps},
    refusal::{Reason, Refusal},
};

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of the worker.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Unix seconds.
    pub started_at: u64,
    /// Unix seconds of this answer.
    pub now: u64,
    /// The owner's word.
    pub mode: Mode,
    /// Why nothing new is taken now; empty when it is.
    pub not_working: Vec<NotWorking>,
    /// How the machine's clock stands to the chain's.
    #[serde(default)]
    pub clock: Clock,
    /// Newest block.
    pub block: u64,
    /// Its Unix time: the clock of all deadlines.
    pub block_time: u64,
    /// Leaves that run.
    pub running_leaves: u64,
    /// What they may use, thousandths of a core.
    pub running_milli_cpu: u64,
    /// What leaves may use together.
    pub caps: Caps,
    /// What a unit of gas costs, wei.
    pub gas_price_wei: Option<u64>,
    /// Agreements under way.
    pub agreements: Vec<Standing>,
    /// Pay of those that we take part in, if all goes well; decimal text, smallest token unit.
    pub pending_pay: String,
    /// Transactions without an outcome.
    pub transactions: Vec<Transaction>,
    /// What the chain says about the worker; absent when it cannot be asked.
    pub account: Option<Account>,
    /// Why it is absent.
    pub account_error: Option<String>,
    /// What was attested of the energy; absent where none is kept, or the chain was not asked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// A reason that holds whatever is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotWorking {
    /// The reason.
    pub reason: Reason,
    /// With its numbers.
    pub text: String,
    /// What the owner can do.
    pub remedy: String,
}

impl From<Refusal> for NotWorking {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.reason();
        Self { reason, text: refusal.to_string(), remedy: reason.remedy().to_owned() }
    }
}

/// A transaction under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// What it is for.
    pub label: String,
    /// Account nonce.
    pub nonce: u64,
    /// Its hash.
    pub hash: String,
    /// How often it was signed: replacements, and the first.
    pub attempts: usize,
    /// Replacements with a higher fee: attempts but for the first.
    pub bumps: usize,
    /// Since its first attempt was signed, seconds; absent where an older version signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_secs: Option<u64>,
    /// Most that it pays per gas, wei; decimal text.
    pub max_fee_wei: String,
    /// Most that its gas can cost, wei; decimal text. Absent when the chain cannot be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_wei: Option<String>,
    /// Base fee of the newest block, wei per gas; decimal text. Absent when the chain cannot be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_fee_wei: Option<String>,
    /// Most that it may pay per gas by the setting `max_fee_gwei`, wei; decimal text.
    pub cap_wei: String,
    /// Where it stands: waiting, underpriced, behind, unsent, mined, nonce_used; unknown when the chain cannot be asked.
    pub state: String,
}

/// Body of `pause` and `drain`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct For {
    /// For so long, seconds; without an end when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secs: Option<u64>,
}

/// Answer to `pause`, `resume` and `drain`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spoken {
    /// What holds now.
    pub mode: Mode,
    /// Agreements that we take part in, with their deadlines.
    pub agreements: Vec<Standing>,
}

/// Answer to `reload`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    /// Settings that hold from now on.
    pub changed: Vec<String>,
    /// Settings that differ and need a restart.
    pub needs_restart: Vec<String>,
}

/// Answer to `earnings`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Earnings {
    /// Token's symbol.
    pub symbol: String,
    /// Token's decimals.
    pub decimals: u8,
    /// The oldest first.
    pub earnings: Vec<Earning>,
    /// What agreements used, by address; empty where no energy is kept.
    #[serde(default)]
    pub energy: BTreeMap<String, Spent>,
}

/// `GET /v1/energy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnergyAnswer {
    /// The state.
    #[serde(flatten)]
    pub state: EnergyState,
    /// What agreements used, by address.
    pub agreements: BTreeMap<String, Spent>,
    /// What was attested on chain; absent until the chain was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// Every failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// What went wrong.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_optional_and_nothing_else_is_taken() {
        assert_eq!(serde_json::from_str::<For>("{}").unwrap().secs, None);
        assert_eq!(serde_json::from_str::<For>("{\"secs\":5}").unwrap().secs, Some(5));
        assert!(serde_json::from_str::<For>("{\"minutes\":5}").is_err());
    }
}
