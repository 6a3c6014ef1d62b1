//! The parts of PlanetScale's response bodies that a release reads.
//!
//! Source: PlanetScale's API description. Fields that a release does not need are left out; fields that are missing
//! or null in bodies seen live are optional.

use serde::{Deserialize, Deserializer};

use super::state::{DeploymentState, Stage, stage};
use crate::text;

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
    /// Its deployment.
    pub deployment: Option<Deployment>,
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
    /// Whether it is applied with instant DDL, which cannot be reverted.
    #[serde(default, deserialize_with = "null_as_default")]
    pub instant_ddl: bool,
    /// The changes, one for each table.
    #[serde(default, deserialize_with = "null_as_default")]
    pub deploy_operations: Vec<DeployOperation>,
    /// What validation found.
    #[serde(default, deserialize_with = "null_as_default")]
    pub lint_errors: Vec<LintError>,
    /// Why it cannot be deployed, if validation says so in words.
    pub deploy_check_errors: Option<String>,
    /// The deployments ahead of it in the queue.
    #[serde(default, deserialize_with = "null_as_default")]
    pub preceding_deployments: Vec<PrecedingDeployment>,
    /// Whether the deploy queue is paused.
    #[serde(default, deserialize_with = "null_as_default")]
    pub queue_paused: bool,
    /// Why it is paused.
    pub queue_pause_reason: Option<String>,
}

/// One change of one table.
#[derive(Debug, Clone, Deserialize)]
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
    /// Whether it can drop data.
    #[serde(default, deserialize_with = "null_as_default")]
    pub can_drop_data: bool,
    /// How much of it is done, in percent.
    pub progress_percentage: Option<f64>,
    /// Estimated seconds until it is done.
    pub eta_seconds: Option<f64>,
    /// Why it failed.
    pub deploy_errors: Option<String>,
}

/// One finding of PlanetScale's schema lint.
#[derive(Debug, Clone, Deserialize)]
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
#[derive(Debug, Clone, Deserialize)]
pub struct PrecedingDeployment {
    /// Its state.
    pub state: DeploymentState,
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
}

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
pub struct Page<T> {
    /// The next page's number, if there is one.
    pub next_page: Option<u64>,
    /// The entries.
    pub data: Vec<T>,
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
}
