//! The example apps, built apart from the workspace: static binaries that become images without any container engine, and
//! WebAssembly modules, which are images as they are.
use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use eyre::{WrapErr, bail};
use sha2::{Digest, Sha256};
use sunwork_client::image::archive_from_binary;

use crate::{
    command::{capture, cargo, program, show},
    devnet::Runtime,
    paths,
};

/// cargo's name for WASI preview 1.
const WASM_TARGET: &str = "wasm32-wasip1";
/// The standard library for it has some 25 MB.
const TARGET_LIMIT: Duration = Duration::from_secs(300);

/// OCI platform of this machine.
pub fn platform() -> &'static str {
    if env::consts::ARCH == "aarch64" { "linux/arm64" } else { "linux/amd64" }
}

/// Name of this machine's class for a runtime.
pub fn class(runtime: Runtime) -> &'static str {
    sunwork_worker::config::own_class(runtime)
}

/// An image as a client hands it over.
#[derive(Clone, Debug)]
pub struct Image {
    /// The archive file.
    pub archive: PathBuf,
    /// Its SHA-256, which names it.
    pub sha256: [u8; 32],
    /// The id that the engine gives it; of a module its hash.
    pub id: String,
}

/// Builds `apps/<name>` as a static binary.
///
/// # Errors
/// When it does not compile.
pub async fn build(name: &str) -> eyre::Result<PathBuf> {
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let dir = paths::root().join("apps").join(name);
    let mut command = cargo();
    command
        .current_dir(&dir)
        .args(["build", "--quiet", "--release", "--locked", "--target", &target])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_TARGET_DIR", dir.join("target"));
    show(command).await.wrap_err_with(|| format!("building apps/{name}"))?;
    let binary = dir.join("target").join(target).join("release").join(name);
    if !binary.is_file() {
        bail!("cargo built apps/{name} but left no {}", binary.display());
    }
    Ok(binary)
}

/// Makes an image of one static binary and writes it to `dir`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn image(binary: &Path, dir: &Path) -> eyre::Result<Image> {
    let name = binary.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = fs::read(binary).wrap_err_with(|| format!("reading {}", binary.display()))?;
    let (tar, sha256, id) = archive_from_binary(&bytes, platform(), &name);
    let archive = dir.join(format!("{name}.tar"));
    fs::write(&archive, tar).wrap_err_with(|| format!("writing {}", archive.display()))?;
    Ok(Image { archive, sha256, id })
}

/// Builds `apps/<name>` as a WebAssembly module and puts it into `dir`.
///
/// # Errors
/// When the standard library for it cannot be had, or it does not compile.
pub async fn module(name: &str, dir: &Path) -> eyre::Result<Image> {
    let source = paths::root().join("apps").join(name);
    ensure_wasm_target().await?;
    let target_dir = source.join("target");
    let mut command = cargo();
    command
        .current_dir(&source)
        .args(["build", "--quiet", "--release", "--locked", "--target", WASM_TARGET])
        .env("CARGO_TARGET_DIR", &target_dir)
        .env_remove("RUSTFLAGS");
    show(command).await.wrap_err_with(|| format!("building apps/{name} for {WASM_TARGET}"))?;
    let built = target_dir.join(WASM_TARGET).join("release").join(format!("{name}.wasm"));
    let bytes = fs::read(&built).wrap_err_with(|| format!("reading {}", built.display()))?;
    let archive = dir.join(format!("{name}.wasm"));
    fs::write(&archive, &bytes).wrap_err_with(|| format!("writing {}", archive.display()))?;
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    Ok(Image { archive, sha256, id: format!("sha256:{}", hex::encode(sha256)) })
}

/// Installs Rust's standard library for WASI by rustup, for this user only, where it is missing.
async fn ensure_wasm_target() -> eyre::Result<()> {
    let mut ask = program(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    ask.args(["--print", "target-libdir", "--target", WASM_TARGET]);
    let folder = capture(ask, TARGET_LIMIT).await.wrap_err("asking rustc for its libraries")?;
    if Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    eprintln!("installing Rust's standard library for {WASM_TARGET} (rustup target add) …");
    let mut add = program("rustup");
    add.args(["target", "add", WASM_TARGET]).current_dir(paths::root());
    capture(add, TARGET_LIMIT).await.map(drop).wrap_err_with(|| {
        format!(
            "there is no standard library for {WASM_TARGET}, and rustup cannot fetch it; a Rust of Debian has it in the package \
             libstd-rust-dev-wasm32"
        )
    })
}
