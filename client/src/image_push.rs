//! Making an image archive that every worker takes: from an image of the local engine, from a folder with a Dockerfile, or from
//! an archive that somebody else made.
//!
//! The archive is normalised: one platform, plain layers, no tags, no times. So the same image gives the same bytes and the
//! same name, whichever engine saved it.

mod engine;
mod normalize;

use std::path::{Path, PathBuf};

use alloy::primitives::B256;
use serde::Serialize;
use sunwork_protocol::image::WASM_PLATFORM;
use tempfile::TempDir;
use thiserror::Error;

use crate::archive::{Archive, ArchiveError};
use crate::class::{Classified, ErrorClass};

pub use engine::Engine;

/// Largest archive, and largest sum of its plain layers; workers fetch no larger ones.
pub const MAX_ARCHIVE_BYTES: u64 = 16 << 30;

/// An archive that could not be made.
#[derive(Debug, Error)]
pub enum ImagePushError {
    /// The engine's command is not there.
    #[error(
        "cannot run {engine:?}: {source}; install Docker (or name another engine with --engine, such as podman), or give \
             an archive file instead"
    )]
    NoEngine {
        /// The command.
        engine: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The engine refused.
    #[error(
        "{engine} {doing} failed with {status}: {said}; expected an image of `{engine} images`, a folder with a Dockerfile, or an archive file"
    )]
    Engine {
        /// The command.
        engine: String,
        /// What it should do.
        doing: String,
        /// How it ended.
        status: String,
        /// The end of what it said.
        said: String,
    },
    /// Nothing to build.
    #[error(
        "{dir:?} holds no {expected}; expected a folder to build an image from, an archive file, or an image's name"
    )]
    NoDockerfile {
        /// The folder.
        dir: PathBuf,
        /// The file that was looked for.
        expected: String,
    },
    /// The archive.
    #[error("{path:?}: {source}")]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        source: ArchiveError,
    },
    /// A layer that is not what the image's config says.
    #[error("{path:?}: layer {layer}: {problem}")]
    Layer {
        /// The archive.
        path: PathBuf,
        /// Which, from 1.
        layer: usize,
        /// What is wrong.
        problem: String,
    },
    /// No room, no permission.
    #[error("writing the image archive {path:?}: {source}; TMPDIR names another folder for temporary files")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Classified for ImagePushError {
    fn class(&self) -> ErrorClass {
        ErrorClass::Stop
    }
}

/// A normalised archive, ready to be uploaded.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PushedImage {
    /// SHA-256 of the archive, its name for `sunwork run` with "sha256:" before it.
    #[serde(serialize_with = "digest")]
    pub image: B256,
    /// ID that an engine will know it by.
    pub id: String,
    /// OCI platform.
    pub platform: String,
    /// Bytes of the archive.
    pub size_bytes: u64,
    /// Layers.
    pub layers: usize,
    /// Where the archive is.
    #[serde(skip)]
    pub path: PathBuf,
    /// Holds it, unless it was saved elsewhere.
    #[serde(skip)]
    _scratch: TempDir,
}

fn digest<S: serde::Serializer>(digest: &B256, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&format_args!("sha256:{}", hex::encode(digest)))
}

/// What to make an archive of.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// OCI platform to build for or to choose.
    pub platform: Option<String>,
    /// Dockerfile, where it is not the folder's own.
    pub dockerfile: Option<PathBuf>,
    /// Where to keep the archive.
    pub save: Option<PathBuf>,
}

/// Makes a normalised archive of `what`: a folder is built, a file is taken as an archive, anything else is an image of the
/// engine.
///
/// # Errors
/// See [`ImagePushError`].
pub async fn make_archive(engine: &Engine, what: &str, options: &PushOptions) -> Result<PushedImage, ImagePushError> {
    let temp = std::env::temp_dir();
    let scratch = tempfile::Builder::new().prefix("sunwork-image-").tempdir();
    let scratch = scratch.map_err(|source| ImagePushError::Io { path: temp, source })?;
    let saved = scratch.path().join("saved.tar");
    let source = match Path::new(what) {
        dir if dir.is_dir() => {
            let id = engine.build(dir, options, scratch.path()).await?;
            engine.save(&id, &saved).await?;
            saved
        }
        file if file.is_file() => file.to_owned(),
        _ => {
            engine.save(what, &saved).await?;
            saved
        }
    };
    let (platform, save) = (options.platform.clone(), options.save.clone());
    let making = tokio::task::spawn_blocking(move || write(&source, platform.as_deref(), save, scratch));
    making.await.expect("copying an archive does not panic")
}

fn write(
    source: &Path,
    platform: Option<&str>,
    save: Option<PathBuf>,
    scratch: TempDir,
) -> Result<PushedImage, ImagePushError> {
    let fail = |error| ImagePushError::Archive { path: source.to_owned(), source: error };
    let archive = Archive::read(source).map_err(fail)?;
    let image = archive.choose(platform).map_err(fail)?;
    let path = scratch.path().join("image.tar");
    let (sha256, size_bytes) = match image.platform.as_str() {
        // A module has one form only.
        WASM_PLATFORM => {
            let io = |source| ImagePushError::Io { path: path.clone(), source };
            let size = std::fs::copy(source, &path).map_err(io)?;
            (image.id.trim_start_matches("sha256:").parse::<B256>().map_err(|e| io(std::io::Error::other(e)))?, size)
        }
        _ => normalize::write(source, image, &path, scratch.path())?,
    };
    let path = match save {
        Some(target) => {
            keep(&path, &target).map_err(|source| ImagePushError::Io { path: target.clone(), source })?;
            target
        }
        None => path,
    };
    let (id, platform, layers) = (image.id.clone(), image.platform.clone(), image.layers.len());
    Ok(PushedImage { image: sha256, id, platform, size_bytes, layers, path, _scratch: scratch })
}

/// Puts the archive at `target`, whole or not at all.
fn keep(from: &Path, target: &Path) -> std::io::Result<()> {
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temp = tempfile::NamedTempFile::new_in(dir)?;
    std::io::copy(&mut std::fs::File::open(from)?, &mut temp)?;
    temp.as_file().sync_all()?;
    temp.persist(target).map_err(|e| e.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::archive_from_binary;

    #[tokio::test]
    async fn an_archive_is_taken_as_it_is_and_kept_where_asked() {
        let dir = tempfile::tempdir().unwrap();
        let (bytes, sha256, id) = archive_from_binary(b"binary", "linux/arm64", "app");
        let (path, kept) = (dir.path().join("app.tar"), dir.path().join("kept.tar"));
        std::fs::write(&path, &bytes).unwrap();
        let engine = Engine::new("no-such-engine");
        let options = PushOptions { save: Some(kept.clone()), ..PushOptions::default() };
        let pushed = make_archive(&engine, path.to_str().unwrap(), &options).await.unwrap();
        // What was plain already comes out with the same bytes: an image has one name.
        assert_eq!((pushed.image, pushed.id.as_str()), (B256::from(sha256), id.as_str()));
        assert_eq!((pushed.platform.as_str(), pushed.size_bytes), ("linux/arm64", bytes.len() as u64));
        assert_eq!(std::fs::read(&kept).unwrap(), bytes);
        let json = serde_json::to_value(&pushed).unwrap();
        assert_eq!(json["image"], format!("sha256:{}", hex::encode(sha256)));
        let other = PushOptions { platform: Some("linux/amd64".into()), ..PushOptions::default() };
        let refused = make_archive(&engine, path.to_str().unwrap(), &other).await.unwrap_err().to_string();
        assert!(refused.contains("no image for linux/amd64, only for linux/arm64"), "{refused}");
    }

    #[tokio::test]
    async fn a_missing_engine_and_an_empty_folder_say_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::new("no-such-engine");
        let none = make_archive(&engine, "alpine", &PushOptions::default()).await.unwrap_err().to_string();
        assert!(none.contains("cannot run \"no-such-engine\"") && none.contains("install Docker"), "{none}");
        let empty = make_archive(&engine, dir.path().to_str().unwrap(), &PushOptions::default()).await;
        assert!(empty.unwrap_err().to_string().contains("holds no Dockerfile"));
    }
}
