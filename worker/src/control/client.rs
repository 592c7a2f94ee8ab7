//! Asking a running worker.
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::UnixStream;

use super::{ApiError, ShortPath};

/// Largest answer: earnings of years.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(90);

/// Why a worker gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// None runs on this data folder.
    #[error(
        "no worker runs here: nothing answers at {}; start one with `systemctl start sunwork-worker` or `sunwork-worker run`, or \
         name its socket with --control-socket (or its data folder with --data-dir). One that is just starting answers once it has \
         reached chain and engine",
        path.display()
    )]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// It runs for somebody else.
    #[error(
        "the control socket {} is not yours; run this as the worker's user, such as `sudo -u sunwork sunwork-worker …`",
        path.display()
    )]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// It said no.
    #[error("the worker says: {0}")]
    Refused(String),
    /// The talk broke off.
    #[error("asking the worker at {}: {reason}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        reason: String,
    },
}

/// Reads something.
///
/// # Errors
/// See [`ControlError`].
pub async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, ControlError> {
    request(socket, Method::GET, path, Bytes::new()).await
}

/// Tells it something.
///
/// # Errors
/// See [`ControlError`].
pub async fn post<T: DeserializeOwned>(socket: &Path, path: &str, body: &impl Serialize) -> Result<T, ControlError> {
    let body = serde_json::to_vec(body).map_err(|error| broken(socket, error))?;
    request(socket, Method::POST, path, body.into()).await
}

async fn request<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<T, ControlError> {
    match tokio::time::timeout(TIMEOUT, exchange(socket, method, path, body)).await {
        Ok(answer) => answer,
        Err(_) => Err(broken(socket, "no answer in 90 s")),
    }
}

async fn exchange<T: DeserializeOwned>(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<T, ControlError> {
    use std::io::ErrorKind;
    let connect = async { UnixStream::connect(&ShortPath::of(socket)?.path).await };
    let stream = connect.await.map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ControlError::NotRunning { path: socket.to_owned() },
        ErrorKind::PermissionDenied => ControlError::NotAllowed { path: socket.to_owned() },
        _ => broken(socket, error),
    })?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(socket, error))?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "worker")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .map_err(|error| broken(socket, error))?;
    let response = sender.send_request(request).await.map_err(|error| broken(socket, error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    connection.abort();
    let body = body.map_err(|error| broken(socket, error))?.to_bytes();
    if !status.is_success() {
        let said = serde_json::from_slice::<ApiError>(&body).map(|answer| answer.error);
        return Err(ControlError::Refused(said.unwrap_or_else(|_| format!("HTTP {status}"))));
    }
    serde_json::from_slice(&body).map_err(|error| broken(socket, format!("an answer of another version: {error}")))
}

fn broken(socket: &Path, reason: impl std::fmt::Display) -> ControlError {
    ControlError::Broken { path: socket.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_nothing_runs_it_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("control.sock");
        let error = get::<super::super::Status>(&socket, "/v1/status").await.unwrap_err();
        assert!(matches!(error, ControlError::NotRunning { .. }));
        assert!(error.to_string().contains("systemctl start sunwork-worker"), "{error}");
        // A socket that a killed worker left behind.
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let error = get::<super::super::Status>(&socket, "/v1/status").await.unwrap_err();
        assert!(matches!(error, ControlError::NotRunning { .. }), "{error}");
    }
}
