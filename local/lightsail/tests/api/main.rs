//! The emulator over HTTP, beside a small registry that answers as ECR does.

mod answers;
mod authorization;
mod clock;
mod control;
mod deployments;
mod faults;
mod images;
mod lab;
mod processes;
mod pulls;
mod real_lab;
mod registry;
mod services;
mod validation;
