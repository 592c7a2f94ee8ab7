//! Fetching a result, proving it against the chain, and unpacking it. Folders `leaf-NNNN` appear only when all is proven.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};
use sunwork_edge::blobs::BlobError;
use sunwork_protocol::bundle::OpenedLeaf;
use sunwork_protocol::leaf::{LeafRecord, Outcome};
use sunwork_protocol::status::{Ending, Status};
use thiserror::Error;

use crate::agreements::FindError;
use crate::class::{Classified, ErrorClass};
use crate::client::Client;
use crate::events::Progress;
use crate::verify::{ChainFacts, VerifyError, max_blob_bytes, verify_bundle};

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
    /// Where they are; `None` for a failed leaf.
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

/// A result that could not be had.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The agreement cannot be found or read.
    #[error(transparent)]
    Find(#[from] FindError),
    /// Too early.
    #[error("agreement {agreement} has no readable result yet: it {}; follow it with `sunwork status {agreement}`", status.meaning())]
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

impl Classified for ResultsError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Find(error) => error.class(),
            Self::NotYet { .. } => ErrorClass::Retry,
            Self::Blob { source, .. } if source.is_temporary() => ErrorClass::Retry,
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
        let folder = Folder::open(dir, agreement, facts.leaf_count)?;
        let max_bytes = max_blob_bytes(facts.leaf_count, facts.output_mib);
        let fetched = self.blobs().get_to_file(blob, max_bytes, folder.blob()).await;
        fetched.map_err(|source| ResultsError::Blob { agreement, source })?;
        let work = move || folder.unpack(&facts, ending, blob);
        tokio::task::spawn_blocking(work).await.expect("unpacking returns its errors")
    }
}

/// The results folder of one agreement.
struct Folder {
    dir: PathBuf,
    agreement: Address,
}

impl Folder {
    /// Makes the folder, and refuses to touch somebody else's leaves in it.
    fn open(dir: &Path, agreement: Address, leaf_count: u32) -> Result<Self, ResultsError> {
        fs::create_dir_all(dir).map_err(|source| ResultsError::Io { path: dir.to_owned(), source })?;
        let folder = Self { dir: dir.to_owned(), agreement };
        let ours = fs::read(dir.join(MANIFEST))
            .ok()
            .and_then(|json| serde_json::from_slice::<Results>(&json).ok())
            .is_some_and(|results| results.agreement == agreement);
        let in_the_way = (0..leaf_count).map(|leaf| folder.leaf(leaf)).find(|path| path.symlink_metadata().is_ok());
        match in_the_way {
            Some(path) if !ours => Err(ResultsError::Occupied { path, agreement }),
            _ => Ok(folder),
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

    fn unpack(&self, facts: &ChainFacts, ending: Ending, blob: B256) -> Result<Results, ResultsError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ResultsError::Io { path, source }
        };
        let staging = self.staging();
        remove(&staging).map_err(io(&staging))?;
        fs::create_dir(&staging).map_err(io(&staging))?;
        let outcome = self.prove(facts, &staging);
        let (records, sizes) = match outcome {
            Ok(proven) => proven,
            Err(error) => {
                // Nothing unproven stays behind; the blob does not either, it would only fail again.
                let _ = remove(&staging);
                let _ = remove(&self.blob());
                return Err(error);
            }
        };
        let mut leaves = Vec::with_capacity(records.len());
        for ((leaf, record), (files, bytes)) in (0..).zip(&records).zip(sizes) {
            let target = self.leaf(leaf);
            remove(&target).map_err(io(&target))?;
            let completed = record.outcome == Outcome::Completed;
            if completed {
                fs::rename(staging.join(leaf_name(leaf)), &target).map_err(io(&target))?;
            }
            leaves.push(LeafResult {
                leaf,
                outcome: record.outcome,
                exit_status: record.exit_status,
                digest: record.digest(),
                files,
                bytes,
                path: completed.then_some(target),
            });
        }
        let results = Results { agreement: self.agreement, ending, root: facts.root, blob, leaves };
        let manifest = self.dir.join(MANIFEST);
        let json = serde_json::to_vec_pretty(&results).expect("results have only serialisable fields");
        fs::write(&manifest, json).map_err(io(&manifest))?;
        remove(&staging).map_err(io(&staging))?;
        remove(&self.blob()).map_err(io(&self.blob()))?;
        Ok(results)
    }

    #[allow(clippy::type_complexity)] // Records with number and bytes of files: named right where it is taken apart.
    fn prove(&self, facts: &ChainFacts, staging: &Path) -> Result<(Vec<LeafRecord>, Vec<(usize, u64)>), ResultsError> {
        let blob = self.blob();
        let file = fs::File::open(&blob).map_err(|source| ResultsError::Io { path: blob, source })?;
        let mut sizes = Vec::new();
        let records = verify_bundle(&mut BufReader::new(file), facts, |leaf, opened, plaintext| {
            sizes.push((opened.files.len(), opened.files.iter().map(|file| file.entry.size).sum()));
            if opened.record.outcome == Outcome::Completed {
                write_leaf(&staging.join(leaf_name(leaf)), opened, plaintext)?;
            }
            Ok(())
        })?;
        Ok((records, sizes))
    }
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
mod tests {
    use super::*;
    use sunwork_protocol::bundle::{
        BundleWriter, PUBLIC_SESSION_KEY, body_hash, ciphertext_root, encrypt_leaf, files_tar, leaf_key,
        open_plaintext, plaintext,
    };
    use sunwork_protocol::merkle::Tree;

    const AGREEMENT: Address = Address::repeat_byte(0xaa);
    const SALT: B256 = B256::repeat_byte(0x22);

    fn completed(i: u32) -> Vec<u8> {
        let mut files = [(b"out/tile.ppm".to_vec(), vec![i as u8; 700]), (b"note \xff".to_vec(), b"hi".to_vec())];
        let archive = files_tar(&mut files).unwrap();
        let mut plain = vec![0_u8; 5];
        plain.extend_from_slice(&archive);
        plain
    }

    fn pack(bodies: &[Vec<u8>]) -> Vec<u8> {
        let lengths: Vec<u64> = bodies.iter().map(|b| b.len() as u64).collect();
        let mut writer = BundleWriter::new(Vec::new(), &lengths).unwrap();
        for body in bodies {
            writer.append(&mut body.as_slice()).unwrap();
        }
        writer.finish().unwrap()
    }

    fn encrypt(plains: &[Vec<u8>]) -> Vec<Vec<u8>> {
        (0..)
            .zip(plains)
            .map(|(i, plain)| encrypt_leaf(&leaf_key(&PUBLIC_SESSION_KEY, &SALT, AGREEMENT, 1, i), AGREEMENT, i, plain))
            .collect()
    }

    fn roots(bodies: &[Vec<u8>]) -> B256 {
        ciphertext_root(&bodies.iter().map(|b| body_hash(b)).collect::<Vec<_>>())
    }

    /// Three leaves, the middle one failed, with what the chain would say of them.
    fn honest() -> (Vec<Vec<u8>>, ChainFacts) {
        let plains = vec![completed(0), plaintext(&LeafRecord::app_failed(3), &[]), completed(2)];
        let digests: Vec<B256> = plains.iter().map(|p| open_plaintext(p).unwrap().record.digest()).collect();
        let facts = ChainFacts {
            agreement: AGREEMENT,
            attempt: 1,
            leaf_count: 3,
            output_mib: 1,
            root: Tree::new(&digests).root(),
            salt: SALT,
            ciphertext_root: roots(&encrypt(&plains)),
            sampled: vec![(0, digests[0])],
        };
        (plains, facts)
    }

    fn unpack(dir: &Path, blob: &[u8], facts: &ChainFacts) -> Result<Results, ResultsError> {
        let folder = Folder::open(dir, AGREEMENT, facts.leaf_count)?;
        fs::write(folder.blob(), blob).unwrap();
        folder.unpack(facts, Ending::Verified, B256::ZERO)
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn refused(blob: &[u8], facts: &ChainFacts) -> VerifyError {
        let dir = tempfile::tempdir().unwrap();
        let error = unpack(dir.path(), blob, facts).unwrap_err();
        assert_eq!(names(dir.path()), Vec::<String>::new(), "nothing unproven stays behind after: {error}");
        match error {
            ResultsError::Verify(error) => error,
            other => panic!("expected a verification error, found {other}"),
        }
    }

    #[test]
    fn an_honest_result_is_unpacked_and_failed_leaves_are_told() {
        let (plains, facts) = honest();
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let results = unpack(dir.path(), &pack(&encrypt(&plains)), &facts).unwrap();
            assert_eq!(names(dir.path()), ["leaf-0000", "leaf-0002", "results.json"]);
            assert_eq!(fs::read(dir.path().join("leaf-0002/out/tile.ppm")).unwrap(), vec![2; 700]);
            let failed: Vec<_> = results.failed().map(|l| (l.leaf, l.outcome, l.exit_status)).collect();
            assert_eq!(failed, [(1, Outcome::AppFailed, 3)]);
            assert_eq!((results.leaves[0].files, results.leaves[0].bytes), (2, 702));
        }
    }

    #[test]
    fn swapped_leaves_are_found() {
        let (plains, facts) = honest();
        let mut bodies = encrypt(&plains);
        bodies.swap(0, 2);
        assert!(matches!(refused(&pack(&bodies), &facts), VerifyError::CiphertextRoot { .. }));
        // Even where the worker sealed them swapped: the key of leaf 0 does not open leaf 2.
        let sealed = ChainFacts { ciphertext_root: roots(&bodies), ..facts };
        assert!(matches!(refused(&pack(&bodies), &sealed), VerifyError::Malformed { .. }));
    }

    #[test]
    fn another_result_than_the_agreed_one_is_found() {
        let (mut plains, facts) = honest();
        plains[2] = completed(7);
        let bodies = encrypt(&plains);
        let sealed = ChainFacts { ciphertext_root: roots(&bodies), ..facts.clone() };
        assert!(matches!(refused(&pack(&bodies), &sealed), VerifyError::Root { .. }));
        let (mut plains, _) = honest();
        plains[0] = completed(7);
        let bodies = encrypt(&plains);
        let sealed = ChainFacts { ciphertext_root: roots(&bodies), ..facts };
        let error = refused(&pack(&bodies), &sealed);
        assert!(matches!(error, VerifyError::LeafDigest { leaf: 0, .. }), "{error}");
        assert!(error.to_string().starts_with("leaf 0 has the digest 0x"), "{error}");
    }

    #[test]
    fn wrong_root_salt_and_attempt_are_found() {
        let (plains, facts) = honest();
        let blob = pack(&encrypt(&plains));
        let wrong_root = ChainFacts { root: B256::repeat_byte(1), ..facts.clone() };
        assert!(matches!(refused(&blob, &wrong_root), VerifyError::Root { .. }));
        let wrong_salt = ChainFacts { salt: B256::repeat_byte(1), ..facts.clone() };
        assert!(matches!(refused(&blob, &wrong_salt), VerifyError::Malformed { .. }));
        let wrong_attempt = ChainFacts { attempt: 2, ..facts.clone() };
        assert!(matches!(refused(&blob, &wrong_attempt), VerifyError::Malformed { .. }));
        let wrong_count = ChainFacts { leaf_count: 4, ..facts };
        assert!(matches!(refused(&blob, &wrong_count), VerifyError::Malformed { .. }));
    }

    #[test]
    fn truncated_and_flipped_blobs_are_found() {
        let (plains, facts) = honest();
        let blob = pack(&encrypt(&plains));
        for end in [0, 3, 8, 40, blob.len() / 2, blob.len() - 1] {
            refused(&blob[..end], &facts);
        }
        let mut longer = blob.clone();
        longer.push(0);
        refused(&longer, &facts);
        for at in (0..blob.len()).step_by(97).chain([blob.len() - 1]) {
            let mut flipped = blob.clone();
            flipped[at] ^= 1;
            refused(&flipped, &facts);
        }
    }

    #[test]
    fn leaves_that_reach_outside_are_found() {
        let (mut plains, facts) = honest();
        let header = sunwork_protocol::tar::file_header(b"../escape", 0);
        plains[2] = [&[0; 5], header.as_slice(), &sunwork_protocol::tar::END].concat();
        let bodies = encrypt(&plains);
        let sealed = ChainFacts { ciphertext_root: roots(&bodies), ..facts };
        let error = refused(&pack(&bodies), &sealed);
        assert!(matches!(error, VerifyError::LeafMalformed { leaf: 2, .. }), "{error}");
    }

    #[test]
    fn leaves_of_others_are_not_touched() {
        let (plains, facts) = honest();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("leaf-0001")).unwrap();
        fs::write(dir.path().join("leaf-0001/mine"), "precious").unwrap();
        let error = unpack(dir.path(), &pack(&encrypt(&plains)), &facts).unwrap_err();
        assert!(matches!(error, ResultsError::Occupied { .. }), "{error}");
        assert_eq!(fs::read_to_string(dir.path().join("leaf-0001/mine")).unwrap(), "precious");
    }
}
