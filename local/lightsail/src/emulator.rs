//! Everything the emulator holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::authorization::Authorizer;
use crate::ecr::Ecr;
use crate::faults::Faults;
use crate::http_client::HttpClient;
use crate::journal::Journal;
use crate::options::{Options, RuntimeKind};
use crate::processes::Processes;
use crate::runtime::Runtime;
use crate::service::{Service, ServiceKey};
use crate::settings::Settings;
use crate::verdicts::VerdictTable;

/// The emulator.
pub struct Emulator {
    pub region: String,
    pub account: String,
    /// The Lightsail-owned account of the services' roles.
    pub puller_account: String,
    pub ecr: Arc<Ecr>,
    pub authorizer: Option<Authorizer>,
    /// Whether no line per request is written.
    pub quiet: bool,
    pub verdicts: Arc<VerdictTable>,
    /// Whether the verdicts have a say; they have none when containers really run.
    pub verdicts_decide: bool,
    pub runtime: Arc<dyn Runtime>,
    last_launch: AtomicU64,
    settings_at_start: Settings,
    world: Mutex<World>,
}

/// What changes.
#[derive(Default)]
pub struct World {
    pub services: BTreeMap<String, Service>,
    pub settings: Settings,
    pub faults: Faults,
    pub journal: Journal,
}

impl Emulator {
    /// An emulator whose containers run in `runtime`, or as the options say when there is none.
    ///
    /// # Errors
    /// What is missing for the runtime that the options name.
    pub async fn new(
        options: &Options,
        runtime: Option<Arc<dyn Runtime>>,
        client: HttpClient,
    ) -> Result<Self, String> {
        let ecr =
            Arc::new(Ecr::new(options.ecr_endpoint.clone(), options.ecr_credentials.clone(), client.clone()));
        let verdicts = Arc::new(VerdictTable::new());
        let runtime: Arc<dyn Runtime> = match (runtime, options.runtime) {
            (Some(runtime), _) => runtime,
            (None, RuntimeKind::Verdicts) => verdicts.clone(),
            (None, RuntimeKind::Process) => Arc::new(
                Processes::new(&options.image_folder, ecr.clone(), &options.container_reaches).await?,
            ),
        };
        Ok(Emulator {
            region: options.region.clone(),
            account: options.account.clone(),
            puller_account: options.puller_account.clone(),
            ecr,
            authorizer: options.authorize.clone().map(|address| Authorizer::new(address, client)),
            quiet: options.quiet,
            verdicts_decide: options.runtime == RuntimeKind::Verdicts,
            runtime,
            verdicts,
            last_launch: AtomicU64::new(0),
            settings_at_start: options.settings.clone(),
            world: Mutex::new(World { settings: options.settings.clone(), ..World::default() }),
        })
    }

    /// Everything that changes, for as long as the guard is held.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn settings(&self) -> Settings {
        self.world().settings.clone()
    }

    /// Changes a service and the journal; `None` when the service is gone.
    pub fn edit<T>(
        &self,
        key: &ServiceKey,
        change: impl FnOnce(&mut Service, &mut Journal) -> T,
    ) -> Option<T> {
        let World { services, journal, .. } = &mut *self.world();
        let service = services.get_mut(&key.name).filter(|service| service.id == key.id)?;
        Some(change(service, journal))
    }

    pub fn new_launch_id(&self) -> u64 {
        self.last_launch.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub fn arn(&self, service: &Service) -> String {
        format!("arn:aws:lightsail:{}:{}:ContainerService/{}", self.region, self.account, service.id)
    }

    /// Goes back to the start: no services, verdicts, faults and records, and the settings of that time.
    pub fn reset(&self) {
        let new = World { settings: self.settings_at_start.clone(), ..World::default() };
        let old = std::mem::replace(&mut *self.world(), new);
        self.verdicts.clear();
        self.verdicts.answers.clear();
        for mut service in old.services.into_values() {
            service.abort_tasks();
            self.runtime.unpublish(&service.name);
            self.stop_all(service.launches());
        }
    }

    /// Stops launches in the background.
    pub fn stop_all(&self, launches: Vec<u64>) {
        let runtime = self.runtime.clone();
        // Without a reactor the whole program ends, and what it started with it.
        let Ok(reactor) = tokio::runtime::Handle::try_current() else { return };
        reactor.spawn(async move {
            for launch in launches {
                runtime.stop(launch).await;
            }
        });
    }
}
