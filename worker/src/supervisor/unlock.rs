//! From what was fetched to what the app sees: the private job and the inputs, decrypted once the session key is here.
//! The ciphertext stays beside it, so that a restarted worker can do it again: what is in clear is never relied on.
use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
    sync::Arc,
};

use sunwork_protocol::{
    private_job::{PrivateJob, PrivateJobError},
    segments::SegmentError,
    session::SessionKey,
    terms::ComputeSpec,
};

use super::Supervisor;
use crate::{folder::AgreementFolder, machine::DeclineReason, step::StepError};

/// What leaves are run with.
#[derive(Debug)]
pub(super) struct Clear {
    /// The session key; everybody's for public work.
    pub(super) key: SessionKey,
    /// The specification as the app sees it.
    pub(super) spec: ComputeSpec,
}

/// Why inputs cannot be decrypted.
#[derive(Debug, thiserror::Error)]
enum UnlockError {
    /// The client's doing.
    #[error("input {index} of the specification: {reason}")]
    Invalid { index: usize, reason: String },
    /// Ours.
    #[error("decrypting input {index}: {source}")]
    Io { index: usize, source: std::io::Error },
}

impl Supervisor {
    /// Decrypts private job and inputs, once per process. `None` when they cannot be decrypted; the journal says so then.
    pub(super) async fn unlock(&self) -> Result<Option<Arc<Clear>>, StepError> {
        if let Some(clear) = self.clear.get() {
            return Ok(Some(clear.clone()));
        }
        let known = self.known();
        let key = self.session_key(&known)?;
        let spec = if self.terms.is_confidential() {
            // They were here before the key came; what a disk or a person lost since is fetched again.
            if let Err(refusal) = self.fetch_inputs().await? {
                self.impossible(DeclineReason::InputInvalid, refusal)?;
                return Ok(None);
            }
            let (folder, key, spec) = (self.ctx.folder.agreement(self.address), key.clone(), self.spec.clone());
            let opened = tokio::task::spawn_blocking(move || open_inputs(&folder, &key, &spec));
            match opened.await.map_err(StepError::retry)? {
                Ok(clear) => clear,
                Err(error @ UnlockError::Invalid { .. }) => {
                    self.impossible(DeclineReason::InputInvalid, error)?;
                    return Ok(None);
                }
                Err(error) => return Err(StepError::Stuck(error.to_string())),
            }
        } else {
            self.spec.clone()
        };
        Ok(Some(self.clear.get_or_init(|| Arc::new(Clear { key, spec })).clone()))
    }
}

/// Reads the private job, then puts every input under its true name into the folder that the app sees.
fn open_inputs(folder: &AgreementFolder, key: &SessionKey, spec: &ComputeSpec) -> Result<ComputeSpec, UnlockError> {
    let invalid =
        |index: usize, error: &dyn std::fmt::Display| UnlockError::Invalid { index, reason: error.to_string() };
    let mut job = Vec::new();
    // Its length was checked before anything was fetched.
    open_input(key, 0, &folder.sealed(0), &mut job)?;
    let clear = PrivateJob::decode(&job)
        .and_then(|job| job.reveal(spec))
        .map_err(|error: PrivateJobError| invalid(0, &error))?;
    for (index, input) in (1..).zip(&clear.inputs) {
        let io = |source| UnlockError::Io { index, source };
        let draft: PathBuf = folder.incoming(index);
        let file = BufWriter::new(File::create(&draft).map_err(io)?);
        open_input(key, index, &folder.sealed(index), file)?;
        // Whole or not at all, as far as the app can see.
        std::fs::rename(&draft, folder.inputs().join(&input.name)).map_err(io)?;
    }
    Ok(clear)
}

fn open_input(key: &SessionKey, index: usize, sealed: &Path, mut out: impl std::io::Write) -> Result<(), UnlockError> {
    let io = |source| UnlockError::Io { index, source };
    let file = File::open(sealed).map_err(io)?;
    match key.open_input(index as u32, file, &mut out) {
        Ok(_) => out.flush().map_err(io),
        Err(SegmentError::Io(source)) => Err(io(source)),
        Err(error) => Err(UnlockError::Invalid { index, reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests;
