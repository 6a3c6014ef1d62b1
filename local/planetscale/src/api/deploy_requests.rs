//! Deploy requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use super::branches::statement_body;
use super::extract::{Body, Caller};
use super::page::{Paging, Totals};
use crate::app::App;
use crate::clock::Timestamp;
use crate::database::{Context, Database};
use crate::deploy_request::{DeployRequest, NewDeployRequest, NewReview, ReviewState, Strategy};
use crate::error::ApiError;
use crate::token::{Actor, person_id};

const READ: [&str; 1] = ["read_deploy_request"];
const CREATE: [&str; 1] = ["create_deploy_request"];
const APPROVE: [&str; 1] = ["approve_deploy_request"];
const COMMENT: [&str; 2] = ["review_deploy_request", "approve_deploy_request"];

type Shared = State<Arc<App>>;
type DatabasePath = Path<(String, String)>;
type RequestPath = Path<(String, String, String)>;

/// A request's number; text that is none names no request.
fn number(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::not_found())
}

/// Lets `read` look at a request.
fn read(
    app: &App,
    caller: &Caller,
    Path((organization, database, text)): RequestPath,
    access: &[&str],
    read: impl FnOnce(&Database, &DeployRequest, &Context<'_>) -> Result<Value, ApiError>,
) -> Answer {
    let mut world = app.world();
    let (database, cx) = caller.database(&mut world, &organization, &database, access)?;
    let request = database.request(number(&text)?)?;
    read(database, request, &cx).map(Json)
}

/// Lets `act` do something with a request, and shows it.
fn act(
    app: &App,
    caller: &Caller,
    Path((organization, database, text)): RequestPath,
    act: impl FnOnce(&mut Database, u64, &Actor, &mut Context<'_>) -> Result<(), ApiError>,
) -> Answer {
    let mut world = app.world();
    let (database, mut cx) = caller.database(&mut world, &organization, &database, &CREATE)?;
    let number = number(&text)?;
    act(database, number, &caller.actor(), &mut cx)?;
    Ok(Json(database.view(&cx).request(database.request(number)?)))
}

/// What a list is narrowed to; ranges are `FROM..TO` in ISO 8601, each end optional.
#[derive(Deserialize)]
pub struct Filter {
    state: Option<String>,
    branch: Option<String>,
    into_branch: Option<String>,
    deployed_at: Option<String>,
    running_at: Option<String>,
}

impl Filter {
    fn admits(&self, request: &DeployRequest) -> bool {
        let times = &request.times;
        let deployed = times.cutover.filter(|_| times.window_end.is_some() || request.instant_ddl);
        let has_state = match self.state.as_deref() {
            Some("open") => !request.is_closed,
            Some("closed") => request.is_closed,
            Some("deployed") => deployed.is_some(),
            Some(_) => false,
            None => true,
        };
        let within = |range: &Option<String>, from: Option<Timestamp>, to: Option<Timestamp>| {
            let Some(range) = range else { return true };
            let (first, last) = range.split_once("..").unwrap_or((range, range));
            let starts_in_time =
                Timestamp::parse(last).is_none_or(|last| from.is_some_and(|from| from <= last));
            let ends_in_time = Timestamp::parse(first).is_none_or(|first| to.is_none_or(|to| to >= first));
            from.is_some() && starts_in_time && ends_in_time
        };
        has_state
            && self.branch.as_ref().is_none_or(|branch| *branch == request.branch)
            && self.into_branch.as_ref().is_none_or(|branch| *branch == request.into_branch)
            && within(&self.deployed_at, deployed, deployed)
            && within(&self.running_at, times.started, times.finished)
    }
}

/// The newest first.
pub async fn list(
    State(app): Shared,
    caller: Caller,
    Path((organization, database)): DatabasePath,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Answer {
    let mut world = app.world();
    let (database, cx) = caller.database(&mut world, &organization, &database, &READ)?;
    let view = database.view(&cx);
    let requests = database.deploy_requests.iter().rev().filter(|request| filter.admits(request));
    let bodies = requests.map(|request| view.request(request)).collect();
    Ok(Json(paging.page(bodies, Totals::Shown, &caller)))
}

pub async fn create(
    State(app): Shared,
    caller: Caller,
    Path((organization, database)): DatabasePath,
    Body(new): Body<NewDeployRequest>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let mut world = app.world();
    let (database, mut cx) = caller.database(&mut world, &organization, &database, &CREATE)?;
    let number = database.open_request(new, &caller.actor(), &mut cx)?;
    let body = database.view(&cx).request(database.request(number)?);
    Ok((StatusCode::CREATED, Json(body)))
}

pub async fn show(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    read(&app, &caller, path, &READ, |database, request, cx| Ok(database.view(cx).request(request)))
}

pub async fn deployment(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    read(&app, &caller, path, &READ, |database, request, cx| Ok(database.view(cx).deployment(request)))
}

pub async fn operations(
    State(app): Shared,
    caller: Caller,
    path: RequestPath,
    Query(paging): Query<Paging>,
) -> Answer {
    read(&app, &caller, path, &READ, |database, request, cx| {
        let view = database.view(cx);
        let operations = request.verdict.operations.iter();
        let bodies = operations.map(|operation| view.operation(request, operation)).collect();
        Ok(paging.page(bodies, Totals::Absent, &caller))
    })
}

/// Not in the API description; the CLI reads it.
pub async fn diff(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    let access = app.world().settings.undocumented_access.clone();
    let access: Vec<&str> = access.iter().map(String::as_str).collect();
    read(&app, &caller, path, &access, |_, request, _| {
        let operations = request.verdict.operations.iter();
        let bodies =
            operations.map(|operation| statement_body(&operation.diff.table, &operation.diff.statement));
        Ok(json!({"data": bodies.collect::<Vec<_>>()}))
    })
}

pub async fn storage_check(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    read(&app, &caller, path, &READ, |database, request, cx| {
        let tables = database.schema(&request.into_branch, cx.storage)?.tables().len();
        Ok(database.view(cx).storage_check(request, tables))
    })
}

/// Deployments in the order in which they will happen.
pub async fn queue(
    State(app): Shared,
    caller: Caller,
    Path((organization, database)): DatabasePath,
    Query(paging): Query<Paging>,
) -> Answer {
    let mut world = app.world();
    let access = world.settings.undocumented_access.clone();
    let access: Vec<&str> = access.iter().map(String::as_str).collect();
    let (database, cx) = caller.database(&mut world, &organization, &database, &access)?;
    let mut queued: Vec<_> =
        database.deploy_requests.iter().filter(|request| request.is_in_queue()).collect();
    queued.sort_by_key(|request| request.queue_position);
    let view = database.view(&cx);
    let bodies = queued.into_iter().map(|request| view.deployment(request)).collect();
    Ok(Json(paging.page(bodies, Totals::Absent, &caller)))
}

#[derive(Deserialize)]
pub struct Update {
    state: Option<String>,
}

/// Closes a request: the only update there is.
pub async fn close(
    State(app): Shared,
    caller: Caller,
    path: RequestPath,
    Body(update): Body<Update>,
) -> Answer {
    act(&app, &caller, path, |database, number, actor, cx| match update.state.as_deref() {
        Some("closed") => database.close(number, actor, cx),
        _ => Err(ApiError::invalid_params("state must be \"closed\"")),
    })
}

#[derive(Deserialize)]
pub struct Deploy {
    #[serde(default)]
    instant_ddl: bool,
    strategy: Option<Strategy>,
}

pub async fn deploy(
    State(app): Shared,
    caller: Caller,
    path: RequestPath,
    Body(deploy): Body<Deploy>,
) -> Answer {
    let strategy = deploy.strategy.unwrap_or(Strategy::Serial);
    act(&app, &caller, path, |database, number, actor, cx| {
        database.deploy(number, deploy.instant_ddl, strategy, actor, cx)
    })
}

pub async fn cancel(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    act(&app, &caller, path, Database::cancel)
}

pub async fn apply_deploy(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    act(&app, &caller, path, Database::apply_deploy)
}

pub async fn revert(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    act(&app, &caller, path, Database::revert)
}

pub async fn skip_revert(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    act(&app, &caller, path, Database::skip_revert)
}

pub async fn complete_deploy(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    act(&app, &caller, path, Database::complete_deploy)
}

pub async fn force_cutover(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    act(&app, &caller, path, Database::force_cutover)
}

#[derive(Deserialize)]
pub struct Switch {
    enable: bool,
}

pub async fn auto_apply(
    State(app): Shared,
    caller: Caller,
    path: RequestPath,
    Body(to): Body<Switch>,
) -> Answer {
    act(&app, &caller, path, |database, number, _, cx| database.set_auto_cutover(number, to.enable, cx))
}

pub async fn auto_delete_branch(
    State(app): Shared,
    caller: Caller,
    path: RequestPath,
    Body(to): Body<Switch>,
) -> Answer {
    act(&app, &caller, path, |database, number, _, cx| database.set_auto_delete_branch(number, to.enable, cx))
}

pub async fn reviews(
    State(app): Shared,
    caller: Caller,
    path: RequestPath,
    Query(paging): Query<Paging>,
) -> Answer {
    read(&app, &caller, path, &READ, |database, request, cx| {
        let view = database.view(cx);
        let bodies = request.reviews.iter().map(|review| view.review(review)).collect();
        Ok(paging.page(bodies, Totals::Absent, &caller))
    })
}

pub async fn review(
    State(app): Shared,
    caller: Caller,
    Path((organization, database, text)): RequestPath,
    Body(new): Body<NewReview>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let access: &[&str] = if new.state == ReviewState::Approved { &APPROVE } else { &COMMENT };
    let mut world = app.world();
    let (database, mut cx) = caller.database(&mut world, &organization, &database, access)?;
    let number = number(&text)?;
    let owner = caller.token.owner.iter().map(|owner| person_id(owner));
    let reviewers: Vec<String> = owner.chain([caller.token.id.clone()]).collect();
    let index = database.review(number, new, &caller.actor(), &reviewers, &mut cx)?;
    let body = database.view(&cx).review(&database.request(number)?.reviews[index]);
    Ok((StatusCode::CREATED, Json(body)))
}

pub async fn throttler(State(app): Shared, caller: Caller, path: RequestPath) -> Answer {
    read(&app, &caller, path, &READ, |database, request, cx| Ok(database.view(cx).throttler(request)))
}

#[derive(Deserialize)]
pub struct Throttle {
    ratio: Option<f64>,
    #[serde(default)]
    configurations: Vec<KeyspaceThrottle>,
}

#[derive(Deserialize)]
struct KeyspaceThrottle {
    keyspace_name: String,
    ratio: f64,
}

pub async fn update_throttler(
    State(app): Shared,
    caller: Caller,
    Path((organization, database, text)): RequestPath,
    Body(throttle): Body<Throttle>,
) -> Answer {
    let mut world = app.world();
    let (database, cx) = caller.database(&mut world, &organization, &database, &CREATE)?;
    let number = number(&text)?;
    let request = database.request_mut(number)?;
    let of_all = throttle.ratio.into_iter().flat_map(|ratio| {
        request.throttle.keys().map(move |keyspace| (keyspace.clone(), ratio)).collect::<Vec<_>>()
    });
    let of_each = throttle.configurations.into_iter().map(|one| (one.keyspace_name, one.ratio));
    let changes: Vec<(String, f64)> = of_all.chain(of_each).collect();
    for (keyspace, ratio) in changes {
        if !(0.0..=95.0).contains(&ratio) {
            return Err(ApiError::invalid_params("ratio must be between 0 and 95"));
        }
        match request.throttle.get_mut(&keyspace) {
            Some(of_keyspace) => *of_keyspace = ratio,
            None => return Err(ApiError::invalid_params(format!("there is no keyspace {keyspace}"))),
        }
    }
    Ok(Json(database.view(&cx).throttler(database.request(number)?)))
}
