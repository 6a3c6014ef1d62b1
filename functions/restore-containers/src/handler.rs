use aws_sdk_lightsail::error::SdkError;
use aws_sdk_lightsail::operation::create_container_service_deployment::CreateContainerServiceDeploymentError;
use aws_sdk_lightsail::types::{Container, ContainerService, ContainerServiceDeployment, EndpointRequest};
use serde::Deserialize;
use shared::containers::{Condition, DeploymentReport, is_busy_message};
use shared::fence::Fence;
use shared::release::{Execution, Release};
use shared::undo::{Before, Restoration, UNDO_MARKER, before, busy};
use shared::{Error, aws, config, lightsail};

pub struct Context {
    lightsail: aws_sdk_lightsail::Client,
    fence: Fence,
    container: String,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        Ok(Self::new(
            lightsail::client_without_retries(&aws),
            Fence::from_env(&aws)?,
            config::required("CONTAINER_NAME")?,
        ))
    }

    /// `lightsail` tries every call once: see [`lightsail::client_without_retries`]. `container` names the release's own.
    pub fn new(lightsail: aws_sdk_lightsail::Client, fence: Fence, container: String) -> Self {
        Self { lightsail, fence, container }
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    redrives: u64,
    /// The release's own version.
    version: i32,
    waited: u64,
}

pub async fn handle(context: &Context, input: Input) -> Result<Restoration, Error> {
    let Input { release, execution, redrives, version, waited } = input;
    context.fence.pass(&release, &execution, redrives).await?;
    let name = &release.service;
    let found = lightsail::service(&context.lightsail, name).await?;
    let condition = lightsail::condition(found.as_ref());
    let (Some(service), Some(deployments)) = (found, lightsail::deployments(&context.lightsail, name).await?)
    else {
        return Err(down(&Condition::Gone, name));
    };
    if let Some(ours) = restored_before(&deployments, &execution.name) {
        return Ok(Restoration::Created { deployment: context.report(&service, ours)? });
    }
    match condition {
        Condition::Ready => {}
        Condition::Busy(state) => {
            let because = format!("The container service {name} is {state}.");
            return Ok(busy(&because, waited, release.deadlines.containers));
        }
        Condition::Disabled | Condition::Deleting | Condition::Gone => return Err(down(&condition, name)),
    }
    let known: Vec<_> = deployments.iter().filter_map(lightsail::known).collect();
    let earlier = match before(version, &known) {
        Before::Version(earlier) => earlier,
        Before::Nothing => {
            let because = format!("No version of {name} served before version {version}.");
            return Ok(Restoration::NothingBefore { because });
        }
        Before::Replaced => {
            let because = format!("Version {version} of {name} does not serve any more.");
            return Ok(Restoration::Replaced { because });
        }
    };
    let earlier = deployments.iter().find(|deployment| deployment.version() == Some(earlier));
    let earlier = earlier.ok_or_else(|| Error::Retryable(format!("{name} lists no version before.")))?;
    match context.create(name, earlier, &execution).await {
        Ok(service) => {
            let ours = service.next_deployment().ok_or_else(|| {
                Error::Retryable(format!("Lightsail created a deployment of {name} without naming it."))
            })?;
            Ok(Restoration::Created { deployment: context.report(&service, ours)? })
        }
        Err(error) if is_busy_message(aws::message(&error)) => {
            let because = format!("The container service {name} takes no deployment for now.");
            Ok(busy(&because, waited, release.deadlines.containers))
        }
        Err(error) => Err(refused(name, &error)),
    }
}

impl Context {
    /// Deploys what `earlier` ran, as Lightsail holds it, marked as the undo of `execution`.
    async fn create(
        &self,
        service: &str,
        earlier: &ContainerServiceDeployment,
        execution: &Execution,
    ) -> Result<ContainerService, SdkError<CreateContainerServiceDeploymentError>> {
        let mut call = self.lightsail.create_container_service_deployment().service_name(service);
        let marked = self.marked(earlier);
        for (name, container) in earlier.containers().into_iter().flatten() {
            let container = if Some(name.as_str()) == marked {
                mark(container, &execution.name)
            } else {
                container.clone()
            };
            call = call.containers(name, container);
        }
        if let Some(endpoint) = earlier.public_endpoint() {
            let endpoint = EndpointRequest::builder()
                .set_container_name(endpoint.container_name().map(str::to_owned))
                .set_container_port(endpoint.container_port())
                .set_health_check(endpoint.health_check().cloned())
                .build()
                .map_err(SdkError::construction_failure)?;
            call = call.public_endpoint(endpoint);
        }
        let answer = call.send().await?;
        answer.container_service.ok_or_else(|| SdkError::construction_failure("an answer without a service"))
    }

    /// The container of `deployment` that carries the mark: the release's own, or one of those that a person deployed.
    fn marked<'a>(&self, deployment: &'a ContainerServiceDeployment) -> Option<&'a str> {
        let containers = deployment.containers()?;
        let own = containers.keys().find(|name| **name == self.container);
        own.or_else(|| containers.keys().min()).map(String::as_str)
    }

    fn report(
        &self,
        service: &ContainerService,
        deployment: &ContainerServiceDeployment,
    ) -> Result<DeploymentReport, Error> {
        let incomplete = || Error::Retryable("Lightsail's answer names no version.".into());
        let own = self.marked(deployment).and_then(|name| deployment.containers()?.get(name)?.image());
        Ok(DeploymentReport {
            service: service.container_service_name().unwrap_or_default().to_owned(),
            version: deployment.version().ok_or_else(incomplete)?,
            image: own.unwrap_or_default().to_owned(),
            url: service.url().unwrap_or_default().to_owned(),
            is_first: false,
        })
    }
}

/// `container` with the mark in its environment.
fn mark(container: &Container, execution: &str) -> Container {
    let mut marked = container.clone();
    marked.environment.get_or_insert_default().insert(UNDO_MARKER.into(), execution.into());
    marked
}

/// The deployment that an earlier try created, its answer lost. A later one of somebody else may carry the container on
/// with its mark.
fn restored_before<'a>(
    deployments: &'a [ContainerServiceDeployment],
    execution: &str,
) -> Option<&'a ContainerServiceDeployment> {
    let restored = deployments.iter().filter(|deployment| {
        deployment.containers().into_iter().flatten().any(|(_, container)| {
            let mark = container.environment().and_then(|variables| variables.get(UNDO_MARKER));
            mark.is_some_and(|name| name == execution)
        })
    });
    restored.min_by_key(|deployment| deployment.version())
}

/// Of `service`, which is down in one of the ways that `condition` can tell.
fn down(condition: &Condition, service: &str) -> Error {
    Error::ServiceDown(condition.down(service).unwrap_or_default())
}

/// Lightsail's refusals for good. Their words are left out: they may quote the environments that the deployment holds.
fn refused(service: &str, error: &SdkError<CreateContainerServiceDeploymentError>) -> Error {
    let call = format!("lightsail:CreateContainerServiceDeployment on {service}");
    match aws::code(error).as_deref() {
        Some(code @ ("InvalidInputException" | "NotFoundException")) => {
            Error::ContainersRefused(format!("{call} was refused with {code}."))
        }
        _ => aws::failed(&call, error),
    }
}
