//! The journal as a file: journals of every version, a real one of a whole agreement cut and damaged at every byte, and a disk that
//! is full.
//!
//! The fixtures are journals of real runs on development networks (`fixtures/journal`); they are never changed, only added to.
#![allow(clippy::unwrap_used)]
use std::{
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use sunwork_protocol::status::Ending;
use sunwork_worker::journal::{Header, Journal, JournalError, Record, State, VERSION};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal")
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap()
}

/// The real journals of an agreement: as its worker and as one of its verifiers.
const WHOLE: [&str; 2] = ["v2-worker.jsonl", "v2-verifier.jsonl"];

/// A folder in memory, where there is one: tens of thousands of syncs.
fn quick_folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn header_of(bytes: &[u8]) -> Header {
    let folder = quick_folder();
    let path = folder.path().join("journal");
    std::fs::write(&path, bytes).unwrap();
    Journal::peek(&path).unwrap().header.unwrap()
}

/// Lines as records, by another way than the journal's own.
fn records(bytes: &[u8]) -> Vec<Record> {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    lines.map(|line| serde_json::from_slice(&line[9..]).unwrap()).collect()
}

#[test]
fn journals_of_every_version_are_read_or_refused_with_what_to_do() {
    for name in WHOLE {
        let state = Journal::peek(fixtures().join(name)).unwrap();
        assert_eq!(state.header.as_ref().map(|header| header.version), Some(VERSION));
        let (_, agreement) = state.agreements.iter().next().unwrap();
        assert_eq!(agreement.finished, Some(Ending::Verified), "{name}");
        assert!(!agreement.leaves.is_empty() && state.txs.is_empty(), "{name}: {state:?}");
    }
    for (name, found, words) in
        [("v1.jsonl", 1, "move the journal away"), ("v99.jsonl", 99, "another version of the worker")]
    {
        let error = Journal::peek(fixtures().join(name)).unwrap_err();
        assert!(
            matches!(error, JournalError::Version { found: f, expected: VERSION, .. } if f == found),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// Power cut at any byte: what is whole is there, what is torn is named, nothing else is.
#[test]
fn a_real_journal_cut_at_every_byte_opens_to_its_whole_records() {
    let folder = quick_folder();
    let path = folder.path().join("journal");
    let mut cuts = 0;
    for name in WHOLE {
        let bytes = fixture(name);
        let header = header_of(&bytes);
        let mut state = State::default();
        // Begins with nothing: the header is written anew when it was cut itself.
        state.apply(Record::Header(header.clone()));
        let mut begin = 0;
        for (index, record) in records(&bytes).into_iter().enumerate() {
            let length = bytes[begin..].iter().position(|byte| *byte == b'\n').unwrap() + 1;
            for cut in begin..begin + length {
                std::fs::write(&path, &bytes[..cut]).unwrap();
                let journal =
                    Journal::open(&path, &header).unwrap_or_else(|error| panic!("{name} cut at {cut}: {error}"));
                assert_eq!(journal.state(), state, "{name} cut at {cut}, in record {index}");
                let torn = journal.torn().map(|torn| (torn.offset, torn.bytes));
                assert_eq!(torn, (cut > begin).then_some((begin, cut - begin)), "{name} cut at {cut}");
                cuts += 1;
            }
            state.apply(record);
            begin += length;
        }
        std::fs::write(&path, &bytes).unwrap();
        let journal = Journal::open(&path, &header).unwrap();
        assert_eq!((journal.state(), journal.torn()), (state, None));
    }
    println!("{cuts} cuts");
}

/// Any byte changed to any of three others: the last record may count as torn, any other damage is refused; never is anything
/// believed that was not written.
#[test]
fn a_real_journal_with_any_byte_flipped_never_says_anything_else() {
    let mut flips = 0;
    let folder = quick_folder();
    let path = folder.path().join("journal");
    for name in WHOLE {
        let bytes = fixture(name);
        let all = records(&bytes);
        let last = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        let mut before = State::default();
        all[..all.len() - 1].iter().for_each(|record| before.apply(record.clone()));
        for at in 0..bytes.len() {
            let other = [bytes[at] ^ 1, bytes[at] ^ 0x20, b'\n'][at % 3];
            if other == bytes[at] {
                continue;
            }
            let mut damaged = bytes.clone();
            damaged[at] = other;
            std::fs::write(&path, &damaged).unwrap();
            match Journal::peek(&path) {
                Err(JournalError::Broken { offset, .. }) => {
                    assert!(offset <= at + 1, "{name}: {at} is found at {offset}")
                }
                Ok(state) if at >= last => assert_eq!(state, before, "{name}: byte {at}"),
                other => panic!("{name} with byte {at} changed: {other:?}"),
            }
            flips += 1;
        }
    }
    println!("{flips} bytes changed");
}

/// A process of its own, with a limit on the size of its files: the write that does not fit is taken back, the journal says so,
/// loses nothing, and goes on where there is room.
#[test]
fn a_disk_that_is_full_loses_nothing_and_is_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let child = |limit: &str| {
        let test = std::env::current_exe().unwrap();
        // The signal of the limit is ignored, as an error is what a full disk gives.
        let script = format!(
            "trap '' XFSZ; ulimit -f {limit}; exec \"$0\" --exact child_writes_until_it_is_full --nocapture --ignored"
        );
        let output = Command::new("bash").args(["-c", &script]).arg(test).env("JOURNAL_PATH", &path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.signal(), None, "{said}");
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    // Blocks of 1 KiB.
    let said = child("8");
    assert!(said.contains("FULL") && said.contains("there is no room for the journal"), "{said}");
    let written: u64 = said.lines().filter(|line| line.starts_with("wrote ")).count() as u64;
    assert!(written > 50, "{said}");
    assert!(std::fs::metadata(&path).unwrap().len() <= 8 << 10);
    let journal = Journal::open(&path, &child_header()).unwrap();
    assert_eq!(journal.torn(), None, "what did not fit was taken back");
    assert_eq!(journal.last_block(), Some(written), "all that it said it wrote, and no more");
    drop(journal);
    let said = child("16");
    assert!(said.contains("FULL"), "{said}");
    let more: u64 = said.lines().filter(|line| line.starts_with("wrote ")).count() as u64;
    assert_eq!(Journal::open(&path, &child_header()).unwrap().last_block(), Some(written + more));
}

fn child_header() -> Header {
    Header { version: VERSION, chain_id: 1, dispatcher: Default::default(), worker: Default::default() }
}

#[test]
#[ignore = "run by the test above, in a process of its own"]
fn child_writes_until_it_is_full() {
    let Some(path) = std::env::var_os("JOURNAL_PATH") else { return };
    let journal = Journal::open(path, &child_header()).unwrap();
    let first = journal.last_block().unwrap_or(0) + 1;
    for block in first.. {
        match journal.append(Record::Seen { block }) {
            Ok(()) => println!("wrote {block}"),
            Err(error) if error.is_full() => {
                println!("FULL {error}");
                assert!(journal.is_short_of_room(), "nothing new is to be begun");
                assert!(journal.append(Record::Seen { block }).unwrap_err().is_full(), "it can be tried again");
                journal.look_for_room();
                assert!(journal.is_short_of_room(), "and is still full");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A file system of its own, where that may be mounted: the room that is kept back lets what is under way go on.
#[test]
fn on_a_full_disk_what_is_under_way_can_still_be_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(folder.path(), "2m") else {
        println!("not root: no file system of our own; the limit on file sizes is tried by another test");
        return;
    };
    let path = folder.path().join("journal");
    let journal = Journal::open(&path, &child_header()).unwrap();
    assert!(!journal.is_short_of_room());
    let filler = folder.path().join("filler");
    let fill = || {
        use std::io::Write as _;
        let mut file = std::fs::File::options().create(true).append(true).open(&filler).unwrap();
        while file.write_all(&[7; 4096]).is_ok() {}
    };
    fill();
    let mut written = 0;
    let mut short_at = None;
    loop {
        match journal.append(Record::Seen { block: written + 1 }) {
            Ok(()) => written += 1,
            Err(error) if error.is_full() => break,
            Err(error) => panic!("{error}"),
        }
        if short_at.is_none() && journal.is_short_of_room() {
            short_at = Some(written);
        }
    }
    let short_at = short_at.unwrap();
    assert!(written - short_at > 500, "after it is told that room is short, there is some: {short_at} of {written}");
    assert!(journal.is_short_of_room());
    drop(journal);
    // Even a restart on the full disk.
    let journal = Journal::open(&path, &child_header()).unwrap();
    assert_eq!((journal.last_block(), journal.torn()), (Some(written), None));
    assert!(journal.append(Record::Seen { block: written + 1 }).is_err_and(|error| error.is_full()));
    std::fs::remove_file(&filler).unwrap();
    journal.look_for_room();
    assert!(!journal.is_short_of_room(), "it notices by itself that there is room");
    journal.append(Record::Seen { block: written + 1 }).unwrap();
    assert_eq!(Journal::peek(&path).unwrap().last_block, Some(written + 1));
    drop((journal, disk));
}

struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        command.output().is_ok_and(|output| output.status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
