//! The runtime that really starts containers: processes in namespaces of their own, without an engine.

mod container;
mod health;
mod images;
mod ingress;
mod layer;
mod loopback;
mod sandbox;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddrV4;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::ecr::Ecr;
use crate::processes::container::Container;
use crate::processes::health::HealthCheck;
use crate::processes::images::{Image, Images};
use crate::processes::ingress::{Ingress, Upstream};
use crate::processes::sandbox::Sandbox;
use crate::pull::Pulled;
use crate::runtime::{BoxFuture, Launch, LaunchContainer, LogSink, Runtime, StartFailure};

pub use sandbox::run_if_started_as_one;

/// What a program finds when neither its image nor its deployment says otherwise, as in other engines.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long containers without a public endpoint must run.
const UNCHECKED: Duration = Duration::from_secs(1);

/// Starts every container as a process with the image as its root.
pub struct Processes {
    images: Arc<Images>,
    /// What containers reach of the host.
    reaches: Arc<[SocketAddrV4]>,
    /// The public endpoints, by service.
    ingresses: Mutex<BTreeMap<String, Ingress>>,
    running: Mutex<BTreeMap<u64, Running>>,
}

/// A launch that became healthy.
struct Running {
    service: String,
    upstream: Option<Arc<Upstream>>,
    stop: oneshot::Sender<()>,
    supervising: JoinHandle<()>,
}

/// What it takes to start the containers of a launch, again and again.
struct Plan {
    launch: Launch,
    log: LogSink,
    images: BTreeMap<String, Arc<Image>>,
    folder: Arc<Images>,
    reaches: Arc<[SocketAddrV4]>,
}

/// The running containers of one launch. They end when this is dropped.
struct Node {
    containers: BTreeMap<String, Arc<Container>>,
    health_check: Option<HealthCheck>,
}

impl Processes {
    /// Prepares to start containers, and tries whether this machine lets it.
    ///
    /// # Errors
    /// What is missing, and what brings it.
    pub async fn new(images: &Path, ecr: Arc<Ecr>, reaches: &[SocketAddrV4]) -> Result<Processes, String> {
        let folder = Images::open(images, ecr).map_err(|error| {
            format!("cannot keep images in {}: {error}; choose another --image-folder", images.display())
        })?;
        try_sandbox(&folder).await?;
        Ok(Processes {
            images: Arc::new(folder),
            reaches: reaches.into(),
            ingresses: Mutex::default(),
            running: Mutex::default(),
        })
    }

    async fn plan(&self, launch: Launch, log: LogSink) -> Result<Plan, String> {
        let mut images = BTreeMap::new();
        for (name, container) in &launch.containers {
            images.insert(name.clone(), self.images.unpacked(&container.pulled).await?);
        }
        Ok(Plan { launch, log, images, folder: self.images.clone(), reaches: self.reaches.clone() })
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ingresses(&self) -> MutexGuard<'_, BTreeMap<String, Ingress>> {
        self.ingresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime for Processes {
    fn publish(&self, service: &str) -> io::Result<Option<String>> {
        let ingress = Ingress::open()?;
        let url = ingress.url();
        self.ingresses().insert(service.to_owned(), ingress);
        Ok(Some(url))
    }

    fn unpublish(&self, service: &str) {
        self.ingresses().remove(service);
    }

    fn fetch<'a>(&'a self, pulled: &'a Pulled) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let image = self.images.unpacked(pulled).await?;
            image.user().map(|_| ())
        })
    }

    fn start(&self, launch: Launch, log: LogSink) -> BoxFuture<'_, Result<(), StartFailure>> {
        Box::pin(async move {
            let (id, service) = (launch.id, launch.service.clone());
            let plan = self.plan(launch, log).await.map_err(|_| StartFailure::Crash)?;
            let node = plan.start_healthy().await?;
            let upstream = node.health_check.as_ref();
            let upstream = upstream.map(|check| Arc::new(Upstream::new(check.container.clone(), check.port)));
            let (stop, stopped) = oneshot::channel();
            let supervising = tokio::spawn(supervise(plan, node, upstream.clone(), stopped));
            self.running().insert(id, Running { service, upstream, stop, supervising });
            Ok(())
        })
    }

    fn serve(&self, launch: u64) {
        let running = self.running();
        let Some(Running { service, upstream: Some(upstream), .. }) = running.get(&launch) else { return };
        if let Some(ingress) = self.ingresses().get(service) {
            ingress.lead_to(upstream.clone());
        }
    }

    fn stop(&self, launch: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let stopped = self.running().remove(&launch);
            let Some(Running { service, upstream, stop, supervising }) = stopped else { return };
            if let (Some(upstream), Some(ingress)) = (&upstream, self.ingresses().get(&service)) {
                ingress.lead_away_from(upstream);
            }
            // It also ends when nobody can tell it to.
            let _ = stop.send(());
            let _ = supervising.await;
        })
    }
}

impl Plan {
    /// Starts the containers, and waits until they are healthy.
    async fn start_healthy(&self) -> Result<Node, StartFailure> {
        let node = self.start().await?;
        let deadline = self.launch.timing.health_check_deadline;
        tokio::select! {
            () = node.one_ended() => Err(StartFailure::Crash),
            healthy = tokio::time::timeout(deadline, node.becomes_healthy()) => {
                if healthy.is_ok() {
                    return Ok(node);
                }
                let grace = self.launch.timing.stop_grace;
                tokio::spawn(async move { node.stop(grace).await });
                Err(StartFailure::HealthCheck)
            }
        }
    }

    async fn start(&self) -> Result<Node, StartFailure> {
        let mut containers = BTreeMap::new();
        for (name, spec) in &self.launch.containers {
            let failed = |why: String| {
                (self.log)(name, &format!("The container cannot be started: {why}"));
                StartFailure::Crash
            };
            let sandbox = self.sandbox(spec, &self.images[name]).map_err(failed)?;
            let log = {
                let (sink, name) = (self.log.clone(), name.clone());
                move |line: &str| sink(&name, line)
            };
            let container = Container::start(&sandbox, &self.reaches, log).await;
            let container = container.map_err(|error| failed(error.to_string()))?;
            containers.insert(name.clone(), Arc::new(container));
        }
        let endpoint = self.launch.public_endpoint.as_ref();
        let health_check = endpoint.map(|endpoint| HealthCheck {
            container: containers[&endpoint.container_name].clone(),
            port: endpoint.container_port,
            spec: endpoint.health_check.clone(),
            interval_scale: self.launch.timing.interval_scale,
        });
        Ok(Node { containers, health_check })
    }

    fn sandbox(&self, container: &LaunchContainer, image: &Image) -> Result<Sandbox, String> {
        let user = image.user()?;
        let configuration = &image.configuration;
        let host_name = format!("{}-{}", self.launch.service, self.launch.version);
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), PATH.to_owned()),
            ("HOME".to_owned(), user.home),
            ("HOSTNAME".to_owned(), host_name.clone()),
        ]);
        for variable in configuration.env.iter().flatten() {
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            environment.insert(name.to_owned(), value.to_owned());
        }
        environment.extend(container.spec.environment.0.clone());
        let entrypoint = configuration.entrypoint.iter().flatten();
        let arguments: Vec<&String> = match container.spec.command.as_slice() {
            [] => configuration.cmd.iter().flatten().collect(),
            command => command.iter().collect(),
        };
        let command: Vec<String> = entrypoint.chain(arguments).cloned().collect();
        if command.is_empty() {
            return Err("The image has no entrypoint and no command.".into());
        }
        Ok(Sandbox {
            images: self.folder.folder().to_owned(),
            root: image.root.clone(),
            scratch: self.folder.scratch(),
            command,
            environment: environment.into_iter().collect(),
            working_folder: configuration.working_dir.clone().unwrap_or_default(),
            user: user.user,
            group: user.group,
            // Longer ones are no host names.
            host_name: host_name.chars().take(63).collect(),
        })
    }
}

impl Node {
    async fn one_ended(&self) {
        select_all(self.containers.values().map(|container| Box::pin(container.ended()))).await;
    }

    /// Containers that nobody can check are healthy when they run for a while.
    async fn becomes_healthy(&self) {
        match &self.health_check {
            Some(check) => check.becomes_healthy().await,
            None => tokio::time::sleep(UNCHECKED).await,
        }
    }

    /// Ends every container, at once.
    async fn stop(&self, grace: Duration) {
        join_all(self.containers.values().map(|container| container.stop(grace))).await;
    }

    async fn fails(&self) {
        match &self.health_check {
            Some(check) => {
                tokio::select! {
                    () = self.one_ended() => {}
                    () = check.becomes_unhealthy() => {}
                }
            }
            None => self.one_ended().await,
        }
    }
}

/// Keeps a healthy launch running until it is stopped: when a container ends or becomes unhealthy, all are
/// started anew. What the real service does then is unknown.
async fn supervise(plan: Plan, node: Node, upstream: Option<Arc<Upstream>>, stopped: oneshot::Receiver<()>) {
    let timing = plan.launch.timing;
    let mut stopped = pin!(stopped);
    let mut node = Some(node);
    loop {
        match &node {
            Some(running) => {
                tokio::select! {
                    _ = &mut stopped => break,
                    () = running.fails() => {}
                }
            }
            None => {
                tokio::select! {
                    _ = &mut stopped => break,
                    () = tokio::time::sleep(timing.restart_delay) => {}
                }
            }
        }
        if let Some(failed) = node.take() {
            if let Some(upstream) = &upstream {
                upstream.replace(None);
            }
            failed.stop(timing.stop_grace).await;
        }
        let started = tokio::select! {
            _ = &mut stopped => break,
            started = plan.start_healthy() => started,
        };
        node = started.ok();
        if let (Some(upstream), Some(check)) =
            (&upstream, node.as_ref().and_then(|node| node.health_check.as_ref()))
        {
            upstream.replace(Some(check.container.clone()));
        }
    }
    if let Some(upstream) = &upstream {
        upstream.drain(timing.drain).await;
    }
    if let Some(node) = node {
        node.stop(timing.stop_grace).await;
    }
}

/// Starts a container without a program, which goes through everything that can fail.
async fn try_sandbox(images: &Images) -> Result<(), String> {
    let sandbox = Sandbox {
        images: images.folder().to_owned(),
        root: images.empty_root(),
        scratch: images.scratch(),
        command: Vec::new(),
        environment: Vec::new(),
        working_folder: String::new(),
        user: 1000,
        group: 1000,
        host_name: "trial".into(),
    };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = {
        let lines = lines.clone();
        move |line: &str| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned())
    };
    let started = Container::start(&sandbox, &[], log).await;
    if let Ok(container) = &started {
        container.ended().await;
    }
    let lines = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
    match (started, lines.is_empty()) {
        (Ok(_), true) => Ok(()),
        (Err(error), true) => Err(cannot_start(&error.to_string())),
        (_, false) => Err(cannot_start(&lines.join(" "))),
    }
}

fn cannot_start(why: &str) -> String {
    format!(
        "this machine does not let the emulator start containers. {why} \
         It takes Linux 5.11 or newer with user namespaces for everybody, overlayfs, and a /proc that is not masked; \
         no package is needed. \
         See `sysctl user.max_user_namespaces kernel.unprivileged_userns_clone \
         kernel.apparmor_restrict_unprivileged_userns`: the first must not be 0, the second, on Debian, must be 1, \
         the third, on Ubuntu, 0. In a container of another engine, let it make namespaces \
         (with Docker --security-opt seccomp=unconfined --security-opt systempaths=unconfined). \
         Or leave --runtime process out: then nothing is started, and verdicts decide"
    )
}
