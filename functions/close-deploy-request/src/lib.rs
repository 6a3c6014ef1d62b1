//! Closes a deploy request that will not be deployed.

pub mod handler;
