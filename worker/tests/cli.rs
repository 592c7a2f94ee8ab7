//! The real binary where no chain is needed.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunwork-worker"));
    // Nothing of the tester's own environment but what the system needs.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("SUNWORK_WORKER_DATA_DIR", data);
    command
}

fn run(data: &Path, args: &[&str]) -> Output {
    program(data).args(args).output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A deployment file of contracts that nobody asks for.
fn deployment(folder: &Path) -> String {
    let address = |byte: u8| format!("0x{}", format!("{byte:02x}").repeat(20));
    let text = serde_json::json!({
        "chainId": 31337, "deployedBlock": 1, "token": address(1), "dispatcher": address(2), "beacon": address(3),
        "computeImplementation": address(4), "classes": ["linux/amd64+docker"],
    });
    let path = folder.join("31337.json");
    std::fs::write(&path, text.to_string()).unwrap();
    path.display().to_string()
}

#[test]
fn without_a_worker_orders_say_how_to_start_one() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["pause", "30m"][..], &["resume"], &["drain"], &["reload"], &["top", "--once"]] {
        let (code, _, errors) = said(&run(dir.path(), args));
        assert_eq!(code, Some(4), "{args:?}: {errors}");
        assert!(
            errors.contains("no worker runs here") && errors.contains("systemctl start sunwork-worker"),
            "{errors}"
        );
    }
}

#[test]
fn mistakes_have_their_own_exit_codes_and_name_line_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("worker.toml");
    let config = file.display().to_string();
    assert_eq!(said(&run(dir.path(), &["pause", "soon"])).0, Some(2));
    assert_eq!(said(&run(dir.path(), &["--help"])).0, Some(0));
    std::fs::write(&file, "cores = 1\nschedul = []\n").unwrap();
    let (code, _, errors) = said(&run(dir.path(), &["--config", &config, "config", "check"]));
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("line 2") && errors.contains("did you mean \"schedule\"?"), "{errors}");
    std::fs::write(&file, "cores = 1\n\nschedule = [\"whenever\"]\n").unwrap();
    let (code, _, errors) = said(&run(dir.path(), &["--config", &config, "config", "check"]));
    assert_eq!(code, Some(3));
    assert!(errors.contains("schedule (") && errors.contains("worker.toml:3)"), "{errors}");
    let (_, _, errors) = said(&run(dir.path(), &["config", "check", "--poll-ms", "7"]));
    assert!(errors.contains("poll_ms (flag --poll-ms)") && errors.contains("20 to 60000"), "{errors}");
}

#[test]
fn settings_are_shown_with_where_they_are_from() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("worker.toml");
    std::fs::write(&file, "\nmax_leaves = 5\nmin_reward = 0.5\nmemory_mib = 100\n").unwrap();
    let mut command = program(dir.path());
    command.env("SUNWORK_WORKER_CONFIG", &file).env("SUNWORK_WORKER_MIN_REWARD", "0.7");
    let shown = command.args(["config", "show", "--origin", "--memory-mib", "200"]).output().unwrap();
    let (code, text, errors) = said(&shown);
    assert_eq!(code, Some(0), "{errors}");
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("max_leaves").contains("worker.toml:2"), "{text}");
    assert!(
        line("min_reward").contains("0.7") && line("min_reward").contains("environment SUNWORK_WORKER_MIN_REWARD"),
        "{text}"
    );
    assert!(line("memory_mib").contains("200") && line("memory_mib").contains("flag --memory-mib"), "{text}");
    assert!(line("poll_ms").contains("500") && line("poll_ms").ends_with("default"), "{text}");
}

#[test]
fn init_makes_keys_once_tests_the_folder_and_writes_a_settings_file_that_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("etc/worker.toml");
    let args = ["init", "--output", "json", "--write-config", &file.display().to_string()];
    let (code, first, errors) = said(&run(dir.path(), &args));
    assert_eq!(code, Some(0), "{errors}");
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(json(&first)["selfTest"], true);
    let again = said(&run(dir.path(), &args)).1;
    assert_eq!(json(&first)["device"], json(&again)["device"]);
    let deployment = deployment(dir.path());
    let mut command = program(dir.path());
    command.args(["--config", &file.display().to_string(), "config", "check", "--deployment", &deployment]);
    command.args(["--rpc", "http://127.0.0.1:1", "--oracle", "http://127.0.0.1:2"]);
    let (code, _, errors) = said(&command.output().unwrap());
    assert_eq!(code, Some(0), "{errors}");
    let unit = said(&run(dir.path(), &["init", "--print-unit"])).1;
    assert!(unit.contains("ExecStart=/usr/bin/sunwork-worker run") && unit.contains("ProtectSystem=strict"));
}

/// A command that `init` printed, as a shell takes it, with the words in capitals filled in.
fn as_printed(command: &str, env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let programs = Path::new(env!("CARGO_BIN_EXE_sunwork-worker")).parent().unwrap();
    let mut shell = Command::new("sh");
    shell.env_clear().env("PATH", format!("{}:/usr/bin:/bin", programs.display())).envs(env.iter().copied());
    said(&shell.args(["-c", &command.replace("AMOUNT", "5")]).output().unwrap())
}

/// Commands after the line that begins with "Next".
fn next_commands(text: &str) -> Vec<&str> {
    let after = text.lines().skip_while(|line| !line.starts_with("Next")).skip(1);
    after.map(str::trim).filter(|line| line.starts_with("sunwork-worker ")).collect()
}

#[test]
fn what_init_says_comes_next_works_as_printed() {
    let dir = tempfile::tempdir().unwrap();
    let deployment = deployment(dir.path());
    let flags = ["--rpc", "http://127.0.0.1:1", "--deployment", &deployment, "--oracle", "http://127.0.0.1:2"];
    // With flags, and a path that a shell would take for two words.
    let data = dir.path().join("my data");
    let data = data.display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunwork-worker"));
    let (code, text, errors) =
        said(&command.env_clear().args(["init", "--data-dir", &data]).args(flags).output().unwrap());
    assert_eq!(code, Some(0), "{errors}");
    let next = next_commands(&text);
    assert_eq!(next.len(), 3, "{text}");
    let (code, _, errors) = as_printed(next[0], &[]);
    assert_eq!(code, Some(5), "register finds all but a chain: {errors}");
    let (code, report, _) = as_printed(next[1], &[]);
    assert_eq!(code, Some(8), "{report}");
    assert!(report.contains("pass  settings") && report.contains("pass  device key"), "{report}");
    // With the environment: it is still there, and is not repeated.
    let env = [("SUNWORK_WORKER_DATA_DIR", data.as_str()), ("SUNWORK_WORKER_RPC", "http://127.0.0.1:1")];
    let (_, text, _) = as_printed(&format!("sunwork-worker init --deployment {deployment}"), &env);
    let next = next_commands(&text);
    assert_eq!(next[0], format!("sunwork-worker register --deployment {deployment} --stake AMOUNT"));
    assert_eq!(as_printed(next[0], &env).0, Some(5));
    assert!(next[2].ends_with(" --oracle URL"), "what is missing is asked for: {}", next[2]);
}

#[test]
fn a_settings_file_that_init_writes_holds_what_init_was_given() {
    let dir = tempfile::tempdir().unwrap();
    let deployment = deployment(dir.path());
    let file = dir.path().join("worker.toml").display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunwork-worker"));
    command.env_clear().env("SUNWORK_WORKER_ORACLE", "http://127.0.0.1:2,http://127.0.0.1:3").current_dir(dir.path());
    command.args(["init", "--data-dir", "data", "--rpc", "http://127.0.0.1:1", "--deployment", "31337.json"]);
    let (code, text, errors) = said(&command.args(["--write-config", &file]).output().unwrap());
    assert_eq!(code, Some(0), "{errors}");
    let written = std::fs::read_to_string(&file).unwrap();
    let data = dir.path().join("data").display().to_string();
    for line in [
        format!("data_dir = \"{data}\""),
        "rpc = [\"http://127.0.0.1:1\"]".to_owned(),
        format!("deployment = \"{deployment}\""),
        "oracle = [\"http://127.0.0.1:2\", \"http://127.0.0.1:3\"]".to_owned(),
        "# cores = 1.5".to_owned(),
    ] {
        assert!(written.lines().any(|found| found == line), "{line} is not in\n{written}");
    }
    let next = next_commands(&text);
    assert_eq!(next[0], format!("sunwork-worker register --config {file} --stake AMOUNT"));
    assert_eq!(as_printed(next[0], &[]).0, Some(5));
    let (code, _, errors) = as_printed(&format!("sunwork-worker --config {file} config check"), &[]);
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn a_missing_key_is_a_mistake_in_the_settings() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, errors) = said(&run(dir.path(), &["run", "--deployment", &deployment(dir.path())]));
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("there is no device key in") && errors.contains("--keystore"), "{errors}");
}

#[test]
fn commands_that_only_look_make_nothing_and_say_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("missing");
    let files = tempfile::tempdir().unwrap();
    let deployment = deployment(files.path());
    let (code, _, errors) = said(&run(&data, &["why"]));
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains("there is no data folder") && errors.contains("sunwork-worker init"), "{errors}");
    let (code, text, _) = said(&run(&data, &["doctor"]));
    assert_eq!(code, Some(8), "{text}");
    assert!(
        text.contains("FAIL  data folder") && text.contains("is not there\n      fix: run `sunwork-worker init`"),
        "{text}"
    );
    let away = ["--rpc", "http://127.0.0.1:1", "--deployment", &deployment];
    for command in [&["status"][..], &["earnings"], &["energy", "meter"], &["withdraw"], &["top", "--once"]] {
        let (code, _, errors) = said(&run(&data, &[command, &away].concat()));
        assert!(matches!(code, Some(4 | 5)), "{command:?}: {code:?} {errors}");
    }
    let (_, _, errors) = said(&run(&data, &["energy", "plot", "--out", "x.svg"]));
    assert!(errors.contains("a line comes each quarter hour of the site's time"), "{errors}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "somebody made a folder");
    // Nor in a folder that is there.
    std::fs::create_dir(&data).unwrap();
    for command in ["why", "doctor", "status"] {
        run(&data, &[&[command][..], &away].concat());
    }
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "somebody made a file");
}

#[test]
fn why_without_a_worker_reads_the_notes_of_the_last_one() {
    use sunwork_worker::{
        governor::now_secs,
        refusal::Refusal,
        why::{Fate, WhyBook},
    };
    let dir = tempfile::tempdir().unwrap();
    let book = WhyBook::open(dir.path().join("why"), now_secs());
    let refusal = Refusal::Memory { asked_mib: 4096, limit_mib: 700 };
    book.note(alloy::primitives::Address::repeat_byte(1), Fate::Excluded { refusal }, now_secs());
    let (code, text, errors) = said(&run(dir.path(), &["why"]));
    assert_eq!(code, Some(0), "{errors}");
    assert!(text.contains("memory 4096 MiB > limit 700 MiB") && text.contains("raise `max_memory_mib`"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&said(&run(dir.path(), &["why", "--output", "json"])).1).unwrap();
    assert_eq!(json["demand"]["excluded"][0]["reason"], "memory");
    assert_eq!(json["demand"]["excluded"][0]["measured"]["highest"], 4096);
}

#[test]
fn doctor_goes_on_after_failures_and_names_a_remedy_for_each() {
    let dir = tempfile::tempdir().unwrap();
    let (code, text, _) = said(&run(dir.path(), &["doctor", "--rpc", "http://127.0.0.1:1"]));
    assert_eq!(code, Some(8), "{text}");
    assert!(text.contains("FAIL  device key") && text.contains("fix: run `sunwork-worker init`"), "{text}");
    assert!(text.contains("FAIL  oracle") && text.contains("systemd:"), "{text}");
    let fails = text.lines().filter(|line| line.starts_with("FAIL")).count();
    assert_eq!(
        fails,
        text.lines().zip(text.lines().skip(1)).filter(|(a, b)| a.starts_with("FAIL") && b.contains("fix: ")).count()
    );
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_second_process_on_one_data_folder_refuses_while_the_first_waits_for_its_chain() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(said(&run(dir.path(), &["init"])).0, Some(0));
    let deployment = deployment(dir.path());
    let args = [
        "run",
        "--rpc",
        "http://127.0.0.1:1",
        "--oracle",
        "http://127.0.0.1:2",
        "--deployment",
        &deployment,
        "--log-format",
        "json",
    ];
    let mut first = Running(program(dir.path()).args(args).stderr(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(first.0.stderr.take().unwrap()).lines();
    let (out, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(out.send(line))));
    let line = seen.recv_timeout(Duration::from_secs(60)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["fields"]["message"], "starting", "{line}");

    let (code, _, errors) = said(&run(dir.path(), &args));
    assert_eq!(code, Some(9), "{errors}");
    assert!(errors.contains("another worker process uses the data folder"), "{errors}");

    // The first is unharmed, and ends when it is asked to, even while it waits.
    assert!(first.0.try_wait().unwrap().is_none());
    let pid = rustix::process::Pid::from_child(&first.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = first.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < until, "it did not stop");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(0));
}
