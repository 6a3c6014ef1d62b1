//! Creating, updating, deleting and reading container services.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::journal::{EffectKind, Journal};
use crate::requests::{CreateContainerService, PrivateRegistryAccess, UpdateContainerService};
use crate::service::{Detail, NewService, Service, State};
use crate::settings::Settings;
use crate::validation::{self, required};
use crate::views::View;
use crate::{lifecycle, views};

pub fn create(emulator: &Arc<Emulator>, request: CreateContainerService) -> Result<Value, ApiError> {
    let name = required("serviceName", request.service_name)?;
    let power = required("power", request.power)?;
    let tags = request.tags.unwrap_or_default();
    let public_domain_names = request.public_domain_names.unwrap_or_default();
    validation::service_name(&name)?;
    validation::power(&power)?;
    validation::tags(&tags)?;
    validation::public_domain_names(&public_domain_names)?;
    let scale = validation::scale(required("scale", request.scale)?)?;

    let world = &mut *emulator.world();
    let deployment = request
        .deployment
        .map(|request| validation::deployment(&name, request, &world.settings))
        .transpose()?;
    if world.services.contains_key(&name) {
        return Err(ApiError::name_exists(&name));
    }
    let url = emulator.runtime.publish(&name);
    let url =
        url.map_err(|error| ApiError::service(format!("No public endpoint can be opened: {error}.")))?;
    let new = NewService { name: name.clone(), power, scale, tags, public_domain_names, url };
    let mut service = Service::new(new, &emulator.region, &emulator.puller_account);
    world.journal.effect(&name, EffectKind::ServiceCreated, None, None);
    if let Some(spec) = deployment {
        service.add_deployment(spec);
    }
    set_puller(emulator, &mut service, request.private_registry_access.as_ref(), &mut world.journal);
    let creation = lifecycle::create(emulator.clone(), service.key());
    service.spawn(creation);
    let answer = View::now(emulator).service(&service);
    world.services.insert(name, service);
    Ok(json!({"containerService": answer}))
}

pub fn update(
    emulator: &Arc<Emulator>,
    name: &str,
    request: UpdateContainerService,
) -> Result<Value, ApiError> {
    request.power.as_deref().map(validation::power).transpose()?;
    let scale = request.scale.map(validation::scale).transpose()?;
    request.public_domain_names.as_ref().map(validation::public_domain_names).transpose()?;

    let world = &mut *emulator.world();
    let settings = world.settings.clone();
    let journal = &mut world.journal;
    let service = world.services.get_mut(name).ok_or_else(|| ApiError::no_service(name))?;
    refuse_if_busy(service, &settings)?;

    let capacity_changes = change(&mut service.power, request.power)
        | change(&mut service.scale, scale)
        | change(&mut service.public_domain_names, request.public_domain_names);
    let disabling_changes = change(&mut service.is_disabled, request.is_disabled);
    let puller_changes = set_puller(emulator, service, request.private_registry_access.as_ref(), journal);
    let relaunch = capacity_changes || disabling_changes || settings.unchanged_update_redeploys;
    if relaunch || (puller_changes && settings.puller_change_updates) {
        journal.effect(name, EffectKind::ServiceUpdating, None, None);
        service.state = State::Updating(Detail::ProvisioningService);
        let update = lifecycle::update(emulator.clone(), service.key(), relaunch);
        service.spawn(update);
    }
    Ok(json!({"containerService": View::now(emulator).service(service)}))
}

pub fn delete(emulator: &Arc<Emulator>, name: &str) -> Result<Value, ApiError> {
    let world = &mut *emulator.world();
    let service = world.services.get_mut(name).ok_or_else(|| ApiError::no_service(name))?;
    if service.state.is_transition() {
        let message = views::fill(&world.settings.delete_busy_message, service);
        return Err(ApiError::invalid_input(message));
    }
    world.journal.effect(name, EffectKind::ServiceDeleting, None, None);
    service.state = State::Deleting;
    let deletion = lifecycle::delete(emulator.clone(), service.key());
    service.spawn(deletion);
    Ok(json!({}))
}

pub fn get(emulator: &Arc<Emulator>, name: Option<&str>) -> Result<Value, ApiError> {
    let world = emulator.world();
    let view = View { emulator, lag_ms: world.settings.read_lag_ms };
    let services: Vec<Value> = match name {
        Some(name) => vec![view.service(world.services.get(name).ok_or_else(|| ApiError::no_service(name))?)],
        None => world.services.values().map(|service| view.service(service)).collect(),
    };
    Ok(json!({"containerServices": services}))
}

/// Refuses what a service in transition does not take.
///
/// There is no error type for it; clients tell it by the message. The words about a deployment were seen live
/// by third parties.
pub fn refuse_if_busy(service: &Service, settings: &Settings) -> Result<(), ApiError> {
    match (service.state, service.next) {
        (State::Deploying(_), Some(version)) => Err(ApiError::invalid_input(format!(
            "Sorry, deployment {version} is in progress for service \"{}\". \
             Please wait for it to complete before trying again.",
            service.name
        ))),
        (state, _) if state.is_transition() => {
            Err(ApiError::invalid_input(views::fill(&settings.busy_message, service)))
        }
        _ => Ok(()),
    }
}

fn change<T: PartialEq>(member: &mut T, wanted: Option<T>) -> bool {
    match wanted {
        Some(wanted) if wanted != *member => {
            *member = wanted;
            true
        }
        _ => false,
    }
}

/// Activates or deactivates the puller role, if the request changes it, and tells whether it does. Every
/// activation makes another role.
fn set_puller(
    emulator: &Arc<Emulator>,
    service: &mut Service,
    request: Option<&PrivateRegistryAccess>,
    journal: &mut Journal,
) -> bool {
    let wanted = request.and_then(PrivateRegistryAccess::is_active);
    if !change(&mut service.puller.is_active, wanted) {
        return false;
    }
    service.puller.arn = None;
    if service.puller.is_active {
        service.puller.activation += 1;
        let activation =
            lifecycle::activate_puller(emulator.clone(), service.key(), service.puller.activation);
        service.spawn(activation);
    } else {
        journal.effect(&service.name, EffectKind::PullerDeactivated, None, None);
    }
    true
}
