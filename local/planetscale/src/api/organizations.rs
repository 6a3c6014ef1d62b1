//! Organizations.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde_json::{Value, json};

use super::Answer;
use super::extract::Caller;
use super::page::{Paging, Totals};
use crate::app::App;
use crate::error::ApiError;
use crate::world::Organization;

/// The organization of the token. Every token sees it: clients use this to tell a wrong token from a missing
/// permission.
pub async fn list(State(app): State<Arc<App>>, caller: Caller, Query(paging): Query<Paging>) -> Answer {
    let world = app.world();
    let organizations = world.organizations.get(&caller.token.organization);
    Ok(Json(paging.page(organizations.into_iter().map(body).collect(), Totals::Absent, &caller)))
}

pub async fn show(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let world = app.world();
    let organization = world.organizations.get(&name).filter(|_| caller.token.organization == name);
    let may_read = caller.token.permissions.contains("read_organization");
    Ok(Json(body(organization.filter(|_| may_read).ok_or_else(ApiError::not_found)?)))
}

fn body(organization: &Organization) -> Value {
    json!({
        "id": organization.id,
        "type": "Organization",
        "name": organization.name,
        "billing_email": format!("billing@{}.example", organization.name),
        "created_at": organization.created_at,
        "updated_at": organization.created_at,
        "plan": "scaler_pro",
        "valid_billing_info": true,
        "sso": false,
        "sso_directory": false,
        "single_tenancy": false,
        "managed_tenancy": false,
        "has_past_due_invoices": false,
        "database_count": organization.databases.len(),
        "sso_portal_url": null,
        "features": {},
        "idp_managed_roles": false,
        "invoice_budget_amount": "0.0",
        "keyspace_shard_limit": 1,
        "has_card": true,
        "payment_info_required": false,
    })
}
