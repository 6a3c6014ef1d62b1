//! Starts the release that an event, the schedule or a person asks for.

pub mod handler;
pub mod settings;
