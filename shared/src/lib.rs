#![doc = include_str!("../README.md")]

pub mod clock;
pub mod config;
pub mod containers;
mod error;
pub mod estimate;
pub mod hold;
pub mod image;
pub mod lambda;
pub mod lock;
pub mod mask;
pub mod order;
pub mod origin;
mod outcome;
pub mod planetscale;
pub mod poll;
pub mod preflight;
pub mod release;
pub mod report;
pub mod repository_policy;
pub mod rollback;
pub mod schema;
pub mod start;
pub mod text;
pub mod undo;
pub mod verification;

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "builds")]
pub mod builds;
#[cfg(feature = "http")]
pub mod custom_resource;
#[cfg(feature = "executions")]
pub mod executions;
#[cfg(feature = "records")]
pub mod fence;
#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "lightsail")]
pub mod lightsail;
#[cfg(feature = "records")]
pub mod records;
#[cfg(feature = "registry")]
pub mod registry;
#[cfg(feature = "secrets")]
pub mod secrets;
#[cfg(test)]
mod testing;

pub use error::Error;
pub use outcome::Outcome;
