//! Where every agreement under way stands, as its supervisor saw it last: for `status`, `top` and the metrics.
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};
use sunwork_protocol::status::Status;

/// Our part in an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Its worker.
    Worker,
    /// One of its verifiers.
    Verifier,
    /// None yet.
    Candidate,
}

impl Part {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Verifier => "verifier",
            Self::Candidate => "candidate",
        }
    }
}

/// One agreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// The agreement.
    pub agreement: Address,
    /// Our part.
    pub role: Part,
    /// Where it stands on chain.
    pub status: Status,
    /// What is being done or waited for.
    pub step: String,
    /// When anybody may move it on, Unix seconds; 0 when it has ended.
    pub deadline: u64,
    /// Leaves that are done here.
    pub leaves_done: u32,
    /// Leaves of the bag.
    pub leaves: u32,
    /// What it still needs of our energy, and when; absent for candidates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promised: Option<Promised>,
    /// Gas of the transactions that our part still has before it, at most; 0 for candidates.
    #[serde(default)]
    pub gas_units: u64,
    /// What our part pays if all goes well, smallest token unit; a decimal text.
    pub pay: String,
}

/// What an agreement still needs of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Promised {
    /// Above base load, at most, mWh; zero where no energy is kept.
    pub milliwatt_hours: i64,
    /// When that must be done, Unix seconds.
    pub deadline: u64,
    /// When this worker must be there at the latest, Unix seconds.
    pub awake_by: u64,
}

/// All of them.
#[derive(Default)]
pub struct Board {
    /// A std mutex: held for a copy at most.
    rows: Mutex<BTreeMap<Address, Standing>>,
}

impl Board {
    /// Notes where one stands.
    pub fn put(&self, standing: Standing) {
        self.lock().insert(standing.agreement, standing);
    }

    /// It is over.
    pub fn remove(&self, agreement: Address) {
        self.lock().remove(&agreement);
    }

    /// All, those that we take part in first, then by deadline.
    pub fn all(&self) -> Vec<Standing> {
        let mut all: Vec<Standing> = self.lock().values().cloned().collect();
        all.sort_by_key(|row| (row.role, row.deadline));
        all
    }

    /// True when its supervisor has looked at it.
    pub fn has(&self, agreement: Address) -> bool {
        self.lock().contains_key(&agreement)
    }

    /// Gas that all of them together still need of us.
    pub fn gas_units(&self) -> u64 {
        self.lock().values().fold(0, |sum, row| sum.saturating_add(row.gas_units))
    }

    /// True when we take part in none.
    pub fn is_dry(&self) -> bool {
        self.lock().values().all(|row| row.role == Part::Candidate)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Standing>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
