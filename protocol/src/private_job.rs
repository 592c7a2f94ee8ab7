//! What confidential work hides of its specification: the app's arguments and the names of its input files.
//!
//! ```text
//! input 0 of the specification is named "job": the encrypted JSON {"version":1,"args":[…],"inputs":[…]}, padded with spaces
//! inputs 1.. are named by their number; their true names are in the job, in order
//! ```
//! Still public: the image, the limits, the number of leaves, and the length of each blob.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::terms::{ComputeSpec, check_input_name};

/// Name of input 0 of confidential work.
pub const JOB_INPUT_NAME: &str = "job";
/// The encoding is padded to a multiple of this, so that its length tells little.
const PADDING_BYTES: usize = 1024;
/// Longest encoding.
pub const MAX_JOB_BYTES: usize = 256 << 10;
/// Version of the encoding.
const VERSION: u32 = 1;

/// The hidden part of a specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateJob {
    version: u32,
    /// The app's arguments.
    pub args: Vec<String>,
    /// Names of inputs 1, 2, …
    pub inputs: Vec<String>,
}

/// A job that is not what it should be.
#[derive(Debug, Error)]
pub enum PrivateJobError {
    /// Too long.
    #[error("the private job has {found} bytes, expected at most {MAX_JOB_BYTES}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// Not JSON of this shape. Where, and not what: errors are logged, and the job is private.
    #[error("the private job is no JSON of the expected shape (at byte {column} of line {line})")]
    Json {
        /// Line of the first thing that is wrong, from 1.
        line: usize,
        /// Byte in that line.
        column: usize,
    },
    /// Another version.
    #[error("the private job has version {found}, this build reads {VERSION}")]
    Version {
        /// Version found.
        found: u32,
    },
    /// It does not fit the specification.
    #[error("the private job names {found} inputs, the specification has {expected} besides the job itself")]
    Inputs {
        /// Names in the job.
        found: usize,
        /// Inputs of the specification.
        expected: usize,
    },
    /// The specification of confidential work has no job.
    #[error("confidential work must have an input named \"job\" first and no arguments in clear")]
    NoJob,
    /// A name or an argument that cannot be; which one is private.
    #[error("the private job holds an input name or an argument that no specification may have")]
    NotASpec,
}

impl PrivateJob {
    /// A job of these arguments and input names.
    pub const fn new(args: Vec<String>, inputs: Vec<String>) -> Self {
        Self { version: VERSION, args, inputs }
    }

    /// Its padded encoding, to be encrypted as input 0.
    ///
    /// # Errors
    /// When it is too long.
    pub fn encode(&self) -> Result<Vec<u8>, PrivateJobError> {
        let mut bytes = serde_json::to_vec(self).map_err(|error| not_json(&error))?;
        bytes.resize(bytes.len().next_multiple_of(PADDING_BYTES), b' ');
        if bytes.len() > MAX_JOB_BYTES {
            return Err(PrivateJobError::TooLong { found: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads an encoding. It comes from a stranger.
    ///
    /// # Errors
    /// When it is not one.
    pub fn decode(bytes: &[u8]) -> Result<Self, PrivateJobError> {
        if bytes.len() > MAX_JOB_BYTES {
            return Err(PrivateJobError::TooLong { found: bytes.len() });
        }
        let job: Self = serde_json::from_slice(bytes).map_err(|error| not_json(&error))?;
        if job.version != VERSION {
            return Err(PrivateJobError::Version { found: job.version });
        }
        Ok(job)
    }

    /// The specification as the app sees it: with its arguments, without the job, inputs under their names (hashes and sizes
    /// stay those of the ciphertext).
    ///
    /// # Errors
    /// When job and specification do not belong together.
    pub fn reveal(&self, spec: &ComputeSpec) -> Result<ComputeSpec, PrivateJobError> {
        let inputs = match spec.inputs.split_first() {
            Some((job, inputs)) if job.name == JOB_INPUT_NAME && spec.args.is_empty() => inputs,
            _ => return Err(PrivateJobError::NoJob),
        };
        if inputs.len() != self.inputs.len() {
            return Err(PrivateJobError::Inputs { found: self.inputs.len(), expected: inputs.len() });
        }
        let mut clear = ComputeSpec { args: self.args.clone(), inputs: inputs.to_vec(), ..spec.clone() };
        for (input, name) in clear.inputs.iter_mut().zip(&self.inputs) {
            check_input_name(name).map_err(|_| PrivateJobError::NotASpec)?;
            input.name.clone_from(name);
        }
        clear.check().map_err(|_| PrivateJobError::NotASpec)?;
        Ok(clear)
    }
}

fn not_json(error: &serde_json::Error) -> PrivateJobError {
    PrivateJobError::Json { line: error.line(), column: error.column() }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;
    use crate::terms::Input;

    fn spec(names: &[&str]) -> ComputeSpec {
        let input = |name: &&str| Input { name: (*name).into(), sha256: B256::ZERO, size_bytes: 1 };
        ComputeSpec {
            inputs: names.iter().map(input).collect(),
            key_commitment: B256::repeat_byte(1),
            ..crate::testing::spec()
        }
    }

    #[test]
    fn arguments_and_names_come_back_and_lengths_tell_little() {
        let job = PrivateJob::new(vec!["--secret".into()], vec!["patients.csv".into()]);
        let bytes = job.encode().unwrap();
        assert_eq!(bytes.len(), 1024);
        assert_eq!(PrivateJob::decode(&bytes).unwrap(), job);
        let clear = job.reveal(&spec(&["job", "1"])).unwrap();
        assert_eq!((clear.args, clear.inputs.len(), clear.inputs[0].name.as_str()), (job.args, 1, "patients.csv"));
    }

    #[test]
    fn jobs_that_do_not_fit_are_refused() {
        let job = |names: &[&str]| PrivateJob::new(vec![], names.iter().map(|n| (*n).into()).collect());
        assert!(matches!(job(&[]).reveal(&spec(&["1"])), Err(PrivateJobError::NoJob)));
        assert!(matches!(job(&[]).reveal(&spec(&[])), Err(PrivateJobError::NoJob)));
        assert!(matches!(
            job(&["a", "b"]).reveal(&spec(&["job", "1"])),
            Err(PrivateJobError::Inputs { found: 2, expected: 1 })
        ));
        assert!(matches!(job(&["../x"]).reveal(&spec(&["job", "1"])), Err(PrivateJobError::NotASpec)));
        assert!(matches!(job(&["a", "a"]).reveal(&spec(&["job", "1", "2"])), Err(PrivateJobError::NotASpec)));
        assert!(PrivateJob::decode(b"{}").is_err());
        assert!(PrivateJob::decode(br#"{"version":2,"args":[],"inputs":[]}"#).is_err());
        assert!(matches!(PrivateJob::decode(&vec![b' '; MAX_JOB_BYTES + 1]), Err(PrivateJobError::TooLong { .. })));
    }

    #[test]
    fn what_is_private_does_not_get_into_logs_by_an_error() {
        let odd_json = [
            br#"{"version":"patient Ra","args":[],"inputs":[]}"#.as_slice(),
            br#"{"version":1,"patient Ra":[],"inputs":[]}"#,
            br#"{"version":1,"args":"patient Ra","inputs":[]}"#,
        ];
        let unread = odd_json.into_iter().map(|json| PrivateJob::decode(json).unwrap_err());
        let unfit = ["../patient Ra", "patient Ra"].map(|name| {
            let job = PrivateJob::new(vec![], vec![name.into(), "patient Ra".into()]);
            job.reveal(&spec(&["job", "1", "2"])).unwrap_err()
        });
        for error in unread.chain(unfit) {
            assert!(!format!("{error} {error:?}").contains("patient"), "{error:?}");
        }
    }
}
