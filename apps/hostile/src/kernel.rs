//! The kernel's interfaces: each is asked for, with arguments that would do nothing even where they were allowed, and the
//! kernel's answer is written down. What is refused for want of rights says EPERM, EACCES or ENOSYS; any other answer means that
//! the door is open.

use std::ffi::c_long;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{OUT, declare};

fn refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS))
}

/// Calls that only a host's root has any business with.
#[allow(unsafe_code)]
pub fn calls() -> io::Result<()> {
    let nothing = [0_u8; 256];
    let at = nothing.as_ptr() as c_long;
    let name = c"sunwork".as_ptr() as c_long;
    let kind = c"user".as_ptr() as c_long;
    let tmpfs = c"tmpfs".as_ptr() as c_long;
    let (tmp, out) = (c"/tmp".as_ptr() as c_long, c"/iexec_out".as_ptr() as c_long);
    let (new_user, new_mount) = (libc::CLONE_NEWUSER as c_long, libc::CLONE_NEWNS as c_long);
    let none: c_long = -1;
    let calls: &[(&str, c_long, [c_long; 5])] = &[
        ("keyctl", libc::SYS_keyctl, [0, -3, 0, 0, 0]),
        ("add_key", libc::SYS_add_key, [kind, name, at, 1, -2]),
        ("request_key", libc::SYS_request_key, [kind, name, 0, 0, 0]),
        ("bpf", libc::SYS_bpf, [0, at, 128, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [at, 0, none, none, 0]),
        ("unshare user", libc::SYS_unshare, [new_user, 0, 0, 0, 0]),
        ("unshare mount", libc::SYS_unshare, [new_mount, 0, 0, 0, 0]),
        ("setns", libc::SYS_setns, [none, 0, 0, 0, 0]),
        ("mount", libc::SYS_mount, [tmpfs, tmp, tmpfs, 0, 0]),
        ("remount", libc::SYS_mount, [tmpfs, out, tmpfs, libc::MS_REMOUNT as c_long, 0]),
        ("umount", libc::SYS_umount2, [out, 0, 0, 0, 0]),
        ("pivot_root", libc::SYS_pivot_root, [tmp, tmp, 0, 0, 0]),
        ("chroot", libc::SYS_chroot, [tmp, 0, 0, 0, 0]),
        ("fsopen", libc::SYS_fsopen, [tmpfs, 0, 0, 0, 0]),
        ("open_tree", libc::SYS_open_tree, [none, tmp, 1, 0, 0]),
        ("open_by_handle_at", libc::SYS_open_by_handle_at, [none, at, 0, 0, 0]),
        ("fanotify_init", libc::SYS_fanotify_init, [0, 0, 0, 0, 0]),
        ("kexec_load", libc::SYS_kexec_load, [0, 0, 0, none, 0]),
        ("init_module", libc::SYS_init_module, [0, 0, at, 0, 0]),
        ("delete_module", libc::SYS_delete_module, [at, 0, 0, 0, 0]),
        // Without its magic numbers it would do nothing even for root.
        ("reboot", libc::SYS_reboot, [0, 0, 0, 0, 0]),
        ("swapon", libc::SYS_swapon, [at, 0, 0, 0, 0]),
        ("sethostname", libc::SYS_sethostname, [name, 7, 0, 0, 0]),
        ("clock_settime", libc::SYS_clock_settime, [none, at, 0, 0, 0]),
        ("acct", libc::SYS_acct, [0, 0, 0, 0, 0]),
        ("quotactl", libc::SYS_quotactl, [none, at, 0, 0, 0]),
        ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0]),
        ("io_uring_setup", libc::SYS_io_uring_setup, [0, at, 0, 0, 0]),
        ("vhangup", libc::SYS_vhangup, [0, 0, 0, 0, 0]),
        ("setuid", libc::SYS_setuid, [0, 0, 0, 0, 0]),
        ("setgid", libc::SYS_setgid, [0, 0, 0, 0, 0]),
        ("setgroups", libc::SYS_setgroups, [0, 0, 0, 0, 0]),
        ("nice", libc::SYS_setpriority, [0, 0, -20, 0, 0]),
        ("realtime", libc::SYS_sched_setscheduler, [0, 1, c_one(), 0, 0]),
    ];
    let mut report = String::new();
    for (name, number, args) in calls {
        // SAFETY: pointers are to static strings or to `nothing`, which outlives the loop and is larger than what any of these reads.
        let answer = unsafe { libc::syscall(*number, args[0], args[1], args[2], args[3], args[4]) };
        let error = io::Error::last_os_error();
        if answer >= 0 || !refused(&error) {
            report += &format!("open: {name} ({answer}, {error})\n");
        }
    }
    // A process in namespaces of its own; it ends at once.
    // SAFETY: no stack and no thread state is shared: like fork.
    let child = unsafe { libc::syscall(libc::SYS_clone, new_user | libc::SIGCHLD as c_long, 0, 0, 0, 0) };
    if child == 0 {
        std::process::exit(0);
    }
    if child > 0 {
        report += "open: clone user\n";
    }
    report += &format!("tried {}\n", calls.len() + 1);
    fs::write(format!("{OUT}/result"), report)?;
    declare("/iexec_out/result")
}

/// Parameters of a real-time policy: priority one.
fn c_one() -> c_long {
    static ONE: i32 = 1;
    (&raw const ONE) as c_long
}

/// Files of the kernel: none that says something of the host can be read, none that changes it can be written.
pub fn files() -> io::Result<()> {
    let mut report = String::new();
    for path in [
        "/proc/kcore",
        "/proc/kmsg",
        "/proc/1/mem",
        "/proc/1/environ",
        "/sys/firmware/dmi/tables/DMI",
        "/sys/kernel/debug",
        "/sys/kernel/tracing/trace",
    ] {
        let read = File::open(path).and_then(|mut file| io::Read::read(&mut file, &mut [0; 16]));
        // The first process is the engine's own init, of this cage; what it was started with is no secret, but no app's to change.
        if read.is_ok_and(|read| read > 0) && !path.starts_with("/proc/1/") {
            report += &format!("read {path}\n");
        }
    }
    let mut writable = Vec::new();
    for root in ["/proc/sys", "/sys"] {
        walk(Path::new(root), 6, &mut |path| {
            if OpenOptions::new().write(true).open(path).is_ok() {
                writable.push(path.to_owned());
            }
        });
    }
    for path in [
        "/proc/sysrq-trigger",
        "/proc/irq/default_smp_affinity",
        "/proc/self/uid_map",
        "/proc/1/oom_score_adj",
        "/proc/self/mem.none",
    ] {
        // Opening for writing says enough; nothing is written.
        if OpenOptions::new().write(true).open(path).is_ok()
            && path != "/proc/self/uid_map"
            && path != "/proc/1/oom_score_adj"
        {
            writable.push(path.into());
        }
    }
    report += &writable.iter().map(|path| format!("writable {}\n", path.display())).collect::<String>();
    if fs::write("/proc/self/uid_map", "0 0 1").is_ok() {
        report += "mapped root\n";
    }
    if fs::write("/proc/self/oom_score_adj", "-1000").is_ok() {
        report += "escaped the out-of-memory killer\n";
    }
    // Only processes of this cage are there.
    let processes = fs::read_dir("/proc")?.flatten().filter(|e| e.file_name().to_string_lossy().parse::<u32>().is_ok());
    report += &format!("processes {}\n", processes.count());
    fs::write(format!("{OUT}/result"), report)?;
    declare("/iexec_out/result")
}

fn walk(folder: &Path, depth: u32, each: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => walk(&entry.path(), depth - 1, each),
            Ok(kind) if kind.is_file() => each(&entry.path()),
            _ => {}
        }
    }
}

/// Device nodes: none can be made anywhere, and those that are there are the harmless ones.
#[allow(unsafe_code)]
pub fn devices() -> io::Result<()> {
    let mut report = String::new();
    // Memory of the machine, a disk, a loop device, FUSE, the virtual machine monitor.
    for (kind, major, minor) in [
        (libc::S_IFCHR, 1, 1),
        (libc::S_IFBLK, 8, 0),
        (libc::S_IFBLK, 254, 0),
        (libc::S_IFBLK, 7, 0),
        (libc::S_IFCHR, 10, 229),
        (libc::S_IFCHR, 10, 232),
    ] {
        for folder in [OUT, "/tmp", "/dev/shm", "/dev", "/iexec_in", "/"] {
            let path = std::ffi::CString::new(format!("{folder}/node"))?;
            // SAFETY: `path` is a C string that outlives the call.
            if unsafe { libc::mknod(path.as_ptr(), kind | 0o666, libc::makedev(major, minor)) } == 0 {
                report += &format!("made {major}:{minor} in {folder}\n");
                let _ = fs::remove_file(format!("{folder}/node"));
            }
        }
    }
    let mut there: Vec<PathBuf> = Vec::new();
    walk_devices(Path::new("/dev"), &mut there);
    there.sort();
    for path in there {
        if OpenOptions::new().read(true).write(true).open(&path).is_ok() {
            report += &format!("opened {}\n", path.display());
        }
    }
    fs::write(format!("{OUT}/result"), report)?;
    declare("/iexec_out/result")
}

fn walk_devices(folder: &Path, found: &mut Vec<PathBuf>) {
    use std::os::unix::fs::FileTypeExt;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk_devices(&entry.path(), found),
            Ok(kind) if kind.is_char_device() || kind.is_block_device() => found.push(entry.path()),
            _ => {}
        }
    }
}

/// Runs itself from a file with the set-user-id bit, the image's own (root's) and one that it makes; says whose it is then.
#[allow(unsafe_code)]
pub fn setuid(own_image: &str) -> io::Result<()> {
    let mut report = String::new();
    let mut copies = vec![PathBuf::from(own_image)];
    for folder in ["/tmp", OUT, "/dev/shm"] {
        let copy = PathBuf::from(folder).join("risen");
        fs::copy("/proc/self/exe", &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o6755))?;
        copies.push(copy);
    }
    for program in copies {
        match Command::new(&program).arg("who").output() {
            Ok(said) => report += &format!("{}: {}\n", program.display(), String::from_utf8_lossy(&said.stdout)),
            Err(error) => report += &format!("{}: {:?}\n", program.display(), error.kind()),
        }
    }
    let _ = fs::remove_file(format!("{OUT}/risen"));
    let mode = fs::metadata(own_image)?.permissions().mode();
    report += &format!("the image's program has mode {:o}\n", mode & 0o7777);
    fs::write(format!("{OUT}/result"), report)?;
    declare("/iexec_out/result")
}

/// Takes what the kernel counts by user, not by cage: message queues, watches of files, buffers of pipes; then keeps it.
#[allow(unsafe_code)]
pub fn queues() -> ! {
    let mut kept: Vec<[i32; 2]> = Vec::new();
    for i in 0..100_000 {
        let name = format!("/q{i}\0");
        let mut pipe = [0; 2];
        // SAFETY: the name ends with a zero, `pipe` has room for two.
        unsafe {
            libc::mq_open(name.as_ptr().cast(), libc::O_CREAT | libc::O_RDWR, 0o600, std::ptr::null::<libc::mq_attr>());
            libc::inotify_init();
            if libc::pipe(pipe.as_mut_ptr()) == 0 {
                libc::fcntl(pipe[1], libc::F_SETPIPE_SZ, 1 << 20);
            }
        }
        kept.push(pipe);
    }
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}

/// Whom this process acts for.
#[allow(unsafe_code)]
pub fn who() {
    // SAFETY: they only tell.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    print!("{uid}:{gid}");
}
