//! Which order a change allows: the document, the code and a database say the same of every kind.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod document;
mod generator;
mod kinds;
mod server;
mod truth;
