//! The system calls that a container may make, as a profile of our own for the engine.
//!
//! Engines bring a profile, and each version another one: Docker 20.10 lets a container make vsock sockets, which no network
//! namespace holds back (a worker in a virtual machine would let its guests speak to the hypervisor), and use io_uring, which
//! later versions refuse. An app must find the same on every machine, and none of those. So the profile is part of the cage:
//!
//! - what computing needs is allowed; what a system call is refused with is EPERM, everywhere;
//! - sockets are of this machine only in kind: Unix, IPv4 and IPv6 (there is a loopback), netlink (C libraries ask it for names);
//! - nothing that the kernel counts by user instead of by cage, where a leaf could take it from another: message queues, watches
//!   of files, keys;
//! - `sync` does nothing, and says that it did: the app's files are in memory, and the host's disk is not its to flush;
//! - programs of this machine's own word size only: the calls of 32-bit programs hide their arguments from the filter.

use serde_json::{Value, json};

/// Calls without a look at their arguments, by words.
const ALLOWED: &[&str] = &[
    // Files and folders.
    "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 \
     fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock \
     fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr ioctl \
     lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod \
     mknodat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead \
     readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs \
     statx symlink symlinkat sync_file_range tee truncate umask unlink unlinkat utime utimensat utimes vmsplice \
     write writev",
    // Memory.
    "brk madvise memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap mseal msync munlock munlockall \
     munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages",
    // Processes, threads, signals.
    "alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv \
     futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getpgid getpgrp getpid \
     getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get ioprio_set kill \
     landlock_add_rule landlock_create_ruleset landlock_restrict_self membarrier pause pidfd_open pidfd_send_signal \
     prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn \
     rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min \
     sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity \
     sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list set_thread_area \
     set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid \
     setrlimit setsid setuid sigaltstack signalfd signalfd4 sysinfo tgkill time times tkill uname vfork wait4 \
     waitid",
    // Time, waiting, talking to itself.
    "adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl \
     epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 getitimer getrandom \
     gettimeofday io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit msgctl msgget msgrcv msgsnd \
     nanosleep pipe pipe2 poll ppoll pselect6 select semctl semget semop semtimedop setitimer shmat shmctl shmdt \
     shmget timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime \
     timerfd_settime",
    // Sockets, once there is one.
    "accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg \
     sendmsg sendto setsockopt shutdown",
];

const AF_UNIX: u64 = 1;
const AF_INET: u64 = 2;
const AF_INET6: u64 = 10;
const AF_NETLINK: u64 = 16;
/// Personalities: Linux as it is, with or without 32-bit addresses and odd names; and the question which one it is.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// All flags of `clone` that make a namespace.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
const ENOSYS: u64 = 38;

/// The profile for an engine's architecture in OCI words, as the engine reads it; `None` for one that we do not know.
pub fn profile(arch: &str) -> Option<String> {
    let arch = match arch {
        "amd64" => "SCMP_ARCH_X86_64",
        "arm64" => "SCMP_ARCH_AARCH64",
        _ => return None,
    };
    let equal = |name: &str, index: u64, value: u64| {
        rule(&[name], "SCMP_ACT_ALLOW", json!([{ "index": index, "value": value, "op": "SCMP_CMP_EQ" }]))
    };
    let mut rules = vec![
        rule(&allowed().collect::<Vec<_>>(), "SCMP_ACT_ALLOW", json!([])),
        rule(
            &["clone"],
            "SCMP_ACT_ALLOW",
            json!([{ "index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }]),
        ),
        // Its flags lie in memory, out of the filter's sight; C libraries take `clone` then.
        answered(&["clone3"], ENOSYS),
        answered(&["sync", "syncfs"], 0),
        equal("socketpair", 0, AF_UNIX),
    ];
    rules.extend([AF_UNIX, AF_INET, AF_INET6, AF_NETLINK].map(|family| equal("socket", 0, family)));
    rules.extend(PERSONALITIES.map(|personality| equal("personality", 0, personality)));
    let profile = json!({ "defaultAction": "SCMP_ACT_ERRNO", "architectures": [arch], "syscalls": rules });
    Some(profile.to_string())
}

fn allowed() -> impl Iterator<Item = &'static str> {
    ALLOWED.iter().flat_map(|line| line.split_whitespace())
}

fn rule(names: &[&str], action: &str, args: Value) -> Value {
    json!({ "names": names, "action": action, "args": args })
}

fn answered(names: &[&str], errno: u64) -> Value {
    json!({ "names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": [] })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn what_is_no_business_of_an_app_is_not_in_it() {
        let names: BTreeSet<&str> = allowed().collect();
        assert_eq!(names.len(), allowed().count(), "each once");
        let kept_out = "bpf keyctl add_key request_key unshare setns mount umount2 pivot_root chroot ptrace process_vm_readv \
             io_uring_setup io_uring_enter perf_event_open userfaultfd mq_open inotify_init inotify_init1 socket \
             socketpair clone clone3 personality reboot syslog kexec_load init_module open_by_handle_at \
             name_to_handle_at quotactl swapon settimeofday clock_settime fsopen sync";
        for name in kept_out.split_whitespace() {
            assert!(!names.contains(name), "{name}");
        }
    }

    #[test]
    fn profiles_are_for_one_architecture_and_refuse_by_default() {
        let profile: Value = serde_json::from_str(&profile("amd64").unwrap()).unwrap();
        assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
        assert_eq!(profile["architectures"], json!(["SCMP_ARCH_X86_64"]));
        let rules = profile["syscalls"].as_array().unwrap();
        let families: Vec<&Value> = rules
            .iter()
            .filter(|rule| rule["names"] == json!(["socket"]))
            .map(|rule| &rule["args"][0]["value"])
            .collect();
        assert_eq!(families, [1, 2, 10, 16]);
        assert!(super::profile("arm64").is_some_and(|text| text.contains("AARCH64")));
        assert_eq!(super::profile("riscv64"), None);
    }
}
