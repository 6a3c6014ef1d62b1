//! Creates the Lightsail deployment of a release.

pub mod handler;
