//! Bytes by their SHA-256.
//!
//! [`BlobStore`] keeps them on disk, [`range`] decides what part is asked for, [`http`] moves them. A blob is there whole or
//! not at all: it is written to a temporary file, hashed on the way, synced and then renamed to its name.
pub mod http;
mod name;
pub mod range;
mod store;

pub use name::{BlobName, BlobNameError};
pub use store::{BlobError, BlobLimits, BlobStore, Stored, Upload};
