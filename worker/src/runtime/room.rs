//! How much of what is kept for later (images, modules) must go. Pure; the runtimes do the removing.

use std::path::Path;

const MIB: u64 = 1 << 20;

/// The owner's word on what may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes together.
    pub bytes: u64,
    /// How many.
    pub count: usize,
    /// Above this use of the disk, percent, what is kept makes room.
    pub disk_percent: u8,
}

impl Quota {
    /// With sizes in MiB.
    pub const fn new(mib: u64, count: usize, disk_percent: u8) -> Self {
        Self { bytes: mib.saturating_mul(MIB), count, disk_percent }
    }
}

/// A disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its size as far as it can be used, bytes.
    pub total_bytes: u64,
    /// What is free of that, bytes.
    pub free_bytes: u64,
}

impl Disk {
    /// The one that a folder is on; `None` where that cannot be asked.
    pub fn of(folder: &Path) -> Option<Self> {
        let found = rustix::fs::statvfs(folder).ok()?;
        // What only root may fill counts as neither, as in `df`.
        let used = found.f_blocks.saturating_sub(found.f_bfree);
        let total_bytes = used.saturating_add(found.f_bavail).saturating_mul(found.f_frsize);
        Some(Self { total_bytes, free_bytes: found.f_bavail.saturating_mul(found.f_frsize) })
    }

    /// Bytes that are used above the mark.
    pub const fn above(&self, percent: u8) -> u64 {
        let allowed = (self.total_bytes / 100).saturating_mul(percent as u64);
        self.total_bytes.saturating_sub(self.free_bytes).saturating_sub(allowed)
    }
}

/// What must go: so many at least, and so many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Excess {
    /// Bytes.
    pub bytes: u64,
    /// How many.
    pub count: usize,
}

impl Excess {
    /// Of things with these sizes; the last one was used just now and stays, so it is no part of what can go.
    pub fn of(sizes: &[u64], quota: &Quota, disk: Option<Disk>) -> Self {
        let kept = sizes.iter().fold(0_u64, |sum, size| sum.saturating_add(*size));
        let crowded = disk.map_or(0, |disk| disk.above(quota.disk_percent));
        Self { bytes: kept.saturating_sub(quota.bytes).max(crowded), count: sizes.len().saturating_sub(quota.count) }
    }

    /// True when nothing (more) must go.
    pub const fn is_none(&self) -> bool {
        self.bytes == 0 && self.count == 0
    }

    /// One of this size went.
    pub const fn gone(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.count = self.count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { bytes: 100, count: 3, disk_percent: 90 };

    #[test]
    fn what_is_over_the_quota_goes_by_bytes_and_by_number() {
        let of = |sizes: &[u64]| Excess::of(sizes, &QUOTA, None);
        assert!(of(&[50, 50]).is_none());
        assert_eq!(of(&[50, 50, 1]), Excess { bytes: 1, count: 0 });
        assert_eq!(of(&[1, 1, 1, 1]), Excess { bytes: 0, count: 1 });
        assert_eq!(of(&[u64::MAX, 5]).bytes, u64::MAX - 100);
        let mut excess = Excess { bytes: 30, count: 2 };
        excess.gone(50);
        assert_eq!(excess, Excess { bytes: 0, count: 1 });
    }

    #[test]
    fn a_disk_above_its_mark_asks_for_room_whatever_the_quota_allows() {
        let disk = |free_bytes| Some(Disk { total_bytes: 1000, free_bytes });
        assert!(Excess::of(&[10], &QUOTA, disk(100)).is_none());
        assert_eq!(Excess::of(&[10], &QUOTA, disk(60)).bytes, 40);
        assert_eq!(Excess::of(&[200], &QUOTA, disk(60)).bytes, 100, "the larger of both");
        let here = Disk::of(Path::new("/")).expect("there is a root");
        assert!(here.total_bytes > here.free_bytes && here.above(100) <= here.total_bytes / 100 * 100);
    }
}
