use shared::Error;
use shared::config::{optional, parsed, required};
use shared::image::{ImageTag, ReferenceStyle, TagList};
use shared::release::Database;

/// What the stack's parameters name.
pub struct Settings {
    pub application: String,
    pub environment: String,
    pub repository: String,
    pub moving_tag: ImageTag,
    pub moving_tags: Vec<ImageTag>,
    pub image_reference: ReferenceStyle,
    pub service: String,
    pub topic_arn: String,
    pub grant_function: String,
    pub connection_string_secret_arn: Option<String>,
    pub planetscale: Option<PlanetScaleSettings>,
}

/// What is needed to look at PlanetScale.
pub struct PlanetScaleSettings {
    pub database: Database,
    pub secret_arn: String,
    pub approval_deadline: u64,
}

impl Settings {
    pub fn from_env() -> Result<Self, Error> {
        let TagList(moving_tags) = parsed("MOVING_TAGS")?;
        Ok(Self {
            application: required("APPLICATION")?,
            environment: required("ENVIRONMENT")?,
            repository: required("REPOSITORY_NAME")?,
            moving_tag: parsed("MOVING_TAG")?,
            moving_tags,
            image_reference: parsed("IMAGE_REFERENCE")?,
            service: required("SERVICE_NAME")?,
            topic_arn: required("TOPIC_ARN")?,
            grant_function: required("GRANT_IMAGE_PULL_FUNCTION")?,
            connection_string_secret_arn: optional("CONNECTION_STRING_SECRET_ARN"),
            planetscale: planetscale()?,
        })
    }

    /// The command that lets the container service pull.
    pub fn grant(&self) -> String {
        format!(
            "aws lambda invoke --function-name {} --cli-binary-format raw-in-base64-out \
             --payload '{{\"Repository\":\"{}\",\"Service\":\"{}\"}}' /dev/stdout",
            self.grant_function, self.repository, self.service
        )
    }
}

/// The command that fills the secret `arn`.
pub fn fill(arn: &str, value: &str) -> String {
    format!("aws secretsmanager put-secret-value --secret-id {arn} --secret-string '{value}'")
}

fn planetscale() -> Result<Option<PlanetScaleSettings>, Error> {
    let Some(name) = optional("PLANETSCALE_DATABASE") else { return Ok(None) };
    Ok(Some(PlanetScaleSettings {
        database: Database {
            organization: required("PLANETSCALE_ORGANIZATION")?,
            name,
            head_branch: required("PLANETSCALE_HEAD_BRANCH")?,
            base_branch: required("PLANETSCALE_BASE_BRANCH")?,
        },
        secret_arn: required("PLANETSCALE_SECRET_ARN")?,
        approval_deadline: parsed("APPROVAL_DEADLINE")?,
    }))
}
