//! As much of an ECR as a pull needs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

/// A running registry; clones share it.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<BTreeMap<String, Repository>>>);

#[derive(Default)]
struct Repository {
    policy: Option<String>,
    tags: BTreeMap<String, String>,
    /// Manifests, configurations and layers by digest.
    contents: BTreeMap<String, Vec<u8>>,
}

impl Registry {
    pub async fn start() -> (Registry, SocketAddr) {
        let registry = Registry::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(registry.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (registry, address)
    }

    /// Lets `principals` pull from a repository, and nobody else.
    pub fn allow(&self, repository: &str, principals: &[&str]) {
        let actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
        let statement = json!({"Effect": "Allow", "Principal": {"AWS": principals}, "Action": actions});
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
        self.repositories().entry(repository.into()).or_default().policy = Some(policy.to_string());
    }

    /// Adds an image whose content differs from every other's with another `content`, and gives its digest.
    pub fn push(&self, repository: &str, tag: &str, architecture: &str, content: &str) -> String {
        let mut repositories = self.repositories();
        let repository = repositories.entry(repository.into()).or_default();
        let layer = repository.add(content.as_bytes());
        let config = json!({"os": "linux", "architecture": architecture, "content": content});
        let config = repository.add(config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": config},
            "layers": [{"digest": layer}],
        });
        let digest = repository.add(manifest.to_string().as_bytes());
        repository.tags.insert(tag.into(), digest.clone());
        digest
    }

    /// Adds an image with these layers and that configuration, and gives its digest.
    pub fn push_layers(&self, repository: &str, tag: &str, config: &Value, layers: &[Vec<u8>]) -> String {
        let mut repositories = self.repositories();
        let repository = repositories.entry(repository.into()).or_default();
        let layers: Vec<Value> =
            layers.iter().map(|layer| json!({"digest": repository.add(layer)})).collect();
        let config = json!({"os": "linux", "architecture": "amd64", "config": config});
        let config = repository.add(config.to_string().as_bytes());
        let manifest = json!({"schemaVersion": 2, "config": {"digest": config}, "layers": layers});
        let digest = repository.add(manifest.to_string().as_bytes());
        repository.tags.insert(tag.into(), digest.clone());
        digest
    }

    /// Changes the content of a layer, but not its digest.
    pub fn corrupt(&self, repository: &str, layer: &[u8]) {
        let mut repositories = self.repositories();
        let contents = &mut repositories.get_mut(repository).expect("the repository").contents;
        for content in contents.values_mut().filter(|content| *content == layer) {
            content.push(0);
        }
    }

    /// Adds an index of images that were pushed, and gives its digest.
    pub fn push_index(&self, repository: &str, tag: &str, images: &[(&str, &str)]) -> String {
        let mut repositories = self.repositories();
        let repository = repositories.entry(repository.into()).or_default();
        let entry = |(digest, architecture): &(&str, &str)| json!({"digest": digest, "platform": {"os": "linux", "architecture": architecture}});
        let manifests: Vec<Value> = images.iter().map(entry).collect();
        let digest =
            repository.add(json!({"schemaVersion": 2, "manifests": manifests}).to_string().as_bytes());
        repository.tags.insert(tag.into(), digest.clone());
        digest
    }

    fn repositories(&self) -> MutexGuard<'_, BTreeMap<String, Repository>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Repository {
    fn add(&mut self, content: &[u8]) -> String {
        let hash: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = format!("sha256:{hash}");
        self.contents.insert(digest.clone(), content.to_vec());
        digest
    }
}

async fn answer(
    State(registry): State<Registry>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if method == Method::POST {
        if !authorization.starts_with("AWS4-HMAC-SHA256 ") {
            return (
                StatusCode::BAD_REQUEST,
                json!({"__type": "MissingAuthenticationTokenException"}).to_string(),
            )
                .into_response();
        }
        let (status, answer) = ecr(&registry, &headers, &body);
        return (status, answer.to_string()).into_response();
    }
    if authorization != "Basic dG9rZW4=" {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    content(&registry, uri.path()).unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

fn ecr(registry: &Registry, headers: &HeaderMap, body: &[u8]) -> (StatusCode, Value) {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let error = |name: &str| (StatusCode::BAD_REQUEST, json!({"__type": name}));
    if target.ends_with(".GetAuthorizationToken") {
        return (StatusCode::OK, json!({"authorizationData": [{"authorizationToken": "dG9rZW4="}]}));
    }
    if !target.ends_with(".GetRepositoryPolicy") {
        return error("InvalidAction");
    }
    let question: Value = serde_json::from_slice(body).expect("a question");
    match registry.repositories().get(question["repositoryName"].as_str().unwrap_or_default()) {
        None => error("RepositoryNotFoundException"),
        Some(Repository { policy: None, .. }) => error("RepositoryPolicyNotFoundException"),
        Some(Repository { policy: Some(policy), .. }) => (StatusCode::OK, json!({"policyText": policy})),
    }
}

fn content(registry: &Registry, path: &str) -> Option<Response> {
    let path = path.strip_prefix("/v2/")?;
    let (repository, reference) = path.split_once("/manifests/").or_else(|| path.split_once("/blobs/"))?;
    let repositories = registry.repositories();
    let repository = repositories.get(repository)?;
    let digest = repository.tags.get(reference).map_or(reference, String::as_str);
    let content = repository.contents.get(digest)?.clone();
    Some(([("docker-content-digest", digest.to_owned())], content).into_response())
}
