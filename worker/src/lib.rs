//! The Sunwork worker.

pub mod runtime;
