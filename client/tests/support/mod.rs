//! What the tests of the command share: running it, and a chain and an oracle that say what a test wants.
#![allow(dead_code, clippy::unwrap_used)]

pub mod fake;

use std::path::Path;
use std::process::{Command, Output};

/// The command in a folder of its own, with nothing of the machine's environment.
pub fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sunwork"));
    command.args(args).current_dir(dir).env_clear().env("HOME", dir).env("TZ", "UTC");
    command
}

pub fn sunwork(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().expect("the command was built with this test")
}

pub fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {:?} {:?}", text(output), error(output)))
}

/// Writes a deployment file whose contracts are at `0x1000…01` and so on.
pub fn deployment(dir: &Path) -> String {
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
pub fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("loopback has a free port").port()
}
