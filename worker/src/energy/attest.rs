//! Attestation: once a day the meter signs what it counted, and the [`EnergyLedger`](sunwork_protocol::abi::IEnergyLedger) adds it up.
//!
//! ```text
//!   rows of the history ─[`counts`]─► 96 counts ─┐
//!   ledger ─[`ledger`]─► account of the meter ───┼─[`decide`]─► hold, wait, send, or sign ─► [`book`] (synced) ─► transaction
//!   [`book`]: everything the key ever signed ────┘                                   │
//!                                    [`device`]: the key, in software or in a chip ◄─┘      [`state`]: what the owner is told
//! ```
//! Never two records of one day: what is signed is on disk before anybody sees it, what is on disk is sent as it stands, and a meter
//! that cannot know what it signed covers the days in doubt by a gap (docs/decisions/0016).
#![cfg_attr(not(test), deny(clippy::float_arithmetic))]
pub mod book;
pub mod counts;
pub mod decide;
pub mod device;
pub mod hold;
pub mod keys;
pub mod ledger;
pub mod state;
pub mod task;

pub use decide::{Situation, Step, decide};
pub use hold::Hold;
pub use state::Attestation;
