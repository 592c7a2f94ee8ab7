//! One node: its connection, and whether it has shown that it is of our chain.
use std::time::{Duration, Instant};

use alloy::{
    rpc::{
        client::{BuiltInConnectionString, ConnectionConfig},
        json_rpc::{Id, Request, RequestPacket, ResponsePacket},
    },
    transports::{BoxTransport, TransportError, TransportErrorKind, TransportResult},
};
use tokio::sync::Mutex;
use tower_service::Service;
use url::Url;

use super::{RpcOptions, shape};
use crate::answer::{self, BodyError};
use crate::causes::with_causes;

/// How long a node of another chain is left alone before it is asked again.
const WRONG_CHAIN_PAUSE: Duration = Duration::from_secs(10);

/// Why a node gave no usable answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is of another chain.
    WrongChain { found: u64 },
    /// It does not answer, or not sanely.
    Transport(TransportError),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::WrongChain { found } => write!(f, "it is a node of chain {found}"),
            Self::Transport(error) => {
                // Garbage may be long; its beginning tells enough.
                let text: String = with_causes(error).chars().take(200).collect();
                f.write_str(&text)
            }
        }
    }
}

enum Connection {
    Http(reqwest::Client),
    Socket(BoxTransport),
}

enum Trust {
    /// Must name its chain first.
    Unknown,
    Confirmed,
    WrongChain {
        found: u64,
        since: Instant,
    },
}

struct State {
    connection: Option<Connection>,
    trust: Trust,
}

/// One node. Requests run side by side; the lock is held only while the connection is made and checked.
pub(super) struct Endpoint {
    url: Url,
    /// The URL without path, query and password, which may hold keys.
    pub(super) name: String,
    state: Mutex<State>,
}

/// Scheme, host and port only.
pub(super) fn redact(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or("?"))
}

impl Endpoint {
    pub(super) fn new(url: &Url) -> Self {
        let state = Mutex::new(State { connection: None, trust: Trust::Unknown });
        Self { url: url.clone(), name: redact(url), state }
    }

    /// Sends a request to this node, after making sure that it is of the expected chain.
    pub(super) async fn request(
        &self,
        packet: RequestPacket,
        expected_chain_id: u64,
        options: &RpcOptions,
    ) -> Result<ResponsePacket, Failure> {
        let channel = tokio::time::timeout(options.request_timeout, self.channel(expected_chain_id, options))
            .await
            .unwrap_or_else(|_| Err(timed_out("connecting", options)))?;
        let answer = self.exchange(&channel, packet, options).await;
        if answer.is_err() {
            self.forget().await;
        }
        answer.map_err(Failure::Transport)
    }

    /// A connection that is confirmed to be of the expected chain.
    async fn channel(&self, expected: u64, options: &RpcOptions) -> Result<Channel, Failure> {
        let mut state = self.state.lock().await;
        if let Trust::WrongChain { found, since } = state.trust
            && since.elapsed() < WRONG_CHAIN_PAUSE
        {
            return Err(Failure::WrongChain { found });
        }
        let channel = match &state.connection {
            Some(connection) => connection.channel(),
            None => {
                let connection = self.open().await.map_err(Failure::Transport)?;
                let channel = connection.channel();
                state.connection = Some(connection);
                channel
            }
        };
        if matches!(state.trust, Trust::Confirmed) {
            return Ok(channel);
        }
        let answer = self.chain_id(&channel, options).await;
        match answer {
            Ok(found) if found == expected => {
                state.trust = Trust::Confirmed;
                Ok(channel)
            }
            Ok(found) => {
                state.trust = Trust::WrongChain { found, since: Instant::now() };
                Err(Failure::WrongChain { found })
            }
            Err(error) => {
                state.connection = None;
                Err(Failure::Transport(error))
            }
        }
    }

    async fn open(&self) -> TransportResult<Connection> {
        if matches!(self.url.scheme(), "http" | "https") {
            let client = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(TransportErrorKind::custom)?;
            return Ok(Connection::Http(client));
        }
        // Reconnecting is this module's business: a lost socket must surface at once, so that the next node is asked.
        let config = ConnectionConfig::new().with_max_retries(0).with_retry_interval(Duration::from_millis(100));
        BuiltInConnectionString::connect_with(self.url.as_str(), config).await.map(Connection::Socket)
    }

    async fn chain_id(&self, channel: &Channel, options: &RpcOptions) -> TransportResult<u64> {
        let request = Request::new("eth_chainId", Id::Number(0), ()).serialize().map_err(TransportError::ser_err)?;
        let answer = self.exchange(channel, RequestPacket::Single(request), options).await?;
        let text = match answer.first_payload() {
            Some(payload) => payload.as_success().map(|raw| raw.get().trim_matches('"').to_owned()),
            None => None,
        };
        text.as_deref()
            .and_then(|text| text.strip_prefix("0x"))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .ok_or_else(|| TransportErrorKind::custom_str("it answered eth_chainId with something else than a number"))
    }

    /// One request and its answer, bounded in time and size and checked for its shape.
    async fn exchange(
        &self,
        channel: &Channel,
        packet: RequestPacket,
        options: &RpcOptions,
    ) -> TransportResult<ResponsePacket> {
        let asked = packet.clone();
        let answer = tokio::time::timeout(options.request_timeout, async {
            match channel.clone() {
                Channel::Http(client) => post(&client, &self.url, &packet, options.max_answer_bytes).await,
                Channel::Socket(mut transport) => transport.call(packet).await,
            }
        })
        .await
        .unwrap_or_else(|_| Err(timeout_error("answering", options)))?;
        shape::check(&asked, &answer).map_err(|reason| TransportErrorKind::custom_str(&reason))?;
        Ok(answer)
    }

    /// After a failure nothing is taken for granted: another node may answer at this address now.
    async fn forget(&self) {
        let mut state = self.state.lock().await;
        state.trust = Trust::Unknown;
        if matches!(state.connection, Some(Connection::Socket(_))) {
            state.connection = None;
        }
    }
}

#[derive(Clone)]
enum Channel {
    Http(reqwest::Client),
    Socket(BoxTransport),
}

impl Connection {
    fn channel(&self) -> Channel {
        match self {
            Self::Http(client) => Channel::Http(client.clone()),
            Self::Socket(transport) => Channel::Socket(transport.clone()),
        }
    }
}

fn timed_out(doing: &str, options: &RpcOptions) -> Failure {
    Failure::Transport(timeout_error(doing, options))
}

fn timeout_error(doing: &str, options: &RpcOptions) -> TransportError {
    TransportErrorKind::custom_str(&format!("{doing} took longer than {} ms", options.request_timeout.as_millis()))
}

/// alloy's own HTTP transport reads answers of any size; this one does not.
async fn post(
    client: &reqwest::Client,
    url: &Url,
    packet: &RequestPacket,
    max_bytes: usize,
) -> TransportResult<ResponsePacket> {
    // An error's text names the URL, whose path may hold an access key.
    let failed = |error: reqwest::Error| TransportErrorKind::custom(error.without_url());
    let mut response = client.post(url.clone()).json(packet).send().await.map_err(failed)?;
    let status = response.status();
    let body = answer::body(&mut response, max_bytes as u64).await.map_err(|error| match error {
        BodyError::Broken(error) => failed(error),
        BodyError::TooLong(_) => {
            TransportErrorKind::custom_str(&format!("its answer is larger than {max_bytes} bytes"))
        }
    })?;
    match serde_json::from_slice::<ResponsePacket>(&body) {
        Ok(answer) if status.is_success() || answer.is_error() => Ok(answer),
        Ok(_) => Err(TransportErrorKind::http_error(status.as_u16(), String::new())),
        Err(_) if !status.is_success() => {
            let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
            Err(TransportErrorKind::http_error(status.as_u16(), text))
        }
        Err(error) => Err(TransportErrorKind::custom_str(&format!("its answer is not JSON-RPC: {error}"))),
    }
}
