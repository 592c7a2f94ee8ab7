//! What of a machine is offered where the owner says nothing: all threads but one, 70 % of the memory, 80 % of the free disk.
use std::path::Path;

/// What a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hardware {
    /// Threads that this process may use.
    pub threads: u32,
    /// Memory, MiB.
    pub memory_mib: u64,
    /// Free room on the disk of the data folder, MiB.
    pub free_disk_mib: u64,
}

/// What leaves may use together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Caps {
    /// Thousandths of a core.
    pub milli_cpu: u32,
    /// MiB of memory.
    pub memory_mib: u32,
    /// MiB of disk.
    pub disk_mib: u32,
}

/// Taken where the kernel does not say: a small board.
const UNKNOWN: Hardware = Hardware { threads: 1, memory_mib: 512, free_disk_mib: 1024 };

impl Hardware {
    /// What this machine has; `folder` need not exist yet.
    pub fn detect(folder: &Path) -> Self {
        let threads = std::thread::available_parallelism().map_or(UNKNOWN.threads, |threads| threads.get() as u32);
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            threads,
            memory_mib: memory_mib(&meminfo).unwrap_or(UNKNOWN.memory_mib),
            free_disk_mib: free_disk_mib(folder).unwrap_or(UNKNOWN.free_disk_mib),
        }
    }

    /// The safe share.
    pub fn caps(&self) -> Caps {
        let mib = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Caps {
            milli_cpu: self.threads.saturating_sub(1).max(1).saturating_mul(1000),
            memory_mib: mib(self.memory_mib * 7 / 10),
            disk_mib: mib(self.free_disk_mib * 8 / 10),
        }
    }
}

fn memory_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? / 1024)
}

/// Free room for unprivileged users on the disk of a folder, or of the nearest one above that exists.
pub fn free_disk_mib(folder: &Path) -> Option<u64> {
    let stat = folder.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        rustix::fs::statvfs(folder).ok()
    })?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize) >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_share_leaves_something_to_the_owner() {
        let hardware = Hardware { threads: 4, memory_mib: 1000, free_disk_mib: 10_000 };
        assert_eq!(hardware.caps(), Caps { milli_cpu: 3000, memory_mib: 700, disk_mib: 8000 });
        assert_eq!(Hardware { threads: 1, ..hardware }.caps().milli_cpu, 1000);
    }

    #[test]
    fn this_machine_is_read() {
        assert_eq!(memory_mib("MemFree: 1 kB\nMemTotal:       16384 kB\n"), Some(16));
        let here = Hardware::detect(Path::new("/nonexistent/below/here"));
        assert!(here.threads >= 1 && here.memory_mib > 64 && here.free_disk_mib > 0, "{here:?}");
    }
}
