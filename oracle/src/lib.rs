//! The Sunwork oracle: useful, never trusted with money or truth.
//!
//! - [`index`] follows the chain ([`chain`], [`rpc_chain`], [`follow`]) and keeps the contracts' [`events`] and what they mean
//!   ([`fold`]) in a SQL [`store`]
//! - [`blobs`] keeps bytes by their SHA-256
//! - [`api`] shows both over HTTP, with [`json`] as the one place that knows how values are written
//! - [`mail`] carries sealed messages between the parties of an agreement
//! - [`energy`] checks what meters attested, publishes what it finds, and shows contradictions to the ledger
//! - [`keeper`] moves agreements on that nobody else moved
//! - [`beacon_relay`] records drand rounds that agreements wait for
//! - [`key_agent`] hands session keys to workers for clients that asked it to
//! - [`server`] puts them together from a [`config`]
//!
//! Invariants: rows are folds of events and can always be rebuilt from the chain; a blob is there whole and right, or not at
//! all; the keeper trusts the contract and not the index.
#![cfg_attr(test, allow(clippy::unwrap_used))]
pub mod api;
pub mod beacon_relay;
pub mod blobs;
pub mod chain;
pub mod config;
pub mod energy;
pub mod events;
pub mod fold;
pub mod follow;
pub mod index;
pub mod json;
pub mod keeper;
pub mod key_agent;
pub mod mail;
pub mod rpc_chain;
pub mod server;
pub mod store;
