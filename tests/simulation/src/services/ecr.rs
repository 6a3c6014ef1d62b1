//! ECR: images with their tags, the API for the functions, and the registry for Lightsail's pulls.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::http::Response;

use super::{answer, error};

/// The repository's images.
#[derive(Debug, Default)]
pub struct Repository {
    pub images: BTreeMap<String, Image>,
    pub tags: BTreeMap<String, String>,
}

/// An image.
#[derive(Debug, Clone)]
pub struct Image {
    pub manifest: String,
}

/// The configuration of every image.
const CONFIGURATION: &str = r#"{"os":"linux","architecture":"amd64"}"#;

impl Repository {
    /// Pushes an image that only `commit` tells from others, and gives its digest.
    pub fn push(&mut self, commit: &str) -> String {
        let configuration = digest(CONFIGURATION);
        let manifest = json!({"schemaVersion": 2, "annotations": {"commit": commit}, "config": {"digest": configuration}});
        let manifest = manifest.to_string();
        let digest = digest(&manifest);
        self.images.insert(digest.clone(), Image { manifest });
        self.tags.insert(commit.to_owned(), digest.clone());
        digest
    }

    /// Answers a call of the API.
    pub fn call(&self, operation: &str, input: &Value) -> Response {
        match operation {
            "DescribeImages" => {
                let id = &input["imageIds"][0];
                let found = id["imageDigest"].as_str().map(str::to_owned);
                let found = found.or_else(|| self.tags.get(id["imageTag"].as_str()?).cloned());
                match found.filter(|digest| self.images.contains_key(digest)) {
                    Some(digest) => {
                        let tags: Vec<_> =
                            self.tags.iter().filter(|(_, of)| **of == digest).map(|(tag, _)| tag).collect();
                        answer(200, &json!({"imageDetails": [{"imageDigest": digest, "imageTags": tags}]}))
                    }
                    None => error("ImageNotFoundException", "The image does not exist."),
                }
            }
            "GetRepositoryPolicy" => {
                let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
                    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]}]});
                answer(200, &json!({"policyText": policy.to_string()}))
            }
            "GetAuthorizationToken" => {
                answer(200, &json!({"authorizationData": [{"authorizationToken": "bm90LWEtcmVhbC1vbmU="}]}))
            }
            other => panic!("the simulation's ECR does not know {other}"),
        }
    }

    /// Answers a call of the registry: the body and its digest.
    pub fn pull(&self, path: &str) -> Option<(String, String)> {
        let (kind, reference) = path.rsplit_once('/')?;
        if kind.ends_with("/blobs") {
            return Some((CONFIGURATION.into(), digest(CONFIGURATION)));
        }
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        let image = self.images.get(digest)?;
        Some((image.manifest.clone(), digest.to_owned()))
    }
}

fn digest(text: &str) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
