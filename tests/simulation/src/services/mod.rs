//! The AWS services that are called, each answer in the form that the service documents.

pub mod dynamodb;
pub mod ecr;
pub mod sfn;

use serde_json::{Value, json};
use shared::http::{Response, StatusCode};

/// An answer of JSON.
pub fn answer(status: u16, body: &Value) -> Response {
    Response {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers: reqwest_headers(),
        body: body.to_string().into_bytes(),
    }
}

/// An error of one of AWS's JSON protocols.
pub fn error(kind: &str, message: &str) -> Response {
    answer(400, &json!({"__type": kind, "message": message}))
}

/// An answer of the Query protocol (SNS).
pub fn xml(status: u16, body: String) -> Response {
    let mut response = answer(status, &Value::Null);
    response.body = body.into_bytes();
    response
}

fn reqwest_headers() -> shared::http::HeaderMap {
    shared::http::HeaderMap::new()
}
