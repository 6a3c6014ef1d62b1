//! The images that are stored on a service.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::requests::RegisterContainerImage;
use crate::service::RegisteredImage;
use crate::validation::{self, required};

pub fn register(
    emulator: &Arc<Emulator>,
    name: &str,
    request: RegisterContainerImage,
) -> Result<Value, ApiError> {
    let label = required("label", request.label)?;
    let digest = required("digest", request.digest)?;
    validation::label(&label)?;
    let world = &mut *emulator.world();
    let service = world.services.get_mut(name).ok_or_else(|| ApiError::no_service(name))?;
    let number = service.images.len() + 1;
    let image =
        RegisteredImage { image: format!(":{name}.{label}.{number}"), digest, created_at: clock::now() };
    service.images.push(image.clone());
    Ok(json!({"containerImage": image}))
}

pub fn get(emulator: &Arc<Emulator>, name: &str) -> Result<Value, ApiError> {
    let world = emulator.world();
    let service = world.services.get(name).ok_or_else(|| ApiError::no_service(name))?;
    Ok(json!({"containerImages": service.images}))
}
