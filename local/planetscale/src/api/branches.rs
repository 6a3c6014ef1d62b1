//! Branches.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Answer;
use super::databases::region;
use super::extract::{Body, Caller};
use super::page::{Paging, Totals};
use crate::app::App;
use crate::database::{Branch, Context, Database};
use crate::deploy_request::lint_body;
use crate::error::ApiError;
use crate::schema;

/// Each of these lets a token see a branch (PlanetScale's API description).
const READ: [&str; 5] =
    ["read_branch", "delete_branch", "create_branch", "connect_production_branch", "connect_branch"];

type BranchPath = Path<(String, String, String)>;

pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, database)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Answer {
    let mut world = app.world();
    let (database, cx) = caller.database(&mut world, &organization, &database, &READ)?;
    let bodies = database.branches.iter().map(|branch| body(database, branch, &cx, &caller.origin)).collect();
    Ok(Json(paging.page(bodies, Totals::Shown, &caller)))
}

pub async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, database, branch)): BranchPath,
) -> Answer {
    let mut world = app.world();
    let (database, cx) = caller.database(&mut world, &organization, &database, &READ)?;
    let branch = database.branch(&branch).ok_or_else(ApiError::not_found)?;
    Ok(Json(body(database, branch, &cx, &caller.origin)))
}

#[derive(Deserialize)]
pub struct NewBranch {
    name: String,
    parent_branch: Option<String>,
}

pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, database)): Path<(String, String)>,
    Body(new): Body<NewBranch>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let mut world = app.world();
    let (database, mut cx) = caller.database(&mut world, &organization, &database, &["create_branch"])?;
    if database.branch(&new.name).is_some() {
        return Err(ApiError::new(422, "Name has already been taken"));
    }
    let parent = new.parent_branch.unwrap_or_else(|| database.default_branch.clone());
    database.branch(&parent).ok_or_else(ApiError::not_found)?;
    database.create_branch(&new.name, Some(&parent), Some(caller.actor()), &mut cx)?;
    let branch = database.branch(&new.name).ok_or_else(ApiError::not_found)?;
    Ok((StatusCode::CREATED, Json(body(database, branch, &cx, &caller.origin))))
}

pub async fn delete(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, database, branch)): BranchPath,
) -> Result<StatusCode, ApiError> {
    let mut world = app.world();
    let (database, mut cx) = caller.database(&mut world, &organization, &database, &["delete_branch"])?;
    database.delete_branch(&branch, Some(&caller.actor()), &mut cx)?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn schema(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, database, branch)): BranchPath,
) -> Answer {
    let mut world = app.world();
    let (database, cx) = caller.database(&mut world, &organization, &database, &READ)?;
    database.branch(&branch).ok_or_else(ApiError::not_found)?;
    let schema = database.schema(&branch, cx.storage)?;
    let tables = schema.tables().map(|table| statement_body(table.name(), &table.to_sql()));
    Ok(Json(json!({"data": tables.collect::<Vec<_>>()})))
}

pub async fn lint(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, database, branch)): BranchPath,
    Query(paging): Query<Paging>,
) -> Answer {
    let mut world = app.world();
    let (database, cx) = caller.database(&mut world, &organization, &database, &READ)?;
    database.branch(&branch).ok_or_else(ApiError::not_found)?;
    let found = schema::lint(&database.schema(&branch, cx.storage)?, database.foreign_keys_enabled);
    let bodies = found.iter().map(|lint| {
        let mut body = lint_body(lint, &database.name);
        // Here the API description says `table`; a deployment's lint errors say `table_error`.
        body["subject_type"] = json!("table");
        body
    });
    Ok(Json(paging.page(bodies.collect(), Totals::Absent, &caller)))
}

pub async fn enable_safe_migrations(State(app): State<Arc<App>>, caller: Caller, path: BranchPath) -> Answer {
    set_safe_migrations(&app, &caller, path, true)
}

pub async fn disable_safe_migrations(
    State(app): State<Arc<App>>,
    caller: Caller,
    path: BranchPath,
) -> Answer {
    set_safe_migrations(&app, &caller, path, false)
}

fn set_safe_migrations(
    app: &App,
    caller: &Caller,
    Path((organization, database, branch)): BranchPath,
    enabled: bool,
) -> Answer {
    let mut world = app.world();
    let access = world.settings.undocumented_access.clone();
    let access: Vec<&str> = access.iter().map(String::as_str).collect();
    let (database, cx) = caller.database(&mut world, &organization, &database, &access)?;
    let found = database.branch_mut(&branch).ok_or_else(ApiError::not_found)?;
    found.safe_migrations.set(enabled, cx.now, cx.settings.safe_migrations_lag);
    found.updated_at = cx.now;
    let found = database.branch(&branch).ok_or_else(ApiError::not_found)?;
    Ok(Json(body(database, found, &cx, &caller.origin)))
}

/// A statement with a name, as schemas and diffs show it.
pub fn statement_body(name: &str, statement: &str) -> Value {
    json!({"name": name, "raw": statement, "html": schema::highlight(statement)})
}

fn body(database: &Database, branch: &Branch, cx: &Context<'_>, origin: &str) -> Value {
    let Database { organization, name: database_name, .. } = database;
    let name = &branch.name;
    let parent = branch.parent.as_ref().and_then(|parent| database.branch(parent));
    let path = format!("{organization}/databases/{database_name}/branches/{name}");
    json!({
        "id": branch.id,
        "type": "Branch",
        "name": name,
        "created_at": branch.created_at,
        "updated_at": branch.updated_at,
        "deleted_at": null,
        "restore_checklist_completed_at": null,
        "schema_last_updated_at": branch.schema_last_updated_at,
        "kind": "mysql",
        "mysql_address": "aws.connect.psdb.cloud",
        "mysql_edge_address": "aws.connect.psdb.cloud",
        "state": branch.state,
        "direct_vtgate": false,
        "vtgate_size": "vtg_5",
        "vtgate_name": "VTG_5",
        "vtgate_count": 1,
        "vtgate_autoscaling": false,
        "vtgate_max_count": null,
        "vtgate_target_cpu_utilization": null,
        "cluster_name": "PS_10",
        "cluster_iops": null,
        "ready": branch.ready,
        "schema_ready": branch.ready,
        "metal": false,
        "production": branch.production,
        "safe_migrations": branch.safe_migrations.are_enabled(cx.now),
        "deletion_protected": false,
        "sharded": false,
        "shard_count": 1,
        "keyspace_count": 1,
        "stale_schema": parent.is_some_and(|parent| parent.version > branch.parent_version),
        "actor": branch.actor,
        "restored_from_branch": null,
        "private_edge_connectivity": false,
        "has_replicas": branch.production,
        "has_read_only_replicas": false,
        "html_url": format!("https://app.planetscale.com/{organization}/{database_name}/{name}"),
        "url": format!("{origin}/v1/organizations/{path}"),
        "region": region(),
        "parent_branch": branch.parent,
        "vtgate_options": {},
    })
}
