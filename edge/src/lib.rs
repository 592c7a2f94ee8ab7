//! The rim that worker, oracle and client share: everything that talks to a chain, to an oracle or to a key file.
//!
//! - [`rpc`]: JSON-RPC over HTTP or WebSocket, with fallback over several nodes
//! - [`tx`]: transactions, logged before they are sent, replaced when stuck, found again after a crash
//! - [`txlog`]: their log in a file that processes share
//! - [`revert`]: what a revert means, as a sentence
//! - [`blobs`]: bytes by their SHA-256 from and to oracles
//! - [`mail`]: sealed messages from and to oracles
//! - [`ledger`]: whether a worker is positive in the energy ledger
//! - [`keystore`]: Web3 secret storage
//! - [`deployment`]: where the contracts are
//! - [`class`]: what to do about an error
//! - `settings`: configuration files with the line of every mistake (feature `settings`)
//! - `drand`: rounds of a drand chain from HTTP sources (feature `drand`)
//!
//! Invariant: nothing here decides about work or money; it only carries out.
mod answer;
pub mod blobs;
mod causes;
pub mod class;
pub mod deployment;
#[cfg(feature = "drand")]
pub mod drand;
pub mod keystore;
pub mod ledger;
pub mod mail;
pub mod revert;
pub mod rpc;
#[cfg(feature = "settings")]
pub mod settings;
pub mod tls;
pub mod tx;
pub mod txlog;

pub use deployment::Deployment;
pub use rpc::Rpc;
pub use tx::TxManager;
