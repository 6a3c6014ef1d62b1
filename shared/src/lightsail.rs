//! Container services and their deployments in Lightsail.

use aws_config::SdkConfig;
use aws_sdk_lightsail::Client;
use aws_sdk_lightsail::config::retry::RetryConfig;
use aws_sdk_lightsail::types::{ContainerService, ContainerServiceDeployment};

use crate::containers::{Condition, ServiceDeployment, ServiceDeploymentState};
use crate::{Error, aws};

/// A client that tries every call once.
///
/// Lightsail's create call has no client token: a retry inside the SDK could create two deployments. The state machine
/// retries instead, and the next try looks for what the first one did.
pub fn client_without_retries(config: &SdkConfig) -> Client {
    let once = aws_sdk_lightsail::config::Builder::from(config).retry_config(RetryConfig::disabled());
    Client::from_conf(once.build())
}

/// The container service `name`; none when it is gone.
///
/// # Errors
/// As [`aws::failed`] says; so for every call here.
pub async fn service(client: &Client, name: &str) -> Result<Option<ContainerService>, Error> {
    match client.get_container_services().service_name(name).send().await {
        Ok(answer) => Ok(answer.container_services.and_then(|services| services.into_iter().next())),
        Err(error) if is_gone(aws::code(&error).as_deref()) => Ok(None),
        Err(error) => Err(aws::failed(&format!("lightsail:GetContainerServices of {name}"), &error)),
    }
}

/// What a release can do with `service`, which is none when it is gone.
pub fn condition(service: Option<&ContainerService>) -> Condition {
    service.map_or(Condition::Gone, |service| {
        let state = service.state().map_or("", |state| state.as_str());
        Condition::of(state, service.is_disabled() == Some(true))
    })
}

/// The deployments of the container service `name`; none when it is gone.
///
/// # Errors
/// See [`service`].
pub async fn deployments(
    client: &Client,
    name: &str,
) -> Result<Option<Vec<ContainerServiceDeployment>>, Error> {
    match client.get_container_service_deployments().service_name(name).send().await {
        Ok(answer) => Ok(Some(answer.deployments.unwrap_or_default())),
        Err(error) if is_gone(aws::code(&error).as_deref()) => Ok(None),
        Err(error) => {
            Err(aws::failed(&format!("lightsail:GetContainerServiceDeployments of {name}"), &error))
        }
    }
}

/// A deployment in the terms of the decisions; none when it names no version or state.
pub fn known(deployment: &ContainerServiceDeployment) -> Option<ServiceDeployment> {
    let state = match deployment.state()?.as_str() {
        "ACTIVATING" => ServiceDeploymentState::Activating,
        "ACTIVE" => ServiceDeploymentState::Active,
        "INACTIVE" => ServiceDeploymentState::Inactive,
        "FAILED" => ServiceDeploymentState::Failed,
        other => ServiceDeploymentState::Unknown(other.to_owned()),
    };
    Some(ServiceDeployment { version: deployment.version()?, state })
}

fn is_gone(code: Option<&str>) -> bool {
    code == Some("NotFoundException")
}
