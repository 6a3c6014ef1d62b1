//! A release: what the state machine is started with.
//!
//! The input carries every setting that decides the way of the release, so that a change of the stack's parameters
//! does not disturb a release that runs, and so that a person reads in the console what was decided by what.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::image::{ImageDigest, ImageTag};
use crate::verification::VerifyPath;

/// The input of one execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// The application: the name its image repository is known by.
    pub application: String,
    /// The environment, such as `qa` or `prod`.
    pub environment: String,
    /// What started the release.
    pub cause: Cause,
    /// How a rollback was asked for; none in any other release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Rollback>,
    /// When the image was pushed, or when the look or the request by hand was made.
    pub pushed_at: DateTime<Utc>,
    /// The image to release.
    pub image: Image,
    /// The Lightsail container service that runs it.
    pub service: String,
    /// The database that moves with it, if there is one.
    pub database: Option<Database>,
    /// What to do with changes that can drop data, and with the schema when the containers fail.
    pub policy: Policy,
    /// The longest waits, in seconds.
    pub deadlines: Deadlines,
    /// How long a call can still be at work whose execution was stopped, in seconds: a function's time-out, and a margin.
    pub last_call: u64,
    /// How the service is asked whether it serves; not at all in a release that started before an update brought this.
    #[serde(default)]
    pub verification: Verification,
}

impl Release {
    /// From when a lock may be used that is taken `now` from a stopped execution, or by one that was redriven.
    pub fn last_call_over(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + TimeDelta::seconds(self.last_call.try_into().unwrap_or(i64::MAX / 1_000))
    }

    /// What the moving tag points at as long as nobody overtakes the release.
    pub fn expected_tag(&self) -> &ImageDigest {
        self.rollback.as_ref().map_or(&self.image.digest, |rollback| &rollback.tag_points_at)
    }

    /// Whether a person asked for it, not an event or a look.
    pub fn is_asked_for(&self) -> bool {
        self.cause == Cause::ByHand
            || self.rollback.as_ref().is_some_and(|one| one.insist || one.tag_points_at != self.image.digest)
    }

    /// The first line of the notes of a deploy request that a release creates, by which the request is known as ours.
    pub fn notes_title(application: &str, environment: &str) -> String {
        format!("Release of {application} into {environment}")
    }
}

/// What started a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The ECR push event.
    Push,
    /// The scheduled look found an image that no event announced.
    ScheduledLook,
    /// A person asked for it.
    ByHand,
    /// The moving tag went back to an image that was Released here before, or a person asked to go back.
    Rollback,
}

/// How a rollback was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollback {
    /// Whether a person insists, whatever is in the way.
    pub insist: bool,
    /// What the moving tag pointed at then: the image itself, unless a person asked to go back without moving it.
    pub tag_points_at: ImageDigest,
}

/// The image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The ECR repository's name.
    pub repository: String,
    /// The ECR repository's URI.
    pub uri: String,
    /// The tag that moves from image to image and stands for the environment.
    pub moving_tag: ImageTag,
    /// The image's digest: what is released, whatever the tags do.
    pub digest: ImageDigest,
    /// The immutable tag, which names the commit; none when the image has only moving tags.
    pub commit: Option<ImageTag>,
    /// Every commit tag of the image: two commits of the same files may have become one image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<ImageTag>,
}

/// A PlanetScale database and the two branches between which its schema moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// The PlanetScale organization.
    pub organization: String,
    /// The database's name.
    pub name: String,
    /// The branch the schema change comes from, such as `dev`.
    pub head_branch: String,
    /// The branch it goes into, such as `main`.
    pub base_branch: String,
}

/// The choices the stack's parameters make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// What to do with a schema change that can drop data.
    pub destructive_changes: DestructiveChanges,
    /// What to do with the schema when the containers fail.
    pub on_container_failure: OnContainerFailure,
}

/// What to do with a schema change that can drop data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestructiveChanges {
    /// Refuse it.
    Refuse,
    /// Apply it after the containers, if the new code works without it.
    AfterContainers,
    /// Apply it, and what no order makes safe as well; after the containers if the new code works without it.
    Allow,
}

/// What to do with the schema when the containers fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnContainerFailure {
    /// Revert it, while PlanetScale's revert window is open.
    RevertSchema,
    /// Leave it as it is.
    KeepSchema,
}

/// How the service is asked whether it serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// What it is asked.
    pub paths: Vec<VerifyPath>,
    /// For how many seconds the new containers are asked; 0 when nothing is asked at all.
    pub seconds: u64,
    /// What to do when it does not serve.
    pub on_failure: OnVerificationFailure,
}

/// What to do when new containers are ACTIVE and do not serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnVerificationFailure {
    /// Go back to the containers of the version before, then to the schema of before.
    #[default]
    Undo,
    /// Leave them and the schema as they are.
    Keep,
}

/// The longest waits of a release, each in seconds of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deadlines {
    /// For the environment's lock.
    pub turn: u64,
    /// For PlanetScale to validate the deploy request.
    pub validation: u64,
    /// For a person to approve the deploy request.
    pub approval: u64,
    /// For the schema change to be applied.
    pub schema: u64,
    /// For the schema to be reverted.
    pub revert: u64,
    /// For the deployment to become ACTIVE, waiting for a busy service included.
    pub containers: u64,
}

/// The execution that runs a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// The execution's ARN.
    pub arn: String,
    /// The execution's name.
    pub name: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
}

impl Execution {
    /// The execution's page in the Step Functions console.
    pub fn console_url(&self) -> String {
        console_url(&self.arn)
    }
}

/// The page in the Step Functions console of the execution with this ARN.
pub fn console_url(arn: &str) -> String {
    let region = arn.split(':').nth(3).unwrap_or_default();
    format!(
        "https://{region}.console.aws.amazon.com/states/home?region={region}#/v2/executions/details/{arn}"
    )
}

macro_rules! from_kebab_case {
    ($($type:ty),*) => {$(
        impl FromStr for $type {
            type Err = serde::de::value::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::deserialize(serde::de::value::StrDeserializer::new(text))
            }
        }
    )*};
}
from_kebab_case!(DestructiveChanges, OnContainerFailure, OnVerificationFailure);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_parses_from_a_template_parameter_and_names_the_choices_when_it_is_wrong() {
        assert_eq!("after-containers".parse(), Ok(DestructiveChanges::AfterContainers));
        assert_eq!("keep-schema".parse(), Ok(OnContainerFailure::KeepSchema));
        let error = "never".parse::<DestructiveChanges>().unwrap_err().to_string();
        assert!(error.contains("`refuse`, `after-containers`, `allow`"), "{error}");
    }

    #[test]
    fn the_console_url_names_region_and_execution() {
        let arn = "arn:aws:states:eu-west-1:123456789012:execution:app-prod-release:prod-1";
        let execution =
            Execution { arn: arn.into(), name: "prod-1".into(), started_at: DateTime::UNIX_EPOCH };
        let url = execution.console_url();
        assert!(url.starts_with("https://eu-west-1.console.aws.amazon.com/"), "{url}");
        assert!(url.ends_with(arn), "{url}");
    }
}
