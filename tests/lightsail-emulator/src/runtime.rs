//! The seam behind which containers run.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub use crate::pull::Pulled;
pub use crate::requests::{ContainerSpec, EndpointSpec, Environment, HealthCheckSpec};

/// A future behind a pointer, for a trait that is used as an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes a line that a container wrote: the container's name and the line.
pub type LogSink = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Runs the containers of deployments.
///
/// The emulator has pulled every image before it asks, and has found each to be for Lightsail's platform.
pub trait Runtime: Send + Sync {
    /// Starts the containers of one deployment beside whatever runs already, and tells whether they became
    /// healthy. Lines may be written to `log` for as long as they run. When the future is dropped before it is
    /// ready, what it started must end as well.
    fn start(&self, launch: Launch, log: LogSink) -> BoxFuture<'_, Result<(), StartFailure>>;

    /// Stops the containers of a launch, whether or not they became healthy.
    fn stop(&self, launch: u64) -> BoxFuture<'_, ()>;
}

/// One start of a deployment. A deployment is launched again when its service is updated.
#[derive(Clone)]
pub struct Launch {
    /// Unique among all launches.
    pub id: u64,
    pub service: String,
    /// The deployment's version.
    pub version: u32,
    /// What to start, by container name.
    pub containers: BTreeMap<String, LaunchContainer>,
    /// Where the health check goes.
    pub public_endpoint: Option<EndpointSpec>,
}

/// One container to start.
#[derive(Clone)]
pub struct LaunchContainer {
    pub pulled: Pulled,
    /// Command, environment and ports, as deployed.
    pub spec: ContainerSpec,
}

/// Why the containers of a deployment do not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartFailure {
    /// They run, and the health check never passed.
    HealthCheck,
    /// One of them ended.
    Crash,
}
