//! The results folder: what is fetched into it, proven there, and only then put where people look.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use sunwork_protocol::bundle::OpenedLeaf;
use sunwork_protocol::leaf::Outcome;
use sunwork_protocol::session::SessionKey;
use sunwork_protocol::status::Ending;

use super::{LeafResult, ProvenFile, Results, ResultsError, Selection};
use crate::verify::{ChainFacts, ProvenLeaf, verify_bundle};

/// File in the results folder that says whose results these are.
const MANIFEST: &str = "results.json";

#[cfg(unix)]
fn restrict(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn restrict(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// What the folder says of itself, if it holds results.
pub(crate) fn read_manifest(dir: &Path) -> Option<Results> {
    serde_json::from_slice(&fs::read(dir.join(MANIFEST)).ok()?).ok()
}

/// The results folder of one agreement.
pub(super) struct Folder {
    dir: PathBuf,
    agreement: Address,
}

impl Folder {
    /// Makes the folder; for confidential results one that only its owner may look into.
    pub(super) fn open(dir: &Path, agreement: Address, key: &SessionKey) -> Result<Self, ResultsError> {
        let made = !dir.exists();
        fs::create_dir_all(dir).map_err(|source| ResultsError::Io { path: dir.to_owned(), source })?;
        if made && !key.is_public() {
            restrict(dir).map_err(|source| ResultsError::Io { path: dir.to_owned(), source })?;
        }
        Ok(Self { dir: dir.to_owned(), agreement })
    }

    /// Refuses to touch somebody else's leaves.
    pub(super) fn refuse_others(&self, leaf_count: u32) -> Result<(), ResultsError> {
        let ours = read_manifest(&self.dir).is_some_and(|results| results.agreement == self.agreement);
        let in_the_way = (0..leaf_count).map(|leaf| self.leaf(leaf)).find(|path| path.symlink_metadata().is_ok());
        match in_the_way {
            Some(path) if !ours => Err(ResultsError::Occupied { path, agreement: self.agreement }),
            _ => Ok(()),
        }
    }

    pub(super) fn leaf(&self, leaf: u32) -> PathBuf {
        self.dir.join(leaf_name(leaf))
    }

    pub(super) fn blob(&self) -> PathBuf {
        self.dir.join(format!(".{}.blob", hex::encode(self.agreement)))
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.dir.join(format!(".{}.unproven", hex::encode(self.agreement)))
    }

    pub(super) fn unpack(
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
    pub(super) fn extract(
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
pub(super) fn remove(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
