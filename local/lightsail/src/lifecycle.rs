//! What happens to services in the background.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock;
use crate::emulator::Emulator;
use crate::journal::{EffectKind, Journal};
use crate::pull::{PLATFORM, Pulled, Puller};
use crate::runtime::{ContainerSpec, Launch, LaunchContainer, LogSink, StartFailure};
use crate::service::{DeploymentState, Detail, Service, ServiceKey, State, random_id};

/// Why the containers of a deployment were not brought up, and what the log says of it.
enum Failure {
    /// An image could not be pulled: no container ever ran.
    Pull(String),
    /// An image is for another platform.
    Platform { container: String, platform: String },
    /// The containers were started.
    Start(StartFailure),
}

/// How often containers that end are started before a deployment is given up, as seen live by third parties.
const STARTS: usize = 3;

/// Takes a new service through PENDING, and on to the deployment it was created with.
pub async fn create(emulator: Arc<Emulator>, key: ServiceKey) {
    let steps = [
        Detail::CreatingSystemResources,
        Detail::CreatingNetworkInfrastructure,
        Detail::ProvisioningCertificate,
        Detail::ProvisioningService,
    ];
    for detail in steps {
        emulator.edit(&key, |service, _| service.state = State::Pending(detail));
        clock::sleep(emulator.settings().service_creation_ms / steps.len() as u64).await;
    }
    let next = emulator.edit(&key, |service, journal| {
        journal.effect(&service.name, EffectKind::ServiceReady, None, None);
        service.state = match service.next {
            Some(_) => State::Deploying(Detail::CreatingDeployment),
            None => service.settled_state(),
        };
        service.next
    });
    if let Some(Some(version)) = next {
        deploy(emulator, key, version).await;
    }
}

/// Completes an activation of the puller role, unless it was undone meanwhile.
pub async fn activate_puller(emulator: Arc<Emulator>, key: ServiceKey, activation: u32) {
    clock::sleep(emulator.settings().puller_activation_ms).await;
    let (region, account) = (&emulator.region, &emulator.puller_account);
    emulator.edit(&key, |service, journal| {
        if !service.puller.is_active || service.puller.activation != activation {
            return;
        }
        let name = &service.name;
        let id = random_id(52);
        let arn = format!(
            "arn:aws:iam::{account}:role/amazon/lightsail/{region}/containers/{name}/private-repo-access/{id}"
        );
        journal.effect(name, EffectKind::PullerActivated, None, Some(arn.clone()));
        service.puller.arn = Some(arn);
    });
}

/// Takes a deployment to ACTIVE or FAILED.
pub async fn deploy(emulator: Arc<Emulator>, key: ServiceKey, version: u32) {
    emulator.edit(&key, |service, journal| {
        journal.effect(&service.name, EffectKind::DeploymentStarted, Some(version), None);
        log_to_all(service, version, "Creating your deployment");
    });
    match bring_up(&emulator, &key, version, State::Deploying).await {
        Ok(started) => {
            let launch = started.claim_for(&key, version);
            emulator.edit(&key, |service, _| {
                service.state = State::Deploying(Detail::ActivatingDeployment);
            });
            clock::sleep(emulator.settings().activating_deployment_ms).await;
            let replaced = emulator.edit(&key, |service, journal| {
                emulator.runtime.serve(launch);
                activate(service, journal, version)
            });
            emulator.stop_all(replaced.flatten().into_iter().collect());
        }
        Err(failure) => {
            let reason = give_up(&emulator, &key, version, failure).await;
            emulator.edit(&key, |service, journal| fail(service, journal, version, reason));
        }
    }
}

/// Makes the next deployment the current one; gives the launch that it replaces.
fn activate(service: &mut Service, journal: &mut Journal, version: u32) -> Option<u64> {
    let replaced = service.current.replace(version);
    if replaced.is_some() {
        journal.effect(&service.name, EffectKind::DeploymentInactive, replaced, None);
    }
    journal.effect(&service.name, EffectKind::DeploymentActive, Some(version), None);
    if let Some(deployment) = service.deployment_mut(version) {
        deployment.state = DeploymentState::Active;
    }
    service.next = None;
    service.state = service.settled_state();
    let replaced = service.deployment_mut(replaced?)?;
    replaced.state = DeploymentState::Inactive;
    replaced.launch.take()
}

/// Gives the next deployment up; the current one stays.
fn fail(service: &mut Service, journal: &mut Journal, version: u32, reason: String) {
    journal.effect(&service.name, EffectKind::DeploymentFailed, Some(version), Some(reason.clone()));
    if let Some(deployment) = service.deployment_mut(version) {
        deployment.state = DeploymentState::Failed;
        deployment.failure = Some(reason);
    }
    service.next = None;
    service.state = service.settled_state();
}

/// Takes a service through UPDATING; `relaunch` starts the current deployment anew, from the image that its
/// reference means by then.
pub async fn update(emulator: Arc<Emulator>, key: ServiceKey, relaunch: bool) {
    let settings = emulator.settings();
    clock::sleep(settings.update_ms).await;
    let current =
        emulator.edit(&key, |service, _| service.current.filter(|_| relaunch && !service.is_disabled));
    if let Some(Some(version)) = current {
        match bring_up(&emulator, &key, version, State::Updating).await {
            Ok(started) => {
                let replaced = emulator.edit(&key, |service, journal| {
                    journal.effect(&service.name, EffectKind::DeploymentRelaunched, Some(version), None);
                    service.deployment_mut(version).and_then(|deployment| deployment.launch.take())
                });
                let launch = started.claim_for(&key, version);
                emulator.runtime.serve(launch);
                emulator.stop_all(replaced.flatten().into_iter().collect());
            }
            Err(failure) => {
                let reason = give_up(&emulator, &key, version, failure).await;
                emulator.edit(&key, |service, journal| {
                    journal.effect(&service.name, EffectKind::RelaunchFailed, Some(version), Some(reason));
                });
            }
        }
    }
    let stopped = emulator.edit(&key, |service, journal| {
        service.state = service.settled_state();
        journal.effect(&service.name, EffectKind::ServiceUpdated, None, Some(service.state.name().into()));
        let deployment = service.current.filter(|_| service.is_disabled);
        deployment
            .and_then(|version| service.deployment_mut(version))
            .and_then(|current| current.launch.take())
    });
    emulator.stop_all(stopped.flatten().into_iter().collect());
}

/// Takes a service from DELETING to its end.
pub async fn delete(emulator: Arc<Emulator>, key: ServiceKey) {
    clock::sleep(emulator.settings().deletion_ms).await;
    let launches = emulator.edit(&key, |service, journal| {
        journal.effect(&service.name, EffectKind::ServiceDeleted, None, None);
        service.launches()
    });
    if let Some(launches) = launches {
        emulator.stop_all(launches);
        let removed = emulator.world().services.remove(&key.name);
        if let Some(mut service) = removed {
            emulator.runtime.unpublish(&service.name);
            // This task is among those that end here; nothing follows.
            service.abort_tasks();
        }
    }
}

/// A launch that no deployment has yet. Dropped before it has one, it is stopped.
struct Started {
    emulator: Arc<Emulator>,
    launch: u64,
    is_claimed: bool,
}

impl Started {
    /// Makes it the launch of a deployment, if that is still there.
    fn claim_for(mut self, key: &ServiceKey, version: u32) -> u64 {
        let claimed = self.emulator.edit(key, |service, _| {
            service.deployment_mut(version).map(|deployment| deployment.launch = Some(self.launch))
        });
        self.is_claimed = claimed.flatten().is_some();
        self.launch
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.is_claimed {
            self.emulator.stop_all(vec![self.launch]);
        }
    }
}

/// Pulls the images of a deployment and starts its containers, until they are healthy.
async fn bring_up(
    emulator: &Arc<Emulator>,
    key: &ServiceKey,
    version: u32,
    in_transition: fn(Detail) -> State,
) -> Result<Started, Failure> {
    let settings = emulator.settings();
    let (pulled, ()) =
        tokio::join!(pull_all(emulator, key, version), clock::sleep(settings.creating_deployment_ms));
    let pulled = pulled?;
    if let Some((container, pulled)) = pulled.iter().find(|(_, pulled)| pulled.platform != PLATFORM) {
        return Err(Failure::Platform { container: container.clone(), platform: pulled.platform.clone() });
    }
    for pulled in pulled.values() {
        emulator.runtime.fetch(pulled).await.map_err(Failure::Pull)?;
    }
    emulator.edit(key, |service, _| service.state = in_transition(Detail::EvaluatingHealthCheck));
    let starting = start(emulator, key, version, &pulled);
    let (started, ()) = tokio::join!(starting, clock::sleep(settings.evaluating_health_check_ms));
    started
}

/// Starts the containers of a deployment, more than once when they end.
async fn start(
    emulator: &Arc<Emulator>,
    key: &ServiceKey,
    version: u32,
    pulled: &BTreeMap<String, Pulled>,
) -> Result<Started, Failure> {
    let mut starts = 0;
    loop {
        starts += 1;
        let launch = new_launch(emulator, key, version, pulled);
        let launch = launch.ok_or_else(|| Failure::Pull("The service was deleted.".into()))?;
        let started = Started { emulator: emulator.clone(), launch: launch.id, is_claimed: false };
        match emulator.runtime.start(launch, log_sink(emulator, key)).await {
            Ok(()) => return Ok(started),
            Err(StartFailure::Crash) if starts < STARTS => emulator.runtime.stop(started.launch).await,
            Err(failure) => return Err(Failure::Start(failure)),
        }
    }
}

fn new_launch(
    emulator: &Emulator,
    key: &ServiceKey,
    version: u32,
    pulled: &BTreeMap<String, Pulled>,
) -> Option<Launch> {
    let id = emulator.new_launch_id();
    let timing = emulator.settings().timing();
    let launch = emulator.edit(key, |service, _| {
        log_to_all(service, version, "Started 1 new node");
        let deployment = service.deployment(version)?;
        let container = |(name, spec): (&String, &ContainerSpec)| {
            let pulled = pulled.get(name)?.clone();
            Some((name.clone(), LaunchContainer { pulled, spec: spec.clone() }))
        };
        let containers = deployment.spec.containers.iter().filter_map(container).collect();
        let public_endpoint = deployment.spec.public_endpoint.clone();
        Some(Launch { id, service: service.name.clone(), version, containers, public_endpoint, timing })
    });
    launch.flatten()
}

/// Pulls the images of a deployment, and keeps what was pulled.
async fn pull_all(
    emulator: &Arc<Emulator>,
    key: &ServiceKey,
    version: u32,
) -> Result<BTreeMap<String, Pulled>, Failure> {
    let known = emulator.edit(key, |service, _| {
        let containers = &service.deployment(version)?.spec.containers;
        let images: Vec<_> =
            containers.iter().map(|(name, spec)| (name.clone(), spec.image.clone())).collect();
        Some((images, service.puller.arn.clone(), service.images.clone()))
    });
    let (images, role, stored) = known.flatten().unwrap_or_default();
    let settings = emulator.settings();
    let puller =
        Puller { region: &emulator.region, role: role.as_deref(), stored: &stored, settings: &settings };
    let mut all = BTreeMap::new();
    for (container, image) in images {
        let pulled = puller.pull(&emulator.ecr, &image).await.map_err(Failure::Pull)?;
        emulator.edit(key, |service, _| {
            let deployment = service.deployment_mut(version)?;
            deployment.pulled.insert(container.clone(), pulled.clone())
        });
        all.insert(container, pulled);
    }
    Ok(all)
}

/// Logs a failure as the real service does, and gives the reason.
///
/// The lines were seen live by third parties: three starts and `Canceled`, with no line of the application
/// when the image cannot be pulled; `Took too long` when the health check never passes.
async fn give_up(emulator: &Arc<Emulator>, key: &ServiceKey, version: u32, failure: Failure) -> String {
    let (reason, starts, end) = match &failure {
        Failure::Pull(reason) => (reason.clone(), 3, "Canceled"),
        Failure::Platform { container, platform } => {
            (format!("The image of container {container} is for {platform}, not {PLATFORM}."), 3, "Canceled")
        }
        Failure::Start(StartFailure::Crash) => ("A container ended.".into(), 0, "Canceled"),
        Failure::Start(StartFailure::HealthCheck) => {
            ("The health check did not pass.".into(), 0, "Took too long")
        }
    };
    for _ in 0..starts {
        emulator.edit(key, |service, _| {
            log_to_all(service, version, "Started 1 new node");
            if let Failure::Platform { container, .. } = &failure {
                service.log(container, "exec format error".into());
            }
        });
    }
    clock::sleep(emulator.settings().failure_ms).await;
    emulator.edit(key, |service, _| log_to_all(service, version, end));
    reason
}

fn log_to_all(service: &mut Service, version: u32, message: &str) {
    let containers = service.deployment(version).map(|deployment| deployment.spec.containers.keys().cloned());
    for container in containers.into_iter().flatten().collect::<Vec<_>>() {
        service.log(&container, format!("[deployment:{version}] {message}"));
    }
}

fn log_sink(emulator: &Arc<Emulator>, key: &ServiceKey) -> LogSink {
    // A runtime may keep the sink for longer than the emulator lives.
    let emulator = Arc::downgrade(emulator);
    let key = key.clone();
    Arc::new(move |container, line| {
        if let Some(emulator) = emulator.upgrade() {
            emulator.edit(&key, |service, _| service.log(container, line.to_owned()));
        }
    })
}
