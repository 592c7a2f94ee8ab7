//! `cargo xtask abi`: the ABI JSON that Rust builds from, made by forge from the Solidity interfaces.
use std::{
    fs,
    path::{Path, PathBuf},
};

use eyre::{WrapErr, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{foundry, paths};

/// The contracts that Rust talks to.
const CONTRACTS: [&str; 8] = [
    "IBeacon",
    "IComputeAgreement",
    "IEnergyCertificates",
    "IEnergyLedger",
    "IPlacements",
    "ISignedOrders",
    "IWorkerDispatcher",
    "SunToken",
];

/// Write the files, or only compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Write `abi/*.json`.
    Write,
    /// Fail when they differ.
    Check,
}

/// Makes or compares the files.
///
/// # Errors
/// When the contracts do not compile, or a committed file differs.
pub async fn run(mode: Mode) -> eyre::Result<()> {
    foundry::build().await?;
    let mut stale = Vec::new();
    for name in CONTRACTS {
        let text = indent(&abi_of(&foundry::artifacts(), name)?);
        let path = paths::root().join("abi").join(format!("{name}.json"));
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            continue;
        }
        match mode {
            Mode::Check => stale.push(format!("abi/{name}.json")),
            Mode::Write => {
                fs::write(&path, text).wrap_err_with(|| format!("writing {}", path.display()))?;
                println!("wrote abi/{name}.json");
            }
        }
    }
    if !stale.is_empty() {
        bail!("{} differ from what forge makes of the interfaces; run `cargo xtask abi` and commit", stale.join(", "));
    }
    Ok(())
}

fn abi_of(artifacts: &Path, name: &str) -> eyre::Result<String> {
    /// What we need of a forge artifact; raw, so that the order of keys stays forge's.
    #[derive(Deserialize)]
    struct Artifact<'a> {
        #[serde(borrow)]
        abi: &'a RawValue,
    }
    let path: PathBuf = artifacts.join(format!("{name}.sol/{name}.json"));
    let text = fs::read_to_string(&path).wrap_err_with(|| format!("reading forge's {}", path.display()))?;
    let artifact: Artifact<'_> =
        serde_json::from_str(&text).wrap_err_with(|| format!("looking for the ABI in {}", path.display()))?;
    Ok(artifact.abi.get().to_owned())
}

/// Valid JSON with one space of indent: readable in a diff, and small.
fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    };
    let mut chars = json.chars().filter(|c| !c.is_ascii_control()).peekable();
    while let Some(c) = chars.next() {
        if in_string {
            out.push(c);
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            ' ' => {}
            '[' | '{' if matches!(chars.peek(), Some(']' | '}')) => {
                out.push(c);
                out.extend(chars.next());
            }
            '[' | '{' => {
                depth += 1;
                out.push(c);
                line(&mut out, depth);
            }
            ']' | '}' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c => {
                in_string = c == '"';
                out.push(c);
            }
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indenting_changes_only_white_space() {
        let json = r#"[{"a":"x \"{,:\\","b":[],"c":{}},1]"#;
        let pretty = indent(json);
        assert_eq!(pretty, "[\n {\n  \"a\": \"x \\\"{,:\\\\\",\n  \"b\": [],\n  \"c\": {}\n },\n 1\n]\n");
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(json).unwrap(), serde_json::from_str(&pretty).unwrap());
        assert_eq!(before, after);
    }
}
