//! Job files, plans and images as a user of the `sunwork` command meets them, without any network.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn sunwork(dir: &Path, args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sunwork"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command was built with this test");
    // The command may end before it has read anything.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_bad_job_file_is_told_before_anything_else_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    for (text, words) in [
        (
            "version: 1\nimage: a.tar\nleavs: 16\n",
            "job.yaml:3:1: there is no key \"leavs\" here (did you mean \"leaves\"?)",
        ),
        ("version: 1\nimage: a.tar\nleaves: many\n", "job.yaml:3:9: found \"many\", expected a whole number"),
        ("version: 9\nimage: a.tar\n", "job.yaml:1:10: the job file has version 9, expected 1"),
        ("", "job.yaml:1:1: the job file is empty"),
        ("image: a.tar\n", "has no version"),
    ] {
        std::fs::write(dir.path().join("job.yaml"), text).unwrap();
        for command in ["run", "plan"] {
            // No deployment, no wallet, no network: the file is wrong first.
            let output = sunwork(dir.path(), &[command, "-f", "job.yaml"], "");
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(said(&output).contains(words), "{command} {text:?}: {}", said(&output));
        }
    }
    let stdin = sunwork(dir.path(), &["run", "-f", "-", "-o", "json"], "version: 1\nimag: a.tar\n");
    assert_eq!(stdin.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&stdin.stdout).unwrap();
    let message = json["error"]["message"].as_str().unwrap();
    assert!(message.contains("standard input:2:1") && message.contains("did you mean \"image\"?"), "{message}");
}

#[test]
fn the_schema_is_printed_and_is_the_published_one() {
    let dir = tempfile::tempdir().unwrap();
    let published = include_str!("../../docs/schema/job.v1.json");
    for command in ["run", "plan"] {
        let output = sunwork(dir.path(), &[command, "--schema"], "");
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert!(output.stdout == published.as_bytes());
    }
}

#[test]
fn plan_documents_its_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let help = sunwork(dir.path(), &["plan", "--help"], "");
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("7  no worker could take it") && help.contains("Nomad"), "{help}");
    assert_eq!(sunwork(dir.path(), &["plan"], "").status.code(), Some(2));
}

#[test]
fn an_image_is_made_plain_without_an_engine_and_looked_into() {
    let dir = tempfile::tempdir().unwrap();
    let (bytes, sha256, id) = sunwork_client::image::archive_from_binary(b"binary", "linux/arm64", "app");
    std::fs::write(dir.path().join("app.tar"), bytes).unwrap();
    let args = ["image", "push", "app.tar", "--save", "kept.tar", "--no-upload", "-o", "json"];
    let pushed = sunwork(dir.path(), &args, "");
    assert_eq!(pushed.status.code(), Some(0), "{}", said(&pushed));
    let json: serde_json::Value = serde_json::from_slice(&pushed.stdout).unwrap();
    assert_eq!(json["schema"], "sunwork.image.v1");
    assert_eq!(json["image"], format!("sha256:{}", hex::encode(sha256)));
    assert_eq!((json["platform"].as_str(), json["uploaded"].as_bool()), (Some("linux/arm64"), Some(false)));
    assert!(json["run"].as_str().unwrap().contains("--platform linux/arm64"));

    let inspected = sunwork(dir.path(), &["image", "inspect", "kept.tar", "-o", "json"], "");
    let json: serde_json::Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!((json["runnable"].as_bool(), json["images"][0]["id"].as_str()), (Some(true), Some(id.as_str())));

    let engine = sunwork(dir.path(), &["image", "push", "alpine", "--engine", "no-such-engine"], "");
    assert_eq!(engine.status.code(), Some(2));
    assert!(said(&engine).contains("cannot run \"no-such-engine\""), "{}", said(&engine));
}
