//! Asks a service's public URL whether it serves.

pub mod handler;
