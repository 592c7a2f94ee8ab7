//! Mail over HTTP: letters are small and must come quickly, pages are bounded.
use std::sync::Arc;

use alloy::primitives::{B256, hex};
use axum::{
    Json,
    body::{Body, Bytes},
    extract::{RawQuery, State},
    http::StatusCode,
    response::IntoResponse,
};
use futures::{Stream, StreamExt as _};
use serde::Serialize;
use sunwork_protocol::mail::{MAX_BODY_BYTES, MAX_TOPIC_BYTES, Message};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout},
};

use super::mailbox::{Mailbox, MailboxError, Taken};
use crate::{
    api::{
        STALE_AFTER,
        error::ApiError,
        params::{ADDRESS, Params},
    },
    blobs::http::linger,
    follow::Progress,
    store::{MailFilter, StoredMail},
};

/// Largest letter in JSON: the longest body in hex, and the other fields with air.
const MAX_LETTER_BYTES: usize = 2 * MAX_BODY_BYTES + 2048;
/// Most messages of a page.
pub const MAX_PAGE: u32 = 64;
/// Longest part of a parser's words that is sent back.
const MAX_REASON_CHARS: usize = 200;

/// The mail part of the API.
#[derive(Clone, Debug)]
pub struct MailService {
    mailbox: Mailbox,
    progress: watch::Receiver<Progress>,
    letters: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

/// A page of messages.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MailPage {
    messages: Vec<StoredMail>,
    /// Where the next page begins; null after the last.
    next_cursor: Option<String>,
}

impl MailService {
    /// Serves a mailbox; `progress` says whether the index, which knows the parties, is up to date.
    pub fn new(mailbox: Mailbox, progress: watch::Receiver<Progress>) -> Self {
        let parallel = mailbox.limits().parallel;
        let (letters, questions) = (Arc::new(Semaphore::new(parallel)), Arc::new(Semaphore::new(parallel)));
        Self { mailbox, progress, letters, questions }
    }

    /// The mailbox behind it.
    pub const fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    async fn permit(&self, kind: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
        match timeout(self.mailbox.limits().wait, kind.clone().acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            // The semaphores are never closed.
            Ok(Err(_)) | Err(_) => Err(ApiError::Busy),
        }
    }

    async fn take(
        &self,
        body: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin),
    ) -> Result<Taken, ApiError> {
        let _permit = self.permit(&self.letters).await?;
        let message = self.read(body).await?;
        match self.mailbox.put(&message).await {
            // An index that lags may not know the newest parties: the answer is not no, but not yet.
            Err(MailboxError::NotAParty { .. }) if !self.is_index_fresh() => Err(ApiError::IndexBehind),
            result => Ok(result?),
        }
    }

    async fn read(
        &self,
        body: &mut (impl Stream<Item = Result<Bytes, axum::Error>> + Unpin),
    ) -> Result<Message, ApiError> {
        let mut bytes = Vec::new();
        let end = Instant::now() + self.mailbox.limits().body_time;
        while let Some(chunk) = tokio::time::timeout_at(end, body.next()).await.map_err(|_| ApiError::TooSlow)? {
            let received = bytes.len() as u64;
            let chunk = chunk.map_err(|error| ApiError::Truncated { received, reason: error.to_string() })?;
            if bytes.len() + chunk.len() > MAX_LETTER_BYTES {
                return Err(ApiError::LetterTooLarge { found: bytes.len() + chunk.len(), max: MAX_LETTER_BYTES });
            }
            bytes.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            let reason = error.to_string().chars().take(MAX_REASON_CHARS).collect();
            ApiError::BadLetter { found: bytes.len(), reason }
        })
    }

    fn is_index_fresh(&self) -> bool {
        let progress = self.progress.borrow();
        progress.lag() == 0 && progress.good_at.is_some_and(|good_at| good_at.elapsed() < STALE_AFTER)
    }
}

/// `POST /v1/mail`
pub async fn post(State(service): State<MailService>, body: Body) -> Result<impl IntoResponse, ApiError> {
    let mut body = body.into_data_stream();
    match service.take(&mut body).await {
        Ok(Taken::Stored) => Ok(StatusCode::CREATED),
        Ok(Taken::Had) => Ok(StatusCode::OK),
        Err(error) => {
            service.mailbox.count_refusal();
            tracing::debug!(%error, "a message was refused");
            linger(&mut body).await;
            Err(error)
        }
    }
}

/// `GET /v1/mail`
pub async fn list(State(service): State<MailService>, RawQuery(query): RawQuery) -> Result<Json<MailPage>, ApiError> {
    let params = Params::parse(query.as_deref(), &["recipient", "agreement", "topic", "limit", "cursor"])?;
    let bad = |name, found: &str, expected: String| ApiError::BadValue { name, found: shortened(found), expected };
    let recipient = params.text("recipient").unwrap_or_default();
    let Some(recipient_key) = key(recipient) else {
        return Err(bad("recipient", recipient, "an X25519 public key: 0x and 64 hex digits".to_owned()));
    };
    let topic = params.text("topic");
    if let Some(topic) = topic.filter(|topic| !is_topic(topic)) {
        return Err(bad("topic", topic, format!("1 to {MAX_TOPIC_BYTES} lower-case letters, digits or dashes")));
    }
    let cursor = params.text("cursor").map(|text| {
        let known = text.parse::<u64>().ok().filter(|id| i64::try_from(*id).is_ok());
        known.ok_or_else(|| bad("cursor", text, "the nextCursor of the page before".to_owned()))
    });
    let (cursor, limit) = (cursor.transpose()?, params.limit_upto(MAX_PAGE)?);
    let filter = MailFilter {
        recipient: recipient_key,
        agreement: params.value("agreement", ADDRESS)?,
        topic: topic.map(str::to_owned),
        sender: None,
    };
    let _permit = service.permit(&service.questions).await?;
    let messages = service.mailbox.list(&filter, limit, cursor).await?;
    // A full page may have a successor; a shorter one has none.
    let next_cursor = messages.last().filter(|_| messages.len() >= limit as usize).map(|last| last.id.to_string());
    Ok(Json(MailPage { messages, next_cursor }))
}

fn key(text: &str) -> Option<B256> {
    let bytes: [u8; 32] = hex::decode(text.strip_prefix("0x")?).ok()?.try_into().ok()?;
    Some(bytes.into())
}

fn is_topic(text: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    text.len() <= MAX_TOPIC_BYTES && text.bytes().all(plain)
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_REASON_CHARS).collect()
}
