//! PlanetScale's API.

mod branches;
mod databases;
mod deploy_requests;
mod extract;
mod organizations;
mod page;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::routing::{get, patch, post, put};
use serde_json::Value;

use crate::app::App;
use crate::error::ApiError;

/// An answer's body, or a refusal.
type Answer = Result<Json<Value>, ApiError>;

/// The routes below `/v1`.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/organizations", get(organizations::list))
        .route("/organizations/{organization}", get(organizations::show))
        .route("/organizations/{organization}/databases", get(databases::list))
        .route("/organizations/{organization}/databases/{database}", get(databases::show))
        .nest("/organizations/{organization}/databases/{database}", in_database())
}

fn in_database() -> Router<Arc<App>> {
    use deploy_requests as requests;
    Router::new()
        .route("/branches", get(branches::list).post(branches::create))
        .route("/branches/{branch}", get(branches::show).delete(branches::delete))
        .route("/branches/{branch}/schema", get(branches::schema))
        .route("/branches/{branch}/schema/lint", get(branches::lint))
        .route(
            "/branches/{branch}/safe-migrations",
            post(branches::enable_safe_migrations).delete(branches::disable_safe_migrations),
        )
        .route("/deploy-queue", get(requests::queue))
        .route("/deploy-requests", get(requests::list).post(requests::create))
        .route("/deploy-requests/{number}", get(requests::show).patch(requests::close))
        .route("/deploy-requests/{number}/deployment", get(requests::deployment))
        .route("/deploy-requests/{number}/operations", get(requests::operations))
        .route("/deploy-requests/{number}/diff", get(requests::diff))
        .route("/deploy-requests/{number}/reviews", get(requests::reviews).post(requests::review))
        .route("/deploy-requests/{number}/storage-check", get(requests::storage_check))
        .route("/deploy-requests/{number}/throttler", get(requests::throttler))
        .route("/deploy-requests/{number}/throttler", patch(requests::update_throttler))
        .route("/deploy-requests/{number}/deploy", post(requests::deploy))
        .route("/deploy-requests/{number}/cancel", post(requests::cancel))
        .route("/deploy-requests/{number}/apply-deploy", post(requests::apply_deploy))
        .route("/deploy-requests/{number}/auto-apply", put(requests::auto_apply))
        .route("/deploy-requests/{number}/auto-delete-branch", put(requests::auto_delete_branch))
        .route("/deploy-requests/{number}/revert", post(requests::revert))
        .route("/deploy-requests/{number}/skip-revert", post(requests::skip_revert))
        .route("/deploy-requests/{number}/complete-deploy", post(requests::complete_deploy))
        .route("/deploy-requests/{number}/force-cutover", post(requests::force_cutover))
}

/// The answer to everything else.
pub async fn no_such_endpoint() -> ApiError {
    ApiError::not_found()
}
