//! What the stack's parameters say in a world.

use serde_json::Value;
use shared::image::ImageTag;
use shared::release::{Database, Deadlines, DestructiveChanges, OnContainerFailure, Policy, Verification};

pub const APPLICATION: &str = "bookings-api";
pub const ENVIRONMENT: &str = "prod";
pub const REPOSITORY: &str = "bookings-api";
pub const REPOSITORY_URI: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/bookings-api";
pub const MOVING_TAG: &str = "prod";
pub const SERVICE: &str = "bookings-api-prod";
pub const CONTAINER: &str = "app";
pub const BUILD_PROJECT: &str = "bookings-api-prod-build";
pub const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:releases";
pub const PLANETSCALE_SECRET: &str =
    "arn:aws:secretsmanager:us-east-1:000000000000:secret:planetscale-AbCdEf";
pub const CONNECTION_SECRET: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:connection-AbCdEf";
/// The two secrets' texts, which must be seen nowhere; both end alike.
pub const TOKEN: &str = "token-only-for-the-simulation";
pub const CONNECTION_STRING: &str = "mysql://password-only-for-the-simulation@host/shop";

/// The part of both secrets that nothing else has.
const SECRET: &str = "-only-for-the-simulation";

/// Whether one of the secrets is in a text.
pub fn is_secret(text: &str) -> bool {
    text.contains(SECRET)
}

/// Whether one of the secrets is anywhere in `value`.
pub fn tells_a_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => is_secret(text),
        Value::Array(items) => items.iter().any(tells_a_secret),
        Value::Object(fields) => fields.iter().any(|(name, field)| is_secret(name) || tells_a_secret(field)),
        _ => false,
    }
}

/// The parameters that differ from world to world.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Whether a database moves with the image.
    pub database: bool,
    pub policy: Policy,
    pub deadlines: Deadlines,
    pub pace: Pace,
    /// Whether and how the service is asked.
    pub verification: Verification,
}

/// How long Lightsail takes for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Less than a minute: more releases can be walked.
    Quick,
    /// A few minutes, as was seen live.
    Usual,
}

impl Pace {
    /// For the creation, the health check, the activation, and until a failure is shown.
    pub fn milliseconds(self) -> [u32; 4] {
        match self {
            Self::Quick => [5_000, 6_000, 2_000, 20_000],
            Self::Usual => [30_000, 60_000, 10_000, 120_000],
        }
    }
}

impl Default for Stack {
    fn default() -> Self {
        let policy = Policy {
            destructive_changes: DestructiveChanges::Refuse,
            on_container_failure: OnContainerFailure::RevertSchema,
        };
        // The template's defaults.
        let deadlines = Deadlines {
            turn: 86_400,
            validation: 1_800,
            approval: 259_200,
            schema: 1_209_600,
            revert: 3_600,
            containers: 2_700,
        };
        Self { database: true, policy, deadlines, pace: Pace::Usual, verification: Verification::default() }
    }
}

/// The database with its two branches.
pub fn database() -> Database {
    Database {
        organization: "acme".into(),
        name: "shop".into(),
        head_branch: "dev".into(),
        base_branch: "main".into(),
    }
}

/// A tag.
///
/// # Panics
/// When `text` is none.
pub fn tag(text: &str) -> ImageTag {
    text.parse().unwrap_or_else(|_| panic!("{text} is a tag"))
}
