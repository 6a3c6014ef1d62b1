//! Says what would make the first release fail: at the install, as a custom resource, and when asked. It only reads.

pub mod handler;
mod looks;
pub mod settings;
