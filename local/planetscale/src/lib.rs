//! A local stand-in for PlanetScale's API; see the crate's README.
#![recursion_limit = "256"]

mod api;
mod app;
mod clock;
mod control;
mod database;
mod deploy_request;
mod error;
mod faults;
mod journal;
mod options;
mod rate_limit;
pub mod schema;
mod server;
mod settings;
pub mod storage;
mod token;
mod watch;
mod world;

pub use options::Options;
pub use server::{Server, StartError, in_process};
pub use settings::Settings;
