//! The result blob: leaf by leaf encrypted, readable by nobody before the worker's salt is revealed.
//!
//! ```text
//! "SWB1" | u32(n) | n x (u64(offset) | u64(length)) | bodies
//! ```
//! Bodies follow each other in order without gaps, and the blob ends with the last one: an index that says otherwise is
//! refused, so two readers can never see different bytes. A reader may fetch the head, then single bodies by range.

use std::io::{Read, Write};
use std::ops::Range;

use alloy::primitives::{Address, B256};
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::leaf::{FileEntry, LeafRecord, Outcome, PathError, RecordError, tree_hash};
use crate::merkle::Tree;
use crate::segments;
use crate::tar::{self, Event, Kind, Reader, TarError};

/// First bytes of a result blob.
pub const MAGIC: [u8; 4] = *b"SWB1";
/// The session key of public work.
pub const PUBLIC_SESSION_KEY: [u8; 32] = [0; 32];
/// Most leaves that a bundle may have; bounds the head that a reader allocates (16 MiB).
pub const MAX_LEAVES: u32 = 1 << 20;
/// Shortest body: outcome, exit status and the cipher's tag.
pub const MIN_BODY_BYTES: u64 = PREFIX_BYTES as u64 + 16;
/// Largest plaintext of one leaf: it is encrypted in one piece, in memory.
pub const MAX_PLAINTEXT_BYTES: u64 = 1 << 32;

/// Largest body of one leaf whose output may have so many MiB: what tar and cipher add for the most files with the longest names
/// comes on top. A longer one is none, to verifiers and clients alike.
pub fn max_body_bytes(output_mib: u32) -> u64 {
    // Header, padding, and a PAX record with a name of 1024 bytes.
    const PER_FILE_BYTES: u64 = 4096;
    let output = u64::from(output_mib) << 20;
    segments::sealed_len((output + crate::leaf::MAX_FILES as u64 * PER_FILE_BYTES + 4096).min(MAX_PLAINTEXT_BYTES))
}

/// Largest result blob of so many leaves.
pub fn max_blob_bytes(leaf_count: u32, output_mib: u32) -> u64 {
    head_bytes(leaf_count).saturating_add(u64::from(leaf_count).saturating_mul(max_body_bytes(output_mib)))
}

const PREFIX_BYTES: usize = 5;
const HEAD_BYTES: u64 = 8;
const ROW_BYTES: u64 = 16;

/// A bundle or a leaf of it that is not what it should be.
#[derive(Debug, Error)]
pub enum BundleError {
    /// Not a result blob.
    #[error("the blob starts with {found:02x?}, expected {MAGIC:02x?} (\"SWB1\")")]
    Magic {
        /// The first bytes.
        found: [u8; 4],
    },
    /// Another number of leaves than the terms say.
    #[error("the blob holds {found} leaves, expected {expected}")]
    LeafCount {
        /// Count in the blob.
        found: u32,
        /// Count in the terms, or the cap.
        expected: u32,
    },
    /// The blob is too short for its head.
    #[error("the head of the blob has {found} bytes, expected {expected}")]
    HeadLength {
        /// Bytes there.
        found: u64,
        /// Bytes needed.
        expected: u64,
    },
    /// A row of the index does not follow the one before.
    #[error("leaf {leaf} starts at byte {found}, expected {expected}")]
    Offset {
        /// Which leaf.
        leaf: u32,
        /// Offset in the index.
        found: u64,
        /// Where the one before ends.
        expected: u64,
    },
    /// A body that cannot be.
    #[error("the body of leaf {leaf} has {found} bytes, expected {expected}")]
    BodyLength {
        /// Which leaf.
        leaf: u32,
        /// Length found.
        found: u64,
        /// What was expected.
        expected: String,
    },
    /// The bodies do not end where the blob ends.
    #[error("the bodies end at byte {found}, the blob has {expected} bytes")]
    End {
        /// End by the index.
        found: u64,
        /// Length of the blob.
        expected: u64,
    },
    /// Wrong key, another leaf's body, or changed bytes.
    #[error("leaf {leaf} does not decrypt: the key is another one, or the bytes were changed")]
    Decrypt {
        /// Which leaf.
        leaf: u32,
    },
    /// The plaintext is shorter than its head.
    #[error("the plaintext has {found} bytes, expected at least {PREFIX_BYTES}")]
    PlaintextLength {
        /// Length found.
        found: usize,
    },
    /// Outcome and exit status do not go together.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A failed leaf with files.
    #[error("outcome \"{outcome}\" comes with {found} bytes of files, expected none")]
    Unexpected {
        /// The outcome.
        outcome: Outcome,
        /// Bytes found.
        found: usize,
    },
    /// The files are not a tar archive.
    #[error("the files of the leaf cannot be read: {0}")]
    Tar(#[from] TarError),
    /// The archive holds something else than regular files.
    #[error("{path} in the leaf's files is not a regular file (a {kind})")]
    NotAFile {
        /// Its name.
        path: String,
        /// What it is.
        kind: String,
    },
    /// A file name that no result may hold.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Reading or writing failed.
    #[error("copying the body of leaf {leaf}: {source}")]
    Io {
        /// Which leaf.
        leaf: u32,
        /// The reason.
        source: std::io::Error,
    },
}

/// Key of one leaf. It is used once, hence the constant nonce: what leaves the machine under one salt must be one plaintext. A leaf
/// that is computed anew after any of its bundle was sent needs a bundle under a fresh salt, since apps may answer differently.
pub fn leaf_key(session_key: &[u8; 32], salt: &B256, agreement: Address, attempt: u8, leaf: u32) -> [u8; 32] {
    let ikm = zeroize::Zeroizing::new([session_key.as_slice(), salt.as_slice()].concat());
    let info = [agreement.as_slice(), &[attempt], &leaf.to_be_bytes()].concat();
    let mut key = [0; 32];
    Hkdf::<Sha256>::new(Some(b"sunwork.leaf.key.v1"), &ikm)
        .expand(&info, &mut key)
        .expect("32 bytes are one block of SHA-256, HKDF gives up to 255");
    key
}

fn aad(agreement: Address, leaf: u32) -> Vec<u8> {
    [agreement.as_slice(), &leaf.to_be_bytes()].concat()
}

/// Encrypts the plaintext of one leaf, in authenticated [`segments`].
pub fn encrypt_leaf(key: &[u8; 32], agreement: Address, leaf: u32, plaintext: &[u8]) -> Vec<u8> {
    segments::seal_bytes(key, &aad(agreement, leaf), plaintext)
}

/// Decrypts the body of one leaf.
///
/// # Errors
/// When key, agreement, leaf and bytes do not belong together.
pub fn decrypt_leaf(key: &[u8; 32], agreement: Address, leaf: u32, body: &[u8]) -> Result<Vec<u8>, BundleError> {
    segments::open_bytes(key, &aad(agreement, leaf), body).map_err(|_| BundleError::Decrypt { leaf })
}

/// SHA-256 of a body: the data of its leaf in the ciphertext tree.
pub fn body_hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// Root of the ciphertext tree, from the [`body_hash`] of every leaf in order.
pub fn ciphertext_root(body_hashes: &[[u8; 32]]) -> B256 {
    let leaves: Vec<B256> = body_hashes.iter().map(B256::from).collect();
    Tree::new(&leaves).root()
}

/// Plaintext of one leaf: its record, then the archive of its files (empty unless completed).
pub fn plaintext(record: &LeafRecord, files_tar: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(PREFIX_BYTES + files_tar.len());
    out.push(record.outcome.code());
    out.extend_from_slice(&record.exit_status.to_be_bytes());
    out.extend_from_slice(files_tar);
    out
}

/// One file of an opened leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedFile {
    /// Name, length and hash.
    pub entry: FileEntry,
    /// Where its content stands within the plaintext.
    pub content: Range<usize>,
}

/// A leaf whose record was computed anew from its plaintext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedLeaf {
    /// The record; its digest is what must stand in the result tree.
    pub record: LeafRecord,
    /// Its files; the paths are plain and relative, so making them below a fresh folder stays inside it.
    pub files: Vec<OpenedFile>,
}

/// Reads a plaintext that somebody else wrote and computes its record.
///
/// # Errors
/// When it has no canonical form: unknown outcome, files with a failed leaf, anything but regular files with plain names.
pub fn open_plaintext(plaintext: &[u8]) -> Result<OpenedLeaf, BundleError> {
    let Some((prefix, archive)) = plaintext.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(BundleError::PlaintextLength { found: plaintext.len() });
    };
    let exit_status = i32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    let outcome = LeafRecord::check(prefix[0], exit_status)?;
    if outcome != Outcome::Completed {
        if !archive.is_empty() {
            return Err(BundleError::Unexpected { outcome, found: archive.len() });
        }
        return Ok(OpenedLeaf { record: LeafRecord { outcome, exit_status, tree_hash: B256::ZERO }, files: vec![] });
    }
    let files = read_files(archive)?;
    let entries: Vec<FileEntry> = files.iter().map(|f| f.entry.clone()).collect();
    Ok(OpenedLeaf { record: LeafRecord::completed(tree_hash(&entries)?), files })
}

fn read_files(archive: &[u8]) -> Result<Vec<OpenedFile>, BundleError> {
    let mut files: Vec<OpenedFile> = Vec::new();
    let mut hasher = Sha256::new();
    let mut reader = Reader::new();
    reader.feed(archive, &mut |event| -> Result<(), BundleError> {
        match event {
            Event::Entry(e) => {
                if e.kind != Kind::File {
                    let path = format!("{:?}", String::from_utf8_lossy(&e.path));
                    return Err(BundleError::NotAFile { path, kind: format!("{:?}", e.kind) });
                }
                if files.len() == crate::leaf::MAX_FILES {
                    return Err(PathError::TooMany(files.len() + 1).into());
                }
                crate::leaf::check_path(&e.path)?;
                // Offsets lie within `archive` once its data was seen; `finish` below catches one that does not.
                let start = PREFIX_BYTES + e.data_offset as usize;
                let content = start..start.saturating_add(e.size as usize);
                files.push(OpenedFile {
                    entry: FileEntry { path: e.path.clone(), size: e.size, sha256: [0; 32] },
                    content,
                });
            }
            Event::Data(bytes) => hasher.update(bytes),
            Event::EntryEnd => {
                if let Some(file) = files.last_mut() {
                    file.entry.sha256 = hasher.finalize_reset().into();
                }
            }
        }
        Ok(())
    })?;
    reader.finish()?;
    Ok(files)
}

/// Archive of a leaf's files for its plaintext. `files` are pairs of path and content; the order does not matter.
///
/// # Errors
/// When a path may not stand in a result.
pub fn files_tar(files: &mut [(Vec<u8>, Vec<u8>)]) -> Result<Vec<u8>, PathError> {
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let mut out = Vec::new();
    for (path, content) in files.iter() {
        crate::leaf::check_path(path)?;
        out.extend_from_slice(&tar::file_header(path, content.len() as u64));
        out.extend_from_slice(content);
        out.resize(out.len() + tar::padding(content.len() as u64) as usize, 0);
    }
    out.extend_from_slice(&tar::END);
    Ok(out)
}

/// Length of the head of a bundle of `n` leaves.
pub const fn head_bytes(n: u32) -> u64 {
    HEAD_BYTES + ROW_BYTES * n as u64
}

/// Writes a bundle from bodies that lie elsewhere: only their lengths are needed first, so a worker keeps one leaf in
/// memory at a time.
pub struct BundleWriter<W: Write> {
    out: W,
    lengths: Vec<u64>,
    next: u32,
}

impl<W: Write> BundleWriter<W> {
    /// Writes the head.
    ///
    /// # Errors
    /// When there are too many leaves, a body is too short, or writing fails.
    pub fn new(mut out: W, body_lengths: &[u64]) -> Result<Self, BundleError> {
        let n = u32::try_from(body_lengths.len()).unwrap_or(u32::MAX);
        if n > MAX_LEAVES {
            return Err(BundleError::LeafCount { found: n, expected: MAX_LEAVES });
        }
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&n.to_be_bytes());
        let mut offset = head_bytes(n);
        for (leaf, length) in (0..).zip(body_lengths) {
            let end = offset.checked_add(*length).filter(|_| *length >= MIN_BODY_BYTES);
            let Some(end) = end else { return Err(body_too_short(leaf, *length)) };
            head.extend_from_slice(&offset.to_be_bytes());
            head.extend_from_slice(&length.to_be_bytes());
            offset = end;
        }
        out.write_all(&head).map_err(|source| BundleError::Io { leaf: 0, source })?;
        Ok(Self { out, lengths: body_lengths.to_vec(), next: 0 })
    }

    /// Appends the next body, of exactly the length announced.
    ///
    /// # Errors
    /// When the body has another length or there is none left to write, or copying fails.
    pub fn append(&mut self, body: &mut impl Read) -> Result<(), BundleError> {
        let leaf = self.next;
        let expected = self.lengths.get(leaf as usize).copied().unwrap_or(0);
        // One byte more than announced is asked for, so that a longer body shows.
        let found = std::io::copy(&mut body.take(expected.saturating_add(1)), &mut self.out)
            .map_err(|source| BundleError::Io { leaf, source })?;
        if found != expected || expected == 0 {
            return Err(BundleError::BodyLength { leaf, found, expected: expected.to_string() });
        }
        self.next += 1;
        Ok(())
    }

    /// Ends the bundle and gives the writer back.
    ///
    /// # Errors
    /// When bodies are missing.
    pub fn finish(mut self) -> Result<W, BundleError> {
        let expected = self.lengths.len() as u32;
        if self.next != expected {
            return Err(BundleError::LeafCount { found: self.next, expected });
        }
        self.out.flush().map_err(|source| BundleError::Io { leaf: expected, source })?;
        Ok(self.out)
    }
}

fn body_too_short(leaf: u32, found: u64) -> BundleError {
    BundleError::BodyLength { leaf, found, expected: format!("at least {MIN_BODY_BYTES}, and an end below 2^64") }
}

/// Where the bodies of a bundle lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    ranges: Vec<Range<u64>>,
}

impl Index {
    /// Reads and checks the head of a bundle: `head` is its first [`head_bytes`] (more does not harm), `leaf_count` the
    /// number in the terms, `blob_bytes` the length of the blob.
    ///
    /// # Errors
    /// The first thing in it that is not as it must be.
    pub fn parse(head: &[u8], leaf_count: u32, blob_bytes: u64) -> Result<Self, BundleError> {
        if leaf_count > MAX_LEAVES {
            return Err(BundleError::LeafCount { found: leaf_count, expected: MAX_LEAVES });
        }
        let short = || BundleError::HeadLength { found: head.len() as u64, expected: head_bytes(leaf_count) };
        let (magic, rest) = head.split_first_chunk::<4>().ok_or_else(short)?;
        if *magic != MAGIC {
            return Err(BundleError::Magic { found: *magic });
        }
        let (count, rows) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let found = u32::from_be_bytes(*count);
        if found != leaf_count {
            return Err(BundleError::LeafCount { found, expected: leaf_count });
        }
        let rows = rows.get(..leaf_count as usize * ROW_BYTES as usize).ok_or_else(short)?;
        let mut expected = head_bytes(leaf_count);
        let mut ranges = Vec::with_capacity(leaf_count as usize);
        for (leaf, row) in (0..).zip(rows.chunks_exact(ROW_BYTES as usize)) {
            let word = |at: usize| row[at..at + 8].iter().fold(0_u64, |n, b| n << 8 | u64::from(*b));
            let (offset, length) = (word(0), word(8));
            if offset != expected {
                return Err(BundleError::Offset { leaf, found: offset, expected });
            }
            if length < MIN_BODY_BYTES {
                return Err(body_too_short(leaf, length));
            }
            let end = offset.checked_add(length).filter(|end| *end <= blob_bytes);
            let Some(end) = end else {
                let expected = format!("at most {}, what is left of the blob", blob_bytes.saturating_sub(offset));
                return Err(BundleError::BodyLength { leaf, found: length, expected });
            };
            ranges.push(offset..end);
            expected = end;
        }
        if expected != blob_bytes {
            return Err(BundleError::End { found: expected, expected: blob_bytes });
        }
        Ok(Self { ranges })
    }

    /// Number of leaves.
    pub fn len(&self) -> u32 {
        self.ranges.len() as u32
    }

    /// True without leaves.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Bytes of the body of `leaf` within the blob.
    pub fn range(&self, leaf: u32) -> Option<Range<u64>> {
        self.ranges.get(leaf as usize).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::{address, b256};

    const AGREEMENT: Address = address!("00000000000000000000000000000000000000aa");

    fn key(leaf: u32) -> [u8; 32] {
        leaf_key(&PUBLIC_SESSION_KEY, &B256::repeat_byte(0x22), AGREEMENT, 1, leaf)
    }

    fn leaf(i: u32) -> Vec<u8> {
        let archive = files_tar(&mut [(b"b".to_vec(), vec![i as u8; 600]), (b"a/x".to_vec(), b"hi".to_vec())]);
        let archive = archive.expect("plain paths");
        let entries = [
            FileEntry { path: b"a/x".to_vec(), size: 2, sha256: body_hash(b"hi") },
            FileEntry { path: b"b".to_vec(), size: 600, sha256: body_hash(&[i as u8; 600]) },
        ];
        plaintext(&LeafRecord::completed(tree_hash(&entries).expect("plain paths")), &archive)
    }

    fn bundle() -> (Vec<u8>, Vec<Vec<u8>>) {
        let bodies: Vec<_> = (0..3).map(|i| encrypt_leaf(&key(i), AGREEMENT, i, &leaf(i))).collect();
        let lengths: Vec<u64> = bodies.iter().map(|b| b.len() as u64).collect();
        let mut writer = BundleWriter::new(Vec::new(), &lengths).expect("head");
        for body in &bodies {
            writer.append(&mut body.as_slice()).expect("body");
        }
        (writer.finish().expect("complete"), bodies)
    }

    /// The values were computed with Python's `cryptography`, from docs/PROTOCOL.md alone.
    #[test]
    fn golden_values() {
        let session_key = [0x11; 32];
        let key = leaf_key(&session_key, &B256::repeat_byte(0x22), AGREEMENT, 1, 5);
        assert_eq!(B256::from(key), b256!("c21fcd6efb49e0044b2184ddb75683804a00cce275ee15047635c8cad6a9b8ba"));
        let body = encrypt_leaf(&key, AGREEMENT, 5, &plaintext(&LeafRecord::app_failed(3), &[]));
        assert_eq!(hex::encode(&body), "280acda7ffea703017433e579c256837ae15d5b77f");
        let opened = open_plaintext(&decrypt_leaf(&key, AGREEMENT, 5, &body).expect("decrypts")).expect("opens");
        assert_eq!(opened.record, LeafRecord::app_failed(3));
    }

    #[test]
    fn a_bundle_opens_leaf_by_leaf() {
        let (blob, bodies) = bundle();
        let index = Index::parse(&blob[..head_bytes(3) as usize], 3, blob.len() as u64).expect("index");
        assert_eq!((index.len(), index.is_empty(), index.range(3)), (3, false, None));
        for i in 0..3 {
            let range = index.range(i).expect("leaf is there");
            let body = &blob[range.start as usize..range.end as usize];
            assert_eq!(body, bodies[i as usize]);
            let plain = decrypt_leaf(&key(i), AGREEMENT, i, body).expect("decrypts");
            let opened = open_plaintext(&plain).expect("opens");
            assert_eq!(opened.files[0].entry.path, b"a/x");
            assert_eq!(&plain[opened.files[0].content.clone()], b"hi");
            assert_eq!(&plain[opened.files[1].content.clone()], &[i as u8; 600]);
        }
    }

    #[test]
    fn wrong_key_swapped_leaf_and_flipped_bits_do_not_decrypt() {
        let (_, bodies) = bundle();
        let other_salt = leaf_key(&PUBLIC_SESSION_KEY, &B256::ZERO, AGREEMENT, 1, 0);
        let other_attempt = leaf_key(&PUBLIC_SESSION_KEY, &B256::repeat_byte(0x22), AGREEMENT, 2, 0);
        for wrong in [other_salt, other_attempt, key(1)] {
            assert!(decrypt_leaf(&wrong, AGREEMENT, 0, &bodies[0]).is_err());
        }
        assert!(decrypt_leaf(&key(0), AGREEMENT, 0, &bodies[1]).is_err());
        assert!(decrypt_leaf(&key(0), AGREEMENT, 1, &bodies[0]).is_err());
        assert!(decrypt_leaf(&key(0), Address::ZERO, 0, &bodies[0]).is_err());
        for at in [0, 4, 5, bodies[0].len() - 1] {
            let mut flipped = bodies[0].clone();
            flipped[at] ^= 1;
            assert!(decrypt_leaf(&key(0), AGREEMENT, 0, &flipped).is_err());
        }
        assert!(decrypt_leaf(&key(0), AGREEMENT, 0, &bodies[0][..15]).is_err());
        let hashes: Vec<_> = bodies.iter().map(|b| body_hash(b)).collect();
        let swapped = [hashes[1], hashes[0], hashes[2]];
        assert_ne!(ciphertext_root(&hashes), ciphertext_root(&swapped));
    }

    #[test]
    fn every_malformed_index_is_refused() {
        let (blob, _) = bundle();
        let size = blob.len() as u64;
        let head = &blob[..head_bytes(3) as usize];
        for end in 0..head.len() {
            assert!(matches!(Index::parse(&head[..end], 3, size), Err(BundleError::HeadLength { .. })), "{end}");
        }
        assert!(matches!(Index::parse(head, 2, size), Err(BundleError::LeafCount { found: 3, expected: 2 })));
        assert!(matches!(Index::parse(head, u32::MAX, size), Err(BundleError::LeafCount { .. })));
        // Whatever single byte changes, the index is no longer the one canonical for a blob of this length.
        for at in 0..head.len() {
            for bit in 0..8 {
                let mut changed = head.to_vec();
                changed[at] ^= 1 << bit;
                assert!(Index::parse(&changed, 3, size).is_err(), "byte {at} bit {bit}");
            }
        }
        assert!(matches!(Index::parse(head, 3, size + 1), Err(BundleError::End { .. })));
        assert!(matches!(Index::parse(head, 3, size - 1), Err(BundleError::BodyLength { leaf: 2, .. })));
        let mut huge = head.to_vec();
        huge[16..24].fill(0xff);
        assert!(matches!(Index::parse(&huge, 3, size), Err(BundleError::BodyLength { leaf: 0, .. })));
        let mut short = head.to_vec();
        short[16..24].copy_from_slice(&20_u64.to_be_bytes());
        assert!(matches!(Index::parse(&short, 3, size), Err(BundleError::BodyLength { leaf: 0, .. })));
    }

    #[test]
    fn a_writer_takes_no_other_bodies_than_announced() {
        let mut writer = BundleWriter::new(Vec::new(), &[21, 22]).expect("head");
        assert!(matches!(writer.append(&mut [0_u8; 20].as_slice()), Err(BundleError::BodyLength { .. })));
        let mut writer = BundleWriter::new(Vec::new(), &[21]).expect("head");
        assert!(matches!(writer.append(&mut [0_u8; 22].as_slice()), Err(BundleError::BodyLength { .. })));
        let mut writer = BundleWriter::new(Vec::new(), &[21]).expect("head");
        writer.append(&mut [0_u8; 21].as_slice()).expect("body");
        assert!(writer.append(&mut [0_u8; 21].as_slice()).is_err());
        let writer = BundleWriter::new(Vec::new(), &[21]).expect("head");
        assert!(matches!(writer.finish(), Err(BundleError::LeafCount { found: 0, expected: 1 })));
        assert!(BundleWriter::new(Vec::new(), &[20]).is_err());
        assert!(BundleWriter::new(Vec::new(), &[u64::MAX, 21]).is_err());
    }

    #[test]
    fn plaintexts_have_one_form() {
        assert!(matches!(open_plaintext(&[0; 4]), Err(BundleError::PlaintextLength { found: 4 })));
        assert!(matches!(open_plaintext(&[9, 0, 0, 0, 0]), Err(BundleError::Record(_))));
        assert!(matches!(open_plaintext(&[4, 0, 0, 0, 0, 1]), Err(BundleError::Unexpected { .. })));
        assert!(matches!(files_tar(&mut [(b"../x".to_vec(), vec![])]), Err(PathError::NotPlain(_))));
        let escaping = [&[0; 5], tar::file_header(b"../x", 0).as_slice(), &tar::END].concat();
        assert!(matches!(open_plaintext(&escaping), Err(BundleError::Path(_))));
        let whole = leaf(0);
        for end in [6, 600, 1100] {
            assert!(open_plaintext(&whole[..end]).is_err(), "{end}");
        }
    }
}
