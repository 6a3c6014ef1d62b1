//! Records a release, frees the environment's lock and says how it ended.

pub mod handler;
