//! Fetching a result, proving it against the chain, and unpacking it. Folders `leaf-NNNN` appear only when all is proven.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sunwork_edge::blobs::BlobError;
use sunwork_protocol::bundle::OpenedLeaf;
use sunwork_protocol::leaf::Outcome;
use sunwork_protocol::session::SessionKey;
use sunwork_protocol::status::{Ending, Status};
use thiserror::Error;

use crate::agreements::FindError;
use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::confidential::ConfidentialError;
use crate::events::Progress;
use crate::verify::{ChainFacts, ProvenLeaf, VerifyError, max_blob_bytes, verify_bundle};

/// File in the results folder that says whose results these are.
const MANIFEST: &str = "results.json";

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

#[cfg(unix)]
fn restrict(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// The results folder of one agreement.
struct Folder {
    dir: PathBuf,
    agreement: Address,
}

impl Folder {
    /// Makes the folder; for confidential results one that only its owner may look into.
    fn open(dir: &Path, agreement: Address, key: &SessionKey) -> Result<Self, ResultsError> {
        let made = !dir.exists();
        fs::create_dir_all(dir).map_err(|source| ResultsError::Io { path: dir.to_owned(), source })?;
        if made && !key.is_public() {
            restrict(dir).map_err(|source| ResultsError::Io { path: dir.to_owned(), source })?;
        }
        Ok(Self { dir: dir.to_owned(), agreement })
    }

    /// Refuses to touch somebody else's leaves.
    fn refuse_others(&self, leaf_count: u32) -> Result<(), ResultsError> {
        let ours = fs::read(self.dir.join(MANIFEST))
            .ok()
            .and_then(|json| serde_json::from_slice::<Results>(&json).ok())
            .is_some_and(|results| results.agreement == self.agreement);
        let in_the_way = (0..leaf_count).map(|leaf| self.leaf(leaf)).find(|path| path.symlink_metadata().is_ok());
        match in_the_way {
            Some(path) if !ours => Err(ResultsError::Occupied { path, agreement: self.agreement }),
            _ => Ok(()),
        }
    }

    fn leaf(&self, leaf: u32) -> PathBuf {
        self.dir.join(leaf_name(leaf))
    }

    fn blob(&self) -> PathBuf {
        self.dir.join(format!(".{}.blob", hex::encode(self.agreement)))
    }

    fn staging(&self) -> PathBuf {
        self.dir.join(format!(".{}.unproven", hex::encode(self.agreement)))
    }

    fn unpack(
        &self,
        facts: &ChainFacts,
        key: &SessionKey,
        ending: Ending,
        blob: B256,
        selection: &Selection,
    ) -> Result<Results, ResultsError> {
        let staging = self.staging();
        let proven = self.proven(facts, key, selection)?;
        self.pick(&proven, selection)?;
        let mut leaves = Vec::with_capacity(proven.len());
        for (leaf, Proven { leaf: ProvenLeaf { record, digest }, files, bytes, .. }) in (0..).zip(proven) {
            let target = self.leaf(leaf);
            let completed = record.outcome == Outcome::Completed;
            let from = staging.join(leaf_name(leaf));
            match &selection.file {
                _ if !selection.takes(leaf) => {}
                Some(file) => publish(&from.join(file), &target.join(file))?,
                None => {
                    remove(&target).map_err(io(&target))?;
                    if completed {
                        fs::rename(from, &target).map_err(io(&target))?;
                    }
                }
            }
            let there = completed && target.symlink_metadata().is_ok();
            leaves.push(LeafResult {
                leaf,
                outcome: record.outcome,
                exit_status: record.exit_status,
                digest,
                files,
                bytes,
                path: there.then_some(target),
            });
        }
        let results = Results { agreement: self.agreement, ending, root: facts.root, blob, leaves };
        let manifest = self.dir.join(MANIFEST);
        let json = serde_json::to_vec_pretty(&results).expect("results have only serialisable fields");
        let draft = self.dir.join(format!(".{MANIFEST}.draft"));
        fs::write(&draft, json).and_then(|()| fs::rename(&draft, &manifest)).map_err(io(&manifest))?;
        remove(&staging).map_err(io(&staging))?;
        remove(&self.blob()).map_err(io(&self.blob()))?;
        Ok(results)
    }

    /// One proven file, moved to a place of its own.
    fn extract(
        &self,
        facts: &ChainFacts,
        key: &SessionKey,
        ending: Ending,
        leaf: u32,
        selection: &Selection,
    ) -> Result<ProvenFile, ResultsError> {
        let staging = self.staging();
        let proven = self.proven(facts, key, selection)?;
        let name = match (self.pick(&proven, selection)?, proven.get(leaf as usize).map(|leaf| leaf.names.as_slice())) {
            (Some(file), _) => file,
            (None, Some([only])) => only.clone(),
            (None, names) => {
                let _ = remove(&staging);
                return Err(ResultsError::WhichFile { leaf, files: names.unwrap_or_default().to_vec() });
            }
        };
        let path = self.dir.join(format!(".{}.proven", hex::encode(self.agreement)));
        let found = ProvenFile { path, leaf, name, ending };
        let from = staging.join(leaf_name(leaf)).join(&found.name);
        fs::rename(&from, &found.path).map_err(io(&from))?;
        remove(&staging).map_err(io(&staging))?;
        remove(&self.blob()).map_err(io(&self.blob()))?;
        Ok(found)
    }

    /// Is what was asked for there? The blob stays where it is not: the next try names another file.
    fn pick(&self, proven: &[Proven], selection: &Selection) -> Result<Option<PathBuf>, ResultsError> {
        let agreement = self.agreement;
        let check = || {
            // A part of the result is asked for by its leaf; the bag's only leaf needs no number.
            let wanted = selection.leaf.or(selection.file.as_ref().map(|_| 0));
            let Some((leaf, found)) = wanted.and_then(|leaf| Some((leaf, proven.get(leaf as usize)?))) else {
                return Ok(None);
            };
            let record = &found.leaf.record;
            if record.outcome != Outcome::Completed {
                let (outcome, exit_status) = (record.outcome, record.exit_status);
                return Err(ResultsError::LeafFailed { agreement, leaf, outcome, exit_status });
            }
            match &selection.file {
                Some(file) if !found.names.contains(file) => {
                    Err(ResultsError::NoSuchFile { leaf, file: file.clone(), files: found.names.clone() })
                }
                file => Ok(file.clone()),
            }
        };
        check().inspect_err(|_| {
            let _ = remove(&self.staging());
        })
    }

    /// Proves the whole blob and unpacks what is wanted of it into the staging folder.
    fn proven(&self, facts: &ChainFacts, key: &SessionKey, selection: &Selection) -> Result<Vec<Proven>, ResultsError> {
        let staging = self.staging();
        remove(&staging).map_err(io(&staging))?;
        fs::create_dir(&staging).map_err(io(&staging))?;
        self.prove(facts, key, &staging, selection).inspect_err(|_| {
            // Nothing unproven stays behind; the blob does not either, it would only fail again.
            let _ = remove(&staging);
            let _ = remove(&self.blob());
        })
    }

    fn prove(
        &self,
        facts: &ChainFacts,
        key: &SessionKey,
        staging: &Path,
        selection: &Selection,
    ) -> Result<Vec<Proven>, ResultsError> {
        let blob = self.blob();
        let file = fs::File::open(&blob).map_err(|source| ResultsError::Io { path: blob, source })?;
        let mut contents = Vec::new();
        let leaves = verify_bundle(&mut BufReader::new(file), facts, key, |leaf, opened, plaintext| {
            let wanted = selection.takes(leaf) && opened.record.outcome == Outcome::Completed;
            let names: std::io::Result<Vec<PathBuf>> = match wanted {
                true => opened.files.iter().map(|file| native(&file.entry.path)).collect(),
                false => Ok(Vec::new()),
            };
            let bytes = opened.files.iter().map(|file| file.entry.size).sum();
            contents.push((opened.files.len(), bytes, names?));
            if wanted {
                write_leaf(&staging.join(leaf_name(leaf)), opened, plaintext)?;
            }
            Ok(())
        })?;
        let proven = leaves.into_iter().zip(contents);
        Ok(proven.map(|(leaf, (files, bytes, names))| Proven { leaf, files, bytes, names }).collect())
    }
}

/// A proven leaf and what it holds.
struct Proven {
    leaf: ProvenLeaf,
    files: usize,
    bytes: u64,
    /// Of the leaves that are wanted.
    names: Vec<PathBuf>,
}

/// Says which path could not be used.
fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ResultsError + use<> {
    let path = path.to_owned();
    move |source| ResultsError::Io { path, source }
}

/// Moves one proven file into its leaf's folder; what else is there stays.
fn publish(from: &Path, to: &Path) -> Result<(), ResultsError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(io(parent))?;
    }
    remove(to).map_err(io(to))?;
    fs::rename(from, to).map_err(io(to))
}

fn leaf_name(leaf: u32) -> String {
    format!("leaf-{leaf:04}")
}

/// Writes a leaf's files below a fresh folder. Their paths are plain and relative (checked when the leaf was opened), only
/// regular files and folders are made, and no file is opened twice, so nothing outside the folder can be reached.
fn write_leaf(dir: &Path, opened: &OpenedLeaf, plaintext: &[u8]) -> std::io::Result<()> {
    fs::create_dir(dir)?;
    for file in &opened.files {
        let path = dir.join(native(&file.entry.path)?);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let content = plaintext.get(file.content.clone()).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let mut out = fs::File::create_new(&path)?;
        std::io::Write::write_all(&mut out, content)?;
    }
    Ok(())
}

#[cfg(unix)]
fn native(path: &[u8]) -> std::io::Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(std::ffi::OsStr::from_bytes(path).into())
}

#[cfg(not(unix))]
fn native(path: &[u8]) -> std::io::Result<PathBuf> {
    // Other systems know more separators and reserved names than "/": only what is plain everywhere is made there.
    let text = std::str::from_utf8(path).map_err(|_| std::io::ErrorKind::InvalidFilename)?;
    if text.contains(['\\', ':', '*', '?', '"', '<', '>', '|']) {
        return Err(std::io::ErrorKind::InvalidFilename.into());
    }
    Ok(text.into())
}

/// Removes a file or a folder; what is not there is gone already. A symbolic link itself is removed, not its target.
fn remove(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
