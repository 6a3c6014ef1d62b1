//! What can be set: durations, and every point on which PlanetScale's behaviour is not known.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Every setting with its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub durations: Durations,
    pub still_validating: StillValidating,
    /// Requests per minute and organization before 429; none by default, 600 in PlanetScale's documentation.
    pub rate_limit_per_minute: Option<u32>,
    /// Whether a 429 has `Retry-After`: unknown.
    pub rate_limit_retry_after: bool,
    pub statuses: Statuses,
    /// Whether a request that lacks a required approval shows `deployable` as false, without an error: unknown.
    pub unapproved_is_deployable: bool,
    /// What refuses a deploy for want of an approval: unknown.
    pub approval_refusal: String,
    /// The state of a gated request's deployment: unknown. PlanetScale's CLI looks for `pending_cutover`; a webhook
    /// sample has `in_progress`, perhaps a snapshot in the middle.
    pub gated_deployment: GatedDeployment,
    /// What a request is given that leaves `auto_delete_branch` out: unknown.
    pub auto_delete_branch_left_out: LeftOut,
    /// Whether an entry of `preceding_deployments` has fields: the API description gives it no type.
    pub bare_preceding_deployments: bool,
    /// A second open request of the same head branch: unknown.
    pub second_open_request: SecondOpenRequest,
    /// Closing a closed request: unknown.
    pub close_closed: Reaction,
    /// What becomes of a request that is cancelled while it is queued: unknown.
    pub cancel_queued: CancelQueued,
    /// The deployment state of a request after complete-deploy: unknown.
    pub unblocked_state: UnblockedState,
    /// The state of a request with more than ten tables, which cannot be deployed: unknown.
    pub too_many_tables: TooManyTables,
    /// What a change of the base branch does to open requests that are not queued: unknown.
    pub base_change: BaseChange,
    /// Whether a sleeping database takes new requests: unknown.
    pub sleeping_database: Reaction,
    /// The permission for endpoints whose permissions are not documented (deploy queue, diff, safe migrations);
    /// `null` asks for any.
    pub undocumented_access: Option<String>,
    /// Milliseconds until a change of safe migrations shows; about 100 seconds were seen live.
    pub safe_migrations_lag: u64,
    pub storage_capacity_bytes: u64,
    pub storage_used_bytes: u64,
}

/// Milliseconds in each deployment state; a state with 0 is skipped where the API allows that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Durations {
    pub pending: u64,
    pub queued: u64,
    pub submitting: u64,
    pub in_progress: u64,
    pub in_progress_vschema: u64,
    pub in_progress_cutover: u64,
    pub in_progress_cancel: u64,
    /// The revert window: 30 minutes in PlanetScale's documentation.
    pub complete_pending_revert: u64,
    pub in_progress_revert: u64,
    pub in_progress_revert_vschema: u64,
}

/// The refusal to deploy that can come although a request is ready (seen live): it ends when both are used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StillValidating {
    /// Milliseconds after the request became ready.
    pub ms: u64,
    /// How many deploys of each request are refused.
    pub count: u32,
}

/// The status of each refusal: probable, or unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statuses {
    /// Deploying what is on its way, deployed or closed.
    pub cannot_be_deployed: u16,
    /// Deploying what validation refused.
    pub not_deployable: u16,
    pub approval_required: u16,
    /// A call without the permission: 404 in PlanetScale's documentation, and 403 is listed for every call.
    pub missing_permission: u16,
    /// Approving one's own request.
    pub own_approval: u16,
    pub no_safe_migrations: u16,
    /// Cancel, apply, revert, skip-revert and so on in a state that does not allow it.
    pub wrong_state: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    Accept,
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatedDeployment {
    PendingCutover,
    InProgress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// The value of the last request.
    AsBefore,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondOpenRequest {
    Accept,
    RefuseCreate,
    /// The second is refused when it is deployed while the first is on its way.
    RefuseDeploy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelQueued {
    /// It is closed, in state `cancelled`.
    Cancelled,
    /// It is `ready` again.
    Ready,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnblockedState {
    /// The error state stays.
    Keep,
    Complete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooManyTables {
    Error,
    Ready,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseChange {
    /// They are validated again.
    Revalidate,
    /// They keep their operations.
    Keep,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            durations: Durations {
                pending: 200,
                queued: 50,
                submitting: 50,
                in_progress: 300,
                in_progress_vschema: 0,
                in_progress_cutover: 100,
                in_progress_cancel: 100,
                complete_pending_revert: 1_800_000,
                in_progress_revert: 200,
                in_progress_revert_vschema: 0,
            },
            still_validating: StillValidating { ms: 0, count: 0 },
            rate_limit_per_minute: None,
            rate_limit_retry_after: false,
            statuses: Statuses {
                cannot_be_deployed: 422,
                not_deployable: 422,
                approval_required: 403,
                missing_permission: 404,
                own_approval: 422,
                no_safe_migrations: 422,
                wrong_state: 422,
            },
            unapproved_is_deployable: false,
            approval_refusal: "Deploy request must be approved before deploying.".into(),
            gated_deployment: GatedDeployment::PendingCutover,
            auto_delete_branch_left_out: LeftOut::AsBefore,
            bare_preceding_deployments: false,
            second_open_request: SecondOpenRequest::Accept,
            close_closed: Reaction::Refuse,
            cancel_queued: CancelQueued::Cancelled,
            unblocked_state: UnblockedState::Keep,
            too_many_tables: TooManyTables::Error,
            base_change: BaseChange::Revalidate,
            sleeping_database: Reaction::Refuse,
            undocumented_access: None,
            safe_migrations_lag: 0,
            storage_capacity_bytes: 10 << 30,
            storage_used_bytes: 1 << 30,
        }
    }
}

impl Settings {
    /// These settings with some changed; objects are merged.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn changed(&self, changes: &Map<String, Value>) -> Result<Self, String> {
        let mut value = serde_json::to_value(self).map_err(|error| error.to_string())?;
        merge(&mut value, changes);
        serde_json::from_value(value).map_err(|error| format!("The settings do not fit: {error}."))
    }
}

fn merge(value: &mut Value, changes: &Map<String, Value>) {
    for (name, change) in changes {
        match (value.get_mut(name), change) {
            (Some(inner @ Value::Object(_)), Value::Object(changes)) => merge(inner, changes),
            _ => value[name] = change.clone(),
        }
    }
}
