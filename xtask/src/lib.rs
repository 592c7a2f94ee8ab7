//! Developer commands of Sunwork, as a library so that end-to-end tests start the same networks as people do.
//!
//! - [`setup`]: npm packages, Solidity compiler, Docker Engine: what is missing is installed, or said
//! - [`devnet`]: a whole network (chain, contracts, oracle, workers) of real processes on free ports
//! - [`demo`]: the main job on such a network, with a picture and a report
//! - [`mod@bench`]: what a task costs; [`bench_energy`]: how well sun is forecast and used; [`bench_worker`]: what a worker costs
//! - [`package`], [`arm`], [`tpm`]: the worker as it is handed out, and with its meter's key in a TPM
//! - [`economics`]: for which terms cheating does not pay
//! - [`mod@coverage`]: which lines of the contracts no test reaches
//! - [`mod@test`], [`check`], [`analysis`], [`abi`], [`gas`]: what CI runs
//!
//! Invariant: every process that is started here is ended here, whatever happens to this one (see [`watchdog`]).
pub mod abi;
pub mod accounts;
pub mod analysis;
pub mod apps;
pub mod apt;
pub mod arm;
pub mod bench;
pub mod bench_energy;
pub mod bench_worker;
pub mod binaries;
pub mod chain;
pub mod check;
pub mod command;
pub mod coverage;
pub mod demo;
pub mod devnet;
pub mod docker;
pub mod economics;
pub mod foundry;
pub mod gas;
pub mod npm;
pub mod package;
pub mod paths;
pub mod process;
pub mod setup;
pub mod stage;
pub mod test;
pub mod tpm;
pub mod watchdog;
