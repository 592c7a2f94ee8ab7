//! The rules of Sunwork without I/O: what the contracts compute, computed the same way off chain, and the formats
//! that worker, oracle and client share. `docs/PROTOCOL.md` states them; `protocol/vectors/protocol.json` checks both
//! languages against each other.

pub mod abi;
pub mod bundle;
pub mod draw;
pub mod image;
pub mod leaf;
pub mod merkle;
pub mod seal;
pub mod settlement;
pub mod status;
pub mod tar;
pub mod terms;
