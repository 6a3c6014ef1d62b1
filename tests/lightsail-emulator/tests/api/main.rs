//! The emulator over HTTP, beside a small registry that answers as ECR does.

mod authorization;
mod control;
mod deployments;
mod faults;
mod lab;
mod pulls;
mod registry;
mod services;
mod validation;
