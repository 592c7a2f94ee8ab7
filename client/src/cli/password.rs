//! Passwords: from a file, or asked for on the terminal without being shown.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use eyre::{WrapErr, bail, ensure};
use sunwork_edge::keystore;

/// Whether a password is new and must be typed twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Opens a keystore.
    Open,
    /// Makes one.
    Make,
}

/// The password: the file's first line, or what the person types.
///
/// # Errors
/// When the file cannot be read, or there is neither file nor terminal.
pub fn password(file: Option<&Path>, purpose: Purpose) -> eyre::Result<String> {
    let password = match file {
        Some(path) => keystore::read_password(path).wrap_err("reading the password")?,
        None => ask(purpose)?,
    };
    ensure!(purpose == Purpose::Open || !password.is_empty(), "the password is empty, expected at least one character");
    Ok(password)
}

fn ask(purpose: Purpose) -> eyre::Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "the wallet's password is needed and nobody can be asked, for standard input is no terminal; give --password-file FILE or set \
             SUNWORK_PASSWORD_FILE"
        );
    }
    let first = prompt("Password: ")?;
    if purpose == Purpose::Make {
        ensure!(prompt("The same again: ")? == first, "the two passwords differ and nothing was stored; start again");
    }
    Ok(first)
}

fn prompt(text: &str) -> eyre::Result<String> {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
    let _quiet = Quiet::new();
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).wrap_err("reading the password from the terminal")?;
    let _ = writeln!(stderr);
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Switches the terminal's echo off while it lives. `stty` is on every Unix; without it what is typed is shown.
struct Quiet;

impl Quiet {
    fn new() -> Self {
        stty("-echo");
        Self
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(argument: &str) {
    let _ = Command::new("stty").arg(argument).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
}
