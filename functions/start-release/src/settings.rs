use shared::Error;
use shared::config::{optional, parsed, required};
use shared::image::{ImageTag, TagList};
use shared::release::{Database, Deadlines, Policy, Verification};
use shared::verification::paths;

/// The stack's parameters that go into every release's input.
pub struct Settings {
    pub application: String,
    pub environment: String,
    pub repository: String,
    pub repository_uri: String,
    pub moving_tag: ImageTag,
    pub moving_tags: Vec<ImageTag>,
    pub service: String,
    pub database: Option<Database>,
    pub policy: Policy,
    pub deadlines: Deadlines,
    pub last_call: u64,
    pub verification: Verification,
    pub state_machine_arn: String,
}

impl Settings {
    pub fn from_env() -> Result<Self, Error> {
        let TagList(moving_tags) = parsed("MOVING_TAGS")?;
        Ok(Self {
            application: required("APPLICATION")?,
            environment: required("ENVIRONMENT")?,
            repository: required("REPOSITORY_NAME")?,
            repository_uri: required("REPOSITORY_URI")?,
            moving_tag: parsed("MOVING_TAG")?,
            moving_tags,
            service: required("SERVICE_NAME")?,
            database: database()?,
            policy: Policy {
                destructive_changes: parsed("DESTRUCTIVE_CHANGES")?,
                on_container_failure: parsed("ON_CONTAINER_FAILURE")?,
            },
            deadlines: Deadlines {
                turn: parsed("TURN_DEADLINE")?,
                validation: parsed("VALIDATION_DEADLINE")?,
                approval: parsed("APPROVAL_DEADLINE")?,
                schema: parsed("SCHEMA_DEADLINE")?,
                revert: parsed("REVERT_DEADLINE")?,
                containers: parsed("CONTAINERS_DEADLINE")?,
            },
            last_call: parsed("LAST_CALL")?,
            verification: Verification {
                paths: paths(&optional("VERIFY_PATHS").unwrap_or_default(), &required("HEALTH_CHECK_PATH")?)?,
                seconds: parsed("VERIFY_FOR")?,
                on_failure: parsed("ON_VERIFICATION_FAILURE")?,
            },
            state_machine_arn: required("STATE_MACHINE_ARN")?,
        })
    }
}

/// The database, when one is named; an environment such as `qa` that works on its branch directly has none.
fn database() -> Result<Option<Database>, Error> {
    let Some(name) = optional("PLANETSCALE_DATABASE") else { return Ok(None) };
    Ok(Some(Database {
        organization: required("PLANETSCALE_ORGANIZATION")?,
        name,
        head_branch: required("PLANETSCALE_HEAD_BRANCH")?,
        base_branch: required("PLANETSCALE_BASE_BRANCH")?,
    }))
}
