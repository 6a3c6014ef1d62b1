//! Services and deployments as the API shows them.

use serde_json::{Map, Value, json};

use crate::clock;
use crate::emulator::Emulator;
use crate::service::{Deployment, Service, State};

/// Shows services as they are, or as they were a moment ago.
pub struct View<'a> {
    pub emulator: &'a Emulator,
    /// For how many milliseconds a new deployment does not show.
    pub lag_ms: u64,
}

impl<'a> View<'a> {
    /// Shows everything at once, as the answers of writes do.
    pub fn now(emulator: &'a Emulator) -> Self {
        View { emulator, lag_ms: 0 }
    }

    /// Whether a deployment can be seen yet.
    pub fn shows(&self, deployment: &Deployment) -> bool {
        clock::has_passed(deployment.created_at, self.lag_ms)
    }

    /// A service, with the constants seen live by third parties.
    pub fn service(&self, service: &Service) -> Value {
        let Emulator { region, .. } = self.emulator;
        let next = service.next.and_then(|version| service.deployment(version));
        let shown_next = next.filter(|deployment| self.shows(deployment));
        let state = match (service.state, next, shown_next) {
            (State::Deploying(_), Some(_), None) => service.settled_state(),
            (state, ..) => state,
        };
        let mut shown = json!({
            "containerServiceName": service.name,
            "arn": self.emulator.arn(service),
            "createdAt": service.created_at,
            "location": {"availabilityZone": "all", "regionName": region},
            "resourceType": "ContainerService",
            "tags": service.tags,
            "power": service.power,
            "powerId": format!("{}-1", service.power),
            "scale": service.scale,
            "state": state.name(),
            "isDisabled": service.is_disabled,
            "principalArn": service.principal_arn,
            "privateDomainName": format!("{}.service.local", service.name),
            "url": service.url,
            "privateRegistryAccess": {"ecrImagePullerRole": {
                "isActive": service.puller.is_active,
                "principalArn": service.puller.arn.as_deref().unwrap_or_default(),
            }},
        });
        if let Some(detail) = state.detail() {
            shown["stateDetail"] = json!({"code": detail.code(), "message": detail.message()});
        }
        if !service.public_domain_names.is_empty() {
            shown["publicDomainNames"] = json!(service.public_domain_names);
        }
        if let Some(current) = service.current.and_then(|version| service.deployment(version)) {
            shown["currentDeployment"] = View::deployment(current);
        }
        if let Some(next) = shown_next {
            shown["nextDeployment"] = View::deployment(next);
        }
        shown
    }

    /// A deployment. It tells neither why it failed nor when.
    pub fn deployment(deployment: &Deployment) -> Value {
        let mut shown = json!({
            "version": deployment.version,
            "state": deployment.state,
            "containers": deployment.spec.containers,
            "createdAt": deployment.created_at,
        });
        if let Some(endpoint) = &deployment.spec.public_endpoint {
            shown["publicEndpoint"] = json!(endpoint);
        }
        shown
    }

    /// A service with everything that the emulator knows of it, for tests. Unless asked for, the values of
    /// environments are left out.
    pub fn everything(&self, service: &Service, with_environment: bool) -> Value {
        let deployment = |deployment: &Deployment| {
            let mut shown = View::deployment(deployment);
            shown["pulled"] = json!(deployment.pulled);
            shown["failure"] = json!(deployment.failure);
            if !with_environment {
                hide_environments(&mut shown);
            }
            shown
        };
        let mut shown = self.service(service);
        shown["currentDeployment"] =
            json!(service.current.and_then(|version| service.deployment(version)).map(deployment));
        shown["nextDeployment"] =
            json!(service.next.and_then(|version| service.deployment(version)).map(deployment));
        shown["deployments"] = service.deployments.iter().rev().map(deployment).collect();
        shown["logs"] = json!(service.logs);
        shown
    }
}

/// A message with the service's name and state filled in.
pub fn fill(message: &str, service: &Service) -> String {
    message.replace("{service}", &service.name).replace("{state}", service.state.name())
}

fn hide_environments(deployment: &mut Value) {
    let containers = deployment["containers"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for environment in containers.filter_map(|container| container["environment"].as_object_mut()) {
        for value in environment.values_mut() {
            *value = "(hidden)".into();
        }
    }
}
