//! The key agent, for operators who offer it: posts session keys for clients that named its account as their key agent and
//! mailed it the key, so that they may leave.
//!
//! ```text
//! client                         chain                     key agent                           worker
//!   │ setKeyAgent(agent) ─────────▶│                           │                                  │
//!   │ mail "agent": key sealed to encryptionKeyOf(agent) ─────▶│                                  │
//!   ▼ leaves                       │◀───────────────────────────────────────────────── accept ────│
//!                                  │  Keying: is it me whom the client named? is this the key? ───│
//!                                  │◀── postKey(key sealed to encryptionKeyOf(worker)) ──│        │
//!                                  │  Verifying: mail "key" to each drawn verifier       │        │
//! ```
//! Whoever names an agent lets it read the work. The agent keeps no key: it opens the mail when it needs it. What is to be
//! done is a pure function ([`decide`]) of what the chain says at one block and of what is known here; since it looks at the
//! chain first, restarts and reorganisations need no care of their own.
mod decide;
mod keys;
mod run;
mod share;

use std::sync::{Mutex, PoisonError, atomic::AtomicU64};

use alloy::primitives::B256;
use serde::Serialize;

pub use decide::{KeyState, Known, Next, View, Waiting, decide};
pub use keys::message_key;
pub use run::{AgentKeys, AgentOptions, KeyAgent, Served};
pub use share::{DrawView, Drawn, untold};

use crate::json::Account;

/// Who the key agent is: what a client must know to use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentIdentity {
    /// The account to name with `setKeyAgent`.
    pub address: Account,
    /// Its X25519 key, as it stands on chain.
    pub encryption_key: B256,
}

/// What the key agent did since the start.
#[derive(Debug, Default)]
pub struct AgentCounters {
    /// Keys posted.
    pub posted: AtomicU64,
    /// Posts that were not needed any more.
    pub lost: AtomicU64,
    /// Posts that failed otherwise.
    pub failed: AtomicU64,
    /// Agreements of its clients that wait for something now.
    pub waiting: AtomicU64,
}

/// What others may know of the key agent.
#[derive(Debug)]
pub struct AgentReport {
    /// A std mutex: held for a copy.
    identity: Mutex<Result<AgentIdentity, String>>,
    /// What it did.
    pub counters: AgentCounters,
}

impl Default for AgentReport {
    /// Of an oracle without one.
    fn default() -> Self {
        let none = "it was started without a key agent; ask another oracle, or post the keys yourself".to_owned();
        Self { identity: Mutex::new(Err(none)), counters: AgentCounters::default() }
    }
}

impl AgentReport {
    /// Who it is, once its encryption key is on chain.
    ///
    /// # Errors
    /// Why there is none, as a sentence.
    pub fn identity(&self) -> Result<AgentIdentity, String> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, identity: Result<AgentIdentity, String>) {
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = identity;
    }
}
