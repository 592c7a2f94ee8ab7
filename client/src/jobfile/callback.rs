//! Where results are delivered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::JobFileError;
use super::values::Account;
use crate::job::Callback;

/// Gas that a callback is granted where nobody says how much: enough to note a small answer.
pub const DEFAULT_CALLBACK_GAS: u32 = 200_000;

/// A contract that results can be delivered to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallbackEntry {
    /// The contract; it is called as onSunworkResult(uint32 leaf, bytes content).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Account>,
    /// Gas that each delivery grants it. Default 200000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10_000, max = 10_000_000))]
    pub gas: Option<u32>,
}

impl CallbackEntry {
    /// What the first says, and what the second says where it is silent.
    pub(super) fn over(given: Option<Self>, below: Option<Self>) -> Option<Self> {
        match (given, below) {
            (Some(given), Some(below)) => Some(Self { to: given.to.or(below.to), gas: given.gas.or(below.gas) }),
            (given, below) => given.or(below),
        }
    }

    pub(super) fn build(self) -> Result<Callback, JobFileError> {
        let gas = self.gas.unwrap_or(DEFAULT_CALLBACK_GAS);
        let to = self.to.ok_or(JobFileError::CallbackToNobody { gas })?;
        Ok(Callback { to: to.0, gas })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::Unit;
    use crate::jobfile::JobFile;

    #[test]
    fn gas_has_a_default_and_needs_a_contract() {
        let image = format!("version: 1\nimage: sha256:{}\nplatform: linux/amd64\n", "ab".repeat(32));
        let build = |more: &str| JobFile::parse(&format!("{image}{more}"), "f").unwrap().builder(&Unit::sun());
        let to = "0x0808080808080808080808080808080808080808";
        let job = build(&format!("callback: {{ to: \"{to}\" }}\n")).unwrap().build().unwrap();
        assert_eq!(job.callback.unwrap().gas, DEFAULT_CALLBACK_GAS);
        let nobody = build("callback: { gas: 50000 }\n").unwrap_err().to_string();
        assert!(nobody.contains("grants a callback 50000 gas and names no contract"), "{nobody}");
        let two = build(&format!("worker: \"{to}\"\npool: \"{to}\"\n")).unwrap_err().to_string();
        assert!(two.contains("expected one of them at most"), "{two}");
    }
}
