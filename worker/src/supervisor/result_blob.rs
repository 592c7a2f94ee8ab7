//! Reading the worker's result blob: what it must be before the reveal, and what its leaves are after it.
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use alloy::primitives::{Address, B256};
use sunwork_protocol::{
    bundle::{self, BundleError, Index},
    session::SessionKey,
};

use crate::folder::sha256_of;

/// What a revealed blob is read with.
pub(super) struct BlobKey {
    pub(super) session: SessionKey,
    pub(super) salt: B256,
    pub(super) agreement: Address,
    pub(super) attempt: u8,
    /// Largest body that the limits of the specification allow; a leaf is in memory as a whole.
    pub(super) most_bytes: u64,
}

/// Root over the hashes of the bodies in a bundle, read in pieces.
pub(super) fn ciphertext_root(path: &Path, leaf_count: u32) -> Result<B256, BundleError> {
    let mut hashes = Vec::with_capacity(leaf_count as usize);
    each_body(path, leaf_count, |leaf, body| {
        let (hash, _) = sha256_of(body).map_err(|source| BundleError::Io { leaf, source })?;
        hashes.push(hash);
        Ok(())
    })?;
    Ok(bundle::ciphertext_root(&hashes))
}

/// The digests that a revealed blob's leaves have, in order. One leaf at a time is in memory.
pub(super) fn digests(path: &Path, leaf_count: u32, key: &BlobKey) -> Result<Vec<B256>, BundleError> {
    let mut digests = Vec::with_capacity(leaf_count as usize);
    each_body(path, leaf_count, |leaf, mut body| {
        if body.limit() > key.most_bytes {
            let expected = format!("at most {}", key.most_bytes);
            return Err(BundleError::BodyLength { leaf, found: body.limit(), expected });
        }
        let mut sealed = Vec::new();
        body.read_to_end(&mut sealed).map_err(|source| BundleError::Io { leaf, source })?;
        let own = bundle::leaf_key(key.session.as_bytes(), &key.salt, key.agreement, key.attempt, leaf);
        let plain = bundle::decrypt_leaf(&own, key.agreement, leaf, &sealed)?;
        let record = bundle::open_plaintext(&plain)?.record;
        digests.push(key.session.blind(key.agreement, leaf, record.digest()));
        Ok(())
    })?;
    Ok(digests)
}

fn each_body(
    path: &Path,
    leaf_count: u32,
    mut each: impl FnMut(u32, std::io::Take<&mut File>) -> Result<(), BundleError>,
) -> Result<(), BundleError> {
    let io = |leaf| move |source| BundleError::Io { leaf, source };
    let mut file = File::open(path).map_err(io(0))?;
    let length = file.metadata().map_err(io(0))?.len();
    let mut head = Vec::new();
    (&mut file).take(bundle::head_bytes(leaf_count)).read_to_end(&mut head).map_err(io(0))?;
    let index = Index::parse(&head, leaf_count, length)?;
    for leaf in 0..leaf_count {
        let Some(range) = index.range(leaf) else { break };
        file.seek(SeekFrom::Start(range.start)).map_err(io(leaf))?;
        each(leaf, (&mut file).take(range.end - range.start))?;
    }
    Ok(())
}
