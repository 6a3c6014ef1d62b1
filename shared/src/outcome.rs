//! How a release ends.

use serde::{Deserialize, Serialize};

/// How a release ended; the name of the state machine's end state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The containers are ACTIVE and the schema is applied, or there was nothing to apply.
    Released,
    /// The moving tag points at a newer image; nothing was touched.
    Superseded,
    /// The environment is held; nothing was touched.
    Held,
    /// A change that was applied since breaks the older image; nothing was touched.
    RollbackRefused,
    /// The schema change is not allowed or not possible; the request is closed, nothing was touched.
    SchemaRefused,
    /// A person closed or cancelled the request, or nobody approved it in time.
    SchemaRejected,
    /// PlanetScale could not apply the change.
    SchemaFailed,
    /// The new deployment failed; the schema was not changed, or the policy keeps it.
    ContainersFailed,
    /// The containers failed and the schema is back as it was.
    SchemaReverted,
    /// The containers failed and the schema could not go back.
    RevertRefused,
    /// The release served badly; the containers of the version before serve again.
    Undone,
    /// A deadline passed.
    TimedOut,
    /// Anything unforeseen.
    ReleaseError,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 13] = [
        Self::Released,
        Self::Superseded,
        Self::Held,
        Self::RollbackRefused,
        Self::SchemaRefused,
        Self::SchemaRejected,
        Self::SchemaFailed,
        Self::ContainersFailed,
        Self::SchemaReverted,
        Self::RevertRefused,
        Self::Undone,
        Self::TimedOut,
        Self::ReleaseError,
    ];

    /// Whether the state machine ends in a Succeed state.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Released | Self::Superseded | Self::Held)
    }

    /// Whether the environment may be in a state that only a person can mend.
    pub fn needs_a_person(self) -> bool {
        match self {
            Self::SchemaFailed | Self::RevertRefused | Self::TimedOut | Self::ReleaseError => true,
            Self::Released
            | Self::Superseded
            | Self::Held
            | Self::RollbackRefused
            | Self::SchemaRefused
            | Self::SchemaRejected
            | Self::ContainersFailed
            | Self::SchemaReverted
            | Self::Undone => false,
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, formatter)
    }
}
