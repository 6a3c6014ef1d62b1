//! The operations of the API.

mod deployments;
mod images;
mod logs;
mod services;
mod tags;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::validation;

/// An operation for container services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    CreateContainerService,
    UpdateContainerService,
    DeleteContainerService,
    GetContainerServices,
    CreateContainerServiceDeployment,
    GetContainerServiceDeployments,
    GetContainerLog,
    GetContainerServicePowers,
    GetContainerImages,
    RegisterContainerImage,
    TagResource,
    UntagResource,
}

const ALL: [Operation; 12] = [
    Operation::CreateContainerService,
    Operation::UpdateContainerService,
    Operation::DeleteContainerService,
    Operation::GetContainerServices,
    Operation::CreateContainerServiceDeployment,
    Operation::GetContainerServiceDeployments,
    Operation::GetContainerLog,
    Operation::GetContainerServicePowers,
    Operation::GetContainerImages,
    Operation::RegisterContainerImage,
    Operation::TagResource,
    Operation::UntagResource,
];

/// The powers with price in USD a month, vCPUs and GiB of memory. Only the names are in the model; the numbers
/// are an illustration.
const POWERS: [(&str, f64, f64, f64); 6] = [
    ("nano", 7.0, 0.25, 0.5),
    ("micro", 10.0, 0.25, 1.0),
    ("small", 25.0, 0.5, 2.0),
    ("medium", 50.0, 1.0, 4.0),
    ("large", 100.0, 2.0, 8.0),
    ("xlarge", 200.0, 4.0, 16.0),
];

impl Operation {
    /// The operation of that name, if it is emulated.
    pub fn from_name(name: &str) -> Option<Operation> {
        ALL.into_iter().find(|operation| operation.name() == name)
    }

    pub fn name(self) -> &'static str {
        match self {
            Operation::CreateContainerService => "CreateContainerService",
            Operation::UpdateContainerService => "UpdateContainerService",
            Operation::DeleteContainerService => "DeleteContainerService",
            Operation::GetContainerServices => "GetContainerServices",
            Operation::CreateContainerServiceDeployment => "CreateContainerServiceDeployment",
            Operation::GetContainerServiceDeployments => "GetContainerServiceDeployments",
            Operation::GetContainerLog => "GetContainerLog",
            Operation::GetContainerServicePowers => "GetContainerServicePowers",
            Operation::GetContainerImages => "GetContainerImages",
            Operation::RegisterContainerImage => "RegisterContainerImage",
            Operation::TagResource => "TagResource",
            Operation::UntagResource => "UntagResource",
        }
    }

    /// Whether permissions for it name a service's ARN; those for the others name `*` (Service Authorization
    /// Reference).
    pub fn is_resource_level(self) -> bool {
        matches!(
            self,
            Operation::UpdateContainerService
                | Operation::DeleteContainerService
                | Operation::CreateContainerServiceDeployment
                | Operation::RegisterContainerImage
                | Operation::TagResource
                | Operation::UntagResource
        )
    }

    /// The service that a request is about, if it names one.
    pub fn service_name(self, input: &Value) -> Option<&str> {
        input[self.naming_member()].as_str()
    }

    /// The member of the request that names a service.
    fn naming_member(self) -> &'static str {
        match self {
            Operation::TagResource | Operation::UntagResource => "resourceName",
            _ => "serviceName",
        }
    }

    /// Does it.
    ///
    /// # Errors
    /// As the API answers them.
    pub fn execute(self, emulator: &Arc<Emulator>, input: Value) -> Result<Value, ApiError> {
        let member = self.naming_member();
        let name: Option<String> = read(input[member].clone())?;
        let named = || validation::required(member, name.clone());
        match self {
            Operation::CreateContainerService => services::create(emulator, read(input)?),
            Operation::UpdateContainerService => services::update(emulator, &named()?, read(input)?),
            Operation::DeleteContainerService => services::delete(emulator, &named()?),
            Operation::GetContainerServices => services::get(emulator, name.as_deref()),
            Operation::CreateContainerServiceDeployment => {
                deployments::create(emulator, &named()?, read(input)?)
            }
            Operation::GetContainerServiceDeployments => deployments::get(emulator, &named()?),
            Operation::GetContainerLog => logs::get(emulator, &named()?, read(input)?),
            Operation::GetContainerServicePowers => Ok(powers()),
            Operation::GetContainerImages => images::get(emulator, &named()?),
            Operation::RegisterContainerImage => images::register(emulator, &named()?, read(input)?),
            Operation::TagResource => tags::tag(emulator, &named()?, read(input)?),
            Operation::UntagResource => tags::untag(emulator, &named()?, read(input)?),
        }
    }
}

fn read<T: DeserializeOwned>(input: Value) -> Result<T, ApiError> {
    serde_json::from_value(input).map_err(|error| ApiError::serialization(error.to_string()))
}

fn powers() -> Value {
    let power = |(name, price, cpus, memory)| {
        json!({
            "powerId": format!("{name}-1"), "name": name, "price": price,
            "cpuCount": cpus, "ramSizeInGb": memory, "isActive": true,
        })
    };
    json!({"powers": POWERS.map(power)})
}
