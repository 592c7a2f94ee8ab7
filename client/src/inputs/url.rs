//! Fetching an input from a URL: bounded, checked by its hash, and never over an open line.

use std::path::Path;
use std::time::Duration;

use alloy::primitives::B256;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use url::Url;

use super::MAX_INPUT_BYTES;
use super::error::InputError;
use super::source::may_fetch;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a download may stand still.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 5;

/// Fetches `url` into `path`, whose bytes then hash to `sha256`.
pub(super) async fn fetch(url: &Url, sha256: B256, path: &Path) -> Result<(), InputError> {
    fetch_at_most(url, sha256, path, MAX_INPUT_BYTES).await
}

async fn fetch_at_most(url: &Url, sha256: B256, path: &Path, max: u64) -> Result<(), InputError> {
    let fail = |problem: String, temporary| InputError::Fetch { url: url.to_string(), problem, temporary };
    let broken = |error: reqwest::Error| fail(causes(&error), true);
    let scratch = |source: std::io::Error| InputError::Scratch {
        dir: path.parent().unwrap_or(path).to_owned(),
        problem: source.to_string(),
    };
    let mut response = client().map_err(broken)?.get(url.clone()).send().await.map_err(broken)?;
    let status = response.status();
    if !status.is_success() {
        return Err(fail(format!("the server answered {status}"), status.is_server_error()));
    }
    let too_large = || InputError::TooLarge { input: url.to_string(), max };
    if response.content_length().is_some_and(|length| length > max) {
        return Err(too_large());
    }
    let mut file = tokio::fs::File::create(path).await.map_err(scratch)?;
    let (mut hasher, mut size) = (Sha256::new(), 0_u64);
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        size += chunk.len() as u64;
        if size > max {
            return Err(too_large());
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await.map_err(scratch)?;
    }
    file.flush().await.map_err(scratch)?;
    let found = B256::from_slice(&hasher.finalize());
    if found == sha256 {
        return Ok(());
    }
    Err(InputError::HashMismatch { input: url.to_string(), found, expected: sha256 })
}

fn client() -> Result<reqwest::Client, reqwest::Error> {
    sunwork_edge::tls::install();
    let redirects = reqwest::redirect::Policy::custom(|attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("too many redirects");
        }
        if may_fetch(attempt.url()) { attempt.follow() } else { attempt.error("a redirect to an unencrypted address") }
    });
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(IDLE_TIMEOUT)
        .redirect(redirects)
        .user_agent(concat!("sunwork/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// reqwest's own text says only "error sending request"; the cause is in the sources.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    /// Serves one answer after the other, whatever is asked.
    async fn serve(answers: Vec<String>) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/data.csv", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                let _ = socket.read(&mut request).await.unwrap();
                socket.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn what_is_fetched_is_checked_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let hash = B256::from_slice(&Sha256::digest("sun"));
        let gone = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
        let away =
            "HTTP/1.1 302 Found\r\nlocation: http://example.com/x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let url = serve(vec![ok("sun"), ok("moon"), ok("sunsun"), gone, away.to_owned()]).await;
        fetch(&url, hash, &path).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "sun");
        let wrong = fetch(&url, hash, &path).await.unwrap_err().to_string();
        let found = B256::from_slice(&Sha256::digest("moon"));
        assert!(wrong.contains(url.as_str()) && wrong.contains(&format!("found {found}, expected {hash}")), "{wrong}");
        assert!(matches!(fetch_at_most(&url, hash, &path, 5).await, Err(InputError::TooLarge { max: 5, .. })));
        assert!(fetch(&url, hash, &path).await.unwrap_err().to_string().contains("404"));
        let redirected = fetch(&url, hash, &path).await.unwrap_err().to_string();
        assert!(redirected.contains("unencrypted"), "{redirected}");
    }
}
