//! Images in ECR.

use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::ImageIdentifier;

use crate::image::{ImageDigest, ImageTag};
use crate::{Error, aws};

/// An image as ECR describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its digest.
    pub digest: ImageDigest,
    /// Its tags.
    pub tags: Vec<ImageTag>,
}

/// The image that `tag` points at now; none when the tag is gone.
///
/// # Errors
/// As [`aws::failed`] says.
pub async fn tagged(client: &Client, repository: &str, tag: &ImageTag) -> Result<Option<Described>, Error> {
    describe(client, repository, ImageIdentifier::builder().image_tag(tag.as_str()).build()).await
}

/// The image with `digest`; none when it is gone.
///
/// # Errors
/// As [`aws::failed`] says.
pub async fn digested(
    client: &Client,
    repository: &str,
    digest: &ImageDigest,
) -> Result<Option<Described>, Error> {
    describe(client, repository, ImageIdentifier::builder().image_digest(digest.as_str()).build()).await
}

async fn describe(
    client: &Client,
    repository: &str,
    image: ImageIdentifier,
) -> Result<Option<Described>, Error> {
    let answer = match client.describe_images().repository_name(repository).image_ids(image).send().await {
        Ok(answer) => answer,
        Err(error) if aws::code(&error).as_deref() == Some("ImageNotFoundException") => return Ok(None),
        Err(error) => return Err(aws::failed(&format!("ecr:DescribeImages of {repository}"), &error)),
    };
    let Some(detail) = answer.image_details().first() else { return Ok(None) };
    let digest = detail.image_digest().unwrap_or_default().parse().map_err(|error| {
        Error::Unexpected(format!("ecr:DescribeImages of {repository} answered {error}."))
    })?;
    let tags = detail.image_tags().iter().filter_map(|tag| tag.parse().ok()).collect();
    Ok(Some(Described { digest, tags }))
}
