//! PlanetScale's API: the client, and what its bodies and states mean.

#[cfg(feature = "planetscale")]
mod client;
#[cfg(all(feature = "planetscale", feature = "secrets"))]
mod connection;
#[cfg(feature = "planetscale")]
mod looks;
mod model;
mod state;

#[cfg(feature = "planetscale")]
pub use client::{DeployRequests, Failure, NewDeployRequest, PlanetScale, ServiceToken};
#[cfg(all(feature = "planetscale", feature = "secrets", feature = "records"))]
pub use connection::Writer;
#[cfg(all(feature = "planetscale", feature = "secrets"))]
pub use connection::{Connection, database};
#[cfg(feature = "planetscale")]
pub use looks::Looks;
pub use model::{
    Actor, Base, Branch, BranchSchema, DatabaseSettings, DeployOperation, DeployRequest, DeployRequestNumber,
    Deployment, LintError, ListedRequest, OpenRequest, Organization, Page, PrecedingDeployment, StorageCheck,
    is_about_approval,
};
pub use state::{DeploymentState, Stage, stage};

#[cfg(test)]
pub(crate) use model::tests::request;
