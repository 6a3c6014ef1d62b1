//! What to do with a deploy request: the decisions between the schema and the containers.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::planetscale::{DeployOperation, DeployRequest, DeployRequestNumber, DeploymentState, Stage};
use crate::poll::{Patience, patience};
use crate::release::{Deadlines, DestructiveChanges};
use crate::{Error, text};

/// What the release waits for at its deploy request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// PlanetScale's verdict on the change.
    Validation,
    /// A person's approval.
    Approval,
    /// The change applied to the base branch.
    Schema,
    /// The change taken back.
    Revert,
}

impl Goal {
    fn deadline(self, deadlines: &Deadlines) -> u64 {
        match self {
            Self::Validation => deadlines.validation,
            Self::Approval => deadlines.approval,
            Self::Schema => deadlines.schema,
            Self::Revert => deadlines.revert,
        }
    }
}

/// What the release does next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all_fields = "camelCase")]
pub enum Step {
    /// Look again after `seconds`.
    Wait {
        /// Seconds until the next look.
        seconds: u64,
        /// What is waited for.
        because: String,
    },
    /// Close the request; there is nothing to apply.
    NothingToApply {
        /// What was found.
        because: String,
    },
    /// Deploy the request, then the containers.
    SchemaFirst {
        /// Why this order is safe.
        because: String,
    },
    /// Deploy the containers, then the request.
    ContainersFirst {
        /// Why this order is safe.
        because: String,
    },
    /// It is on its way already: wait until it is applied.
    Follow {
        /// What was found.
        because: String,
    },
    /// The schema is applied.
    Applied {
        /// Whether PlanetScale can still revert it.
        revertible: bool,
        /// What was found.
        because: String,
    },
    /// The schema is back as it was.
    Reverted {
        /// What was found.
        because: String,
    },
    /// Close the request and end the release.
    Refuse {
        /// How the release ends.
        outcome: Outcome,
        /// What happened.
        because: String,
    },
    /// End the release; the request is not to be touched.
    End {
        /// How the release ends.
        outcome: Outcome,
        /// What happened.
        because: String,
    },
}

impl Step {
    fn because_mut(&mut self) -> &mut String {
        match self {
            Self::Wait { because, .. }
            | Self::NothingToApply { because }
            | Self::SchemaFirst { because }
            | Self::ContainersFirst { because }
            | Self::Follow { because }
            | Self::Applied { because, .. }
            | Self::Reverted { because }
            | Self::Refuse { because, .. }
            | Self::End { because, .. } => because,
        }
    }
}

/// After a deploy was asked for, a request may show `ready` for a moment; seconds until that means it was dequeued.
const DEQUEUED_AFTER: u64 = 60;

/// The most characters of a reason, which quotes branches, statements and messages of others.
const LONGEST_REASON: usize = 6_000;

/// PlanetScale's limit of tables in one deploy request (its documentation on schema changes).
const MOST_TABLES: usize = 10;

/// What to do next about `request`, for which the release waited `waited` seconds for `goal`.
pub fn next_step(
    goal: Goal,
    request: &DeployRequest,
    policy: DestructiveChanges,
    waited: u64,
    deadlines: &Deadlines,
) -> Step {
    let mut step = decide(goal, request, policy, waited, deadlines);
    let because = step.because_mut();
    *because = text::shorten(because, LONGEST_REASON);
    step
}

fn decide(
    goal: Goal,
    request: &DeployRequest,
    policy: DestructiveChanges,
    waited: u64,
    deadlines: &Deadlines,
) -> Step {
    let stage = request.stage();
    let number = request.number;
    let wait = |because: String| wait(goal, request, waited, deadlines, because);
    match (goal, stage) {
        (_, Stage::Unclear) => wait(unclear(request)),

        (
            Goal::Validation | Goal::Approval,
            Stage::Validating | Stage::Ready | Stage::NoChanges | Stage::Invalid,
        ) if request.is_closed() => {
            end(Outcome::SchemaRejected, format!("Deploy request #{number} was closed by a person."))
        }
        (Goal::Validation | Goal::Approval, Stage::Validating) => {
            wait(format!("PlanetScale is validating deploy request #{number}."))
        }
        (Goal::Approval, Stage::Ready) if !request.approved => {
            wait(format!("Deploy request #{number} needs the approval of a person: {}", request.html_url))
        }
        (Goal::Validation | Goal::Approval, Stage::Ready) => order(request, policy),
        (Goal::Validation | Goal::Approval, Stage::Invalid) => {
            refuse(Outcome::SchemaRefused, not_deployable(request))
        }
        (Goal::Validation | Goal::Approval, Stage::Queued | Stage::Running | Stage::AwaitingCutover) => {
            Step::Follow { because: format!("Deploy request #{number} is already {}.", request.states()) }
        }

        (Goal::Schema, Stage::Validating | Stage::Ready) if request.is_closed() => {
            end(Outcome::SchemaRejected, format!("Deploy request #{number} was closed by a person."))
        }
        (Goal::Schema, Stage::Validating | Stage::Ready) if waited < DEQUEUED_AFTER => {
            wait(format!("Deploy request #{number} is entering the deploy queue."))
        }
        (Goal::Schema, Stage::Validating | Stage::Ready) => refuse(
            Outcome::SchemaRejected,
            format!(
                "Deploy request #{number} was taken out of the deploy queue: by a person, or because the schema of {} changed.",
                request.branch
            ),
        ),
        (Goal::Schema, Stage::Queued) => match blocker(request) {
            Some(blocker) => refuse(
                Outcome::SchemaFailed,
                format!(
                    "The deploy queue is blocked by the failed {blocker}. Unblock it with `pscale deploy-request unblock` or its page, then release again."
                ),
            ),
            None => wait(queued(request)),
        },
        (Goal::Schema, Stage::Running) => wait(progress(request)),
        (Goal::Schema, Stage::AwaitingCutover) => wait(format!(
            "Deploy request #{number} is gated: a person has to apply its changes: {}",
            request.html_url
        )),
        (Goal::Schema, Stage::Invalid) => refuse(Outcome::SchemaRefused, not_deployable(request)),
        (Goal::Validation | Goal::Approval | Goal::Schema, Stage::NoChanges) => Step::NothingToApply {
            because: format!("{} and {} have the same schema.", request.branch, request.into_branch),
        },

        (Goal::Revert, Stage::Reverting | Stage::AppliedRevertible) => {
            wait(format!("PlanetScale is reverting deploy request #{number}."))
        }
        (Goal::Revert, Stage::Reverted) => {
            Step::Reverted { because: format!("The schema of {} is back as it was.", request.into_branch) }
        }
        (Goal::Revert, Stage::Applied) => end(
            Outcome::RevertRefused,
            format!("The revert window of deploy request #{number} closed before the revert."),
        ),
        (
            Goal::Revert,
            Stage::Validating
            | Stage::Ready
            | Stage::NoChanges
            | Stage::Invalid
            | Stage::Queued
            | Stage::Running
            | Stage::AwaitingCutover
            | Stage::Cancelling
            | Stage::Cancelled
            | Stage::Failed,
        ) => end(
            Outcome::RevertRefused,
            format!("Deploy request #{number} was to be reverted, but is {}.", request.states()),
        ),
        (Goal::Revert, Stage::RevertFailed) => end(
            Outcome::RevertRefused,
            format!("PlanetScale could not revert deploy request #{number}.{}", errors(request)),
        ),

        (_, Stage::AppliedRevertible) => applied(request, true),
        (_, Stage::Applied) => applied(request, false),
        (_, Stage::Cancelling) => wait(format!("Deploy request #{number} is being cancelled.")),
        (_, Stage::Cancelled) => {
            end(Outcome::SchemaRejected, format!("Deploy request #{number} was cancelled by a person."))
        }
        (_, Stage::Failed) => end(
            Outcome::SchemaFailed,
            format!("PlanetScale could not apply deploy request #{number}.{}", errors(request)),
        ),
        (_, Stage::Reverting) => wait(format!("Deploy request #{number} is being reverted by a person.")),
        (_, Stage::Reverted) => {
            end(Outcome::SchemaRejected, format!("Deploy request #{number} was reverted by a person."))
        }
        (_, Stage::RevertFailed) => end(
            Outcome::SchemaFailed,
            format!(
                "A person reverted deploy request #{number}, and PlanetScale could not.{}",
                errors(request)
            ),
        ),
    }
}

/// Whether `request`, which is open for the two branches of a release, can serve the release as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// Yes: it is on its way.
    Adopt,
    /// Its change is applied and only its revert window is open: close the window, then create a new one.
    CloseWindow,
    /// It is being reverted or cancelled: a new one can be created when that is done.
    Busy,
}

/// What to do with a request that is open already.
pub fn adoption(request: &DeployRequest) -> Adoption {
    match request.stage() {
        Stage::AppliedRevertible => Adoption::CloseWindow,
        Stage::Reverting | Stage::Cancelling => Adoption::Busy,
        Stage::Validating
        | Stage::Ready
        | Stage::NoChanges
        | Stage::Invalid
        | Stage::Queued
        | Stage::Running
        | Stage::AwaitingCutover
        | Stage::Failed
        | Stage::RevertFailed
        | Stage::Applied
        | Stage::Cancelled
        | Stage::Reverted
        | Stage::Unclear => Adoption::Adopt,
    }
}

/// The answer of `deploy-deploy-request`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all_fields = "camelCase")]
pub enum Queued {
    /// The request is in the deploy queue, or further.
    Queued {
        /// What was found.
        because: String,
    },
    /// PlanetScale still validates it.
    StillValidating {
        /// Seconds until the next look.
        seconds: u64,
        /// What PlanetScale said.
        because: String,
    },
    /// A person has to approve it first.
    NeedsApproval {
        /// What PlanetScale said.
        because: String,
    },
    /// The deadline for validation passed.
    TimedOut {
        /// What PlanetScale said.
        because: String,
    },
}

impl Queued {
    /// The deploy was asked for now.
    pub fn now(request: &DeployRequest) -> Self {
        Self::Queued { because: format!("Deploy request #{} is {}.", request.number, request.states()) }
    }

    /// The request was on its way before.
    pub fn already(request: &DeployRequest) -> Self {
        Self::Queued {
            because: format!("Deploy request #{} is already {}.", request.number, request.states()),
        }
    }
}

/// Whether a request in `stage` was queued, by an earlier try or by a person.
pub fn is_on_its_way(stage: Stage) -> bool {
    matches!(
        stage,
        Stage::Queued | Stage::Running | Stage::AwaitingCutover | Stage::AppliedRevertible | Stage::Applied
    )
}

/// Whether `request` itself says why it cannot be deployed any more: it is on its way, or a person closed it. The next
/// look then tells how the release goes on.
pub fn is_decided(request: &DeployRequest) -> bool {
    request.is_closed() || !matches!(request.stage(), Stage::Validating | Stage::Ready | Stage::Unclear)
}

/// What a refused deploy means; `message` is what PlanetScale said, `sentence` all of it.
///
/// The messages are those seen live by others; the status of the approval refusal is not documented, so the words
/// decide.
///
/// # Errors
/// [`Error::SchemaRefused`] when the refusal is final.
pub fn refused_deploy(
    message: &str,
    sentence: String,
    approved: bool,
    waited: u64,
    deadline: u64,
) -> Result<Queued, Error> {
    let message = message.to_lowercase();
    if message.contains("currently validating") {
        return Ok(match patience(waited, deadline) {
            Patience::Wait(seconds) => Queued::StillValidating { seconds, because: sentence },
            Patience::Exhausted => Queued::TimedOut {
                because: format!("{} {sentence}", text::deadline_passed("validation", deadline)),
            },
        });
    }
    // A refusal of what is approved would be asked about for ever.
    if !approved && (message.contains("approved") || message.contains("approval")) {
        return Ok(Queued::NeedsApproval { because: sentence });
    }
    Err(Error::SchemaRefused(sentence))
}

/// How to take a request out of the way that will not be deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// Close it.
    Close,
    /// Take it out of the queue first.
    Dequeue,
    /// Leave it: it is closed, or its migration is not to be disturbed.
    Leave,
}

/// How to take `request` out of the way.
pub fn closing(request: &DeployRequest) -> Closing {
    if request.is_closed() {
        return Closing::Leave;
    }
    match request.stage() {
        Stage::Validating | Stage::Ready | Stage::NoChanges | Stage::Invalid | Stage::Cancelled => {
            Closing::Close
        }
        Stage::Queued => Closing::Dequeue,
        Stage::Running
        | Stage::AwaitingCutover
        | Stage::Cancelling
        | Stage::Failed
        | Stage::AppliedRevertible
        | Stage::Applied
        | Stage::Reverting
        | Stage::Reverted
        | Stage::RevertFailed
        | Stage::Unclear => Closing::Leave,
    }
}

/// What a person reads about a deploy request in the execution's history and in the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeployRequestReport {
    /// Its number.
    pub number: DeployRequestNumber,
    /// Its page.
    pub url: String,
    /// Its states.
    pub state: String,
    /// The statements, shortened for reading.
    pub statements: Vec<String>,
}

/// The most statements, and the most characters of each, that a report shows.
const SHOWN: (usize, usize) = (20, 1_000);
/// Longer than any page of PlanetScale's.
const LONGEST_URL: usize = 2_000;

impl From<&DeployRequest> for DeployRequestReport {
    fn from(request: &DeployRequest) -> Self {
        let (most, longest) = SHOWN;
        let operations = request.operations();
        let mut statements: Vec<_> = operations
            .iter()
            .take(most)
            .map(|operation| text::shorten(&statement(operation), longest))
            .collect();
        if operations.len() > most {
            statements.push(format!("… and {} more", operations.len() - most));
        }
        let url = text::shorten(&request.html_url, LONGEST_URL);
        Self { number: request.number, url, state: request.states(), statements }
    }
}

fn order(request: &DeployRequest, policy: DestructiveChanges) -> Step {
    if let Some(deployment) = &request.deployment
        && deployment.deployable == Some(false)
    {
        return refuse(Outcome::SchemaRefused, not_deployable(request));
    }
    let (dropping, keeping): (Vec<_>, Vec<_>) =
        request.operations().iter().partition(|operation| operation.can_drop_data);
    // PlanetScale writes one statement for each table, which may do both.
    let both: Vec<_> = dropping.iter().copied().filter(|operation| adds_columns(operation)).collect();
    let list = |operations: &[&DeployOperation]| {
        let all: Vec<_> =
            operations.iter().map(|operation| text::shorten(&statement(operation), 300)).collect();
        text::shorten(&all.join("; "), 2_000)
    };
    match (dropping.is_empty(), keeping.is_empty() && both.is_empty(), policy) {
        (true, _, _) => {
            Step::SchemaFirst { because: "No statement can drop data, so the old code runs on the new schema.".into() }
        }
        (false, _, DestructiveChanges::Refuse) => refuse(
            Outcome::SchemaRefused,
            format!(
                "These statements can drop data, and DestructiveChanges is `refuse`: {}. If {} is behind {}, refresh it; \
                 if the drop is meant, deploy the stack with DestructiveChanges=after-containers and push again.",
                list(&dropping),
                request.branch,
                request.into_branch
            ),
        ),
        (false, true, DestructiveChanges::AfterContainers | DestructiveChanges::Allow) => Step::ContainersFirst {
            because: "Every statement drops something the old code still reads, so the new code goes first.".into(),
        },
        (false, false, DestructiveChanges::AfterContainers) if !both.is_empty() => refuse(
            Outcome::SchemaRefused,
            format!(
                "The change both adds and drops in one table, and no order is safe for both: {}. Split it: release what \
                 is added first, then what is dropped.",
                list(&both)
            ),
        ),
        (false, false, DestructiveChanges::AfterContainers) => refuse(
            Outcome::SchemaRefused,
            format!(
                "The change both adds and drops, and no order is safe for both. Split it: release these first: {}. \
                 Release these afterwards: {}.",
                list(&keeping),
                list(&dropping)
            ),
        ),
        (false, false, DestructiveChanges::Allow) => Step::SchemaFirst {
            because: "The change both adds and drops and DestructiveChanges is `allow`: what is dropped is missing to \
                      the old code until the new code runs."
                .into(),
        },
    }
}

/// Whether `operation` adds what new code may use: a column, or one under another name. Keys and indexes it does not
/// see. Of an ALTER without its statement nothing is known, so it may.
fn adds_columns(operation: &DeployOperation) -> bool {
    if operation.ddl_statement.is_empty() {
        return operation.operation_name.eq_ignore_ascii_case("ALTER");
    }
    text::clauses(&operation.ddl_statement).iter().any(|clause| {
        let mut words = clause.split_whitespace().map(str::to_ascii_uppercase);
        match (words.next().as_deref(), words.next().as_deref()) {
            (Some("ADD"), next) => !matches!(next, Some("KEY" | "INDEX" | "FULLTEXT" | "SPATIAL")),
            (Some("RENAME" | "CHANGE"), _) => true,
            _ => false,
        }
    })
}

fn wait(goal: Goal, request: &DeployRequest, waited: u64, deadlines: &Deadlines, because: String) -> Step {
    let deadline = goal.deadline(deadlines);
    match patience(waited, deadline) {
        Patience::Wait(seconds) => Step::Wait { seconds, because },
        Patience::Exhausted => {
            let what = match goal {
                Goal::Validation => "validation",
                Goal::Approval => "approval",
                Goal::Schema => "the schema",
                Goal::Revert => "the revert",
            };
            let passed = text::deadline_passed(what, deadline);
            let because = format!("{passed} {because} It is {}.", request.states());
            match goal {
                Goal::Approval => refuse(Outcome::SchemaRejected, because),
                Goal::Validation => refuse(Outcome::TimedOut, because),
                Goal::Schema | Goal::Revert => end(Outcome::TimedOut, because),
            }
        }
    }
}

fn refuse(outcome: Outcome, because: String) -> Step {
    Step::Refuse { outcome, because }
}

fn end(outcome: Outcome, because: String) -> Step {
    Step::End { outcome, because }
}

fn applied(request: &DeployRequest, revertible: bool) -> Step {
    let revertible =
        revertible && !request.deployment.as_ref().is_some_and(|deployment| deployment.instant_ddl);
    Step::Applied {
        revertible,
        because: format!("Deploy request #{} is applied to {}.", request.number, request.into_branch),
    }
}

fn unclear(request: &DeployRequest) -> String {
    let number = request.number;
    match &request.deployment {
        Some(deployment)
            if !matches!(request.deployment_state, DeploymentState::Unknown(_))
                && !matches!(deployment.state, DeploymentState::Unknown(_)) =>
        {
            format!("The two states of deploy request #{number} contradict each other.")
        }
        _ => format!("Deploy request #{number} is in a state that is not known here."),
    }
}

fn not_deployable(request: &DeployRequest) -> String {
    let number = request.number;
    let Some(deployment) = &request.deployment else {
        return format!("Deploy request #{number} is not deployable.");
    };
    let mut reasons: Vec<String> = deployment
        .lint_errors
        .iter()
        .map(|lint| format!("{} in {}: {}", lint.lint_error, lint.table_name, lint.error_description))
        .collect();
    reasons.extend(deployment.deploy_check_errors.clone().filter(|errors| !errors.is_empty()));
    let mut tables: Vec<_> =
        deployment.deploy_operations.iter().map(|operation| &operation.table_name).collect();
    tables.sort_unstable();
    tables.dedup();
    if tables.len() > MOST_TABLES {
        reasons.push(format!(
            "It changes {} tables, and PlanetScale deploys at most {MOST_TABLES} at once: split the change",
            tables.len()
        ));
    }
    if reasons.is_empty() {
        reasons.push("PlanetScale gives no reason".into());
    }
    text::shorten(&format!("Deploy request #{number} is not deployable. {}.", reasons.join("; ")), 4_000)
}

fn blocker(request: &DeployRequest) -> Option<String> {
    let preceding = &request.deployment.as_ref()?.preceding_deployments;
    let failed =
        preceding.iter().find(|ahead| matches!(ahead.state.stage(), Stage::Failed | Stage::RevertFailed))?;
    Some(
        failed
            .deploy_request_number
            .map_or_else(|| "deploy request".into(), |n| format!("deploy request #{n}")),
    )
}

fn queued(request: &DeployRequest) -> String {
    let number = request.number;
    let Some(deployment) = &request.deployment else { return format!("Deploy request #{number} is queued.") };
    if deployment.queue_paused {
        let reason = deployment.queue_pause_reason.as_deref().unwrap_or("no reason given");
        return format!(
            "Deploy request #{number} is queued, and the queue is paused: {}.",
            text::shorten(reason, 300)
        );
    }
    format!("Deploy request #{number} is queued behind {} others.", deployment.preceding_deployments.len())
}

fn progress(request: &DeployRequest) -> String {
    let operations = request.operations();
    let done: f64 = operations.iter().filter_map(|operation| operation.progress_percentage).sum();
    let left = operations.iter().filter_map(|operation| operation.eta_seconds).fold(0.0, f64::max);
    let mut text = format!("The migration of deploy request #{} is running", request.number);
    if !operations.is_empty() {
        text += &format!(", {:.0}% done", done / operations.len() as f64);
    }
    if left > 0.0 {
        text += &format!(", {} left", text::duration(left as u64));
    }
    text + "."
}

fn errors(request: &DeployRequest) -> String {
    let all: Vec<_> = request
        .operations()
        .iter()
        .filter_map(|operation| {
            let errors = operation.deploy_errors.as_deref().filter(|errors| !errors.is_empty())?;
            Some(format!(" {}: {}.", operation.table_name, errors.trim_end_matches('.')))
        })
        .collect();
    text::shorten(&all.concat(), 2_000)
}

fn statement(operation: &DeployOperation) -> String {
    if operation.ddl_statement.is_empty() {
        format!("{} {}", operation.operation_name, operation.table_name)
    } else {
        operation.ddl_statement.clone()
    }
}

#[cfg(test)]
mod tests;
