//! Fetching a result, proving it against the chain, and unpacking it. Folders `leaf-NNNN` appear only when all is proven.

use std::fs;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sunwork_edge::blobs::BlobError;
use sunwork_protocol::leaf::Outcome;
use sunwork_protocol::session::SessionKey;
use sunwork_protocol::status::{Ending, Status};
use thiserror::Error;

use crate::agreements::FindError;
use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::confidential::ConfidentialError;
use crate::events::Progress;
use crate::verify::{ChainFacts, VerifyError, max_blob_bytes};

mod folder;

pub(crate) use folder::read_manifest;
use folder::{Folder, remove};

/// One leaf of a proven result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeafResult {
    /// Which leaf.
    pub leaf: u32,
    /// How the app ended.
    pub outcome: Outcome,
    /// Its exit status, where that is what made it fail.
    pub exit_status: i32,
    /// The digest, as it stands in the Merkle tree.
    pub digest: B256,
    /// Files unpacked.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Where they are; `None` for a failed leaf, and for one that was not asked for.
    pub path: Option<PathBuf>,
}

/// A proven result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// The agreement.
    pub agreement: Address,
    /// How the agreement ended; `None` (the ending) while verifiers still open.
    pub ending: Ending,
    /// Merkle root over the leaf digests, as on chain.
    pub root: B256,
    /// SHA-256 of the blob.
    pub blob: B256,
    /// The leaves, in order.
    pub leaves: Vec<LeafResult>,
}

impl Results {
    /// Leaves whose app did not complete.
    pub fn failed(&self) -> impl Iterator<Item = &LeafResult> {
        self.leaves.iter().filter(|leaf| leaf.outcome != Outcome::Completed)
    }
}

/// Which part of a result is wanted; all of it is proven in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Only this leaf.
    pub leaf: Option<u32>,
    /// Only this file of it, by its path in the leaf's folder.
    pub file: Option<PathBuf>,
}

impl Selection {
    fn takes(&self, leaf: u32) -> bool {
        self.leaf.is_none_or(|wanted| wanted == leaf)
    }
}

/// One proven file, outside of any leaf's folder. It is deleted when this is dropped.
#[derive(Debug)]
pub struct ProvenFile {
    /// Where its bytes are.
    pub path: PathBuf,
    /// Of which leaf.
    pub leaf: u32,
    /// Its path in the leaf's folder.
    pub name: PathBuf,
    /// How the agreement ended; `None` (the ending) while verifiers still open.
    pub ending: Ending,
}

impl Drop for ProvenFile {
    fn drop(&mut self) {
        let _ = remove(&self.path);
        // Only a folder that this made is empty; one with anything in it stays.
        if let Some(dir) = self.path.parent() {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// A result that could not be had.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The agreement cannot be found or read.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Too early.
    #[error("agreement {agreement} has no readable result yet ({}); follow it with `sunwork status {agreement}`", status.meaning())]
    NotYet {
        /// The agreement.
        agreement: Address,
        /// Where it stands.
        status: Status,
    },
    /// There will be none.
    #[error("agreement {agreement} has no result: {}", ending.meaning())]
    None {
        /// The agreement.
        agreement: Address,
        /// Why.
        ending: Ending,
    },
    /// No such leaf.
    #[error("agreement {agreement} has {count} leaves, so there is no leaf {leaf}; expected 0 to {}", count.saturating_sub(1))]
    NoSuchLeaf {
        /// The agreement.
        agreement: Address,
        /// What was asked for.
        leaf: u32,
        /// How many there are.
        count: u32,
    },
    /// One file of a bag of several leaves.
    #[error("agreement {agreement} has {count} leaves; say which with --leaf N, 0 to {}", count.saturating_sub(1))]
    WhichLeaf {
        /// The agreement.
        agreement: Address,
        /// How many there are.
        count: u32,
    },
    /// The leaf has no files.
    #[error("leaf {leaf} of agreement {agreement} has no files: its app failed ({outcome}, exit status {exit_status})")]
    LeafFailed {
        /// The agreement.
        agreement: Address,
        /// Which leaf.
        leaf: u32,
        /// How its app ended.
        outcome: Outcome,
        /// Its exit status.
        exit_status: i32,
    },
    /// No such file.
    #[error("leaf {leaf} has no file {file:?}; it has {}", listed(files))]
    NoSuchFile {
        /// Which leaf.
        leaf: u32,
        /// What was asked for.
        file: PathBuf,
        /// What there is.
        files: Vec<PathBuf>,
    },
    /// One file of a leaf of several.
    #[error("leaf {leaf} has {} files; say which with --file PATH: {}", files.len(), listed(files))]
    WhichFile {
        /// Which leaf.
        leaf: u32,
        /// What there is.
        files: Vec<PathBuf>,
    },
    /// The folder holds something else.
    #[error("{path:?} is there already and is not of agreement {agreement}; give another folder with --out")]
    Occupied {
        /// What is in the way.
        path: PathBuf,
        /// The agreement.
        agreement: Address,
    },
    /// The blob.
    #[error("fetching the result of agreement {agreement}: {source}")]
    Blob {
        /// The agreement.
        agreement: Address,
        /// Why not.
        source: BlobError,
    },
    /// The key to read it with.
    #[error(transparent)]
    Key(#[from] ConfidentialError),
    /// The blob is not the result.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The folder.
    #[error("cannot write {path:?}: {source}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// File names for a sentence; a few of many.
fn listed(files: &[PathBuf]) -> String {
    const MOST: usize = 10;
    let names: Vec<String> = files.iter().take(MOST).map(|file| format!("{:?}", file.display().to_string())).collect();
    let more = files.len().saturating_sub(MOST);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    if names.is_empty() { "none".to_owned() } else { format!("{}{rest}", names.join(", ")) }
}

impl Classified for ResultsError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Find(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::NotYet { .. } => ErrorClass::Retry,
            Self::Blob { source, .. } if source.is_temporary() => ErrorClass::Retry,
            Self::NoSuchLeaf { .. }
            | Self::WhichLeaf { .. }
            | Self::LeafFailed { .. }
            | Self::NoSuchFile { .. }
            | Self::WhichFile { .. } => ErrorClass::Stop,
            Self::None { .. } | Self::Occupied { .. } | Self::Blob { .. } | Self::Verify(_) | Self::Io { .. } => {
                ErrorClass::Stop
            }
        }
    }
}

impl Client {
    /// Fetches the result of `agreement` into `dir`: the blob by its hash (a broken download is gone on with), every leaf
    /// decrypted and its digest compared with the chain, files in `dir/leaf-NNNN`. Harmless to repeat.
    ///
    /// # Errors
    /// See [`ResultsError`]; on any, no `leaf-NNNN` is made or changed.
    pub async fn results(&self, agreement: Address, dir: &Path) -> Result<Results, ResultsError> {
        self.results_of(agreement, dir, Selection::default()).await
    }

    /// The same for a part of it: everything is fetched and proven, only what `selection` says is written.
    ///
    /// # Errors
    /// See [`ResultsError`].
    pub async fn results_of(
        &self,
        agreement: Address,
        dir: &Path,
        selection: Selection,
    ) -> Result<Results, ResultsError> {
        let fetched = self.fetch(agreement, dir, &selection, Folder::refuse_others).await?;
        blocking(move || fetched.folder.unpack(&fetched.facts, &fetched.key, fetched.ending, fetched.blob, &selection))
            .await
    }

    /// One proven file, for a pipe. `dir` takes the download while it is under way; nothing stays in it.
    ///
    /// # Errors
    /// See [`ResultsError`]; without a leaf the bag must have one, without a file the leaf.
    pub async fn result_file(
        &self,
        agreement: Address,
        dir: &Path,
        selection: Selection,
    ) -> Result<ProvenFile, ResultsError> {
        let fetched = self.fetch(agreement, dir, &selection, |_, _| Ok(())).await?;
        let count = fetched.facts.leaf_count;
        let leaf = match selection.leaf {
            Some(leaf) => leaf,
            None if count == 1 => 0,
            None => return Err(ResultsError::WhichLeaf { agreement, count }),
        };
        let selection = Selection { leaf: Some(leaf), ..selection };
        blocking(move || fetched.folder.extract(&fetched.facts, &fetched.key, fetched.ending, leaf, &selection)).await
    }

    /// Finds what the chain says of the result and the key to read it with, and brings the blob here unless `check` refuses
    /// the folder.
    async fn fetch(
        &self,
        agreement: Address,
        dir: &Path,
        selection: &Selection,
        check: impl FnOnce(&Folder, u32) -> Result<(), ResultsError>,
    ) -> Result<Fetched, ResultsError> {
        let details = self.details(agreement).await?;
        let (status, ending) = (details.standing.status, details.standing.ending);
        let revealed = details.events.iter().rev().find_map(|seen| match &seen.progress {
            Progress::Revealed { root, salt, ciphertext_root, result_blob, leaves, digests, .. } => Some((
                *result_blob,
                ChainFacts {
                    agreement,
                    attempt: details.standing.attempt,
                    leaf_count: details.purchase.terms.leaf_count,
                    output_mib: details.purchase.spec.output_mib,
                    root: *root,
                    salt: *salt,
                    ciphertext_root: *ciphertext_root,
                    sampled: leaves.iter().copied().zip(digests.iter().copied()).collect(),
                },
            )),
            _ => None,
        });
        let Some((blob, facts)) = revealed else {
            return Err(if status.is_final() {
                ResultsError::None { agreement, ending }
            } else {
                ResultsError::NotYet { agreement, status }
            });
        };
        let count = facts.leaf_count;
        if let Some(leaf) = selection.leaf.filter(|leaf| *leaf >= count) {
            return Err(ResultsError::NoSuchLeaf { agreement, leaf, count });
        }
        if selection.file.is_some() && selection.leaf.is_none() && count != 1 {
            return Err(ResultsError::WhichLeaf { agreement, count });
        }
        let key = self.session_key(agreement, &details.purchase.spec)?;
        let folder = Folder::open(dir, agreement, &key)?;
        check(&folder, count)?;
        let max_bytes = max_blob_bytes(facts.leaf_count, facts.output_mib);
        let got = self.blobs().get_to_file(blob, max_bytes, folder.blob()).await;
        got.map_err(|source| ResultsError::Blob { agreement, source })?;
        Ok(Fetched { folder, facts, key, ending, blob })
    }
}

/// A downloaded result that is not proven yet.
struct Fetched {
    folder: Folder,
    facts: ChainFacts,
    key: SessionKey,
    ending: Ending,
    blob: B256,
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ResultsError> + Send + 'static,
) -> Result<T, ResultsError> {
    tokio::task::spawn_blocking(work).await.expect("unpacking returns its errors")
}

#[cfg(test)]
mod tests;
