//! Inputs of a job: files and folders of this machine, and files behind a URL whose hash is known.
//!
//! Whatever an input is, the plan gets a file with a name: a folder is packed into one archive, a URL is fetched and checked.
//! Encryption, where the job is confidential, takes these files and puts others in their place.

mod error;
mod folder;
mod gather;
mod source;
mod url;

pub use error::InputError;
pub(crate) use gather::check;
pub use gather::{Gathered, Scratch, gather, gather_local};
pub use source::{InputFile, InputSource, JobInput, is_url};

/// Largest input, before it is encrypted; the same as the largest image.
pub const MAX_INPUT_BYTES: u64 = 16 << 30;
