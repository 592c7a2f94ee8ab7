//! The runner cages itself before it looks at a stranger's bytes: should the engine have a hole, what comes out of it finds a
//! process that can open nothing, start nothing and reach nobody. What a kernel does not have is told in the report.

use std::collections::BTreeMap;
use std::fs;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{Resource, Rlimit, setrlimit, setsid};
use rustix::thread::{UnshareFlags, set_no_new_privs};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter_all_threads};
use sunwork_runner_wire::{COMPILE_SECS, Limits, Walls};

use crate::meter::STACK_BYTES;

/// Address space that the engine reserves for a memory, and what lies around it.
const RESERVED_BYTES: u64 = (4 << 30) + (256 << 20);
/// Room for the engine itself and for compiling.
const ENGINE_BYTES: u64 = 2 << 30;
/// Files that may be open.
const OPEN_FILES: u64 = 4096;

/// First of all, before any file is opened: a session of its own, nothing inherited, no way to more rights, no network.
pub fn leave_everything(walls: &mut Walls) {
    // It fails for who leads a session already: the worker may have seen to it.
    let _ = setsid();
    walls.no_new_privs = set_no_new_privs(true).is_ok();
    walls.closed_fds = close_inherited();
    let rest = UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET | rest) {
        (walls.user_namespace, walls.no_network) = (true, true);
    } else {
        // Some distributions keep user namespaces for themselves; root needs none.
        walls.no_network = unshare(UnshareFlags::NEWNET | rest);
    }
}

/// When all files are open: limits, and Landlock for this thread and those that it starts.
///
/// # Errors
/// When a limit cannot be set, which every kernel can.
pub fn limit(limits: &Limits, walls: &mut Walls) -> Result<(), String> {
    let memory = RESERVED_BYTES + ENGINE_BYTES + STACK_BYTES as u64 * 2;
    let cpu_secs = COMPILE_SECS + limits.cpu_ms.div_ceil(1000) + 5;
    for (resource, most, name) in [
        (Resource::Core, 0, "core dumps"),
        (Resource::Fsize, 0, "files"),
        (Resource::Memlock, 0, "locked memory"),
        (Resource::Nofile, OPEN_FILES, "open files"),
        (Resource::Cpu, cpu_secs, "CPU time"),
        (Resource::As, memory.saturating_add(limits.disk_bytes.saturating_mul(2)), "address space"),
    ] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|e| format!("limiting {name} to {most}: {e}"))?;
    }
    walls.landlock = landlock().unwrap_or(false);
    Ok(())
}

fn landlock() -> Result<bool, landlock::RulesetError> {
    let newest = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(newest))?
        .handle_access(AccessNet::from_all(newest))?
        .scope(Scope::from_all(newest))?
        .create()?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// At last, when all threads are there: only calls that compute, print and end. For the whole process.
pub fn only_compute() -> bool {
    let allowed = [
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_pread64,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_lseek,
        libc::SYS_fstat,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_mprotect,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_ppoll,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_nanosleep,
        libc::SYS_getrandom,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_tgkill,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_membarrier,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_prlimit64,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
    ];
    let rules: BTreeMap<i64, Vec<_>> = allowed.into_iter().map(|call| (call, Vec::new())).collect();
    let program = || -> Option<BpfProgram> {
        let arch = std::env::consts::ARCH.try_into().ok()?;
        // Refused, not killed: a library that asks for something harmless goes on without it.
        let refuse = SeccompAction::Errno(libc::EPERM as u32);
        SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch).ok()?.try_into().ok()
    };
    program().is_some_and(|program| apply_filter_all_threads(&program).is_ok())
}

#[allow(unsafe_code, reason = "the only way to have a namespace of one's own")]
fn unshare(flags: UnshareFlags) -> bool {
    // SAFETY: called at the start of a process of one thread, without files of its own; no flag changes the file table.
    unsafe { rustix::thread::unshare_unsafe(flags) }.is_ok()
}

/// Closes what a careless parent left open; the first three stay.
#[allow(unsafe_code, reason = "a descriptor that nobody here owns can be closed by its number only")]
fn close_inherited() -> u32 {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else { return 0 };
    let numbers: Vec<i32> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter(|fd| *fd > 2).collect();
    let mut closed = 0;
    for fd in numbers {
        // SAFETY: at the start of the process, when nothing but the folder above, which is closed again, was opened.
        if unsafe { libc::close(fd) } == 0 {
            closed += 1;
        }
    }
    closed
}
