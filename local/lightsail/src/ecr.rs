//! The part of ECR that a pull needs: the ECR API, signed, and the registry API.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::http_client::{Answer, HttpClient};
use crate::image::EcrImage;

const MANIFEST_TYPES: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// An ECR at one address.
pub struct Ecr {
    endpoint: Option<Uri>,
    credentials: Option<Credentials>,
    client: HttpClient,
}

/// A manifest as the registry answers it.
pub struct Manifest {
    pub digest: String,
    pub body: Value,
}

impl Ecr {
    pub fn new(endpoint: Option<Uri>, credentials: Option<Credentials>, client: HttpClient) -> Self {
        Ecr { endpoint, credentials, client }
    }

    /// The policy of the image's repository; `None` when it has none.
    ///
    /// # Errors
    /// A sentence: the repository does not exist, or the ECR does not answer as it should.
    pub async fn repository_policy(&self, image: &EcrImage) -> Result<Option<String>, String> {
        let repository = &image.image.repository;
        let question = json!({"registryId": image.account, "repositoryName": repository});
        match self.call("GetRepositoryPolicy", &image.region, &question).await? {
            (StatusCode::OK, answer) => Ok(answer["policyText"].as_str().map(str::to_owned)),
            (status, answer) => match error_type(&answer) {
                "RepositoryPolicyNotFoundException" => Ok(None),
                "RepositoryNotFoundException" => Err(format!("The repository {repository} does not exist.")),
                other => Err(format!("GetRepositoryPolicy of {repository} answered {status} {other}.")),
            },
        }
    }

    /// The manifest of `reference` (a tag or a digest) in the image's repository.
    ///
    /// # Errors
    /// A sentence: there is none, or the ECR does not answer as it should.
    pub async fn manifest(&self, image: &EcrImage, reference: &str) -> Result<Manifest, String> {
        let repository = &image.image.repository;
        let answer = self.registry(Method::GET, image, &format!("manifests/{reference}")).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(format!("The repository {repository} has no image {reference}."));
        }
        if !answer.status.is_success() {
            return Err(format!("The manifest of {repository} {reference} answered {}.", answer.status));
        }
        let digest = answer.headers.get("docker-content-digest").and_then(|digest| digest.to_str().ok());
        let digest = digest
            .ok_or_else(|| format!("The manifest of {repository} {reference} came without a digest."))?;
        let arrived = hex_digest(Sha256::new_with_prefix(&answer.body));
        if digest != arrived {
            return Err(format!(
                "The manifest of {repository} {reference} is said to be {digest}, and is {arrived}."
            ));
        }
        let body = serde_json::from_slice(&answer.body)
            .map_err(|error| format!("The manifest of {repository} {reference} is not JSON: {error}."))?;
        Ok(Manifest { digest: digest.to_owned(), body })
    }

    /// A blob that is JSON: the image's configuration.
    ///
    /// # Errors
    /// A sentence: there is none, or it is not JSON.
    pub async fn configuration(&self, image: &EcrImage, digest: &str) -> Result<Value, String> {
        let answer = self.registry(Method::GET, image, &format!("blobs/{digest}")).await?;
        if !answer.status.is_success() {
            return Err(format!("The image's configuration {digest} answered {}.", answer.status));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| format!("The image's configuration {digest} is not JSON: {error}."))
    }

    /// Checks that a layer exists.
    ///
    /// # Errors
    /// A sentence: it does not, or the ECR does not answer as it should.
    pub async fn check_layer(&self, image: &EcrImage, digest: &str) -> Result<(), String> {
        let answer = self.registry(Method::HEAD, image, &format!("blobs/{digest}")).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(format!("The image's layer {digest} answered {}.", answer.status))
        }
    }

    /// Writes a blob to a file, and checks that it is the one with that digest.
    ///
    /// # Errors
    /// A sentence: there is none, it does not arrive as it should, or it cannot be kept.
    pub async fn download(&self, image: &EcrImage, digest: &str, to: &Path) -> Result<(), String> {
        let mut file = File::create(to).map_err(|error| format!("{digest} cannot be kept: {error}."))?;
        let mut hash = Sha256::new();
        let request = self.registry_request(Method::GET, image, &format!("blobs/{digest}")).await?;
        let receiving = self.client.receive(request, |part| {
            hash.update(part);
            file.write_all(part)
        });
        let status = receiving.await?;
        if !status.is_success() {
            return Err(format!("The image's part {digest} answered {status}."));
        }
        let arrived = hex_digest(hash);
        if arrived != digest {
            return Err(format!("The image's part {digest} arrived as {arrived}."));
        }
        Ok(())
    }

    async fn registry(&self, method: Method, image: &EcrImage, path: &str) -> Result<Answer, String> {
        self.client.send(self.registry_request(method, image, path).await?).await
    }

    async fn registry_request(
        &self,
        method: Method,
        image: &EcrImage,
        path: &str,
    ) -> Result<Request<Full<Bytes>>, String> {
        // As mirrors of registries have it, `ns` names the registry that the address stands for.
        let host = format!("{}.dkr.ecr.{}.amazonaws.com", image.account, image.region);
        let uri = format!("{}v2/{}/{path}?ns={host}", self.base()?, image.image.repository);
        let token = self.authorization_token(&image.region).await?;
        Request::builder()
            .method(method)
            .uri(uri)
            .header("accept", MANIFEST_TYPES)
            .header("authorization", format!("Basic {token}"))
            .body(Full::default())
            .map_err(|error| format!("The image reference does not make a good address: {error}."))
    }

    async fn authorization_token(&self, region: &str) -> Result<String, String> {
        let (status, answer) = self.call("GetAuthorizationToken", region, &json!({})).await?;
        match answer["authorizationData"][0]["authorizationToken"].as_str() {
            Some(token) if status == StatusCode::OK => Ok(token.to_owned()),
            _ => Err(format!("GetAuthorizationToken answered {status} {}.", error_type(&answer))),
        }
    }

    async fn call(
        &self,
        operation: &str,
        region: &str,
        question: &Value,
    ) -> Result<(StatusCode, Value), String> {
        let credentials = self.credentials.clone().ok_or(
            "The emulator has no credentials for ECR: start it with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )?;
        let body = question.to_string();
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.base()?)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("AmazonEC2ContainerRegistry_V20150921.{operation}"))
            .body(body)
            .map_err(|error| error.to_string())?;
        let request =
            signed(request, credentials, region).map_err(|error| format!("Signing failed: {error}."))?;
        let answer = self.client.send(request.map(|body| Full::new(Bytes::from(body)))).await?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    fn base(&self) -> Result<String, String> {
        let endpoint = self.endpoint.as_ref().ok_or("The emulator was started without --ecr-endpoint.")?;
        Ok(format!(
            "http://{}/",
            endpoint.authority().map(|authority| authority.as_str()).unwrap_or_default()
        ))
    }
}

fn signed(
    mut request: Request<String>,
    credentials: Credentials,
    region: &str,
) -> Result<Request<String>, Box<dyn std::error::Error + Send + Sync>> {
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("ecr")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let uri = request.uri().to_string();
    let signable =
        SignableRequest::new("POST", &uri, headers, SignableBody::Bytes(request.body().as_bytes()))?;
    let (instructions, _signature) = sign(signable, &parameters)?.into_parts();
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

fn hex_digest(hash: Sha256) -> String {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn error_type(answer: &Value) -> &str {
    let name = answer["__type"].as_str().unwrap_or("without an error type");
    name.rsplit('#').next().unwrap_or(name)
}
