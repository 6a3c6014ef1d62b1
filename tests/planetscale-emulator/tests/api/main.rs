//! Drives the emulator over HTTP.

mod access;
mod bodies;
mod control;
mod faults;
mod lab;
mod lifecycle;
mod queue;
mod validation;
