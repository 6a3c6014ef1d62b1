//! The control API, by which tests and the demo direct the emulator.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::answers::AnswerRule;
use crate::clock;
use crate::emulator::Emulator;
use crate::faults::Fault;
use crate::protocol;
use crate::verdicts::Rule;
use crate::views::View;

type Shared = State<Arc<Emulator>>;
type Answer = Result<Json<Value>, BadRequest>;

/// What is wrong with a request, and where.
struct BadRequest(String);

impl IntoResponse for BadRequest {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.0}))).into_response()
    }
}

/// The routes below `/_control`.
pub fn router() -> Router<Arc<Emulator>> {
    Router::new()
        .route("/settings", get(settings).post(change_settings))
        .route("/verdicts", get(verdicts).put(set_verdict).delete(clear_verdicts))
        .route("/answers", get(answers).put(set_answer).delete(clear_answers))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/services", get(services))
        .route("/requests", get(requests))
        .route("/counts", get(counts))
        .route("/effects", get(effects))
        .route("/act/{operation}", post(act))
        .route("/clock", post(advance_clock))
        .route("/reset", post(reset))
}

async fn settings(State(emulator): Shared) -> Json<Value> {
    Json(json!(emulator.settings()))
}

async fn change_settings(State(emulator): Shared, body: Bytes) -> Answer {
    let mut world = emulator.world();
    world.settings = world.settings.changed(read(&body)?).map_err(BadRequest)?;
    Ok(Json(json!(world.settings)))
}

async fn verdicts(State(emulator): Shared) -> Json<Value> {
    Json(json!(emulator.verdicts.all()))
}

async fn set_verdict(State(emulator): Shared, body: Bytes) -> Answer {
    let rule = read::<Rule>(&body)?;
    if !emulator.verdicts_decide {
        return Err(BadRequest(
            "Containers really run here: no verdict decides what becomes of them.".into(),
        ));
    }
    emulator.verdicts.set(rule);
    Ok(Json(json!(emulator.verdicts.all())))
}

async fn clear_verdicts(State(emulator): Shared) -> Json<Value> {
    emulator.verdicts.clear();
    Json(json!([]))
}

async fn answers(State(emulator): Shared) -> Json<Value> {
    Json(json!(emulator.verdicts.answers.all()))
}

async fn set_answer(State(emulator): Shared, body: Bytes) -> Answer {
    let rule = read::<AnswerRule>(&body)?;
    if !emulator.verdicts_decide {
        return Err(BadRequest("Containers really run here: they answer for themselves.".into()));
    }
    emulator.verdicts.answers.set(rule).map_err(BadRequest)?;
    Ok(Json(json!(emulator.verdicts.answers.all())))
}

async fn clear_answers(State(emulator): Shared) -> Json<Value> {
    emulator.verdicts.answers.clear();
    Json(json!([]))
}

async fn faults(State(emulator): Shared) -> Json<Value> {
    Json(json!(emulator.world().faults.pending()))
}

async fn add_fault(State(emulator): Shared, body: Bytes) -> Answer {
    let mut world = emulator.world();
    world.faults.add(read::<Fault>(&body)?);
    Ok(Json(json!(world.faults.pending())))
}

async fn clear_faults(State(emulator): Shared) -> Json<Value> {
    emulator.world().faults.clear();
    Json(json!([]))
}

#[derive(Deserialize)]
struct ServicesQuery {
    /// Whether the values of environments are to be shown.
    #[serde(default)]
    environment: bool,
}

async fn services(State(emulator): Shared, Query(query): Query<ServicesQuery>) -> Json<Value> {
    let world = emulator.world();
    let view = View::now(&emulator);
    let services = world.services.values();
    Json(services.map(|service| view.everything(service, query.environment)).collect())
}

async fn requests(State(emulator): Shared) -> Json<Value> {
    Json(json!(emulator.world().journal.requests))
}

async fn counts(State(emulator): Shared) -> Json<Value> {
    Json(json!(emulator.world().journal.counts()))
}

async fn effects(State(emulator): Shared) -> Json<Value> {
    Json(json!(emulator.world().journal.effects))
}

async fn act(State(emulator): Shared, Path(operation): Path<String>, body: Bytes) -> Response {
    let input = match read(&body) {
        Ok(input) => input,
        Err(error) => return error.into_response(),
    };
    match protocol::act(&emulator, &operation, input) {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => (error.kind.status(), Json(error.body())).into_response(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_ms: u32,
}

async fn advance_clock(body: Bytes) -> Answer {
    let Advance { advance_ms } = read(&body)?;
    clock::advance(advance_ms);
    Ok(Json(json!({"now": clock::now()})))
}

async fn reset(State(emulator): Shared) -> Json<Value> {
    emulator.reset();
    Json(json!({}))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadRequest> {
    serde_json::from_slice(body).map_err(|error| BadRequest(format!("The body does not fit: {error}.")))
}
