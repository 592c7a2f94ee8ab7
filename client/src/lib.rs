//! Client SDK of Sunwork: buy work, follow it, fetch results that are proven against the chain.
//!
//! ```no_run
//! # async fn example(config: sunwork_client::ClientConfig, key: alloy::signers::local::PrivateKeySigner)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use futures::TryStreamExt;
//! use sunwork_client::{Client, JobBuilder, Payment};
//!
//! let client = Client::connect(config, Some(key)).await?;
//! let unit = client.unit();
//! let job = JobBuilder::new("app.tar")
//!     .args(["--width", "640"])
//!     .leaves(16)
//!     .reward(unit.parse("1")?, unit.parse("2")?)
//!     .verifier_fee(unit.parse("0.1")?)
//!     .build()?;
//! let plan = client.prepare(&job).await?;
//! let agreement = client.buy(&plan, Payment::Permit).await?;
//! // The work is encrypted: whoever accepts it gets the session key, sealed to it.
//! let keyed = client.keep_keyed(agreement.address);
//! let events: Vec<_> = client.watch(agreement.address, agreement.block).try_collect().await?;
//! let results = client.results(agreement.address, "results".as_ref()).await?;
//! let printed = client.app_logs(agreement.address).await?;
//! let money = client.settlement(agreement.address).await?;
//! # Ok(()) }
//! ```
//!
//! Work is confidential unless the job is made [`public`](JobBuilder::public); docs/CONFIDENTIAL.md tells who reads what. The feature `cli` (on by
//! default) brings the `sunwork` command; programs need it not.
//!
//! The chain is the truth: status, parties, digests and money are read from it; oracles only carry blobs, whose bytes are
//! checked by their hash. Every error has a class ([`ErrorClass`]) that says whether to retry, to look again, or to stop.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account_keys;
pub mod agreements;
pub mod amount;
pub mod app_logs;
pub mod archive;
pub mod bag;
pub mod buy;
pub mod chain;
pub mod class;
#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
pub mod confidential;
pub mod config;
pub mod deliver;
pub mod duration;
pub mod eligibility;
pub mod estimate;
pub mod events;
#[cfg(test)]
mod fixture;
pub mod funding;
pub mod image;
pub mod image_push;
pub mod image_ref;
pub mod inputs;
pub mod job;
pub mod jobfile;
pub mod keying;
mod logs;
pub mod offer;
pub mod permit;
pub mod placement;
pub mod plan;
pub mod preflight;
pub mod results;
pub mod settlement;
pub mod situation;
pub mod timeline;
pub mod verify;
pub mod watch;
pub mod workers;

pub use agreements::{Details, FindError, IdError, Purchase, Standing};
pub use amount::{AmountError, Unit};
pub use bag::{BagError, BagLeaf, Part};
pub use buy::{Agreement, BuyError, Payment, PrepareError, UploadError};
pub use class::{Classified, ErrorClass};
pub use client::{Client, ConnectError};
pub use confidential::ConfidentialError;
pub use config::{ClientConfig, TxLogPlace};
pub use eligibility::{Eligibility, Reason};
pub use estimate::{GasEstimate, TimeEstimate};
pub use events::{Progress, Seen};
pub use image_ref::ImageSource;
pub use inputs::{InputError, InputSource, JobInput};
pub use job::{Callback, Job, JobBuilder, JobError, Resources, Taker, Windows};
pub use jobfile::{JobFile, JobFileError};
pub use keying::{KeyKeeper, KeyingError};
pub use placement::PlaceError;
pub use plan::{Plan, PlanError};
pub use preflight::{Preflight, PreflightError, Problem};
pub use results::{LeafResult, Results, ResultsError};
pub use settlement::{Settlement, TxCost};
pub use situation::Situation;
pub use sunwork_edge::keystore;
pub use workers::Workers;
