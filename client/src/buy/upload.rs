//! What workers need, at the oracles before anything is paid.

use std::path::PathBuf;

use alloy::primitives::B256;
use sunwork_edge::blobs::BlobError;
use thiserror::Error;

use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::confidential::ConfidentialError;
use crate::job::Job;
use crate::plan::{Plan, PlanError};

/// Confidential work was to leave this machine before its inputs were encrypted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error(
    "the job is confidential, but its plan is not sealed: nothing was sent; call `Client::seal` first, or make the job public"
)]
pub struct NotSealed;

impl NotSealed {
    pub(crate) fn check(plan: &Plan) -> Result<(), Self> {
        if plan.confidential && !plan.terms.is_confidential() { Err(Self) } else { Ok(()) }
    }
}

/// Files that did not get to an oracle.
#[derive(Debug, Error)]
pub enum UploadError {
    /// A file.
    #[error("uploading {role} ({path:?}): {source}")]
    Blob {
        /// What it is.
        role: String,
        /// Where it is.
        path: PathBuf,
        /// Why not.
        source: BlobError,
    },
    /// A file that is gone since it was hashed.
    #[error("{role} ({path:?}) has vanished since it was read; put it back and start again, nothing was paid")]
    Vanished {
        /// What it is.
        role: String,
        /// Where it was.
        path: PathBuf,
    },
    /// A file that changed after it was hashed.
    #[error("{role} ({path:?}) changed while it was read: SHA-256 found {found}, expected {expected}; start again")]
    Changed {
        /// What it is.
        role: String,
        /// Where it is.
        path: PathBuf,
        /// Its hash now.
        found: B256,
        /// Its hash in the plan.
        expected: B256,
    },
    /// Confidential work that is not encrypted yet.
    #[error(transparent)]
    NotSealed(#[from] NotSealed),
    /// An image that nobody has.
    #[error("no oracle has the image {digest}; upload it with `sunwork image push`, or give the archive file instead")]
    ImageUnknown {
        /// The blob.
        digest: B256,
    },
    /// Whether an oracle has it is unknown.
    #[error("looking for the image {digest}: {source}")]
    Looking {
        /// The blob.
        digest: B256,
        /// Why not.
        source: BlobError,
    },
}

impl Classified for UploadError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Blob { source, .. } | Self::Looking { source, .. } if source.is_temporary() => ErrorClass::Retry,
            Self::Changed { .. } | Self::Vanished { .. } => ErrorClass::Resync,
            Self::Blob { .. } | Self::Looking { .. } | Self::ImageUnknown { .. } | Self::NotSealed(_) => {
                ErrorClass::Stop
            }
        }
    }
}

/// A job that could not be made ready.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Files, names, limits.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Encryption.
    #[error(transparent)]
    Seal(#[from] ConfidentialError),
    /// Oracles.
    #[error(transparent)]
    Upload(#[from] UploadError),
}

impl Classified for PrepareError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Plan(error) => error.class(),
            Self::Seal(error) => error.class(),
            Self::Upload(error) => error.class(),
        }
    }
}

impl Client {
    /// Fetches and packs the job's inputs, and hashes all files; nothing is sent.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub async fn plan(&self, job: &Job) -> Result<Plan, PlanError> {
        let gathered = crate::inputs::gather(&job.inputs).await?;
        let (job, classes) = (job.clone(), self.deployment().classes.clone());
        // Hashing gigabytes must not hold up the runtime's threads.
        let making = tokio::task::spawn_blocking(move || Plan::of_gathered(&job, &gathered, &classes));
        making.await.expect("hashing files does not panic")
    }

    /// Uploads what no oracle has yet. Harmless to repeat.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub async fn upload(&self, plan: &Plan) -> Result<(), UploadError> {
        self.upload_watched(plan, |_| {}).await
    }

    /// As [`Client::upload`], and tells `sent` the bytes of each piece that is done, sent or there already.
    ///
    /// # Errors
    /// See [`UploadError`].
    pub async fn upload_watched(
        &self,
        plan: &Plan,
        sent: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<(), UploadError> {
        NotSealed::check(plan)?;
        if let Some(digest) = plan.image_blob {
            let known = self.blobs().has(digest).await;
            if !known.map_err(|source| UploadError::Looking { digest, source })? {
                return Err(UploadError::ImageUnknown { digest });
            }
        }
        for blob in &plan.blobs {
            // An oracle that cannot say whether it has the blob gets it.
            if self.blobs().has(blob.sha256).await.unwrap_or(false) {
                sent(blob.size_bytes);
                continue;
            }
            let (role, path) = (blob.role.clone(), blob.path.clone());
            let found =
                self.blobs().put_file_watched(&blob.path, sent.clone()).await.map_err(|source| match source {
                    BlobError::Io { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                        UploadError::Vanished { role: role.clone(), path: path.clone() }
                    }
                    source => UploadError::Blob { role: role.clone(), path: path.clone(), source },
                })?;
            if found != blob.sha256 {
                return Err(UploadError::Changed { role, path, found, expected: blob.sha256 });
            }
        }
        Ok(())
    }

    /// [`Client::plan`], [`Client::seal`] and [`Client::upload`].
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub async fn prepare(&self, job: &Job) -> Result<Plan, PrepareError> {
        let mut plan = self.plan(job).await?;
        self.seal(&mut plan).await?;
        self.upload(&plan).await?;
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobBuilder;

    #[test]
    fn confidential_work_does_not_leave_before_it_is_encrypted() {
        let job = JobBuilder::new("ab".repeat(32)).platform("linux/amd64");
        let plan = |job: JobBuilder| Plan::make(&job.build().unwrap(), &["linux/amd64+docker".into()]).unwrap();
        let mut secret = plan(job.clone());
        assert_eq!(NotSealed::check(&secret), Err(NotSealed));
        let dir = tempfile::tempdir().unwrap();
        let client = sunwork_protocol::session::ClientSecret::from_bytes([1; 32]);
        crate::confidential::seal_plan(&mut secret, &client, B256::repeat_byte(2), dir.path()).unwrap();
        assert_eq!(NotSealed::check(&secret), Ok(()));
        assert_eq!(NotSealed::check(&plan(job.public(true))), Ok(()));
    }
}
