//! Creating and reading deployments.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::lifecycle;
use crate::operations::services::refuse_if_busy;
use crate::requests::DeploymentRequest;
use crate::service::{Detail, State};
use crate::validation;
use crate::views::View;

pub fn create(emulator: &Arc<Emulator>, name: &str, request: DeploymentRequest) -> Result<Value, ApiError> {
    let world = &mut *emulator.world();
    let service = world.services.get_mut(name).ok_or_else(|| ApiError::no_service(name))?;
    let spec = validation::deployment(name, request, &world.settings)?;
    refuse_if_busy(service, &world.settings)?;
    if service.is_disabled && !world.settings.disabled_accepts_deployments {
        return Err(ApiError::invalid_input(format!(
            "Sorry, service \"{name}\" is disabled. Enable it first."
        )));
    }
    let version = service.add_deployment(spec);
    service.state = State::Deploying(Detail::CreatingDeployment);
    let deployment = lifecycle::deploy(emulator.clone(), service.key(), version);
    service.spawn(deployment);
    Ok(json!({"containerService": View::now(emulator).service(service)}))
}

pub fn get(emulator: &Arc<Emulator>, name: &str) -> Result<Value, ApiError> {
    let world = emulator.world();
    let service = world.services.get(name).ok_or_else(|| ApiError::no_service(name))?;
    let view = View { emulator, lag_ms: world.settings.read_lag_ms };
    let deployments: Vec<Value> = service
        .deployments
        .iter()
        .rev()
        .filter(|deployment| view.shows(deployment))
        .map(View::deployment)
        .collect();
    Ok(json!({"deployments": deployments}))
}
