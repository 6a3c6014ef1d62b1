//! What requests carry: the shapes as they arrive, and deployments with their defaults filled in.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateContainerService {
    pub service_name: Option<String>,
    pub power: Option<String>,
    pub scale: Option<i64>,
    pub tags: Option<Vec<Tag>>,
    pub public_domain_names: Option<PublicDomainNames>,
    pub deployment: Option<DeploymentRequest>,
    pub private_registry_access: Option<PrivateRegistryAccess>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateContainerService {
    pub power: Option<String>,
    pub scale: Option<i64>,
    pub is_disabled: Option<bool>,
    pub public_domain_names: Option<PublicDomainNames>,
    pub private_registry_access: Option<PrivateRegistryAccess>,
}

/// Domain names by certificate name.
pub type PublicDomainNames = BTreeMap<String, Vec<String>>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    pub key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateRegistryAccess {
    ecr_image_puller_role: Option<PullerRole>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PullerRole {
    is_active: Option<bool>,
}

impl PrivateRegistryAccess {
    /// Whether the puller role is to be active, if the request tells.
    pub fn is_active(&self) -> Option<bool> {
        self.ecr_image_puller_role.as_ref().and_then(|role| role.is_active)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRequest {
    pub containers: Option<BTreeMap<String, ContainerRequest>>,
    pub public_endpoint: Option<EndpointRequest>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerRequest {
    pub image: Option<String>,
    pub command: Option<Vec<String>>,
    pub environment: Option<Environment>,
    pub ports: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointRequest {
    pub container_name: Option<String>,
    pub container_port: Option<i64>,
    pub health_check: Option<HealthCheckRequest>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckRequest {
    pub healthy_threshold: Option<i64>,
    pub unhealthy_threshold: Option<i64>,
    pub timeout_seconds: Option<i64>,
    pub interval_seconds: Option<i64>,
    pub path: Option<String>,
    pub success_codes: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetContainerLog {
    pub container_name: Option<String>,
    /// Seconds since 1970.
    pub start_time: Option<f64>,
    /// Seconds since 1970.
    pub end_time: Option<f64>,
    pub filter_pattern: Option<String>,
    pub page_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterContainerImage {
    pub label: Option<String>,
    pub digest: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeTags {
    pub tags: Option<Vec<Tag>>,
    pub tag_keys: Option<Vec<String>>,
}

/// What a deployment consists of, checked and with Lightsail's defaults filled in.
#[derive(Debug, Clone)]
pub struct DeploymentSpec {
    pub containers: BTreeMap<String, ContainerSpec>,
    pub public_endpoint: Option<EndpointSpec>,
}

/// A container of a deployment.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerSpec {
    pub image: String,
    pub command: Vec<String>,
    pub environment: Environment,
    /// Protocols by port number.
    pub ports: BTreeMap<String, String>,
}

/// The container and port that the public reaches.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSpec {
    pub container_name: String,
    pub container_port: u16,
    pub health_check: HealthCheckSpec,
}

/// How a container's health is checked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCheckSpec {
    pub healthy_threshold: i64,
    pub unhealthy_threshold: i64,
    pub timeout_seconds: i64,
    pub interval_seconds: i64,
    pub path: String,
    /// Such as `200`, `200,202` or `200-299`.
    pub success_codes: String,
}

impl Default for HealthCheckSpec {
    /// Lightsail's defaults; that of the success codes was seen live by third parties.
    fn default() -> Self {
        HealthCheckSpec {
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            timeout_seconds: 2,
            interval_seconds: 5,
            path: "/".into(),
            success_codes: "200-499".into(),
        }
    }
}

/// Environment variables. Formatted for people, their values do not show.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(pub BTreeMap<String, String>);

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}
