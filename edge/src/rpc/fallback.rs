//! The transport that alloy sees: one request, several nodes.
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task,
    time::Instant,
};

use alloy::{
    rpc::json_rpc::{Id, Request, RequestPacket, ResponsePacket},
    transports::{TransportError, TransportErrorKind, TransportFut, TransportResult},
};
use tower_service::Service;
use url::Url;

use super::{
    RpcError, RpcOptions,
    endpoint::{Endpoint, Failure},
    shape,
};

/// All nodes, and which of them is asked first.
pub(super) struct Fallback {
    endpoints: Vec<Endpoint>,
    preferred: AtomicUsize,
    pub(super) expected_chain_id: u64,
    options: RpcOptions,
    /// A std mutex: held for a few instructions, never across an await.
    head: Mutex<Head>,
}

/// The highest block seen, and when it was new.
struct Head {
    number: u64,
    since: Instant,
}

impl Fallback {
    pub(super) fn new(urls: &[Url], expected_chain_id: u64, options: RpcOptions) -> Self {
        Self {
            endpoints: urls.iter().map(Endpoint::new).collect(),
            preferred: AtomicUsize::new(0),
            expected_chain_id,
            options,
            head: Mutex::new(Head { number: 0, since: Instant::now() }),
        }
    }

    /// Asks every node once; one good one is enough.
    pub(super) async fn probe(&self) -> Result<(), RpcError> {
        let mut reasons = Vec::new();
        let mut wrong = None;
        let mut good = None;
        for (index, endpoint) in self.endpoints.iter().enumerate() {
            match self.block_number(endpoint).await {
                Ok(_) => good = good.or(Some(index)),
                Err(Failure::WrongChain { found }) => {
                    tracing::warn!(url = %endpoint.name, found, expected = self.expected_chain_id, "this RPC node is of another chain and is not used");
                    wrong = wrong.or(Some((endpoint.name.clone(), found)));
                }
                Err(failure) => reasons.push(format!("{}: {failure}", endpoint.name)),
            }
        }
        if let Some(index) = good {
            for reason in &reasons {
                tracing::warn!(reason, "an RPC node does not answer; others do");
            }
            self.preferred.store(index, Ordering::Relaxed);
            return Ok(());
        }
        match wrong {
            Some((url, found)) => Err(RpcError::WrongChain { url, found, expected: self.expected_chain_id }),
            None => Err(RpcError::Unreachable { reasons: reasons.join("; ") }),
        }
    }

    async fn request(&self, packet: RequestPacket) -> TransportResult<ResponsePacket> {
        let mut pause = self.options.backoff;
        let mut reasons = Vec::new();
        for round in 0..self.options.rounds.max(1) {
            if round > 0 {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(self.options.backoff_max);
            }
            reasons.clear();
            let first = self.preferred.load(Ordering::Relaxed);
            let mut all_wrong = true;
            for step in 0..self.endpoints.len() {
                let index = (first + step) % self.endpoints.len();
                let endpoint = &self.endpoints[index];
                let answer = endpoint.request(packet.clone(), self.expected_chain_id, &self.options).await;
                let failure = match answer {
                    Ok(answer) => {
                        let answer = Ok(answer);
                        let last = round + 1 >= self.options.rounds && step + 1 == self.endpoints.len();
                        if !shape::asks_for_retry(&answer) || last {
                            self.prefer(index);
                            return answer;
                        }
                        all_wrong = false;
                        reasons.push(format!("{}: it asks to retry later", endpoint.name));
                        continue;
                    }
                    Err(failure) => failure,
                };
                all_wrong &= matches!(failure, Failure::WrongChain { .. });
                tracing::debug!(url = %endpoint.name, %failure, "an RPC node failed");
                reasons.push(format!("{}: {failure}", endpoint.name));
            }
            if all_wrong {
                let text = format!(
                    "all RPC nodes are of another chain than {}: {}",
                    self.expected_chain_id,
                    reasons.join("; ")
                );
                return Err(TransportErrorKind::non_retryable_str(&text));
            }
        }
        Err(TransportErrorKind::custom_str(&format!("no RPC node gave an answer: {}", reasons.join("; "))))
    }

    fn prefer(&self, index: usize) {
        if self.preferred.swap(index, Ordering::Relaxed) != index {
            tracing::info!(url = %self.endpoints[index].name, "using another RPC node");
        }
    }

    async fn block_number(&self, endpoint: &Endpoint) -> Result<u64, Failure> {
        let request = Request::new("eth_blockNumber", Id::Number(0), ())
            .serialize()
            .map_err(|error| Failure::Transport(TransportError::ser_err(error)))?;
        let packet = RequestPacket::Single(request);
        let answer = endpoint.request(packet, self.expected_chain_id, &self.options).await?;
        let digits = answer
            .first_payload()
            .and_then(|payload| payload.as_success())
            .map(|raw| raw.get().trim_matches('"').trim_start_matches("0x").to_owned())
            .unwrap_or_default();
        u64::from_str_radix(&digits, 16)
            .map_err(|_| Failure::Transport(TransportErrorKind::custom_str("it gave no block number")))
    }

    /// Notes a head; true when it went back or has stood still for long while there are other nodes to ask.
    pub(super) fn head_is_suspect(&self, number: u64) -> bool {
        let mut head = self.head.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if number > head.number {
            *head = Head { number, since: Instant::now() };
            return false;
        }
        let behind = number < head.number || head.since.elapsed() > self.options.stall;
        behind && self.endpoints.len() > 1
    }

    /// Takes a head for the truth after all nodes were asked: a chain that really went back is believed.
    pub(super) fn note_head(&self, number: u64) {
        let mut head = self.head.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *head = Head { number, since: Instant::now() };
    }

    /// Asks all nodes for their block and prefers the highest.
    pub(super) async fn prefer_the_one_ahead(&self, at_least: u64) {
        let numbers = self.endpoints.iter().map(|endpoint| self.block_number(endpoint));
        let best = futures::future::join_all(numbers)
            .await
            .into_iter()
            .enumerate()
            .filter_map(|(index, number)| number.ok().map(|number| (number, index)))
            .max_by_key(|(number, index)| (*number, std::cmp::Reverse(*index)));
        if let Some((number, index)) = best
            && number > at_least
        {
            tracing::warn!(behind = at_least, ahead = number, "the RPC node in use lags behind");
            self.prefer(index);
        }
    }
}

/// What alloy is given: a tower service over [`Fallback`].
#[derive(Clone)]
pub(super) struct Transport(pub(super) Arc<Fallback>);

impl Service<RequestPacket> for Transport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Self::Error>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let fallback = self.0.clone();
        Box::pin(async move { fallback.request(packet).await })
    }
}
