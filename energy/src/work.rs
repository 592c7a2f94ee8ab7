//! Energy of the work itself: what an agreement used, in integers that add up.
//!
//! Rule (as Kepler has it): what the board uses above idle is split by CPU time; idle is split by reservation. Every microwatt hour
//! goes to exactly one account, so the sum over all accounts is what the board used.
#![cfg_attr(not(test), deny(clippy::float_arithmetic))]
mod board;
mod split;

pub use board::{Board, Source};
pub use split::{Account, Interval, Ledger, Share, split_exact};
