//! An answer that is none.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    text: String,
    details: Vec<String>,
}

/// The same, as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorShown {
    /// What is wrong and what to do.
    pub error: String,
    /// Each thing that is wrong, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl ApiError {
    fn new(status: StatusCode, text: String) -> Self {
        Self {
            status,
            text,
            details: Vec::new(),
        }
    }

    /// It cannot be done as things are, for each of these reasons.
    pub(super) fn conflict(text: impl Into<String>, details: Vec<String>) -> Self {
        Self {
            details,
            ..Self::new(StatusCode::CONFLICT, text.into())
        }
    }

    /// What was asked for is not there.
    pub(super) fn missing(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text.into())
    }

    /// The request makes no sense.
    pub(super) fn wrong(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text.into())
    }

    /// It is sdgroup's own fault, or its machine's.
    pub(super) fn fault(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, text, details } = self;
        (status, Json(ErrorShown { error: text, details })).into_response()
    }
}
