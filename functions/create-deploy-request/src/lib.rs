//! Creates the deploy request of a release, or adopts the one that is open.

pub mod handler;
