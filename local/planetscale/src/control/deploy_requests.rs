//! Control of deploy requests: what people do with them, and states that are only shown.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::databases::database;
use super::{Answer, Refusal, Shared, read};
use crate::app::App;
use crate::deploy_request::{NewDeployRequest, NewReview, ReviewState, ShownStates, Strategy};
use crate::token::Actor;

type DatabasePath = Path<(String, String)>;
type RequestPath = Path<(String, String, u64)>;

/// The routes below a database.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/deploy-requests", get(list).post(create))
        .route("/deploy-requests/{number}", get(show))
        .route("/deploy-requests/{number}/shown", put(put_shown).delete(clear_shown))
        .route("/deploy-requests/{number}/act", post(act))
}

async fn list(State(app): Shared, Path((organization, name)): DatabasePath) -> Answer {
    let mut world = app.world();
    let (found, cx) = database(&mut world, &organization, &name)?;
    let view = found.view(&cx);
    Ok(Json(found.deploy_requests.iter().map(|request| view.request(request)).collect()))
}

async fn show(State(app): Shared, Path((organization, name, number)): RequestPath) -> Answer {
    let mut world = app.world();
    let (found, cx) = database(&mut world, &organization, &name)?;
    Ok(Json(found.view(&cx).request(found.request(number)?)))
}

async fn create(State(app): Shared, Path((organization, name)): DatabasePath, body: Bytes) -> Answer {
    let new: NewDeployRequest = read(&body)?;
    let mut world = app.world();
    let (found, mut cx) = database(&mut world, &organization, &name)?;
    let number = found.open_request(new, &Actor::person("person"), &mut cx)?;
    Ok(Json(found.view(&cx).request(found.request(number)?)))
}

async fn put_shown(
    State(app): Shared,
    Path((organization, name, number)): RequestPath,
    body: Bytes,
) -> Answer {
    let shown: ShownStates = read(&body)?;
    set_shown(&app, &organization, &name, number, shown)
}

async fn clear_shown(State(app): Shared, Path((organization, name, number)): RequestPath) -> Answer {
    set_shown(&app, &organization, &name, number, ShownStates::default())
}

fn set_shown(app: &App, organization: &str, name: &str, number: u64, shown: ShownStates) -> Answer {
    let mut world = app.world();
    let (found, cx) = database(&mut world, organization, name)?;
    found.request_mut(number)?.shown = shown;
    Ok(Json(found.view(&cx).request(found.request(number)?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    action: Action,
    /// Who does it.
    #[serde(default = "somebody")]
    person: String,
    /// The text of a comment or approval.
    #[serde(default)]
    body: String,
    #[serde(default)]
    instant_ddl: bool,
}

fn somebody() -> String {
    "person".into()
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Deploy,
    Close,
    Cancel,
    Approve,
    Comment,
    /// Auto-apply off.
    Gate,
    /// Auto-apply on.
    Ungate,
    Apply,
    Revert,
    SkipRevert,
    CompleteDeploy,
    ForceCutover,
    /// The cutover waits for a lock, for as long as it is not forced.
    LockTable,
    UnlockTable,
}

async fn act(State(app): Shared, Path((organization, name, number)): RequestPath, body: Bytes) -> Answer {
    let act: Act = read(&body)?;
    let actor = Actor::person(&act.person);
    let mut world = app.world();
    let (found, mut cx) = database(&mut world, &organization, &name)?;
    let cx = &mut cx;
    match act.action {
        Action::Deploy => found.deploy(number, act.instant_ddl, Strategy::Serial, &actor, cx),
        Action::Close => found.close(number, &actor, cx),
        Action::Cancel => found.cancel(number, &actor, cx),
        Action::Approve | Action::Comment => {
            let is_approval = matches!(act.action, Action::Approve);
            let state = if is_approval { ReviewState::Approved } else { ReviewState::Commented };
            let review = NewReview { state, body: act.body };
            found.review(number, review, &actor, std::slice::from_ref(&actor.id), cx).map(|_| ())
        }
        Action::Gate => found.set_auto_cutover(number, false, cx),
        Action::Ungate => found.set_auto_cutover(number, true, cx),
        Action::Apply => found.apply_deploy(number, &actor, cx),
        Action::Revert => found.revert(number, &actor, cx),
        Action::SkipRevert => found.skip_revert(number, &actor, cx),
        Action::CompleteDeploy => found.complete_deploy(number, &actor, cx),
        Action::ForceCutover => found.force_cutover(number, &actor, cx),
        Action::LockTable => found.lock_table(number, true),
        Action::UnlockTable => found.lock_table(number, false),
    }
    .map_err(|error| match error.status {
        404 => Refusal::not_found(format!("deploy request {number}")),
        _ => Refusal::from(error),
    })?;
    let body = found.view(cx).request(found.request(number)?);
    Ok(Json(json!(body)))
}
