//! Where things are in the source tree.
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the repository's root")
}

/// State of development networks; never committed.
pub fn state_dir() -> PathBuf {
    root().join(".sunwork")
}
