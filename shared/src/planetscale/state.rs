//! The states of a deploy request.

use serde::{Deserialize, Serialize};

/// The state of a deploy request's deployment, as PlanetScale's API description lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String")]
#[serde(into = "String")]
pub enum DeploymentState {
    /// Being validated.
    Pending,
    /// Validated, with changes.
    Ready,
    /// Validated, without changes.
    NoChanges,
    /// In the deploy queue.
    Queued,
    /// Leaving the queue.
    Submitting,
    /// The migration runs.
    InProgress,
    /// The migration is done and waits for a person to cut over.
    PendingCutover,
    /// The `VSchema` is being changed.
    InProgressVschema,
    /// Being cancelled.
    InProgressCancel,
    /// Cutting over.
    InProgressCutover,
    /// Applied, for good.
    Complete,
    /// Cancelled while it ran.
    CompleteCancel,
    /// Failed; blocks the deploy queue.
    CompleteError,
    /// Applied, and can still be reverted.
    CompletePendingRevert,
    /// Being reverted.
    InProgressRevert,
    /// The `VSchema` is being reverted.
    InProgressRevertVschema,
    /// Reverted.
    CompleteRevert,
    /// The revert failed.
    CompleteRevertError,
    /// Cancelled before it ran.
    Cancelled,
    /// Validation failed.
    Error,
    /// A value that the API description does not list.
    Unknown(String),
}

macro_rules! names {
    ($($state:ident = $name:literal),* $(,)?) => {
        impl DeploymentState {
            /// Every state of the API description.
            pub const KNOWN: [Self; 20] = [$(Self::$state),*];

            /// The state's name in the API.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$state => $name,)*
                    Self::Unknown(name) => name,
                }
            }
        }

        impl From<String> for DeploymentState {
            fn from(name: String) -> Self {
                match name.as_str() {
                    $($name => Self::$state,)*
                    _ => Self::Unknown(name),
                }
            }
        }
    };
}
names! {
    Pending = "pending",
    Ready = "ready",
    NoChanges = "no_changes",
    Queued = "queued",
    Submitting = "submitting",
    InProgress = "in_progress",
    PendingCutover = "pending_cutover",
    InProgressVschema = "in_progress_vschema",
    InProgressCancel = "in_progress_cancel",
    InProgressCutover = "in_progress_cutover",
    Complete = "complete",
    CompleteCancel = "complete_cancel",
    CompleteError = "complete_error",
    CompletePendingRevert = "complete_pending_revert",
    InProgressRevert = "in_progress_revert",
    InProgressRevertVschema = "in_progress_revert_vschema",
    CompleteRevert = "complete_revert",
    CompleteRevertError = "complete_revert_error",
    Cancelled = "cancelled",
    Error = "error",
}

impl From<DeploymentState> for String {
    fn from(state: DeploymentState) -> Self {
        state.as_str().to_owned()
    }
}

/// Where a deploy request is on its way; several states of the API are one stage for a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// PlanetScale validates it.
    Validating,
    /// It can be deployed.
    Ready,
    /// The two schemas are equal.
    NoChanges,
    /// Validation failed.
    Invalid,
    /// It is in the deploy queue.
    Queued,
    /// The migration runs.
    Running,
    /// A person has to cut over.
    AwaitingCutover,
    /// It is being cancelled.
    Cancelling,
    /// It was cancelled.
    Cancelled,
    /// The migration failed and blocks the queue.
    Failed,
    /// The schema is applied and can still be reverted.
    AppliedRevertible,
    /// The schema is applied.
    Applied,
    /// The schema is being reverted.
    Reverting,
    /// The schema is back as it was.
    Reverted,
    /// The revert failed.
    RevertFailed,
    /// The states say nothing that is understood: an unknown value, or two that contradict each other.
    Unclear,
}

impl DeploymentState {
    /// The stage this state alone stands for.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Pending => Stage::Validating,
            Self::Ready => Stage::Ready,
            Self::NoChanges => Stage::NoChanges,
            Self::Error => Stage::Invalid,
            Self::Queued | Self::Submitting => Stage::Queued,
            Self::InProgress | Self::InProgressVschema | Self::InProgressCutover => Stage::Running,
            Self::PendingCutover => Stage::AwaitingCutover,
            Self::InProgressCancel => Stage::Cancelling,
            Self::Cancelled | Self::CompleteCancel => Stage::Cancelled,
            Self::CompleteError => Stage::Failed,
            Self::CompletePendingRevert => Stage::AppliedRevertible,
            Self::Complete => Stage::Applied,
            Self::InProgressRevert | Self::InProgressRevertVschema => Stage::Reverting,
            Self::CompleteRevert => Stage::Reverted,
            Self::CompleteRevertError => Stage::RevertFailed,
            Self::Unknown(_) => Stage::Unclear,
        }
    }
}

/// The stage that a request's `deployment_state` and its deployment's `state` stand for together.
///
/// The two differ in PlanetScale's own webhook samples: a gated request is `pending_cutover` while its deployment is
/// `in_progress`. Any other disagreement is waited out, because acting on the wrong one of the two is worse than
/// acting late.
pub fn stage(request: &DeploymentState, deployment: Option<&DeploymentState>) -> Stage {
    let mine = request.stage();
    let Some(theirs) = deployment.map(DeploymentState::stage) else { return mine };
    match (mine, theirs) {
        (mine, theirs) if mine == theirs => mine,
        (Stage::AwaitingCutover, Stage::Running) | (Stage::Running, Stage::AwaitingCutover) => {
            Stage::AwaitingCutover
        }
        (Stage::Queued, Stage::Running) | (Stage::Running, Stage::Queued) => Stage::Running,
        (Stage::AppliedRevertible, Stage::Applied) | (Stage::Applied, Stage::AppliedRevertible) => {
            Stage::Applied
        }
        _ => Stage::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_the_api_has_a_name_that_parses_back() {
        for state in DeploymentState::KNOWN {
            assert_eq!(DeploymentState::from(state.as_str().to_owned()), state);
            assert_ne!(state.stage(), Stage::Unclear, "{state:?}");
        }
        let unknown = DeploymentState::from("in_progress_wormhole".to_owned());
        assert_eq!(unknown, DeploymentState::Unknown("in_progress_wormhole".into()));
        assert_eq!(unknown.stage(), Stage::Unclear);
    }

    #[test]
    fn two_states_that_agree_are_one_stage_and_two_that_contradict_are_unclear() {
        use DeploymentState as S;
        for (request, deployment, expected) in [
            (S::Ready, Some(S::Ready), Stage::Ready),
            (S::Ready, None, Stage::Ready),
            (S::PendingCutover, Some(S::InProgress), Stage::AwaitingCutover),
            (S::InProgress, Some(S::PendingCutover), Stage::AwaitingCutover),
            (S::InProgressCutover, Some(S::InProgress), Stage::Running),
            (S::Queued, Some(S::Submitting), Stage::Queued),
            (S::Queued, Some(S::InProgress), Stage::Running),
            (S::CompletePendingRevert, Some(S::Complete), Stage::Applied),
            (S::InProgress, Some(S::Complete), Stage::Unclear),
            (S::CompletePendingRevert, Some(S::InProgressCutover), Stage::Unclear),
            (S::Pending, Some(S::Ready), Stage::Unclear),
            (S::Complete, Some(S::CompleteError), Stage::Unclear),
            (S::Unknown("x".into()), Some(S::Ready), Stage::Unclear),
        ] {
            assert_eq!(stage(&request, deployment.as_ref()), expected, "{request:?} {deployment:?}");
        }
    }
}
