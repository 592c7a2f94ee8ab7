//! Blobs on disk: `DIR/ab/cd/abcd…`, and `DIR/tmp/` for what is on its way.
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sha2::{Digest as _, Sha256};
use tokio::{fs::File, io::AsyncWriteExt as _, sync::Mutex};

use super::name::BlobName;

/// Written bytes are pushed to the disk in steps of this size, so that the sync at the end is short.
const SYNC_BYTES: u64 = 64 << 20;

/// How much is taken.
#[derive(Clone, Copy, Debug)]
pub struct BlobLimits {
    /// Largest blob, bytes.
    pub max_bytes: u64,
    /// All blobs together, bytes.
    pub quota_bytes: u64,
}

/// Why a blob is not stored.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The bytes are not those that the name promises.
    #[error("the bytes do not match the name: found SHA-256 {found}, expected {expected} ({bytes} bytes came)")]
    HashMismatch {
        /// Of the bytes that came.
        found: String,
        /// The name.
        expected: String,
        /// How many came.
        bytes: u64,
    },
    /// Larger than a blob may be.
    #[error("the blob has more than {max_bytes} bytes, the largest that this oracle takes")]
    TooLarge {
        /// Largest blob, bytes.
        max_bytes: u64,
    },
    /// No room left.
    #[error("no room: {used_bytes} of {quota_bytes} bytes are used; use another oracle")]
    Quota {
        /// Used by all blobs.
        used_bytes: u64,
        /// Allowed for all blobs.
        quota_bytes: u64,
    },
    /// The disk failed.
    #[error("{doing}: {source}")]
    Disk {
        /// What was being done.
        doing: &'static str,
        /// The system's words.
        source: io::Error,
    },
}

/// What an upload did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is there now.
    New,
    /// It was there before.
    Had,
}

/// The store. Clones share it; no other process may use its folder (the server's lock sees to that).
#[derive(Clone, Debug)]
pub struct BlobStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    limits: BlobLimits,
    used_bytes: AtomicU64,
    count: AtomicU64,
    next_temp: AtomicU64,
    /// Held from "is it there?" to the rename: two uploads of one blob count once.
    commits: Mutex<()>,
}

impl BlobStore {
    /// Opens a folder, making it where it is missing; sweeps what a crash left half-done and counts what is there.
    ///
    /// # Errors
    /// When the folder cannot be made, read or cleaned.
    pub fn open(dir: &Path, limits: BlobLimits) -> Result<Self, BlobError> {
        let temp = dir.join("tmp");
        fs::create_dir_all(&temp).disk("making the blob folder")?;
        for entry in fs::read_dir(&temp).disk("reading the blob folder")? {
            let path = entry.disk("reading the blob folder")?.path();
            fs::remove_file(path).disk("removing a half-done upload")?;
        }
        let (mut used_bytes, mut count) = (0, 0);
        for size in sizes(dir).disk("counting the blobs")? {
            used_bytes += size;
            count += 1;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                dir: dir.to_owned(),
                limits,
                used_bytes: AtomicU64::new(used_bytes),
                count: AtomicU64::new(count),
                next_temp: AtomicU64::new(0),
                commits: Mutex::new(()),
            }),
        })
    }

    /// How much is taken.
    pub fn limits(&self) -> BlobLimits {
        self.inner.limits
    }

    /// Bytes of all blobs, with those on their way.
    pub fn used_bytes(&self) -> u64 {
        self.inner.used_bytes.load(Ordering::Relaxed)
    }

    /// Number of blobs.
    pub fn count(&self) -> u64 {
        self.inner.count.load(Ordering::Relaxed)
    }

    /// Opens a blob for reading; `None` if it is not there.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn open_blob(&self, name: BlobName) -> Result<Option<(File, u64)>, BlobError> {
        match File::open(self.inner.path(name)).await {
            Ok(file) => {
                let size = file.metadata().await.disk("reading a blob's size")?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).disk("opening a blob"),
        }
    }

    /// Begins an upload. `size` is what the sender announces; what comes is checked all the same.
    ///
    /// # Errors
    /// When it is too large, there is no room, or the disk fails.
    pub async fn upload(&self, name: BlobName, size: Option<u64>) -> Result<Upload, BlobError> {
        let limits = self.inner.limits;
        if size.is_some_and(|size| size > limits.max_bytes) {
            return Err(BlobError::TooLarge { max_bytes: limits.max_bytes });
        }
        let mut upload = Upload {
            inner: self.inner.clone(),
            name,
            hasher: Sha256::new(),
            bytes: 0,
            unsynced: 0,
            reserved: 0,
            temp: None,
        };
        // What is there already is only hashed: the answer for wrong bytes does not depend on what the store holds.
        if !self.inner.has(name).await? {
            upload.reserve(size.unwrap_or(0))?;
            let serial = self.inner.next_temp.fetch_add(1, Ordering::Relaxed);
            let path = self.inner.dir.join("tmp").join(format!("{serial}-{name}"));
            let file = File::create_new(&path).await.disk("making a temporary file")?;
            upload.temp = Some((path, file));
        }
        Ok(upload)
    }
}

impl Inner {
    fn path(&self, name: BlobName) -> PathBuf {
        let name = name.to_string();
        self.dir.join(&name[..2]).join(&name[2..4]).join(&name)
    }

    async fn has(&self, name: BlobName) -> Result<bool, BlobError> {
        tokio::fs::try_exists(self.path(name)).await.disk("looking for a blob")
    }
}

/// An upload on its way. Dropped before [`Upload::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    inner: Arc<Inner>,
    name: BlobName,
    hasher: Sha256,
    bytes: u64,
    unsynced: u64,
    /// Bytes of the quota that this upload holds.
    reserved: u64,
    temp: Option<(PathBuf, File)>,
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When it becomes too large, there is no room, or the disk fails.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let max_bytes = self.inner.limits.max_bytes;
        let length = bytes.len() as u64;
        self.bytes = self.bytes.saturating_add(length);
        if self.bytes > max_bytes {
            return Err(BlobError::TooLarge { max_bytes });
        }
        self.hasher.update(bytes);
        if self.temp.is_some() {
            self.reserve(self.bytes.saturating_sub(self.reserved))?;
        }
        if let Some((_, file)) = &mut self.temp {
            file.write_all(bytes).await.disk("writing a blob")?;
            self.unsynced += length;
            if self.unsynced >= SYNC_BYTES {
                file.sync_data().await.disk("writing a blob")?;
                self.unsynced = 0;
            }
        }
        Ok(())
    }

    /// Checks the hash and gives the blob its name.
    ///
    /// # Errors
    /// When the bytes are not those of the name, or the disk fails.
    pub async fn finish(mut self) -> Result<Stored, BlobError> {
        let found = BlobName(self.hasher.finalize_reset().into());
        if found != self.name {
            let (found, expected) = (found.to_string(), self.name.to_string());
            return Err(BlobError::HashMismatch { found, expected, bytes: self.bytes });
        }
        let inner = self.inner.clone();
        let Some((temp, file)) = &mut self.temp else { return Ok(Stored::Had) };
        file.flush().await.disk("writing a blob")?;
        file.sync_all().await.disk("writing a blob")?;
        let target = inner.path(self.name);
        let _turn = inner.commits.lock().await;
        if inner.has(self.name).await? {
            // Somebody else's upload of the same bytes came first; dropping this one frees its room.
            return Ok(Stored::Had);
        }
        let folder = target.parent().unwrap_or(&inner.dir).to_owned();
        tokio::fs::create_dir_all(&folder).await.disk("making a blob folder")?;
        tokio::fs::rename(&temp, &target).await.disk("giving a blob its name")?;
        for dir in folder.ancestors().take_while(|dir| dir.starts_with(&inner.dir)) {
            let dir = File::open(dir).await.disk("opening a blob folder")?;
            dir.sync_all().await.disk("syncing a blob folder")?;
        }
        // A sender that announced more than came holds too much.
        inner.used_bytes.fetch_sub(self.reserved - self.bytes, Ordering::Relaxed);
        inner.count.fetch_add(1, Ordering::Relaxed);
        self.reserved = 0;
        self.temp = None;
        Ok(Stored::New)
    }

    fn reserve(&mut self, more: u64) -> Result<(), BlobError> {
        let quota_bytes = self.inner.limits.quota_bytes;
        let add = |used: u64| used.checked_add(more).filter(|sum| *sum <= quota_bytes);
        match self.inner.used_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add) {
            Ok(_) => {
                self.reserved += more;
                Ok(())
            }
            Err(used_bytes) => Err(BlobError::Quota { used_bytes, quota_bytes }),
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.inner.used_bytes.fetch_sub(self.reserved, Ordering::Relaxed);
        if let Some((path, _)) = self.temp.take()
            && let Err(error) = fs::remove_file(&path)
        {
            // The next start sweeps it.
            tracing::warn!(path = %path.display(), %error, "a half-done upload cannot be removed");
        }
    }
}

/// Adds what was being done to an I/O error.
trait OnDisk<T> {
    fn disk(self, doing: &'static str) -> Result<T, BlobError>;
}

impl<T> OnDisk<T> for io::Result<T> {
    fn disk(self, doing: &'static str) -> Result<T, BlobError> {
        self.map_err(|source| BlobError::Disk { doing, source })
    }
}

/// Sizes of all blobs under `DIR/ab/cd/`.
fn sizes(dir: &Path) -> io::Result<Vec<u64>> {
    let mut sizes = Vec::new();
    for first in folders(dir)? {
        for second in folders(&first)? {
            for entry in fs::read_dir(second)? {
                let entry = entry?;
                let is_blob = entry.file_name().to_str().is_some_and(|name| name.parse::<BlobName>().is_ok());
                if is_blob {
                    sizes.push(entry.metadata()?.len());
                }
            }
        }
    }
    Ok(sizes)
}

/// Folders with two hex digits as name.
fn folders(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.len() == 2 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit) {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}
