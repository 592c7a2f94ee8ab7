//! What can be wrong with an image archive.

use thiserror::Error;

/// An archive that cannot be used.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// Not a tar, or cut off.
    #[error("image archive: not a readable tar file ({0}); expected what `docker save` writes")]
    NotATar(#[source] std::io::Error),
    /// WebAssembly, but not what workers run.
    #[error(
        "the file is WebAssembly, but no core module of version 1 (a component?); build the app for WASI preview 1, such as \
         `cargo build --target wasm32-wasip1`"
    )]
    NotAModule,
    /// A tar without an image.
    #[error("image archive: holds no manifest.json; expected what `docker save` writes")]
    NoManifest,
    /// Images, but not as workers read them.
    #[error(
        "image archive: is an OCI layout, workers read what `docker save` writes; make that of it with: sunwork image push FILE"
    )]
    OnlyOci,
    /// JSON of another shape.
    #[error("image archive: {entry} is not as `docker save` writes it: {problem}")]
    BadJson {
        /// The entry.
        entry: String,
        /// What is wrong.
        problem: String,
    },
    /// One agreement runs one image.
    #[error(
        "image archive: holds {found} images ({platforms}), expected exactly 1; take one with: sunwork image push FILE \
         --platform PLATFORM"
    )]
    ManyImages {
        /// Images found.
        found: usize,
        /// Their platforms.
        platforms: String,
    },
    /// None for that platform.
    #[error("image archive: holds no image for {wanted}, only for {found}")]
    OtherPlatform {
        /// Asked for.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// Workers refuse what could unpack to more than its bytes.
    #[error(
        "image archive: {what} is compressed by {by}, expected plain tar; unpack the file (gunzip), or let `sunwork image push` \
         write the layers plainly"
    )]
    Compressed {
        /// The file or one of its layers.
        what: String,
        /// By what.
        by: &'static str,
    },
}

impl ArchiveError {
    pub(super) fn bad(entry: &str, problem: impl ToString) -> Self {
        Self::BadJson { entry: entry.to_owned(), problem: problem.to_string() }
    }
}
