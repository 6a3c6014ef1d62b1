use aws_sdk_lightsail::Client;
use aws_sdk_lightsail::types::ContainerServiceDeployment;
use serde::{Deserialize, Serialize};
use shared::containers::{Progress, ServiceDeployment, ServiceDeploymentState, own_lines, progress};
use shared::release::Release;
use shared::{Error, aws, config, text};

/// The most log lines of a failed deployment that are shown.
const LOG_LINES: usize = 20;
/// The most of them that go into the sentence.
const TOLD: usize = 5;

pub struct Context {
    lightsail: Client,
    container: String,
}

impl Context {
    pub async fn from_env() -> Result<Self, Error> {
        Ok(Self {
            lightsail: Client::new(&aws::config().await),
            container: config::required("CONTAINER_NAME")?,
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    version: i32,
    waited: u64,
}

#[derive(Debug, Serialize)]
pub struct Output {
    #[serde(flatten)]
    step: Progress,
    /// The container's last words, when it failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    log: Vec<String>,
}

pub async fn handle(context: &Context, Input { release, version, waited }: Input) -> Result<Output, Error> {
    let service = &release.service;
    let answer = context.lightsail.get_container_service_deployments().service_name(service).send().await;
    let answer = answer.map_err(|error| match aws::code(&error).as_deref() {
        Some("NotFoundException") => {
            Error::ContainersRefused(format!("The container service {service} does not exist any more."))
        }
        _ => aws::failed(&format!("lightsail:GetContainerServiceDeployments of {service}"), &error),
    })?;
    let deployments: Vec<_> = answer.deployments().iter().filter_map(known).collect();
    let mut step = progress(service, version, &deployments, waited, release.deadlines.containers);
    let mut log = Vec::new();
    if let Progress::Failed { because } = &mut step {
        log = context.last_words(service, version).await;
        if !log.is_empty() {
            because.push_str(&format!(
                " The end of its log: {}",
                log[log.len().saturating_sub(TOLD)..].join(" / ")
            ));
        }
    }
    Ok(Output { step, log })
}

impl Context {
    /// The last lines of the container's log. They help a person and decide nothing: without them the release goes on.
    async fn last_words(&self, service: &str, version: i32) -> Vec<String> {
        let log = self.lightsail.get_container_log().service_name(service).container_name(&self.container);
        match log.send().await {
            Ok(answer) => {
                let lines: Vec<_> = answer.log_events().iter().filter_map(|event| event.message()).collect();
                let own = own_lines(&lines, version);
                let last = &own[own.len().saturating_sub(LOG_LINES)..];
                last.iter().map(|line| text::shorten(line, 500)).collect()
            }
            Err(error) => {
                let error = aws::failed(&format!("lightsail:GetContainerLog of {service}"), &error);
                vec![text::shorten(&format!("The log could not be read. {error}"), 1_500)]
            }
        }
    }
}

fn known(deployment: &ContainerServiceDeployment) -> Option<ServiceDeployment> {
    let state = match deployment.state()?.as_str() {
        "ACTIVATING" => ServiceDeploymentState::Activating,
        "ACTIVE" => ServiceDeploymentState::Active,
        "INACTIVE" => ServiceDeploymentState::Inactive,
        "FAILED" => ServiceDeploymentState::Failed,
        other => ServiceDeploymentState::Unknown(other.to_owned()),
    };
    Some(ServiceDeployment { version: deployment.version()?, state })
}
