//! Creates a deployment from the version that served before a release.

pub mod handler;
