//! What happened: requests, and the effects in databases.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::deploy_request::DeploymentState;

/// What happened since the start or the last reset.
#[derive(Debug, Default)]
pub struct Journal {
    pub requests: Vec<RequestRecord>,
    pub effects: Vec<Effect>,
}

/// One request of the API.
#[derive(Debug, Clone, Serialize)]
pub struct RequestRecord {
    pub time: Timestamp,
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The method and the endpoint's pattern below the database, such as `POST deploy-requests/{number}/deploy`.
    pub endpoint: String,
    /// The ID of the service token, also of a wrong one; never the token.
    pub token_id: Option<String>,
    /// The status the client was to see; nothing when the connection was reset before the work was done.
    pub status: Option<u16>,
    /// The fault that was played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
}

/// One change.
#[derive(Debug, Clone, Serialize)]
pub struct Effect {
    pub time: Timestamp,
    pub organization: String,
    pub database: String,
    #[serde(flatten)]
    pub change: Change,
}

/// What changed.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    BranchCreated {
        branch: String,
    },
    BranchDeleted {
        branch: String,
    },
    /// Statements were executed in a branch.
    SchemaChanged {
        branch: String,
        cause: Cause,
        deploy_request: Option<u64>,
        statements: Vec<String>,
    },
    DeployRequestCreated {
        deploy_request: u64,
    },
    StateChanged {
        deploy_request: u64,
        from: DeploymentState,
        to: DeploymentState,
    },
    Approved {
        deploy_request: u64,
        by: String,
    },
    ApprovalsDismissed {
        deploy_request: u64,
    },
    Dequeued {
        deploy_request: u64,
    },
    DeployRequestClosed {
        deploy_request: u64,
        by: Option<String>,
    },
}

/// What changed a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Deploy,
    Revert,
    Sql,
}

impl RequestRecord {
    /// One line for the log.
    pub fn line(&self) -> String {
        let time = serde_json::to_value(self.time).unwrap_or(Value::Null);
        let status = self.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let token = self.token_id.as_deref().unwrap_or("-");
        let fault = self.fault.map(|fault| format!(" fault={fault}")).unwrap_or_default();
        format!("{} {} {} {token} {status}{fault}", time.as_str().unwrap_or("-"), self.method, self.path)
    }
}

impl Journal {
    /// How often each endpoint was called.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for record in &self.requests {
            *counts.entry(record.endpoint.as_str()).or_default() += 1;
        }
        counts
    }
}
