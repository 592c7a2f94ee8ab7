//! Every way in which an app may behave badly, one per subcommand, for the tests of the worker's cage
//! (`worker/tests/cage.rs`). It is meant to run in that cage only: several of these would hurt a host.

mod kernel;
mod network;
mod way_out;

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::{Command, exit};
use std::thread::sleep;
use std::time::Duration;

const OUT: &str = "/iexec_out";
const IN: &str = "/iexec_in";

fn main() -> io::Result<()> {
    // Started by itself, to say whose it is, or as the neighbour of a test.
    match std::env::args().nth(1).as_deref() {
        Some("who") => {
            kernel::who();
            return Ok(());
        }
        Some("listen") => return network::listen(&std::env::args().nth(2).unwrap_or_default()),
        _ => {}
    }
    if !std::path::Path::new("/iexec_out").is_dir() {
        eprintln!("not in a cage: {OUT} is missing, nothing done");
        exit(99);
    }
    let args: Vec<String> = std::env::args().collect();
    let word = |i: usize| args.get(i).map(String::as_str).unwrap_or_default();
    match word(1) {
        "good" => good(),
        "nothing" => {
            File::create(format!("{OUT}/result"))?;
            declare("/iexec_out/result")
        }
        "echo" => echo(&args),
        "exit" => {
            eprintln!("about to fail\x1b[31m as told");
            exit(word(2).parse().unwrap_or(1))
        }
        "no-computed-json" => fs::write(format!("{OUT}/result.txt"), "result"),
        "bad-json" => fs::write(format!("{OUT}/computed.json"), "{\"deterministic"),
        "declare" => declare(word(2)),
        "link-out" => {
            symlink("/etc/passwd", format!("{OUT}/result"))?;
            declare("/iexec_out/result")
        }
        "link-inside" => {
            fs::create_dir(format!("{OUT}/d"))?;
            symlink("/etc", format!("{OUT}/d/etc"))?;
            declare("/iexec_out/d")
        }
        "link-parent" => {
            symlink("/", format!("{OUT}/root"))?;
            declare("/iexec_out/root/app")
        }
        "link-json" => symlink("/proc/self/status", format!("{OUT}/computed.json")),
        "fill" => {
            let error = fill(&format!("{OUT}/fill")).expect_err("the disk has an end");
            eprintln!("{error}");
            exit(5)
        }
        "fill-quietly" => {
            let _ = fill(&format!("{OUT}/fill"));
            let _ = declare("/iexec_out/fill");
            Ok(())
        }
        "big" => {
            fs::write(format!("{OUT}/big"), vec![1; 3 << 20])?;
            declare("/iexec_out/big")
        }
        "sparse" => {
            File::create(format!("{OUT}/sparse"))?.set_len(100 << 30)?;
            declare("/iexec_out/sparse")
        }
        // Ten million, unless something stops it.
        "files" => {
            let folder = format!("{}/d", word(2));
            fs::create_dir(&folder)?;
            for i in 0..10_000_000 {
                File::create(format!("{folder}/{i}"))?;
            }
            declare("/iexec_out/d")
        }
        "links" => {
            fs::create_dir(format!("{OUT}/d"))?;
            fs::write(format!("{OUT}/d/first"), "x")?;
            for i in 0..10_000_000 {
                fs::hard_link(format!("{OUT}/d/first"), format!("{OUT}/d/{i}"))?;
            }
            declare("/iexec_out/d")
        }
        "deep" => {
            fs::write(format!("{OUT}/computed.json"), "{\"deterministic-output-path\": \"/iexec_out/d\"}")?;
            fs::create_dir(format!("{OUT}/d"))?;
            std::env::set_current_dir(format!("{OUT}/d"))?;
            let name = "d".repeat(200);
            for _ in 0..1000 {
                fs::create_dir(&name)?;
                std::env::set_current_dir(&name)?;
            }
            fs::write("bottom", "x")
        }
        "names" => {
            fs::create_dir(format!("{OUT}/d"))?;
            for name in [&b"new\nline"[..], b"\xff\xfe not unicode", b"-rf *", b"...", b" ", &[b'n'; 255]] {
                fs::write(std::path::Path::new(OUT).join("d").join(OsStr::from_bytes(name)), name)?;
            }
            declare("/iexec_out/d")
        }
        "hard-link" => {
            fs::create_dir(format!("{OUT}/d"))?;
            fs::write(format!("{OUT}/d/a"), "one")?;
            fs::hard_link(format!("{OUT}/d/a"), format!("{OUT}/d/b"))?;
            declare("/iexec_out/d")
        }
        "fifo" => {
            fs::create_dir(format!("{OUT}/d"))?;
            make_fifo(&format!("{OUT}/d/fifo"))?;
            declare("/iexec_out/d")
        }
        "socket" => {
            fs::create_dir(format!("{OUT}/d"))?;
            fs::write(format!("{OUT}/d/file"), "x")?;
            let _socket = UnixListener::bind(format!("{OUT}/d/socket"))?;
            declare("/iexec_out/d")
        }
        "fork" => loop {
            let _ = Command::new("/proc/self/exe").arg("fork").spawn();
        },
        "memory" => {
            eat_memory();
            Ok(())
        }
        "child-memory" => {
            let status = Command::new("/proc/self/exe").arg("memory").status()?;
            fs::write(format!("{OUT}/result"), format!("the child ended well: {}", status.success()))?;
            declare("/iexec_out/result")
        }
        "sleep" => {
            ignore_sigterm();
            loop {
                sleep(Duration::from_secs(3600));
            }
        }
        "stdout" => loop {
            io::stdout().write_all(&[b'x'; 4096])?;
        },
        "count" => {
            // Many lines with one call, so that a slow machine prints too much as well.
            for first in (0_u64..).step_by(100) {
                if first % 1000 == 0 {
                    eprintln!("error {first}");
                }
                let lines: String = (first..first + 100).map(|i| format!("line {i}\n")).collect();
                io::stdout().write_all(lines.as_bytes())?;
            }
            Ok(())
        }
        "queues" => kernel::queues(),
        "network" => network::reach(&args[2..]),
        "way-out" => way_out::ask(&args[2..]),
        "send-endlessly" => way_out::endless(word(2), false),
        "read-endlessly" => way_out::endless(word(2), true),
        "connections" => way_out::many(word(2)),
        "write-outside" => write_outside(),
        "read-outside" => read_outside(&args[2..]),
        "calls" => kernel::calls(),
        "kernel-files" => kernel::files(),
        "devices" => kernel::devices(),
        "setuid" => kernel::setuid("/app"),
        "volume" => {
            let full = fill("/data/fill").map_err(|e| e.kind());
            fs::write(format!("{OUT}/result"), format!("{full:?}"))?;
            declare("/iexec_out/result")
        }
        other => {
            eprintln!("unknown subcommand {other:?}");
            exit(98)
        }
    }
}

fn declare(path: &str) -> io::Result<()> {
    fs::write(format!("{OUT}/computed.json"), format!("{{\"deterministic-output-path\": \"{path}\"}}"))
}

/// Prints and gives back all that it was given: what must stay secret shows up wherever it leaks to.
fn echo(args: &[String]) -> io::Result<()> {
    let mut text = format!("args {}\n", args[1..].join(" "));
    let mut names: Vec<_> = fs::read_dir(IN)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    for name in names {
        let content = fs::read(std::path::Path::new(IN).join(&name))?;
        text += &format!("input {} {}\n", name.to_string_lossy(), String::from_utf8_lossy(&content));
    }
    text += &format!("leaf {}\n", std::env::var("IEXEC_BOT_TASK_INDEX").unwrap_or_default());
    print!("{text}");
    eprint!("to stderr: {text}");
    fs::create_dir(format!("{OUT}/result"))?;
    fs::write(format!("{OUT}/result/echo.txt"), text)?;
    declare("/iexec_out/result")
}

/// Behaves: says what it was given.
fn good() -> io::Result<()> {
    fs::create_dir_all(format!("{OUT}/result/sub"))?;
    let mut env: Vec<_> =
        std::env::vars().filter(|(k, _)| k.starts_with("IEXEC_") || k.starts_with("SUNWORK_")).collect();
    env.sort();
    let env: String = env.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
    fs::write(format!("{OUT}/result/env.txt"), env)?;
    for entry in fs::read_dir(IN)? {
        let entry = entry?;
        fs::copy(entry.path(), std::path::Path::new(OUT).join("result/sub").join(entry.file_name()))?;
    }
    declare("/iexec_out/result")
}

fn fill(path: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    loop {
        file.write_all(&[7; 64 * 1024])?;
    }
}

fn eat_memory() {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&all);
    }
}

/// Tries to read the files of the host that it was told of, as they are called there and by ways around.
fn read_outside(secrets: &[String]) -> io::Result<()> {
    let mut report = String::new();
    let ways = [
        "",
        "/iexec_in/..",
        "/iexec_in/../..",
        "/proc/1/root",
        "/proc/self/root/..",
        "/proc/1/cwd",
        "/proc/self/cwd/../..",
    ];
    for secret in secrets {
        let name = std::path::Path::new(secret).file_name().unwrap_or_default().to_string_lossy();
        for way in ways {
            for path in [format!("{way}{secret}"), format!("{way}/{name}")] {
                if fs::read(&path).is_ok() {
                    report.push_str(&format!("read {path}\n"));
                }
            }
        }
        symlink(secret, format!("{OUT}/link"))?;
        if fs::read(format!("{OUT}/link")).is_ok() {
            report.push_str(&format!("followed a link to {secret}\n"));
        }
        fs::remove_file(format!("{OUT}/link"))?;
    }
    for host in ["/etc/shadow", "/root", "/home", "/var", "/usr", "/boot"] {
        if fs::metadata(host).is_ok() {
            report.push_str(&format!("saw {host}\n"));
        }
    }
    fs::write(format!("{OUT}/result"), report)?;
    declare("/iexec_out/result")
}

/// Tries to write where it must not and reports its privileges.
fn write_outside() -> io::Result<()> {
    let mut report = String::new();
    for path in ["/x", "/etc/x", "/iexec_in/x", "/proc/sys/kernel/hostname", "/sys/x", "/dev/x", "/proc/sysrq-trigger"]
    {
        if fs::write(path, "x").is_ok() {
            report.push_str(&format!("wrote {path}\n"));
        }
    }
    for device in ["/dev/sda", "/dev/vda", "/dev/mem", "/dev/kmsg", "/dev/fuse", "/var/run/docker.sock"] {
        if File::open(device).is_ok() {
            report.push_str(&format!("opened {device}\n"));
        }
    }
    let status = fs::read_to_string("/proc/self/status")?;
    for line in status.lines().filter(|l| {
        ["Uid:", "Gid:", "Groups:", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp:"]
            .iter()
            .any(|word| l.starts_with(word))
    }) {
        report.push_str(&line.split_whitespace().collect::<Vec<_>>().join(" "));
        report.push('\n');
    }
    fs::write(format!("{OUT}/result"), report)?;
    declare("/iexec_out/result")
}

#[allow(unsafe_code)]
fn make_fifo(path: &str) -> io::Result<()> {
    let path = CString::new(path)?;
    // SAFETY: `path` is a C string that outlives the call.
    if unsafe { libc::mkfifo(path.as_ptr(), 0o644) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[allow(unsafe_code)]
fn ignore_sigterm() {
    // SAFETY: SIG_IGN is no handler, so nothing runs in signal context.
    unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
}
