//! Why a request to the control interface is refused.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The reason.
#[derive(Debug)]
pub(super) enum Refused {
    NoSuchPage,
    NoSuchMeter,
    /// What a meter kept cannot be used.
    OutOfOrder,
    /// The request is not understood.
    Request(String),
}

#[derive(Serialize)]
struct Body {
    error: String,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::NoSuchPage => (StatusCode::NOT_FOUND, "there is no such page".to_owned()),
            Self::NoSuchMeter => (StatusCode::NOT_FOUND, "there is no such meter: they count from 0".to_owned()),
            Self::OutOfOrder => {
                (StatusCode::CONFLICT, "the meter is out of order: its state cannot be used".to_owned())
            }
            Self::Request(error) => (StatusCode::BAD_REQUEST, error),
        };
        (status, Json(Body { error })).into_response()
    }
}
