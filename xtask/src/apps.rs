//! The example apps: static binaries, built apart from the workspace, that become images without any container engine.
use std::{
    env, fs,
    path::{Path, PathBuf},
};

use eyre::{WrapErr, bail};
use sunwork_client::image::archive_from_binary;

use crate::{
    command::{cargo, show},
    paths,
};

/// OCI platform of this machine.
pub fn platform() -> &'static str {
    if env::consts::ARCH == "aarch64" { "linux/arm64" } else { "linux/amd64" }
}

/// Name of this machine's class.
pub fn class() -> &'static str {
    if env::consts::ARCH == "aarch64" { "linux/arm64+docker" } else { "linux/amd64+docker" }
}

/// An image as a client hands it over.
#[derive(Clone, Debug)]
pub struct Image {
    /// The archive file.
    pub archive: PathBuf,
    /// Its SHA-256, which names it.
    pub sha256: [u8; 32],
    /// The id that the engine gives it.
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
