//! What a run took: for the report, never for a digest.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Where the kernel tells it.
pub struct Usage {
    /// Opened before the cage is shut.
    status: Option<File>,
    compile_ms: AtomicU64,
    sealed: AtomicBool,
}

impl Usage {
    /// Opens what must be open before the cage is shut.
    pub fn new() -> Self {
        Self {
            status: File::open("/proc/self/status").ok(),
            compile_ms: AtomicU64::new(0),
            sealed: AtomicBool::new(false),
        }
    }

    /// CPU time of the process.
    pub fn cpu_ms(&self) -> u64 {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
    }

    /// Notes whether the filter of system calls is on.
    pub fn seal(&self, sealed: bool) {
        self.sealed.store(sealed, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Relaxed)
    }

    /// Notes how long compiling took.
    pub fn compiled(&self, took: Duration) {
        self.compile_ms.store(took.as_millis() as u64, Ordering::Relaxed);
    }

    /// How long compiling took.
    pub fn compile_ms(&self) -> u64 {
        self.compile_ms.load(Ordering::Relaxed)
    }

    /// Largest resident memory, KiB; 0 where it is not told.
    pub fn peak_kib(&self) -> u64 {
        let mut text = [0; 8192];
        let read = self.status.as_ref().and_then(|file| file.read_at(&mut text, 0).ok()).unwrap_or(0);
        parse_peak(&text[..read]).unwrap_or(0)
    }
}

fn parse_peak(status: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(status).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_kernel_tells_the_peak() {
        assert_eq!(parse_peak(b"Name:\tx\nVmHWM:\t    7612 kB\nVmRSS:\t 1 kB\n"), Some(7612));
        assert_eq!(parse_peak(b"Name:\tx\n"), None);
        assert!(Usage::new().peak_kib() > 100);
    }
}
