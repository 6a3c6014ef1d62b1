//! Takes an applied deploy request back.

pub mod handler;
