//! An emulator and a registry to experiment with.

use std::net::SocketAddr;
use std::time::Duration;

use aws_credential_types::Credentials;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use lightsail_emulator::{Options, Server};
use serde_json::{Value, json};

use crate::registry::Registry;

pub const ACCOUNT: &str = "000000000000";
pub const REGION: &str = "us-east-1";

pub struct Lab {
    pub registry: Registry,
    address: SocketAddr,
    /// An emulator within this process, unless it is a program of its own.
    _server: Option<Server>,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What came of a call: the error's type and message, or the answer.
pub type Outcome = Result<Value, (String, String)>;

impl Lab {
    /// An emulator in which everything happens fast.
    pub async fn start() -> Lab {
        Lab::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Lab {
        let (registry, address) = Registry::start().await;
        let endpoint = format!("http://{address}").parse().expect("an address");
        let ecr_credentials = Some(Credentials::new("000000000000", "not-a-secret", None, None, "test"));
        let options = Options { ecr_endpoint: Some(endpoint), ecr_credentials, quiet: true, ..options };
        let server = Server::start(options).await.expect("an emulator");
        Lab::at(registry, server.address(), Some(server)).await
    }

    /// The emulator at an address, in which everything happens fast.
    pub async fn at(registry: Registry, address: SocketAddr, server: Option<Server>) -> Lab {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let lab = Lab { registry, address, _server: server, client };
        let durations = [
            "serviceCreationMs",
            "pullerActivationMs",
            "creatingDeploymentMs",
            "evaluatingHealthCheckMs",
            "activatingDeploymentMs",
            "failureMs",
            "updateMs",
            "deletionMs",
        ];
        lab.set(durations.iter().map(|name| ((*name).to_owned(), json!(20))).collect()).await;
        lab
    }

    /// An emulator with the service `api` that may pull from the repository `api`, which has an image `v1`.
    pub async fn with_service() -> Lab {
        let lab = Lab::start().await;
        lab.add_service(&lab.create_request()).await;
        lab
    }

    pub fn create_request(&self) -> Value {
        let puller = json!({"ecrImagePullerRole": {"isActive": true}});
        json!({"serviceName": "api", "power": "nano", "scale": 1, "privateRegistryAccess": puller})
    }

    pub async fn add_service(&self, request: &Value) {
        self.ok("CreateContainerService", request.clone()).await;
        let service = self.until("is READY and can pull", |service| {
            service["state"] == "READY" && !puller(service).is_empty()
        });
        let service = service.await;
        self.registry.allow("api", &[puller(&service)]);
        self.registry.push("api", "v1", "amd64", "one");
    }

    /// Calls an operation; `None` when there is no complete answer.
    pub async fn try_call(&self, operation: &str, input: &Value) -> Option<(StatusCode, Value)> {
        let target = format!("Lightsail_20161128.{operation}");
        let answer = self.send(Method::POST, "/", &[("x-amz-target", &target)], input.to_string()).await?;
        Some((answer.status(), answer.into_body()))
    }

    /// Calls an operation.
    pub async fn call(&self, operation: &str, input: Value) -> Outcome {
        let (status, answer) = self.try_call(operation, &input).await.expect("an answer");
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let member = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        Err((member("__type"), member("message")))
    }

    pub async fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).await.unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// Uses the control API.
    pub async fn control(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let answer =
            self.send(method, &format!("/_control/{path}"), &[], body.to_string()).await.expect("an answer");
        (answer.status(), answer.into_body())
    }

    pub async fn read(&self, path: &str) -> Value {
        self.control(Method::GET, path, Value::Null).await.1
    }

    pub async fn set(&self, settings: Value) {
        let (status, answer) = self.control(Method::POST, "settings", settings).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub async fn verdict(&self, verdict: &str) {
        let (status, answer) = self.control(Method::PUT, "verdicts", json!({"verdict": verdict})).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub async fn fault(&self, fault: Value) {
        let (status, answer) = self.control(Method::POST, "faults", fault).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    pub async fn service(&self) -> Value {
        self.ok("GetContainerServices", json!({"serviceName": "api"})).await["containerServices"][0].clone()
    }

    /// The deployments, the newest first.
    pub async fn deployments(&self) -> Vec<Value> {
        let answer = self.ok("GetContainerServiceDeployments", json!({"serviceName": "api"})).await;
        answer["deployments"].as_array().expect("deployments").clone()
    }

    /// The deployment as the control API shows it.
    pub async fn inside(&self, version: u64) -> Value {
        let services = self.read("services").await;
        let deployments = services[0]["deployments"].as_array().expect("deployments").clone();
        deployments.into_iter().find(|deployment| deployment["version"] == version).expect("the deployment")
    }

    /// Waits until the service is as described.
    pub async fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..6000 {
            let service = self.service().await;
            if is_so(&service) {
                return service;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the service never {what}: {}", self.service().await);
    }

    pub async fn create_deployment(&self, tag: &str) -> Outcome {
        self.call("CreateContainerServiceDeployment", deployment(&image(tag))).await
    }

    /// Deploys and waits for the end; gives the version and the state it came to.
    pub async fn deploy(&self, tag: &str) -> (u64, String) {
        self.deploy_image(&image(tag)).await
    }

    pub async fn deploy_image(&self, image: &str) -> (u64, String) {
        let answer = self.ok("CreateContainerServiceDeployment", deployment(image)).await;
        let version = answer["containerService"]["nextDeployment"]["version"].as_u64().expect("a version");
        self.until("came to rest", |service| service["state"] != "DEPLOYING").await;
        (version, self.inside(version).await["state"].as_str().expect("a state").to_owned())
    }

    /// The log's messages.
    pub async fn log(&self) -> Vec<String> {
        let answer = self.ok("GetContainerLog", json!({"serviceName": "api", "containerName": "app"})).await;
        let events = answer["logEvents"].as_array().expect("events").clone();
        events.iter().map(|event| event["message"].as_str().expect("a message").to_owned()).collect()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Option<Response<Value>> {
        let (head, body) = self
            .fetch(method, &format!("http://{}{path}", self.address()), headers, body)
            .await?
            .into_parts();
        Some(Response::from_parts(head, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Sends a request to any address.
    pub async fn fetch(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Option<Response<Bytes>> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body))).expect("a request");
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        Some(Response::from_parts(head, body))
    }
}

pub fn image(tag: &str) -> String {
    format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/api:{tag}")
}

pub fn deployment(image: &str) -> Value {
    json!({
        "serviceName": "api",
        "containers": {"app": {"image": image, "environment": {"MARKER": "value"}, "ports": {"8080": "HTTP"}}},
        "publicEndpoint": {"containerName": "app", "containerPort": 8080},
    })
}

/// The ARN of the service's puller role; empty when there is none.
pub fn puller(service: &Value) -> &str {
    service["privateRegistryAccess"]["ecrImagePullerRole"]["principalArn"].as_str().expect("a string")
}

pub fn versions_and_states(deployments: &[Value]) -> Vec<(u64, &str)> {
    let pair = |deployment: &Value| deployment["version"].as_u64();
    deployments
        .iter()
        .map(|deployment| {
            (pair(deployment).expect("a version"), deployment["state"].as_str().expect("a state"))
        })
        .collect()
}
