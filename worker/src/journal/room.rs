//! Room for the journal that is kept back: when the disk is full, agreements under way can still be written about.
//!
//! Blocks are reserved beyond the end of the file; its size does not change. Where the file system cannot do that, a full disk is
//! only noticed by the write that fails.
use std::fs::File;

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

/// What is reserved: some hundred records, more than an agreement of ordinary size writes.
pub(super) const RESERVE_BYTES: u64 = 256 << 10;

/// How much of it there is.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Bytes of the file up to which blocks are reserved.
    reserved_to: u64,
    /// Less than half is left, and more was not to be had.
    low: bool,
    /// The last write found no room at all.
    full: bool,
}

impl Room {
    /// Reserves more when less than half is left beyond `length`.
    pub(super) fn keep(&mut self, file: &File, length: u64) {
        if self.reserved_to >= length + RESERVE_BYTES / 2 {
            return;
        }
        self.low = match fallocate(file, FallocateFlags::KEEP_SIZE, length, RESERVE_BYTES) {
            Ok(()) => {
                self.reserved_to = length + RESERVE_BYTES;
                false
            }
            // Not every file system can.
            Err(error) => matches!(error, Errno::NOSPC | Errno::DQUOT | Errno::FBIG),
        };
    }

    /// A write was cut back: blocks beyond the end may be gone.
    pub(super) fn failed(&mut self) {
        (self.reserved_to, self.full) = (0, true);
    }

    /// A write went through.
    pub(super) fn wrote(&mut self) {
        self.full = false;
    }

    /// True when the last write found no room.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    /// True while nothing new is to be begun.
    pub(super) const fn is_short(&self) -> bool {
        self.low || self.full
    }
}

/// True for the errors of a disk, quota or file that is full.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}
