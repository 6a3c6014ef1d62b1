//! What is looked at. Each look is bounded in time, and a failed one is only a fact.

use std::time::Duration;

use aws_sdk_ecr::types::ImageIdentifier;
use shared::http::{Client, Lost, Method, Request, Url};
use shared::image::{ImageDigest, ImageTag};
use shared::preflight::Fact;
use shared::preflight::containers::{Repository, Service, Subscriptions};
use shared::preflight::image::{Image, Manifest, Platform, manifest, platform};
use shared::{Error, aws, registry};

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The look, or that it took too long; `what` names the calls as IAM does.
pub async fn bounded<T>(what: &str, look: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| {
        Err(Error::Retryable(format!("No answer to {what} within {} s.", PATIENCE.as_secs())))
    })
}

pub async fn service(client: &aws_sdk_lightsail::Client, name: &str) -> Fact<Service> {
    let answer = match client.get_container_services().service_name(name).send().await {
        Ok(answer) => answer,
        Err(error) if aws::code(&error).as_deref() == Some("NotFoundException") => return Ok(None),
        Err(error) => return Err(aws::failed(&format!("lightsail:GetContainerServices of {name}"), &error)),
    };
    Ok(answer.container_services().first().map(|service| {
        let role = service.private_registry_access().and_then(|access| access.ecr_image_puller_role());
        Service {
            state: service.state().map(|state| state.as_str()).unwrap_or_default().into(),
            puller_is_active: role.and_then(|role| role.is_active()).unwrap_or_default(),
            puller: role.and_then(|role| role.principal_arn()).unwrap_or_default().into(),
        }
    }))
}

pub async fn repository(client: &aws_sdk_ecr::Client, name: &str) -> Fact<Repository> {
    match client.get_repository_policy().repository_name(name).send().await {
        Ok(answer) => Ok(Some(Repository { policy: answer.policy_text })),
        Err(error) => match aws::code(&error).as_deref() {
            Some("RepositoryPolicyNotFoundException") => Ok(Some(Repository { policy: None })),
            Some("RepositoryNotFoundException") => Ok(None),
            _ => Err(aws::failed(&format!("ecr:GetRepositoryPolicy of {name}"), &error)),
        },
    }
}

pub async fn image(
    client: &aws_sdk_ecr::Client,
    http: &Client,
    repository: &str,
    tag: &ImageTag,
) -> Fact<Image> {
    let Some(found) = registry::tagged(client, repository, tag).await? else { return Ok(None) };
    let platforms = match manifest(&manifest_text(client, repository, &found.digest).await?)? {
        Manifest::Index(platforms) => platforms,
        Manifest::Image { configuration } => {
            vec![configured(client, http, repository, &configuration).await?]
        }
    };
    Ok(Some(Image { digest: found.digest, tags: found.tags, platforms }))
}

async fn manifest_text(
    client: &aws_sdk_ecr::Client,
    repository: &str,
    digest: &ImageDigest,
) -> Result<String, Error> {
    let call = format!("ecr:BatchGetImage of {repository}");
    let id = ImageIdentifier::builder().image_digest(digest.as_str()).build();
    let answer = client.batch_get_image().repository_name(repository).image_ids(id).send().await;
    let answer = answer.map_err(|error| aws::failed(&call, &error))?;
    let manifest = answer.images().first().and_then(|image| image.image_manifest());
    manifest.map(str::to_owned).ok_or_else(|| Error::Retryable(format!("{call} answered without {digest}.")))
}

/// The platform in an image's configuration, which is kept like a layer.
async fn configured(
    client: &aws_sdk_ecr::Client,
    http: &Client,
    repository: &str,
    configuration: &str,
) -> Result<Platform, Error> {
    let call = format!("ecr:GetDownloadUrlForLayer of {repository}");
    let layer = client.get_download_url_for_layer().repository_name(repository).layer_digest(configuration);
    let answer = layer.send().await.map_err(|error| aws::failed(&call, &error))?;
    let url = answer.download_url().ok_or_else(|| Error::Unexpected(format!("{call} answered no URL.")))?;
    let url =
        Url::parse(url).map_err(|error| Error::Unexpected(format!("{call} answered no URL: {error}.")))?;
    let lost = |Lost { causes, .. }| {
        Error::Retryable(format!("No answer to the download of the image's configuration: {causes}."))
    };
    let answer = http.call(Request::new(Method::GET, url)).await.map_err(lost)?;
    if !answer.status.is_success() {
        return Err(Error::Retryable(format!(
            "The download of the image's configuration answered {}.",
            answer.status
        )));
    }
    platform(&answer.body)
}

pub async fn subscriptions(client: &aws_sdk_sns::Client, topic: &str) -> Fact<Subscriptions> {
    let answer = match client.get_topic_attributes().topic_arn(topic).send().await {
        Ok(answer) => answer,
        Err(error) if matches!(aws::code(&error).as_deref(), Some("NotFound" | "NotFoundException")) => {
            return Ok(None);
        }
        Err(error) => return Err(aws::failed(&format!("sns:GetTopicAttributes of {topic}"), &error)),
    };
    let count = |name: &str| {
        let count = answer.attributes().and_then(|attributes| attributes.get(name)?.parse().ok());
        count.ok_or_else(|| {
            Error::Unexpected(format!("sns:GetTopicAttributes of {topic} answered no {name}."))
        })
    };
    Ok(Some(Subscriptions {
        confirmed: count("SubscriptionsConfirmed")?,
        pending: count("SubscriptionsPending")?,
    }))
}
