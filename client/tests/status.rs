//! `sunwork status` as a person and as a script see it: the chain is believed, whatever oracles say; any terminal will do.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Command, Output};

use sunwork_protocol::status::{Ending, Status};
use support::fake::{self, AGREEMENT, Server};
use support::{command, deployment, error, json, text};

fn status(dir: &Path, chain: &Server, oracle: &Server, more: &[&str], prepare: impl FnOnce(&mut Command)) -> Output {
    let file = deployment(dir);
    let id = AGREEMENT.to_string();
    let mut args = vec!["status", &id[..10], "--deployment", &file, "--rpc", &chain.url, "--oracle", &oracle.url];
    args.extend(more);
    let mut command = command(dir, &args);
    prepare(&mut command);
    command.output().unwrap()
}

#[test]
fn the_chain_is_believed_and_not_an_oracle_that_lies() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, oracle) = (fake::chain(Status::Open, Ending::None), fake::lying_oracle());
    let seen = status(dir.path(), &chain, &oracle, &["-o", "json"], |_| {});
    assert_eq!(seen.status.code(), Some(0), "{}", error(&seen));
    let document = json(&seen);
    assert_eq!(document["schema"], "sunwork.status.v1");
    assert_eq!((document["standing"]["status"].as_str(), document["settlement"].is_null()), (Some("open"), true));
    assert_eq!(document["outlook"]["waitsFor"], "waits for a worker to accept");
    assert_eq!(document["outlook"]["until"], fake::NOW + 180);
    assert_eq!(document["cost"]["cap"], "1210000000");
    assert!(!error(&seen).contains("settled") && !text(&seen).contains("verified\""), "{}", text(&seen));
    assert_eq!(oracle.asked.lock().unwrap().len(), 0, "status asks the chain only");
}

#[test]
fn it_reads_well_at_80_and_at_40_columns() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, oracle) = (fake::chain(Status::Open, Ending::None), fake::lying_oracle());
    for columns in [80, 40] {
        let seen = status(dir.path(), &chain, &oracle, &[], |command| {
            command.env("COLUMNS", columns.to_string());
        });
        let page = text(&seen);
        assert_eq!(seen.status.code(), Some(0), "{}", error(&seen));
        let sentence = "waits for a worker to accept, until 14:09 (in 3 min); if nobody does, everything is refunded.";
        let joined = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(joined.contains(sentence), "{page}");
        assert!(page.contains(&AGREEMENT.to_string()) && page.contains(&fake::TX.to_string()), "ids are whole: {page}");
        for line in page.lines().filter(|line| line.chars().count() > columns) {
            assert!(!line.trim().contains(' '), "{columns} columns: {line:?}");
        }
        assert!(!page.contains('\u{1b}'), "no colour where nobody looks");
    }
}

#[test]
fn every_status_and_ending_has_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let oracle = fake::lying_oracle();
    for (status_, ending, words) in [
        (Status::Sealed, Ending::None, "waits for the chain to draw the verifiers, until 14:09"),
        (Status::Cancelled, Ending::NoWorker, "no worker accepted in time; everything was refunded to the client."),
    ] {
        let chain = fake::chain(status_, ending);
        let seen = status(dir.path(), &chain, &oracle, &[], |_| {});
        assert!(text(&seen).contains(words), "{} {}", text(&seen), error(&seen));
    }
}

#[test]
fn ids_that_name_nothing_say_what_was_expected() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, file) = (fake::chain(Status::Open, Ending::None), deployment(dir.path()));
    let ask = |id: &str| support::sunwork(dir.path(), &["status", id, "--deployment", &file, "--rpc", &chain.url]);
    let unknown = ask("0xdeadbeef");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(error(&unknown).contains("no agreement of this deployment begins with 0xdeadbeef"), "{}", error(&unknown));
    let garbage = ask("tomorrow");
    assert!(error(&garbage).contains("is no agreement id; expected an address"), "{}", error(&garbage));
    let last = ask("last");
    assert_eq!(last.status.code(), Some(3));
    assert!(error(&last).contains("there is none; give --keystore or an id"), "{}", error(&last));
}

#[test]
fn nobody_types_a_password_to_hear_that_there_is_no_such_agreement() {
    let dir = tempfile::tempdir().unwrap();
    let (chain, file) = (fake::chain(Status::Open, Ending::None), deployment(dir.path()));
    std::fs::write(dir.path().join("password"), "sun").unwrap();
    let made = support::sunwork(dir.path(), &["wallet", "create", "--password-file", "password"]);
    assert_eq!(made.status.code(), Some(0), "{}", error(&made));
    // Neither a password file nor a terminal: asking for the password would be the failure.
    for line in [
        &["logs", "last"][..],
        &["logs", "0xdeadbeef"],
        &["cancel", "last"],
        &["expire", "last"],
        &["accept", "last"],
        &["reject", "last"],
        &["deliver", "last"],
        &["add", "last", "1"],
        &["add", "last", "--refund"],
    ] {
        let seen = support::sunwork(dir.path(), &[line, &["--deployment", &file, "--rpc", &chain.url]].concat());
        let said = error(&seen);
        assert_eq!(seen.status.code(), Some(2), "{line:?}: {said}");
        assert!(said.contains("has bought nothing yet") || said.contains("begins with 0xdeadbeef"), "{line:?}: {said}");
    }
}
