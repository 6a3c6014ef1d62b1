//! The one error type of every function.
//!
//! A variant's name is API: Lambda returns it as `errorType`, Step Functions matches it in Retry and Catch,
//! and the README documents it. The test `state_machine` holds all three together.

use lambda_runtime::Diagnostic;

use crate::text;

/// Why a function could not do its work. Each message says what failed, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A later try of the same call may succeed: throttling by AWS, a 5xx, a lost or unreadable answer.
    #[error("{0}")]
    Retryable(String),
    /// PlanetScale takes no more calls for now: its limit counts those of the whole organization, a minute at a time.
    #[error("{0}")]
    RateLimited(String),
    /// A setting, a secret, a permission or the input is wrong; a person has to change it.
    #[error("{0}")]
    Misconfigured(String),
    /// PlanetScale refuses to deploy the request, for good.
    #[error("{0}")]
    SchemaRefused(String),
    /// PlanetScale refuses to revert the schema.
    #[error("{0}")]
    RevertRefused(String),
    /// Lightsail or ECR refuse the deployment, for good; nothing was deployed.
    #[error("{0}")]
    ContainersRefused(String),
    /// The container service itself is disabled, being deleted or gone: nothing serves.
    #[error("{0}")]
    ServiceDown(String),
    /// The environment's lock is the execution's, but a call of a stopped execution may still be at work.
    #[error("{0}")]
    LockNotUsableYet(String),
    /// The environment's lock is not the execution's any more.
    #[error("{0}")]
    LockLost(String),
    /// The call was made before its execution was redriven; nobody waits for its answer.
    #[error("{0}")]
    StaleCall(String),
    /// An answer that no documented behaviour explains.
    #[error("{0}")]
    Unexpected(String),
}

impl Error {
    /// Every name that [`Error::name`] can return.
    pub const NAMES: [&str; 11] = [
        "Retryable",
        "RateLimited",
        "Misconfigured",
        "SchemaRefused",
        "RevertRefused",
        "ContainersRefused",
        "ServiceDown",
        "LockNotUsableYet",
        "LockLost",
        "StaleCall",
        "Unexpected",
    ];

    /// The name that Retry and Catch of the state machine match.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Retryable(_) => "Retryable",
            Self::RateLimited(_) => "RateLimited",
            Self::Misconfigured(_) => "Misconfigured",
            Self::SchemaRefused(_) => "SchemaRefused",
            Self::RevertRefused(_) => "RevertRefused",
            Self::ContainersRefused(_) => "ContainersRefused",
            Self::ServiceDown(_) => "ServiceDown",
            Self::LockNotUsableYet(_) => "LockNotUsableYet",
            Self::LockLost(_) => "LockLost",
            Self::StaleCall(_) => "StaleCall",
            Self::Unexpected(_) => "Unexpected",
        }
    }
}

/// The most characters of a message that leave a function: it may quote what others wrote, and Step Functions ends an
/// execution whose state is larger than 256 KiB.
const LONGEST_MESSAGE: usize = 4_000;

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.name().into(),
            error_message: text::shorten(&error.to_string(), LONGEST_MESSAGE),
        }
    }
}
