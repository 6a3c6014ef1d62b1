//! Each handler that works with PlanetScale, against the emulator.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod close;
mod create;
mod deploy;
mod get;
mod revert;
mod world;
