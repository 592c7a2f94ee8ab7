//! The worker's energy: sensors at the rim, the pure [`Keeper`](sunwork_energy::keeper::Keeper) in the middle, and what its state means
//! for the work.
//!
//! ```text
//!   sensors or simulated site ─[`source`]─► keeper ─► state ─[`handle`]─► governor: what may be taken, how many cores, sleep
//!                                             │  └──► [`store`]: rows, memory, what was learned (survive a kill)
//!             CPU time of leaves ─[`cpu`]────►┘            [`wake`]: alarm set and read back before the board halts
//! ```
//!
//! - [`settings`]: what the owner says; [`sensors`]: opens buses and ports, the only place that does
//! - [`task`]: the loop that carries all of it; [`plot`]: pictures of the history; [`attest`]: a signed record a day for the ledger
pub mod attest;
pub mod cpu;
pub mod handle;
pub mod plot;
pub mod sensors;
pub mod serial;
pub mod settings;
pub mod source;
pub mod store;
pub mod task;
pub mod wake;

pub use handle::Energy;
pub use settings::{EnergyLayer, EnergySettings};
