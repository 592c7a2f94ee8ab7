//! From a job to what goes on chain: every file hashed, the specification and the terms complete. Nothing is sent yet.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use sunwork_protocol::terms::{ComputeSpec, ComputeTerms, Input, MAX_SPEC_BYTES, SpecError};
use thiserror::Error;

use crate::archive::{ArchiveError, platform_of};
use crate::class::{Classified, ErrorClass};
use crate::image_ref::ImageSource;
use crate::job::Job;

/// A file that must be with an oracle before workers can fetch it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobFile {
    /// What it is, for people: "image" or "input NAME".
    pub role: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its name in the blob store.
    pub sha256: B256,
    /// Length.
    pub size_bytes: u64,
}

/// A job ready to be priced, uploaded and bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done.
    pub spec: ComputeSpec,
    /// What is offered.
    pub terms: ComputeTerms,
    /// Files to upload.
    pub blobs: Vec<BlobFile>,
    /// An image that an oracle must hold already.
    pub image_blob: Option<B256>,
}

/// A job that cannot be planned.
#[derive(Debug, Error)]
pub enum PlanError {
    /// A file cannot be read.
    #[error("cannot read {role} {path:?}: {source}")]
    Unreadable {
        /// What it is.
        role: String,
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The image archive.
    #[error("{path:?}: {source}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        source: ArchiveError,
    },
    /// The image is for another platform than the client said.
    #[error("the image is for {found}, but the job says {expected}")]
    Platform {
        /// Of the archive.
        found: String,
        /// Of the job.
        expected: String,
    },
    /// No pool of workers for it.
    #[error("no class of workers runs {platform} images; this deployment has: {classes}")]
    NoClass {
        /// The platform.
        platform: String,
        /// What there is.
        classes: String,
    },
    /// Names, counts, sizes.
    #[error("the job cannot be specified: {0}")]
    Spec(#[from] SpecError),
    /// Too much for the purchase event.
    #[error("the specification takes {found} bytes, at most {max} fit; use fewer or shorter arguments and inputs")]
    SpecTooLong {
        /// Bytes.
        found: usize,
        /// Most that fit.
        max: usize,
    },
}

impl Classified for PlanError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Stop
    }
}

impl Plan {
    /// Reads and hashes all files of `job`. Blocking: call it from a blocking task where that matters.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn make(job: &Job, classes: &[String]) -> Result<Self, PlanError> {
        let mut blobs = Vec::new();
        let mut image_blob = None;
        let mut image_name = String::new();
        let mut platform = job.platform.clone();
        let image_digest = match &job.image {
            ImageSource::Archive(path) => {
                let found = platform_of(|| Ok(Box::new(BufReader::new(File::open(path)?)) as Box<dyn Read>))
                    .map_err(|source| PlanError::Archive { path: path.clone(), source })?;
                if let Some(expected) = platform.as_ref().filter(|p| **p != found) {
                    return Err(PlanError::Platform { found, expected: expected.clone() });
                }
                platform = Some(found);
                let blob = blob_file("image".into(), path)?;
                let digest = blob.sha256;
                blobs.push(blob);
                digest
            }
            ImageSource::Blob(digest) => {
                image_blob = Some(*digest);
                *digest
            }
            ImageSource::Registry { name, digest } => {
                image_name.clone_from(name);
                *digest
            }
        };
        let platform = platform.expect("JobBuilder demands a platform where no archive tells it");
        let class_id = class_for(&platform, classes)?;
        let mut inputs = Vec::with_capacity(job.inputs.len());
        for input in &job.inputs {
            let blob = blob_file(format!("input {}", input.name), &input.path)?;
            inputs.push(Input { name: input.name.clone(), sha256: blob.sha256, size_bytes: blob.size_bytes });
            blobs.push(blob);
        }
        let spec = ComputeSpec {
            image_digest,
            image_name,
            platform,
            args: job.args.clone(),
            inputs,
            first_index: job.first_index,
            milli_cpu: job.resources.milli_cpu,
            memory_mib: job.resources.memory_mib,
            disk_mib: job.resources.disk_mib,
            max_pids: job.resources.max_pids,
            leaf_secs: job.resources.leaf_secs,
            output_mib: job.resources.output_mib,
            key_commitment: B256::ZERO,
            key_nonce: B256::ZERO,
            client_key: B256::ZERO,
        };
        spec.check()?;
        let found = spec.encode().len();
        if found > MAX_SPEC_BYTES {
            return Err(PlanError::SpecTooLong { found, max: MAX_SPEC_BYTES });
        }
        let terms = job.terms(class_id);
        terms.pack()?;
        Ok(Self { spec, terms, blobs, image_blob })
    }

    /// Bytes to upload at most (oracles may have some already).
    pub fn upload_bytes(&self) -> u64 {
        self.blobs.iter().map(|b| b.size_bytes).sum()
    }
}

/// Classes are named "platform+runtime"; a variant of the platform does not matter.
fn class_for(platform: &str, classes: &[String]) -> Result<u16, PlanError> {
    let base: Vec<&str> = platform.splitn(3, '/').take(2).collect();
    let base = base.join("/");
    classes
        .iter()
        .position(|class| class.split('+').next() == Some(&base))
        .and_then(|id| u16::try_from(id).ok())
        .ok_or_else(|| PlanError::NoClass { platform: platform.to_owned(), classes: classes.join(", ") })
}

fn blob_file(role: String, path: &Path) -> Result<BlobFile, PlanError> {
    let hash = || -> std::io::Result<(B256, u64)> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let size = std::io::copy(&mut file, &mut hasher)?;
        Ok((B256::from_slice(&hasher.finalize()), size))
    };
    match hash() {
        Ok((sha256, size_bytes)) => Ok(BlobFile { role, path: path.to_owned(), sha256, size_bytes }),
        Err(source) => Err(PlanError::Unreadable { role, path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobBuilder;

    fn classes() -> Vec<String> {
        vec!["linux/amd64+docker".into(), "linux/arm64+docker".into()]
    }

    fn archive(dir: &Path) -> PathBuf {
        let path = dir.join("app.tar");
        let mut builder = tar::Builder::new(File::create(&path).unwrap());
        for (name, body) in [
            ("c.json", r#"{"os":"linux","architecture":"arm64"}"#),
            ("manifest.json", r#"[{"Config":"c.json","Layers":[]}]"#),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(body.len() as u64);
            header.set_cksum();
            builder.append_data(&mut header, name, body.as_bytes()).unwrap();
        }
        builder.finish().unwrap();
        path
    }

    #[test]
    fn a_plan_names_everything_by_hash() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("scene.txt");
        std::fs::write(&input, "sun").unwrap();
        let image = archive(dir.path());
        let job =
            JobBuilder::new(image.to_str().unwrap()).args(["--width", "64"]).input(&input).leaves(4).build().unwrap();
        let plan = Plan::make(&job, &classes()).unwrap();
        assert_eq!(plan.terms.class_id, 1);
        assert_eq!(plan.spec.platform, "linux/arm64");
        assert_eq!(plan.spec.image_digest, B256::from_slice(&Sha256::digest(std::fs::read(&image).unwrap())));
        assert_eq!(plan.spec.inputs[0].sha256, B256::from_slice(&Sha256::digest("sun")));
        assert_eq!((plan.spec.inputs[0].name.as_str(), plan.spec.inputs[0].size_bytes), ("scene.txt", 3));
        assert_eq!(plan.blobs.len(), 2);
        assert_eq!(ComputeSpec::decode(&plan.spec.encode()).as_ref(), Ok(&plan.spec));
    }

    #[test]
    fn wrong_platforms_and_unknown_classes_are_said_before_paying() {
        let dir = tempfile::tempdir().unwrap();
        let image = archive(dir.path());
        let job = JobBuilder::new(image.to_str().unwrap()).platform("linux/amd64").build().unwrap();
        let error = Plan::make(&job, &classes()).unwrap_err().to_string();
        assert_eq!(error, "the image is for linux/arm64, but the job says linux/amd64");
        let job = JobBuilder::new("ab".repeat(32)).platform("linux/riscv64").build().unwrap();
        let error = Plan::make(&job, &classes()).unwrap_err().to_string();
        assert!(error.contains("linux/riscv64") && error.contains("linux/arm64+docker"), "{error}");
        let job = JobBuilder::new(image.to_str().unwrap()).args(["x".repeat(16_000), "y".repeat(380)]).build().unwrap();
        assert!(matches!(Plan::make(&job, &classes()), Err(PlanError::SpecTooLong { .. })));
    }
}
