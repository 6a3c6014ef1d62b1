//! The seam behind which containers run.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

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
    /// Opens the public endpoint of a new service and gives its URL; `None` when there is none, and the service
    /// shows one of Lightsail's form.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn publish(&self, _service: &str) -> io::Result<Option<String>> {
        Ok(None)
    }

    /// Closes the public endpoint of a service.
    fn unpublish(&self, _service: &str) {}

    /// Gets an image that can be pulled onto this machine.
    ///
    /// # Errors
    /// A sentence that says why it cannot be had.
    fn fetch<'a>(&'a self, _pulled: &'a Pulled) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    /// Starts the containers of one deployment beside whatever runs already, and tells whether they became
    /// healthy. Lines may be written to `log` for as long as they run. When the future is dropped before it is
    /// ready, what it started must end as well.
    fn start(&self, launch: Launch, log: LogSink) -> BoxFuture<'_, Result<(), StartFailure>>;

    /// Leads the public endpoint to a launch that is healthy, from the next request on.
    fn serve(&self, _launch: u64) {}

    /// Stops the containers of a launch, whether or not they became healthy, once they have answered the
    /// requests they took.
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
    pub timing: Timing,
}

/// The durations that are unknown of the real service, by the settings of the moment.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// By what the interval of the health check is multiplied.
    pub interval_scale: f64,
    /// How long containers may take to become healthy.
    pub health_check_deadline: Duration,
    /// How long replaced containers may take to answer the requests they took.
    pub drain: Duration,
    /// From SIGTERM to SIGKILL.
    pub stop_grace: Duration,
    /// How long to wait after containers that ended could not be started anew.
    pub restart_delay: Duration,
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
