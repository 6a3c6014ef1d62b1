//! What to do with a deploy request: the decisions between the schema and the containers.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::image::ImageDigest;
use crate::outcome::Outcome;
use crate::planetscale::{DeployOperation, DeployRequest, DeployRequestNumber, DeploymentState, Stage};
use crate::poll::{self, Patience, patience};
use crate::release::{Deadlines, DestructiveChanges, Image};
use crate::report::SchemaChange;
use crate::{Error, text};

mod deploy;
mod judgement;
mod queue;

pub use deploy::{
    Clearance, Queued, Refusal, clearance, is_decided, is_on_its_way, refused_deploy, taken_out,
};
pub(crate) use judgement::known_statement;
pub use judgement::{Judgement, is_safe_anyway, judge};
use judgement::{not_deployable, reasons};
use queue::{blocker, progress, queued};

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
    /// A person has to cut the gated request over: ask for it once, and look again after `seconds`.
    AwaitCutover {
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
            | Self::AwaitCutover { because, .. }
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
        // Without a reason it may lack only an approval: others who operate PlanetScale say so, its documents do not.
        // What a deploy is refused with tells.
        (Goal::Validation | Goal::Approval, Stage::Ready)
            if !request.is_deployable() && !reasons(request).is_empty() =>
        {
            refuse(Outcome::SchemaRefused, not_deployable(request))
        }
        (Goal::Validation | Goal::Approval, Stage::Ready) => match judge(request, policy) {
            Judgement::SchemaFirst { because } => Step::SchemaFirst { because },
            Judgement::ContainersFirst { because } => Step::ContainersFirst { because },
            Judgement::Refused { because } => refuse(Outcome::SchemaRefused, because),
            Judgement::Unknown { because } => wait(because),
        },
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
                    "The deploy queue is blocked by the failed {blocker}. Unblock it on its page, or with `pscale deploy-request \
                     unblock`, which a pscale made after August 2026 has; then release again."
                ),
            ),
            None => wait(queued(request)),
        },
        (Goal::Schema, Stage::Running) => wait(progress(request)),
        // It is passed through by itself.
        (Goal::Schema, Stage::AwaitingCutover) if !request.is_gated() => wait(progress(request)),
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

/// `step` of a release that has changed nothing yet, or how the release ends instead of waiting: `now` is what its moving
/// tag points at. A tag that is gone is no newer push.
pub fn unless_overtaken(step: Step, image: &Image, now: Option<&ImageDigest>) -> Step {
    match (step, now) {
        (Step::Wait { because, .. }, Some(newer)) if *newer != image.digest => refuse(
            Outcome::Superseded,
            format!("While it waited, the tag {} moved to {}. {because}", image.moving_tag, newer.short()),
        ),
        (step, _) => step,
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

/// What became of an applied change once the containers serve: the release is good only if it stays.
///
/// # Errors
/// [`Error::Retryable`] when the request does not tell.
pub fn stays(request: &DeployRequest) -> Result<(SchemaChange, String), Error> {
    let number = request.number;
    match request.stage() {
        Stage::AppliedRevertible => {
            Ok((SchemaChange::Revertible, format!("The revert window of deploy request #{number} is open.")))
        }
        Stage::Reverting | Stage::Reverted => Ok((
            SchemaChange::Reverted,
            format!(
                "A person reverted deploy request #{number} while the containers started: the new code runs on the old \
                 schema."
            ),
        )),
        Stage::RevertFailed => Ok((
            SchemaChange::Reverted,
            format!(
                "A person reverted deploy request #{number} while the containers started, and PlanetScale could not end \
                 it: look what schema the new code runs on.{}",
                errors(request)
            ),
        )),
        Stage::Unclear => Err(Error::Retryable(unclear(request))),
        Stage::Validating
        | Stage::Ready
        | Stage::NoChanges
        | Stage::Invalid
        | Stage::Queued
        | Stage::Running
        | Stage::AwaitingCutover
        | Stage::Cancelling
        | Stage::Cancelled
        | Stage::Failed
        | Stage::Applied => {
            Ok((SchemaChange::Permanent, format!("The revert window of deploy request #{number} is closed.")))
        }
    }
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
    /// Whether it is closed, once the release tried to close it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,
    /// Until when its change can be reverted, while it can.
    #[serde(default)]
    pub revertible_until: Option<DateTime<Utc>>,
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
        let revertible_until = request.revertible_until();
        let state = request.states();
        Self { number: request.number, url, state, statements, closed: None, revertible_until }
    }
}

fn wait(goal: Goal, request: &DeployRequest, waited: u64, deadlines: &Deadlines, because: String) -> Step {
    let deadline = goal.deadline(deadlines);
    let gated = goal == Goal::Schema && request.stage() == Stage::AwaitingCutover && request.is_gated();
    let for_a_person = goal == Goal::Approval || gated;
    match patience(waited, deadline) {
        Patience::Wait(seconds) if for_a_person => {
            let seconds = poll::for_a_person(seconds, waited);
            if goal == Goal::Schema {
                Step::AwaitCutover { seconds, because }
            } else {
                Step::Wait { seconds, because }
            }
        }
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
