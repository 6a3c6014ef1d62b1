//! What is done with every request of the API around its work: faults, the rate limit, the record.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::{ApiError, code_of};
use crate::faults::{Fault, FaultKind};
use crate::journal::RequestRecord;
use crate::server::Interruption;
use crate::token::presented_id;

const DATABASE_PATTERN: &str = "/v1/organizations/{organization}/databases/{database}/";
const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>";

pub async fn watch(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let path = request.uri().path().to_owned();
    let path_and_query = request.uri().path_and_query().map_or_else(|| path.clone(), ToString::to_string);
    let endpoint = endpoint(&method, request.extensions().get());
    let token_id = presented_id(request.headers());

    let fault = app.world().faults.take(&method, &path);
    if let Some(fault) = fault.as_ref().filter(|fault| fault.delay_ms > 0) {
        tokio::time::sleep(Duration::from_millis(fault.delay_ms)).await;
    }
    if let Some(fault) = fault.as_ref().filter(|fault| fault.kind == FaultKind::Show) {
        app.world().show(&path, &fault.shown);
    }
    let worked = if fault.as_ref().is_none_or(Fault::does_work) {
        Some(match limited(&app, request.headers(), &path) {
            Some(refusal) => refusal,
            None => next.run(request).await,
        })
    } else {
        None
    };
    let fault_name = fault.as_ref().map(|fault| fault.kind.as_str());
    let worked_status = worked.as_ref().map(Response::status);
    let response = match fault {
        Some(fault) => spoil(&fault, worked),
        None => worked.unwrap_or_default(),
    };
    let is_reset = matches!(response.extensions().get(), Some(Interruption::Reset));
    let status = if is_reset { worked_status } else { Some(response.status()) };
    let mut world = app.world();
    let record = RequestRecord {
        time: world.now,
        method,
        path: path_and_query,
        endpoint,
        token_id,
        status: status.map(|status| status.as_u16()),
        fault: fault_name,
    };
    if !app.quiet {
        // The emulator works on when nobody reads its log.
        let _ = writeln!(io::stderr(), "{}", record.line());
    }
    world.journal.requests.push(record);
    response
}

fn endpoint(method: &str, matched: Option<&MatchedPath>) -> String {
    let pattern = matched.map_or("unknown", |matched| matched.as_str());
    let pattern = pattern.strip_prefix(DATABASE_PATTERN).unwrap_or(pattern);
    format!("{method} {}", pattern.strip_prefix("/v1/").unwrap_or(pattern))
}

fn limited(app: &App, headers: &HeaderMap, path: &str) -> Option<Response> {
    let mut world = app.world();
    let limit = world.settings.rate_limit_per_minute?;
    let of_token = presented_id(headers).and_then(|id| world.tokens.get(&id));
    let organization = match of_token {
        Some(token) => token.organization.clone(),
        None => path.split('/').nth(3).unwrap_or_default().to_owned(),
    };
    let now = world.now;
    let wait = world.rate_limits.count(&organization, limit, now).err()?;
    let mut response = ApiError::new(429, "Rate limit exceeded").into_response();
    if world.settings.rate_limit_retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    Some(response)
}

/// The answer that a fault leaves of a request's own.
fn spoil(fault: &Fault, worked: Option<Response>) -> Response {
    let default = match fault.kind {
        FaultKind::Error => StatusCode::INTERNAL_SERVER_ERROR,
        FaultKind::Html => StatusCode::BAD_GATEWAY,
        _ => worked.as_ref().map_or(StatusCode::OK, Response::status),
    };
    let status = fault.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(default);
    let mut response = match fault.kind {
        FaultKind::Error => {
            let code = fault.code.as_deref().unwrap_or(code_of(status.as_u16()));
            let message = fault.message.as_deref().unwrap_or("This answer was asked for by a test");
            axum::Json(serde_json::json!({"code": code, "message": message})).into_response()
        }
        FaultKind::Html => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response(),
        FaultKind::Empty => Response::new(Body::empty()),
        FaultKind::Truncate | FaultKind::Reset | FaultKind::Delay | FaultKind::Show => {
            worked.unwrap_or_default()
        }
    };
    *response.status_mut() = status;
    match fault.kind {
        FaultKind::Truncate => {
            response.extensions_mut().insert(Interruption::Truncate);
        }
        FaultKind::Reset => {
            response.extensions_mut().insert(Interruption::Reset);
        }
        _ => {}
    }
    if let Some(seconds) = fault.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
