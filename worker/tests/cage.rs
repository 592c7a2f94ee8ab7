//! Every bad app of `apps/hostile`, for real, in the real engine: how it ends, what people are told, and that nothing of it
//! stays. No engine, no skip: these tests fail then.
#![allow(clippy::unwrap_used)]

mod cage_support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cage_support::{Bench, engine, text};
use sunwork_protocol::bundle::open_plaintext;
use sunwork_protocol::leaf::{LeafRecord, Outcome};
use sunwork_protocol::logs::{Chunk, MAX_LEAF_LOG_BYTES, Stream};
use sunwork_worker::runtime::{LeafRun, Printing, Runtime, leaf_plaintext};

#[track_caller]
fn assert_ended(run: &LeafRun, outcome: Outcome, words: &str) {
    assert_eq!(run.record, LeafRecord::bare(outcome), "{}", run.message);
    assert_eq!(run.output, None);
    assert!(run.message.contains(words), "expected {words:?} in {:?}", run.message);
}

#[tokio::test]
async fn a_good_app_gets_its_inputs_and_variables_and_its_files_are_the_result() {
    let bench = Bench::new().await;
    let job = bench.job(&["good"]);
    std::fs::write(job.input_dir.join("a.txt"), "input").unwrap();
    let first = bench.run_job(&job).await.unwrap();
    assert_eq!(first.record.outcome, Outcome::Completed, "{}", first.message);
    let folder = first.output.clone().unwrap();
    assert_eq!(folder, job.out_dir.join("result"));
    assert_eq!(std::fs::read_to_string(folder.join("env.txt")).unwrap(), "IEXEC_BOT_TASK_INDEX=7\n");
    assert_eq!(std::fs::read_to_string(folder.join("sub/a.txt")).unwrap(), "input");
    assert_eq!(open_plaintext(&leaf_plaintext(&first).unwrap()).unwrap().record, first.record);
    // Again, over the files of the first run: the same digest.
    let second = bench.run_job(&job).await.unwrap();
    assert_eq!(second.record.digest(), first.record.digest());
}

#[tokio::test]
async fn a_failing_app_is_a_result_with_its_status() {
    let bench = Bench::new().await;
    let run = bench.run(&["exit", "3"]).await;
    assert_eq!(run.record, LeafRecord::app_failed(3));
    assert!(run.message.contains("exit status 3") && run.message.contains("as told"), "{}", run.message);
    // 143 is what a stopped engine leaves behind, too: it is tried twice, and agreed on then.
    assert_eq!(bench.run(&["exit", "143"]).await.record, LeafRecord::app_failed(143));
    // No such program in the image.
    let mut job = bench.job(&[]);
    job.args = vec!["nonsense".into()];
    assert_eq!(bench.run_job(&job).await.unwrap().record, LeafRecord::app_failed(98));
}

#[tokio::test]
async fn without_a_good_computed_json_there_is_no_output() {
    let bench = Bench::new().await;
    let run = bench.run(&["no-computed-json"]).await;
    assert_ended(&run, Outcome::NoComputedJson, "expected a file /iexec_out/computed.json");
    assert_ended(&bench.run(&["bad-json"]).await, Outcome::NoComputedJson, "is not JSON");
    assert_ended(&bench.run(&["link-json"]).await, Outcome::NoComputedJson, "is a symbolic link");
}

#[tokio::test]
async fn outputs_elsewhere_are_invalid() {
    let bench = Bench::new().await;
    for path in ["/etc/passwd", "/iexec_out/../etc/passwd"] {
        assert_ended(&bench.run(&["declare", path]).await, Outcome::OutputInvalid, "not below /iexec_out");
    }
    assert_ended(&bench.run(&["declare", "/iexec_out/none"]).await, Outcome::OutputInvalid, "does not exist");
    assert_ended(&bench.run(&["declare", "/iexec_out/no/ne"]).await, Outcome::OutputInvalid, "does not exist");
    assert_ended(&bench.run(&["link-out"]).await, Outcome::OutputInvalid, "is a symbolic link");
    assert_ended(&bench.run(&["link-inside"]).await, Outcome::OutputInvalid, "a symbolic link at \"d/etc\"");
    assert_ended(&bench.run(&["link-parent"]).await, Outcome::OutputInvalid, "is not a folder");
}

#[tokio::test]
async fn special_files_odd_names_and_depth() {
    let bench = Bench::new().await;
    assert_ended(&bench.run(&["fifo"]).await, Outcome::OutputInvalid, "a FIFO");
    assert_ended(&bench.run(&["deep"]).await, Outcome::OutputInvalid, "at most 1024 bytes");
    // A socket is nothing, and the file beside it counts.
    let run = bench.run(&["socket"]).await;
    assert_eq!(run.record.outcome, Outcome::Completed, "{}", run.message);
    assert!(run.message.contains("with 1 file,"), "{}", run.message);
    let run = bench.run(&["hard-link"]).await;
    assert_eq!(std::fs::read(run.output.unwrap().join("b")).unwrap(), b"one");
    let run = bench.run(&["names"]).await;
    assert!(run.message.contains("6 files"), "{}", run.message);
    let opened = open_plaintext(&leaf_plaintext(&run).unwrap()).unwrap();
    assert_eq!(opened.record, run.record);
    assert!(opened.files.iter().any(|f| f.entry.path == b"\xff\xfe not unicode"));
    assert!(opened.files.iter().any(|f| f.entry.path == b"new\nline"));
}

#[tokio::test]
async fn disk_and_output_have_an_end() {
    let bench = Bench::new().await;
    assert_ended(&bench.run(&["fill"]).await, Outcome::OutputLimit, "filled its 16 MiB of disk");
    assert_ended(&bench.run(&["fill-quietly"]).await, Outcome::OutputLimit, "filled its 16 MiB of disk");
    assert_ended(&bench.run(&["big"]).await, Outcome::OutputLimit, "at least 3145728 bytes long, 1048576 are allowed");
    let before = Instant::now();
    assert_ended(&bench.run(&["sparse"]).await, Outcome::OutputLimit, "at least 107374182400 bytes");
    assert!(before.elapsed() < Duration::from_secs(20), "a sparse file is refused by its size, not by reading it");
}

#[tokio::test]
async fn memory_has_an_end() {
    let bench = Bench::new().await;
    assert_ended(&bench.run(&["memory"]).await, Outcome::MemoryLimit, "more than its 32 MiB");
    // A child that dies of it while the app lives on is the app's own matter.
    let run = bench.run(&["child-memory"]).await;
    assert_eq!(run.record.outcome, Outcome::Completed, "{}", run.message);
    assert_eq!(text(&run), "the child ended well: false");
}

#[tokio::test]
async fn what_does_not_end_is_ended() {
    let bench = Bench::new().await;
    for args in [&["sleep"][..], &["stdout"], &["fork"]] {
        let mut job = bench.job(args);
        job.limits.leaf_secs = 2;
        let before = Instant::now();
        assert_ended(&bench.run_job(&job).await.unwrap(), Outcome::TimeLimit, "longer than its 2 s");
        assert!(before.elapsed() < Duration::from_secs(20), "{args:?} took {:?}", before.elapsed());
    }
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"/proc/self/exe\0fork"))
    });
    assert_eq!(processes.count(), 0, "no process of the fork bomb lives on");
}

fn heard(chunks: &[Chunk], stream: Stream) -> String {
    let bytes: Vec<u8> = chunks.iter().filter(|c| c.stream == stream).flat_map(|c| c.bytes.to_vec()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn what_an_app_prints_is_kept_by_stream_from_its_first_word_to_its_last() {
    let bench = Bench::new().await;
    let run = bench.run(&["exit", "3"]).await;
    assert_eq!(heard(&run.log.head, Stream::Stderr), "about to fail\x1b[31m as told\n");
    assert_eq!((heard(&run.log.head, Stream::Stdout).as_str(), run.log.omitted_bytes), ("", 0));
    assert!(bench.run(&["good"]).await.log.is_empty());
    // Nothing of a run before is left in it.
    let mut job = bench.job(&["exit", "143"]);
    job.printing = Printing::new(64);
    let twice = bench.run_job(&job).await.unwrap();
    assert_eq!(heard(&twice.log.head, Stream::Stderr), "about to fail\x1b[31m as told\n", "the leaf ran two times");
}

#[tokio::test]
async fn of_output_without_end_head_and_tail_are_kept_and_nothing_on_disk() {
    let bench = Bench::new().await;
    let mut job = bench.job(&["count"]);
    job.limits.leaf_secs = 3;
    let root = engine().info().await.unwrap().docker_root_dir.unwrap();
    let logs = || {
        let logs =
            walk(Path::new(&root).join("containers")).filter(|path| path.to_string_lossy().ends_with("-json.log"));
        logs.filter_map(|path| Some((path.clone(), std::fs::metadata(path).ok()?.len()))).collect::<Vec<_>>()
    };
    let before = logs();
    let running = bench.docker.run(&job);
    let looking = async {
        let mut grown = Vec::new();
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            grown.extend(logs().into_iter().filter(|log| !before.contains(log)));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        grown
    };
    let (run, grown) = tokio::join!(running, looking);
    let run = run.unwrap();
    assert_ended(&run, Outcome::TimeLimit, "longer than its 3 s");
    assert_eq!(grown, [], "the engine keeps no log of its own");
    let size = |chunks: &[Chunk]| chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
    assert_eq!((size(&run.log.head), size(&run.log.tail)), (MAX_LEAF_LOG_BYTES / 2, MAX_LEAF_LOG_BYTES / 2));
    // How much more depends on the machine.
    assert!(run.log.omitted_bytes > 0, "{}", run.log.omitted_bytes);
    let (head, tail) = (heard(&run.log.head, Stream::Stdout), heard(&run.log.tail, Stream::Stdout));
    assert!(head.starts_with("line 0\nline 1\nline 2\n"), "{}", &head[..40]);
    // The engine carries the streams one beside the other: the first may fill the head before the second is heard at all.
    let errors = heard(&run.log.head, Stream::Stderr);
    assert!(errors.is_empty() || errors.starts_with("error 0\n"), "{errors}");
    let last = |text: &str| text.lines().rev().nth(1).and_then(|line| line.strip_prefix("line ")?.parse::<u64>().ok());
    assert!(last(&tail).unwrap() > last(&head).unwrap(), "{:?} {:?}", last(&tail), last(&head));
    // Whichever of the two streams was heard last.
    let words = ["its last words: \"line ", "its last words: \"error "];
    assert!(words.iter().any(|words| run.message.contains(words)), "{}", run.message);
    bench.assert_nothing_left().await;
}

/// All files below a folder; none where this user may not look.
fn walk(folder: PathBuf) -> impl Iterator<Item = PathBuf> {
    let (mut folders, mut files) = (vec![folder], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => files.push(entry.path()),
            }
        }
    }
    files.into_iter()
}

#[tokio::test]
async fn what_was_printed_is_there_when_the_leaf_is_stopped_in_the_middle() {
    let bench = Bench::new().await;
    let job = bench.job(&["stdout"]);
    let stopped = tokio::time::timeout(Duration::from_secs(4), bench.docker.run(&job)).await;
    assert!(stopped.is_err());
    let printed = job.printing.printed();
    assert!(!printed.is_empty() && printed.head.iter().all(|chunk| chunk.bytes.iter().all(|byte| *byte == b'x')));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !bench.leftovers().await.is_empty() {
        assert!(Instant::now() < deadline, "left: {:?}", bench.leftovers().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn nothing_of_the_host_is_written() {
    let bench = Bench::new().await;
    let run = bench.run(&["write-outside"]).await;
    let report = text(&run);
    for line in [
        "Uid: 65534 65534 65534 65534",
        "CapEff: 0000000000000000",
        "CapBnd: 0000000000000000",
        "NoNewPrivs: 1",
        "Seccomp: 2",
    ] {
        assert!(report.contains(line), "{line:?} is missing in {report}");
    }
    assert!(!report.contains("wrote") && !report.contains("opened"), "{report}");
    assert!(report.lines().any(|l| l.trim_end() == "Groups: 65534" || l.trim_end() == "Groups:"), "{report}");
}

#[tokio::test]
async fn leftovers_of_a_killed_worker_are_removed() {
    let bench = Bench::new().await;
    let job = bench.job(&["sleep"]);
    // A run that is dropped in the middle cleans up after itself ...
    let dropped = tokio::time::timeout(Duration::from_secs(4), bench.docker.run(&job)).await;
    assert!(dropped.is_err());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !bench.leftovers().await.is_empty() {
        assert!(Instant::now() < deadline, "left: {:?}", bench.leftovers().await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // ... a killed worker cannot: what has its label is swept, what has a leaf's name makes way for the leaf.
    let body = |name: &str| (name.to_owned(), sunwork_worker::runtime::cage::volume(name, &job.limits, &bench.label));
    let (_, volume) = body(&job.name);
    engine().create_volume(volume).await.unwrap();
    let (_, other) = body("cage-other");
    engine().create_volume(other).await.unwrap();
    assert_eq!(bench.leftovers().await.len(), 2);
    let good = bench.docker.run(&bench.job(&["good"])).await.unwrap();
    assert_eq!(good.record.outcome, Outcome::Completed);
    assert_eq!(bench.docker.sweep().await.unwrap(), 1);
    bench.assert_nothing_left().await;
}

/// A worker that is told to stop drops its leaves wherever they are; the engine goes on with what they had asked of it.
#[tokio::test]
async fn a_worker_that_stops_in_the_middle_leaves_nothing() {
    let bench = Bench::new().await;
    for round in 0..5_u64 {
        let leaves: Vec<_> = (0..3)
            .map(|leaf| {
                let (docker, mut job) = (bench.docker.clone(), bench.job(&["sleep"]));
                job.name = format!("{}-{round}-{leaf}", bench.label);
                job.out_dir = bench.folder.path().join(format!("out-{round}-{leaf}"));
                // Not all at the same step.
                let begins = Duration::from_millis(leaf * 40);
                tokio::spawn(async move {
                    tokio::time::sleep(begins).await;
                    docker.run(&job).await
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(90 * round)).await;
        for leaf in leaves {
            leaf.abort();
            assert!(leaf.await.is_err_and(|error| error.is_cancelled()), "it sleeps for longer");
        }
        bench.docker.sweep().await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        bench.assert_nothing_left().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.assert_nothing_left().await;
    }
}
