//! The job file: what `sunwork run` takes as flags, as a file that can be kept, shared and checked by an editor.
//!
//! YAML (so JSON, too), version 1. The types here are the only source: reading, writing and the published schema
//! (`docs/schema/job.v1.json`) all come from them. An unknown key is an error that names the nearest right one: a typo must
//! not buy something else than was meant.
//!
//! ```
//! use sunwork_client::{Unit, jobfile::JobFile};
//!
//! let digest = "ab".repeat(32);
//! let file = JobFile::parse(&format!("version: 1\nimage: sha256:{digest}\nplatform: linux/amd64\nleaves: 16\n"), "job.yaml")?;
//! let job = file.complete().builder(&Unit::sun())?.build()?;
//! assert_eq!((job.leaves, job.reward_max), (16, 1_000_000_000));
//! let typo = JobFile::parse("version: 1\nleavs: 16\n", "job.yaml").unwrap_err();
//! assert!(typo.to_string().contains("did you mean \"leaves\"?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod build;
mod callback;
mod error;
mod input;
mod merge;
mod read;
mod types;
mod values;

pub use callback::{CallbackEntry, DEFAULT_CALLBACK_GAS};
pub use error::JobFileError;
pub use input::InputEntry;
pub use types::{JobFile, ResourcesEntry, VERSION, WindowsEntry};
pub use values::{Account, Amount, Cores, Reward, Seconds, Size, Word};

/// The JSON Schema of job files, as text. The same as `docs/schema/job.v1.json`.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(JobFile).to_value()).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_schema_is_the_one_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/job.v1.json");
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(published == schema(), "renew it with: sunwork run --schema > docs/schema/job.v1.json");
    }
}
