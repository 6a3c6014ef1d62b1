//! Pulling an image, as far as it can be seen from outside: may it be pulled, is all of it there, what is it.

use serde::Serialize;
use serde_json::Value;

use crate::clock;
use crate::ecr::{Ecr, Manifest};
use crate::image::{EcrImage, ImageReference};
use crate::policy;
use crate::service::RegisteredImage;
use crate::settings::{DigestReferences, Settings};

/// What was really pulled for a container.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pulled {
    /// The reference of the deployment.
    pub image: String,
    /// The repository without registry, tag and digest.
    pub repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The digest that the reference meant at that moment; an image of a public registry has none, for nobody
    /// looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Operating system and architecture, such as `linux/amd64`.
    pub platform: String,
    /// Seconds since 1970.
    pub pulled_at: f64,
}

/// The platform of Lightsail's nodes.
pub const PLATFORM: &str = "linux/amd64";

/// Who pulls, and under which rules.
pub struct Puller<'a> {
    pub region: &'a str,
    /// The ARN of the service's image puller role, once it is active.
    pub role: Option<&'a str>,
    /// The images stored on the service.
    pub stored: &'a [RegisteredImage],
    pub settings: &'a Settings,
}

impl Puller<'_> {
    /// Pulls `image`.
    ///
    /// # Errors
    /// A sentence that says why it cannot be pulled.
    pub async fn pull(&self, ecr: &Ecr, image: &str) -> Result<Pulled, String> {
        let reference =
            ImageReference::parse(image).ok_or_else(|| format!("{image:?} is no image reference."))?;
        match &reference {
            ImageReference::Stored => self.pull_stored(image),
            ImageReference::Ecr(reference) => self.pull_from_ecr(ecr, image, reference).await,
            ImageReference::Public(named) if self.settings.public_images => Ok(Pulled {
                image: image.into(),
                repository: named.repository.clone(),
                tag: named.tag.clone(),
                digest: named.digest.clone(),
                platform: PLATFORM.into(),
                pulled_at: clock::now(),
            }),
            ImageReference::Public(_) => Err(format!(
                "{image} is in a public registry, and the setting publicImages says there is none."
            )),
        }
    }

    fn pull_stored(&self, image: &str) -> Result<Pulled, String> {
        let stored = self.stored.iter().find(|stored| stored.image == image);
        let stored = stored.ok_or_else(|| format!("{image} is not registered on the service."))?;
        Ok(Pulled {
            image: image.into(),
            repository: image.into(),
            tag: None,
            digest: Some(stored.digest.clone()),
            platform: PLATFORM.into(),
            pulled_at: clock::now(),
        })
    }

    async fn pull_from_ecr(&self, ecr: &Ecr, image: &str, reference: &EcrImage) -> Result<Pulled, String> {
        if reference.region != self.region {
            return Err(format!("{image} is in {}, the service in {}.", reference.region, self.region));
        }
        if reference.image.digest.is_some() && self.settings.digest_references != DigestReferences::Accept {
            return Err(format!(
                "{image} refers by digest, which the setting digestReferences does not accept."
            ));
        }
        let role = self.role.ok_or("The service's image puller role is not active.")?;
        let policy = ecr.repository_policy(reference).await?;
        let policy =
            policy.ok_or_else(|| format!("The repository {} has no policy.", reference.image.repository))?;
        policy::check_pull(&policy, role, self.settings.account_principal_grants)?;

        let top = ecr.manifest(reference, reference.image.registry_reference()).await?;
        let digest = top.digest.clone();
        let manifest = choose(ecr, reference, top).await?;
        let platform = platform_of(ecr, reference, &manifest).await?;
        for layer in manifest.body["layers"].as_array().into_iter().flatten() {
            ecr.check_layer(reference, layer["digest"].as_str().unwrap_or_default()).await?;
        }
        Ok(Pulled {
            image: image.into(),
            repository: reference.image.repository.clone(),
            tag: reference.image.tag.clone(),
            digest: Some(digest),
            platform,
            pulled_at: clock::now(),
        })
    }
}

/// The manifest with that digest, or the one for Lightsail's platform in the index with that digest.
///
/// # Errors
/// A sentence: there is none, or the ECR does not answer as it should.
pub async fn for_platform(ecr: &Ecr, reference: &EcrImage, digest: &str) -> Result<Manifest, String> {
    choose(ecr, reference, ecr.manifest(reference, digest).await?).await
}

/// The manifest for Lightsail's platform out of an index; an image's own is given back.
async fn choose(ecr: &Ecr, reference: &EcrImage, top: Manifest) -> Result<Manifest, String> {
    let Some(manifests) = top.body.get("manifests") else { return Ok(top) };
    let mut manifests = manifests.as_array().into_iter().flatten();
    let fits = |entry: &&Value| format_platform(&entry["platform"]) == PLATFORM;
    let entry =
        manifests.find(fits).ok_or_else(|| format!("The image's index has no manifest for {PLATFORM}."))?;
    ecr.manifest(reference, entry["digest"].as_str().unwrap_or_default()).await
}

async fn platform_of(ecr: &Ecr, reference: &EcrImage, manifest: &Manifest) -> Result<String, String> {
    let digest = manifest.body["config"]["digest"].as_str();
    let digest = digest.ok_or_else(|| format!("The manifest {} names no configuration.", manifest.digest))?;
    Ok(format_platform(&ecr.configuration(reference, digest).await?))
}

fn format_platform(of: &Value) -> String {
    let part = |name: &str| of[name].as_str().unwrap_or("unknown").to_owned();
    format!("{}/{}", part("os"), part("architecture"))
}
