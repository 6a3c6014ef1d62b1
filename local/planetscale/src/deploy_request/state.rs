//! The states of a deployment.

use serde::Serialize;

/// The 20 values of PlanetScale's API description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentState {
    Pending,
    Ready,
    NoChanges,
    Queued,
    Submitting,
    InProgress,
    PendingCutover,
    InProgressVschema,
    InProgressCancel,
    InProgressCutover,
    Complete,
    CompleteCancel,
    CompleteError,
    CompletePendingRevert,
    InProgressRevert,
    InProgressRevertVschema,
    CompleteRevert,
    CompleteRevertError,
    Cancelled,
    Error,
}

impl DeploymentState {
    /// Whether validation is to come or has spoken, and nothing else has happened.
    pub fn is_before_queue(self) -> bool {
        matches!(self, Self::Pending | Self::Ready | Self::NoChanges | Self::Error)
    }

    /// Whether others of the same queue wait for it: on its way, in the revert window, or failed and not yet
    /// unblocked.
    pub fn holds_queue(self) -> bool {
        !self.is_before_queue()
            && !matches!(self, Self::Complete | Self::CompleteCancel | Self::CompleteRevert | Self::Cancelled)
    }

    /// Whether the migration is running and can be cancelled.
    pub fn is_migrating(self) -> bool {
        matches!(self, Self::Submitting | Self::InProgress | Self::InProgressVschema | Self::PendingCutover)
    }
}
