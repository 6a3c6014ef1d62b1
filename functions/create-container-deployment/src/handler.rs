use aws_sdk_lightsail::error::SdkError;
use aws_sdk_lightsail::operation::create_container_service_deployment::CreateContainerServiceDeploymentError;
use aws_sdk_lightsail::types::{
    Container, ContainerService, ContainerServiceDeployment, ContainerServiceDeploymentState,
    ContainerServiceHealthCheckConfig, ContainerServiceProtocol, EndpointRequest,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use shared::containers::{
    Condition, Creation, DeploymentReport, Own, RELEASE_MARKER, busy, environment, is_busy_message,
};
use shared::fence::Fence;
use shared::image::{ReferenceStyle, TagList};
use shared::mask::Mask;
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
    let own = &context.settings.container;
    if let Some(ours) = created_before(&deployments, own, &execution.name) {
        return Ok(Creation::Created { deployment: report(&service, ours, own, &deployments)? });
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
    let secret = context.connection_string().await?;
    let container = context.container(image, secret.as_ref(), &execution)?;
    let kept = Kept::of(service.current_deployment(), own, &release);
    let mask = kept.mask().and(secret.map_or_else(Mask::default, |secret| Mask::of(secret.expose_secret())));
    match context.create(&release.service, container, kept).await {
        Ok(service) => {
            let ours = service.next_deployment().ok_or_else(|| {
                Error::Retryable(format!(
                    "Lightsail created a deployment of {} without naming it.",
                    release.service
                ))
            })?;
            Ok(Creation::Created { deployment: report(&service, ours, own, &deployments)? })
        }
        Err(error) if is_busy_message(aws::message(&error)) => {
            let because = format!("Lightsail asks to wait: {}", mask.apply(aws::message(&error)));
            Ok(busy(&because, waited, release.deadlines.containers))
        }
        Err(error) => match refused(name, &error, &mask) {
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

/// What goes on beside the release's own container: a deployment replaces all containers of a service.
///
/// Lightsail has no call for one container and no condition on what is replaced. What a person changes between the look
/// and the call is lost, unless the service is busy with it, and then it refuses.
#[derive(Default)]
struct Kept {
    siblings: Vec<(String, Container)>,
    /// The public endpoint, when it is one of theirs.
    endpoint: Option<EndpointRequest>,
}

impl Kept {
    fn of(serving: Option<&ContainerServiceDeployment>, own: &str, release: &Release) -> Self {
        let Some(serving) = serving else { return Self::default() };
        let own = Own { container: own, repository_uri: &release.image.uri };
        let siblings: Vec<_> = serving
            .containers()
            .into_iter()
            .flatten()
            .filter(|(name, container)| {
                let marked = container.environment().is_some_and(|all| all.contains_key(RELEASE_MARKER));
                !own.replaces(name, container.image().unwrap_or_default(), marked)
            })
            .map(|(name, container)| (name.clone(), container.clone()))
            .collect();
        let endpoint = serving.public_endpoint().and_then(|endpoint| {
            let name = endpoint.container_name()?;
            siblings.iter().find(|(sibling, _)| sibling == name)?;
            EndpointRequest::builder()
                .container_name(name)
                .container_port(endpoint.container_port()?)
                .set_health_check(endpoint.health_check().cloned())
                .build()
                .ok()
        });
        Self { siblings, endpoint }
    }

    /// The secrets in the siblings' environments.
    fn mask(&self) -> Mask {
        let variables = self.siblings.iter().filter_map(|(_, sibling)| sibling.environment()).flatten();
        variables.fold(Mask::default(), |mask, (name, value)| mask.and(Mask::of_variable(name, value)))
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

    /// The secret that goes into the container's environment, if there is one.
    async fn connection_string(&self) -> Result<Option<SecretString>, Error> {
        match &self.settings.connection_string {
            Some(secret) => {
                secrets::read(&self.secrets, &secret.secret_arn, "FillConnectionString").await.map(Some)
            }
            None => Ok(None),
        }
    }

    fn container(
        &self,
        image: String,
        secret: Option<&SecretString>,
        execution: &Execution,
    ) -> Result<Container, Error> {
        let variable = self.settings.connection_string.as_ref().map(|secret| secret.variable.as_str());
        let connection_string = variable.zip(secret.map(ExposeSecret::expose_secret));
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
        kept: Kept,
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
        let mut call = self
            .lightsail
            .create_container_service_deployment()
            .service_name(service)
            .containers(&self.settings.container, container)
            .public_endpoint(kept.endpoint.unwrap_or(endpoint));
        for (name, sibling) in kept.siblings {
            call = call.containers(name, sibling);
        }
        let answer = call.send().await?;
        answer.container_service.ok_or_else(|| SdkError::construction_failure("an answer without a service"))
    }
}

/// Of `service`, which is down in one of the ways that `condition` can tell.
fn down(condition: &Condition, service: &str) -> Error {
    Error::ServiceDown(condition.down(service).unwrap_or_default())
}

/// The deployment that an earlier try of this release created, its answer lost. A later one of another release may carry
/// the container `own` on as it was, with the same mark.
fn created_before<'a>(
    deployments: &'a [ContainerServiceDeployment],
    own: &str,
    execution: &str,
) -> Option<&'a ContainerServiceDeployment> {
    let marked = deployments.iter().filter(|deployment| {
        let container = deployment.containers().and_then(|containers| containers.get(own));
        let marker = container.and_then(|container| container.environment()?.get(RELEASE_MARKER));
        marker.is_some_and(|name| name == execution)
    });
    marked.min_by_key(|deployment| deployment.version())
}

fn report(
    service: &ContainerService,
    deployment: &ContainerServiceDeployment,
    own: &str,
    deployments: &[ContainerServiceDeployment],
) -> Result<DeploymentReport, Error> {
    let incomplete = || Error::Retryable("Lightsail's answer names no version.".into());
    let version = deployment.version().ok_or_else(incomplete)?;
    let image = deployment.containers().and_then(|all| all.get(own)?.image());
    let is_first = !deployments.iter().any(|deployment| {
        use ContainerServiceDeploymentState::{Active, Inactive};
        let served = matches!(deployment.state(), Some(Active | Inactive));
        served && deployment.version().is_some_and(|earlier| earlier < version)
    });
    Ok(DeploymentReport {
        service: service.container_service_name().unwrap_or_default().to_owned(),
        version,
        image: image.unwrap_or_default().to_owned(),
        url: service.url().unwrap_or_default().to_owned(),
        is_first,
    })
}

/// Lightsail's refusals that are for good are the release's own; everything else is as for any call.
fn refused(service: &str, error: &SdkError<CreateContainerServiceDeploymentError>, mask: &Mask) -> Error {
    let call = format!("lightsail:CreateContainerServiceDeployment on {service}");
    // Whether Lightsail quotes values of the environment is not documented.
    let told = mask.apply(aws::message(error));
    match aws::code(error).as_deref() {
        Some("InvalidInputException" | "NotFoundException") => {
            Error::ContainersRefused(format!("{call} was refused: {told}"))
        }
        _ => aws::failed_saying(&call, error, &told),
    }
}
