//! Images: digests, tags, and which reference of an image to deploy.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, text};

/// The content digest of an image manifest: `sha256:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageDigest(String);

impl ImageDigest {
    /// The first 12 hexadecimal digits; enough to tell images apart when read by a person.
    pub fn short(&self) -> &str {
        &self.0["sha256:".len()..][..12]
    }

    /// The whole digest, with its algorithm.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("sha256:") {
            Some(hex) if hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!(
                "{:?} is not an image digest (sha256: and 64 hexadecimal digits)",
                shortened(text)
            )),
        }
    }
}

/// A tag of an image, in the registry's own alphabet: at most 128 letters, digits, `_`, `.` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageTag(String);

impl ImageTag {
    /// The tag's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the tag is a Git commit: 7 to 40 hexadecimal digits and nothing else.
    fn is_commit(&self) -> bool {
        (7..=40).contains(&self.0.len()) && self.0.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }
}

impl FromStr for ImageTag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let mut bytes = text.bytes();
        let valid = bytes.next().is_some_and(word)
            && bytes.all(|b| word(b) || b == b'.' || b == b'-')
            && text.len() <= 128;
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{:?} is not an image tag", shortened(text)))
        }
    }
}

macro_rules! text_conversions {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.0
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}
text_conversions!(ImageDigest, ImageTag);

/// The tag that goes on pointing at the image: one that is a commit, and is not a moving tag.
///
/// No other tag counts, whatever the list of moving tags says: one that was left out of it would move on under a
/// deployment. Of several the longest is taken, among equals the alphabetically first, so that the choice is stable.
pub fn immutable_tag<'a>(tags: &'a [ImageTag], moving: &[ImageTag]) -> Option<&'a ImageTag> {
    commit_tags(tags, moving).min_by_key(|tag| (Reverse(tag.0.len()), *tag))
}

/// The tags that are commits, and not moving tags.
pub fn commit_tags<'a>(tags: &'a [ImageTag], moving: &[ImageTag]) -> impl Iterator<Item = &'a ImageTag> {
    tags.iter().filter(|tag| tag.is_commit() && !moving.contains(tag))
}

/// How an image is named to Lightsail.
///
/// AWS documents only tags for private ECR images; a digest reference is not documented, so a parameter chooses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceStyle {
    /// `repository:tag`, with the immutable tag.
    Tag,
    /// `repository@sha256:…`.
    Digest,
}

impl FromStr for ReferenceStyle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tag" => Ok(Self::Tag),
            "digest" => Ok(Self::Digest),
            _ => Err(format!("{text:?} is neither `tag` nor `digest`")),
        }
    }
}

impl ReferenceStyle {
    /// The reference of the image with `digest` and `tags` in the repository `uri`.
    ///
    /// # Errors
    /// [`Error::ContainersRefused`] when no commit tag points at the digest.
    pub fn reference(
        self,
        uri: &str,
        digest: &ImageDigest,
        tags: &[ImageTag],
        moving: &[ImageTag],
    ) -> Result<String, Error> {
        match self {
            Self::Digest => Ok(format!("{uri}@{digest}")),
            Self::Tag => match immutable_tag(tags, moving) {
                Some(tag) => Ok(format!("{uri}:{tag}")),
                None => Err(Error::ContainersRefused(format!(
                    "The image {digest} in {uri} has no commit tag (7 to 40 hexadecimal digits), only {}. \
                     Push a commit tag before the moving tag, as buildspec.yml does, and push again.",
                    if tags.is_empty() { "no tag at all".into() } else { text::shorten(&list(tags), 200) }
                ))),
            },
        }
    }
}

/// A comma-separated list of tags, as a template parameter carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList(pub Vec<ImageTag>);

impl FromStr for TagList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(|tag| tag.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

fn list(tags: &[ImageTag]) -> String {
    tags.iter().map(ImageTag::as_str).collect::<Vec<_>>().join(", ")
}

fn shortened(text: &str) -> String {
    text.chars().take(140).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(texts: &[&str]) -> Vec<ImageTag> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn parses_only_whole_sha256_digests() {
        let good = format!("sha256:{}", "0f".repeat(32));
        assert_eq!(good.parse::<ImageDigest>().unwrap().short(), "0f0f0f0f0f0f");
        for bad in [
            "",
            "sha256:",
            "sha512:00",
            &good[..70],
            &good.to_uppercase(),
            &format!("{good}0"),
            &"é".repeat(40),
        ] {
            assert!(bad.parse::<ImageDigest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn parses_tags_in_the_registrys_alphabet() {
        for good in ["qa", "3f2a9c1", "v1.2.3", "_x", &"a".repeat(128)] {
            assert!(good.parse::<ImageTag>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a:b", "a b", "a\"b", "é", &"a".repeat(129)] {
            assert!(bad.parse::<ImageTag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn chooses_the_commit_tag_and_never_a_moving_one() {
        let moving = tags(&["qa", "prod"]);
        for (given, expected) in [
            (vec!["prod", "3f2a9c1d"], Some("3f2a9c1d")),
            (vec!["prod", "build-17", "3f2a9c1d"], Some("3f2a9c1d")),
            (vec!["0000000", "3f2a9c1d"], Some("3f2a9c1d")),
            // `staging` moves and was left out of the list.
            (vec!["prod", "staging", "latest"], None),
            (vec!["prod", "20261123-3f2a9c1", "abc", "3F2A9C1D"], None),
            // The tag of a source tree names no commit.
            (vec!["prod", "tree-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], None),
            (vec!["prod", "qa"], None),
            (vec![], None),
        ] {
            let given = tags(&given);
            assert_eq!(immutable_tag(&given, &moving).map(ImageTag::as_str), expected, "{given:?}");
        }
    }

    #[test]
    fn an_image_with_moving_tags_only_is_refused_with_what_to_do() {
        let digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let moving = tags(&["prod"]);
        let error = ReferenceStyle::Tag.reference("host/app", &digest, &moving, &moving).unwrap_err();
        assert_eq!(error.name(), "ContainersRefused");
        assert!(error.to_string().contains("Push a commit tag"), "{error}");
        let reference = ReferenceStyle::Digest.reference("host/app", &digest, &moving, &moving).unwrap();
        assert_eq!(reference, format!("host/app@{digest}"));
    }
}
