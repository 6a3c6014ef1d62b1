//! Container services and what belongs to them.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::clock;
use crate::pull::Pulled;
use crate::requests::{DeploymentSpec, PublicDomainNames, Tag};

/// How many deployments of a service are kept (AWS documentation, quotas).
const KEPT_DEPLOYMENTS: usize = 50;
/// How many lines of a container are kept; the real service keeps those of some days.
const KEPT_LINES: usize = 50_000;

/// A container service.
#[derive(Debug)]
pub struct Service {
    pub name: String,
    /// The last part of its ARN.
    pub id: Uuid,
    /// Seconds since 1970.
    pub created_at: f64,
    pub tags: Vec<Tag>,
    pub power: String,
    pub scale: u32,
    pub is_disabled: bool,
    pub public_domain_names: PublicDomainNames,
    pub state: State,
    /// Where the public reaches it.
    pub url: String,
    pub principal_arn: String,
    pub puller: PullerRole,
    pub images: Vec<RegisteredImage>,
    /// By version, the oldest first.
    pub deployments: Vec<Deployment>,
    /// The version that serves.
    pub current: Option<u32>,
    /// The version that is being started.
    pub next: Option<u32>,
    last_version: u32,
    /// Lines by container name, the oldest first.
    pub logs: BTreeMap<String, VecDeque<LogLine>>,
    /// What works on the service in the background.
    tasks: Vec<AbortHandle>,
}

/// The state of a service, with the details of the states that have some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending(Detail),
    Ready,
    Running,
    Updating(Detail),
    Deploying(Detail),
    Disabled,
    Deleting,
}

/// What a service in transition is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    CreatingSystemResources,
    CreatingNetworkInfrastructure,
    ProvisioningCertificate,
    ProvisioningService,
    CreatingDeployment,
    EvaluatingHealthCheck,
    ActivatingDeployment,
}

/// The role with which a service pulls from ECR.
#[derive(Debug, Default)]
pub struct PullerRole {
    pub is_active: bool,
    /// Absent until the activation is complete.
    pub arn: Option<String>,
    /// Counts activations, so that one that was undone does not complete.
    pub activation: u32,
}

/// A version of what runs on a service.
#[derive(Debug)]
pub struct Deployment {
    pub version: u32,
    pub state: DeploymentState,
    /// Seconds since 1970.
    pub created_at: f64,
    pub spec: DeploymentSpec,
    /// What was really pulled, by container name.
    pub pulled: BTreeMap<String, Pulled>,
    /// Why it failed; the real service tells nobody.
    pub failure: Option<String>,
    /// Its launch that runs.
    pub launch: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeploymentState {
    Activating,
    Active,
    Inactive,
    Failed,
}

/// An image that is stored on the service.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredImage {
    /// `:service.label.number`.
    pub image: String,
    pub digest: String,
    /// Seconds since 1970.
    pub created_at: f64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// Seconds since 1970.
    pub created_at: f64,
    pub message: String,
}

/// One service through its life; another of the same name is not meant.
#[derive(Debug, Clone)]
pub struct ServiceKey {
    pub name: String,
    pub id: Uuid,
}

/// What a new service is given.
pub struct NewService {
    pub name: String,
    pub power: String,
    pub scale: u32,
    pub tags: Vec<Tag>,
    pub public_domain_names: PublicDomainNames,
    /// Its URL, unless it is to be one of Lightsail's form, at which nothing answers.
    pub url: Option<String>,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Pending(_) => "PENDING",
            State::Ready => "READY",
            State::Running => "RUNNING",
            State::Updating(_) => "UPDATING",
            State::Deploying(_) => "DEPLOYING",
            State::Disabled => "DISABLED",
            State::Deleting => "DELETING",
        }
    }

    pub fn detail(self) -> Option<Detail> {
        match self {
            State::Pending(detail) | State::Updating(detail) | State::Deploying(detail) => Some(detail),
            State::Ready | State::Running | State::Disabled | State::Deleting => None,
        }
    }

    /// Whether the service is on its way to another state.
    pub fn is_transition(self) -> bool {
        self.detail().is_some() || self == State::Deleting
    }
}

impl Detail {
    pub fn code(self) -> &'static str {
        match self {
            Detail::CreatingSystemResources => "CREATING_SYSTEM_RESOURCES",
            Detail::CreatingNetworkInfrastructure => "CREATING_NETWORK_INFRASTRUCTURE",
            Detail::ProvisioningCertificate => "PROVISIONING_CERTIFICATE",
            Detail::ProvisioningService => "PROVISIONING_SERVICE",
            Detail::CreatingDeployment => "CREATING_DEPLOYMENT",
            Detail::EvaluatingHealthCheck => "EVALUATING_HEALTH_CHECK",
            Detail::ActivatingDeployment => "ACTIVATING_DEPLOYMENT",
        }
    }

    /// The sentence beside the code, whose real wording is unknown.
    pub fn message(self) -> &'static str {
        match self {
            Detail::CreatingSystemResources => "The system resources are being created.",
            Detail::CreatingNetworkInfrastructure => "The network infrastructure is being created.",
            Detail::ProvisioningCertificate => "The certificate is being created.",
            Detail::ProvisioningService => "The container service is being provisioned.",
            Detail::CreatingDeployment => "The deployment is being created.",
            Detail::EvaluatingHealthCheck => "The health of the deployment is being evaluated.",
            Detail::ActivatingDeployment => "The deployment is being activated.",
        }
    }
}

impl Service {
    /// A service that is being created, for the region and the Lightsail-owned account of its roles.
    pub fn new(new: NewService, region: &str, role_account: &str) -> Self {
        let principal = random_id(52);
        let name = &new.name;
        let url = new
            .url
            .unwrap_or_else(|| format!("https://{name}.{}.{region}.cs.amazonlightsail.com/", random_id(13)));
        Service {
            url,
            principal_arn: format!(
                "arn:aws:iam::{role_account}:role/amazon/lightsail/{region}/containers/{name}/{principal}"
            ),
            name: new.name,
            // From the source of the other identifiers, so that a seed decides all of them.
            id: uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid(),
            created_at: clock::now(),
            tags: new.tags,
            power: new.power,
            scale: new.scale,
            is_disabled: false,
            public_domain_names: new.public_domain_names,
            state: State::Pending(Detail::CreatingSystemResources),
            puller: PullerRole::default(),
            images: Vec::new(),
            deployments: Vec::new(),
            current: None,
            next: None,
            last_version: 0,
            logs: BTreeMap::new(),
            tasks: Vec::new(),
        }
    }

    /// What tells it from an earlier or later service of its name.
    pub fn key(&self) -> ServiceKey {
        ServiceKey { name: self.name.clone(), id: self.id }
    }

    /// Its state when nothing is under way.
    pub fn settled_state(&self) -> State {
        match (self.is_disabled, self.current) {
            (true, _) => State::Disabled,
            (false, Some(_)) => State::Running,
            (false, None) => State::Ready,
        }
    }

    pub fn deployment(&self, version: u32) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.version == version)
    }

    pub fn deployment_mut(&mut self, version: u32) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|deployment| deployment.version == version)
    }

    /// Adds a deployment as the next one, and forgets the oldest that does not serve beyond those kept.
    pub fn add_deployment(&mut self, spec: DeploymentSpec) -> u32 {
        self.last_version += 1;
        let version = self.last_version;
        self.next = Some(version);
        self.deployments.push(Deployment {
            version,
            state: DeploymentState::Activating,
            created_at: clock::now(),
            spec,
            pulled: BTreeMap::new(),
            failure: None,
            launch: None,
        });
        if self.deployments.len() > KEPT_DEPLOYMENTS {
            let oldest =
                self.deployments.iter().position(|deployment| Some(deployment.version) != self.current);
            oldest.map(|index| self.deployments.remove(index));
        }
        version
    }

    /// Adds a line to the log of a container.
    pub fn log(&mut self, container: &str, message: String) {
        let line = LogLine { created_at: clock::now(), message };
        let lines = self.logs.entry(container.to_owned()).or_default();
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Runs `work` in the background, to end with the service at the latest.
    pub fn spawn(&mut self, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(tokio::spawn(work).abort_handle());
    }

    /// Ends every background task.
    pub fn abort_tasks(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    /// The launches that may run.
    pub fn launches(&self) -> Vec<u64> {
        self.deployments.iter().filter_map(|deployment| deployment.launch).collect()
    }
}

/// An identifier of lower-case letters and digits.
pub fn random_id(length: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(length).collect::<String>().to_lowercase()
}
