//! The control API, by which tests and the demo direct the emulator.

mod databases;
mod deploy_requests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::token::Token;

type Shared = State<Arc<App>>;
type Answer = Result<Json<Value>, Refusal>;

/// What is wrong with a request.
struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    fn not_found(what: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, message: format!("There is no {}.", what.into()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.message}))).into_response()
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self { status, message: error.message }
    }
}

/// The routes below `/_control`.
pub fn router() -> Router<Arc<App>> {
    let database = "/organizations/{organization}/databases/{database}";
    Router::new()
        .route("/reset", post(reset))
        .route("/settings", get(settings).patch(change_settings))
        .route("/clock", post(advance_clock))
        .route("/tokens/{id}", put(put_token).delete(delete_token))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/requests", get(requests))
        .route("/counts", get(counts))
        .route("/effects", get(effects))
        .nest(database, databases::router().merge(deploy_requests::router()))
        .fallback(no_such_call)
}

async fn no_such_call() -> Refusal {
    Refusal::not_found("such control call; the README lists them")
}

async fn reset(State(app): Shared) -> Answer {
    app.reset().map_err(ApiError::from)?;
    Ok(Json(json!({})))
}

async fn settings(State(app): Shared) -> Json<Value> {
    Json(json!(app.world().settings))
}

async fn change_settings(State(app): Shared, body: Bytes) -> Answer {
    let changes: Map<String, Value> = read(&body)?;
    let mut world = app.world();
    world.settings = world.settings.changed(&changes).map_err(Refusal::bad_request)?;
    Ok(Json(json!(world.settings)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u32,
}

async fn advance_clock(State(app): Shared, body: Bytes) -> Answer {
    let Advance { advance_ms } = read(&body)?;
    app.clock.advance(advance_ms);
    Ok(Json(json!({"now": app.world().now})))
}

/// What a pipeline needs.
const USUAL_PERMISSIONS: [&str; 4] =
    ["read_database", "read_branch", "read_deploy_request", "create_deploy_request"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutToken {
    token: String,
    organization: String,
    name: Option<String>,
    owner: Option<String>,
    permissions: Option<BTreeSet<String>>,
    #[serde(default)]
    database_permissions: BTreeMap<String, BTreeSet<String>>,
}

async fn put_token(State(app): Shared, Path(id): Path<String>, body: Bytes) -> Answer {
    let put: PutToken = read(&body)?;
    let usual = || USUAL_PERMISSIONS.map(str::to_owned).into();
    let token = Token {
        id: id.clone(),
        secret: put.token,
        organization: put.organization,
        name: put.name.unwrap_or_else(|| id.clone()),
        owner: put.owner,
        permissions: put.permissions.unwrap_or_else(usual),
        database_permissions: put.database_permissions,
    };
    let body = json!({"id": id, "permissions": token.permissions,
        "database_permissions": token.database_permissions});
    app.world().tokens.insert(id, token);
    Ok(Json(body))
}

async fn delete_token(State(app): Shared, Path(id): Path<String>) -> Answer {
    let removed = app.world().tokens.remove(&id);
    removed.map(|_| Json(json!({}))).ok_or_else(|| Refusal::not_found(format!("token {id}")))
}

async fn faults(State(app): Shared) -> Json<Value> {
    Json(json!(app.world().faults.pending()))
}

async fn add_fault(State(app): Shared, body: Bytes) -> Answer {
    let fault: Fault = read(&body)?;
    let mut world = app.world();
    world.faults.add(fault);
    Ok(Json(json!(world.faults.pending())))
}

async fn clear_faults(State(app): Shared) -> Json<Value> {
    app.world().faults.clear();
    Json(json!([]))
}

async fn requests(State(app): Shared) -> Json<Value> {
    Json(json!(app.world().journal.requests))
}

async fn counts(State(app): Shared) -> Json<Value> {
    Json(json!(app.world().journal.counts()))
}

async fn effects(State(app): Shared) -> Json<Value> {
    Json(json!(app.world().journal.effects))
}

/// Reads a body; an absent one is taken as `{}`.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("The body does not fit: {error}.")))
}
