//! The image that the moving tag points at.

use serde::Deserialize;

use super::{Check, Fact};
use crate::image::{ImageDigest, ImageTag, ReferenceStyle};
use crate::{Error, text};

/// The check of the image.
pub const IMAGE: &str = "image";

/// What Lightsail runs (AWS's guide to containers on Lightsail).
const NEEDED: (&str, &str) = ("linux", "amd64");

/// An image, its tags, and what it can run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its digest.
    pub digest: ImageDigest,
    /// Its tags.
    pub tags: Vec<ImageTag>,
    /// The platforms it can run on.
    pub platforms: Vec<Platform>,
}

/// What an image can run on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// The operating system.
    #[serde(default)]
    pub os: String,
    /// The processor architecture, in Go's words.
    #[serde(default)]
    pub architecture: String,
}

/// A manifest, as far as it says what the image can run on (the OCI image specification, and Docker's before it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// An index of images for several platforms. Attestations are listed as `unknown/unknown`.
    Index(Vec<Platform>),
    /// A single image, whose configuration says what it runs on.
    Image {
        /// The digest of the configuration.
        configuration: String,
    },
}

/// Reads a manifest.
///
/// # Errors
/// [`Error::Unexpected`] when it is neither an index nor an image.
pub fn manifest(text: &str) -> Result<Manifest, Error> {
    #[derive(Deserialize)]
    struct Document {
        manifests: Option<Vec<Entry>>,
        config: Option<Configuration>,
    }
    #[derive(Deserialize)]
    struct Entry {
        platform: Option<Platform>,
    }
    #[derive(Deserialize)]
    struct Configuration {
        digest: String,
    }
    let unreadable = |why: String| Error::Unexpected(format!("The image's manifest cannot be read: {why}."));
    let document: Document = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    match (document.manifests, document.config) {
        (Some(entries), _) => {
            Ok(Manifest::Index(entries.into_iter().filter_map(|entry| entry.platform).collect()))
        }
        (None, Some(Configuration { digest })) => Ok(Manifest::Image { configuration: digest }),
        (None, None) => Err(unreadable("it has neither manifests nor a configuration".into())),
    }
}

/// Reads the platform in an image's configuration.
///
/// # Errors
/// [`Error::Unexpected`] when it is not a configuration.
pub fn platform(configuration: &[u8]) -> Result<Platform, Error> {
    serde_json::from_slice(configuration)
        .map_err(|error| Error::Unexpected(format!("The image's configuration cannot be read: {error}.")))
}

/// Whether Lightsail can run what `tag` points at.
///
/// A repository in which nothing has the tag yet is as it should be before the first push.
pub fn image(
    repository: &str,
    tag: &ImageTag,
    moving: &[ImageTag],
    style: ReferenceStyle,
    found: &Fact<Image>,
) -> Check {
    let image = match found {
        Err(error) => return Check::failed(IMAGE, error),
        Ok(None) => {
            return Check::not_applicable(IMAGE, format!("No image in {repository} has the tag {tag} yet."))
                .to_do(format!("Push one: its commit tag first, then {tag}, as buildspec.yml does."));
        }
        Ok(Some(image)) => image,
    };
    let Image { digest, tags, platforms } = image;
    if let Err(error) = style.reference(repository, digest, tags, moving) {
        let push = format!("Push an image with its commit tag first, then {tag}.");
        return Check::problem(IMAGE, error.to_string(), push);
    }
    let seen = format!("{tag} points at {}, for {}", digest.short(), list(platforms));
    let build = "Build it for what Lightsail runs and push it again: \
                 docker build --platform linux/amd64 --provenance=false --sbom=false .";
    if platforms.iter().any(|Platform { os, architecture }| (os.as_str(), architecture.as_str()) == NEEDED) {
        Check::fine(IMAGE, format!("{seen}."))
    } else if platforms.iter().all(|platform| platform.os == "unknown") {
        Check::problem(
            IMAGE,
            format!("{tag} points at {}, which holds only attestations.", digest.short()),
            build,
        )
    } else {
        Check::problem(IMAGE, format!("{seen}; Lightsail runs only linux/amd64."), build)
    }
}

fn list(platforms: &[Platform]) -> String {
    let names: Vec<_> = platforms
        .iter()
        .filter(|platform| platform.os != "unknown")
        .map(|Platform { os, architecture }| format!("{os}/{architecture}"))
        .collect();
    text::shorten(&names.join(", "), 200)
}

#[cfg(test)]
mod tests {
    use super::super::Status::{self, Fine, NotApplicable, Problem, Unknown};
    use super::*;
    use crate::testing::digest;

    fn platforms(names: &[&str]) -> Vec<Platform> {
        names
            .iter()
            .map(|name| {
                let (os, architecture) = name.split_once('/').unwrap();
                Platform { os: os.into(), architecture: architecture.into() }
            })
            .collect()
    }

    fn check(tags: &[&str], names: &[&str], style: ReferenceStyle) -> Check {
        let tags = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let found = Ok(Some(Image { digest: digest('a'), tags, platforms: platforms(names) }));
        image("host/app", &"prod".parse().unwrap(), &["prod".parse().unwrap()], style, &found)
    }

    #[test]
    fn an_image_must_run_on_linux_amd64_and_have_a_commit_tag() {
        let both = ["prod", "3f2a9c1d"];
        let table: [(&[&str], &[&str], Status, &str); 7] = [
            (&both, &["linux/amd64"], Fine, "aaaaaaaaaaaa, for linux/amd64."),
            (
                &both,
                &["linux/arm64", "linux/amd64", "unknown/unknown"],
                Fine,
                "for linux/arm64, linux/amd64.",
            ),
            (&both, &["linux/arm64"], Problem, "runs only linux/amd64"),
            (&both, &["windows/amd64"], Problem, "runs only linux/amd64"),
            (&both, &["unknown/unknown"], Problem, "holds only attestations"),
            (&both, &[], Problem, "holds only attestations"),
            (&["prod"], &["linux/amd64"], Problem, "no commit tag"),
        ];
        for (tags, names, status, words) in table {
            let check = check(tags, names, ReferenceStyle::Tag);
            assert_eq!(check.status, status, "{names:?}");
            assert!(check.seen.contains(words), "{}", check.seen);
        }
        assert_eq!(check(&["prod"], &["linux/amd64"], ReferenceStyle::Digest).status, Fine);
    }

    #[test]
    fn before_the_first_push_there_is_none() {
        let tag = "prod".parse().unwrap();
        let none = image("host/app", &tag, &[], ReferenceStyle::Tag, &Ok(None));
        assert_eq!(none.status, NotApplicable);
        assert!(none.to_do.unwrap().starts_with("Push one"));
        let failed = image("host/app", &tag, &[], ReferenceStyle::Tag, &Err(Error::Retryable("x".into())));
        assert_eq!(failed.status, Unknown);
    }

    #[test]
    fn manifests_of_both_kinds_are_read() {
        let index = r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:1","platform":{"architecture":"amd64","os":"linux"}},
            {"digest":"sha256:2","platform":{"architecture":"unknown","os":"unknown"}},{"digest":"sha256:3"}]}"#;
        assert_eq!(manifest(index).unwrap(), Manifest::Index(platforms(&["linux/amd64", "unknown/unknown"])));
        let single = r#"{"schemaVersion":2,"config":{"digest":"sha256:4","size":1},"layers":[]}"#;
        assert_eq!(manifest(single).unwrap(), Manifest::Image { configuration: "sha256:4".into() });
        for bad in ["", "[]", "{}", r#"{"config":{}}"#] {
            assert_eq!(manifest(bad).unwrap_err().name(), "Unexpected", "{bad}");
        }
        assert_eq!(
            platform(br#"{"os":"linux","architecture":"arm64"}"#).unwrap(),
            platforms(&["linux/arm64"])[0]
        );
        assert!(platform(b"<xml/>").is_err());
    }
}
