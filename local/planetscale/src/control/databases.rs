//! Control of databases and branches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Refusal, Shared, read};
use crate::app::App;
use crate::database::{Context, Database, NextOutcomes, RevertOutcome, SafeMigrations, SqlError, new_id};
use crate::error::ApiError;
use crate::world::{Organization, World};

type DatabasePath = Path<(String, String)>;
type BranchPath = Path<(String, String, String)>;

/// The routes below a database.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", put(put_database).get(show_database))
        .route("/next", put(put_next))
        .route("/branches/{branch}", put(put_branch).delete(delete_branch))
        .route("/branches/{branch}/sql", post(run_sql))
        .route("/branches/{branch}/schema", get(schema))
        .route("/branches/{branch}/connection", get(connection))
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// A database, or a refusal that names what is missing.
pub fn database<'w>(
    world: &'w mut World,
    organization: &str,
    database: &str,
) -> Result<(&'w mut Database, Context<'w>), Refusal> {
    world
        .database(organization, database)
        .map_err(|_| Refusal::not_found(format!("database {database} in organization {organization}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutDatabase {
    default_branch: Option<String>,
    /// The tables of the default branch when the database is created.
    #[serde(default)]
    schema: String,
    /// Branches to make from the default branch.
    #[serde(default)]
    branches: Vec<String>,
    require_approval_for_deploy: Option<bool>,
    foreign_keys_enabled: Option<bool>,
    state: Option<String>,
    recently_used_tables: Option<BTreeSet<String>>,
}

async fn put_database(State(app): Shared, Path((organization, name)): DatabasePath, body: Bytes) -> Answer {
    let put: PutDatabase = read(&body)?;
    let mut world = app.world();
    let is_new = world.database(&organization, &name).is_err();
    if is_new {
        let default_branch = put.default_branch.clone().unwrap_or_else(|| "main".into());
        create_database(&mut world, &organization, &name, default_branch);
    }
    let outcome = set_up(&mut world, &organization, &name, put, is_new);
    if is_new && outcome.is_err() {
        world.remove_database(&organization, &name).map_err(ApiError::from)?;
    }
    outcome
}

fn create_database(world: &mut World, organization: &str, name: &str, default_branch: String) {
    let now = world.now;
    let organization = world.organizations.entry(organization.to_owned()).or_insert_with(|| Organization {
        id: new_id(),
        name: organization.to_owned(),
        created_at: now,
        databases: BTreeMap::new(),
    });
    let database = Database {
        id: new_id(),
        organization: organization.name.clone(),
        name: name.to_owned(),
        created_at: now,
        updated_at: now,
        state: "ready".into(),
        default_branch,
        require_approval_for_deploy: false,
        foreign_keys_enabled: false,
        recently_used_tables: BTreeSet::new(),
        branches: Vec::new(),
        deploy_requests: Vec::new(),
        next: NextOutcomes::default(),
    };
    organization.databases.insert(name.to_owned(), database);
}

fn set_up(world: &mut World, organization: &str, name: &str, put: PutDatabase, is_new: bool) -> Answer {
    let (found, mut cx) = database(world, organization, name)?;
    let default = found.default_branch.clone();
    if is_new {
        found.create_branch(&default, None, None, &mut cx).map_err(ApiError::from)?;
        found.run_sql(&default, &put.schema, true, &mut cx)?;
    }
    for branch in &put.branches {
        if found.branch(branch).is_none() {
            found.create_branch(branch, Some(&default), None, &mut cx).map_err(ApiError::from)?;
        }
    }
    if let Some(wanted) = put.default_branch {
        if found.branch(&wanted).is_none() {
            return Err(Refusal::not_found(format!("branch {wanted}")));
        }
        found.default_branch = wanted;
    }
    set(&mut found.require_approval_for_deploy, put.require_approval_for_deploy);
    set(&mut found.foreign_keys_enabled, put.foreign_keys_enabled);
    set(&mut found.state, put.state);
    set(&mut found.recently_used_tables, put.recently_used_tables);
    found.updated_at = cx.now;
    Ok(Json(summary(found, &cx)))
}

async fn show_database(State(app): Shared, Path((organization, name)): DatabasePath) -> Answer {
    let mut world = app.world();
    let (found, cx) = database(&mut world, &organization, &name)?;
    Ok(Json(summary(found, &cx)))
}

fn summary(database: &Database, cx: &Context<'_>) -> Value {
    let branches = database.branches.iter().map(|branch| {
        let body = json!({
            "parent": branch.parent,
            "production": branch.production,
            "safe_migrations": branch.safe_migrations.are_enabled(cx.now),
            "state": branch.state,
            "ready": branch.ready,
            "queue_pause": branch.queue_pause.as_deref().unwrap_or_default(),
        });
        (branch.name.clone(), body)
    });
    json!({
        "default_branch": database.default_branch,
        "require_approval_for_deploy": database.require_approval_for_deploy,
        "foreign_keys_enabled": database.foreign_keys_enabled,
        "state": database.state,
        "recently_used_tables": database.recently_used_tables,
        "branches": branches.collect::<serde_json::Map<_, _>>(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
struct PutNext {
    /// The text of the error in which the next deploy ends.
    deploy_error: Option<String>,
    /// The text with which the next revert is refused.
    revert_refused: Option<String>,
    /// The text of the error in which the next revert ends.
    revert_error: Option<String>,
}

async fn put_next(State(app): Shared, Path((organization, name)): DatabasePath, body: Bytes) -> Answer {
    let next: PutNext = read(&body)?;
    let mut world = app.world();
    let (found, _) = database(&mut world, &organization, &name)?;
    let refused = next.revert_refused.map(RevertOutcome::Refused);
    found.next = NextOutcomes {
        deploy_error: next.deploy_error,
        revert: refused.or(next.revert_error.map(RevertOutcome::Error)),
    };
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBranch {
    /// The branch whose schema a new one takes; the default branch if none is named.
    parent: Option<String>,
    production: Option<bool>,
    safe_migrations: Option<bool>,
    state: Option<String>,
    ready: Option<bool>,
    /// Why deployments into this branch do not start; empty when they do.
    queue_pause: Option<String>,
}

async fn put_branch(
    State(app): Shared,
    Path((organization, name, branch)): BranchPath,
    body: Bytes,
) -> Answer {
    let put: PutBranch = read(&body)?;
    let mut world = app.world();
    let (found, mut cx) = database(&mut world, &organization, &name)?;
    if found.branch(&branch).is_none() {
        let parent = put.parent.unwrap_or_else(|| found.default_branch.clone());
        if found.branch(&parent).is_none() {
            return Err(Refusal::not_found(format!("branch {parent}")));
        }
        found.create_branch(&branch, Some(&parent), None, &mut cx).map_err(ApiError::from)?;
    }
    if let Some(branch) = found.branch_mut(&branch) {
        set(&mut branch.production, put.production);
        set(&mut branch.state, put.state);
        set(&mut branch.ready, put.ready);
        if let Some(enabled) = put.safe_migrations {
            branch.safe_migrations = SafeMigrations::new(enabled, cx.now);
        }
        if let Some(pause) = put.queue_pause {
            branch.queue_pause = Some(pause).filter(|pause| !pause.is_empty());
        }
        branch.updated_at = cx.now;
    }
    Ok(Json(summary(found, &cx)["branches"][&branch].take()))
}

async fn delete_branch(State(app): Shared, Path((organization, name, branch)): BranchPath) -> Answer {
    let mut world = app.world();
    let (found, mut cx) = database(&mut world, &organization, &name)?;
    found.delete_branch(&branch, None, &mut cx)?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RunSql {
    sql: String,
    /// Whether to go around safe migrations.
    #[serde(default)]
    force: bool,
}

async fn run_sql(State(app): Shared, Path((organization, name, branch)): BranchPath, body: Bytes) -> Answer {
    let run: RunSql = read(&body)?;
    let mut world = app.world();
    let (found, mut cx) = database(&mut world, &organization, &name)?;
    if found.branch(&branch).is_none() {
        return Err(Refusal::not_found(format!("branch {branch}")));
    }
    found.run_sql(&branch, &run.sql, run.force, &mut cx)?;
    tables(found, &branch, &cx)
}

async fn schema(State(app): Shared, Path((organization, name, branch)): BranchPath) -> Answer {
    let mut world = app.world();
    let (found, cx) = database(&mut world, &organization, &name)?;
    if found.branch(&branch).is_none() {
        return Err(Refusal::not_found(format!("branch {branch}")));
    }
    tables(found, &branch, &cx)
}

/// How to connect to the branch's database.
async fn connection(State(app): Shared, Path((organization, name, branch)): BranchPath) -> Answer {
    let mut world = app.world();
    let (found, cx) = database(&mut world, &organization, &name)?;
    let found = found.branch(&branch).ok_or_else(|| Refusal::not_found(format!("branch {branch}")))?;
    let connection = cx.storage.connection(&found.id).map_err(ApiError::from)?;
    let connection = connection.ok_or_else(|| {
        Refusal::not_found(
            "database behind the branches: they are kept in memory; start with --database-server",
        )
    })?;
    Ok(Json(json!(connection)))
}

/// Each table's CREATE TABLE statement by the table's name.
fn tables(database: &Database, branch: &str, cx: &Context<'_>) -> Answer {
    let schema = database.schema(branch, cx.storage).map_err(ApiError::from)?;
    let tables = schema.tables().map(|table| (table.name().to_owned(), json!(table.to_sql())));
    Ok(Json(Value::Object(tables.collect())))
}

fn set<T>(value: &mut T, to: Option<T>) {
    if let Some(to) = to {
        *value = to;
    }
}
