//! The `sunwork` command as a script sees it: exit codes, one sentence on standard error, JSON on standard output.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

fn sunwork(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sunwork"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .output()
        .expect("the command was built with this test")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn deployment(dir: &Path) -> String {
    let path = dir.join("31337.json");
    let address = |i: u8| format!("0x10000000000000000000000000000000000000{i:02x}");
    let json = format!(
        r#"{{"chainId":31337,"deployedBlock":1,"token":"{}","dispatcher":"{}","beacon":"{}","computeImplementation":"{}",
            "classes":["linux/amd64+docker"],"owner":"{}"}}"#,
        address(1),
        address(2),
        address(3),
        address(4),
        address(5)
    );
    std::fs::write(&path, json).expect("the folder is writable");
    path.to_str().expect("a plain name").to_owned()
}

/// A port on which nobody listens.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback has a free port").port()
}

#[test]
fn help_documents_the_exit_codes() {
    let dir = tempfile::tempdir().unwrap();
    let output = sunwork(dir.path(), &["run", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(help.contains("130  Ctrl-C") && help.contains("--verifiers") && help.contains("SUNWORK_RPC"), "{help}");
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
