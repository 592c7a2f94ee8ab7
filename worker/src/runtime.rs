//! Running one leaf in a cage, behind one trait.
//!
//! An engine takes an image and a [`LeafJob`] and gives back a [`LeafRun`]: the record that goes into the leaf's digest, a
//! sentence for people, and the declared output. How an app ended is a *result*, agreed on and paid like any other; a
//! [`RuntimeError`] is only what says nothing about the app (the engine does not answer, the image is not what was named).
//! The same app on the same limits must end with the same record on every worker, so every outcome is decided by a rule
//! over facts that do not depend on timing ([`classify`]).

use std::path::{Path, PathBuf};

use alloy::primitives::{Address, U256, keccak256};
use alloy::sol_types::SolValue;
use futures::future::BoxFuture;
use sunwork_protocol::leaf::LeafRecord;
use sunwork_protocol::terms::ComputeSpec;
use thiserror::Error;

pub mod archive;
pub mod cage;
pub mod classify;
pub mod docker;
mod folders;
pub mod network;
pub mod output;
pub mod printed;
pub mod room;
pub mod several;
pub mod wasm;

pub use docker::{Docker, DockerConfig};
pub use network::Network;
pub use output::leaf_plaintext;
pub use printed::{Printed, Printing};
pub use several::{Kind, Several};
pub use wasm::{Wasm, WasmConfig};

/// Folder of the inputs inside the cage, read-only.
pub const INPUT_DIR: &str = "/iexec_in";
/// Folder of the outputs inside the cage.
pub const OUTPUT_DIR: &str = "/iexec_out";

/// An image by digest; a tag never names one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageRef {
    /// SHA-256 of the manifest (with `name`) or of the saved archive (without).
    pub digest: [u8; 32],
    /// Repository in a registry, without tag; `None` for an archive blob.
    pub name: Option<String>,
    /// OCI platform that the image must have, "linux/amd64".
    pub platform: String,
}

impl ImageRef {
    /// The image that a specification names.
    pub fn of_spec(spec: &ComputeSpec) -> Self {
        Self {
            digest: spec.image_digest.0,
            name: (!spec.image_name.is_empty()).then(|| spec.image_name.clone()),
            platform: spec.platform.clone(),
        }
    }
}

impl std::fmt::Display for ImageRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}@sha256:{}", hex::encode(self.digest)),
            None => write!(f, "archive sha256:{}", hex::encode(self.digest)),
        }
    }
}

/// What one leaf may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPU, thousandths of a core.
    pub milli_cpu: u32,
    /// Memory without the output folder.
    pub memory_mib: u32,
    /// Room of the output folder (a tmpfs: it is memory too).
    pub disk_mib: u32,
    /// Processes and threads.
    pub max_pids: u32,
    /// Wall-clock limit.
    pub leaf_secs: u32,
    /// Largest declared output, apparent size.
    pub output_mib: u32,
}

impl Limits {
    /// The limits that a specification states.
    pub fn of_spec(spec: &ComputeSpec) -> Self {
        Self {
            milli_cpu: spec.milli_cpu,
            memory_mib: spec.memory_mib,
            disk_mib: spec.disk_mib,
            max_pids: spec.max_pids,
            leaf_secs: spec.leaf_secs,
            output_mib: spec.output_mib,
        }
    }

    /// Memory that a leaf may take from the host at most: what the app may use, the output folder and `/tmp`.
    pub fn host_memory_mib(&self) -> u64 {
        u64::from(self.memory_mib) + u64::from(self.disk_mib) + cage::TMP_MIB
    }
}

/// One leaf to run.
#[derive(Clone, Debug)]
pub struct LeafJob {
    /// The app.
    pub image: ImageRef,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, see [`leaf_env`].
    pub env: Vec<(String, String)>,
    /// Folder with the input files, seen by the app as [`INPUT_DIR`]. Its files are made readable to everybody.
    pub input_dir: PathBuf,
    /// Where the declared output is put; made anew for the run.
    pub out_dir: PathBuf,
    /// What it may use.
    pub limits: Limits,
    /// Collects what the app prints; of the last try, where there are several.
    pub printing: Printing,
    /// Its way to the hosts that it asked for; none for most.
    pub network: Option<Network>,
    /// Name of the container, unique per agreement and leaf; what a killed worker left under it is removed first.
    pub name: String,
}

/// How a leaf ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRun {
    /// What the digest is taken over.
    pub record: LeafRecord,
    /// One sentence for people.
    pub message: String,
    /// The declared file or folder, below [`LeafJob::out_dir`]; only for a completed leaf.
    pub output: Option<PathBuf>,
    /// What the app printed.
    pub log: Printed,
    /// CPU time of the whole run, microseconds, where the runtime tells it at the end.
    pub cpu_micros: Option<u64>,
}

/// Why an engine could not say how a leaf ends. Nothing of this is the app's result.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// The engine does not answer or answered in error; try again later.
    #[error("{doing}: the container engine failed: {reason}; check that it runs (`docker info`)")]
    Unavailable {
        /// What was being done.
        doing: String,
        /// The engine's words.
        reason: String,
    },
    /// The WebAssembly runner is not there, or ended without a word on the app; try again later.
    #[error("{doing}: the WebAssembly runner failed: {reason}")]
    Runner {
        /// What was being done.
        doing: String,
        /// What is known of it.
        reason: String,
    },
    /// The engine cannot keep the cage's promises; the host must be set up first.
    #[error("the container engine cannot limit {missing}; {remedy}")]
    EngineUnfit {
        /// What cannot be limited.
        missing: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Nobody has this image.
    #[error("{image} is unknown: {reason}")]
    ImageUnknown {
        /// The image as named.
        image: String,
        /// Who said so.
        reason: String,
    },
    /// The image is for another platform.
    #[error("the image is for {found}, expected {expected}")]
    PlatformMismatch {
        /// The image's platform.
        found: String,
        /// The platform of the terms.
        expected: String,
    },
    /// The archive is not one that may be loaded.
    #[error("the image archive cannot be used: {reason}")]
    ArchiveInvalid {
        /// What was found and what was expected.
        reason: String,
    },
    /// The image cannot be run in the cage, whatever the arguments.
    #[error("the image cannot be run: {reason}")]
    ImageUnusable {
        /// The reason.
        reason: String,
    },
    /// The engine lost the image (an operator removed it) or never had it: prepare it, then run again.
    #[error("{image} is not in the engine; it must be prepared (again) first")]
    NotPrepared {
        /// The image as named.
        image: String,
    },
    /// The archive could not be fetched; try again later.
    #[error("fetching image archive {digest}: {reason}")]
    Fetch {
        /// Name of the blob.
        digest: String,
        /// The reason.
        reason: String,
    },
    /// A file of the worker could not be read or written.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// The reason.
        source: std::io::Error,
    },
}

/// What a caller should do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// It may pass: try again.
    Retry,
    /// It will not pass: refuse the work.
    Refuse,
}

impl RuntimeError {
    /// What to do about it.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. }
            | Self::Runner { .. }
            | Self::NotPrepared { .. }
            | Self::Fetch { .. }
            | Self::Io { .. } => ErrorClass::Retry,
            Self::EngineUnfit { .. }
            | Self::ImageUnknown { .. }
            | Self::PlatformMismatch { .. }
            | Self::ArchiveInvalid { .. }
            | Self::ImageUnusable { .. } => ErrorClass::Refuse,
        }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// Why a blob could not be had.
#[derive(Debug, Error)]
pub enum BlobSourceError {
    /// No source has it.
    #[error("no blob source has it ({0})")]
    Unknown(String),
    /// It may be had later.
    #[error("{0}")]
    Temporary(String),
}

/// Where image archives come from.
pub trait BlobSource: Send + Sync {
    /// Writes the blob named `sha256` to `path`, hash-checked, refusing more than `max_bytes`.
    fn fetch<'a>(
        &'a self,
        sha256: [u8; 32],
        max_bytes: u64,
        path: &'a Path,
    ) -> BoxFuture<'a, Result<(), BlobSourceError>>;
}

/// An engine that runs leaves.
pub trait Runtime: Send + Sync {
    /// Gets the image, checks that it is the one named and that it is for its platform. Cheap when it is there already.
    fn prepare<'a>(&'a self, image: &'a ImageRef, fetch: &'a dyn BlobSource)
    -> BoxFuture<'a, Result<(), RuntimeError>>;

    /// Runs one leaf of a prepared image to its end and leaves nothing behind but the output.
    fn run<'a>(&'a self, job: &'a LeafJob) -> BoxFuture<'a, Result<LeafRun, RuntimeError>>;

    /// CPU time since its start of a leaf that runs, by the name of its job, microseconds; `None` where it is not told.
    fn cpu_time<'a>(&'a self, _name: &'a str) -> BoxFuture<'a, Option<u64>> {
        Box::pin(async { None })
    }

    /// Removes what is kept for later and not used for longest, where the disk is above its mark. Cheap where it is not; what
    /// is removed and wanted again is prepared again.
    fn make_room(&self) -> BoxFuture<'_, ()>;
}

/// The variables of the iExec app contract for one leaf, each also under its `SUNWORK_` name. `leaf` counts from 0 within
/// the agreement.
pub fn leaf_env(agreement: Address, spec: &ComputeSpec, leaf_count: u32, leaf: u32) -> Vec<(String, String)> {
    let index = u64::from(spec.first_index) + u64::from(leaf);
    let task_id = keccak256((agreement, U256::from(index)).abi_encode());
    let dataset = spec.inputs.first().map(|input| input.name.clone()).unwrap_or_default();
    let mut values = vec![
        ("IN".to_owned(), INPUT_DIR.to_owned()),
        ("OUT".to_owned(), OUTPUT_DIR.to_owned()),
        ("TASK_ID".to_owned(), format!("{task_id:#x}")),
        ("DATASET_FILENAME".to_owned(), dataset),
        ("INPUT_FILES_FOLDER".to_owned(), INPUT_DIR.to_owned()),
        ("INPUT_FILES_NUMBER".to_owned(), spec.inputs.len().to_string()),
        ("BOT_TASK_INDEX".to_owned(), index.to_string()),
        ("BOT_FIRST_INDEX".to_owned(), spec.first_index.to_string()),
        ("BOT_SIZE".to_owned(), leaf_count.to_string()),
    ];
    for (i, input) in spec.inputs.iter().enumerate() {
        values.push((format!("INPUT_FILE_NAME_{}", i + 1), input.name.clone()));
    }
    values
        .iter()
        .flat_map(|(name, value)| {
            [(format!("IEXEC_{name}"), value.clone()), (format!("SUNWORK_{name}"), value.clone())]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;
    use sunwork_protocol::terms::Input;

    #[test]
    fn both_names_carry_the_same_values() {
        let input = |name: &str| Input { name: name.into(), sha256: B256::ZERO, size_bytes: 1 };
        let spec = ComputeSpec {
            inputs: vec![input("a.txt"), input("b.txt")],
            first_index: 10,
            ..sunwork_protocol::testing::spec()
        };
        let env = leaf_env(Address::repeat_byte(1), &spec, 16, 3);
        let get = |name: &str| env.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
        assert_eq!(get("IEXEC_BOT_TASK_INDEX"), Some("13"));
        assert_eq!(get("IEXEC_BOT_FIRST_INDEX"), Some("10"));
        assert_eq!(get("IEXEC_BOT_SIZE"), Some("16"));
        assert_eq!(get("IEXEC_INPUT_FILE_NAME_2"), Some("b.txt"));
        assert_eq!(get("IEXEC_INPUT_FILES_NUMBER"), Some("2"));
        assert_eq!(get("IEXEC_TASK_ID").map(str::len), Some(66));
        for (name, value) in &env {
            if let Some(rest) = name.strip_prefix("IEXEC_") {
                assert_eq!(get(&format!("SUNWORK_{rest}")), Some(value.as_str()), "{name}");
            }
        }
    }
}
