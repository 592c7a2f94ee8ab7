//! Blobs over HTTP: streamed both ways, with limits on how many move at a time and how slowly.
use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use futures::{Stream, StreamExt as _, stream};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, timeout},
};

use super::{
    BlobName, BlobStore, Stored,
    range::{Wanted, wanted},
};
use crate::api::error::ApiError;

/// Bytes per read from disk.
const CHUNK_BYTES: usize = 128 << 10;
/// Chunks that wait for a reader: one being sent, one being read.
const CHUNKS_AHEAD: usize = 2;
/// What is read, and dropped, of an upload that was refused, so that the sender gets to see the answer and not a reset.
const LINGER_BYTES: usize = 4 << 20;
/// How long that may take.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// How many transfers run at a time, and how slow one may be.
#[derive(Clone, Copy, Debug)]
pub struct TransferLimits {
    /// Uploads at a time.
    pub uploads: usize,
    /// Downloads at a time.
    pub downloads: usize,
    /// How long a request waits for its turn.
    pub wait: Duration,
    /// How long the other side may be silent.
    pub silence: Duration,
    /// Slowest average speed after that time, bytes per second.
    pub min_bytes_per_sec: u64,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            uploads: 16,
            downloads: 64,
            wait: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            min_bytes_per_sec: 4096,
        }
    }
}

/// The blob part of the API.
#[derive(Clone, Debug)]
pub struct BlobService {
    store: BlobStore,
    limits: TransferLimits,
    uploads: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
}

impl BlobService {
    /// Serves a store.
    pub fn new(store: BlobStore, limits: TransferLimits) -> Self {
        let uploads = Arc::new(Semaphore::new(limits.uploads));
        let downloads = Arc::new(Semaphore::new(limits.downloads));
        Self { store, limits, uploads, downloads }
    }

    /// The store behind it.
    pub const fn store(&self) -> &BlobStore {
        &self.store
    }

    async fn permit(&self, kind: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
        match timeout(self.limits.wait, kind.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphores are never closed.
            Ok(Err(_)) | Err(_) => Err(ApiError::Busy),
        }
    }

    /// True while a transfer of `bytes` bytes in `elapsed` is fast enough.
    fn fast_enough(&self, elapsed: Duration, bytes: u64) -> bool {
        elapsed <= self.limits.silence + Duration::from_secs(bytes / self.limits.min_bytes_per_sec.max(1))
    }

    async fn receive(
        &self,
        name: BlobName,
        announced: Option<u64>,
        body: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin),
    ) -> Result<Stored, ApiError> {
        let _permit = self.permit(&self.uploads).await?;
        let started = Instant::now();
        let mut upload = self.store.upload(name, announced).await?;
        let mut received = 0;
        while let Some(chunk) = timeout(self.limits.silence, body.next()).await.map_err(|_| ApiError::TooSlow)? {
            let chunk = chunk.map_err(|error| ApiError::Truncated { received, reason: error.to_string() })?;
            received += chunk.len() as u64;
            if !self.fast_enough(started.elapsed(), received) {
                return Err(ApiError::TooSlow);
            }
            upload.write(&chunk).await?;
        }
        Ok(upload.finish().await?)
    }

    /// Reads a part of a file into a body. The permit is held until the last byte was taken or the reader was too slow.
    fn send(&self, mut file: File, length: u64, permit: OwnedSemaphorePermit) -> Body {
        let (chunks, mut taken) = mpsc::channel::<std::io::Result<Bytes>>(CHUNKS_AHEAD);
        let service = self.clone();
        // Bounded: ends with the file, with the reader, or by the silence limit.
        tokio::spawn(async move {
            let _permit = permit;
            let started = Instant::now();
            let mut sent = 0;
            while sent < length {
                let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(length - sent).unwrap_or(CHUNK_BYTES))];
                let result = file.read_exact(&mut chunk).await.map(|_| Bytes::from(chunk));
                sent += result.as_ref().map_or(length, |chunk| chunk.len() as u64);
                let was_taken = matches!(timeout(service.limits.silence, chunks.send(result)).await, Ok(Ok(())));
                if !was_taken || !service.fast_enough(started.elapsed(), sent) {
                    return;
                }
            }
        });
        Body::from_stream(stream::poll_fn(move |context| taken.poll_recv(context)))
    }
}

/// `PUT /v1/blobs/{sha256}`
pub async fn put(
    State(service): State<BlobService>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    let mut body = body.into_data_stream();
    let result = match name.parse::<BlobName>() {
        Ok(name) => service.receive(name, content_length(&headers), &mut body).await,
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(Stored::New) => {
            tracing::info!(blob = name, "stored");
            Ok(StatusCode::CREATED)
        }
        Ok(Stored::Had) => Ok(StatusCode::OK),
        Err(error) => {
            tracing::info!(blob = name, %error, "upload refused");
            linger(&mut body).await;
            Err(error)
        }
    }
}

/// `GET /v1/blobs/{sha256}`
pub async fn get(
    State(service): State<BlobService>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let name: BlobName = name.parse()?;
    let permit = service.permit(&service.downloads).await?;
    let (mut file, size) = service.store.open_blob(name).await?.ok_or(ApiError::NoSuchBlob(name))?;
    let tag = etag(name);
    let is_given = |which, tags: &HeaderValue| headers.get(which) == Some(tags);
    if is_given(header::IF_NONE_MATCH, &tag) {
        return respond(StatusCode::NOT_MODIFIED, name, 0, Body::empty());
    }
    // A blob never changes, so an If-Range with another tag speaks of another blob.
    let is_same = !headers.contains_key(header::IF_RANGE) || is_given(header::IF_RANGE, &tag);
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok()).filter(|_| is_same);
    match wanted(range, size) {
        Wanted::All => respond(StatusCode::OK, name, size, service.send(file, size, permit)),
        Wanted::Part { first, last } => {
            let length = last - first + 1;
            file.seek(std::io::SeekFrom::Start(first))
                .await
                .map_err(|source| super::BlobError::Disk { doing: "reading a blob", source })?;
            let mut response = respond(StatusCode::PARTIAL_CONTENT, name, length, service.send(file, length, permit))?;
            let range = text(&format!("bytes {first}-{last}/{size}"))?;
            response.headers_mut().insert(header::CONTENT_RANGE, range);
            Ok(response)
        }
        Wanted::Unsatisfiable => Err(ApiError::RangeNotSatisfiable { size }),
    }
}

/// `HEAD /v1/blobs/{sha256}`
pub async fn head(State(service): State<BlobService>, Path(name): Path<String>) -> Result<Response<Body>, ApiError> {
    let name: BlobName = name.parse()?;
    let (_, size) = service.store.open_blob(name).await?.ok_or(ApiError::NoSuchBlob(name))?;
    respond(StatusCode::OK, name, size, Body::empty())
}

fn respond(status: StatusCode, name: BlobName, length: u64, body: Body) -> Result<Response<Body>, ApiError> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if status != StatusCode::NOT_MODIFIED {
        headers.insert(header::CONTENT_LENGTH, length.into());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    }
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, etag(name));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    // Anybody's bytes: no browser shall guess that they are a page of ours.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

fn etag(name: BlobName) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{name}\"")).expect("hex digits are a valid header value")
}

fn text(value: &str) -> Result<HeaderValue, ApiError> {
    HeaderValue::from_str(value).map_err(|error| ApiError::Internal(error.to_string()))
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Reads, and drops, a bounded rest of a refused body, so that the sender gets to see the answer.
pub(crate) async fn linger(body: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin)) {
    let mut left = LINGER_BYTES;
    let drain = async {
        while let Some(Ok(chunk)) = body.next().await {
            let Some(less) = left.checked_sub(chunk.len()) else { return };
            left = less;
        }
    };
    // Either way the answer is sent next.
    let _ = timeout(LINGER_TIME, drain).await;
}
