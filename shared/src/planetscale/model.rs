//! The parts of PlanetScale's response bodies that a release reads.
//!
//! Source: PlanetScale's API description. Fields that a release does not need are left out; fields that are missing
//! or null in bodies seen live are optional. The description gives the items of some lists no type, so an item that
//! cannot be read is one of which nothing is known, and does not hide its neighbours.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::state::{DeploymentState, Stage, stage};
use crate::{order, text};

/// A deploy request: PlanetScale's unit of schema change.
#[derive(Debug, Clone, Deserialize)]
pub struct DeployRequest {
    /// Its number within the database.
    pub number: DeployRequestNumber,
    /// The head branch.
    pub branch: String,
    /// The base branch.
    pub into_branch: String,
    /// `open` or `closed`.
    pub state: String,
    /// The state of its deployment, as the request shows it.
    pub deployment_state: DeploymentState,
    /// Whether somebody approved it; false also on requests that need no approval.
    #[serde(default, deserialize_with = "null_as_default")]
    pub approved: bool,
    /// Its page in PlanetScale's web application.
    #[serde(default, deserialize_with = "null_as_default")]
    pub html_url: String,
    /// When its change was applied, if PlanetScale says so.
    pub deployed_at: Option<DateTime<Utc>>,
    /// Its deployment.
    pub deployment: Option<Deployment>,
    /// The tables of the base branch, if they were read with it.
    #[serde(skip)]
    pub base: Base,
    /// Whether PlanetScale calls the schema of the head branch stale; false also when nobody asked.
    #[serde(skip)]
    pub head_is_stale: bool,
    /// Whether the base branch has room for the change; none when nobody asked, or PlanetScale does not say.
    #[serde(skip)]
    pub storage: Option<StorageCheck>,
}

/// The answer to `GET deploy-requests/{number}/storage-check`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StorageCheck {
    /// Whether the cluster of the base branch has enough storage to deploy safely.
    pub enough_storage: bool,
    /// Whether that cluster can be given more.
    #[serde(default, deserialize_with = "null_as_default")]
    pub upgradeable: bool,
    /// The bytes that the change is estimated to need.
    #[serde(default, deserialize_with = "null_as_default")]
    pub storage_bytes_needed: u64,
}

/// The tables of a branch before the change of a request.
#[derive(Debug, Clone, Default)]
pub enum Base {
    /// Nobody read them.
    #[default]
    NotRead,
    /// They could not be read, for this reason.
    Unreadable(String),
    /// They were read.
    Read(order::Schema),
}

/// The answer to `GET branches/{branch}/schema`.
#[derive(Debug, Clone, Deserialize)]
pub struct BranchSchema {
    /// Its tables and views.
    #[serde(default, deserialize_with = "items")]
    pub data: Vec<TableSchema>,
}

/// A table of a branch.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TableSchema {
    /// Its CREATE TABLE.
    #[serde(default, deserialize_with = "null_as_default")]
    pub raw: String,
}

/// The number of a deploy request within its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(transparent)]
pub struct DeployRequestNumber(pub u64);

impl std::fmt::Display for DeployRequestNumber {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

impl DeployRequest {
    /// Where the request is on its way, by both of its states.
    pub fn stage(&self) -> Stage {
        stage(&self.deployment_state, self.deployment.as_ref().map(|deployment| &deployment.state))
    }

    /// Both states as the API names them, for messages.
    pub fn states(&self) -> String {
        let name = |state: &DeploymentState| text::shorten(state.as_str(), 60);
        match &self.deployment {
            Some(deployment) if deployment.state != self.deployment_state => {
                format!("{} (its deployment: {})", name(&self.deployment_state), name(&deployment.state))
            }
            _ => name(&self.deployment_state),
        }
    }

    /// The operations of its deployment.
    pub fn operations(&self) -> &[DeployOperation] {
        self.deployment.as_ref().map_or(&[], |deployment| &deployment.deploy_operations)
    }

    /// Whether a change of it makes a copy of a table, as an online change does.
    pub fn copies_tables(&self) -> bool {
        self.operations().iter().any(|operation| {
            !["CREATE", "DROP"].iter().any(|name| operation.operation_name.eq_ignore_ascii_case(name))
        })
    }

    /// Whether a change of it can drop data, or PlanetScale does not say.
    pub fn may_drop_data(&self) -> bool {
        self.operations().iter().any(DeployOperation::may_drop_data)
    }

    /// Whether PlanetScale would deploy it, unless it says otherwise.
    pub fn is_deployable(&self) -> bool {
        self.deployment.as_ref().is_none_or(|deployment| deployment.deployable != Some(false))
    }

    /// Whether its cutover waits for a person, unless it says otherwise.
    pub fn is_gated(&self) -> bool {
        self.deployment.as_ref().is_none_or(|deployment| deployment.auto_cutover != Some(true))
    }

    /// Whether PlanetScale deletes the head branch when it is complete.
    pub fn deletes_branch(&self) -> bool {
        self.deployment.as_ref().is_some_and(|deployment| deployment.auto_delete_branch == Some(true))
    }

    /// Until when its change can be reverted; none when it cannot, or PlanetScale does not say.
    pub fn revertible_until(&self) -> Option<DateTime<Utc>> {
        let deployment = self.deployment.as_ref().filter(|_| self.stage() == Stage::AppliedRevertible)?;
        deployment.deployment_revert_request.as_ref()?.waiting_period_end_at
    }

    /// Whether the request is closed.
    pub fn is_closed(&self) -> bool {
        self.state == "closed"
    }
}

/// The deployment of a deploy request.
#[derive(Debug, Clone, Deserialize)]
pub struct Deployment {
    /// Its own state.
    pub state: DeploymentState,
    /// Whether PlanetScale would deploy it. Exists only here, not on the request.
    pub deployable: Option<bool>,
    /// Whether it cuts over by itself.
    pub auto_cutover: Option<bool>,
    /// Whether PlanetScale deletes the head branch when the deployment is complete.
    pub auto_delete_branch: Option<bool>,
    /// Whether it is applied with instant DDL, which cannot be reverted.
    #[serde(default, deserialize_with = "null_as_default")]
    pub instant_ddl: bool,
    /// The changes, one for each table.
    #[serde(default, deserialize_with = "items")]
    pub deploy_operations: Vec<DeployOperation>,
    /// What validation found.
    #[serde(default, deserialize_with = "items")]
    pub lint_errors: Vec<LintError>,
    /// Why it cannot be deployed, if validation says so in words.
    pub deploy_check_errors: Option<String>,
    /// The deployments ahead of it in the queue.
    #[serde(default, deserialize_with = "items")]
    pub preceding_deployments: Vec<PrecedingDeployment>,
    /// Whether the deploy queue is paused.
    #[serde(default, deserialize_with = "null_as_default")]
    pub queue_paused: bool,
    /// Why it is paused.
    pub queue_pause_reason: Option<String>,
    /// Whether the cutover waits for a lock on a table.
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_locked: bool,
    /// The table whose lock it waits for.
    pub locked_table_name: Option<String>,
    /// Its revert, which exists from when the change is applied.
    pub deployment_revert_request: Option<RevertRequest>,
}

/// The revert of a deployment.
#[derive(Debug, Clone, Deserialize)]
pub struct RevertRequest {
    /// When its window ends.
    pub waiting_period_end_at: Option<DateTime<Utc>>,
}

/// One change of one table.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct DeployOperation {
    /// The table.
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    /// `CREATE`, `ALTER` or `DROP`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub operation_name: String,
    /// The statement; missing in some bodies seen live.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ddl_statement: String,
    /// Whether it can drop data; none when PlanetScale does not say.
    pub can_drop_data: Option<bool>,
    /// Whether the table was used lately, by PlanetScale's own statistics of queries.
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_recently_used: bool,
    /// When it was, if PlanetScale says so.
    pub table_recently_used_at: Option<String>,
    /// How much of it is done, in percent.
    pub progress_percentage: Option<f64>,
    /// Estimated seconds until it is done.
    pub eta_seconds: Option<f64>,
    /// Why it failed.
    pub deploy_errors: Option<String>,
}

impl DeployOperation {
    /// Whether it can drop data, or PlanetScale does not say.
    pub fn may_drop_data(&self) -> bool {
        self.can_drop_data != Some(false)
    }
}

/// One finding of PlanetScale's schema lint.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LintError {
    /// Its code, such as `NO_UNIQUE_KEY`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub lint_error: String,
    /// The table.
    #[serde(default, deserialize_with = "null_as_default")]
    pub table_name: String,
    /// What it means.
    #[serde(default, deserialize_with = "null_as_default")]
    pub error_description: String,
}

/// A deployment ahead in the queue.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PrecedingDeployment {
    /// Its state; none when PlanetScale does not say.
    pub state: Option<DeploymentState>,
    /// The number of its deploy request.
    pub deploy_request_number: Option<u64>,
}

/// An open deploy request with what says who made it.
#[derive(Debug, Clone, Deserialize)]
pub struct OpenRequest {
    /// The request.
    #[serde(flatten)]
    pub request: DeployRequest,
    /// Its notes; a release writes its own name there.
    #[serde(default, deserialize_with = "null_as_default")]
    pub notes: String,
    /// Who made it.
    pub actor: Option<Actor>,
}

/// A person or a service token.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Actor {
    /// Its name.
    #[serde(default, deserialize_with = "null_as_default")]
    pub display_name: String,
}

/// An organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Organization {
    /// Its name.
    pub name: String,
}

/// A database, as far as deploy requests depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct DatabaseSettings {
    /// `ready`, or another state.
    pub state: String,
    /// `mysql` or `postgresql`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub kind: String,
    /// The branch it began with.
    pub default_branch: String,
    /// Whether a person must approve each deploy request.
    pub require_approval_for_deploy: bool,
}

/// A branch, as far as deploy requests depend on it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Branch {
    /// Whether it is ready to serve queries.
    pub ready: bool,
    /// `ready`, or another state.
    pub state: String,
    /// Whether it is a production branch.
    pub production: bool,
    /// Whether it has safe migrations: only then do deploy requests go into it.
    pub safe_migrations: bool,
    /// Whether its schema is stale, in the API description's word. That it means behind its parent is not documented.
    #[serde(default, deserialize_with = "null_as_default")]
    pub stale_schema: bool,
}

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Page {
    /// The next page's number, if there is one.
    pub next_page: Option<u64>,
    /// The entries, each to be read by itself.
    pub data: Vec<Value>,
}

impl Page {
    /// The entries that can be read.
    pub fn readable<T: DeserializeOwned>(self) -> Vec<T> {
        self.data.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()).collect()
    }
}

/// An entry of the list of deploy requests: as much of it as is needed to read the whole request.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ListedRequest {
    /// Its number.
    pub number: DeployRequestNumber,
    /// The head branch.
    pub branch: Option<String>,
    /// The base branch.
    pub into_branch: Option<String>,
    /// `open` or `closed`.
    pub state: Option<String>,
}

impl ListedRequest {
    /// Whether it may be an open one between these branches. What an entry does not say was asked for in the query.
    pub fn is_open_between(&self, head: &str, base: &str) -> bool {
        let fits = |said: &Option<String>, wanted: &str| said.as_deref().is_none_or(|said| said == wanted);
        fits(&self.branch, head) && fits(&self.into_branch, base) && fits(&self.state, "open")
    }
}

/// The items of a list. One that cannot be read is one of which nothing is known.
fn items<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items = Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(items.into_iter().map(|item| serde_json::from_value(item).unwrap_or_default()).collect())
}

/// Whether a refusal is about a person's approval. Neither its status nor its words are documented.
pub fn is_about_approval(message: &str) -> bool {
    let message = message.to_lowercase();
    message.contains("approved") || message.contains("approval")
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub fn request(state: &str, deployment: Value) -> DeployRequest {
        let mut body = json!({"number": 7, "branch": "dev", "into_branch": "main", "state": "open",
            "deployment_state": state, "html_url": "https://example.com/7", "deployment": {"state": state}});
        body["deployment"].as_object_mut().unwrap().extend(deployment.as_object().unwrap().clone());
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn a_body_with_nulls_and_missing_fields_is_read() {
        let request: DeployRequest = serde_json::from_value(json!({"number": 1, "branch": "dev", "into_branch": "main",
            "state": "open", "deployment_state": "pending", "approved": null, "html_url": "u", "notes": null,
            "deployment": {"state": "pending", "deployable": null, "deploy_operations": null, "lint_errors": null,
                "preceding_deployments": [{"state": "complete_error", "deploy_request_number": null}]}}))
        .unwrap();
        assert_eq!(request.stage(), Stage::Validating);
        assert!(request.operations().is_empty());
    }

    #[test]
    fn an_item_of_which_nothing_is_known_hides_no_other() {
        let request = request(
            "queued",
            json!({
                "deploy_operations": [null, {"table_name": "a", "can_drop_data": false}, {"can_drop_data": "no"}],
                "lint_errors": [{}, {"lint_error": "NO_UNIQUE_KEY"}],
                "preceding_deployments": [{}, {"deploy_request_number": 3}, {"state": "complete_error"}],
            }),
        );
        let drops: Vec<_> = request.operations().iter().map(|operation| operation.can_drop_data).collect();
        assert_eq!(drops, [None, Some(false), None]);
        let deployment = request.deployment.unwrap();
        assert_eq!(deployment.lint_errors[1].lint_error, "NO_UNIQUE_KEY");
        let states: Vec<_> =
            deployment.preceding_deployments.iter().map(|ahead| ahead.state.clone()).collect();
        assert_eq!(states, [None, None, Some(DeploymentState::CompleteError)]);
    }

    #[test]
    fn an_entry_of_the_list_is_taken_for_what_was_asked_where_it_says_nothing() {
        let fits = |entry: Value| {
            serde_json::from_value::<ListedRequest>(entry).unwrap().is_open_between("dev", "main")
        };
        assert!(fits(json!({"number": 1})));
        assert!(fits(json!({"number": 1, "branch": "dev", "into_branch": "main", "state": "open"})));
        assert!(!fits(json!({"number": 1, "branch": "other"})));
        assert!(!fits(json!({"number": 1, "into_branch": "other"})));
        assert!(!fits(json!({"number": 1, "state": "closed"})));
    }
}
