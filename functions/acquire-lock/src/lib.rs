//! Takes the environment's lock, waits for it, or steps aside.

pub mod handler;
