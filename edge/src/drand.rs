//! drand rounds over HTTP, in drand's own API format: `GET {url}/public/{round}`.
//!
//! Nothing that a source says is believed: a round's signature is checked against the chain's key before anybody sees it, and
//! one source that tells the truth is enough.
use std::time::Duration;

use alloy::primitives::hex;
use reqwest::StatusCode;
use serde::Deserialize;
use sunwork_protocol::drand::{PublicKey, RoundProof, SIGNATURE_BYTES, SignatureError};
use url::Url;

use crate::{
    answer::{self, BodyError},
    causes::with_causes,
};

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request may take as a whole; a round is small.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read. A round has some 300 bytes.
const MAX_ANSWER_BYTES: u64 = 4096;

/// Why one source did not give a round.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It does not have the round yet.
    #[error("{url} has no round {round} (status {status})")]
    NotPublished {
        /// The source.
        url: String,
        /// The round.
        round: u64,
        /// HTTP status.
        status: u16,
    },
    /// It refused.
    #[error("{url} refused round {round} with status {status}")]
    Refused {
        /// The source.
        url: String,
        /// The round.
        round: u64,
        /// HTTP status.
        status: u16,
    },
    /// It cannot be reached or broke off.
    #[error("cannot get round {round} from {url}: {reason}")]
    Unreachable {
        /// The source.
        url: String,
        /// The round.
        round: u64,
        /// Why not.
        reason: String,
    },
    /// What came is no round.
    #[error(
        "{url} answered a question for round {round} with {found}, expected a drand round of at most {MAX_ANSWER_BYTES} bytes; is this the URL of a drand chain?"
    )]
    Strange {
        /// The source.
        url: String,
        /// The round.
        round: u64,
        /// What came.
        found: String,
    },
    /// The signature is not the round's.
    #[error("{url} gave something wrong: {source}")]
    Signature {
        /// The source.
        url: String,
        /// What is wrong.
        source: SignatureError,
    },
}

/// No source gave a good round.
#[derive(Debug, thiserror::Error)]
#[error("no drand source gave round {round}: {}", sentences(.failures))]
pub struct DrandError {
    /// The round.
    pub round: u64,
    /// What each source did, in the order they were asked.
    pub failures: Vec<SourceError>,
}

fn sentences(failures: &[SourceError]) -> String {
    match failures {
        [] => "none is configured".to_owned(),
        failures => failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    }
}

/// A drand chain behind one or several HTTP sources.
#[derive(Clone, Debug)]
pub struct DrandClient {
    urls: Vec<Url>,
    key: PublicKey,
    http: reqwest::Client,
}

/// A round as drand's API gives it; what else it says can be computed.
#[derive(Deserialize)]
struct Shown {
    round: u64,
    signature: String,
}

impl DrandClient {
    /// A client of the chain with this key. Of a network with several chains the URL names one:
    /// `https://api.drand.sh/<chain hash>`.
    pub fn new(urls: Vec<Url>, key: PublicKey) -> Self {
        crate::tls::install();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("only a missing TLS provider makes this fail, and one was installed above");
        Self { urls, key, http }
    }

    /// The sources.
    pub fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// The round's signature from the first source that gives the right one.
    ///
    /// # Errors
    /// With what every source did.
    pub async fn round(&self, round: u64) -> Result<RoundProof, DrandError> {
        let mut failures = Vec::new();
        for url in &self.urls {
            match self.ask(url, round).await {
                Ok(proof) => return Ok(proof),
                Err(failure) => failures.push(failure),
            }
        }
        Err(DrandError { round, failures })
    }

    async fn ask(&self, base: &Url, round: u64) -> Result<RoundProof, SourceError> {
        let url = || base.to_string();
        let broken =
            |error: &reqwest::Error| SourceError::Unreachable { url: url(), round, reason: with_causes(error) };
        let strange = |found: String| SourceError::Strange { url: url(), round, found };
        let mut target = base.clone();
        match target.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(["public", &round.to_string()]);
            }
            Err(()) => {
                let reason = "the URL cannot have a path".to_owned();
                return Err(SourceError::Unreachable { url: url(), round, reason });
            }
        }
        let mut response = self.http.get(target).send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        match status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::TOO_EARLY => {
                return Err(SourceError::NotPublished { url: url(), round, status: status.as_u16() });
            }
            _ => return Err(SourceError::Refused { url: url(), round, status: status.as_u16() }),
        }
        let bytes = answer::body(&mut response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
            BodyError::Broken(error) => broken(&error),
            BodyError::TooLong(found) => strange(format!("{found} bytes or more")),
        })?;
        let shown: Shown = serde_json::from_slice(&bytes)
            .map_err(|error| strange(format!("{} bytes of something else ({error})", bytes.len())))?;
        if shown.round != round {
            return Err(strange(format!("round {}", shown.round)));
        }
        let mut signature = [0; SIGNATURE_BYTES];
        hex::decode_to_slice(&shown.signature, &mut signature).map_err(|error| {
            strange(format!("a signature of {} characters that is no hex of 48 bytes ({error})", shown.signature.len()))
        })?;
        self.key.verify(round, &signature).map_err(|source| SourceError::Signature { url: url(), source })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::{Router, extract::Path, http::StatusCode, routing::get};
    use serde_json::json;
    use sunwork_protocol::drand::Signer;

    use super::*;

    fn good(round: u64) -> String {
        let proof = Signer::development().sign(round);
        let randomness = hex::encode(proof.randomness());
        json!({ "round": round, "randomness": randomness, "signature": hex::encode(proof.signature()) }).to_string()
    }

    /// A source that answers `/chain/public/{round}` with what `answer` says.
    async fn source(answer: impl Fn(u64) -> (StatusCode, String) + Clone + Send + Sync + 'static) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/chain", listener.local_addr().unwrap()).parse().unwrap();
        let router =
            Router::new().route("/chain/public/{round}", get(async move |Path(round): Path<u64>| answer(round)));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn client(urls: Vec<Url>) -> DrandClient {
        DrandClient::new(urls, Signer::development().public_key())
    }

    #[tokio::test]
    async fn the_first_source_that_tells_the_truth_is_taken() {
        let late = source(|_| (StatusCode::NOT_FOUND, String::new())).await;
        let liar =
            source(|round| (StatusCode::OK, good(round + 1).replace(&(round + 1).to_string(), &round.to_string())));
        let liar = liar.await;
        let honest = source(|round| (StatusCode::OK, good(round))).await;
        // A base URL may end with a slash or not.
        let slash: Url = format!("{honest}/").parse().unwrap();
        let down: Url = "http://127.0.0.1:1".parse().unwrap();
        let sources = vec![down.clone(), late.clone(), liar.clone(), slash];
        let proof = client(sources).round(77).await.unwrap();
        assert_eq!(proof, Signer::development().sign(77));

        let error = client(vec![down, late, liar]).round(7777).await.unwrap_err();
        assert!(
            matches!(
                error.failures.as_slice(),
                [
                    SourceError::Unreachable { .. },
                    SourceError::NotPublished { .. },
                    SourceError::Signature { source: SignatureError::Wrong { .. }, .. }
                ]
            ),
            "{error}"
        );
        assert_eq!(
            client(vec![]).round(1).await.unwrap_err().to_string(),
            "no drand source gave round 1: none is configured"
        );
    }

    #[tokio::test]
    async fn strange_answers_are_bounded_and_named() {
        for (status, answer, expected) in [
            (200, " ".repeat(5000), "bytes or more"),
            (200, "<html>".to_owned(), "something else"),
            (200, good(4), "round 4"),
            (200, json!({ "round": 3, "signature": "xyz" }).to_string(), "no hex of 48 bytes"),
            (200, json!({ "round": 3, "signature": "00".repeat(48) }).to_string(), "wrong length, flags"),
            (302, String::new(), "status 302"),
            (500, String::new(), "status 500"),
            (425, String::new(), "has no round 3"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let shown = answer.clone();
            let url = source(move |_| (status, answer.clone())).await;
            let error = client(vec![url]).round(3).await.unwrap_err().to_string();
            assert!(error.contains(expected), "{shown}: {error}");
        }
    }
}
