//! Databases.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde_json::{Value, json};

use super::Answer;
use super::extract::Caller;
use super::page::{Paging, Totals};
use crate::app::App;
use crate::database::{Context, Database};
use crate::error::ApiError;

/// Each of these lets a token see a database (PlanetScale's API description).
const READ: [&str; 28] = [
    "read_database",
    "delete_database",
    "write_database",
    "read_branch",
    "delete_branch",
    "create_branch",
    "promote_branches",
    "demote_branches",
    "delete_production_branch",
    "connect_branch",
    "connect_production_branch",
    "connect_production_read_only_branch",
    "delete_branch_password",
    "delete_production_branch_password",
    "delete_production_read_only_branch_password",
    "read_deploy_request",
    "create_deploy_request",
    "approve_deploy_request",
    "read_comment",
    "create_comment",
    "restore_backup",
    "restore_production_branch_backup",
    "read_backups",
    "write_backups",
    "delete_backups",
    "delete_production_branch_backups",
    "write_branch_vschema",
    "write_production_branch_vschema",
];

/// The databases that the token may see.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(organization): Path<String>,
    Query(paging): Query<Paging>,
) -> Answer {
    let mut world = app.world();
    let own = world.organizations.get(&organization).filter(|_| caller.token.organization == organization);
    let names: Vec<String> = own.ok_or_else(ApiError::not_found)?.databases.keys().cloned().collect();
    let mut bodies = Vec::new();
    for name in names.iter().filter(|name| caller.token.may(name, &READ)) {
        let (database, cx) = world.database(&organization, name)?;
        bodies.push(body(database, &cx, &caller.origin)?);
    }
    Ok(Json(paging.page(bodies, Totals::Shown, &caller)))
}

pub async fn show(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path((organization, database)): Path<(String, String)>,
) -> Answer {
    let mut world = app.world();
    let (database, cx) = caller.database(&mut world, &organization, &database, &READ)?;
    Ok(Json(body(database, &cx, &caller.origin)?))
}

fn body(database: &Database, cx: &Context<'_>, origin: &str) -> Result<Value, ApiError> {
    let Database { organization, name, .. } = database;
    let url = format!("{origin}/v1/organizations/{organization}/databases/{name}");
    let production = database.branches.iter().filter(|branch| branch.production).count();
    let default = database.branch(&database.default_branch);
    Ok(json!({
        "id": database.id,
        "type": "Database",
        "url": url,
        "branches_url": format!("{url}/branches"),
        "branches_count": database.branches.len(),
        "open_schema_recommendations_count": 0,
        "development_branches_count": database.branches.len() - production,
        "production_branches_count": production,
        "issues_count": 0,
        "multiple_admins_required_for_deletion": false,
        "ready": database.state == "ready",
        "at_backup_restore_branches_limit": false,
        "at_development_branch_usage_limit": false,
        "data_import": null,
        "region": region(),
        "html_url": format!("https://app.planetscale.com/{organization}/{name}"),
        "name": name,
        "state": database.state,
        "sharded": false,
        "default_branch_shard_count": 1,
        "default_branch_read_only_regions_count": 0,
        "default_branch_table_count": database.schema(&database.default_branch, cx.storage)?.tables().len(),
        "default_branch": database.default_branch,
        "require_approval_for_deploy": database.require_approval_for_deploy,
        "deletion_protected": false,
        "resizing": false,
        "resize_queued": false,
        "config_changing": false,
        "config_change_queued": false,
        "allow_data_branching": false,
        "foreign_keys_enabled": database.foreign_keys_enabled,
        "automatic_migrations": null,
        "restrict_branch_region": false,
        "insights_raw_queries": false,
        "plan": "scaler_pro",
        "insights_enabled": true,
        "production_branch_web_console": false,
        "migration_table_name": null,
        "migration_framework": null,
        "created_at": database.created_at,
        "updated_at": database.updated_at,
        "schema_last_updated_at": default.and_then(|branch| branch.schema_last_updated_at),
        "kind": "mysql",
    }))
}

/// The one region there is.
pub fn region() -> Value {
    json!({
        "id": "emulated-region",
        "type": "Region",
        "provider": "AWS",
        "enabled": true,
        "public_ip_addresses": [],
        "display_name": "AWS us-east-1",
        "location": "Northern Virginia",
        "slug": "us-east",
        "current_default": true,
        "mysql_supported": true,
        "postgresql_supported": false,
    })
}
