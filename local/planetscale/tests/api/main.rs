//! Drives the emulator over HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod bodies;
mod control;
mod database_server;
mod faults;
mod lab;
mod lifecycle;
mod queue;
mod validation;
