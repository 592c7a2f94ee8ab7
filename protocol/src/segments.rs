//! Encryption of long data in authenticated segments: whoever reads it holds one segment in memory at a time, and never sees
//! a byte that was not authenticated.
//!
//! ```text
//! segment_i = AES-256-GCM(key, nonce = 7 zero bytes | u32(i) | u8(1 if last), aad, plaintext[i * 65536 ..][.. 65536])
//! ```
//! The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) with a 32-bit counter: segments cannot be cut off,
//! reordered or swapped. A key encrypts one stream only, hence the constant nonce prefix. Empty data is one empty segment.

use std::io::{self, Read, Write};

use aead_stream::{NewStream, StreamBE32, StreamPrimitive};
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{KeyInit, Payload};
use thiserror::Error;

/// Plaintext bytes of every segment but the last.
pub const SEGMENT_BYTES: usize = 64 << 10;
/// What the cipher adds to each segment.
pub const TAG_BYTES: usize = 16;

fn stream(key: &[u8; 32]) -> StreamBE32<Aes256Gcm> {
    StreamBE32::from_aead(Aes256Gcm::new(key.into()), &[0; 7].into())
}

/// Data that cannot be sealed or opened.
#[derive(Debug, Error)]
pub enum SegmentError {
    /// Wrong key, wrong place, or changed bytes.
    #[error(
        "segment {segment} does not decrypt: the key is another one, or the bytes were changed, cut off or put elsewhere"
    )]
    Decrypt {
        /// Which segment, from 0.
        segment: u32,
    },
    /// No encryption has this length.
    #[error("{found} bytes cannot be segmented ciphertext: the last segment has {rest}, expected at least {TAG_BYTES}")]
    Length {
        /// Length of the data.
        found: u64,
        /// Length of its last segment.
        rest: u64,
    },
    /// More than 2^32 segments.
    #[error("the data is too long: at most 2^32 segments of {SEGMENT_BYTES} bytes can be encrypted under one key")]
    TooLong,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Length of the ciphertext of `plain` bytes.
pub const fn sealed_len(plain: u64) -> u64 {
    let segments = plain.div_ceil(SEGMENT_BYTES as u64);
    plain + TAG_BYTES as u64 * if segments == 0 { 1 } else { segments }
}

/// Length of the plaintext of `sealed` bytes.
///
/// # Errors
/// When no plaintext has a ciphertext of this length.
pub const fn plain_len(sealed: u64) -> Result<u64, SegmentError> {
    let whole = (SEGMENT_BYTES + TAG_BYTES) as u64;
    let (segments, rest) = (sealed.div_ceil(whole), sealed % whole);
    if sealed == 0 || (rest != 0 && rest < TAG_BYTES as u64) || (rest == TAG_BYTES as u64 && segments > 1) {
        return Err(SegmentError::Length { found: sealed, rest });
    }
    Ok(sealed - segments * TAG_BYTES as u64)
}

/// Encrypts `plain` into `out`; returns the number of bytes written.
///
/// # Errors
/// When reading or writing fails.
pub fn seal(key: &[u8; 32], aad: &[u8], plain: impl Read, mut out: impl Write) -> Result<u64, SegmentError> {
    let stream = stream(key);
    let mut pieces = Pieces::new(plain, SEGMENT_BYTES)?;
    let (mut written, mut position) = (0, 0_u32);
    loop {
        let (msg, last) = pieces.next()?;
        let sealed = stream.encrypt(position, last, Payload { msg, aad }).map_err(|_| SegmentError::TooLong)?;
        out.write_all(&sealed)?;
        written += sealed.len() as u64;
        if last {
            return Ok(written);
        }
        position = position.checked_add(1).ok_or(SegmentError::TooLong)?;
    }
}

/// Decrypts `sealed` into `out`, segment by segment; returns the number of bytes written. What was written before an error
/// was authentic, but not all.
///
/// # Errors
/// When a segment is not what was sealed under this key and `aad`, or reading or writing fails.
pub fn open(key: &[u8; 32], aad: &[u8], sealed: impl Read, mut out: impl Write) -> Result<u64, SegmentError> {
    let stream = stream(key);
    let mut pieces = Pieces::new(sealed, SEGMENT_BYTES + TAG_BYTES)?;
    let (mut written, mut position) = (0, 0_u32);
    loop {
        let (msg, last) = pieces.next()?;
        let wrong = SegmentError::Decrypt { segment: position };
        let Ok(plain) = stream.decrypt(position, last, Payload { msg, aad }) else { return Err(wrong) };
        if last && position > 0 && plain.is_empty() {
            // One plaintext, one ciphertext: only empty data ends with an empty segment.
            return Err(wrong);
        }
        out.write_all(&plain)?;
        written += plain.len() as u64;
        if last {
            return Ok(written);
        }
        position = position.checked_add(1).ok_or(SegmentError::TooLong)?;
    }
}

/// [`seal`] in memory.
///
/// # Panics
/// Never: memory takes every write, and 2^32 segments do not fit it.
pub fn seal_bytes(key: &[u8; 32], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sealed_len(plain.len() as u64) as usize);
    seal(key, aad, plain, &mut out).expect("memory takes every write");
    out
}

/// [`open`] in memory.
///
/// # Errors
/// As [`open`].
pub fn open_bytes(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SegmentError> {
    let mut out = Vec::with_capacity(plain_len(sealed.len() as u64)? as usize);
    open(key, aad, sealed, &mut out)?;
    Ok(out)
}

/// Reads pieces of a fixed size and knows of each whether it is the last: it looks one piece ahead.
struct Pieces<R> {
    source: R,
    size: usize,
    current: Vec<u8>,
    ahead: Vec<u8>,
}

impl<R: Read> Pieces<R> {
    fn new(source: R, size: usize) -> io::Result<Self> {
        let mut pieces = Self { source, size, current: Vec::new(), ahead: Vec::new() };
        pieces.fill()?;
        Ok(pieces)
    }

    fn fill(&mut self) -> io::Result<()> {
        self.ahead.clear();
        self.source.by_ref().take(self.size as u64).read_to_end(&mut self.ahead).map(|_| ())
    }

    fn next(&mut self) -> io::Result<(&[u8], bool)> {
        std::mem::swap(&mut self.current, &mut self.ahead);
        self.fill()?;
        Ok((&self.current, self.ahead.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn data(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 % 251) as u8).collect()
    }

    #[test]
    fn every_length_survives_and_has_the_length_that_is_computed() {
        for len in [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 3 * SEGMENT_BYTES] {
            let sealed = seal_bytes(&KEY, b"aad", &data(len));
            assert_eq!(sealed.len() as u64, sealed_len(len as u64));
            assert_eq!(plain_len(sealed.len() as u64).unwrap(), len as u64);
            assert_eq!(open_bytes(&KEY, b"aad", &sealed).unwrap(), data(len));
        }
    }

    #[test]
    fn a_wrong_key_or_place_is_refused() {
        let sealed = seal_bytes(&KEY, b"aad", &data(100));
        assert!(matches!(open_bytes(&[8; 32], b"aad", &sealed), Err(SegmentError::Decrypt { segment: 0 })));
        assert!(matches!(open_bytes(&KEY, b"other", &sealed), Err(SegmentError::Decrypt { segment: 0 })));
    }

    #[test]
    fn truncated_ciphertext_is_refused_at_every_length() {
        let sealed = seal_bytes(&KEY, b"", &data(SEGMENT_BYTES + 40));
        let boundary = SEGMENT_BYTES + TAG_BYTES;
        for len in (0..40).chain(boundary - 3..sealed.len()) {
            assert!(open_bytes(&KEY, b"", &sealed[..len]).is_err(), "{len} bytes were taken for the whole");
        }
    }

    #[test]
    fn reordered_and_doubled_segments_are_refused() {
        let sealed = seal_bytes(&KEY, b"", &data(3 * SEGMENT_BYTES));
        let segments: Vec<&[u8]> = sealed.chunks(SEGMENT_BYTES + TAG_BYTES).collect();
        for order in [vec![1, 0, 2], vec![0, 2, 1], vec![0, 0, 1, 2], vec![0, 2], vec![2]] {
            let moved: Vec<u8> = order.iter().flat_map(|i| segments[*i].iter().copied()).collect();
            assert!(open_bytes(&KEY, b"", &moved).is_err(), "{order:?}");
        }
    }

    #[test]
    fn swapped_streams_are_refused() {
        let ours = seal_bytes(&KEY, b"input 1", &data(2 * SEGMENT_BYTES));
        let theirs = seal_bytes(&KEY, b"input 2", &vec![9; 2 * SEGMENT_BYTES]);
        let cut = SEGMENT_BYTES + TAG_BYTES;
        let mixed = [&ours[..cut], &theirs[cut..]].concat();
        assert!(matches!(open_bytes(&KEY, b"input 1", &mixed), Err(SegmentError::Decrypt { segment: 1 })));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let sealed = seal_bytes(&KEY, b"", &data(50));
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open_bytes(&KEY, b"", &changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn impossible_lengths_are_said() {
        for (len, ok) in
            [(0, false), (15, false), (16, true), (65_552, true), (65_553, false), (65_568, false), (65_569, true)]
        {
            assert_eq!(plain_len(len).is_ok(), ok, "{len}");
        }
    }
}
