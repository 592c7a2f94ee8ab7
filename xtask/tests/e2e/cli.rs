//! The `sunwork` command as a process.

use std::{path::Path, process::Stdio, time::Duration};

use eyre::{WrapErr, ensure};
use serde_json::Value;
use tokio::process::Command;
use xtask::binaries;

use crate::support::Net;

pub const LIMIT: Duration = Duration::from_secs(200);

/// The command, for the network's client.
pub fn sunwork(net: &Net, home: &Path, args: &[&str]) -> eyre::Result<Command> {
    let mut command = Command::new(binaries::path("sunwork")?);
    let keystore = net.devnet.client_keystore();
    command
        .args(args)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SUNWORK_RPC", net.devnet.rpc_url().as_str())
        .env("SUNWORK_ORACLE", net.devnet.oracle_url().as_str())
        .env("SUNWORK_DEPLOYMENT", net.devnet.deployment_file())
        .env("SUNWORK_KEYSTORE", &keystore)
        .env("SUNWORK_PASSWORD_FILE", keystore.with_file_name("password"))
        .env("SUNWORK_OUTPUT", "json")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Ok(command)
}

/// Runs it to its end: exit code, standard output, standard error.
pub async fn run(mut command: Command) -> eyre::Result<(i32, String, String)> {
    let output = tokio::time::timeout(LIMIT, command.output()).await.wrap_err("the command hangs")??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr)))
}

/// The document that it prints.
pub async fn json(command: Command, exit: i32) -> eyre::Result<Value> {
    let (code, out, err) = run(command).await?;
    ensure!(code == exit, "exit code {code}, expected {exit}\n{out}\n{err}");
    serde_json::from_str(&out).wrap_err_with(|| format!("not JSON: {out}"))
}
