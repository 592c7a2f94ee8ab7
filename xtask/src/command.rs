//! Programs that run to their end.
use std::{ffi::OsStr, process::Stdio, time::Duration};

use eyre::{WrapErr, bail, eyre};
use tokio::{process::Command, time::timeout};

use crate::paths;

/// Lines of a failed program's output that go into the error.
const TAIL_LINES: usize = 30;

/// A program that will run in the repository's root, without standard input, and that dies with us.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(paths::root()).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// What `cargo run` tells the program that it runs about itself. Build scripts (ring's) watch these variables, so a cargo that
/// inherits them builds half of the tree anew each time.
const OF_THE_OUTER_CARGO: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_BIN_", "CARGO_PRIMARY_PACKAGE"];

/// Cargo, as it called us, with the environment that we were called in.
pub fn cargo() -> Command {
    let mut command = program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_THE_OUTER_CARGO.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a program that speaks to the person itself.
pub async fn show(mut command: Command) -> eyre::Result<()> {
    let what = describe(&command);
    let status = command.status().await.wrap_err_with(|| format!("cannot start `{what}`"))?;
    if !status.success() {
        bail!("`{what}` failed: {status}");
    }
    Ok(())
}

/// Runs a program silently and returns what it wrote to standard output. Its last words come with the error.
pub async fn capture(mut command: Command, limit: Duration) -> eyre::Result<String> {
    let what = describe(&command);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = timeout(limit, command.output())
        .await
        .map_err(|_| eyre!("`{what}` did not end within {} s", limit.as_secs()))?
        .wrap_err_with(|| format!("cannot start `{what}`"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    bail!("`{what}` failed: {}\n{}", output.status, tail(&format!("{stdout}{stderr}"), TAIL_LINES));
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn describe(command: &Command) -> String {
    let command = command.as_std();
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn failures_carry_the_last_words() {
        let mut command = program("sh");
        command.args(["-c", "echo first; echo the reason >&2; exit 3"]);
        let error = capture(command, Duration::from_secs(10)).await.unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("the reason"), "{error}");
        let error = capture(program("no-such-program"), Duration::from_secs(1)).await.unwrap_err().to_string();
        assert_eq!(error, "cannot start `no-such-program`");
    }

    #[test]
    fn tails_are_bounded() {
        assert_eq!(tail("a\nb\n\nc\n", 2), "b\nc");
        assert_eq!(tail("", 2), "");
    }
}
