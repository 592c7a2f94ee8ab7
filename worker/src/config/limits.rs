//! Limits of one leaf and one agreement.
use crate::policy::hardware::Caps;

/// What one leaf and the worker as a whole may use, and for how little it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPU of one leaf, thousandths of a core.
    pub max_milli_cpu: u32,
    /// Memory of one leaf, MiB.
    pub max_memory_mib: u32,
    /// Room for what one leaf writes, MiB.
    pub max_disk_mib: u32,
    /// Output of one leaf, MiB.
    pub max_output_mib: u32,
    /// Processes of one leaf.
    pub max_processes: u32,
    /// Wall-clock time of one leaf, seconds.
    pub max_leaf_secs: u32,
    /// Leaves of one agreement.
    pub max_leaves: u32,
    /// Inputs of one agreement in all, MiB.
    pub max_input_mib: u32,
    /// Leaves that run at the same time.
    pub parallel_leaves: u32,
    /// Quick public work is computed before the claim of a slot, which saves a transaction.
    pub merge_claims: bool,
    /// Least reward that is worked for, smallest token unit.
    pub min_reward: u128,
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(&Caps { milli_cpu: 4000, memory_mib: 8192, disk_mib: 65_536 })
    }
}

impl Limits {
    /// Where the owner says nothing: one leaf may use what all may use together.
    pub fn of(caps: &Caps) -> Self {
        Self {
            max_milli_cpu: caps.milli_cpu,
            max_memory_mib: caps.memory_mib,
            max_disk_mib: caps.memory_mib.min(10_240),
            max_output_mib: caps.disk_mib.min(1024),
            max_processes: 1024,
            max_leaf_secs: 6 * 3600,
            max_leaves: 100_000,
            max_input_mib: caps.disk_mib.min(4096),
            parallel_leaves: caps.milli_cpu.div_ceil(1000).max(1),
            merge_claims: true,
            min_reward: 0,
        }
    }
}
