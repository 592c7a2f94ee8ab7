//! What a caller sees when something is wrong: `{"error":{"code":"…","message":"…"}}`.
use alloy::primitives::B256;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use sunwork_protocol::mail::MailError;

use crate::{
    blobs::{BlobError, BlobName, BlobNameError},
    json::Account,
    mail::MailboxError,
    store::{CursorError, StoreError},
};

/// An answer that is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No such path.
    #[error(
        "there is nothing under this path; expected /v1/health, /v1/deployment, /v1/agreements, /v1/workers, /v1/blobs/{{sha256}}, /v1/mail, /v1/meters, /v1/findings, /v1/certificates, /v1/records, /v1/key-agent or /metrics"
    )]
    NoSuchPath,
    /// Known path, wrong method.
    #[error(
        "this path does not take this method; most take GET, blobs also HEAD and PUT, mail also POST, records only POST"
    )]
    MethodNotAllowed,
    /// A query parameter that does not exist, or is given twice.
    #[error("query parameter {found:?} is {why}; expected any of: {known}")]
    UnknownParameter {
        /// Its name.
        found: String,
        /// Unknown or repeated.
        why: &'static str,
        /// Those that exist.
        known: String,
    },
    /// A value that cannot be used.
    #[error("{name}: found {found:?}, expected {expected}")]
    BadValue {
        /// Of which parameter.
        name: &'static str,
        /// What was given.
        found: String,
        /// What can be used.
        expected: String,
    },
    /// A cursor of somebody else.
    #[error(transparent)]
    BadCursor(#[from] CursorError),
    /// Not the name of a blob.
    #[error(transparent)]
    BadName(#[from] BlobNameError),
    /// A blob that is not here.
    #[error("no blob {0} here")]
    NoSuchBlob(BlobName),
    /// An agreement that is not in the index.
    #[error("no agreement {0} is known here; it may be of another deployment, or its block is not indexed yet")]
    NoSuchAgreement(Account),
    /// A meter that is not in the index.
    #[error("no meter of worker {0} is known here; it may have none, or its block is not indexed yet")]
    NoSuchMeter(Account),
    /// A finding that is not in the index.
    #[error("no finding {0} is known here; the chain may have been reorganised since it was")]
    NoSuchFinding(B256),
    /// The deployment attests no energy.
    #[error("this deployment has no energy ledger")]
    NoEnergyLedger,
    /// A record that is none, or not of this ledger.
    #[error("the record is not taken: {0}")]
    BadRecord(String),
    /// A longer body than any record has.
    #[error("the body has more than {max} bytes; expected JSON with previous and record (docs/PLAUSIBILITY.md)")]
    RecordTooLarge {
        /// What may come, bytes.
        max: usize,
    },
    /// No byte of the range exists.
    #[error("the range lies outside of the blob, which has {size} bytes")]
    RangeNotSatisfiable {
        /// Of the blob, bytes.
        size: u64,
    },
    /// The upload ended before its end.
    #[error("the upload broke off after {received} bytes: {reason}; send it again")]
    Truncated {
        /// Bytes that came.
        received: u64,
        /// What happened.
        reason: String,
    },
    /// The upload is slower than allowed.
    #[error("the upload is too slow; send it again over a better connection")]
    TooSlow,
    /// All transfer slots are taken.
    #[error("too many transfers are under way; try again in a few seconds")]
    Busy,
    /// The blob store refuses.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The index cannot be read.
    #[error("the index cannot be read now; try again later")]
    Store(#[from] StoreError),
    /// Mail that the mailbox does not take.
    #[error(transparent)]
    Mail(#[from] MailboxError),
    /// Not a message at all.
    #[error(
        "the body, {found} bytes, is no message: {reason}; expected JSON with agreement, recipient, topic, sentAtMs, body and \
         signature (docs/PROTOCOL.md)"
    )]
    BadLetter {
        /// Its length.
        found: usize,
        /// The parser's words.
        reason: String,
    },
    /// A longer body than any message has.
    #[error("the body has {found} bytes or more, a message in JSON has at most {max}")]
    LetterTooLarge {
        /// What came, bytes.
        found: usize,
        /// What may come.
        max: usize,
    },
    /// The index does not know the newest parties.
    #[error(
        "the index of this oracle is behind the chain and may not know all parties yet; try again in a few seconds"
    )]
    IndexBehind,
    /// No key agent here.
    #[error("this oracle posts no session keys: {0}")]
    NoKeyAgent(String),
    /// Our own fault.
    #[error("internal error; the log of the oracle has the details")]
    Internal(String),
}

impl ApiError {
    /// HTTP status and the code in the body.
    const fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no_such_path"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::UnknownParameter { .. } => (StatusCode::BAD_REQUEST, "unknown_parameter"),
            Self::BadValue { .. } => (StatusCode::BAD_REQUEST, "bad_value"),
            Self::BadCursor(_) => (StatusCode::BAD_REQUEST, "bad_cursor"),
            Self::BadName(_) => (StatusCode::BAD_REQUEST, "bad_name"),
            Self::NoSuchBlob(_) => (StatusCode::NOT_FOUND, "no_such_blob"),
            Self::NoSuchAgreement(_) => (StatusCode::NOT_FOUND, "no_such_agreement"),
            Self::NoSuchMeter(_) => (StatusCode::NOT_FOUND, "no_such_meter"),
            Self::NoSuchFinding(_) => (StatusCode::NOT_FOUND, "no_such_finding"),
            Self::NoEnergyLedger => (StatusCode::NOT_FOUND, "no_energy_ledger"),
            Self::BadRecord(_) => (StatusCode::BAD_REQUEST, "bad_record"),
            Self::RecordTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::RangeNotSatisfiable { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable"),
            Self::Truncated { .. } => (StatusCode::BAD_REQUEST, "truncated"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "too_slow"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::Blob(BlobError::HashMismatch { .. }) => (StatusCode::BAD_REQUEST, "hash_mismatch"),
            Self::Blob(BlobError::TooLarge { .. }) => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::Blob(BlobError::Quota { .. }) => (StatusCode::INSUFFICIENT_STORAGE, "quota"),
            Self::Blob(BlobError::Disk { .. }) => (StatusCode::INTERNAL_SERVER_ERROR, "disk"),
            Self::Mail(MailboxError::Message(MailError::TooLong { .. })) | Self::LetterTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "too_large")
            }
            Self::Mail(MailboxError::Message(_) | MailboxError::Future { .. }) | Self::BadLetter { .. } => {
                (StatusCode::BAD_REQUEST, "bad_message")
            }
            Self::Mail(MailboxError::NoSuchAgreement(_)) => (StatusCode::NOT_FOUND, "no_such_agreement"),
            Self::Mail(MailboxError::NotAParty { .. }) => (StatusCode::FORBIDDEN, "not_a_party"),
            Self::Mail(MailboxError::Quota { .. }) => (StatusCode::TOO_MANY_REQUESTS, "too_much_mail"),
            Self::Mail(MailboxError::Full { .. }) => (StatusCode::INSUFFICIENT_STORAGE, "mailbox_full"),
            Self::Mail(MailboxError::Store(_)) => (StatusCode::SERVICE_UNAVAILABLE, "index_unavailable"),
            Self::IndexBehind => (StatusCode::SERVICE_UNAVAILABLE, "index_behind"),
            Self::NoKeyAgent(_) => (StatusCode::NOT_FOUND, "no_key_agent"),
            Self::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "index_unavailable"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.kind();
        if status.is_server_error() {
            tracing::error!(code, error = ?self, "a request failed");
        }
        let body = Json(json!({ "error": { "code": code, "message": self.to_string() } }));
        let mut response = (status, body).into_response();
        match self {
            Self::RangeNotSatisfiable { size } => {
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                    response.headers_mut().insert(header::CONTENT_RANGE, value);
                }
            }
            Self::Busy | Self::IndexBehind => {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            _ => {}
        }
        response
    }
}
