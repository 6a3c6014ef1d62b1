use aws_sdk_lightsail::error::SdkError;
use aws_sdk_lightsail::operation::create_container_service_deployment::CreateContainerServiceDeploymentError;
use aws_sdk_lightsail::types::{
    Container, ContainerService, ContainerServiceDeployment, ContainerServiceHealthCheckConfig,
    ContainerServiceProtocol, EndpointRequest,
};
use secrecy::ExposeSecret;
use serde::Deserialize;
use shared::containers::{
    Condition, Creation, DeploymentReport, RELEASE_MARKER, busy, environment, is_busy_message,
};
use shared::fence::Fence;
use shared::image::{ReferenceStyle, TagList};
use shared::release::{Execution, Release};
use shared::{Error, aws, config, lightsail, registry, secrets};

pub struct Context {
    lightsail: aws_sdk_lightsail::Client,
    ecr: aws_sdk_ecr::Client,
    secrets: aws_sdk_secretsmanager::Client,
    fence: Fence,
    settings: Settings,
}

/// The stack's parameters.
pub struct Settings {
    pub container: String,
    pub port: u16,
    pub health_check_path: String,
    /// The containers' own variables, a JSON object.
    pub environment: String,
    pub connection_string: Option<ConnectionString>,
    pub reference: ReferenceStyle,
    pub moving_tags: TagList,
}

/// The variable in which the containers get the text of a secret.
pub struct ConnectionString {
    pub variable: String,
    pub secret_arn: String,
}

impl Settings {
    pub fn from_env() -> Result<Self, Error> {
        let connection_string = match config::optional("CONNECTION_STRING_SECRET_ARN") {
            Some(secret_arn) => Some(ConnectionString {
                variable: config::required("CONNECTION_STRING_VARIABLE")?,
                secret_arn,
            }),
            None => None,
        };
        Ok(Self {
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

impl Context {
    pub fn from_env() -> Result<Self, Error> {
        let aws = aws::config();
        Ok(Self::new(
            lightsail::client_without_retries(&aws),
            aws_sdk_ecr::Client::new(&aws),
            aws_sdk_secretsmanager::Client::new(&aws),
            Fence::from_env(&aws)?,
            Settings::from_env()?,
        ))
    }

    /// `lightsail` tries every call once: see [`lightsail::client_without_retries`].
    pub fn new(
        lightsail: aws_sdk_lightsail::Client,
        ecr: aws_sdk_ecr::Client,
        secrets: aws_sdk_secretsmanager::Client,
        fence: Fence,
        settings: Settings,
    ) -> Self {
        Self { lightsail, ecr, secrets, fence, settings }
    }
}

#[derive(Debug, Deserialize)]
pub struct Input {
    release: Release,
    execution: Execution,
    redrives: u64,
    waited: u64,
}

pub async fn handle(
    context: &Context,
    Input { release, execution, redrives, waited }: Input,
) -> Result<Creation, Error> {
    context.fence.pass(&release, &execution, redrives).await?;
    let name = &release.service;
    let found = lightsail::service(&context.lightsail, name).await?;
    let condition = lightsail::condition(found.as_ref());
    let (Some(service), Some(deployments)) = (found, lightsail::deployments(&context.lightsail, name).await?)
    else {
        return Err(down(&Condition::Gone, name));
    };
    if let Some(ours) = created_before(&deployments, &execution.name) {
        return Ok(Creation::Created { deployment: report(&service, ours)? });
    }
    match condition {
        Condition::Ready => {}
        Condition::Busy(state) => {
            let because = format!("The container service {name} is {state}.");
            return Ok(busy(&because, waited, release.deadlines.containers));
        }
        Condition::Disabled | Condition::Deleting | Condition::Gone => return Err(down(&condition, name)),
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
        Err(error) => match refused(name, &error) {
            // A person may have taken the service down since it was looked at.
            Error::ContainersRefused(told) => {
                let condition =
                    lightsail::condition(lightsail::service(&context.lightsail, name).await?.as_ref());
                Err(condition.down(name).map_or(Error::ContainersRefused(told), Error::ServiceDown))
            }
            other => Err(other),
        },
    }
}

impl Context {
    /// The reference to deploy, checked just before: the immutable tag must still point at the release's digest.
    async fn reference(&self, release: &Release) -> Result<String, Error> {
        let image = &release.image;
        let Settings { reference, moving_tags: TagList(moving), .. } = &self.settings;
        match registry::digested(&self.ecr, &image.repository, &image.digest).await? {
            Some(found) => reference.reference(&image.uri, &image.digest, &found.tags, moving),
            None => Err(Error::ContainersRefused(format!(
                "The image {} is gone from the repository {}. Push it again.",
                image.digest, image.repository
            ))),
        }
    }

    async fn container(&self, image: String, execution: &Execution) -> Result<Container, Error> {
        let secret = match &self.settings.connection_string {
            Some(ConnectionString { variable, secret_arn }) => {
                Some((variable, secrets::read(&self.secrets, secret_arn, "FillConnectionString").await?))
            }
            None => None,
        };
        let connection_string =
            secret.as_ref().map(|(variable, secret)| (variable.as_str(), secret.expose_secret()));
        let variables = environment(&self.settings.environment, connection_string, &execution.name)?;
        Ok(Container::builder()
            .image(image)
            .set_environment(Some(variables.into_iter().collect()))
            .ports(self.settings.port.to_string(), ContainerServiceProtocol::Http)
            .build())
    }

    async fn create(
        &self,
        service: &str,
        container: Container,
    ) -> Result<ContainerService, SdkError<CreateContainerServiceDeploymentError>> {
        // Lightsail's default takes every status from 200 to 499 for healthy.
        let health_check = ContainerServiceHealthCheckConfig::builder()
            .path(&self.settings.health_check_path)
            .success_codes("200")
            .build();
        let endpoint = EndpointRequest::builder()
            .container_name(&self.settings.container)
            .container_port(self.settings.port.into())
            .health_check(health_check)
            .build()
            .map_err(SdkError::construction_failure)?;
        let answer = self
            .lightsail
            .create_container_service_deployment()
            .service_name(service)
            .containers(&self.settings.container, container)
            .public_endpoint(endpoint)
            .send()
            .await?;
        answer.container_service.ok_or_else(|| SdkError::construction_failure("an answer without a service"))
    }
}

/// Of `service`, which is down in one of the ways that `condition` can tell.
fn down(condition: &Condition, service: &str) -> Error {
    Error::ServiceDown(condition.down(service).unwrap_or_default())
}

/// The deployment that an earlier try of this release created, its answer lost.
fn created_before<'a>(
    deployments: &'a [ContainerServiceDeployment],
    execution: &str,
) -> Option<&'a ContainerServiceDeployment> {
    deployments.iter().find(|deployment| {
        deployment.containers().is_some_and(|containers| {
            containers.values().any(|container| {
                let marker = container.environment().and_then(|variables| variables.get(RELEASE_MARKER));
                marker.is_some_and(|name| name == execution)
            })
        })
    })
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
