//! The owner's way into a running worker: HTTP/1 with JSON over a Unix socket that only its user can open (docs/CONTROL.md).
//!
//! Bounded: requests of at most 4 KiB, so many at a time, each for so long.
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{amount::Unit, context::Context};

mod answers;
pub mod client;
mod failure;
mod lacks;
pub mod metrics;
mod routes;
mod socket;
mod status;
mod transactions;

pub use answers::{ApiError, Earnings, EnergyAnswer, For, NotWorking, Reloaded, Spoken, Status, Transaction};
pub use lacks::{no_gas_money, no_stake};
pub use routes::serve;
pub(crate) use socket::ShortPath;
pub use socket::bind;
pub use transactions::of_journal;

/// Reads the settings again and puts them into effect; says which need a restart.
pub type Reload = dyn Fn() -> eyre::Result<Reloaded> + Send + Sync;

/// What requests are answered from.
pub struct Control {
    /// The worker.
    pub ctx: Arc<Context>,
    /// The token.
    pub unit: Unit,
    /// See [`Reload`].
    pub reload: Box<Reload>,
    /// When the process started, Unix seconds.
    pub started_at: u64,
    /// Ends with the worker.
    pub shutdown: CancellationToken,
}
