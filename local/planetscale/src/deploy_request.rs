//! Deploy requests: changes of one branch on their way into another.

mod actions;
mod body;
mod lifecycle;
mod state;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::schema::{Lint, Schema, TableDiff};
use crate::storage::BranchId;
use crate::token::Actor;

pub use actions::{NewDeployRequest, NewReview, ReviewState};
pub use body::{View, lint_body};
pub use state::DeploymentState;

/// PlanetScale's limit of tables in one deploy request (its documentation).
pub const MAX_TABLES: usize = 10;

/// A deploy request together with its deployment.
#[derive(Debug)]
pub struct DeployRequest {
    pub id: String,
    pub deployment_id: String,
    pub number: u64,
    pub actor: Actor,
    /// The head branch.
    pub branch: String,
    pub branch_id: BranchId,
    /// Who deleted the head branch, and when.
    pub branch_deleted: Option<(Option<Actor>, Timestamp)>,
    /// The base branch.
    pub into_branch: String,
    pub notes: Option<String>,
    pub auto_cutover: bool,
    pub auto_delete_branch: bool,
    pub instant_ddl: bool,
    pub strategy: Strategy,
    pub is_closed: bool,
    pub closed_by: Option<Actor>,
    pub state: DeploymentState,
    pub state_since: Timestamp,
    /// What validation found.
    pub verdict: Verdict,
    pub reviews: Vec<Review>,
    /// The place in the queue, by the order of deploys; higher is later.
    pub queue_position: u64,
    /// Since when nothing is ahead of it in the queue.
    pub queue_free_since: Option<Timestamp>,
    /// How often it was refused because it was still being validated.
    pub validating_refusals: u32,
    /// The table whose lock the cutover waits for.
    pub locked_table: Option<String>,
    /// Why the deployment or its revert failed.
    pub failure: Option<String>,
    /// The base branch's schema before the deployment.
    pub schema_before: Schema,
    pub throttle: BTreeMap<String, f64>,
    pub deployed_by: Option<Actor>,
    pub cutover_by: Option<Actor>,
    pub cancelled_by: Option<Actor>,
    pub reverted_by: Option<Actor>,
    /// States to show in place of the real ones.
    pub shown: ShownStates,
    pub times: Times,
}

/// What validation found.
#[derive(Debug, Default)]
pub struct Verdict {
    pub deployable: bool,
    pub lints: Vec<Lint>,
    pub check_errors: Option<String>,
    pub operations: Vec<DeployOperation>,
    /// When the schemas were compared.
    pub at: Option<Timestamp>,
}

/// The change of one table.
#[derive(Debug)]
pub struct DeployOperation {
    pub id: String,
    pub diff: TableDiff,
}

/// The lane of the deploy queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    Serial,
    Parallel,
}

/// An approval or a comment.
#[derive(Debug)]
pub struct Review {
    pub id: String,
    pub state: ReviewState,
    pub body: String,
    pub actor: Actor,
    pub created_at: Timestamp,
    pub is_dismissed: bool,
}

/// States to show in place of the real ones.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownStates {
    pub state: Option<String>,
    /// The request's `deployment_state`.
    pub deployment_state: Option<String>,
    /// The deployment's own `state`.
    pub deployment: Option<String>,
}

/// When what happened.
#[derive(Debug)]
pub struct Times {
    pub created: Timestamp,
    pub updated: Timestamp,
    pub ready: Option<Timestamp>,
    pub queued: Option<Timestamp>,
    pub submitted: Option<Timestamp>,
    pub started: Option<Timestamp>,
    pub ready_to_cutover: Option<Timestamp>,
    pub cutover: Option<Timestamp>,
    pub force_cutover: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub closed: Option<Timestamp>,
    /// The end of the revert window.
    pub window_end: Option<Timestamp>,
    pub revert_cancelled: Option<Timestamp>,
    pub revert_finished: Option<Timestamp>,
}

impl DeployRequest {
    /// Whether it is in the deploy queue, at its head or behind others.
    pub fn is_in_queue(&self) -> bool {
        !self.is_closed && self.state.holds_queue()
    }

    /// Whether an approval stands.
    pub fn is_approved(&self) -> bool {
        self.reviews.iter().any(|review| review.state == ReviewState::Approved && !review.is_dismissed)
    }

    /// Whether the other one is ahead of it in the same lane of the same branch's queue.
    fn is_behind(&self, other: &Self) -> bool {
        self.number != other.number
            && self.into_branch == other.into_branch
            && self.strategy == other.strategy
            && other.is_in_queue()
            && other.queue_position < self.queue_position
    }
}
