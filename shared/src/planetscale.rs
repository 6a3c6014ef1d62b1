//! PlanetScale's API: the client, and what its bodies and states mean.

#[cfg(feature = "planetscale")]
mod client;
#[cfg(all(feature = "planetscale", feature = "secrets"))]
mod connection;
mod model;
mod state;

#[cfg(feature = "planetscale")]
pub use client::{DeployRequests, Failure, NewDeployRequest, PlanetScale, ServiceToken};
#[cfg(all(feature = "planetscale", feature = "secrets"))]
pub use connection::{Connection, database};
pub use model::{
    DeployOperation, DeployRequest, DeployRequestNumber, Deployment, LintError, Page, PrecedingDeployment,
};
pub use state::{DeploymentState, Stage, stage};

#[cfg(test)]
pub(crate) use model::tests::request;
