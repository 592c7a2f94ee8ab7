//! Blobs: bytes named by their SHA-256, kept by oracles (docs/PROTOCOL.md, Oracle HTTP API).
//!
//! Nothing that an oracle says is believed: every byte is hashed here.
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy::primitives::{B256, hex};
use bytes::Bytes;
use reqwest::{StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use url::Url;

use crate::answer::{self, BodyError};
use crate::causes::with_causes;

/// How long a transfer may stand still.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An upload that is slower than this is given up.
const SLOWEST_UPLOAD_BYTES_PER_SEC: u64 = 8 << 10;
const CHUNK_BYTES: usize = 128 << 10;

/// Why a blob could not be moved.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No oracle is configured.
    #[error("no oracle URL is given, so blobs can be neither fetched nor stored")]
    NoOracle,
    /// No oracle knows the name.
    #[error("no oracle has the blob {sha256}")]
    NotFound {
        /// Its name.
        sha256: String,
    },
    /// The bytes are not those that the name stands for.
    #[error("{url} serves other bytes under the blob's name: found {found}, expected {expected}; they were deleted")]
    HashMismatch {
        /// The oracle.
        url: String,
        /// SHA-256 of what came.
        found: String,
        /// SHA-256 that was asked for.
        expected: String,
    },
    /// The blob is larger than allowed.
    #[error("the blob {sha256} has {found} bytes or more, at most {max} are allowed")]
    TooLarge {
        /// Its name.
        sha256: String,
        /// Its size as far as known, bytes.
        found: u64,
        /// Largest size, bytes.
        max: u64,
    },
    /// The oracle answered with a refusal.
    #[error("{url} refused the blob {sha256} with status {status}: {message}")]
    Refused {
        /// The oracle.
        url: String,
        /// The blob.
        sha256: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The oracle cannot be reached or broke off.
    #[error("cannot move the blob {sha256} from or to {url}: {reason}")]
    Unreachable {
        /// The oracle.
        url: String,
        /// The blob.
        sha256: String,
        /// Why not.
        reason: String,
    },
    /// A local file cannot be read or written.
    #[error("cannot use the local file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl BlobError {
    /// True when trying again later may help. A blob that is not there yet may come.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Unreachable { .. } | Self::HashMismatch { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            Self::NoOracle | Self::TooLarge { .. } | Self::Io { .. } => false,
        }
    }
}

/// Moves blobs from and to one or several oracles.
#[derive(Clone, Debug)]
pub struct BlobClient {
    urls: Vec<Url>,
    http: reqwest::Client,
    /// Without the idle timeout, which would count from the request's first byte sent to the answer's first byte.
    uploads: reqwest::Client,
}

impl BlobClient {
    /// A client of these oracles; the first that serves is used.
    pub fn new(urls: Vec<Url>) -> Self {
        crate::tls::install();
        let builder = || {
            let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT);
            builder.redirect(reqwest::redirect::Policy::none())
        };
        let reason = "only a missing TLS provider makes this fail, and one was installed above";
        let http = builder().read_timeout(IDLE_TIMEOUT).build().expect(reason);
        Self { urls, http, uploads: builder().build().expect(reason) }
    }

    /// The oracles.
    pub fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// Stores a file; one oracle that takes it is enough. Returns its name.
    ///
    /// # Errors
    /// When the file cannot be read or no oracle takes it.
    pub async fn put_file(&self, path: impl AsRef<Path>) -> Result<B256, BlobError> {
        self.put_file_watched(path, |_| {}).await
    }

    /// As [`BlobClient::put_file`], and tells `sent` the bytes of each piece that leaves. A second oracle after a failed first
    /// gets them all again.
    ///
    /// # Errors
    /// As [`BlobClient::put_file`].
    pub async fn put_file_watched(
        &self,
        path: impl AsRef<Path>,
        sent: impl Fn(u64) + Clone + Send + Sync + 'static,
    ) -> Result<B256, BlobError> {
        use futures::StreamExt;
        let path = path.as_ref();
        let io = |source| BlobError::Io { path: path.to_owned(), source };
        let (sha256, size) = hash_file(path).await.map_err(io)?;
        let mut last = BlobError::NoOracle;
        for url in &self.urls {
            let body = async || {
                let file = tokio::fs::File::open(path).await?;
                let sent = sent.clone();
                let stream = tokio_util::io::ReaderStream::with_capacity(file, CHUNK_BYTES)
                    .inspect(move |piece| piece.iter().for_each(|bytes| sent(bytes.len() as u64)));
                io::Result::Ok(reqwest::Body::wrap_stream(stream))
            };
            if self.head(url, sha256).await.ok().flatten().is_some() {
                return Ok(sha256);
            }
            match self.put(url, sha256, size, body().await.map_err(io)?).await {
                Ok(()) => return Ok(sha256),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Stores bytes. Returns their name.
    ///
    /// # Errors
    /// When no oracle takes them.
    pub async fn put_bytes(&self, bytes: impl Into<Bytes>) -> Result<B256, BlobError> {
        let bytes = bytes.into();
        let sha256 = B256::from_slice(&Sha256::digest(&bytes));
        let mut last = BlobError::NoOracle;
        for url in &self.urls {
            match self.put(url, sha256, bytes.len() as u64, bytes.clone().into()).await {
                Ok(()) => return Ok(sha256),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Fetches a blob into `path`, which appears only when its bytes are proven. What an earlier, broken attempt left
    /// in `path` + `.part` is gone on with.
    ///
    /// # Errors
    /// When no oracle serves the right bytes, or they are more than `max_bytes`.
    pub async fn get_to_file(
        &self,
        sha256: impl Into<B256>,
        max_bytes: u64,
        path: impl AsRef<Path>,
    ) -> Result<(), BlobError> {
        let (sha256, path) = (sha256.into(), path.as_ref());
        let io = |source| BlobError::Io { path: path.to_owned(), source };
        if tokio::fs::try_exists(path).await.map_err(io)? {
            let (found, _) = hash_file(path).await.map_err(io)?;
            if found == sha256 {
                return Ok(());
            }
            tokio::fs::remove_file(path).await.map_err(io)?;
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        let mut last = BlobError::NoOracle;
        for url in &self.urls {
            // A second try: the partial file may be of an oracle that served wrong bytes.
            for _ in 0..2 {
                let had_partial = tokio::fs::metadata(&partial).await.is_ok_and(|meta| meta.len() > 0);
                match self.download(url, sha256, max_bytes, &partial).await {
                    Ok(()) => return publish(&partial, path).await.map_err(io),
                    Err(error) => {
                        let again = had_partial && matches!(error, BlobError::HashMismatch { .. });
                        // The most telling error wins: "not found" says less than a wrong hash.
                        if matches!(last, BlobError::NoOracle | BlobError::NotFound { .. }) {
                            last = error;
                        }
                        if !again {
                            break;
                        }
                    }
                }
            }
        }
        Err(last)
    }

    /// Fetches a small blob into memory.
    ///
    /// # Errors
    /// As [`BlobClient::get_to_file`].
    pub async fn get_bytes(&self, sha256: impl Into<B256>, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let sha256 = sha256.into();
        let mut last = BlobError::NoOracle;
        for url in &self.urls {
            match self.read(url, sha256, max_bytes).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) if matches!(last, BlobError::NoOracle | BlobError::NotFound { .. }) => last = error,
                Err(_) => {}
            }
        }
        Err(last)
    }

    /// True when some oracle says that it has the blob.
    ///
    /// # Errors
    /// When none has it and one could not be asked.
    pub async fn has(&self, sha256: impl Into<B256>) -> Result<bool, BlobError> {
        let sha256 = sha256.into();
        let mut failed = None;
        for url in &self.urls {
            match self.head(url, sha256).await {
                Ok(Some(_)) => return Ok(true),
                Ok(None) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(false), Err)
    }

    /// The blob's size as the oracle tells it, if it has it.
    async fn head(&self, url: &Url, sha256: B256) -> Result<Option<u64>, BlobError> {
        let response = self.http.head(address(url, sha256)).send().await.map_err(|e| broken(url, sha256, e))?;
        match response.status() {
            StatusCode::OK => Ok(Some(response.content_length().unwrap_or(0))),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(refused(url, sha256, response).await),
        }
    }

    async fn put(&self, url: &Url, sha256: B256, size: u64, body: reqwest::Body) -> Result<(), BlobError> {
        let limit = IDLE_TIMEOUT + Duration::from_secs(size / SLOWEST_UPLOAD_BYTES_PER_SEC);
        let request = self.uploads.put(address(url, sha256)).header(header::CONTENT_LENGTH, size).timeout(limit);
        let response = request.body(body).send().await.map_err(|e| broken(url, sha256, e))?;
        if response.status().is_success() { Ok(()) } else { Err(refused(url, sha256, response).await) }
    }

    async fn open(&self, url: &Url, sha256: B256, from: u64) -> Result<reqwest::Response, BlobError> {
        let mut request = self.http.get(address(url, sha256));
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.send().await.map_err(|e| broken(url, sha256, e))
    }

    async fn read(&self, url: &Url, sha256: B256, max_bytes: u64) -> Result<Vec<u8>, BlobError> {
        let mut response = self.open(url, sha256, 0).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(url, sha256, response).await);
        }
        let bytes = answer::body(&mut response, max_bytes).await.map_err(|error| match error {
            BodyError::Broken(error) => broken(url, sha256, error),
            BodyError::TooLong(found) => BlobError::TooLarge { sha256: name(sha256), found, max: max_bytes },
        })?;
        let found = B256::from_slice(&Sha256::digest(&bytes));
        if found == sha256 { Ok(bytes) } else { Err(mismatch(url, found, sha256)) }
    }

    /// Brings the partial file to its end and proves it; deletes it when it proves wrong.
    async fn download(&self, url: &Url, sha256: B256, max_bytes: u64, partial: &Path) -> Result<(), BlobError> {
        let io = |source| BlobError::Io { path: partial.to_owned(), source };
        let (mut hasher, mut size) = match hash_start(partial).await {
            Ok(state) => state,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Sha256::new(), 0),
            Err(error) => return Err(io(error)),
        };
        if size > 0 && B256::from_slice(&hasher.clone().finalize()) == sha256 {
            return Ok(());
        }
        let mut response = self.open(url, sha256, size).await?;
        let mut file = match response.status() {
            StatusCode::PARTIAL_CONTENT if size > 0 && starts_at(&response, size) => {
                tokio::fs::OpenOptions::new().append(true).open(partial).await.map_err(io)?
            }
            StatusCode::OK => {
                (hasher, size) = (Sha256::new(), 0);
                tokio::fs::File::create(partial).await.map_err(io)?
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                // What is here is at least as long as the blob, or the oracle sends another part: it cannot be right.
                let found = B256::from_slice(&hasher.finalize());
                tokio::fs::remove_file(partial).await.map_err(io)?;
                return Err(mismatch(url, found, sha256));
            }
            _ => return Err(refused(url, sha256, response).await),
        };
        while let Some(chunk) = response.chunk().await.map_err(|e| broken(url, sha256, e))? {
            size += chunk.len() as u64;
            if size > max_bytes {
                drop(file);
                tokio::fs::remove_file(partial).await.map_err(io)?;
                return Err(BlobError::TooLarge { sha256: name(sha256), found: size, max: max_bytes });
            }
            hasher.update(&chunk);
            file.write_all(&chunk).await.map_err(io)?;
        }
        file.flush().await.map_err(io)?;
        let found = B256::from_slice(&hasher.finalize());
        if found != sha256 {
            drop(file);
            tokio::fs::remove_file(partial).await.map_err(io)?;
            return Err(mismatch(url, found, sha256));
        }
        file.sync_all().await.map_err(io)
    }
}

async fn publish(partial: &Path, path: &Path) -> io::Result<()> {
    tokio::fs::rename(partial, path).await?;
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        tokio::fs::File::open(dir).await?.sync_all().await?;
    }
    Ok(())
}

/// SHA-256 and length of a file, read in pieces.
///
/// # Errors
/// When it cannot be read.
pub async fn hash_file(path: impl AsRef<Path>) -> io::Result<(B256, u64)> {
    let (hasher, size) = hash_start(path.as_ref()).await?;
    Ok((B256::from_slice(&hasher.finalize()), size))
}

async fn hash_start(path: &Path) -> io::Result<(Sha256, u64)> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut size = 0_u64;
    loop {
        let count = file.read(&mut buffer).await?;
        if count == 0 {
            return Ok((hasher, size));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

fn name(sha256: B256) -> String {
    hex::encode(sha256)
}

fn address(url: &Url, sha256: B256) -> Url {
    answer::below(url, &format!("v1/blobs/{}", name(sha256)))
}

fn starts_at(response: &reqwest::Response, from: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

fn mismatch(url: &Url, found: B256, expected: B256) -> BlobError {
    BlobError::HashMismatch { url: url.to_string(), found: name(found), expected: name(expected) }
}

fn broken(url: &Url, sha256: B256, error: reqwest::Error) -> BlobError {
    let reason = with_causes(&error);
    BlobError::Unreachable { url: url.to_string(), sha256: name(sha256), reason }
}

async fn refused(url: &Url, sha256: B256, mut response: reqwest::Response) -> BlobError {
    let status = response.status();
    if status == StatusCode::NOT_FOUND {
        return BlobError::NotFound { sha256: name(sha256) };
    }
    let message = answer::refusal(&mut response).await;
    BlobError::Refused { url: url.to_string(), sha256: name(sha256), status: status.as_u16(), message }
}
