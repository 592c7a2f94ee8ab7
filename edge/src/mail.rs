//! Mail: sealed messages between the parties of an agreement, carried by oracles (docs/PROTOCOL.md, Oracle HTTP API).
//!
//! Nothing that an oracle says is believed: who sent a message is recovered from its signature here. An oracle can hide
//! messages, so all are asked; and it can invent senders, so callers look whether the sender is who they expect.
use std::{
    collections::{HashMap, hash_map::Entry},
    time::Duration,
};

use alloy::{
    primitives::{Address, B256, Bytes},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use futures::future::join_all;
use reqwest::{StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use sunwork_protocol::mail::{self, Message};
use url::Url;

use crate::answer::{self, BodyError};
use crate::causes::with_causes;
use crate::class::{Classified, ErrorClass};

/// Most messages that [`MailClient::inbox`] returns.
pub const MAX_INBOX: usize = 64;

/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request may take as a whole; a message is small.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest answer that is read: a full page of the longest messages, in hex, and some air.
const MAX_ANSWER_BYTES: u64 = 4 << 20;
/// Messages on a page; what an oracle gives at most.
const PAGE: usize = 64;
/// Pages read from one oracle when messages of others have to be passed over.
const MAX_PAGES: usize = 4;
/// Longest page mark that is sent back.
const MAX_CURSOR_CHARS: usize = 200;

/// Why mail could not be sent or read.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No oracle is configured.
    #[error("no oracle URL is given, so mail can be neither sent nor read; set one")]
    NoOracle,
    /// The message itself is wrong.
    #[error("the message about {agreement} cannot be sent: {source}")]
    Message {
        /// The agreement.
        agreement: Address,
        /// What is wrong.
        source: mail::MailError,
    },
    /// The key does not sign.
    #[error("signing the message about {agreement}: {reason}")]
    Sign {
        /// The agreement.
        agreement: Address,
        /// Why not.
        reason: String,
    },
    /// The oracle answered with a refusal.
    #[error("{url} refused mail about {agreement} with status {status}: {message}")]
    Refused {
        /// The oracle.
        url: String,
        /// The agreement.
        agreement: Address,
        /// HTTP status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// The oracle cannot be reached or broke off.
    #[error("cannot send mail about {agreement} to, or read it from, {url}: {reason}")]
    Unreachable {
        /// The oracle.
        url: String,
        /// The agreement.
        agreement: Address,
        /// Why not.
        reason: String,
    },
    /// The oracle's answer is not one of the API.
    #[error(
        "{url} answered a question for mail about {agreement} with {found}, expected a page of messages of at most {MAX_ANSWER_BYTES} bytes; is this the URL of an oracle?"
    )]
    Answer {
        /// The oracle.
        url: String,
        /// The agreement.
        agreement: Address,
        /// What came.
        found: String,
    },
}

impl MailError {
    /// True when trying again later may help. An agreement or a party that the oracle does not know yet (404, 403) may be
    /// in the next block that it reads.
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Answer { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(*status, 403 | 404 | 408 | 429),
            Self::NoOracle | Self::Message { .. } | Self::Sign { .. } => false,
        }
    }
}

impl Classified for MailError {
    fn class(&self) -> ErrorClass {
        if self.is_temporary() { ErrorClass::Retry } else { ErrorClass::Stop }
    }
}

/// Sends and reads mail at one or several oracles.
#[derive(Clone, Debug)]
pub struct MailClient {
    urls: Vec<Url>,
    chain_id: u64,
    http: reqwest::Client,
}

/// A page as an oracle gives it. Messages are read one by one, so that a bad one does not spoil the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    messages: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// The part of a shown message that is signed, and its signature. What else the oracle says of it is passed over.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    agreement: Address,
    recipient: B256,
    topic: String,
    sent_at_ms: u64,
    body: Bytes,
    signature: Bytes,
}

impl MailClient {
    /// A client of these oracles, for agreements on this chain.
    pub fn new(urls: Vec<Url>, chain_id: u64) -> Self {
        crate::tls::install();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("only a missing TLS provider makes this fail, and one was installed above");
        Self { urls, chain_id, http }
    }

    /// The oracles.
    pub fn urls(&self) -> &[Url] {
        &self.urls
    }

    /// Signs a message and sends it to all oracles; one that takes it is enough. Idempotent: an oracle keeps the newest
    /// message of a sender by [`Message::sent_at_ms`], and takes the same one again without doing anything.
    ///
    /// # Errors
    /// When the message is out of bounds, or no oracle takes it (the error of the last one).
    pub async fn send(&self, signer: &PrivateKeySigner, message: Message) -> Result<(), MailError> {
        let agreement = message.agreement;
        message.check().map_err(|source| MailError::Message { agreement, source })?;
        let signature = signer
            .sign_hash_sync(&message.digest(self.chain_id))
            .map_err(|error| MailError::Sign { agreement, reason: error.to_string() })?;
        let message = message.signed(&signature);
        let mut last = MailError::NoOracle;
        let mut taken = false;
        for result in join_all(self.urls.iter().map(|url| self.post(url, &message))).await {
            match result {
                Ok(()) => taken = true,
                Err(error) => last = error,
            }
        }
        if taken { Ok(()) } else { Err(last) }
    }

    /// Messages to `recipient` about `agreement` with `topic` from all oracles, with their senders: the newest of each
    /// sender, newest first, at most [`MAX_INBOX`]. Signatures are checked; what is not a message is passed over.
    ///
    /// A sender is whoever signed. Use [`MailClient::inbox_from`] where the sender is known: an oracle can invent others.
    ///
    /// # Errors
    /// When no oracle answered (the error of the last one).
    pub async fn inbox(
        &self,
        recipient: B256,
        agreement: Address,
        topic: &str,
    ) -> Result<Vec<(Address, Message)>, MailError> {
        self.collect(recipient, agreement, topic, |_| true).await
    }

    /// [`MailClient::inbox`] with messages of these senders only; no one else's can push them out.
    ///
    /// # Errors
    /// When no oracle answered (the error of the last one).
    pub async fn inbox_from(
        &self,
        senders: &[Address],
        recipient: B256,
        agreement: Address,
        topic: &str,
    ) -> Result<Vec<(Address, Message)>, MailError> {
        self.collect(recipient, agreement, topic, |sender| senders.contains(&sender)).await
    }

    async fn collect(
        &self,
        recipient: B256,
        agreement: Address,
        topic: &str,
        wanted: impl Fn(Address) -> bool,
    ) -> Result<Vec<(Address, Message)>, MailError> {
        let asked = self.urls.iter().map(|url| self.ask(url, recipient, agreement, topic, &wanted));
        let mut lists = Vec::new();
        let mut last = MailError::NoOracle;
        for result in join_all(asked).await {
            match result {
                Ok(list) => lists.push(list.into_iter()),
                Err(error) => last = error,
            }
        }
        if lists.is_empty() {
            return Err(last);
        }
        Ok(merge(lists))
    }

    async fn post(&self, url: &Url, message: &Message) -> Result<(), MailError> {
        let agreement = message.agreement;
        let response = self.http.post(address(url)).json(message).send().await;
        let response = response.map_err(|error| broken(url, agreement, &error))?;
        if response.status().is_success() { Ok(()) } else { Err(refused(url, agreement, response).await) }
    }

    /// What one oracle has, in its order. What it fails to give after the first page is left out.
    async fn ask(
        &self,
        url: &Url,
        recipient: B256,
        agreement: Address,
        topic: &str,
        wanted: &impl Fn(Address) -> bool,
    ) -> Result<Vec<(Address, Message)>, MailError> {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        for number in 0..MAX_PAGES {
            let page = match self.page(url, recipient, agreement, topic, cursor.as_deref()).await {
                Ok(page) => page,
                Err(_) if number > 0 => break,
                Err(error) => return Err(error),
            };
            for value in page.messages.into_iter().take(PAGE) {
                let Some(message) = read(value) else { continue };
                let fits = message.recipient == recipient && message.agreement == agreement && message.topic == topic;
                match message.sender(self.chain_id) {
                    Ok(sender) if fits && wanted(sender) => found.push((sender, message)),
                    _ => {}
                }
            }
            cursor = page.next_cursor.filter(|cursor| cursor.len() <= MAX_CURSOR_CHARS);
            if cursor.is_none() || found.len() >= MAX_INBOX {
                break;
            }
        }
        Ok(found)
    }

    async fn page(
        &self,
        url: &Url,
        recipient: B256,
        agreement: Address,
        topic: &str,
        cursor: Option<&str>,
    ) -> Result<Page, MailError> {
        let mut question = address(url);
        question
            .query_pairs_mut()
            .append_pair("recipient", &recipient.to_string())
            .append_pair("agreement", &agreement.to_string())
            .append_pair("topic", topic)
            .append_pair("limit", &PAGE.to_string());
        if let Some(cursor) = cursor {
            question.query_pairs_mut().append_pair("cursor", cursor);
        }
        let response = self.http.get(question).header(header::ACCEPT, "application/json").send().await;
        let mut response = response.map_err(|error| broken(url, agreement, &error))?;
        if response.status() != StatusCode::OK {
            return Err(refused(url, agreement, response).await);
        }
        let strange = |found: String| MailError::Answer { url: url.to_string(), agreement, found };
        let bytes = answer::body(&mut response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
            BodyError::Broken(error) => broken(url, agreement, &error),
            BodyError::TooLong(found) => strange(format!("{found} bytes or more")),
        })?;
        serde_json::from_slice(&bytes)
            .map_err(|error| strange(format!("{} bytes of something else ({error})", bytes.len())))
    }
}

fn read(value: Value) -> Option<Message> {
    let Shown { agreement, recipient, topic, sent_at_ms, body, signature } = serde_json::from_value(value).ok()?;
    Some(Message { agreement, recipient, topic, sent_at_ms, body, signature })
}

/// The newest message of each sender, newest first. The lists take turns, so that no oracle can fill all places.
fn merge(mut lists: Vec<std::vec::IntoIter<(Address, Message)>>) -> Vec<(Address, Message)> {
    let mut newest: HashMap<Address, Message> = HashMap::new();
    while lists.iter().any(|list| list.len() > 0) {
        for list in &mut lists {
            let Some((sender, message)) = list.next() else { continue };
            // Of two with the same time the same one wins, whoever answers first.
            let rank = |message: &Message| (message.sent_at_ms, message.signature.clone());
            let is_full = newest.len() >= MAX_INBOX;
            match newest.entry(sender) {
                Entry::Occupied(mut known) if rank(known.get()) < rank(&message) => {
                    known.insert(message);
                }
                Entry::Vacant(place) if !is_full => {
                    place.insert(message);
                }
                Entry::Occupied(_) | Entry::Vacant(_) => {}
            }
        }
    }
    let mut found: Vec<_> = newest.into_iter().collect();
    found.sort_by_key(|(sender, message)| (std::cmp::Reverse(message.sent_at_ms), *sender));
    found
}

fn address(url: &Url) -> Url {
    answer::below(url, "v1/mail")
}

fn broken(url: &Url, agreement: Address, error: &reqwest::Error) -> MailError {
    let reason = with_causes(error);
    MailError::Unreachable { url: url.to_string(), agreement, reason }
}

async fn refused(url: &Url, agreement: Address, mut response: reqwest::Response) -> MailError {
    let status = response.status().as_u16();
    let message = answer::refusal(&mut response).await;
    MailError::Refused { url: url.to_string(), agreement, status, message }
}
