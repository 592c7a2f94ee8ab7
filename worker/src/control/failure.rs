//! How requests fail.
use axum::{
    Json,
    extract::rejection::{BytesRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::ApiError;

/// Status and sentence: every failure goes out as an [`ApiError`], what axum refuses by itself too.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure(pub(super) StatusCode, pub(super) String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(ApiError { error: self.1 })).into_response()
    }
}

impl From<QueryRejection> for Failure {
    fn from(error: QueryRejection) -> Self {
        Self(error.status(), error.body_text())
    }
}

impl From<BytesRejection> for Failure {
    fn from(error: BytesRejection) -> Self {
        Self(error.status(), error.body_text())
    }
}

/// One of our own.
pub(super) fn failure(code: StatusCode, error: impl Into<String>) -> Response {
    Failure(code, error.into()).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use axum::extract::Query;

    use super::*;

    #[tokio::test]
    async fn what_axum_refuses_is_json_too() {
        let uri: axum::http::Uri = "/v1/why?secs=soon".parse().unwrap();
        let refused = Query::<BTreeMap<String, u64>>::try_from_uri(&uri).unwrap_err();
        let response = Failure::from(refused).into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = axum::body::to_bytes(response.into_body(), 4096).await.unwrap();
        let said: ApiError = serde_json::from_slice(&body).unwrap();
        assert!(said.error.contains("invalid digit"), "{}", said.error);
    }
}
