//! Apps that mean harm, each run for real through the worker's runtime: none gets anywhere, each ends as what it is.
#![allow(clippy::unwrap_used)]

mod support;

use sunwork_protocol::leaf::{LeafRecord, Outcome};
use sunwork_runner_wire::Ended;
use support::{Bench, LIMITS, app, text};

fn bare(outcome: Outcome) -> LeafRecord {
    LeafRecord::bare(outcome)
}

#[tokio::test]
async fn a_loop_without_end_runs_out_of_instructions_at_the_same_one_every_time() {
    let bench = Bench::new();
    let module = app("(loop $again (br $again))");
    let run = || bench.run_with(&module, |job| job.limits.milli_cpu = 20);
    let (first, second) = (run().await, run().await);
    assert_eq!(first.0.record, bare(Outcome::TimeLimit));
    assert_eq!(first.1.ended, Ended::OutOfFuel);
    assert_eq!((first.0.record, first.1.fuel_used), (second.0.record, second.1.fuel_used));
}

#[test]
fn what_takes_too_long_is_ended_and_so_is_a_runner_whose_worker_is_gone() {
    use std::io::{Read, Write};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loop.wasm");
    std::fs::write(&path, app("(loop $again (br $again))")).unwrap();
    let start = |program: &mut std::process::Command, cpu_ms: u64| {
        let mut child =
            program.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let request = sunwork_runner_wire::Request {
            mode: sunwork_runner_wire::Mode::Run,
            module: path.clone(),
            args: vec![],
            env: vec![],
            input_dir: None,
            // More instructions than terms can buy.
            limits: sunwork_runner_wire::Limits {
                memory_bytes: 1 << 20,
                disk_bytes: 0,
                entries: 0,
                fuel: u64::MAX / 2,
                cpu_ms,
            },
            seed: [0; 32],
        };
        let mut line = serde_json::to_vec(&request).unwrap();
        line.push(b'\n');
        child.stdin.as_mut().unwrap().write_all(&line).unwrap();
        child
    };
    let runner = env!("CARGO_BIN_EXE_sunwork-wasm-runner");
    // Whoever runs the tests may leave files open, too: the shell closes or opens one of its own.
    let once = |descriptor_7: &str| {
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("exec 7{descriptor_7}; exec {runner}")]);
        let mut slow = start(&mut shell, 300);
        let mut said = Vec::new();
        slow.stdout.take().unwrap().read_to_end(&mut said).unwrap();
        assert!(slow.wait().unwrap().success());
        let report = &said[sunwork_runner_wire::HEAD_BYTES..];
        serde_json::from_slice::<sunwork_runner_wire::Report>(report).unwrap()
    };
    // A machine that is busy with other tests is told as that, and is not what is asked for here.
    let ended = |descriptor_7: &str| {
        let mut report = once(descriptor_7);
        for _ in 0..20 {
            if report.ended == Ended::OutOfTime {
                break;
            }
            std::thread::sleep(std::time::Duration::from_secs(1));
            report = once(descriptor_7);
        }
        report
    };
    let (tidy, careless) = (ended("<&-"), ended("</etc/passwd"));
    assert_eq!((tidy.ended, careless.ended), (Ended::OutOfTime, Ended::OutOfTime));
    assert_eq!(careless.walls.closed_fds, tidy.walls.closed_fds + 1);
    let mut lonely = start(&mut std::process::Command::new(runner), 600_000);
    drop(lonely.stdin.take());
    assert_eq!(lonely.wait().unwrap().code(), Some(3));
}

#[tokio::test]
async fn memory_beyond_the_limit_is_the_memory_limit_and_below_it_is_had() {
    let bench = Bench::new();
    // 16 MiB are 256 pages; two are there from the start.
    let grow = |pages: u32| app(&format!("(drop (memory.grow (i32.const {pages}))) (call $exit (i32.const 7))"));
    assert_eq!(bench.run(&grow(254)).await.record, LeafRecord::app_failed(7));
    assert_eq!(bench.run(&grow(255)).await.record, bare(Outcome::MemoryLimit));
    let bomb = app("(loop $again (drop (memory.grow (i32.const 1))) (br $again))");
    assert_eq!(bench.run(&bomb).await.record, bare(Outcome::MemoryLimit));
    let from_the_start = text("(module (memory (export \"memory\") 257) (func (export \"_start\")))");
    assert_eq!(bench.run(&from_the_start).await.record, bare(Outcome::MemoryLimit));
    let tables = text(
        "(module (memory (export \"memory\") 1) (table 1 funcref) (func (export \"_start\") \
         (loop $again (drop (table.grow (ref.null func) (i32.const 100000))) (br $again))))",
    );
    assert_eq!(bench.run(&tables).await.record, bare(Outcome::MemoryLimit));
    let own_limit = text(
        "(module (memory (export \"memory\") 1 2) (func (export \"_start\") \
         (if (i32.ne (memory.grow (i32.const 5)) (i32.const -1)) (then unreachable))))",
    );
    assert_eq!(bench.run(&own_limit).await.record, bare(Outcome::NoComputedJson), "a module's own limit is told to it");
}

#[tokio::test]
async fn a_full_output_folder_is_the_output_limit_to_the_byte() {
    let bench = Bench::new();
    // 4 MiB of room: 64 pieces of 64 KiB, and computed.json has no room then.
    let bomb = app("(local $fd i32) (local.set $fd (call $create (i32.const 4) (i32.const 128) (i32.const 1))) \
         (loop $again (br_if $again (i32.eqz (call $put (local.get $fd) (i32.const 1024) (i32.const 65536))))) \
         (call $exit (i32.const 1))");
    assert_eq!(bench.run(&bomb).await.record, bare(Outcome::OutputLimit));
    let sparse = app("(call $expect (call $set_size (call $create (i32.const 4) (i32.const 128) (i32.const 1)) \
         (i64.const 107374182400)) (i32.const 51)) (call $exit (i32.const 1))");
    assert_eq!(bench.run(&sparse).await.record, bare(Outcome::OutputLimit));
    // Below the room, but more than may be declared: 2 MiB.
    let large =
        app("(drop (call $set_size (call $create (i32.const 4) (i32.const 128) (i32.const 1)) (i64.const 3000000))) \
         (drop (call $put (call $create (i32.const 4) (i32.const 64) (i32.const 13)) (i32.const 80) (i32.const 44)))");
    let run = bench.run(&large).await;
    assert_eq!(run.record, bare(Outcome::OutputLimit), "{}", run.message);
    // Two hundred thousand folders.
    let files = app("(local $i i32) (loop $again (local.set $i (i32.add (local.get $i) (i32.const 1))) \
         (i32.store (i32.const 1024) (i32.add (i32.const 0x41414141) (i32.and (local.get $i) (i32.const 0x0f0f0f0f)))) \
         (i32.store (i32.const 1028) (i32.add (i32.const 0x41414141) \
           (i32.and (i32.shr_u (local.get $i) (i32.const 4)) (i32.const 0x0f0f0f0f)))) \
         (i32.store (i32.const 1032) (i32.add (i32.const 0x41414141) \
           (i32.and (i32.shr_u (local.get $i) (i32.const 16)) (i32.const 0x0f0f0f0f)))) \
         (drop (call $mkdir (i32.const 4) (i32.const 1024) (i32.const 12))) \
         (br_if $again (i32.lt_u (local.get $i) (i32.const 200000)))) (call $exit (i32.const 1))");
    assert_eq!(bench.run(&files).await.record, bare(Outcome::OutputLimit));
}

#[tokio::test]
async fn what_is_printed_without_end_is_cut_and_costs_instructions() {
    let bench = Bench::new();
    let module = app("(loop $again (drop (call $put (i32.const 1) (i32.const 1024) (i32.const 65536))) (br $again))");
    let (run, _) = bench.run_with(&module, |job| job.limits.milli_cpu = 30).await;
    assert_eq!(run.record, bare(Outcome::TimeLimit));
    let kept: usize = run.log.head.iter().chain(&run.log.tail).map(|chunk| chunk.bytes.len()).sum();
    assert!(kept <= 64 * 1024 && run.log.omitted_bytes > 100 << 20, "{kept}, {}", run.log.omitted_bytes);
}

#[tokio::test]
async fn recursion_ends_by_a_trap_at_the_same_depth_whatever_the_frames_take() {
    let bench = Bench::new();
    let deep = |locals: &str| {
        text(&format!(
            "(module (memory (export \"memory\") 1) (func $f {locals} (call $f)) (func (export \"_start\") (call $f)))"
        ))
    };
    for locals in ["", "(local i64 i64 i64 i64)", "(local v128 v128 v128 v128 v128 v128 v128 v128)"] {
        let (run, report) = bench.run_with(&deep(locals), |_| {}).await;
        assert_eq!(run.record, LeafRecord::app_failed(134));
        let Ended::Trapped { reason } = &report.ended else { panic!("{report:?}") };
        // Not the machine's own stack: that would hang on the machine.
        assert!(reason.contains("unreachable"), "{reason}");
    }
    let (_, report) = bench.run_with(&deep(""), |_| {}).await;
    // 1 Mi words, 8 for each call and none for values: 131,072 calls, each with the instructions of its count.
    assert_eq!(report.fuel_used, bench.run_with(&deep(""), |_| {}).await.1.fuel_used);
}

#[tokio::test]
async fn nothing_outside_the_folders_can_be_named() {
    let bench = Bench::new();
    std::fs::write(bench.folder.path().join("secret"), "host").unwrap();
    std::fs::create_dir_all(bench.folder.path().join("in")).unwrap();
    std::fs::write(bench.folder.path().join("in/plain"), "input").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", bench.folder.path().join("in/link")).unwrap();
    let module = text(&format!(
        "(module {} (data (i32.const 256) \"../secret\") (data (i32.const 272) \"/etc/passwd\") (data (i32.const 288) \"link\") \
         (data (i32.const 296) \"plain\") (data (i32.const 304) \"a/../../secret\") \
         (func $try (param $fd i32) (param $at i32) (param $length i32) (param $flags i32) (param $rights i64) (result i32) \
           (call $path_open (local.get $fd) (i32.const 1) (local.get $at) (local.get $length) (local.get $flags) \
             (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 0))) \
         (func (export \"_start\") \
           (call $expect (call $try (i32.const 3) (i32.const 256) (i32.const 9) (i32.const 0) (i64.const 2)) (i32.const 76)) \
           (call $expect (call $try (i32.const 4) (i32.const 256) (i32.const 9) (i32.const 1) (i64.const 64)) (i32.const 76)) \
           (call $expect (call $try (i32.const 3) (i32.const 272) (i32.const 11) (i32.const 0) (i64.const 2)) (i32.const 76)) \
           (drop (call $mkdir (i32.const 4) (i32.const 304) (i32.const 1))) \
           (call $expect (call $try (i32.const 4) (i32.const 304) (i32.const 14) (i32.const 1) (i64.const 64)) (i32.const 76)) \
           (call $expect (call $try (i32.const 3) (i32.const 288) (i32.const 4) (i32.const 0) (i64.const 2)) (i32.const 44)) \
           (call $expect (call $symlink (i32.const 272) (i32.const 11) (i32.const 4) (i32.const 128) (i32.const 1)) (i32.const 58)) \
           (call $expect (call $link (i32.const 3) (i32.const 0) (i32.const 296) (i32.const 5) (i32.const 4) (i32.const 128) \
             (i32.const 1)) (i32.const 58)) \
           (call $expect (call $try (i32.const 3) (i32.const 296) (i32.const 5) (i32.const 0) (i64.const 66)) (i32.const 69)) \
           (call $expect (call $try (i32.const 3) (i32.const 128) (i32.const 1) (i32.const 1) (i64.const 64)) (i32.const 69)) \
           (call $expect (call $unlink (i32.const 3) (i32.const 296) (i32.const 5)) (i32.const 69)) \
           (call $expect (call $try (i32.const 9) (i32.const 296) (i32.const 5) (i32.const 0) (i64.const 2)) (i32.const 8)) \
           (call $expect (call $try (i32.const 3) (i32.const 296) (i32.const 5) (i32.const 0) (i64.const 2)) (i32.const 0)) \
           (call $exit (i32.const 42))))",
        include_str!("support/prelude.wat")
    ));
    let run = bench.run(&module).await;
    assert_eq!(run.record, LeafRecord::app_failed(42), "{}", run.message);
    assert_eq!(std::fs::read(bench.folder.path().join("secret")).unwrap(), b"host");
}

#[tokio::test]
async fn there_is_no_socket_to_use_and_none_to_ask_for() {
    let bench = Bench::new();
    let module = app("(call $expect (call $accept (i32.const 3) (i32.const 0) (i32.const 0)) (i32.const 57)) \
         (call $expect (call $send (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 57)) \
         (call $expect (call $send (i32.const 77) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (i32.const 8)) \
         (call $exit (i32.const 42))");
    assert_eq!(bench.run(&module).await.record, LeafRecord::app_failed(42));
    // Sockets as some hosts give them.
    let import = "(import \"wasi_snapshot_preview1\" \"sock_open\" (func (param i32 i32 i32) (result i32)))";
    let more = text(&format!("(module {import} (memory (export \"memory\") 1) (func (export \"_start\")))"));
    assert!(bench.refusal(&more).await.contains("sock_open"));
}

#[tokio::test]
async fn interfaces_that_only_some_hosts_give_are_refused_by_name() {
    let bench = Bench::new();
    // Sockets, processes, threads, devices, rights, the kernel itself: whatever a module could want of them, it must import.
    for (module, name) in [
        ("wasi_snapshot_preview1", "sock_connect"),
        ("wasi_snapshot_preview1", "sock_bind"),
        ("wasi_snapshot_preview1", "proc_fork"),
        ("wasi_snapshot_preview1", "proc_exec"),
        ("wasi_snapshot_preview1", "path_mknod"),
        ("wasi_snapshot_preview1", "path_chmod"),
        ("wasi_unstable", "fd_write"),
        ("wasix_32v1", "proc_spawn"),
        ("wasi", "thread-spawn"),
        ("wasi:sockets/tcp@0.2.0", "start-connect"),
        ("wali", "SYS_mount"),
        ("env", "syscall"),
        ("env", "setuid"),
        ("env", "dlopen"),
    ] {
        let import = format!("(import \"{module}\" \"{name}\" (func (param i32) (result i32)))");
        let said = bench
            .refusal(&text(&format!("(module {import} (memory (export \"memory\") 1) (func (export \"_start\")))")))
            .await;
        assert!(said.contains(name) && said.contains(module), "{said}");
    }
    // Not only functions: a memory shared with others, too.
    let memory =
        "(module (import \"env\" \"memory\" (memory 1)) (export \"memory\" (memory 0)) (func (export \"_start\")))";
    assert!(bench.refusal(&text(memory)).await.contains("memory"));
}

#[tokio::test]
async fn no_file_of_kernel_or_devices_is_there_under_any_name() {
    let bench = Bench::new();
    let names = [
        "/proc/self/mem",
        "/proc/1/environ",
        "/sys/kernel",
        "/dev/null",
        "/dev/mem",
        "/dev/kvm",
        "/etc/shadow",
        "/",
        "..",
        "../..",
        "./../iexec_out",
        "proc/self/mem",
        "dev/null",
        "sys",
        ".//..",
        "a/../..",
    ];
    let mut data = String::new();
    let mut tries = String::new();
    for (index, name) in names.iter().enumerate() {
        let at = 4096 + index * 64;
        data += &format!("(data (i32.const {at}) \"{name}\")");
        for folder in [3, 4] {
            // Leading out is 76 (not capable), a name that is not there 44; nothing else may come.
            tries += &format!(
                "(call $none (call $path_open (i32.const {folder}) (i32.const 1) (i32.const {at}) (i32.const {}) (i32.const 0) \
                 (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))",
                name.len()
            );
        }
    }
    let module = text(&format!(
        "(module {} {data} (func $none (param $found i32) \
         (if (i32.eqz (i32.or (i32.eq (local.get $found) (i32.const 76)) (i32.eq (local.get $found) (i32.const 44)))) \
         (then (call $exit (i32.const 99))))) (func (export \"_start\") {tries} (call $exit (i32.const 42))))",
        include_str!("support/prelude.wat")
    ));
    assert_eq!(bench.run(&module).await.record, LeafRecord::app_failed(42));
    // More folders than the two are not open: the next free number is nobody's.
    let next = app("(call $expect (call $fd_close (i32.const 5)) (i32.const 8)) (call $exit (i32.const 42))");
    assert_eq!(bench.run(&next).await.record, LeafRecord::app_failed(42));
}

#[tokio::test]
async fn odd_names_are_names_and_what_is_no_unicode_is_none() {
    let bench = Bench::new();
    let module = text(&format!(
        "(module {} (data (i32.const 256) \"\\ff\\fe\") (data (i32.const 264) \"o/new\\0aline\") (data (i32.const 280) \"o/-rf *\") \
         (data (i32.const 296) \"o/ \") (data (i32.const 304) \"o/...\") (data (i32.const 312) \"a\\00b\") \
         (func (export \"_start\") \
           (call $expect (call $mkdir (i32.const 4) (i32.const 256) (i32.const 2)) (i32.const 25)) \
           (call $expect (call $mkdir (i32.const 4) (i32.const 312) (i32.const 3)) (i32.const 25)) \
           (drop (call $mkdir (i32.const 4) (i32.const 128) (i32.const 1))) \
           (drop (call $put (call $create (i32.const 4) (i32.const 264) (i32.const 10)) (i32.const 264) (i32.const 1))) \
           (drop (call $put (call $create (i32.const 4) (i32.const 280) (i32.const 7)) (i32.const 264) (i32.const 1))) \
           (drop (call $put (call $create (i32.const 4) (i32.const 296) (i32.const 3)) (i32.const 264) (i32.const 1))) \
           (drop (call $put (call $create (i32.const 4) (i32.const 304) (i32.const 5)) (i32.const 264) (i32.const 1))) \
           (drop (call $put (call $create (i32.const 4) (i32.const 64) (i32.const 13)) (i32.const 80) (i32.const 44)))))",
        include_str!("support/prelude.wat")
    ));
    let run = bench.run(&module).await;
    assert_eq!(run.record.outcome, Outcome::Completed, "{}", run.message);
    let mut names: Vec<_> = std::fs::read_dir(run.output.unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [" ", "-rf *", "...", "new\nline"]);
}

#[tokio::test]
async fn bombs_in_one_runner_change_nothing_in_another() {
    let bench = Bench::new();
    let good =
        app("(drop (call $random (i32.const 1024) (i32.const 32))) (call $answer (i32.const 1024) (i32.const 32))");
    let (alone, _) = bench.run_with(&good, |_| {}).await;
    let bombs = [
        (app("(loop $again (br $again))"), Outcome::TimeLimit),
        (app("(loop $again (drop (memory.grow (i32.const 1))) (br $again))"), Outcome::MemoryLimit),
        (
            app("(loop $again (drop (call $put (i32.const 1) (i32.const 1024) (i32.const 65536))) (br $again))"),
            Outcome::TimeLimit,
        ),
    ];
    let named = |name: &str| sunwork_worker::runtime::LeafJob {
        out_dir: bench.folder.path().join(name),
        name: name.into(),
        ..bench.job(&good)
    };
    for (module, _) in &bombs {
        bench.prepare(module).await.unwrap();
    }
    let jobs: Vec<_> = bombs
        .iter()
        .enumerate()
        .map(|(index, (module, _))| {
            let mut job = named(&format!("bomb-{index}"));
            (job.image, job.limits.milli_cpu) = (support::image(module), 30);
            job
        })
        .collect();
    let all = futures::future::join_all(jobs.iter().map(|job| bench.wasm.run_measured(job)));
    let beside = named("beside");
    let (ended, seen) = tokio::join!(all, bench.wasm.run_measured(&beside));
    assert_eq!(seen.unwrap().0.record, alone.record);
    for (run, (_, outcome)) in ended.into_iter().zip(&bombs) {
        assert_eq!(run.unwrap().0.record, bare(*outcome));
    }
}

#[tokio::test]
async fn randomness_and_time_are_the_tasks_alone() {
    let bench = Bench::new();
    let module = app("(drop (call $random (i32.const 1024) (i32.const 32))) \
         (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 1056))) \
         (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 1064))) \
         (i64.store (i32.const 2064) (i64.const 0)) (i64.store (i32.const 2072) (i64.const 3600000000000)) \
         (i32.store (i32.const 2064) (i32.const 1)) \
         (drop (call $poll (i32.const 2048) (i32.const 4096) (i32.const 1) (i32.const 0))) \
         (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 1072))) \
         (call $answer (i32.const 1024) (i32.const 56))");
    let started = std::time::Instant::now();
    let (first, _) = bench.run_with(&module, |_| {}).await;
    let bytes = std::fs::read(first.output.clone().unwrap()).unwrap();
    let (second, _) = bench.run_with(&module, |_| {}).await;
    assert_eq!(first.record, second.record);
    assert!(started.elapsed().as_secs() < 600, "an hour's sleep takes no time");
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!(number(32), sunwork_runner_wire::CLOCK_START_NS + 1000);
    assert_eq!(number(40), 2000);
    assert!(number(48) > 3_600_000_000_000);
    let (other, _) = bench.run_with(&module, |job| job.env[0].1 = format!("0x{}", "22".repeat(32))).await;
    let others = std::fs::read(other.output.unwrap()).unwrap();
    assert_ne!(bytes[..32], others[..32], "another task, other numbers");
    assert_eq!(bytes[32..], others[32..]);
}

#[tokio::test]
async fn huge_arguments_arrive_or_hit_the_apps_own_memory() {
    let bench = Bench::new();
    let module = app("(drop (call $args_sizes (i32.const 1024) (i32.const 1028))) \
         (call $expect (call $args (i32.const 2048) (i32.const 4096)) (i32.const 21)) \
         (call $exit (i32.add (i32.const 40) (i32.load (i32.const 1024))))");
    // Two pages are 128 KiB.
    let (run, _) = bench.run_with(&module, |job| job.args = vec!["x".repeat(1 << 20); 2]).await;
    assert_eq!(run.record, LeafRecord::app_failed(43), "three with its name; too long is an error of the call");
}

#[tokio::test]
async fn modules_that_can_run_nowhere_are_refused_before_anything_is_promised() {
    let bench = Bench::new();
    let refused = async |module: &[u8], reason: &str| {
        let said = bench.refusal(module).await;
        assert!(said.contains(reason), "{said}");
    };
    refused(b"#!/bin/sh", "does not begin like a WebAssembly module").await;
    refused(b"\0asm\x0d\0\x01\0", "does not begin like a WebAssembly module").await;
    refused(b"\0asm\x01\0\0\0\xff", "").await;
    refused(&text("(module)"), "exports no memory").await;
    refused(&text("(module (memory (export \"memory\") 1))"), "_start").await;
    refused(&text("(module (memory (export \"memory\") 1) (func (export \"_start\") (param i32)))"), "_start").await;
    let imports = "(import \"env\" \"system\" (func (param i32)))";
    refused(&text(&format!("(module {imports} (memory (export \"memory\") 1) (func (export \"_start\")))")), "system")
        .await;
    let wrong = "(import \"wasi_snapshot_preview1\" \"fd_close\" (func (param i64)))";
    refused(&text(&format!("(module {wrong} (memory (export \"memory\") 1) (func (export \"_start\")))")), "fd_close")
        .await;
    refused(&text("(module (memory (export \"memory\") 1 1 shared) (func (export \"_start\")))"), "threads").await;
}

#[tokio::test]
async fn a_start_function_that_traps_and_data_that_does_not_fit_are_the_apps_failures() {
    let bench = Bench::new();
    let module =
        text("(module (memory (export \"memory\") 1) (func $s unreachable) (start $s) (func (export \"_start\")))");
    assert_eq!(bench.run(&module).await.record, LeafRecord::app_failed(134));
    let misfit =
        text("(module (memory (export \"memory\") 1) (data (i32.const 65536) \"x\") (func (export \"_start\")))");
    assert_eq!(bench.run(&misfit).await.record, LeafRecord::app_failed(134));
    let raised = text(
        "(module (import \"wasi_snapshot_preview1\" \"proc_raise\" (func $r (param i32) (result i32))) \
         (memory (export \"memory\") 1) (func (export \"_start\") (drop (call $r (i32.const 6)))))",
    );
    assert_eq!(bench.run(&raised).await.record, LeafRecord::app_failed(134));
    let exits = app("(call $exit (i32.const 259))");
    assert_eq!(bench.run(&exits).await.record, LeafRecord::app_failed(3), "eight bits, as on Unix");
}

#[tokio::test]
async fn a_hundred_megabytes_of_data_need_the_memory_that_was_paid_for() {
    let bench = Bench::new();
    let module = text(&format!(
        "(module (memory (export \"memory\") 1600) (func (export \"_start\")) (data (i32.const 0) \"{}\"))",
        "x".repeat(100 << 20)
    ));
    assert_eq!(bench.run(&module).await.record, bare(Outcome::MemoryLimit));
    let (run, _) = bench.run_with(&module, |job| job.limits.memory_mib = 128).await;
    assert_eq!(run.record, bare(Outcome::NoComputedJson));
    let mut larger = module;
    larger.resize((sunwork_runner_wire::MAX_MODULE_BYTES + 1) as usize, 0);
    assert!(bench.refusal(&larger).await.contains("too large"));
}

#[tokio::test]
async fn the_declared_output_is_held_to_the_same_rules_as_a_containers() {
    let bench = Bench::new();
    let declare = |json: &str, body: &str| {
        text(&format!(
            "(module {} (data (i32.const 512) \"{}\") (func (export \"_start\") {body} \
             (drop (call $put (call $create (i32.const 4) (i32.const 64) (i32.const 13)) (i32.const 512) (i32.const {})))))",
            include_str!("support/prelude.wat"),
            json.replace('"', "\\\""),
            json.len()
        ))
    };
    let path = |path: &str| format!("{{\"deterministic-output-path\":\"{path}\"}}");
    let outcome = async |module: Vec<u8>| bench.run(&module).await.record.outcome;
    assert_eq!(outcome(declare(&path("/iexec_out/none"), "")).await, Outcome::OutputInvalid);
    assert_eq!(outcome(declare(&path("/iexec_out/../etc"), "")).await, Outcome::OutputInvalid);
    assert_eq!(outcome(declare("no json", "")).await, Outcome::NoComputedJson);
    assert_eq!(outcome(app("")).await, Outcome::NoComputedJson);
    // The whole folder, computed.json among it.
    let whole = declare(&path("/iexec_out"), "(drop (call $mkdir (i32.const 4) (i32.const 128) (i32.const 1)))");
    let whole = bench.run(&whole).await;
    assert_eq!(whole.record.outcome, Outcome::Completed, "{}", whole.message);
    assert!(whole.output.unwrap().join("computed.json").is_file());
    let through_a_file = declare(
        &path("/iexec_out/o/x"),
        "(drop (call $put (call $create (i32.const 4) (i32.const 128) (i32.const 1)) (i32.const 64) (i32.const 5)))",
    );
    assert_eq!(outcome(through_a_file).await, Outcome::OutputInvalid);
    // Folders below folders, deeper than 64.
    let deep = "(local $i i32) (local.set $i (i32.const 1024)) (loop $again \
        (i32.store16 (local.get $i) (i32.const 0x2f64)) (local.set $i (i32.add (local.get $i) (i32.const 2))) \
        (drop (call $mkdir (i32.const 4) (i32.const 1024) (i32.sub (local.get $i) (i32.const 1025)))) \
        (br_if $again (i32.lt_u (local.get $i) (i32.const 1224))))";
    assert_eq!(outcome(declare(&path("/iexec_out/d"), deep)).await, Outcome::OutputInvalid);
}

#[tokio::test]
async fn the_cage_is_told_and_what_the_kernel_has_is_used() {
    let bench = Bench::new();
    let (_, report) = bench.run_with(&app(""), |_| {}).await;
    assert!(report.walls.no_new_privs && report.walls.seccomp, "{:?}", report.walls);
    assert!(report.peak_kib > 0 && report.fuel_used.is_some());
    assert_eq!(LIMITS.max_pids, 1);
}
