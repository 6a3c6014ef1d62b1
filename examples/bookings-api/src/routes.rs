//! What is answered to which request.

use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tower_http::trace::{DefaultOnResponse, TraceLayer};
use tracing::{Level, error, info_span, warn};

use crate::database::{Database, DatabaseError};

pub fn router(database: Database) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(|request: &Request<_>| {
            info_span!("request", method = %request.method(), path = request.uri().path())
        })
        .on_response(DefaultOnResponse::new().level(Level::INFO))
        // What failed is logged where it fails, with the reason.
        .on_failure(());
    Router::new()
        .route("/", get(async || "welcome"))
        .route("/hotels", get(hotels))
        .route("/health", get(health))
        .layer(trace)
        .with_state(database)
}

async fn hotels(State(database): State<Database>) -> Result<Response, Failure> {
    Ok(Json(database.hotels().await?).into_response())
}

/// Whether the database answers.
async fn health(State(database): State<Database>) -> Response {
    match database.check().await {
        Ok(()) => Json(json!({ "database": "up" })).into_response(),
        Err(failure) => {
            warn!(%failure, "the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "database": "down" }))).into_response()
        }
    }
}

/// A failure as the client sees it. The reason is for the log: it may name users and hosts.
struct Failure(DatabaseError);

impl From<DatabaseError> for Failure {
    fn from(failure: DatabaseError) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        error!(failure = %self.0, "the hotels could not be read");
        let (status, message) = if self.0.is_outage() {
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer")
        } else {
            (StatusCode::INTERNAL_SERVER_ERROR, "the hotels could not be read")
        };
        (status, Json(json!({ "error": message }))).into_response()
    }
}
