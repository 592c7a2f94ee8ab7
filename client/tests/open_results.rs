//! What one can say about an open result, and what the command answers where one cannot.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::Output;

use sunwork_protocol::status::{Ending, Status};
use support::fake::{self, AGREEMENT};
use support::{deployment, error, json, sunwork, text};

fn ask(dir: &Path, chain: &fake::Server, args: &[&str]) -> Output {
    let (file, id) = (deployment(dir), AGREEMENT.to_string());
    let args = args.iter().map(|arg| if *arg == "ID" { &id } else { *arg });
    let all: Vec<&str> = args.chain(["--deployment", &file, "--rpc", &chain.url]).collect();
    sunwork(dir, &all)
}

fn wallet(dir: &Path) {
    std::fs::write(dir.join("password"), "sun").unwrap();
    let made = sunwork(dir, &["wallet", "create", "--password-file", "password"]);
    assert_eq!(made.status.code(), Some(0), "{}", error(&made));
}

#[test]
fn what_cannot_be_disputed_is_told_with_where_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let open = fake::chain(Status::Open, Ending::None);
    for (args, words) in [
        (
            &["dispute", "ID", "--leaf", "1", "--dry-run"][..],
            "its terms leave no time for disputes. It waits for a worker",
        ),
        (&["dispute", "ID", "--leaf", "4", "--dry-run"], "there is no leaf 4; expected 0 to 3"),
        (&["reject", "ID", "--dry-run"], "it has trust level 1: drawn verifiers check its result"),
    ] {
        let refused = ask(dir.path(), &open, args);
        assert_eq!(refused.status.code(), Some(1), "{args:?}");
        assert!(error(&refused).contains(words), "{args:?}: {}", error(&refused));
    }
    wallet(dir.path());
    let accepted = ask(dir.path(), &open, &["accept", "ID", "--password-file", "password"]);
    assert!(error(&accepted).contains("only its client") && accepted.status.code() == Some(1), "{}", error(&accepted));
}

#[test]
fn a_bond_that_is_not_there_is_told_before_anybody_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    wallet(dir.path());
    let chain = fake::chain(Status::Disputable, Ending::None);
    let seen = ask(dir.path(), &chain, &["status", "ID"]);
    let words = text(&seen).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("anybody may dispute a leaf, at a bond of 0.5 SUN, until 14:09"), "{words}");
    assert!(
        words.contains("sunwork dispute 0xABaBaBaB --leaf 0") || words.contains("sunwork dispute 0xabababab"),
        "{words}"
    );
    let poor = ask(dir.path(), &chain, &["dispute", "ID", "--leaf", "1", "--dry-run", "-o", "json"]);
    assert_eq!(poor.status.code(), Some(6), "{}", error(&poor));
    let message = json(&poor)["error"]["message"].as_str().unwrap().to_owned();
    assert_eq!(message, "the wallet holds 0 SUN, needed 0.5 SUN: 0.5 SUN missing");
}

#[test]
fn additions_come_too_late_after_a_worker_has_accepted() {
    let dir = tempfile::tempdir().unwrap();
    wallet(dir.path());
    let working = fake::chain(Status::Working, Ending::None);
    let late = ask(dir.path(), &working, &["add", "ID", "0.5", "--dry-run"]);
    assert!(error(&late).contains("a reward can be added to until a worker accepts"), "{}", error(&late));
    let nothing = ask(dir.path(), &working, &["add", "ID", "--refund", "--password-file", "password"]);
    assert!(error(&nothing).contains("has added nothing to this agreement"), "{}", error(&nothing));
    assert_eq!(ask(dir.path(), &working, &["add", "ID"]).status.code(), Some(2), "an amount or --refund");
    assert_eq!(ask(dir.path(), &working, &["add", "ID", "1", "--refund"]).status.code(), Some(2));
}

#[test]
fn only_verified_results_with_a_callback_are_delivered() {
    let dir = tempfile::tempdir().unwrap();
    wallet(dir.path());
    let chain = fake::chain(Status::Settled, Ending::Verified);
    let none = ask(dir.path(), &chain, &["deliver", "ID", "--leaf", "0", "--password-file", "password"]);
    assert_eq!(none.status.code(), Some(2), "{}", error(&none));
    assert!(error(&none).contains("name no contract that results could be delivered to"), "{}", error(&none));
}

#[test]
fn offers_are_listed_and_named() {
    let dir = tempfile::tempdir().unwrap();
    wallet(dir.path());
    let chain = fake::chain(Status::Open, Ending::None);
    let listed = ask(dir.path(), &chain, &["offer", "list"]);
    assert_eq!((listed.status.code(), text(&listed).trim()), (Some(0), "no offers were signed here"));
    let unknown = ask(dir.path(), &chain, &["offer", "cancel", "0xdead", "--password-file", "password"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", error(&unknown));
    assert!(error(&unknown).contains("no offer that was signed here begins with 0xdead"), "{}", error(&unknown));
    for wrong in [&["offer"][..], &["offer", "cancel"], &["offer", "app.tar", "--volume", "0"]] {
        assert_eq!(sunwork(dir.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
    let help = text(&sunwork(dir.path(), &["offer", "--help"]));
    assert!(help.contains("--volume") && help.contains("--expires") && help.contains("list"), "{help}");
}

#[test]
fn a_bag_cannot_have_more_parts_than_leaves() {
    let dir = tempfile::tempdir().unwrap();
    wallet(dir.path());
    let chain = fake::chain(Status::Open, Ending::None);
    let image = format!("sha256:{}", "ab".repeat(32));
    let line = ["run", &image, "--platform", "linux/amd64", "-n", "3", "--split", "4", "--dry-run"];
    let refused = ask(dir.path(), &chain, &line);
    assert_eq!(refused.status.code(), Some(2), "{}", error(&refused));
    assert!(error(&refused).contains("a bag of 3 leaves cannot be split into 4 parts"), "{}", error(&refused));
}
