use aws_sdk_lightsail::config::retry::RetryConfig;
use aws_sdk_lightsail::error::SdkError;
use aws_sdk_lightsail::operation::create_container_service_deployment::CreateContainerServiceDeploymentError;
use aws_sdk_lightsail::types::{
    Container, ContainerService, ContainerServiceDeployment, ContainerServiceHealthCheckConfig,
    ContainerServiceProtocol, EndpointRequest,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use shared::containers::{
    Creation, DeploymentReport, RELEASE_MARKER, busy, environment, is_busy_message, is_busy_state,
};
use shared::image::{ReferenceStyle, TagList};
use shared::release::{Execution, Release};
use shared::{Error, aws, config, registry, secrets};

pub struct Context {
    lightsail: aws_sdk_lightsail::Client,
    ecr: aws_sdk_ecr::Client,
    secrets: aws_sdk_secretsmanager::Client,
    container: String,
    port: u16,
    health_check_path: String,
    environment: String,
    connection_string: Option<ConnectionString>,
    reference: ReferenceStyle,
    moving_tags: TagList,
}

struct ConnectionString {
    variable: String,
    secret_arn: String,
}

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        // Lightsail's create call has no client token: a retry inside the SDK could create two deployments. The
        // state machine retries instead, and the next try looks for what the first one did.
        let once =
            aws_sdk_lightsail::config::Builder::from(&aws).retry_config(RetryConfig::disabled()).build();
        let connection_string = match config::optional("CONNECTION_STRING_SECRET_ARN") {
            Some(secret_arn) => Some(ConnectionString {
                variable: config::required("CONNECTION_STRING_VARIABLE")?,
                secret_arn,
            }),
            None => None,
        };
        Ok(Self {
            lightsail: aws_sdk_lightsail::Client::from_conf(once),
            ecr: aws_sdk_ecr::Client::new(&aws),
            secrets: aws_sdk_secretsmanager::Client::new(&aws),
            container: config::required("CONTAINER_NAME")?,
            port: config::parsed("CONTAINER_PORT")?,
            health_check_path: config::required("HEALTH_CHECK_PATH")?,
            environment: config::required("CONTAINER_ENVIRONMENT")?,
            connection_string,
            reference: config::parsed("IMAGE_REFERENCE")?,
            moving_tags: config::parsed("MOVING_TAGS")?,
        })
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    waited: u64,
}

pub async fn handle(
    context: &Context,
    Input { release, execution, waited }: Input,
) -> Result<Creation, Error> {
    let service = context.service(&release.service).await?;
    if let Some(ours) = context.created_before(&release.service, &execution.name).await? {
        return Ok(Creation::Created { deployment: report(&service, &ours)? });
    }
    let state = service.state().map_or("", |state| state.as_str());
    if is_busy_state(state) {
        let because = format!("The container service {} is {state}.", release.service);
        return Ok(busy(&because, waited, release.deadlines.containers));
    }
    if service.is_disabled() == Some(true) || state == "DISABLED" {
        return Err(Error::ContainersRefused(format!(
            "The container service {} is disabled. Enable it, then release again.",
            release.service
        )));
    }
    let image = context.reference(&release).await?;
    let container = context.container(image, &execution).await?;
    match context.create(&release.service, container).await {
        Ok(service) => {
            let ours = service.next_deployment().ok_or_else(|| {
                Error::Retryable(format!(
                    "Lightsail created a deployment of {} without naming it.",
                    release.service
                ))
            })?;
            Ok(Creation::Created { deployment: report(&service, ours)? })
        }
        Err(error) if is_busy_message(aws::message(&error)) => {
            let because = format!("Lightsail asks to wait: {}", aws::message(&error));
            Ok(busy(&because, waited, release.deadlines.containers))
        }
        Err(error) => Err(refused(&release.service, &error)),
    }
}

impl Context {
    async fn service(&self, name: &str) -> Result<ContainerService, Error> {
        let missing = || {
            Error::ContainersRefused(format!(
                "The container service {name} does not exist. Deploy the stack again, or name an existing service."
            ))
        };
        match self.lightsail.get_container_services().service_name(name).send().await {
            Ok(answer) => {
                answer.container_services.and_then(|services| services.into_iter().next()).ok_or_else(missing)
            }
            Err(error) if aws::code(&error).as_deref() == Some("NotFoundException") => Err(missing()),
            Err(error) => Err(aws::failed(&format!("lightsail:GetContainerServices of {name}"), &error)),
        }
    }

    /// The deployment that an earlier try of this release created, its answer lost.
    async fn created_before(
        &self,
        service: &str,
        execution: &str,
    ) -> Result<Option<ContainerServiceDeployment>, Error> {
        let answer = self.lightsail.get_container_service_deployments().service_name(service).send().await;
        let answer = answer.map_err(|error| {
            aws::failed(&format!("lightsail:GetContainerServiceDeployments of {service}"), &error)
        })?;
        let ours = |deployment: &ContainerServiceDeployment| {
            deployment.containers().is_some_and(|containers| {
                containers.values().any(|container| {
                    let marker = container.environment().and_then(|variables| variables.get(RELEASE_MARKER));
                    marker.is_some_and(|name| name == execution)
                })
            })
        };
        Ok(answer.deployments.unwrap_or_default().into_iter().find(ours))
    }

    /// The reference to deploy, checked just before: the immutable tag must still point at the release's digest.
    async fn reference(&self, release: &Release) -> Result<String, Error> {
        let image = &release.image;
        let TagList(moving) = &self.moving_tags;
        match registry::digested(&self.ecr, &image.repository, &image.digest).await? {
            Some(found) => self.reference.reference(&image.uri, &image.digest, &found.tags, moving),
            None => Err(Error::ContainersRefused(format!(
                "The image {} is gone from the repository {}. Push it again.",
                image.digest, image.repository
            ))),
        }
    }

    async fn container(&self, image: String, execution: &Execution) -> Result<Container, Error> {
        let secret = match &self.connection_string {
            Some(ConnectionString { variable, secret_arn }) => {
                Some((variable, secrets::read(&self.secrets, secret_arn, "FillConnectionString").await?))
            }
            None => None,
        };
        let connection_string =
            secret.as_ref().map(|(variable, secret)| (variable.as_str(), secret.expose_secret()));
        let variables = environment(&self.environment, connection_string, &execution.name)?;
        Ok(Container::builder()
            .image(image)
            .set_environment(Some(variables.into_iter().collect()))
            .ports(self.port.to_string(), ContainerServiceProtocol::Http)
            .build())
    }

    async fn create(
        &self,
        service: &str,
        container: Container,
    ) -> Result<ContainerService, SdkError<CreateContainerServiceDeploymentError>> {
        // Lightsail's default takes every status from 200 to 499 for healthy.
        let health_check = ContainerServiceHealthCheckConfig::builder()
            .path(&self.health_check_path)
            .success_codes("200")
            .build();
        let endpoint = EndpointRequest::builder()
            .container_name(&self.container)
            .container_port(self.port.into())
            .health_check(health_check)
            .build()
            .map_err(SdkError::construction_failure)?;
        let answer = self
            .lightsail
            .create_container_service_deployment()
            .service_name(service)
            .containers(&self.container, container)
            .public_endpoint(endpoint)
            .send()
            .await?;
        answer.container_service.ok_or_else(|| SdkError::construction_failure("an answer without a service"))
    }
}

fn report(
    service: &ContainerService,
    deployment: &ContainerServiceDeployment,
) -> Result<DeploymentReport, Error> {
    let incomplete = || Error::Retryable("Lightsail's answer names no version.".into());
    let image = deployment.containers().and_then(|all| all.values().find_map(|container| container.image()));
    Ok(DeploymentReport {
        service: service.container_service_name().unwrap_or_default().to_owned(),
        version: deployment.version().ok_or_else(incomplete)?,
        image: image.unwrap_or_default().to_owned(),
        url: service.url().unwrap_or_default().to_owned(),
    })
}

/// Lightsail's refusals that are for good are the release's own; everything else is as for any call.
fn refused(service: &str, error: &SdkError<CreateContainerServiceDeploymentError>) -> Error {
    let call = format!("lightsail:CreateContainerServiceDeployment on {service}");
    match aws::code(error).as_deref() {
        Some("InvalidInputException" | "NotFoundException") => {
            Error::ContainersRefused(format!("{call} was refused: {}", aws::message(error)))
        }
        _ => aws::failed(&call, error),
    }
}
