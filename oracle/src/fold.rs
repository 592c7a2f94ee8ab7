//! What the events mean: rows are folds of events, by pure functions. Folding on from a stored row and folding all events
//! from the start give the same, so a reorganisation needs nothing but a new fold.
mod agreement;
mod client;
mod meter;
mod parts;
mod worker;

pub use agreement::AgreementRow;
pub use client::ClientRow;
pub use meter::{FormerKey, MeterKey, MeterRow, MeterState, Strike};
pub use parts::{Dispute, FormerVerifier, FormerWorker, OrderUse, Payment, Round, Sealing, Terms, Verifier};
pub use worker::{DeviceRow, WorkerRow};
