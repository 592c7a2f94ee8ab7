//! From a job to what goes on chain: every file hashed, the specification and the terms complete. Nothing is sent yet.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use sunwork_protocol::terms::{ComputeSpec, ComputeTerms, Input, MAX_SPEC_BYTES, SpecError};
use thiserror::Error;

use crate::archive::{Archive, ArchiveError, base_platform};
use crate::class::{Classified, ErrorClass};
use crate::image_ref::ImageSource;
use crate::inputs::{self, Gathered, InputError, MAX_INPUT_BYTES, Scratch};
use crate::job::Job;

const CHUNK_BYTES: usize = 128 << 10;

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
    /// The job is to be confidential. The terms say so once the plan is sealed ([`crate::confidential`]).
    pub confidential: bool,
    /// Holds those of the files that are none of the client's own.
    pub scratch: Scratch,
    /// Of a sealed plan: the intent that it had in the clear ([`crate::Client::intent_of`]); no two sealed plans are alike.
    pub sealed_intent: Option<B256>,
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
    /// An input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The image archive.
    #[error("{path:?}: {source}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        source: ArchiveError,
    },
    /// The image is for another platform than the client said.
    #[error("the image is for {found}, but the job says {expected}; drop the platform, or give the image for it")]
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
        match self {
            Self::Input(error) => error.class(),
            _ => ErrorClass::Stop,
        }
    }
}

impl Plan {
    /// Packs the folders among the inputs of `job`, and reads and hashes all files. Blocking: call it from a blocking task
    /// where that matters. Inputs behind URLs need [`Client::plan`](crate::Client::plan).
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn make(job: &Job, classes: &[String]) -> Result<Self, PlanError> {
        Self::of_gathered(job, &inputs::gather_local(&job.inputs)?, classes)
    }

    /// The same for inputs that are files already. All is in the clear: encryption is a step that puts other files and names
    /// in the place of these.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn of_gathered(job: &Job, gathered: &Gathered, classes: &[String]) -> Result<Self, PlanError> {
        let mut blobs = Vec::new();
        let mut image_blob = None;
        let mut image_name = String::new();
        let mut platform = job.platform.clone();
        let image_digest = match &job.image {
            ImageSource::Archive(path) => {
                let archive = |source| PlanError::Archive { path: path.clone(), source };
                let found = Archive::read(path).map_err(archive)?;
                let found = found.as_workers_need_it().map_err(archive)?.platform.clone();
                if let Some(expected) = platform.as_ref().filter(|p| base_platform(p) != found) {
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
        let mut named = Vec::with_capacity(job.inputs.len());
        for (file, input) in gathered.files.iter().zip(&job.inputs) {
            let blob = blob_file(format!("input {}", file.name), &file.path)?;
            if let Some(expected) = input.sha256.filter(|expected| *expected != blob.sha256) {
                let input = input.source.to_string();
                return Err(InputError::HashMismatch { input, found: blob.sha256, expected }.into());
            }
            if blob.size_bytes > MAX_INPUT_BYTES {
                return Err(InputError::TooLarge { input: input.source.to_string(), max: MAX_INPUT_BYTES }.into());
            }
            named.push(Input { name: file.name.clone(), sha256: blob.sha256, size_bytes: blob.size_bytes });
            blobs.push(blob);
        }
        let spec = ComputeSpec {
            image_digest,
            image_name,
            platform,
            args: job.args.clone(),
            inputs: named,
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
            hosts: job.hosts.clone(),
            network_mib: if job.hosts.is_empty() { 0 } else { job.resources.network_mib },
        };
        spec.check()?;
        let found = spec.encode().len();
        if found > MAX_SPEC_BYTES {
            return Err(PlanError::SpecTooLong { found, max: MAX_SPEC_BYTES });
        }
        let terms = job.terms(class_id);
        terms.pack()?;
        Ok(Self {
            spec,
            terms,
            blobs,
            image_blob,
            confidential: job.confidential,
            scratch: gathered.scratch.clone(),
            sealed_intent: None,
        })
    }

    /// Bytes to upload at most (oracles may have some already).
    pub fn upload_bytes(&self) -> u64 {
        self.blobs.iter().map(|b| b.size_bytes).sum()
    }
}

/// Classes are named "platform+runtime"; a variant of the platform does not matter.
fn class_for(platform: &str, classes: &[String]) -> Result<u16, PlanError> {
    let base = base_platform(platform);
    classes
        .iter()
        .position(|class| class.split('+').next() == Some(base.as_str()))
        .and_then(|id| u16::try_from(id).ok())
        .ok_or_else(|| PlanError::NoClass { platform: platform.to_owned(), classes: classes.join(", ") })
}

fn blob_file(role: String, path: &Path) -> Result<BlobFile, PlanError> {
    let hash = || -> std::io::Result<(B256, u64)> {
        let mut file = File::open(path)?;
        let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((B256::from_slice(&hasher.finalize()), size));
            }
            hasher.update(&buffer[..read]);
            size += read as u64;
        }
    };
    match hash() {
        Ok((sha256, size_bytes)) => Ok(BlobFile { role, path: path.to_owned(), sha256, size_bytes }),
        Err(source) => Err(PlanError::Unreadable { role, path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::JobInput;
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

    fn make(job: &Job) -> Result<Plan, PlanError> {
        Plan::make(job, &classes())
    }

    #[test]
    fn a_plan_names_everything_by_hash() {
        let dir = tempfile::tempdir().unwrap();
        let input = dir.path().join("scene.txt");
        std::fs::write(&input, "sun").unwrap();
        let image = archive(dir.path());
        let job =
            JobBuilder::new(image.to_str().unwrap()).args(["--width", "64"]).input(&input).leaves(4).build().unwrap();
        let plan = make(&job).unwrap();
        assert_eq!(plan.terms.class_id, 1);
        assert_eq!(plan.spec.platform, "linux/arm64");
        assert_eq!(plan.spec.image_digest, B256::from_slice(&Sha256::digest(std::fs::read(&image).unwrap())));
        assert_eq!(plan.spec.inputs[0].sha256, B256::from_slice(&Sha256::digest("sun")));
        assert_eq!((plan.spec.inputs[0].name.as_str(), plan.spec.inputs[0].size_bytes), ("scene.txt", 3));
        assert_eq!(plan.blobs.len(), 2);
        assert_eq!(ComputeSpec::decode(&plan.spec.encode()).as_ref(), Ok(&plan.spec));
    }

    #[test]
    fn a_module_is_bought_with_the_class_of_modules() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.wasm");
        std::fs::write(&path, b"\0asm\x01\0\0\0").unwrap();
        let job =
            JobBuilder::new(path.display().to_string()).reward(5, 10).verifier_fee(1).public(true).build().unwrap();
        let classes = [classes(), vec!["wasi/wasm+wasmtime".into()]].concat();
        let plan = Plan::make(&job, &classes).unwrap();
        assert_eq!((plan.terms.class_id, plan.spec.platform.as_str()), (2, "wasi/wasm"));
        assert!(plan.spec.image_name.is_empty());
        assert_eq!(plan.blobs[0].sha256, plan.spec.image_digest);
    }

    #[test]
    fn wrong_platforms_and_unknown_classes_are_said_before_paying() {
        let dir = tempfile::tempdir().unwrap();
        let image = archive(dir.path());
        let job = JobBuilder::new(image.to_str().unwrap()).platform("linux/amd64").build().unwrap();
        let error = make(&job).unwrap_err().to_string();
        assert_eq!(
            error,
            "the image is for linux/arm64, but the job says linux/amd64; drop the platform, or give the image for it"
        );
        let job = JobBuilder::new("ab".repeat(32)).platform("linux/riscv64").build().unwrap();
        let error = make(&job).unwrap_err().to_string();
        assert!(error.contains("linux/riscv64") && error.contains("linux/arm64+docker"), "{error}");
        let job = JobBuilder::new(image.to_str().unwrap()).args(["x".repeat(16_000), "y".repeat(380)]).build().unwrap();
        assert!(matches!(make(&job), Err(PlanError::SpecTooLong { .. })));
    }

    #[test]
    fn an_input_with_a_hash_must_have_it_and_one_that_is_gone_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("scene.txt");
        std::fs::write(&path, "sun").unwrap();
        let input = JobInput::parse(path.to_str().unwrap()).unwrap();
        let right = hex::encode(Sha256::digest("sun"));
        let job = |hash: &str| {
            let input = input.clone().with_sha256(hash).unwrap();
            JobBuilder::new("ab".repeat(32)).platform("linux/amd64").add_input(input).build().unwrap()
        };
        assert_eq!(make(&job(&right)).unwrap().spec.inputs[0].name, "scene.txt");
        let changed = make(&job(&"cd".repeat(32))).unwrap_err().to_string();
        assert!(changed.contains("scene.txt") && changed.contains(&format!("found 0x{right}")), "{changed}");
        let job = job(&right);
        std::fs::remove_file(&path).unwrap();
        let gone = make(&job).unwrap_err().to_string();
        assert!(gone.contains("scene.txt") && gone.contains("has vanished"), "{gone}");
    }
}
