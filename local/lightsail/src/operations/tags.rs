//! Tagging services.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::requests::{ChangeTags, Tag};
use crate::validation::{self, required};

pub fn tag(emulator: &Arc<Emulator>, name: &str, request: ChangeTags) -> Result<Value, ApiError> {
    let new = required("tags", request.tags)?;
    change(emulator, name, "TagResource", |tags| {
        tags.retain(|tag| new.iter().all(|new| new.key != tag.key));
        tags.extend(new);
    })
}

pub fn untag(emulator: &Arc<Emulator>, name: &str, request: ChangeTags) -> Result<Value, ApiError> {
    let keys = required("tagKeys", request.tag_keys)?;
    change(emulator, name, "UntagResource", |tags| tags.retain(|tag| !keys.contains(&tag.key)))
}

fn change(
    emulator: &Arc<Emulator>,
    name: &str,
    operation: &str,
    change: impl FnOnce(&mut Vec<Tag>),
) -> Result<Value, ApiError> {
    let world = &mut *emulator.world();
    let service = world.services.get_mut(name).ok_or_else(|| ApiError::no_service(name))?;
    let mut tags = service.tags.clone();
    change(&mut tags);
    validation::tags(&tags)?;
    service.tags = tags;
    let now = clock::now();
    Ok(json!({"operations": [{
        "id": Uuid::new_v4().to_string(),
        "resourceName": name,
        "resourceType": "ContainerService",
        "createdAt": now,
        "location": {"availabilityZone": "all", "regionName": emulator.region},
        "isTerminal": true,
        "operationDetails": "",
        "operationType": operation,
        "status": "Succeeded",
        "statusChangedAt": now,
    }]}))
}
