//! Getting an image into the engine and knowing that it is the one named.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use bollard::errors::Error as EngineError;
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use futures::{StreamExt, TryStreamExt};
use sunwork_protocol::image::archive_from_binary;

use super::super::archive::{ImageArchive, MAX_ARCHIVE_BYTES, platform_serves};
use super::super::cage::{ImageFacts, holder_program};
use super::super::room::{Disk, Excess};
use super::super::{BlobSource, BlobSourceError, ImageRef, RuntimeError};
use super::{Inner, gone_is_fine, status, unavailable};

/// Repository under which loaded images are kept, so that an operator's `docker image prune` spares them; they are run by
/// ID all the same.
const REPOSITORY: &str = "sunwork.local/app";
/// Images that this worker brought in and keeps; the one not used for longest goes first. What was there before is the
/// operator's to clean.
pub const MAX_KEPT_IMAGES: usize = 16;
/// Longest name that is read back.
const MAX_NAME_BYTES: u64 = 4096;

/// An image that this worker brought in.
struct Kept {
    last_used: SystemTime,
    /// The file that says so: `DIGEST.id` with the ID of a loaded archive, `DIGEST.ref` with the name of a pulled image.
    note: PathBuf,
    /// What the engine calls it.
    name: String,
    bytes: u64,
}

impl Inner {
    /// See [`super::Runtime::prepare`].
    pub(super) async fn prepare(&self, image: &ImageRef, fetch: &dyn BlobSource) -> Result<(), RuntimeError> {
        if !platform_serves(&self.facts.platform, &image.platform) {
            return Err(RuntimeError::ImageUnusable {
                reason: format!("it is for {}, this engine runs {}", image.platform, self.facts.platform),
            });
        }
        let _one_at_a_time = self.preparing.lock().await;
        let known = self.images.lock().await.get(image).map(|facts| facts.id.clone());
        if let Some(id) = known
            && self.inspect(&id).await?.is_some()
        {
            self.touch(&hex::encode(image.digest));
            return Ok(());
        }
        let inspected = match &image.name {
            Some(name) => self.pull(image, name).await?,
            None => self.load(image, fetch).await?,
        };
        let found = platform_of(&inspected);
        if !platform_serves(&found, &image.platform) {
            return Err(RuntimeError::PlatformMismatch { found, expected: image.platform.clone() });
        }
        let config = inspected.config.unwrap_or_default();
        let has = |words: &Option<Vec<String>>| words.as_ref().is_some_and(|w| !w.is_empty());
        let facts = ImageFacts {
            id: inspected.id.unwrap_or_default(),
            has_command: has(&config.entrypoint) || has(&config.cmd),
            volumes: config.volumes.unwrap_or_default(),
        };
        if let Some(reason) = facts.unusable() {
            return Err(RuntimeError::ImageUnusable { reason });
        }
        self.images.lock().await.insert(image.clone(), facts);
        Ok(())
    }

    /// What the engine knows about an image; `None` when it has none of that name.
    async fn inspect(&self, name: &str) -> Result<Option<ImageInspect>, RuntimeError> {
        match self.engine.inspect_image(name).await {
            Ok(inspected) => Ok(Some(inspected)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(unavailable(format!("looking for image {name}"))(error)),
        }
    }

    async fn pull(&self, image: &ImageRef, name: &str) -> Result<ImageInspect, RuntimeError> {
        let reference = format!("{name}@sha256:{}", hex::encode(image.digest));
        let digest = hex::encode(image.digest);
        if let Some(inspected) = self.inspect(&reference).await? {
            self.touch(&digest);
            return Ok(inspected);
        }
        let options = CreateImageOptionsBuilder::default().from_image(&reference).platform(&image.platform).build();
        let pulled = self.slow.create_image(Some(options), None, None).try_for_each(|_| async { Ok(()) }).await;
        if let Err(error) = pulled {
            let unknown = matches!(status(&error), Some(400 | 401 | 403 | 404)) || says_unknown(&error);
            return Err(if unknown {
                RuntimeError::ImageUnknown { image: reference, reason: error.to_string() }
            } else {
                unavailable(format!("pulling {reference}"))(error)
            });
        }
        let inspected = self.inspect(&reference).await?.ok_or_else(|| RuntimeError::ImageUnknown {
            image: reference.clone(),
            reason: "the engine pulled it but does not know it by its digest".into(),
        })?;
        self.note(&digest, "ref", &reference).await?;
        self.evict().await;
        Ok(inspected)
    }

    /// Writes down that an image is ours to remove.
    async fn note(&self, digest: &str, extension: &str, text: &str) -> Result<(), RuntimeError> {
        let folder = self.notes();
        let (path, temporary) = (folder.join(format!("{digest}.{extension}")), folder.join(format!("{digest}.new")));
        // Written and renamed: half a name after a power cut would only cost another load, but why.
        tokio::fs::write(&temporary, text).await.map_err(RuntimeError::io("writing down an image's name"))?;
        tokio::fs::rename(&temporary, &path).await.map_err(RuntimeError::io("writing down an image's name"))
    }

    fn notes(&self) -> PathBuf {
        self.config.work_dir.join("images")
    }

    async fn load(&self, image: &ImageRef, fetch: &dyn BlobSource) -> Result<ImageInspect, RuntimeError> {
        let digest = hex::encode(image.digest);
        let folder = self.notes();
        let id_file = folder.join(format!("{digest}.id"));
        let io = |doing: &'static str| move |source| RuntimeError::Io { doing: doing.into(), source };
        if let Ok(id) = tokio::fs::read_to_string(&id_file).await
            && id.starts_with("sha256:")
            && let Some(inspected) = self.inspect(&id).await?
        {
            self.touch(&digest);
            return Ok(inspected);
        }
        let path = folder.join(format!("{digest}.tar"));
        fetch.fetch(image.digest, MAX_ARCHIVE_BYTES, &path).await.map_err(|error| match error {
            BlobSourceError::Unknown(reason) => RuntimeError::ImageUnknown { image: image.to_string(), reason },
            BlobSourceError::Temporary(reason) => RuntimeError::Fetch { digest: digest.clone(), reason },
        })?;
        let loaded = self.load_file(&path, &image.digest, &image.platform).await;
        // Good or bad, it is not needed any more: the engine has it, or it will never do.
        let removed = tokio::fs::remove_file(&path).await;
        let inspected = loaded?;
        removed.map_err(io("removing a loaded image archive"))?;
        let id = inspected.id.clone().unwrap_or_default();
        self.keep(&id, &digest).await?;
        self.note(&digest, "id", &id).await?;
        self.evict().await;
        Ok(inspected)
    }

    /// Notes that an image was used now. Only the order of eviction hangs on it, so an error does not matter; there is no note
    /// of an image that was here before.
    fn touch(&self, digest: &str) {
        let now = SystemTime::now();
        for extension in ["id", "ref"] {
            let path = self.notes().join(format!("{digest}.{extension}"));
            let _ = File::options().append(true).open(path).and_then(|file| file.set_modified(now));
        }
    }

    /// The disk that holds the engine's images.
    pub(super) fn disk(&self) -> Option<Disk> {
        self.facts.root.as_deref().and_then(Disk::of)
    }

    /// Removes what has not been used for longest, so that the engine's disk does not fill up with strangers' images. One
    /// in use stays: the engine refuses. One that another worker on this engine still wants is brought in again by it.
    pub(super) async fn evict(&self) {
        let kept = self.kept().await;
        let sizes: Vec<u64> = kept.iter().map(|image| image.bytes).collect();
        let mut excess = Excess::of(&sizes, &self.config.quota, self.disk());
        for image in kept.iter().take(kept.len().saturating_sub(1)) {
            if excess.is_none() {
                return;
            }
            let removed = self.engine.remove_image(&image.name, None::<RemoveImageOptions>, None).await.map(|_| ());
            match gone_is_fine(removed).map(|()| std::fs::remove_file(&image.note)) {
                Ok(Ok(())) => {
                    tracing::info!(image = image.name, bytes = image.bytes, "removed an image not used for long");
                    excess.gone(image.bytes);
                }
                Ok(Err(error)) => tracing::warn!(image = image.name, %error, "cannot forget an image"),
                Err(error) if status(&error) == Some(409) => {
                    tracing::debug!(image = image.name, "an image not used for long stays: a leaf runs it");
                }
                Err(error) => tracing::warn!(image = image.name, %error, "cannot remove an image not used for long"),
            }
        }
    }

    /// What this worker brought in, the one not used for longest first.
    async fn kept(&self) -> Vec<Kept> {
        let mut kept = Vec::new();
        for note in std::fs::read_dir(self.notes()).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let Ok(last_used) = note.metadata().and_then(|meta| meta.modified()) else { continue };
            let name = match note.extension().and_then(|extension| extension.to_str()) {
                Some("id") => note.file_stem().map(|tag| format!("{REPOSITORY}:{}", tag.to_string_lossy())),
                Some("ref") => {
                    let mut name = String::new();
                    let read = File::open(&note).and_then(|file| file.take(MAX_NAME_BYTES).read_to_string(&mut name));
                    read.ok().map(|_| name)
                }
                _ => None,
            };
            let Some(name) = name else { continue };
            // An image that is gone takes no room; an engine that does not answer is asked again next time.
            let found = self.inspect(&name).await.ok().flatten();
            let bytes = found.and_then(|image| image.size).map_or(0, |size| u64::try_from(size).unwrap_or(0));
            kept.push(Kept { last_used, note, name, bytes });
        }
        kept.sort_by(|a, b| (a.last_used, &a.note).cmp(&(b.last_used, &b.note)));
        kept
    }

    async fn load_file(
        &self,
        path: &std::path::Path,
        digest: &[u8; 32],
        platform: &str,
    ) -> Result<ImageInspect, RuntimeError> {
        let (file, digest): (PathBuf, [u8; 32]) = (path.to_owned(), *digest);
        let archive = tokio::task::spawn_blocking(move || ImageArchive::open(&file, &digest))
            .await
            .map_err(|e| RuntimeError::Io { doing: "reading an image archive".into(), source: e.into() })??;
        if !platform_serves(&archive.platform, platform) {
            return Err(RuntimeError::PlatformMismatch { found: archive.platform, expected: platform.into() });
        }
        // Another worker on this engine may have loaded it.
        match self.inspect(&archive.id).await? {
            Some(inspected) => Ok(inspected),
            None => self.load_archive(&archive).await,
        }
    }

    async fn load_archive(&self, archive: &ImageArchive) -> Result<ImageInspect, RuntimeError> {
        let options = ImportImageOptionsBuilder::default().quiet(false).build();
        let mut progress = std::pin::pin!(self.slow.import_image_stream(options, archive.load_stream(), None));
        let mut said = String::new();
        while let Some(line) = progress.next().await {
            let line = line.map_err(|error| match error {
                EngineError::DockerStreamError { error } => {
                    RuntimeError::ArchiveInvalid { reason: format!("the engine refused it: {error}") }
                }
                EngineError::DockerResponseServerError { status_code: 400, message } => {
                    RuntimeError::ArchiveInvalid { reason: format!("the engine refused it: {message}") }
                }
                error => unavailable("loading an image archive")(error),
            })?;
            if let Some(stream) = line.stream.filter(|_| said.len() < 4096) {
                said.push_str(&stream);
            }
        }
        if let Some(inspected) = self.inspect(&archive.id).await? {
            return Ok(inspected);
        }
        // Engines on containerd's image store name an image by its manifest. Then it is the one that was loaded just now,
        // if it has these layers.
        let name = said.lines().find_map(loaded_name).unwrap_or_default();
        let inspected = if name.is_empty() { None } else { self.inspect(name).await? };
        let layers = |i: &ImageInspect| i.root_fs.as_ref().and_then(|r| r.layers.clone()).unwrap_or_default();
        inspected.filter(|i| layers(i) == archive.diff_ids).ok_or_else(|| RuntimeError::ArchiveInvalid {
            reason: format!("the engine loaded it but has no image {} (it said: {:?})", archive.id, said.trim()),
        })
    }

    async fn keep(&self, id: &str, tag: &str) -> Result<(), RuntimeError> {
        let options = TagImageOptionsBuilder::default().repo(REPOSITORY).tag(tag).build();
        self.engine.tag_image(id, Some(options)).await.map_err(unavailable(format!("naming image {id}")))
    }

    /// ID of the image that holds output folders, loaded when it is needed first.
    pub(super) async fn holder_image(&self) -> Result<&str, RuntimeError> {
        let id = self
            .holder_image
            .get_or_try_init(|| async {
                let platform = &self.facts.platform;
                let program = holder_program(&self.facts.arch).ok_or_else(|| RuntimeError::EngineUnfit {
                    missing: format!("an app's disk on {platform}"),
                    remedy: "use a machine with amd64 or arm64",
                })?;
                let (archive, digest, id) = archive_from_binary(&program, platform, "holder");
                if self.inspect(&id).await?.is_none() {
                    let path = self.config.work_dir.join("images").join("holder.tar");
                    tokio::fs::write(&path, &archive).await.map_err(RuntimeError::io("writing the holder image"))?;
                    let inspected = self.load_file(&path, &digest, platform).await?;
                    let found = inspected.id.unwrap_or_default();
                    self.keep(&found, "holder").await?;
                    return Ok::<_, RuntimeError>(found);
                }
                Ok(id)
            })
            .await?;
        Ok(id)
    }
}

fn platform_of(inspected: &ImageInspect) -> String {
    let word = |value: &Option<String>| value.clone().unwrap_or_default();
    let base = format!("{}/{}", word(&inspected.os), word(&inspected.architecture));
    match inspected.variant.as_deref() {
        Some(variant) if !variant.is_empty() => format!("{base}/{variant}"),
        _ => base,
    }
}

fn says_unknown(error: &EngineError) -> bool {
    let text = error.to_string().to_lowercase();
    ["manifest unknown", "not found", "denied", "invalid reference", "no matching manifest"]
        .iter()
        .any(|words| text.contains(words))
}

/// Name or ID in the engine's "Loaded image: NAME" or "Loaded image ID: sha256:…".
fn loaded_name(line: &str) -> Option<&str> {
    line.strip_prefix("Loaded image ID: ").or_else(|| line.strip_prefix("Loaded image: ")).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_engine_loaded_is_read_from_its_words() {
        assert_eq!(loaded_name("Loaded image ID: sha256:ab\n"), Some("sha256:ab"));
        assert_eq!(loaded_name("Loaded image: a/b:c"), Some("a/b:c"));
        assert_eq!(loaded_name("Loading layer"), None);
    }

    #[test]
    fn a_registry_that_does_not_know_is_told_from_one_that_does_not_answer() {
        let error = |text: &str| EngineError::DockerStreamError { error: text.into() };
        assert!(says_unknown(&error("manifest unknown: manifest unknown")));
        assert!(says_unknown(&error("pull access denied for x, repository does not exist")));
        assert!(!says_unknown(&error("dial tcp: i/o timeout")));
    }
}
