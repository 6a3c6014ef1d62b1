//! The bodies that show deploy requests.
//!
//! Fields: PlanetScale's API description, and those beyond it that were seen live (`type`, `strategy`,
//! `parallel_lane_blocked`).

use serde_json::{Value, json};

use super::{DeployOperation, DeployRequest, DeploymentState, Review, Strategy};
use crate::clock::Timestamp;
use crate::database::Database;
use crate::schema::{Lint, Operation, highlight};
use crate::settings::{GatedDeployment, Settings};

use DeploymentState as State;

/// The shard of an unsharded keyspace.
const SHARD: &str = "-";

/// What a body is made from.
pub struct View<'a> {
    pub database: &'a Database,
    pub settings: &'a Settings,
    pub now: Timestamp,
}

impl View<'_> {
    /// A deploy request.
    pub fn request(&self, request: &DeployRequest) -> Value {
        let Database { organization, name, .. } = self.database;
        let (deleted_by, deleted_at) = match &request.branch_deleted {
            Some((by, at)) => (json!(by), json!(at)),
            None => (Value::Null, Value::Null),
        };
        let state = if request.is_closed { "closed" } else { "open" };
        json!({
            "id": request.id,
            "type": "DeployRequest",
            "number": request.number,
            "actor": request.actor,
            "closed_by": request.closed_by.as_ref().filter(|_| request.is_closed),
            "branch": request.branch,
            "branch_id": request.branch_id,
            "branch_deleted": request.branch_deleted.is_some(),
            "branch_deleted_by": deleted_by,
            "branch_deleted_at": deleted_at,
            "into_branch": request.into_branch,
            "into_branch_sharded": false,
            "into_branch_shard_count": 1,
            "into_branch_keyspace_count": 1,
            "approved": request.is_approved(),
            "state": request.shown.state.as_deref().unwrap_or(state),
            "deployment_state": shown(request.shown.deployment_state.as_ref(), request.state),
            "deployment": self.deployment(request),
            "num_comments": request.reviews.iter().filter(|review| !review.body.is_empty()).count(),
            "html_url": format!("https://app.planetscale.com/{organization}/{name}/deploy-requests/{}", request.number),
            "notes": request.notes,
            "html_body": html(request.notes.as_deref().unwrap_or_default()),
            "strategy": strategy(request.strategy),
            "created_at": request.times.created,
            "updated_at": request.times.updated,
            "closed_at": request.times.closed,
            "deployed_at": request.times.cutover.filter(|_| request.times.window_end.is_some() || request.instant_ddl),
        })
    }

    /// The deployment of a request.
    pub fn deployment(&self, request: &DeployRequest) -> Value {
        let operations = &request.verdict.operations;
        let preceding = self.preceding(request);
        let parallel_blocked = request.strategy == Strategy::Parallel && !preceding.is_empty();
        let mut body = self.queue_entry(request);
        let more = json!({
            "type": "Deployment",
            "auto_cutover": request.auto_cutover,
            "auto_delete_branch": request.auto_delete_branch,
            "cutover_expiring": false,
            "deploy_check_errors": self.check_errors(request),
            "force_cutover_requested_at": request.times.force_cutover,
            "deployable": self.is_deployable(request),
            "preceding_deployments": preceding.iter().map(|other| self.preceding_entry(other)).collect::<Vec<_>>(),
            "deploy_operations": operations.iter().map(|o| self.operation(request, o)).collect::<Vec<_>>(),
            "deploy_operation_summaries": operations.iter().map(|o| self.summary(request, o)).collect::<Vec<_>>(),
            "lint_errors": request.verdict.lints.iter().map(|lint| lint_body(lint, &self.database.name)).collect::<Vec<_>>(),
            "sequential_diff_dependencies": [],
            "lookup_vindex_operations": [],
            "throttler_configurations": request.throttle,
            "deployment_revert_request": self.revert_request(request),
            "cutover_actor": request.cutover_by,
            "cancelled_actor": request.cancelled_by,
            "schema_last_updated_at": request.verdict.at,
            "table_locked": self.locked_table(request).is_some(),
            "locked_table_name": self.locked_table(request),
            "instant_ddl": request.instant_ddl,
            "instant_ddl_eligible": request.is_instant(),
            "queue_paused": self.queue_pause(request).is_some(),
            "queue_pause_reason": self.queue_pause(request),
            "strategy": strategy(request.strategy),
            "parallel_lane_blocked": parallel_blocked,
        });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        body
    }

    fn is_deployable(&self, request: &DeployRequest) -> bool {
        let waits = self.database.require_approval_for_deploy
            && request.state.is_before_queue()
            && !request.is_approved();
        request.verdict.deployable && (!waits || self.settings.unapproved_is_deployable)
    }

    fn preceding_entry(&self, request: &DeployRequest) -> Value {
        if self.settings.bare_preceding_deployments { json!({}) } else { self.queue_entry(request) }
    }

    /// The part of a deployment that deployments behind it in the queue show.
    fn queue_entry(&self, request: &DeployRequest) -> Value {
        let state = match (request.state, self.settings.gated_deployment) {
            (State::PendingCutover, GatedDeployment::InProgress) => State::InProgress,
            (state, _) => state,
        };
        let times = &request.times;
        json!({
            "id": request.deployment_id,
            "state": shown(request.shown.deployment.as_ref(), state),
            "deploy_request_number": request.number,
            "into_branch": request.into_branch,
            "actor": request.deployed_by,
            "created_at": times.created,
            "updated_at": times.updated,
            "queued_at": times.queued,
            "submitted_at": times.submitted,
            "started_at": times.started,
            "ready_to_cutover_at": times.ready_to_cutover,
            "cutover_at": times.cutover,
            "finished_at": times.finished,
        })
    }

    /// One operation of a deployment.
    pub fn operation(&self, request: &DeployRequest, operation: &DeployOperation) -> Value {
        let diff = &operation.diff;
        let is_used =
            diff.operation != Operation::Create && self.database.recently_used_tables.contains(&diff.table);
        let errors = request.failure.as_ref().filter(|_| request.state == State::CompleteError);
        json!({
            "id": operation.id,
            "type": "DeployOperation",
            "state": operation_state(request.state),
            "keyspace_name": self.database.name,
            "table_name": diff.table,
            "operation_name": diff.operation.as_str(),
            "eta_seconds": self.eta(request),
            "progress_percentage": request.progress(self.now, &self.settings.durations),
            "deploy_error_docs_url": null,
            "ddl_statement": diff.statement,
            "syntax_highlighted_ddl": highlight(&diff.statement),
            "created_at": request.verdict.at,
            "updated_at": request.times.updated,
            "throttled_at": null,
            "can_drop_data": diff.can_drop_data,
            "table_locked": self.locked_table(request) == Some(diff.table.as_str()),
            "table_recently_used": is_used,
            "table_recently_used_at": is_used.then_some(self.now),
            "removed_foreign_key_names": diff.removed_foreign_keys,
            "deploy_errors": errors.map_or("", |error| error.as_str()),
        })
    }

    fn summary(&self, request: &DeployRequest, operation: &DeployOperation) -> Value {
        let mut summary = self.operation(request, operation);
        let state = summary["state"].clone();
        let progress = request.progress(self.now, &self.settings.durations).unwrap_or_default();
        let eta = self.eta(request).unwrap_or_default();
        let more = json!({
            "type": "DeployOperationSummary",
            "eta_seconds": eta,
            "progress_percentage": progress,
            "shard_count": 1,
            "shard_names": [SHARD],
            "sharded": false,
            "operations": [{
                "id": operation.id,
                "shard": SHARD,
                "state": state,
                "progress_percentage": progress,
                "eta_seconds": eta,
            }],
        });
        if let (Value::Object(summary), Value::Object(more)) = (&mut summary, more) {
            summary.extend(more);
        }
        summary
    }

    /// A review.
    pub fn review(&self, review: &Review) -> Value {
        json!({
            "id": review.id,
            "type": "DeployRequestReview",
            "body": review.body,
            "html_body": html(&review.body),
            "state": review.state,
            "created_at": review.created_at,
            "updated_at": review.created_at,
            "actor": review.actor,
        })
    }

    /// The throttler of a request.
    pub fn throttler(&self, request: &DeployRequest) -> Value {
        let configurations = request.throttle.iter();
        json!({
            "keyspaces": [self.database.name],
            "configurable": {
                "id": request.deployment_id,
                "name": format!("Deploy request #{}", request.number),
                "created_at": request.times.created,
                "updated_at": request.times.updated,
                "deleted_at": null,
            },
            "configurations": configurations
                .map(|(keyspace, ratio)| json!({"keyspace_name": keyspace, "ratio": ratio}))
                .collect::<Vec<_>>(),
        })
    }

    /// Whether there is room for the copies of the tables that a deployment rewrites. A table is taken to hold its
    /// equal share of what is used.
    pub fn storage_check(&self, request: &DeployRequest, tables_of_base: usize) -> Value {
        let Settings { storage_used_bytes: used, storage_capacity_bytes: capacity, .. } = *self.settings;
        let altered = |o: &&DeployOperation| o.diff.operation == Operation::Alter;
        let altered = request.verdict.operations.iter().filter(altered).count() as u64;
        let needed = used / (tables_of_base.max(1) as u64) * altered;
        let remaining = capacity.saturating_sub(used);
        let has_enough = needed <= remaining;
        let shard = json!({
            "used": used,
            "capacity": capacity,
            "remaining": remaining,
            "percentage_used": used as f64 * 100.0 / capacity.max(1) as f64,
            "storage_needed": needed,
            "has_enough": has_enough,
        });
        json!({
            "enough_storage": has_enough,
            "upgradeable": true,
            "storage_bytes_needed": needed,
            "storage_report": {&self.database.name: {SHARD: shard}},
        })
    }

    fn preceding(&self, request: &DeployRequest) -> Vec<&DeployRequest> {
        if request.state != State::Queued {
            return Vec::new();
        }
        let mut ahead: Vec<_> =
            self.database.deploy_requests.iter().filter(|other| request.is_behind(other)).collect();
        ahead.sort_by_key(|other| other.queue_position);
        ahead
    }

    fn check_errors(&self, request: &DeployRequest) -> Option<String> {
        let failed = matches!(request.state, State::CompleteError | State::CompleteRevertError);
        if failed { request.failure.clone() } else { request.verdict.check_errors.clone() }
    }

    fn locked_table<'a>(&self, request: &'a DeployRequest) -> Option<&'a str> {
        request.locked_table.as_deref().filter(|_| request.state == State::InProgressCutover)
    }

    fn queue_pause(&self, request: &DeployRequest) -> Option<&str> {
        self.database.branch(&request.into_branch)?.queue_pause.as_deref()
    }

    /// Seconds until the migration is done, once it runs.
    fn eta(&self, request: &DeployRequest) -> Option<u64> {
        request.progress(self.now, &self.settings.durations)?;
        let left = match request.state {
            State::InProgress => {
                let elapsed = self.now - request.state_since;
                self.settings.durations.in_progress.saturating_sub(elapsed)
            }
            _ => 0,
        };
        Some(left.div_ceil(1000))
    }

    fn revert_request(&self, request: &DeployRequest) -> Value {
        let Some(window_end) = request.times.window_end else { return Value::Null };
        let state = if request.times.revert_finished.is_some() { "complete" } else { "submit" };
        let errors = request.failure.as_ref().filter(|_| request.state == State::CompleteRevertError);
        // The statements are those of the deployment, not their opposites (seen in webhook samples).
        let operation = |operation: &DeployOperation| {
            json!({
                "id": operation.id,
                "type": "DeployRevertOperation",
                "ddl_statement": operation.diff.statement,
                "operation_name": operation.diff.operation.as_str(),
                "state": state,
                "table_name": operation.diff.table,
                "created_at": request.times.finished,
                "updated_at": request.times.updated,
                "revert_errors": errors,
            })
        };
        json!({
            "id": format!("{}-revert", request.deployment_id),
            "type": "DeploymentRevert",
            "actor": request.reverted_by,
            "cancelled_at": request.times.revert_cancelled,
            "finished_at": request.times.revert_finished,
            "waiting_period_end_at": window_end,
            "deploy_revert_operations": request.verdict.operations.iter().map(operation).collect::<Vec<_>>(),
        })
    }
}

/// One finding of validation (fields as in webhook samples).
pub fn lint_body(lint: &Lint, keyspace: &str) -> Value {
    let code = lint.code.as_str();
    let anchor = code.to_ascii_lowercase();
    json!({
        "type": "DeploymentLintError",
        "lint_error": code,
        "subject_type": "table_error",
        "statement": "",
        "keyspace_name": keyspace,
        "table_name": lint.table,
        "error_description": lint.description,
        "docs_url": format!("https://planetscale.com/docs/vitess/schema-changes/schema-lint-errors#{anchor}"),
        "column_name": lint.column,
        "foreign_key_column_names": lint.foreign_key_columns,
        "auto_increment_column_names": [],
        "charset_name": lint.charset,
        "engine_name": "",
        "vindex_name": null,
        "json_path": null,
        "schema_identifier": "SOURCE",
        "conflict_columns": null,
        "conflict_indexes": null,
        "conflict_constraints": null,
        "conflict_partitions": null,
        "conflict_error": "CONFLICT_UNSPECIFIED",
        "conflict_ddl_verb": "DDL_VERB_UNSPECIFIED",
        "check_constraint_name": "",
        "enum_value": lint.enum_value,
        "partitioning_type": "",
        "partition_name": "",
        "view_name": "",
        "boost_query": null,
    })
}

fn operation_state(state: State) -> &'static str {
    match state {
        state if state.is_before_queue() => "pending",
        State::Queued | State::Submitting => "pending",
        State::InProgress | State::InProgressVschema | State::PendingCutover | State::InProgressCutover => {
            "in_progress"
        }
        State::InProgressCancel | State::CompleteCancel | State::Cancelled => "cancelled",
        State::CompleteError => "error",
        _ => "complete",
    }
}

fn shown(instead: Option<&String>, real: State) -> Value {
    instead.map_or_else(|| json!(real), |instead| json!(instead))
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Serial => "serial",
        Strategy::Parallel => "parallel",
    }
}

fn html(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("<p>{}</p>", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}
