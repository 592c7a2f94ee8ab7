use sunwork_protocol::{leaf::LeafRecord, logs::Stream};

use super::*;
use crate::runtime::Printed;

fn run(outcome: Outcome, printing: &Printing) -> LeafRun {
    let record = if outcome == Outcome::AppFailed { LeafRecord::app_failed(3) } else { LeafRecord::bare(outcome) };
    LeafRun { record, message: "a sentence".into(), output: None, log: printing.printed(), cpu_micros: None }
}

fn print(store: &LogStore, leaf: u32, outcome: Outcome, text: &[u8]) {
    let printing = store.printing();
    printing.push(Stream::Stdout, text);
    store.watch(leaf, printing.clone()).ended(&run(outcome, &printing));
}

fn gathered(store: &LogStore, unpaid: Option<&str>) -> Logs {
    collect(&store.dir, Address::repeat_byte(1), 2, 4, unpaid.map(str::to_owned))
}

fn leaves(logs: &Logs) -> Vec<u32> {
    logs.leaves.iter().map(|log| log.leaf).collect()
}

#[test]
fn the_share_of_a_leaf_shrinks_with_the_bag() {
    let cap = |leaves| LogStore::new("/nowhere".into(), leaves).cap;
    assert_eq!(cap(1), 64 << 10);
    assert_eq!(cap(128), 64 << 10);
    assert_eq!(cap(256), 32 << 10);
    assert_eq!(cap(100_000), 4 << 10);
}

#[test]
fn completed_leaves_are_held_back_until_the_result_is_revealed() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = LogStore::new(dir.path().to_owned(), 4);
    print(&store, 0, Outcome::Completed, b"pixel 7");
    print(&store, 1, Outcome::AppFailed, b"no such file");
    print(&store, 2, Outcome::Completed, b"");
    {
        let printing = store.printing();
        let _watch = store.watch(3, printing.clone());
        printing.push(Stream::Stderr, b"half way");
    }
    store.watch(4, store.printing()).failed("the image cannot be run");
    drop(store.watch(5, store.printing()));
    let mode = std::fs::metadata(dir.path().join("0")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let all = gathered(&store, None);
    assert_eq!((leaves(&all), all.withheld.as_str(), all.attempt), (vec![0, 1, 3, 4], "", 2));
    assert_eq!((all.leaves[1].outcome, all.leaves[1].exit_status), (Some(Outcome::AppFailed), 3));
    assert_eq!((all.leaves[2].outcome, all.leaves[2].note.as_str()), (None, STOPPED));
    assert_eq!(all.leaves[3].note, "the image cannot be run");

    // Run again, it completes: nothing of it may go out any more, in whatever way it was kept.
    for text in [b"pixel 8".as_slice(), b""] {
        let printing = store.printing();
        printing.push(Stream::Stderr, b"half way");
        drop(store.watch(6, printing));
        assert_eq!(leaves(&gathered(&store, Some("x"))), [1, 3, 4, 6]);
        print(&store, 6, Outcome::Completed, text);
        assert_eq!(leaves(&gathered(&store, Some("x"))), [1, 3, 4]);
    }
    let on_disk: u64 = files(dir.path()).map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert_eq!(store.used.load(Ordering::Relaxed), on_disk);

    let unpaid = gathered(&store, Some("the worker gave up"));
    assert_eq!(leaves(&unpaid), [1, 3, 4]);
    assert!(!serde_json::to_string(&unpaid).unwrap().contains(&alloy::hex::encode("pixel 7")));
    assert!(unpaid.withheld.starts_with("the worker gave up; the output of 3 completed leaves"), "{}", unpaid.withheld);
}

#[test]
fn failures_go_first_when_not_everything_fits_and_the_blob_stays_readable() {
    let dir = tempfile::tempdir().unwrap();
    let store = LogStore::new(dir.path().to_owned(), 1);
    let full = vec![b'x'; MAX_LEAF_LOG_BYTES];
    let fit = (MAX_LOG_BLOB_BYTES / (2 * MAX_LEAF_LOG_BYTES as u64)) as u32;
    (0..fit + 5).for_each(|leaf| print(&store, leaf, Outcome::Completed, &full));
    assert!(store.used.load(Ordering::Relaxed) <= MAX_LOG_BLOB_BYTES, "the disk has an end");
    (fit + 5..fit + 8).for_each(|leaf| print(&store, leaf, Outcome::AppFailed, &full));
    let logs = gathered(&store, None);
    assert!(leaves(&logs).ends_with(&[fit + 5, fit + 6, fit + 7]), "failures are in: {:?}", leaves(&logs));
    assert!(logs.withheld.contains("does not fit the 8 MiB"), "{}", logs.withheld);
    let blob = logs.seal(B256::repeat_byte(3)).unwrap();
    assert!(blob.len() as u64 <= MAX_LOG_BLOB_BYTES, "{}", blob.len());
    // A restarted worker counts what is there.
    assert_eq!(
        LogStore::new(dir.path().to_owned(), 1).used.load(Ordering::Relaxed),
        store.used.load(Ordering::Relaxed)
    );
}

#[test]
fn a_hostile_leaf_fits_its_file_and_a_broken_file_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = LogStore::new(dir.path().to_owned(), 1);
    let printing = store.printing();
    for i in 0..MAX_LEAF_LOG_BYTES {
        printing.push(if i % 2 == 0 { Stream::Stdout } else { Stream::Stderr }, &[0xff]);
    }
    store.watch(0, printing.clone()).ended(&run(Outcome::TimeLimit, &printing));
    assert_ne!(printing.printed(), Printed::default());
    std::fs::write(dir.path().join("1"), "{").unwrap();
    std::fs::write(dir.path().join("2.draft"), "{}").unwrap();
    assert_eq!(leaves(&gathered(&store, None)), [0]);
}
