//! Is this blob the result that the chain agreed on? Pure but for reading the blob: every leaf is decrypted, its record
//! computed anew, and the Merkle root over all digests compared with the revealed one. Nothing that the blob says of
//! itself is believed.

use std::io::{Read, Seek, SeekFrom};

use alloy::primitives::{Address, B256};
pub use sunwork_protocol::bundle::max_blob_bytes;
use sunwork_protocol::bundle::{
    BundleError, Index, OpenedLeaf, body_hash, ciphertext_root, decrypt_leaf, head_bytes, leaf_key, max_body_bytes,
    open_plaintext,
};
use sunwork_protocol::leaf::LeafRecord;
use sunwork_protocol::merkle::Tree;
use sunwork_protocol::session::SessionKey;
use thiserror::Error;

/// What the chain says of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainFacts {
    /// The agreement.
    pub agreement: Address,
    /// Which worker's attempt was revealed.
    pub attempt: u8,
    /// Leaves of the bag, from the terms.
    pub leaf_count: u32,
    /// Largest output of one leaf, from the specification.
    pub output_mib: u32,
    /// Merkle root over the leaf digests.
    pub root: B256,
    /// Salt of the leaf keys.
    pub salt: B256,
    /// Merkle root over the encrypted leaves.
    pub ciphertext_root: B256,
    /// Digests that stand on chain by themselves: the sampled leaves.
    pub sampled: Vec<(u32, B256)>,
}

/// A blob that is not the result.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// A part of it is malformed.
    #[error("the result of agreement {agreement} is not what its worker promised: {source}")]
    Malformed {
        /// The agreement.
        agreement: Address,
        /// What is wrong.
        source: BundleError,
    },
    /// A leaf whose plaintext has no canonical form.
    #[error("leaf {leaf} of agreement {agreement} is not what its worker promised: {source}")]
    LeafMalformed {
        /// The agreement.
        agreement: Address,
        /// Which leaf.
        leaf: u32,
        /// What is wrong.
        source: BundleError,
    },
    /// Other encrypted leaves than were sealed.
    #[error("the encrypted leaves have the Merkle root {found}, the worker sealed {expected}")]
    CiphertextRoot {
        /// Of the blob.
        found: B256,
        /// On chain.
        expected: B256,
    },
    /// A leaf differs from what stands on chain.
    #[error("leaf {leaf} has the digest {found}, the chain holds {expected}")]
    LeafDigest {
        /// Which leaf.
        leaf: u32,
        /// Of the blob.
        found: B256,
        /// On chain.
        expected: B256,
    },
    /// Some leaf that was not sampled differs.
    #[error(
        "the leaf digests have the Merkle root {found}, the chain holds {expected}; a leaf differs that was not sampled"
    )]
    Root {
        /// Of the blob.
        found: B256,
        /// On chain.
        expected: B256,
    },
    /// A body larger than any honest one.
    #[error("leaf {leaf} takes {found} bytes, the terms allow at most {max}")]
    LeafTooLarge {
        /// Which leaf.
        leaf: u32,
        /// Bytes.
        found: u64,
        /// Most that the terms allow.
        max: u64,
    },
    /// The local copy cannot be read.
    #[error("reading the downloaded blob: {0}")]
    Read(#[source] std::io::Error),
    /// The leaf's files cannot be written.
    #[error("writing the files of leaf {leaf}: {source}")]
    Write {
        /// Which leaf.
        leaf: u32,
        /// Why not.
        source: std::io::Error,
    },
}

impl VerifyError {
    /// The leaf that is not what it should be; `None` where the blob as a whole is not, or no single leaf can be told. Whoever
    /// looks at the same blob finds the same, so a dispute of that leaf is decided by it: `late_vote` in
    /// `sunwork_protocol::leaf`.
    pub const fn leaf(&self) -> Option<u32> {
        match self {
            Self::Malformed { source: BundleError::Decrypt { leaf }, .. }
            | Self::LeafMalformed { leaf, .. }
            | Self::LeafDigest { leaf, .. }
            | Self::LeafTooLarge { leaf, .. } => Some(*leaf),
            _ => None,
        }
    }

    /// True when the result itself is at fault, and not this machine.
    pub const fn is_the_workers_fault(&self) -> bool {
        !matches!(self, Self::Read(_) | Self::Write { .. })
    }
}

/// A leaf that is what the chain agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvenLeaf {
    /// What its app did.
    pub record: LeafRecord,
    /// Its digest as it stands in the tree: blinded where the work is confidential.
    pub digest: B256,
}

/// Checks a blob against the chain and hands every leaf with its plaintext to `sink`, one at a time. What `sink` gets is
/// not proven before the whole call succeeds: put it where nobody takes it for a result.
///
/// # Errors
/// The first thing that does not fit; see [`VerifyError`].
pub fn verify_bundle<R: Read + Seek>(
    blob: &mut R,
    facts: &ChainFacts,
    session_key: &SessionKey,
    mut sink: impl FnMut(u32, &OpenedLeaf, &[u8]) -> std::io::Result<()>,
) -> Result<Vec<ProvenLeaf>, VerifyError> {
    let agreement = facts.agreement;
    let malformed = |source| VerifyError::Malformed { agreement, source };
    let blob_bytes = blob.seek(SeekFrom::End(0)).map_err(VerifyError::Read)?;
    let head = read_at(blob, 0, head_bytes(facts.leaf_count).min(blob_bytes))?;
    let index = Index::parse(&head, facts.leaf_count, blob_bytes).map_err(malformed)?;
    let max = max_body_bytes(facts.output_mib);
    let body = |blob: &mut R, leaf: u32| -> Result<Vec<u8>, VerifyError> {
        let range = index.range(leaf).expect("the index has a row for every leaf of the terms");
        let found = range.end - range.start;
        if found > max {
            return Err(VerifyError::LeafTooLarge { leaf, found, max });
        }
        read_at(blob, range.start, found)
    };

    // First pass: are these the bytes that were sealed? Nothing is decrypted before.
    let mut hashes = Vec::with_capacity(facts.leaf_count as usize);
    for leaf in 0..facts.leaf_count {
        hashes.push(body_hash(&body(blob, leaf)?));
    }
    let found = ciphertext_root(&hashes);
    if found != facts.ciphertext_root {
        return Err(VerifyError::CiphertextRoot { found, expected: facts.ciphertext_root });
    }

    let mut leaves = Vec::with_capacity(hashes.len());
    for leaf in 0..facts.leaf_count {
        let of_leaf = |source| VerifyError::LeafMalformed { agreement, leaf, source };
        let key = leaf_key(session_key.as_bytes(), &facts.salt, agreement, facts.attempt, leaf);
        let plaintext = decrypt_leaf(&key, agreement, leaf, &body(blob, leaf)?).map_err(malformed)?;
        let opened = open_plaintext(&plaintext).map_err(of_leaf)?;
        let found = session_key.blind(agreement, leaf, opened.record.digest());
        if let Some((_, expected)) = facts.sampled.iter().find(|(sampled, digest)| *sampled == leaf && *digest != found)
        {
            return Err(VerifyError::LeafDigest { leaf, found, expected: *expected });
        }
        sink(leaf, &opened, &plaintext).map_err(|source| VerifyError::Write { leaf, source })?;
        leaves.push(ProvenLeaf { record: opened.record, digest: found });
    }
    let digests: Vec<B256> = leaves.iter().map(|leaf| leaf.digest).collect();
    let found = Tree::new(&digests).root();
    if found != facts.root {
        return Err(VerifyError::Root { found, expected: facts.root });
    }
    Ok(leaves)
}

fn read_at<R: Read + Seek>(blob: &mut R, offset: u64, bytes: u64) -> Result<Vec<u8>, VerifyError> {
    blob.seek(SeekFrom::Start(offset)).map_err(VerifyError::Read)?;
    let mut out = Vec::new();
    blob.take(bytes).read_to_end(&mut out).map_err(VerifyError::Read)?;
    if (out.len() as u64) < bytes {
        return Err(VerifyError::Read(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(out)
}
