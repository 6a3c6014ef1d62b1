//! Puts the deploy request into PlanetScale's deploy queue.

pub mod handler;
