//! Reading the worker's result blob: what it must be before the reveal, and what its leaves are after it.
use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use alloy::primitives::{Address, B256};
use sunwork_protocol::{
    bundle::{self, BundleError, Index},
    leaf::Body,
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

/// What the blob holds of every leaf, in order, once its salt is revealed. Only what the disk does is an error: a blob that is
/// none, or whose bodies are not those that were announced, holds nothing. One leaf at a time is in memory.
pub(super) fn bodies(path: &Path, leaf_count: u32, announced: B256, key: &BlobKey) -> std::io::Result<Vec<Body>> {
    let unreadable = vec![Body::Unreadable; leaf_count as usize];
    match ciphertext_root(path, leaf_count) {
        Ok(root) if root == announced => {}
        Err(BundleError::Io { source, .. }) => return Err(source),
        _ => return Ok(unreadable),
    }
    let mut found = Vec::with_capacity(leaf_count as usize);
    let read = each_body(path, leaf_count, |leaf, body| {
        found.push(read_body(leaf, body, key)?);
        Ok(())
    });
    match read {
        Ok(()) => Ok(found),
        Err(BundleError::Io { source, .. }) => Err(source),
        Err(_) => Ok(unreadable),
    }
}

fn read_body(leaf: u32, mut body: std::io::Take<&mut File>, key: &BlobKey) -> Result<Body, BundleError> {
    if body.limit() > key.most_bytes {
        return Ok(Body::Unreadable);
    }
    let mut sealed = Vec::new();
    body.read_to_end(&mut sealed).map_err(|source| BundleError::Io { leaf, source })?;
    let own = bundle::leaf_key(key.session.as_bytes(), &key.salt, key.agreement, key.attempt, leaf);
    let opened =
        bundle::decrypt_leaf(&own, key.agreement, leaf, &sealed).and_then(|plain| bundle::open_plaintext(&plain));
    Ok(match opened {
        Ok(opened) => Body::Reads(key.session.blind(key.agreement, leaf, opened.record.digest())),
        Err(_) => Body::Unreadable,
    })
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

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use sunwork_protocol::leaf::{LeafRecord, Outcome};

    use super::*;

    const HERE: Address = Address::repeat_byte(7);

    fn key(session: SessionKey) -> BlobKey {
        BlobKey {
            session,
            salt: B256::repeat_byte(8),
            agreement: HERE,
            attempt: 1,
            most_bytes: bundle::max_body_bytes(1),
        }
    }

    fn record(leaf: u32) -> LeafRecord {
        if leaf == 1 { LeafRecord::app_failed(3) } else { LeafRecord::bare(Outcome::TimeLimit) }
    }

    /// A blob as a worker makes it; `change` may spoil a plaintext or a body.
    fn blob(key: &BlobKey, change: impl Fn(u32, &mut Vec<u8>, bool)) -> (Vec<u8>, B256) {
        let bodies: Vec<Vec<u8>> = (0..3)
            .map(|leaf| {
                let own = bundle::leaf_key(key.session.as_bytes(), &key.salt, HERE, 1, leaf);
                let mut plain = bundle::plaintext(&record(leaf), &[]);
                change(leaf, &mut plain, true);
                let mut body = bundle::encrypt_leaf(&own, HERE, leaf, &plain);
                change(leaf, &mut body, false);
                body
            })
            .collect();
        let lengths: Vec<u64> = bodies.iter().map(|body| body.len() as u64).collect();
        let mut writer = bundle::BundleWriter::new(Vec::new(), &lengths).unwrap();
        bodies.iter().for_each(|body| writer.append(&mut Cursor::new(body)).unwrap());
        let hashes: Vec<[u8; 32]> = bodies.iter().map(|body| bundle::body_hash(body)).collect();
        (writer.finish().unwrap(), bundle::ciphertext_root(&hashes))
    }

    fn read(bytes: &[u8], root: B256, key: &BlobKey) -> Vec<Body> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        bodies(file.path(), 3, root, key).unwrap()
    }

    #[test]
    fn every_leaf_of_a_good_blob_reads_blinded_where_the_work_is_confidential() {
        for session in [SessionKey::PUBLIC, SessionKey::from_bytes([5; 32])] {
            let key = key(session);
            let (bytes, root) = blob(&key, |_, _, _| {});
            let expected: Vec<Body> =
                (0..3).map(|leaf| Body::Reads(key.session.blind(HERE, leaf, record(leaf).digest()))).collect();
            assert_eq!(read(&bytes, root, &key), expected);
        }
    }

    #[test]
    fn a_spoilt_leaf_is_unreadable_alone_and_a_spoilt_blob_as_a_whole() {
        let key = key(SessionKey::PUBLIC);
        let good = |leaf: u32| Body::Reads(record(leaf).digest());
        let (bytes, root) = blob(&key, |leaf, bytes, plain| {
            if leaf == 1 && !plain {
                bytes[0] ^= 1;
            }
        });
        assert_eq!(read(&bytes, root, &key), [good(0), Body::Unreadable, good(2)], "it does not decrypt");
        let (bytes, root) = blob(&key, |leaf, bytes, plain| {
            if leaf == 2 && plain {
                bytes[0] = 9;
            }
        });
        assert_eq!(read(&bytes, root, &key), [good(0), good(1), Body::Unreadable], "no outcome has the code 9");
        let (bytes, root) = blob(&key, |_, _, _| {});
        let none = [Body::Unreadable; 3];
        assert_eq!(read(&bytes, B256::repeat_byte(1), &key), none, "other bodies were announced");
        assert_eq!(read(&bytes[..bytes.len() - 1], root, &key), none, "cut off");
        assert_eq!(read(b"no blob", root, &key), none);
        let small = BlobKey { most_bytes: 3, ..self::key(SessionKey::PUBLIC) };
        assert_eq!(read(&bytes, root, &small), none, "larger than the terms allow");
        let other = BlobKey { salt: B256::ZERO, ..self::key(SessionKey::PUBLIC) };
        assert_eq!(read(&bytes, root, &other), none, "another salt");
    }
}
