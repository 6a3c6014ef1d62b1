//! Builds of the stack's CodeBuild project.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_codebuild::Client;
use aws_sdk_codebuild::config::retry::RetryConfig;
use aws_sdk_codebuild::config::timeout::TimeoutConfig;
use aws_sdk_codebuild::types::SortOrderType;
use chrono::{DateTime, Utc};

use crate::origin::Build;
use crate::{Error, aws, config};

/// The longest that one call may take. A release is not held up for what only its report is better by.
const LONGEST_CALL: Duration = Duration::from_millis(2_400);

/// The project of one environment.
#[derive(Debug, Clone)]
pub struct Builds {
    client: Client,
    project: String,
}

impl Builds {
    /// The project that `BUILD_PROJECT` names; none when the stack has none.
    pub fn from_env(config: &SdkConfig) -> Option<Self> {
        let project = config::optional("BUILD_PROJECT")?;
        Some(Self::new(config, project))
    }

    /// The builds of `project`.
    pub fn new(config: &SdkConfig, project: String) -> Self {
        Self { client: client(config), project }
    }

    /// The newest builds, at most a hundred, the newest first: two calls, each made once and given up after 2.4 s.
    ///
    /// # Errors
    /// As [`aws::failed`] says.
    pub async fn newest(&self) -> Result<Vec<Build>, Error> {
        let project = &self.project;
        let list = self.client.list_builds_for_project().project_name(project);
        let listed = list.sort_order(SortOrderType::Descending).send().await;
        let listed = listed
            .map_err(|error| aws::failed(&format!("codebuild:ListBuildsForProject of {project}"), &error))?;
        let ids = listed.ids.unwrap_or_default();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let got = self.client.batch_get_builds().set_ids(Some(ids.clone())).send().await;
        let got =
            got.map_err(|error| aws::failed(&format!("codebuild:BatchGetBuilds of {project}"), &error))?;
        let mut builds = got.builds.unwrap_or_default();
        // In which order they are answered is not documented.
        builds.sort_by_key(|build| ids.iter().position(|id| Some(id.as_str()) == build.id()));
        Ok(builds.iter().map(known).collect())
    }
}

/// A client that tries every call once, for at most [`LONGEST_CALL`].
fn client(config: &SdkConfig) -> Client {
    let impatient = aws_sdk_codebuild::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(LONGEST_CALL).build());
    Client::from_conf(impatient.build())
}

fn known(build: &aws_sdk_codebuild::types::Build) -> Build {
    let time = |time: Option<&aws_sdk_codebuild::primitives::DateTime>| -> Option<DateTime<Utc>> {
        time.and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()))
    };
    let exported = build.exported_environment_variables().iter().filter_map(|variable| {
        Some((variable.name()?.to_owned(), variable.value().unwrap_or_default().to_owned()))
    });
    Build {
        number: build.build_number(),
        log_url: build.logs().and_then(|logs| logs.deep_link()).map(str::to_owned),
        started_at: time(build.start_time()),
        ended_at: time(build.end_time()),
        resolved_commit: build.resolved_source_version().map(str::to_owned),
        exported: exported.collect(),
    }
}
