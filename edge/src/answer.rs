//! Answers over HTTP from servers that nobody vouches for: bounded while they are read, and made harmless before they are shown.
use reqwest::Response;
use url::Url;

/// Longest text of a refusal that is passed on.
const MAX_REFUSAL_CHARS: usize = 300;

/// Why an answer was not read to its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The connection broke off.
    Broken(reqwest::Error),
    /// It has this many bytes or more, which is more than allowed.
    TooLong(u64),
}

/// The body, of at most `max_bytes`; what comes after is not read.
pub(crate) async fn body(response: &mut Response, max_bytes: u64) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(BodyError::Broken)? {
        let found = (bytes.len() + piece.len()) as u64;
        if found > max_bytes {
            return Err(BodyError::TooLong(found));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// What an oracle says to a refusal: the message of its error document, or the text itself. One piece is read, which is enough for
/// it and bounds what a bad oracle can make us read; nothing in it steers a terminal or fakes a line of a log.
pub(crate) async fn refusal(response: &mut Response) -> String {
    let body = response.chunk().await.ok().flatten().unwrap_or_default();
    let text = serde_json::from_slice::<serde_json::Value>(&body)
        .ok()
        .and_then(|json| json.pointer("/error/message").and_then(|text| text.as_str()).map(str::to_owned))
        .unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
    text.chars().take(MAX_REFUSAL_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `path` below the server's URL, which may have a path of its own.
pub(crate) fn below(server: &Url, path: &str) -> Url {
    let mut url = server.clone();
    url.set_path(&format!("{}/{path}", server.path().trim_end_matches('/')));
    url
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn answer(body: &'static str) -> Response {
        axum::http::Response::builder().status(403).body(body).unwrap().into()
    }

    #[tokio::test]
    async fn an_oracle_cannot_steer_the_terminal_by_its_refusal() {
        for body in
            ["no\u{1b}[2J\u{9b}31m\nerror: fake", r#"{"error":{"message":"no\u001b[2J\u009b31m\nerror: fake"}}"#]
        {
            assert_eq!(refusal(&mut answer(body)).await, "no [2J 31m error: fake");
        }
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_and_not_beyond() {
        assert_eq!(body(&mut answer("12345"), 5).await.unwrap(), b"12345");
        assert!(matches!(body(&mut answer("12345"), 4).await, Err(BodyError::TooLong(5))));
    }

    #[test]
    fn the_path_of_a_server_is_kept() {
        for (server, expected) in [("http://a", "http://a/v1/x"), ("http://a/b/", "http://a/b/v1/x")] {
            assert_eq!(below(&server.parse().unwrap(), "v1/x").as_str(), expected);
        }
    }
}
