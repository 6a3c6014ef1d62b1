//! References to images.

/// What a container's `image` refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageReference {
    /// An image stored on a container service: `:service.label.version`.
    Stored,
    /// An image in a private ECR repository.
    Ecr(EcrImage),
    /// An image in any other registry.
    Public(Named),
}

/// An image in a private ECR repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrImage {
    /// The account of the registry.
    pub account: String,
    pub region: String,
    pub image: Named,
}

/// A repository and what is meant in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

impl ImageReference {
    /// Reads a reference; `None` when it cannot be one.
    pub fn parse(text: &str) -> Option<ImageReference> {
        if text.is_empty() || text.contains(char::is_whitespace) {
            return None;
        }
        if text.starts_with(':') {
            return Some(ImageReference::Stored);
        }
        let (host, path) = text.split_once('/').unwrap_or(("", text));
        match ecr_host(host) {
            Some((account, region)) => {
                let image = Named::parse(path)?;
                Some(ImageReference::Ecr(EcrImage { account: account.into(), region: region.into(), image }))
            }
            None => Some(ImageReference::Public(Named::parse(text)?)),
        }
    }
}

impl Named {
    fn parse(text: &str) -> Option<Named> {
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(digest.to_owned())),
            None => (text, None),
        };
        // A colon before the last slash belongs to a registry's port.
        let name_start = text.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match text[name_start..].split_once(':') {
            Some((name, tag)) => (format!("{}{name}", &text[..name_start]), Some(tag.to_owned())),
            None => (text.to_owned(), None),
        };
        let is_digest = |digest: &String| {
            digest
                .strip_prefix("sha256:")
                .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        let is_good = !repository.is_empty()
            && !repository.ends_with('/')
            && tag.as_ref().is_none_or(|tag| !tag.is_empty())
            && digest.as_ref().is_none_or(is_digest);
        is_good.then_some(Named { repository, tag, digest })
    }

    /// What the registry API is asked for: the digest, or the tag, or `latest`.
    pub fn registry_reference(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }
}

/// The account and region of `ACCOUNT.dkr.ecr.REGION.amazonaws.com`.
fn ecr_host(host: &str) -> Option<(&str, &str)> {
    let (account, rest) = host.split_once(".dkr.ecr.")?;
    let region = rest.strip_suffix(".amazonaws.com")?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_account && !region.is_empty()).then_some((account, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(repository: &str, tag: Option<&str>, digest: Option<&str>) -> Named {
        Named { repository: repository.into(), tag: tag.map(Into::into), digest: digest.map(Into::into) }
    }

    #[test]
    fn reads_the_parts_of_a_reference() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let ecr = |image| {
            ImageReference::Ecr(EcrImage {
                account: "123456789012".into(),
                region: "eu-west-1".into(),
                image,
            })
        };
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
        for (text, expected) in [
            (format!("{host}/team/api:v1"), ecr(named("team/api", Some("v1"), None))),
            (format!("{host}/api"), ecr(named("api", None, None))),
            (format!("{host}/api@{digest}"), ecr(named("api", None, Some(&digest)))),
            ("nginx:latest".into(), ImageReference::Public(named("nginx", Some("latest"), None))),
            ("host:5000/a/b".into(), ImageReference::Public(named("host:5000/a/b", None, None))),
            (":svc.label.3".into(), ImageReference::Stored),
        ] {
            assert_eq!(ImageReference::parse(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_a_reference() {
        for text in ["", "a b", "api:", "api@sha256:short", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/"] {
            assert_eq!(ImageReference::parse(text), None, "{text}");
        }
    }
}
