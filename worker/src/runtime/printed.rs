//! What an app prints: collected while it runs, head and tail, within a cap. Nothing of it enters a digest.
//!
//! It is read as it comes and kept in memory, so output that never ends fills no disk, neither the engine's nor ours.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy::primitives::Bytes;
use sunwork_protocol::logs::{Capture, Chunk, Stream};

/// Most pieces that head and tail are kept in; an app that changes between its streams with every byte would make of each
/// byte a line of the log otherwise. What is beyond is joined to the last piece, as if it came from the same stream.
const MAX_CHUNKS: usize = 512;

/// Collects the output of one leaf. Copies share it, so it can be read while the leaf runs, and when it was stopped.
#[derive(Clone, Debug)]
pub struct Printing {
    cap: usize,
    capture: Arc<Mutex<Capture>>,
}

impl Printing {
    /// Keeps at most `cap` bytes.
    pub fn new(cap: usize) -> Self {
        Self { cap, capture: Arc::new(Mutex::new(Capture::new(cap))) }
    }

    /// Forgets everything: the leaf starts (again).
    pub fn restart(&self) {
        *self.lock() = Capture::new(self.cap);
    }

    /// Adds what was printed next.
    pub fn push(&self, stream: Stream, bytes: &[u8]) {
        self.lock().push(stream, bytes);
    }

    /// What was printed so far.
    pub fn printed(&self) -> Printed {
        let (head, omitted_bytes, tail) = self.lock().clone().finish();
        Printed { head: joined(head), omitted_bytes, tail: joined(tail) }
    }

    fn lock(&self) -> MutexGuard<'_, Capture> {
        self.capture.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a leaf printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// The beginning.
    pub head: Vec<Chunk>,
    /// Bytes left out between head and tail.
    pub omitted_bytes: u64,
    /// The end.
    pub tail: Vec<Chunk>,
}

impl Printed {
    /// True when nothing was printed.
    pub const fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty() && self.omitted_bytes == 0
    }

    /// The last bytes of both streams together, at most `most`.
    pub fn last_bytes(&self, most: usize) -> Vec<u8> {
        // With a gap behind it, the head is not before the tail.
        let head = if self.omitted_bytes == 0 { self.head.as_slice() } else { &[] };
        let mut all: Vec<u8> = head.iter().chain(&self.tail).flat_map(|chunk| chunk.bytes.iter().copied()).collect();
        all.split_off(all.len().saturating_sub(most))
    }
}

/// Joins neighbours of one stream, and everything beyond [`MAX_CHUNKS`].
fn joined(chunks: Vec<Chunk>) -> Vec<Chunk> {
    let mut pieces: Vec<(Stream, Vec<u8>)> = Vec::new();
    for chunk in chunks {
        let full = pieces.len() >= MAX_CHUNKS;
        match pieces.last_mut() {
            Some((stream, bytes)) if *stream == chunk.stream || full => bytes.extend_from_slice(&chunk.bytes),
            _ => pieces.push((chunk.stream, chunk.bytes.to_vec())),
        }
    }
    pieces.into_iter().map(|(stream, bytes)| Chunk { stream, bytes: Bytes::from(bytes) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_stream_are_joined_and_their_number_is_bounded() {
        let printing = Printing::new(4096);
        for i in 0..4096_u32 {
            let stream = if i % 2 == 0 { Stream::Stdout } else { Stream::Stderr };
            printing.push(stream, &[(i % 251) as u8]);
        }
        let printed = printing.printed();
        assert_eq!((printed.head.len(), printed.tail.len(), printed.omitted_bytes), (MAX_CHUNKS, MAX_CHUNKS, 0));
        let all: Vec<u8> = printed.head.iter().chain(&printed.tail).flat_map(|chunk| chunk.bytes.to_vec()).collect();
        assert_eq!(all, (0..4096_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>(), "in the order of printing");
        assert_eq!(printed.last_bytes(2), all[4094..]);
        printing.restart();
        assert!(printing.printed().is_empty());
        (0..10).for_each(|_| printing.push(Stream::Stdout, b"sun "));
        assert_eq!(printing.printed().head.len(), 1);
    }

    #[test]
    fn last_bytes_do_not_join_what_was_not_together() {
        let printing = Printing::new(8);
        printing.push(Stream::Stdout, b"headmiddletail");
        assert_eq!(printing.printed().last_bytes(100), b"tail");
    }
}
