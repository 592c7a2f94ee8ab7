//! End to end: real anvil, real contracts, real oracle and worker processes, real Docker.
//!
//! Each test starts a network of its own on free ports. `.config/nextest.toml` runs them one after the other; under plain
//! `cargo test` the lock in [`support`] does.
#![allow(missing_docs, clippy::unwrap_used)]

mod absent;
mod attest;
mod audit;
mod bad_jobs;
mod chaos;
mod cheat;
mod cli;
mod command;
mod confidential;
mod crash;
mod demo;
mod dispute;
mod drand;
mod green;
mod honest;
mod late_confidential;
mod late_unproven;
mod left_alone;
mod level0;
mod market;
mod meter;
mod outage;
mod owner;
mod reorg;
mod support;
// Used where a worker is built with TPM support.
#[allow(dead_code, reason = "shared with the tests of sunwork-tpm")]
#[path = "../../../tpm/tests/support/mod.rs"]
mod swtpm;
