//! A local stand-in for the container services of Amazon Lightsail.
//!
//! It speaks AWS JSON 1.1, so the AWS CLI, boto3 and the AWS SDKs work against it with nothing but another
//! endpoint. Services and deployments live in memory and pass through the real service's states. Before a
//! deployment becomes active its image is really looked up in an ECR, and a settable verdict ([`verdicts`])
//! or another [`runtime::Runtime`] says whether its containers become healthy.
//!
//! What the real service does was taken from its published API model and documentation, and from what third
//! parties saw live. Where neither tells, a member of [`settings::Settings`] decides.

mod answers;
mod authorization;
pub mod clock;
mod control;
mod ecr;
mod emulator;
mod error;
mod faults;
mod http_client;
mod image;
mod journal;
mod lifecycle;
mod operations;
mod options;
mod policy;
mod processes;
mod protocol;
mod pull;
mod requests;
pub mod runtime;
mod server;
mod service;
pub mod settings;
mod validation;
pub mod verdicts;
mod views;

pub use http_client::{Answer, Answers};
pub use options::{Options, RuntimeKind};
pub use processes::run_if_started_as_one as run_if_started_as_container;
pub use server::{Server, StartError, in_process};
