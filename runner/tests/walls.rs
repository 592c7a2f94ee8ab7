//! Should the engine have a hole, a stranger's code runs as the runner. So the runner's own walls are tried from inside: a
//! process puts them on as the runner does and then asks the kernel for everything that it should not get.
#![allow(clippy::unwrap_used, unsafe_code, dead_code, missing_docs)]

#[path = "../src/cage.rs"]
mod cage;

/// What `cage.rs` needs of its neighbour.
mod meter {
    pub const STACK_BYTES: usize = 64 << 20;
}

use std::ffi::{CString, c_long};
use std::io::Write;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use sunwork_runner_wire::{Limits, Walls};

const INSIDE: &str = "SUNWORK_TEST_INSIDE";

/// The other half of the test below, in a process of its own: prints what it got, and nothing when it got nothing.
#[test]
fn inside() {
    let Ok(told) = std::env::var(INSIDE) else { return };
    let (port, name) = told.split_once(' ').unwrap();
    let mut walls = Walls::default();
    cage::leave_everything(&mut walls);
    let limits = Limits { memory_bytes: 1 << 20, disk_bytes: 1 << 20, entries: 10, fuel: 0, cpu_ms: 1000 };
    cage::limit(&limits, &mut walls).unwrap();
    // Landlock alone, before the filter hides it: no file can be opened.
    let landlocked = std::fs::File::open("/etc/passwd").is_err();
    assert_eq!(landlocked, walls.landlock);
    assert!(cage::only_compute());
    let mut got = String::new();
    for (call, number, args) in calls(port.parse().unwrap(), name) {
        // SAFETY: pointers are to leaked memory that is larger than what any of these reads.
        let answer = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4]) };
        let error = std::io::Error::last_os_error();
        if answer != -1 || error.raw_os_error() != Some(libc::EPERM) {
            got += &format!(" {call}({answer}, {error})");
        }
    }
    let report = format!("walls {walls:?} got [{got}]\n");
    std::io::stdout().write_all(report.as_bytes()).unwrap();
    // Not through the harness, which would want to write files and start threads.
    std::process::exit(0);
}

fn calls(port: u16, name: &str) -> Vec<(&'static str, c_long, [c_long; 5])> {
    let text = |text: &str| CString::new(text).unwrap().into_raw() as c_long;
    let nothing = Box::leak(vec![0_u8; 512].into_boxed_slice()).as_ptr() as c_long;
    let (passwd, tmp, tmpfs, shell) = (text("/etc/passwd"), text("/tmp"), text("tmpfs"), text("/bin/sh"));
    let _ = (port, name);
    let at = libc::AT_FDCWD as c_long;
    let parent = unsafe { libc::getppid() } as c_long;
    vec![
        ("openat", libc::SYS_openat, [at, passwd, 0, 0, 0]),
        ("openat2", libc::SYS_openat2, [at, passwd, nothing, 24, 0]),
        ("memfd_create", libc::SYS_memfd_create, [text("m"), 0, 0, 0, 0]),
        ("mkdirat", libc::SYS_mkdirat, [at, text("/tmp/sunwork-none"), 0, 0, 0]),
        ("mknodat", libc::SYS_mknodat, [at, text("/tmp/sunwork-none"), (libc::S_IFCHR | 0o666) as c_long, 0x101, 0]),
        ("unlinkat", libc::SYS_unlinkat, [at, text("/tmp/sunwork-none"), 0, 0, 0]),
        ("socket inet", libc::SYS_socket, [2, 1, 0, 0, 0]),
        ("socket unix", libc::SYS_socket, [1, 1, 0, 0, 0]),
        ("socket vsock", libc::SYS_socket, [40, 1, 0, 0, 0]),
        ("socketpair", libc::SYS_socketpair, [1, 1, 0, nothing, 0]),
        ("connect", libc::SYS_connect, [0, nothing, 16, 0, 0]),
        ("clone process", libc::SYS_clone, [libc::SIGCHLD as c_long, 0, 0, 0, 0]),
        ("clone user", libc::SYS_clone, [(libc::CLONE_NEWUSER | libc::SIGCHLD) as c_long, 0, 0, 0, 0]),
        ("clone3", libc::SYS_clone3, [nothing, 88, 0, 0, 0]),
        ("execve", libc::SYS_execve, [shell, nothing, nothing, 0, 0]),
        ("kill parent", libc::SYS_kill, [parent, 0, 0, 0, 0]),
        ("ptrace", libc::SYS_ptrace, [16, parent, 0, 0, 0]),
        ("process_vm_readv", libc::SYS_process_vm_readv, [parent, nothing, 1, nothing, 1]),
        ("unshare", libc::SYS_unshare, [libc::CLONE_NEWUSER as c_long, 0, 0, 0, 0]),
        ("setns", libc::SYS_setns, [0, 0, 0, 0, 0]),
        ("mount", libc::SYS_mount, [tmpfs, tmp, tmpfs, 0, 0]),
        ("umount2", libc::SYS_umount2, [tmp, 0, 0, 0, 0]),
        ("pivot_root", libc::SYS_pivot_root, [tmp, tmp, 0, 0, 0]),
        ("chroot", libc::SYS_chroot, [tmp, 0, 0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [0, -3, 0, 0, 0]),
        ("add_key", libc::SYS_add_key, [text("user"), text("k"), nothing, 1, -2]),
        ("bpf", libc::SYS_bpf, [0, nothing, 128, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [nothing, 0, -1, -1, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [1, nothing, 0, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0]),
        ("inotify_init1", libc::SYS_inotify_init1, [0, 0, 0, 0, 0]),
        ("mq_open", libc::SYS_mq_open, [text("q"), 0, 0, 0, 0]),
        ("shmget", libc::SYS_shmget, [0, 4096, 0o1666, 0, 0]),
        ("setuid", libc::SYS_setuid, [0, 0, 0, 0, 0]),
        ("setgid", libc::SYS_setgid, [0, 0, 0, 0, 0]),
        ("setpriority", libc::SYS_setpriority, [0, 0, -20, 0, 0]),
        ("sched_setscheduler", libc::SYS_sched_setscheduler, [0, 1, nothing, 0, 0]),
        ("prctl", libc::SYS_prctl, [libc::PR_SET_DUMPABLE as c_long, 1, 0, 0, 0]),
        ("fcntl", libc::SYS_fcntl, [0, libc::F_DUPFD as c_long, 0, 0, 0]),
        ("ioctl", libc::SYS_ioctl, [0, 0x5412, nothing, 0, 0]),
        ("reboot", libc::SYS_reboot, [0, 0, 0, 0, 0]),
        ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0]),
    ]
}

#[test]
fn behind_its_walls_a_runner_gets_nothing_of_the_kernel() {
    // Two listeners of the host: that they are not reached shows that sockets are refused, not that nobody is there.
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("sunwork-walls-{}", std::process::id());
    let _unix = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let told = format!("{} {name}", tcp.local_addr().unwrap().port());
    let inside = Command::new(std::env::current_exe().unwrap())
        // One thread, as the runner has then.
        .args(["inside", "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, told)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inside.stdout);
    let errors = String::from_utf8_lossy(&inside.stderr);
    assert!(inside.status.success(), "{said}{errors}");
    assert!(said.contains("no_new_privs: true") && said.contains("no_network: true"), "{said}");
    assert!(said.contains(" got []"), "{said}");
}
