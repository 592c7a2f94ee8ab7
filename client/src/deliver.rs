//! Handing a verified result to the contract that the terms name: one file of the results folder, proven once more, with its path
//! to the root that the worker revealed.

use std::fs;
use std::path::Path;

use alloy::primitives::{Address, B256, Bytes};
use alloy::sol_types::{SolCall, SolEvent};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sunwork_edge::tx::TxError;
use sunwork_protocol::abi::IComputeAgreement;
use sunwork_protocol::leaf::{FileEntry, LeafRecord, tree_hash};
use sunwork_protocol::merkle::Tree;
use sunwork_protocol::seal::revealed_lists;
use sunwork_protocol::session::SessionKey;
use sunwork_protocol::status::Ending;
use thiserror::Error;

use crate::agreements::{Details, FindError};
use crate::buy::tx_class;
use crate::class::{Classified, ErrorClass};
use crate::client::{Client, NoSigner};
use crate::confidential::ConfidentialError;
use crate::events::Progress;
use crate::results::{LeafResult, Results, ResultsError, Selection, read_manifest};

/// Largest content that is delivered: beyond it no transaction could carry it as calldata (EIP-7825, EIP-7623).
pub const MAX_CONTENT_BYTES: u64 = 256 << 10;

/// A delivery that was mined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The agreement.
    pub agreement: Address,
    /// Which leaf.
    pub leaf: u32,
    /// The contract.
    pub to: Address,
    /// Gas that it was granted.
    pub gas: u32,
    /// Bytes of the content.
    pub bytes: u64,
    /// The transaction.
    pub tx: B256,
    /// False if the contract failed: it can be tried again.
    pub delivered: bool,
}

/// A result that could not be delivered.
#[derive(Debug, Error)]
pub enum DeliverError {
    /// The agreement.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The result.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The key that blinds its digests.
    #[error(transparent)]
    Key(#[from] ConfidentialError),
    /// No wallet.
    #[error(transparent)]
    NoSigner(#[from] NoSigner),
    /// The terms name no contract.
    #[error("the terms of agreement {agreement} name no contract that results could be delivered to")]
    NoCallback {
        /// The agreement.
        agreement: Address,
    },
    /// Not verified, or not yet.
    #[error("agreement {agreement} is {}; only a verified result can be delivered", ending.meaning())]
    NotVerified {
        /// The agreement.
        agreement: Address,
        /// How it ended.
        ending: Ending,
    },
    /// A folder of files has no callback.
    #[error("leaf {leaf} has {files} files; only a leaf whose declared output is one file can be delivered")]
    NotOneFile {
        /// Which leaf.
        leaf: u32,
        /// How many it has.
        files: usize,
    },
    /// More than a transaction takes.
    #[error("the file of leaf {leaf} has {found} bytes, at most {max} fit a transaction")]
    TooLarge {
        /// Which leaf.
        leaf: u32,
        /// Bytes.
        found: u64,
        /// Most that fit.
        max: u64,
    },
    /// The downloaded file is not the result.
    #[error("{path} is not the result of leaf {leaf} any more; fetch it again with `sunwork results`")]
    Changed {
        /// Which leaf.
        leaf: u32,
        /// The file.
        path: String,
    },
    /// The file.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The transaction.
    #[error("delivering: {0}")]
    Tx(#[from] TxError),
    /// It went through without the event.
    #[error("transaction {tx} went through, but holds no Delivered event of agreement {agreement}")]
    NoEvent {
        /// The transaction.
        tx: B256,
        /// The agreement.
        agreement: Address,
    },
}

impl Classified for DeliverError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Find(error) => error.class(),
            Self::Results(error) => error.class(),
            Self::Key(error) => error.class(),
            Self::Tx(error) => tx_class(error),
            Self::Changed { .. } => ErrorClass::Resync,
            _ => ErrorClass::Stop,
        }
    }
}

/// A leaf's only file, as the contract wants to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafFile {
    /// Its path below the declared path; of a declared file its name.
    pub name: Vec<u8>,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl LeafFile {
    /// The digest of a task that completed with this one file, as it stands in the tree.
    ///
    /// # Errors
    /// When the path is none that a result may hold.
    pub fn digest(
        &self,
        agreement: Address,
        leaf: u32,
        key: &SessionKey,
    ) -> Result<B256, sunwork_protocol::leaf::PathError> {
        let sha256 = Sha256::digest(&self.content).into();
        let entry = FileEntry { path: self.name.clone(), size: self.content.len() as u64, sha256 };
        let record = LeafRecord::completed(tree_hash(&[entry])?);
        Ok(key.blind(agreement, leaf, record.digest()))
    }
}

/// What [`Client::deliver`] sends: the file with its proof. `digests` are those of all leaves, as `results.json` holds them.
pub fn contract_result(
    agreement: Address,
    leaf: u32,
    file: &LeafFile,
    digests: &[B256],
    key: &SessionKey,
) -> IComputeAgreement::Result {
    IComputeAgreement::Result {
        leaf,
        fileName: Bytes::from(file.name.clone()),
        content: Bytes::from(file.content.clone()),
        blindKey: if key.is_public() { B256::ZERO } else { key.blind_key(agreement, leaf) },
        proof: Tree::new(digests).multiproof(&[leaf]),
    }
}

impl Client {
    /// Delivers one leaf of a verified `agreement` to the contract that its terms name; anybody may who can read the result.
    /// `dir` is its results folder: what is there is used if it proves, else the result is fetched into it. Of confidential work
    /// this shows that leaf's result to everybody.
    ///
    /// # Errors
    /// See [`DeliverError`].
    pub async fn deliver(&self, agreement: Address, leaf: u32, dir: &Path) -> Result<Delivery, DeliverError> {
        let transactions = self.transactions()?;
        let details = self.details(agreement).await?;
        let terms = &details.purchase.terms;
        if !terms.has_callback() {
            return Err(DeliverError::NoCallback { agreement });
        }
        let ending = details.standing.ending;
        if ending != Ending::Verified {
            return Err(DeliverError::NotVerified { agreement, ending });
        }
        if leaf >= terms.leaf_count {
            return Err(ResultsError::NoSuchLeaf { agreement, leaf, count: terms.leaf_count }.into());
        }
        let key = self.session_key(agreement, &details.purchase.spec)?;
        let revealed = revealed(&details)?;
        let here = read_manifest(dir).filter(|results| results.agreement == agreement && results.root == revealed.root);
        let (results, file) = match here.map(|results| (one_file(agreement, leaf, &results, &key), results)) {
            Some((Ok(file), results)) => (results, file),
            _ => {
                let only = Selection { leaf: Some(leaf), file: None };
                let results = self.results_of(agreement, dir, only).await?;
                let file = one_file(agreement, leaf, &results, &key)?;
                (results, file)
            }
        };
        let digests: Vec<B256> = results.leaves.iter().map(|leaf| leaf.digest).collect();
        let bytes = file.content.len() as u64;
        let result = contract_result(agreement, leaf, &file, &digests, &key);
        let call = IComputeAgreement::deliverCall { result, revealed };
        let receipt = transactions.send("deliver", agreement, call.abi_encode().into()).await?;
        let tx = receipt.transaction_hash;
        let logs = receipt.inner.logs().iter().filter(|log| log.address() == agreement);
        let delivered = logs
            .filter_map(|log| IComputeAgreement::Delivered::decode_log_data(log.data()).ok())
            .find(|event| event.leaf == leaf)
            .ok_or(DeliverError::NoEvent { tx, agreement })?
            .ok;
        let (to, gas) = (terms.callback, terms.callback_gas);
        Ok(Delivery { agreement, leaf, to, gas, bytes, tx, delivered })
    }
}

/// What the worker revealed, as the contract kept it.
fn revealed(details: &Details) -> Result<IComputeAgreement::RevealedRoot, ResultsError> {
    let seen = details.events.iter().rev().find_map(|seen| match &seen.progress {
        Progress::Revealed { root, leaves, digests, .. } => Some((*root, revealed_lists(leaves, digests))),
        _ => None,
    });
    let (agreement, ending) = (details.purchase.address, details.standing.ending);
    let (root, (leaves_hash, digests_hash)) = seen.ok_or(ResultsError::None { agreement, ending })?;
    Ok(IComputeAgreement::RevealedRoot { root, leavesHash: leaves_hash, digestsHash: digests_hash })
}

/// The leaf's only file, if it still has the digest that was proven.
fn one_file(agreement: Address, leaf: u32, results: &Results, key: &SessionKey) -> Result<LeafFile, DeliverError> {
    let count = u32::try_from(results.leaves.len()).unwrap_or(u32::MAX);
    let Some(found) = results.leaves.get(leaf as usize) else {
        return Err(ResultsError::NoSuchLeaf { agreement, leaf, count }.into());
    };
    let LeafResult { outcome, exit_status, files, .. } = *found;
    if outcome != sunwork_protocol::leaf::Outcome::Completed {
        return Err(ResultsError::LeafFailed { agreement, leaf, outcome, exit_status }.into());
    }
    if files != 1 {
        return Err(DeliverError::NotOneFile { leaf, files });
    }
    if found.bytes > MAX_CONTENT_BYTES {
        return Err(DeliverError::TooLarge { leaf, found: found.bytes, max: MAX_CONTENT_BYTES });
    }
    let dir = found.path.clone().unwrap_or_default();
    let path = only_file(&dir).map_err(|source| DeliverError::Io { path: dir.display().to_string(), source })?;
    let changed = || DeliverError::Changed { leaf, path: path.display().to_string() };
    let content = fs::read(&path).map_err(|source| DeliverError::Io { path: path.display().to_string(), source })?;
    let name = path.strip_prefix(&dir).map(bytes_of).map_err(|_| changed())?;
    let file = LeafFile { name, content };
    if file.digest(agreement, leaf, key).ok() == Some(found.digest) { Ok(file) } else { Err(changed()) }
}

/// The one file below a folder.
fn only_file(dir: &Path) -> std::io::Result<std::path::PathBuf> {
    let mut here = dir.to_owned();
    loop {
        let mut entries = fs::read_dir(&here)?;
        let Some(entry) = entries.next().transpose()? else {
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "it is empty"));
        };
        if entries.next().is_some() {
            return Err(std::io::Error::other("it holds more than one file"));
        }
        here = entry.path();
        if entry.file_type()?.is_file() {
            return Ok(here);
        }
    }
}

#[cfg(unix)]
fn bytes_of(path: &Path) -> Vec<u8> {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes().to_vec()
}

#[cfg(not(unix))]
fn bytes_of(path: &Path) -> Vec<u8> {
    path.to_string_lossy().replace('\\', "/").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::hex;
    use serde_json::Value;
    use sunwork_protocol::merkle::multiproof_root;

    /// The vectors of the contract's library: file, digest and proof lead to the same root.
    #[test]
    fn what_is_sent_is_what_the_contract_proves() {
        let text = include_str!("../../protocol/vectors/results.json");
        let vectors: Value = serde_json::from_str(text).unwrap();
        let rows = vectors["rows"].as_array().unwrap();
        assert!(!rows.is_empty());
        for row in rows {
            let bytes = |key: &str| hex::decode(row[key].as_str().unwrap()).unwrap();
            let word = |key: &str| row[key].as_str().unwrap().parse::<B256>().unwrap();
            let leaf = row["leaf"].as_u64().unwrap() as u32;
            let agreement: Address = row["agreement"].as_str().unwrap().parse().unwrap();
            let secret = SessionKey::from_bytes(word("sessionKey").0);
            let file = LeafFile { name: bytes("fileName"), content: bytes("content") };
            assert_eq!(file.digest(agreement, leaf, &SessionKey::PUBLIC).unwrap(), word("leafDigest"));
            assert_eq!(file.digest(agreement, leaf, &secret).unwrap(), word("blinded"));
            let count = row["leafCount"].as_u64().unwrap() as usize;
            let mut digests = vec![B256::repeat_byte(3); count];
            digests[leaf as usize] = word("blinded");
            let sent = contract_result(agreement, leaf, &file, &digests, &secret);
            assert_eq!((sent.leaf, sent.blindKey), (leaf, word("blindKey")));
            let root = multiproof_root(&[leaf], &[word("blinded")], &sent.proof, digests.len() as u32);
            assert_eq!(root.unwrap(), Tree::new(&digests).root());
            assert_eq!(sent.proof.len(), row["proof"].as_array().unwrap().len());
            assert!(contract_result(agreement, leaf, &file, &digests, &SessionKey::PUBLIC).blindKey.is_zero());
        }
    }

    #[test]
    fn only_one_unchanged_file_is_delivered() {
        let dir = tempfile::tempdir().unwrap();
        let leaf_dir = dir.path().join("leaf-0000");
        fs::create_dir_all(leaf_dir.join("sub")).unwrap();
        fs::write(leaf_dir.join("sub/answer"), "25\n").unwrap();
        let (agreement, key) = (Address::repeat_byte(1), SessionKey::PUBLIC);
        let file = LeafFile { name: b"sub/answer".to_vec(), content: b"25\n".to_vec() };
        let digest = file.digest(agreement, 0, &key).unwrap();
        let leaf = LeafResult {
            leaf: 0,
            outcome: sunwork_protocol::leaf::Outcome::Completed,
            exit_status: 0,
            digest,
            files: 1,
            bytes: 3,
            path: Some(leaf_dir.clone()),
        };
        let results = |leaf: LeafResult| Results {
            agreement,
            ending: Ending::Verified,
            root: B256::ZERO,
            blob: B256::ZERO,
            leaves: vec![leaf],
        };
        assert_eq!(one_file(agreement, 0, &results(leaf.clone()), &key).unwrap(), file);
        let several = LeafResult { files: 2, ..leaf.clone() };
        let error = one_file(agreement, 0, &results(several), &key).unwrap_err().to_string();
        assert!(error.contains("has 2 files"), "{error}");
        let large = LeafResult { bytes: MAX_CONTENT_BYTES + 1, ..leaf.clone() };
        assert!(matches!(one_file(agreement, 0, &results(large), &key), Err(DeliverError::TooLarge { .. })));
        fs::write(leaf_dir.join("sub/answer"), "26\n").unwrap();
        assert!(matches!(one_file(agreement, 0, &results(leaf), &key), Err(DeliverError::Changed { .. })));
    }
}
