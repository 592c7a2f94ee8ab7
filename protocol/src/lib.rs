//! The rules of Sunwork without I/O: what the contracts compute, computed the same way off chain, and the formats
//! that worker, oracle and client share. `docs/PROTOCOL.md` states them; `protocol/vectors/protocol.json` checks both
//! languages against each other.

pub mod abi;
pub mod bundle;
pub mod credibility;
pub mod drand;
pub mod draw;
pub mod energy;
pub mod envelope;
pub mod image;
pub mod leaf;
pub mod logs;
pub mod mail;
pub mod merkle;
pub mod opening;
pub mod order;
pub mod placement;
pub mod price;
pub mod private_job;
pub mod seal;
pub mod segments;
pub mod session;
pub mod settlement;
pub mod status;
pub mod subproof;
pub mod tar;
pub mod terms;
#[doc(hidden)]
pub mod testing;
pub mod typed_data;
pub mod votes;
