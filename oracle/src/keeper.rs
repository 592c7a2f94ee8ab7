//! Moves agreements on that nobody moved: proves beacon rounds and pokes deadlines that have passed.
//!
//! A useful service and no more: everybody may do the same, so the keeper waits a little for those whose turn it is, asks the
//! contract itself before it acts, and tries each call without sending it first, so that a lost race costs no gas.
mod decide;
mod journal;
mod run;

use std::sync::atomic::AtomicU64;

pub use decide::{Count, Next, Poke, Standing, decide};
pub use journal::{JournalError, KeeperJournal};
pub use run::{Keeper, KeeperBeacon, KeeperOptions};

/// What the keeper did since the start.
#[derive(Debug, Default)]
pub struct KeeperCounters {
    /// Transactions that did what they should.
    pub mined: AtomicU64,
    /// Pokes that were not needed any more.
    pub lost: AtomicU64,
    /// Pokes that failed otherwise.
    pub failed: AtomicU64,
}
