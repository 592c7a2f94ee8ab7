//! The `sunwork` command as a script sees it: exit codes, one sentence on standard error, JSON on standard output.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;

use clap::CommandFactory;
use support::{closed_port, command, deployment, error, json, sunwork, text};

#[test]
fn help_documents_the_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let output = sunwork(dir.path(), &["run", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(help.contains("130  Ctrl-C") && help.contains("--verifiers"), "{help}");
    let all = text(&sunwork(dir.path(), &["--help"]));
    assert!(all.contains("130  Ctrl-C") && all.contains("--password-file") && all.contains("SUNWORK_RPC"), "{all}");
}

#[test]
fn usage_and_settings_have_their_codes() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(sunwork(dir.path(), &["run"]).status.code(), Some(2));
    let none = sunwork(dir.path(), &["workers"]);
    assert_eq!(none.status.code(), Some(3));
    assert!(error(&none).contains("no deployment file is given"), "{}", error(&none));
    let missing = sunwork(dir.path(), &["workers", "--deployment", "nowhere.json"]);
    assert_eq!(missing.status.code(), Some(3));
    assert!(error(&missing).contains("nowhere.json"), "{}", error(&missing));
    let file = deployment(dir.path());
    let wallet = sunwork(dir.path(), &["run", "app.tar", "--deployment", &file, "--yes"]);
    assert_eq!(wallet.status.code(), Some(3));
    assert!(error(&wallet).contains("sunwork wallet create"), "{}", error(&wallet));
}

#[test]
fn a_wallet_is_made_and_a_wrong_password_is_said() {
    let dir = tempfile::tempdir().unwrap();
    for (name, password) in [("right", "sun"), ("wrong", "moon")] {
        std::fs::write(dir.path().join(name), password).unwrap();
    }
    let made = sunwork(dir.path(), &["wallet", "create", "--password-file", "right", "-o", "json"]);
    assert_eq!(made.status.code(), Some(0), "{}", error(&made));
    let json: serde_json::Value = serde_json::from_slice(&made.stdout).expect("one JSON document");
    assert_eq!(json["schema"], "sunwork.wallet.v1");
    let keystore = json["keystore"].as_str().expect("the path").to_owned();
    assert!(Path::new(&keystore).starts_with(dir.path()), "{keystore}");
    // A second one beside it would hide the first with its money.
    let second = sunwork(dir.path(), &["wallet", "create", "--password-file", "right"]);
    assert_eq!(second.status.code(), Some(3));
    assert!(error(&second).contains("there is a wallet already") && error(&second).contains("--keystore FOLDER"));
    assert_eq!(std::fs::read_dir(Path::new(&keystore).parent().unwrap()).unwrap().count(), 1);
    let file = deployment(dir.path());
    let refused =
        sunwork(dir.path(), &["run", "app.tar", "--deployment", &file, "--password-file", "wrong", "-o", "json"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(error(&refused).contains("password does not open"), "{}", error(&refused));
    let json: serde_json::Value = serde_json::from_slice(&refused.stdout).expect("one JSON document");
    assert_eq!((json["schema"].as_str(), json["error"]["exitCode"].as_u64()), (Some("sunwork.error.v1"), Some(3)));
}

#[test]
fn a_chain_that_does_not_answer_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = deployment(dir.path());
    let url = format!("http://127.0.0.1:{}", closed_port());
    let output = sunwork(dir.path(), &["workers", "--deployment", &file, "--rpc", &url]);
    assert_eq!(output.status.code(), Some(5), "{}", error(&output));
    assert!(error(&output).contains("no RPC node answers"), "{}", error(&output));
}

#[test]
fn a_misspelt_command_or_flag_names_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let status = sunwork(dir.path(), &["statsu", "0x1234"]);
    assert_eq!(status.status.code(), Some(2));
    assert!(error(&status).contains("similar subcommand") && error(&status).contains("'status'"), "{}", error(&status));
    let flag = sunwork(dir.path(), &["status", "--folow", "0x1234"]);
    assert!(error(&flag).contains("'--follow'"), "{}", error(&flag));
    let json = json(&sunwork(dir.path(), &["statsu", "-o", "json"]));
    assert_eq!((json["schema"].as_str(), json["error"]["exitCode"].as_u64()), (Some("sunwork.error.v1"), Some(2)));
    assert!(json["error"]["message"].as_str().unwrap().contains("statsu"), "{json}");
}

#[test]
fn no_colour_and_no_progress_where_nobody_looks() {
    let dir = tempfile::tempdir().unwrap();
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "xterm-256color")] {
        for args in [&["workers"][..], &["--help"], &["nonsense"]] {
            let output = command(dir.path(), args).env(name, value).output().unwrap();
            assert!(!error(&output).contains('\u{1b}') && !text(&output).contains('\u{1b}'), "{name} {args:?}");
        }
    }
}

#[test]
fn help_fits_40_columns() {
    let dir = tempfile::tempdir().unwrap();
    let help = text(&command(dir.path(), &["status", "--help"]).env("COLUMNS", "40").output().unwrap());
    let long: Vec<&str> = help.lines().filter(|line| line.chars().count() > 40 && line.trim().contains("  ")).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn failures_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = deployment(dir.path());
    let url = format!("http://127.0.0.1:{}", closed_port());
    let output = sunwork(dir.path(), &["workers", "--deployment", &file, "--rpc", &url, "-o", "json"]);
    assert!(error(&output).contains("\nwhat to do: "), "{}", error(&output));
    assert!(json(&output)["error"]["hint"].as_str().unwrap().contains("--rpc URL"), "{}", text(&output));
    for noise in ["Err(", "Some(", "Custom {", "kind:", "Os {"] {
        assert!(!error(&output).contains(noise), "{}", error(&output));
    }
}

#[test]
fn a_falling_reward_is_told_in_tokens() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("app.tar"), "x").unwrap();
    let job =
        sunwork_client::jobfile::JobFile::parse("version: 1\nimage: app.tar\nreward: 2..1\n", "job.yaml").unwrap();
    let said = job.builder(&sunwork_client::Unit::sun()).unwrap_err().to_string();
    assert!(said.starts_with("reward is 2 SUN to 1 SUN, expected the lower bound first"), "{said}");
}

/// Every command with arguments that clap accepts, so that its own code runs; none can reach anything here.
fn every_command() -> Vec<Vec<String>> {
    fn add(command: &clap::Command, path: &[String], found: &mut Vec<Vec<String>>) {
        let subs: Vec<_> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
        if subs.is_empty() {
            let mut line = path.to_vec();
            for arg in command.get_positionals().filter(|arg| arg.is_required_set()) {
                let possible = arg.get_possible_values();
                line.push(possible.first().map_or("1".to_owned(), |value| value.get_name().to_owned()));
            }
            found.push(line);
        }
        for sub in subs {
            let mut path = path.to_vec();
            path.push(sub.get_name().to_owned());
            add(sub, &path, found);
        }
    }
    let mut found = Vec::new();
    add(&sunwork_client::cli::args::Args::command(), &[], &mut found);
    found
}

#[test]
fn every_command_prints_one_json_document_with_its_schema() {
    let commands = every_command();
    assert!(commands.len() >= 18, "{commands:?}");
    for line in commands {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("password"), "sun").unwrap();
        let mut args: Vec<&str> = line.iter().map(String::as_str).collect();
        args.extend(["-o", "json", "--password-file", "password"]);
        let output = command(dir.path(), &args).stdin(std::process::Stdio::null()).output().unwrap();
        let document = json(&output);
        let schema = document["schema"].as_str().unwrap_or_else(|| panic!("{line:?}: {document}"));
        let family = format!("sunwork.{}.v1", line[0]);
        assert!(schema == "sunwork.error.v1" || schema == family, "{line:?} prints {schema}");
        assert_eq!(
            schema == "sunwork.error.v1",
            output.status.code() != Some(0) && document.get("error").is_some(),
            "{line:?}"
        );
    }
}

#[test]
fn every_schema_is_documented_with_an_example() {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md")).unwrap();
    let mut schemas = std::collections::BTreeSet::from(["error".to_owned()]);
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let source: String = std::fs::read_to_string(&path).unwrap().split_whitespace().collect();
            for (at, mark) in source.match_indices(".document(\"") {
                let rest = &source[at + mark.len()..];
                schemas.insert(rest[..rest.find('"').unwrap()].to_owned());
            }
        }
    }
    assert!(schemas.len() > 10, "{schemas:?}");
    for schema in schemas {
        let example = format!("\"schema\": \"sunwork.{schema}.v1\"");
        assert!(docs.contains(&example), "docs/json.md has no example of {example}");
    }
    // The examples are JSON.
    for block in docs.split("```json").skip(1) {
        let block = block.split("```").next().unwrap();
        serde_json::from_str::<serde_json::Value>(block).unwrap_or_else(|error| panic!("{error} in {block}"));
    }
}

#[test]
fn the_table_of_exit_codes_is_the_documented_one() {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md")).unwrap();
    for line in sunwork_client::cli::exit::EXIT_CODES.lines().skip(1) {
        let code = line.split_whitespace().next().unwrap();
        assert!(docs.lines().any(|row| row.starts_with(&format!("| {code} | `"))), "docs/cli.md has no row for {code}");
    }
}
