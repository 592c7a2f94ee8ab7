//! What the worker does with its energy: a pure function of charge, forecast and promises to a decision with its reason.
//!
//! ```text
//!            charge <= sleep threshold, or awake is worth less than asleep
//!   Awake ────────────────────────────────────────────────────────────────▶ Sleep (wake alarm set and read back)
//!   base load + promised work + preemptible work by its price              ◀──── alarm: decide anew
//! ```
//!
//! - [`admission`]: whether a piece of work may be promised (pessimistic path above the reserve)
//! - [`planner`]: the hour's decision
//! - [`value`]: worth of stored energy, [`weather`]: the chain it is computed over, [`model`]: battery and board
//! - [`season`]: what is kept for a polar night
pub mod admission;
pub mod model;
pub mod planner;
pub mod season;
pub mod value;
pub mod weather;

pub use admission::{Admission, Commitment};
pub use planner::{Decision, Planner, Reason};
