//! `cargo xtask arm`: worker, runner and client for 64-bit and 32-bit ARM boards, made on an x86-64 machine, and the tests that
//! say whether they do the same there: under qemu, with the digests that x86-64 is held to.
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use eyre::{WrapErr, bail, eyre};

use crate::{
    command::{capture, cargo, program, show},
    paths,
};

mod mixed;

const TARGET_LIMIT: Duration = Duration::from_secs(600);
const TEST_LIMIT: Duration = Duration::from_secs(3600);

/// A kind of board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Board {
    /// 64 bits: Raspberry Pi 3 and later with a 64-bit system
    Aarch64,
    /// 32 bits with hardware floats: Raspberry Pi 2 and later
    Armhf,
}

impl Board {
    const fn target(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
            Self::Armhf => "armv7-unknown-linux-gnueabihf",
        }
    }

    /// Prefix of the C compiler and of its libraries' folder, as Debian names them.
    const fn gnu(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64-linux-gnu",
            Self::Armhf => "arm-linux-gnueabihf",
        }
    }

    const fn qemu(self) -> &'static str {
        match self {
            Self::Aarch64 => "qemu-aarch64",
            Self::Armhf => "qemu-arm",
        }
    }

    /// What is built: the runner's engine makes no code for 32-bit ARM, so there is none of it there.
    const fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Aarch64 => &["sunwork-worker", "sunwork-wasm-runner", "sunwork-client"],
            Self::Armhf => &["sunwork-worker", "sunwork-client"],
        }
    }
}

/// What to build and try.
#[derive(Debug, Args)]
pub struct Options {
    /// One kind of board; both without it
    #[arg(long, value_enum)]
    board: Option<Board>,
    /// These packages alone
    #[arg(long = "package", short = 'p')]
    packages: Vec<String>,
    /// As it is delivered: optimised and stripped
    #[arg(long)]
    release: bool,
    /// Build only
    #[arg(long)]
    no_test: bool,
    /// Of the tests, only that of the WebAssembly digest, which needs the runner alone
    #[arg(long)]
    digest_only: bool,
}

/// Builds, then tests aarch64.
///
/// # Errors
/// What is missing on this machine and how to get it, what does not compile, which test fails.
pub async fn run(options: &Options) -> eyre::Result<()> {
    let boards = options.board.map_or(vec![Board::Aarch64, Board::Armhf], |board| vec![board]);
    for board in &boards {
        ensure(*board).await?;
        build(*board, options).await?;
    }
    if options.no_test || !boards.contains(&Board::Aarch64) {
        return Ok(());
    }
    let emulated = wrappers(options)?;
    digest(&emulated.runner).await?;
    if options.digest_only {
        return Ok(());
    }
    unit_tests().await?;
    mixed::run(&emulated).await.wrap_err("running an agreement of an x86-64 worker and an aarch64 verifier")
}

/// Rust's standard library, the C compiler as linker, qemu.
async fn ensure(board: Board) -> eyre::Result<()> {
    let target = board.target();
    let mut ask = program(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    ask.args(["--print", "target-libdir", "--target", target]);
    let folder = capture(ask, TARGET_LIMIT).await.wrap_err("asking rustc for its libraries")?;
    if !Path::new(folder.trim()).is_dir() {
        eprintln!("installing Rust's standard library for {target} (rustup target add) …");
        let mut add = program("rustup");
        add.args(["target", "add", target]).current_dir(paths::root());
        capture(add, TARGET_LIMIT).await.wrap_err_with(|| {
            format!("there is no standard library for {target}, and rustup cannot fetch it; Debian has it as libstd-rust-dev")
        })?;
    }
    for (tool, package) in [
        (format!("{}-gcc", board.gnu()), format!("gcc-{} libc6-dev-{}-cross", board.gnu(), debian(board))),
        (board.qemu().to_owned(), "qemu-user".to_owned()),
    ] {
        if find(&tool).is_none() {
            bail!("there is no {tool} on the search path; `apt-get install {package}` brings it");
        }
    }
    Ok(())
}

const fn debian(board: Board) -> &'static str {
    match board {
        Board::Aarch64 => "arm64",
        Board::Armhf => "armhf",
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// A folder of its own, so that a build for here and one for there do not wait for each other.
fn target_dir() -> PathBuf {
    paths::root().join("target/arm")
}

/// Cargo with compiler, linker and emulator of a board.
fn cross(board: Board) -> tokio::process::Command {
    let mut command = cargo();
    let (upper, gnu) = (board.target().to_uppercase().replace('-', "_"), board.gnu());
    command.env("CARGO_TARGET_DIR", target_dir());
    command.env(format!("CARGO_TARGET_{upper}_LINKER"), format!("{gnu}-gcc"));
    command.env(format!("CC_{}", board.target().replace('-', "_")), format!("{gnu}-gcc"));
    command.env(format!("CARGO_TARGET_{upper}_RUNNER"), format!("{} -L /usr/{gnu}", board.qemu()));
    command
}

async fn build(board: Board, options: &Options) -> eyre::Result<()> {
    let mut command = cross(board);
    command.args(["build", "--bins", "--target", board.target()]);
    if options.release {
        command.arg("--release");
    }
    let all = board.packages().iter().copied();
    let packages: Vec<&str> = all
        .filter(|name| options.packages.is_empty() || options.packages.iter().any(|wanted| wanted == name))
        .collect();
    for package in &packages {
        command.args(["-p", package]);
    }
    // The client's command is behind a feature of its own.
    if packages.contains(&"sunwork-client") {
        command.args(["--features", "sunwork-client/cli"]);
    }
    if packages.is_empty() {
        eprintln!("nothing of what was named is built for {}", board.target());
        return Ok(());
    }
    show(command).await.wrap_err_with(|| format!("building {} for {}", packages.join(", "), board.target()))?;
    let folder = target_dir().join(board.target()).join(if options.release { "release" } else { "debug" });
    println!("built for {}: {}", board.target(), folder.display());
    Ok(())
}

/// Scripts that start what was built for aarch64; of a part that was not built, the script is of no use.
fn wrappers(options: &Options) -> eyre::Result<mixed::Emulated> {
    let board = Board::Aarch64;
    let folder = target_dir().join(board.target()).join(if options.release { "release" } else { "debug" });
    let qemu = find(board.qemu()).ok_or_else(|| eyre!("{} is gone", board.qemu()))?;
    let script = |name: &str| {
        let path = target_dir().join(format!("{name}-{}", board.gnu()));
        mixed::wrapper(&path, &qemu, board.gnu(), &folder.join(name)).map(|()| path)
    };
    if !folder.join("sunwork-wasm-runner").is_file() {
        bail!("there is no runner for {} in {}", board.target(), folder.display());
    }
    Ok(mixed::Emulated { worker: script("sunwork-worker")?, runner: script("sunwork-wasm-runner")? })
}

/// The worker of this machine with the runner of the board: the module of `runner/tests/apps` must end with the digest, the output
/// and the instructions that the vector holds, which this machine's own runner is held to by the normal tests.
async fn digest(runner: &Path) -> eyre::Result<()> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--test", "floats"]).env("SUNWORK_TEST_WASM_RUNNER", runner);
    show(command).await.wrap_err("comparing the digest of aarch64 with that of x86-64")?;
    println!("aarch64 (qemu) gives the digest, the output and the instructions of x86-64");
    Ok(())
}

/// Tests of what has no container engine and no network: they run whole under qemu.
async fn unit_tests() -> eyre::Result<()> {
    let board = Board::Aarch64;
    let mut command = cross(board);
    command.args(["test", "--target", board.target(), "-p", "sunwork-worker", "--lib"]);
    command.args(["-p", "sunwork-wasm-runner", "--bin", "sunwork-wasm-runner"]);
    // Emulated scrypt and SHA-256 take their time.
    let run = async { show(command).await };
    tokio::time::timeout(TEST_LIMIT, run)
        .await
        .map_err(|_| eyre!("the tests did not end within {} s", TEST_LIMIT.as_secs()))?
        .wrap_err("running the unit tests of worker and runner for aarch64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_without_an_engine_for_modules_get_no_runner() {
        assert!(Board::Aarch64.packages().contains(&"sunwork-wasm-runner"));
        assert!(!Board::Armhf.packages().contains(&"sunwork-wasm-runner"));
    }
}
