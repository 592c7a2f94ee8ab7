//! The key of a metering device in a TPM 2.0: made there, used there, never seen outside.
//!
//! ```text
//!   create ─► storage primary (owner hierarchy, made anew from the TPM's seed) ─► key under it ─► [`Blob`], a file of ours
//!   sign   ─► the same primary ─► the blob is loaded ─► TPM2_Sign over a digest ─► both are flushed, the connection ends
//! ```
//! The key is a file, wrapped by the TPM, rather than a persistent handle: it takes none of the few slots that all programs of the machine
//! share, needs no right to change them, several can wait beside each other while one replaces the other, and a copy is of no use to any
//! other TPM. Nothing stays in the TPM between two signatures, so that one that was reset, or a daemon that was restarted, needs no care.
//! A signature a day makes the second that it takes of no account.
//!
//! Speaking to a TPM needs the C library tpm2-tss, and the feature `tss`. Without it the same questions are answered by
//! [`TpmError::NotBuilt`], so that whoever asks them is built the same way in both cases.

mod blob;
mod error;
#[cfg(feature = "tss")]
mod low;
mod tpm;
#[cfg(feature = "tss")]
mod tss;
#[cfg(not(feature = "tss"))]
#[path = "absent.rs"]
mod tss;

pub use blob::{Blob, MAX_BLOB_BYTES};
pub use error::TpmError;
pub use tpm::{DEFAULT_TCTI, Tpm};
