//! The Sunwork oracle: useful, never trusted with money or truth.
pub mod chain;
pub mod events;
pub mod json;
